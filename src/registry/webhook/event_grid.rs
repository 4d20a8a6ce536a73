//! What Azure Event Grid sends of Azure Container Registry, in its own schema and as CloudEvents, one event at a time or
//! several ("Azure Container Registry as an Event Grid source", "Endpoint validation with Event Grid event schema").

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::first::First;
use super::{Delivery, PayloadError, Pushed};

/// The header that tells what a delivery in Event Grid's own schema is, and what it holds where Event Grid asks first.
const EVENT_TYPE: &str = "aeg-event-type";
const VALIDATION: &str = "SubscriptionValidation";

/// The longest code that is sent back, in bytes. Codes are UUIDs so far.
const MAX_CODE: usize = 256;

/// Whether an event of this type tells of a pushed image. Samples in the documentation have had the name with and without
/// what stands before it.
fn is_push(event_type: &str) -> bool {
    matches!(event_type, "Microsoft.ContainerRegistry.ImagePushed" | "ImagePushed")
}

/// Whether the body is Event Grid's and not the registry's own.
pub(super) fn is_sender(delivery: &Delivery<'_>) -> bool {
    #[derive(Deserialize)]
    struct Envelope {
        specversion: Option<String>,
    }
    let is_cloud_event = || delivery.json::<Envelope>().is_ok_and(|envelope| envelope.specversion.is_some());
    is_list(delivery) || is_cloud_event()
}

/// The images in a delivery. Events of other registries, of which one subscription may tell too, are not for this one.
pub(super) fn pushed(delivery: &Delivery<'_>) -> Result<Vec<Pushed>, PayloadError> {
    #[derive(Deserialize)]
    struct AnyEvent {
        #[serde(rename = "type", alias = "eventType", default)]
        event_type: String,
    }
    #[derive(Deserialize)]
    struct Event {
        #[serde(rename = "type", alias = "eventType", default)]
        event_type: String,
        data: Option<Data>,
    }
    #[derive(Deserialize)]
    struct Data {
        target: Target,
        request: Option<Request>,
    }
    #[derive(Deserialize)]
    struct Target {
        repository: String,
        tag: Option<String>,
    }
    #[derive(Deserialize)]
    struct Request {
        host: Option<String>,
    }
    // What other events have as data may be anything.
    if !events::<AnyEvent>(delivery)?.iter().any(|event| is_push(&event.event_type)) {
        return Ok(Vec::new());
    }
    let mut pushed = Vec::new();
    for event in events::<Event>(delivery)?.into_iter().filter(|event| is_push(&event.event_type)) {
        let Data { target, request } = event.data.ok_or_else(|| delivery.malformed("a push without data"))?;
        let host = request.and_then(|request| request.host);
        if host.is_none_or(|host| host.eq_ignore_ascii_case(delivery.host)) {
            pushed.push(Pushed::of(delivery.image(&target.repository)?).tagged(target.tag.as_deref()));
        }
    }
    Ok(pushed)
}

/// The code of a validation event. It comes alone.
pub(super) fn validation_code(delivery: &Delivery<'_>) -> Result<Option<String>, PayloadError> {
    #[derive(Deserialize)]
    struct Event {
        data: Data,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Data {
        validation_code: String,
    }
    if delivery.header(EVENT_TYPE) != VALIDATION {
        return Ok(None);
    }
    let event = events::<Event>(delivery)?.into_iter().next();
    let code = event.map(|event| event.data.validation_code).unwrap_or_default();
    if (1..=MAX_CODE).contains(&code.len()) {
        Ok(Some(code))
    } else {
        Err(delivery.malformed("a validation event without a code of 1 to 256 characters"))
    }
}

fn is_list(delivery: &Delivery<'_>) -> bool {
    delivery.body.trim_ascii_start().starts_with(b"[")
}

fn events<T: DeserializeOwned>(delivery: &Delivery<'_>) -> Result<Vec<T>, PayloadError> {
    if is_list(delivery) {
        return Ok(delivery.json::<First<T>>()?.0);
    }
    Ok(vec![delivery.json()?])
}
