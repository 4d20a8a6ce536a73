//! Deliveries of a stranger who knows the token, for the fuzzer.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::{MOST_PUSHES, pushed, validation_code};
use crate::api::WebhookKind;

const HOSTS: [&str; 3] = ["ghcr.io", "docker.io", "123456789012.dkr.ecr.eu-central-1.amazonaws.com"];

const KINDS: [WebhookKind; 12] = [
    WebhookKind::AzureContainerRegistry,
    WebhookKind::ArtifactRegistry,
    WebhookKind::Distribution,
    WebhookKind::DockerHub,
    WebhookKind::Ecr,
    WebhookKind::Generic,
    WebhookKind::GitHub,
    WebhookKind::GitLab,
    WebhookKind::Gitea,
    WebhookKind::Harbor,
    WebhookKind::Quay,
    WebhookKind::Zot,
];

/// Whatever a body says, as any kind of sender: what it names are images of the registry for which it came, and not too
/// many; what is wrong can be shown.
pub(crate) fn delivery(body: &[u8]) {
    let mut events = HeaderMap::new();
    for (name, value) in [
        ("x-github-event", "package"),
        ("x-gitea-event", "package"),
        ("ce-type", "zotregistry.image.updated"),
        ("aeg-event-type", "SubscriptionValidation"),
    ] {
        events.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let silent = HeaderMap::new();
    for kind in KINDS {
        for (host, headers) in HOSTS.into_iter().flat_map(|host| [(host, &events), (host, &silent)]) {
            match validation_code(kind, headers, body) {
                Ok(code) => assert!(code.is_none_or(|code| code.len() <= 256)),
                Err(error) => assert!(!error.to_string().chars().any(char::is_control), "{error}"),
            }
            match pushed(kind, host, headers, body) {
                Ok(pushed) => {
                    assert!(pushed.len() <= MOST_PUSHES);
                    assert!(pushed.iter().all(|pushed| pushed.image.host() == host), "{pushed:?}");
                }
                Err(error) => assert!(!error.to_string().chars().any(char::is_control), "{error}"),
            }
        }
    }
}
