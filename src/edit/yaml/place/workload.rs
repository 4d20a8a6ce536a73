//! The image fields of Pod templates, in whatever kind of object they stand.

use super::{Places, list};
use crate::edit::yaml::tree::View;

/// The lists of containers in a Pod's spec.
const CONTAINERS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

/// Kinds whose objects hold the values of a chart, or changes to a base, which are other targets' business.
const OTHERS: [&str; 5] = ["HelmRelease", "Application", "ApplicationSet", "Kustomization", "Component"];

/// Finds the images of containers, and of volumes (`volumes[].image.reference`), wherever an object or a list of objects
/// holds them: a Pod template is known by its fields, not by the kind around it.
pub(super) fn find<'t, 'a>(document: View<'t, 'a>, places: &mut Places<'t, 'a>) {
    if document.text_of("apiVersion").is_none() || document.text_of("kind").is_none() {
        return;
    }
    let is_other = |object: &View<'_, '_>| object.text_of("kind").is_some_and(|kind| OTHERS.contains(&kind));
    let objects = list::objects(document).into_iter().filter(|object| !is_other(object));
    for (key, value) in objects.flat_map(View::everything).flat_map(View::entries) {
        let images = value.items().filter_map(|item| match key {
            "volumes" => item.at(&["image", "reference"]),
            _ if CONTAINERS.contains(&key) => item.get("image"),
            _ => None,
        });
        images.for_each(|image| places.take_reference(image));
    }
}
