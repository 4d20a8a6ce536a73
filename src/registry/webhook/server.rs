//! What registries that are registries and nothing else send.

use serde::Deserialize;

use super::{Delivery, Named, PayloadError};

/// Docker Hub ("Webhooks", Docker documentation). It sends for pushes only.
pub(super) fn docker_hub(delivery: &Delivery<'_>) -> Result<Vec<Named>, PayloadError> {
    #[derive(Deserialize)]
    struct Payload {
        repository: Repository,
    }
    #[derive(Deserialize)]
    struct Repository {
        repo_name: String,
    }
    let payload: Payload = delivery.json()?;
    Ok(vec![Named::repository(payload.repository.repo_name)])
}

/// Quay ("Repository Push", Quay documentation). Other events have no `updated_tags`.
pub(super) fn quay(delivery: &Delivery<'_>) -> Result<Vec<Named>, PayloadError> {
    #[derive(Deserialize)]
    struct Payload {
        repository: String,
        #[serde(default)]
        updated_tags: Vec<String>,
    }
    let payload: Payload = delivery.json()?;
    let pushed = !payload.updated_tags.is_empty();
    Ok(pushed.then(|| Named::repository(payload.repository)).into_iter().collect())
}

/// Harbor ("Configure Webhook Notifications", Harbor documentation), in its own format and as a CloudEvent.
pub(super) fn harbor(delivery: &Delivery<'_>) -> Result<Vec<Named>, PayloadError> {
    #[derive(Deserialize)]
    struct Payload {
        #[serde(rename = "type")]
        event: String,
        #[serde(alias = "data")]
        event_data: Option<Event>,
    }
    #[derive(Deserialize)]
    struct Event {
        repository: Option<Repository>,
    }
    #[derive(Deserialize)]
    struct Repository {
        repo_full_name: String,
    }
    let payload: Payload = delivery.json()?;
    if !matches!(payload.event.as_str(), "PUSH_ARTIFACT" | "pushImage" | "harbor.artifact.pushed") {
        return Ok(Vec::new());
    }
    match payload.event_data.and_then(|event| event.repository) {
        Some(repository) => Ok(vec![Named::repository(repository.repo_full_name)]),
        None => Err(delivery.malformed("a push without event_data.repository")),
    }
}

/// CNCF Distribution ("Notifications", its documentation). One delivery may hold many events; those of blobs and of
/// manifests without a tag say nothing of what can be chosen.
pub(super) fn distribution(delivery: &Delivery<'_>) -> Result<Vec<Named>, PayloadError> {
    #[derive(Deserialize)]
    struct Envelope {
        events: Vec<Event>,
    }
    #[derive(Deserialize)]
    struct Event {
        action: String,
        #[serde(default)]
        target: Target,
    }
    #[derive(Default, Deserialize)]
    struct Target {
        repository: Option<String>,
        tag: Option<String>,
    }
    let envelope: Envelope = delivery.json()?;
    let pushes = envelope.events.into_iter().filter(|event| event.action == "push");
    let tagged = pushes.map(|event| event.target).filter(|target| target.tag.is_some());
    Ok(tagged.filter_map(|target| target.repository).map(Named::repository).collect())
}

/// zot ("Event Support", zot documentation): a CloudEvent in the binary or the structured mode (CloudEvents HTTP binding,
/// 3.1 and 3.2). The prefix of its type may be configured.
pub(super) fn zot(delivery: &Delivery<'_>) -> Result<Vec<Named>, PayloadError> {
    #[derive(Deserialize)]
    struct Structured {
        #[serde(rename = "type")]
        event: String,
        data: Option<serde_json::Value>,
    }
    #[derive(Deserialize)]
    struct Image {
        name: String,
    }
    const UPDATED: &str = ".image.updated";
    let binary = delivery.header("ce-type");
    if !binary.is_empty() {
        if !binary.ends_with(UPDATED) {
            return Ok(Vec::new());
        }
        let image: Image = delivery.json()?;
        return Ok(vec![Named::repository(image.name)]);
    }
    let event: Structured = delivery.json()?;
    if !event.event.ends_with(UPDATED) {
        return Ok(Vec::new());
    }
    let image = event.data.and_then(|data| serde_json::from_value::<Image>(data).ok());
    image
        .map(|image| vec![Named::repository(image.name)])
        .ok_or_else(|| delivery.malformed("data has no name"))
}
