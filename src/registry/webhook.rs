//! Deliveries of webhooks: whether the sender proved itself, and what it says was pushed. Pure, but for [`Oidc`].
//!
//! What is said is a hint and never a decision: the worst that a forged delivery could do is one scan too many.

mod cloud;
mod event_grid;
mod first;
mod forge;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod fuzzing;
mod generic;
mod oidc;
mod proof;
mod server;
mod standard;

use std::collections::BTreeSet;

use reqwest::header::{HeaderMap, HeaderValue};
use serde::de::DeserializeOwned;

use crate::api::WebhookKind;
use crate::image::{ImageName, ImageReference, Tag};
pub use oidc::{Oidc, OidcError, check_issuer};
pub use proof::{ProofPlace, ProofToken, Sender, UnusableToken};
pub use standard::DeliveryName;

/// The most pushes of which one delivery may tell; what is beyond is left to the interval.
const MOST_PUSHES: usize = 1000;

/// The longest name of an origin, in bytes: that of a host.
const MAX_ORIGIN: usize = 255;

/// What a delivery says was pushed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pushed {
    /// The image, on the host for which the delivery was accepted.
    pub image: ImageName,
    /// Whether images below its path are meant too: some senders name a project only.
    pub and_below: bool,
    /// The tag, where the sender says it and it is one.
    pub tag: Option<Tag>,
}

impl Pushed {
    /// A push of which no more is known than the image.
    const fn of(image: ImageName) -> Self {
        Self { image, and_below: false, tag: None }
    }

    /// With its tag. What is none, such as the digest that some senders put in its place, is passed over.
    fn tagged(self, tag: Option<&str>) -> Self {
        Self { tag: tag.and_then(|tag| Tag::parse(tag).ok()), ..self }
    }

    /// Whether this speaks of `image`.
    #[must_use]
    pub fn is_of(&self, image: &ImageName) -> bool {
        if self.image == *image {
            return true;
        }
        let rest = image.repository().strip_prefix(self.image.repository());
        self.and_below && self.image.host() == image.host() && rest.is_some_and(|rest| rest.starts_with('/'))
    }
}

/// A delivery whose body is not what its sender documents.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// It is no JSON of the documented form.
    #[error("the body is not what {kind} documents: {problem}")]
    Form {
        /// Who is said to have sent it.
        kind: &'static str,
        /// Where it differs. It quotes nothing of the body but names of fields.
        problem: String,
    },
    /// It names something that is no image.
    #[error("the body names no image: {0}")]
    Image(String),
}

