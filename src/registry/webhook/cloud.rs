//! What the registries of the large clouds send.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use super::{Delivery, PayloadError, Pushed, event_grid};

/// Azure Container Registry ("Azure Container Registry webhook schema reference"), or Event Grid, which tells of it in its
/// own words. `chart_push` is a push of a Helm chart by the old way.
pub(super) fn azure(delivery: &Delivery<'_>) -> Result<Vec<Pushed>, PayloadError> {
    #[derive(Deserialize)]
    struct Payload {
        action: String,
        target: Option<Target>,
    }
    #[derive(Deserialize)]
    struct Target {
        repository: String,
        tag: Option<String>,
    }
    if event_grid::is_sender(delivery) {
        return event_grid::pushed(delivery);
    }
    let payload: Payload = delivery.json()?;
    if payload.action != "push" {
        return Ok(Vec::new());
    }
    let target = payload.target.ok_or_else(|| delivery.malformed("a push without target"))?;
    Ok(vec![Pushed::of(delivery.image(&target.repository)?).tagged(target.tag.as_deref())])
}

/// Google Artifact Registry ("Configure Pub/Sub notifications", Artifact Registry documentation) in the envelope of a push
/// subscription ("Push subscriptions", Pub/Sub documentation). One topic tells of all registries of a project.
pub(super) fn artifact_registry(delivery: &Delivery<'_>) -> Result<Vec<Pushed>, PayloadError> {
    #[derive(Deserialize)]
    struct Envelope {
        message: Message,
    }
    #[derive(Deserialize)]
    struct Message {
        #[serde(default)]
        data: String,
    }
    #[derive(Deserialize)]
    struct Notification {
        action: String,
        tag: Option<String>,
    }
    let envelope: Envelope = delivery.json()?;
    let data = BASE64_STANDARD.decode(envelope.message.data);
    let data = data.map_err(|_| delivery.malformed("message.data is not Base64"))?;
    let notification: Notification = delivery.json_of(&data)?;
    if notification.action != "INSERT" {
        return Ok(Vec::new());
    }
    let tag = notification.tag.unwrap_or_default();
    Ok(delivery.referred(&tag).into_iter().collect())
}

/// Amazon ECR ("Sample events from Amazon ECR", ECR documentation), as EventBridge sends it or as the data of a CloudEvent.
/// Events of other accounts and regions than those of the registry's host are not for it.
pub(super) fn ecr(delivery: &Delivery<'_>) -> Result<Vec<Pushed>, PayloadError> {
    #[derive(Deserialize)]
    struct Envelope {
        specversion: Option<String>,
    }
    #[derive(Deserialize)]
    struct Wrapped {
        data: Event,
    }
    #[derive(Deserialize)]
    struct Event {
        #[serde(rename = "detail-type")]
        detail_type: String,
        account: String,
        region: String,
        detail: Detail,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Detail {
        action_type: Option<String>,
        result: Option<String>,
        repository_name: String,
        #[serde(default)]
        image_tag: String,
    }
    let Envelope { specversion } = delivery.json()?;
    let event: Event = match specversion {
        Some(version) if version.starts_with("1.") => delivery.json::<Wrapped>()?.data,
        Some(_) => return Err(delivery.malformed("specversion is not 1.0")),
        None => delivery.json()?,
    };
    let registry = format!("{}.dkr.ecr.{}.amazonaws.com", event.account, event.region);
    let is_here =
        delivery.host.strip_prefix(registry.as_str()).is_some_and(|rest| matches!(rest, "" | ".cn"));
    let detail = event.detail;
    let is_push = event.detail_type == "ECR Image Action"
        && detail.action_type.as_deref() == Some("PUSH")
        && detail.result.as_deref() == Some("SUCCESS")
        && !detail.image_tag.is_empty();
    if !(is_here && is_push) {
        return Ok(Vec::new());
    }
    Ok(vec![Pushed::of(delivery.image(&detail.repository_name)?).tagged(Some(&detail.image_tag))])
}
