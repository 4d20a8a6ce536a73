//! What anything else sends: a CI job, a script, a registry that is not known here.

use serde::Deserialize;

use super::first::First;
use super::{Delivery, PayloadError, Pushed, cleaned};
use crate::image::ImageReference;

/// `{"image": "ghcr.io/acme/api:1.9.4"}` or `{"images": [ … ]}`. A tag may be left out, and a digest is passed over.
/// So are images that are elsewhere, unless all are.
pub(super) fn generic(delivery: &Delivery<'_>) -> Result<Vec<Pushed>, PayloadError> {
    #[derive(Deserialize)]
    struct Payload {
        image: Option<String>,
        #[serde(default)]
        images: First<String>,
    }
    let Payload { image, images: First(images) } = delivery.json()?;
    let names: Vec<String> = image.into_iter().chain(images).collect();
    if names.is_empty() {
        return Err(delivery.malformed("it has neither image nor images"));
    }
    let on_this_host = |name: &String| {
        let reference = ImageReference::parse(name).ok_or_else(|| format!("{:?} is none", cleaned(name)))?;
        let (image, tag) = (reference.name, reference.tag);
        if image.host() == delivery.host {
            Ok(Pushed { tag, ..Pushed::of(image) })
        } else {
            Err(format!("{image} is not on {}, for which this webhook is", delivery.host))
        }
    };
    // A job that pushes to two registries tells the webhooks of both the same.
    let (here, elsewhere): (Vec<_>, Vec<_>) = names.iter().map(on_this_host).partition(Result::is_ok);
    match elsewhere.into_iter().find_map(Result::err) {
        Some(problem) if here.is_empty() => Err(PayloadError::Image(problem)),
        Some(_) | None => Ok(here.into_iter().flatten().collect()),
    }
}
