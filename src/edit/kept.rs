//! What stands before an image in its value and stays, as in `--image=ghcr.io/acme/api:1.9.3`.

use super::{Obstacle, Part, ProblemReason, Site};
use crate::image::ImageReference;

/// What stays of a value, up to its last `=`; `None` where there is none.
pub(super) fn before(value: &str) -> Option<&str> {
    value.get(..=value.rfind('=')?)
}

/// Why the image at the end of a value can not be replaced by itself. A value without a `=` is replaced as a whole.
pub(super) fn obstacle(site: &Site) -> Option<Obstacle> {
    let has_before = site.part == Part::Image && before(&site.value).is_some();
    (has_before && ImageReference::at_end_of(&site.value).is_none()).then(|| Obstacle {
        reason: ProblemReason::NotAnImage,
        message: format!(
            "{:?} has no image at its end, behind the last =; write one there, such as ghcr.io/acme/api:1.9.3",
            site.value
        ),
    })
}
