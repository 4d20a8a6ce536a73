//! What registries that are registries and nothing else send.

use serde::Deserialize;

use super::first::First;
use super::{Delivery, PayloadError, Pushed};

/// Docker Hub ("Webhooks", Docker documentation). It sends for pushes only.
pub(super) fn docker_hub(delivery: &Delivery<'_>) -> Result<Vec<Pushed>, PayloadError> {
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
    let image = delivery.image(&payload.repository.repo_name)?;
    Ok(vec![Pushed::of(image).tagged(tag.as_deref())])
}

/// Quay ("Repository Push", Quay documentation). Other events have no `updated_tags`.
pub(super) fn quay(delivery: &Delivery<'_>) -> Result<Vec<Pushed>, PayloadError> {
    #[derive(Deserialize)]
    struct Payload {
        repository: String,
        #[serde(default)]
        updated_tags: First<String>,
    }
    let Payload { repository, updated_tags: First(tags) } = delivery.json()?;
    if tags.is_empty() {
        return Ok(Vec::new());
    }
    let image = delivery.image(&repository)?;
    Ok(tags.iter().map(|tag| Pushed::of(image.clone()).tagged(Some(tag))).collect())
}

/// Harbor ("Configure Webhook Notifications", Harbor documentation), in its own format and as a CloudEvent.
pub(super) fn harbor(delivery: &Delivery<'_>) -> Result<Vec<Pushed>, PayloadError> {
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
        resources: Option<First<Resource>>,
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
    let image = delivery.image(&repository.repo_full_name)?;
    let First(resources) = resources.unwrap_or_default();
    if resources.is_empty() {
        return Ok(vec![Pushed::of(image)]);
    }
    let pushed = |resource: &Resource| Pushed::of(image.clone()).tagged(resource.tag.as_deref());
    Ok(resources.iter().map(pushed).collect())
}

/// CNCF Distribution ("Notifications", its documentation). One delivery may hold many events; those of blobs and of
/// manifests without a tag say nothing of what can be chosen.
pub(super) fn distribution(delivery: &Delivery<'_>) -> Result<Vec<Pushed>, PayloadError> {
    #[derive(Deserialize)]
    struct Envelope {
        events: First<Event>,
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
    let Envelope { events: First(events) } = delivery.json()?;
    let pushes = events.iter().filter(|event| event.action == "push").map(|event| &event.target);
    let tagged = pushes.filter_map(|target| Some((target.repository.as_deref()?, target.tag.as_deref()?)));
    tagged.map(|(repository, tag)| Ok(Pushed::of(delivery.image(repository)?).tagged(Some(tag)))).collect()
}

/// zot ("Event Support", zot documentation): a CloudEvent in the binary or the structured mode (CloudEvents HTTP binding,
/// 3.1 and 3.2). The prefix of its type may be configured.
pub(super) fn zot(delivery: &Delivery<'_>) -> Result<Vec<Pushed>, PayloadError> {
    #[derive(Deserialize)]
    struct Structured {
        #[serde(rename = "type")]
        event: String,
    }
    #[derive(Deserialize)]
    struct Wrapped {
        data: Image,
    }
    #[derive(Deserialize)]
    struct Image {
        name: String,
        reference: Option<String>,
    }
    const UPDATED: &str = ".image.updated";
    let binary = delivery.header("ce-type");
    let image: Image = if binary.is_empty() {
        let Structured { event } = delivery.json()?;
        if !event.ends_with(UPDATED) {
            return Ok(Vec::new());
        }
        // What other events have as data may be anything.
        delivery.json::<Wrapped>()?.data
    } else if binary.ends_with(UPDATED) {
        delivery.json()?
    } else {
        return Ok(Vec::new());
    };
    Ok(vec![Pushed::of(delivery.image(&image.name)?).tagged(image.reference.as_deref())])
}
