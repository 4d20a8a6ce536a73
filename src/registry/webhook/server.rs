//! What registries that are registries and nothing else send.

use serde::Deserialize;

use super::{Delivery, Named, PayloadError};

/// Docker Hub ("Webhooks", Docker documentation). It sends for pushes only.
pub(super) fn docker_hub(delivery: &Delivery<'_>) -> Result<Vec<Named>, PayloadError> {
    #[derive(Deserialize)]
    struct Payload {
        repository: Repository,
        push_data: Option<Push>,
    }
    #[derive(Deserialize)]
    struct Repository {
        repo_name: String,
    }
    #[derive(Deserialize)]
    struct Push {
        tag: Option<String>,
    }
    let payload: Payload = delivery.json()?;
    let tag = payload.push_data.and_then(|push| push.tag);
    Ok(vec![Named::repository(payload.repository.repo_name).tagged(tag.as_deref())])
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
    let named = |tag: &String| Named::repository(payload.repository.clone()).tagged(Some(tag));
    Ok(payload.updated_tags.iter().map(named).collect())
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
        resources: Option<Vec<Resource>>,
    }
    #[derive(Deserialize)]
    struct Repository {
        repo_full_name: String,
    }
    #[derive(Deserialize)]
    struct Resource {
        tag: Option<String>,
    }
    let payload: Payload = delivery.json()?;
    if !matches!(payload.event.as_str(), "PUSH_ARTIFACT" | "pushImage" | "harbor.artifact.pushed") {
        return Ok(Vec::new());
    }
    let Some(Event { repository: Some(repository), resources }) = payload.event_data else {
        return Err(delivery.malformed("a push without event_data.repository"));
    };
    let named = |tag| Named::repository(repository.repo_full_name.clone()).tagged(tag);
    let resources = resources.unwrap_or_default();
    if resources.is_empty() {
        return Ok(vec![named(None)]);
    }
    Ok(resources.iter().map(|resource| named(resource.tag.as_deref())).collect())
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
    let tagged = pushes.filter_map(|Event { target: Target { repository, tag }, .. }| {
        Some(Named::repository(repository?).tagged(Some(&tag?)))
    });
    Ok(tagged.collect())
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
        reference: Option<String>,
    }
    impl Image {
        fn named(self) -> Named {
            Named::repository(self.name).tagged(self.reference.as_deref())
        }
    }
    const UPDATED: &str = ".image.updated";
    let binary = delivery.header("ce-type");
    if !binary.is_empty() {
        if !binary.ends_with(UPDATED) {
            return Ok(Vec::new());
        }
        let image: Image = delivery.json()?;
        return Ok(vec![image.named()]);
    }
    let event: Structured = delivery.json()?;
    if !event.event.ends_with(UPDATED) {
        return Ok(Vec::new());
    }
    let image = event.data.and_then(|data| serde_json::from_value::<Image>(data).ok());
    image.map(|image| vec![image.named()]).ok_or_else(|| delivery.malformed("data has no name"))
}