/// Reads what a delivery for a registry `host` says was pushed. Nothing, where it speaks of something else: a deletion, a
/// test of the webhook, a package that is no image, another registry.
///
/// # Errors
/// [`PayloadError`], where the body is not of the form that the sender documents.
pub fn pushed(
    kind: WebhookKind,
    host: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<BTreeSet<Pushed>, PayloadError> {
    let delivery = Delivery { kind, host, headers, body };
    let pushed = match kind {
        WebhookKind::AzureContainerRegistry => cloud::azure(&delivery),
        WebhookKind::ArtifactRegistry => cloud::artifact_registry(&delivery),
        WebhookKind::Ecr => cloud::ecr(&delivery),
        WebhookKind::Distribution => server::distribution(&delivery),
        WebhookKind::Zot => server::zot(&delivery),
        WebhookKind::Harbor => server::harbor(&delivery),
        WebhookKind::Quay => server::quay(&delivery),
        WebhookKind::DockerHub => server::docker_hub(&delivery),
        WebhookKind::GitHub => forge::github(&delivery),
        WebhookKind::GitLab => forge::gitlab(&delivery),
        WebhookKind::Gitea => forge::gitea(&delivery),
        WebhookKind::Generic => generic::generic(&delivery),
    }?;
    Ok(pushed.into_iter().take(MOST_PUSHES).collect())
}

/// The code by which a sender asks to be answered before it delivers anything: a validation event of Azure Event Grid. `None`
/// where the delivery is none.
///
/// # Errors
/// [`PayloadError`], where it says that it is one and holds no code.
pub fn validation_code(
    kind: WebhookKind,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Option<String>, PayloadError> {
    match kind {
        WebhookKind::AzureContainerRegistry => {
            event_grid::validation_code(&Delivery { kind, host: "", headers, body })
        }
        WebhookKind::ArtifactRegistry
        | WebhookKind::Distribution
        | WebhookKind::DockerHub
        | WebhookKind::Ecr
        | WebhookKind::Generic
        | WebhookKind::GitHub
        | WebhookKind::GitLab
        | WebhookKind::Gitea
        | WebhookKind::Harbor
        | WebhookKind::Quay
        | WebhookKind::Zot => Ok(None),
    }
}

/// The origin that asks by `OPTIONS` whether it may deliver (CloudEvents, "HTTP 1.1 Web Hooks for Event Delivery", 4.1), as
/// senders of this kind do. `None` where they do not, or where it is not named.
#[must_use]
pub fn asking_origin(kind: WebhookKind, headers: &HeaderMap) -> Option<&HeaderValue> {
    let origin = headers.get("webhook-request-origin")?;
    let is_name = |text: &str| {
        let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-:*_".contains(&byte);
        (1..=MAX_ORIGIN).contains(&text.len()) && text.bytes().all(is_of_name)
    };
    (kind == WebhookKind::AzureContainerRegistry && origin.to_str().is_ok_and(is_name)).then_some(origin)
}

/// One delivery, as a reader of payloads sees it.
struct Delivery<'a> {
    kind: WebhookKind,
    /// The registry for which it came.
    host: &'a str,
    headers: &'a HeaderMap,
    body: &'a [u8],
}

impl Delivery<'_> {
    fn json<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        self.json_of(self.body)
    }

    /// Reads JSON that came in the delivery, perhaps wrapped in something else.
    fn json_of<T: DeserializeOwned>(&self, text: &[u8]) -> Result<T, PayloadError> {
        let parser = &mut serde_json::Deserializer::from_slice(text);
        serde_path_to_error::deserialize(parser).map_err(|error| {
            let at = error.path().to_string();
            let cause = match error.inner().classify() {
                serde_json::error::Category::Data => "a field is missing or of another type",
                serde_json::error::Category::Eof => "it ends too early",
                serde_json::error::Category::Syntax | serde_json::error::Category::Io => "it is not JSON",
            };
            self.malformed(if at == "." { cause.to_owned() } else { format!("{cause}, at {at}") })
        })
    }

    fn malformed(&self, problem: impl Into<String>) -> PayloadError {
        PayloadError::Form { kind: self.kind.as_str(), problem: cleaned(&problem.into()) }
    }

    /// The image that the payload names by its repository. Checked before anything is made of it: what a stranger calls a
    /// repository may fill the body.
    fn image(&self, repository: &str) -> Result<ImageName, PayloadError> {
        match ImageName::parse(&format!("{}/{repository}", self.host)) {
            Ok(image) if image.host() == self.host => Ok(image),
            Ok(_) => Err(PayloadError::Image("it is on another host".to_owned())),
            Err(error) => Err(PayloadError::Image(error.to_string())),
        }
    }

    /// What a reference such as `ghcr.io/acme/api:1.2.3` names. `None` where it is no reference, or one on another host.
    fn referred(&self, reference: &str) -> Option<Pushed> {
        let ImageReference { name, tag, digest: _ } = ImageReference::parse(reference)?;
        (name.host() == self.host).then(|| Pushed { tag, ..Pushed::of(name) })
    }

    /// A header's text; empty where there is none.
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// What of a foreign text may be shown: without control characters, and of bounded length.
fn cleaned(text: &str) -> String {
    text.chars().filter(|character| !crate::unfit::is_unfit(*character)).take(200).collect()
}

#[cfg(test)]
mod tests;
