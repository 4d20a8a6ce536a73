//! What an answer with an error status says.

use std::time::Duration;

use jiff::Timestamp;
use oci_distribution::errors::{OciEnvelope, OciErrorCode};
use reqwest::header::{LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode};

use super::Error;
use super::rate_limit::{Plea, plea};
use crate::net::{Limits, read_capped};

/// The most that is read of an error's body, in bytes.
const MAX_BODY: u64 = 64 * 1024;

/// The most of a server's message that is shown, in characters.
const MAX_MESSAGE: usize = 200;

/// An answer with an error status.
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// The first message of the error envelope, as `: "…"`, or nothing.
    pub(super) said: String,
    codes: Vec<OciErrorCode>,
    /// The wish to be asked less, and how long, where that is said.
    plea: Option<Option<Duration>>,
    redirect: Option<String>,
}

impl Refusal {
    /// Reads what it says. A body that is no error envelope, such as a proxy's HTML, is not shown.
    pub(super) async fn read(response: Response, limits: &Limits) -> Self {
        let status = response.status();
        let plea = plea(status, response.headers(), Timestamp::now()).map(|plea| match plea {
            Plea::For(pause) => Some(pause),
            Plea::Unsaid => None,
        });
        let redirect = status.is_redirection().then(|| target(&response));
        let body = read_capped(response, Limits { bytes: MAX_BODY, ..*limits }).await.unwrap_or_default();
        let errors =
            serde_json::from_slice::<OciEnvelope>(&body).map(|envelope| envelope.errors).unwrap_or_default();
        let said = errors.iter().map(|error| &error.message).find(|message| !message.is_empty());
        Self {
            status,
            said: said.map(|message| quoted(message)).unwrap_or_default(),
            codes: errors.into_iter().map(|error| error.code).collect(),
            plea,
            redirect,
        }
    }

    /// Whether the page size may be what the registry refused.
    ///
    /// The codes are those of the distribution project (`PAGINATION_NUMBER_INVALID`), the OCI specification
    /// (`UNSUPPORTED`) and Quay (`TOO_MANY_TAGS_REQUESTED`); ECR sends 400 or 405, Quay sent 413.
    pub(super) fn may_mean_page_size(&self) -> bool {
        let by_code = self.codes.iter().any(|code| match code {
            OciErrorCode::Unsupported => true,
            OciErrorCode::Other(code) => {
                matches!(code.as_str(), "PAGINATION_NUMBER_INVALID" | "TOO_MANY_TAGS_REQUESTED")
            }
            _ => false,
        });
        by_code || matches!(self.status.as_u16(), 400 | 405 | 413)
    }

    /// What it means for a question about `what` (the repository, perhaps with a tag).
    pub(super) fn into_error(self, host: &str, repository: &str, what: &str) -> Error {
        let Self { status, said, plea, redirect, codes: _ } = self;
        let host = host.to_owned();
        let repository = repository.to_owned();
        match (status.as_u16(), redirect, plea) {
            (_, Some(target), _) => Error::Redirected { host, target },
            (403, None, _) => Error::Denied { host, repository, said },
            (404, None, _) => Error::NotFound { host, what: what.to_owned(), said },
            (429 | 503, None, Some(retry_after)) => Error::RateLimited { host, retry_after },
            (status, None, _) => Error::Server { host, status, said },
        }
    }
}

/// Whether trying again at once may help: the server failed, and did not say when it will be back.
pub(super) fn is_passing(response: &Response) -> bool {
    matches!(response.status().as_u16(), 500 | 502 | 503 | 504)
        && !response.headers().contains_key(RETRY_AFTER)
}

fn target(response: &Response) -> String {
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    location
        .and_then(|location| response.url().join(location).ok())
        .and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_else(|| "an unreadable place".to_owned())
}

/// A foreign message in quotes, cut, with everything escaped that could disturb a terminal or a log.
pub(super) fn quoted(message: &str) -> String {
    let cut: String = message.chars().take(MAX_MESSAGE).collect();
    format!(": {cut:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_message_is_cut_and_disarmed() {
        let said = quoted(&format!("\u{1b}[31mred\n{}", "x".repeat(500)));
        assert!(!said.contains(['\u{1b}', '\n']), "{said}");
        assert!(said.len() < 250);
    }
}
