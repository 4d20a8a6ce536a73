//! Reading manifests and configurations whole, with their digests checked.

use std::time::Duration;

use reqwest::header::{HeaderValue, LOCATION};
use reqwest::{Method, Response, Url};

use super::{ACCEPT, MAX_MANIFEST, STALL_TIME};
use crate::image::Digest;
use crate::net::{Limits, read_capped};
use crate::registry::refusal::Refusal;
use crate::registry::session::Session;
use crate::registry::{Error, realm};

/// The largest configuration that is read, in bytes; the history of a very long build takes some hundred KiB.
const MAX_CONFIGURATION: u64 = 4 * 1024 * 1024;

const TOTAL_TIME: Duration = Duration::from_secs(60);

/// The most redirects from a registry to where it keeps its blobs.
const MOST_REDIRECTS: u32 = 3;

const ANY: HeaderValue = HeaderValue::from_static("*/*");

/// The manifest or index that has this digest.
pub(super) async fn manifest(session: &Session<'_>, digest: &Digest) -> Result<Vec<u8>, Error> {
    let limits = Limits::new(MAX_MANIFEST, TOTAL_TIME, STALL_TIME);
    let url = session.url(&format!("manifests/{digest}"));
    let answer = session.ask(&Method::GET, &url, &ACCEPT, &limits).await?;
    checked(session, answer, digest, &limits).await
}

/// The configuration that has this digest. Registries that keep their blobs elsewhere redirect there.
pub(super) async fn configuration(session: &Session<'_>, digest: &Digest) -> Result<Vec<u8>, Error> {
    let limits = Limits::new(MAX_CONFIGURATION, TOTAL_TIME, STALL_TIME);
    let url = session.url(&format!("blobs/{digest}"));
    let mut answer = session.ask(&Method::GET, &url, &ANY, &limits).await?;
    let mut is_elsewhere = false;
    for _ in 0..MOST_REDIRECTS {
        let Some(target) = target(&answer) else { break };
        // Who keeps the blobs may lead back, but not to something that is asked there in the caller's name.
        is_elsewhere |= realm::origin(&target) != realm::origin(&url);
        answer = if !is_elsewhere {
            session.ask(&Method::GET, &target, &ANY, &limits).await?
        } else if target.scheme() == "https" || url.scheme() == "http" {
            session.ask_elsewhere(&target, &limits).await?
        } else {
            // To follow would let anyone on the way see and change what comes.
            break;
        };
    }
    checked(session, answer, digest, &limits).await
}

async fn checked(
    session: &Session<'_>,
    answer: Response,
    digest: &Digest,
    limits: &Limits,
) -> Result<Vec<u8>, Error> {
    let what = || format!("{}@{digest}", session.repository());
    if !answer.status().is_success() {
        let host = realm::authority(answer.url());
        let refusal = Refusal::read(answer, limits).await;
        return Err(refusal.into_error(&host, session.repository(), &what()));
    }
    let bytes = read_capped(answer, *limits).await?;
    if digest.is_of(&bytes) {
        Ok(bytes)
    } else {
        Err(session.protocol_error(format!("what it sends for {} has another digest", what())))
    }
}

/// Where a redirect leads; `None` where the answer is none, or leads to no URL of HTTP.
fn target(answer: &Response) -> Option<Url> {
    if !answer.status().is_redirection() {
        return None;
    }
    let location = answer.headers().get(LOCATION)?.to_str().ok()?;
    let url = answer.url().join(location).ok()?;
    let is_plain = url.username().is_empty() && url.password().is_none();
    (matches!(url.scheme(), "https" | "http") && is_plain).then_some(url)
}
