//! Which digest a tag names, and what stands behind it.

pub(super) mod document;
mod fetch;
mod inspector;
mod known;

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::Error;
use super::refusal::Refusal;
use super::session::Session;
use crate::image::{Digest, Tag};
use crate::net::{Limits, read_capped};

pub use self::inspector::{Depth, Inspector};
pub(super) use self::known::{Known, MOST_KNOWN_IMAGES};

/// Every kind of manifest and index, so that no registry converts one into another with another digest.
const ACCEPT: HeaderValue = HeaderValue::from_static(
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json",
);

const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// The largest manifest that registries must take (OCI distribution specification 1.1, "Pushing Manifests").
const MAX_MANIFEST: u64 = 4 * 1024 * 1024;

const TOTAL_TIME: Duration = Duration::from_secs(60);
const STALL_TIME: Duration = Duration::from_secs(30);

/// Asks by HEAD, which costs nothing at registries that count pulls, and by GET where HEAD gives no digest.
pub(super) async fn digest(session: &Session<'_>, tag: &Tag) -> Result<Digest, Error> {
    let limits = Limits::new(MAX_MANIFEST, TOTAL_TIME, STALL_TIME);
    let url = session.url(&format!("manifests/{tag}"));
    let what = format!("{}:{tag}", session.repository());
    let head = session.ask(&Method::HEAD, &url, &ACCEPT, &limits).await?;
    let status = head.status();
    if status.is_success() {
        if let Some(digest) = digest_header(head.headers()) {
            return Ok(digest);
        }
    } else if !matches!(status.as_u16(), 400 | 405 | 406 | 415 | 501) {
        return Err(session.error(Refusal::read(head, &limits).await, &what));
    }

    let answer = session.ask(&Method::GET, &url, &ACCEPT, &limits).await?;
    if !answer.status().is_success() {
        return Err(session.error(Refusal::read(answer, &limits).await, &what));
    }
    let claimed = digest_header(answer.headers());
    let digest = Digest::sha256_of(&read_capped(answer, limits).await?);
    match claimed {
        Some(claimed) if claimed.as_str().starts_with("sha256:") && claimed != digest => Err(session
            .protocol_error(format!(
                "it gives {claimed} as the digest of {what}, but the manifest has {digest}"
            ))),
        Some(_) | None => Ok(digest),
    }
}

fn digest_header(headers: &HeaderMap) -> Option<Digest> {
    Digest::parse(headers.get(DIGEST)?.to_str().ok()?.trim()).ok()
}
