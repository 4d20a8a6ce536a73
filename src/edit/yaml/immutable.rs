//! Data that takes no change: that of ConfigMaps and Secrets with `immutable: true`, which the API server refuses to alter.
//! What is written there would only be told of by the sync engine, as a failure of all that it applies with it.

use std::ops::Range;

use super::document::Document;
use super::tree::{self, View};
use crate::edit::{Obstacle, ProblemReason, Site};

/// The fields that can not be changed any more (Kubernetes, "Immutable ConfigMaps"). Labels and annotations can.
const FIELDS: [&str; 3] = ["data", "stringData", "binaryData"];

/// Keeps the sites of a document from being written whose values lie in such data.
pub(super) fn hinder(document: &Document<'_>, sites: &mut [Site]) {
    if sites.is_empty() || memchr::memmem::find(document.text.as_bytes(), b"immutable").is_none() {
        return;
    }
    let Ok(tree) = tree::read(document.text) else { return };
    let objects = tree.root().everything().filter(|view| is_immutable(*view));
    let mut values: Vec<(Range<usize>, &str)> = objects.flat_map(values).collect();
    values.sort_by_key(|(span, _)| span.start);
    for site in sites.iter_mut().filter(|site| site.obstacle.is_none()) {
        let start = site.span.start.saturating_sub(document.start);
        let behind = values.partition_point(|(span, _)| span.start <= start);
        let around = behind.checked_sub(1).and_then(|last| values.get(last));
        if let Some((_, kind)) = around.filter(|(span, _)| start < span.end) {
            site.obstacle = Some(Box::new(Obstacle {
                reason: ProblemReason::Immutable,
                message: format!(
                    "the value is in a {kind} with immutable: true, which the API server lets nobody change; let a \
                     generator of kustomize make it under a new name each time, or remove immutable"
                ),
            }));
        }
    }
}

fn is_immutable(object: View<'_, '_>) -> bool {
    matches!(object.text_of("kind"), Some("ConfigMap" | "Secret"))
        && object.text_of("immutable").is_some_and(|text| text.eq_ignore_ascii_case("true"))
        && !is_made_anew(object)
}

/// Whether the object says that the sync engine deletes it and makes it anew where it can not be changed: Flux by
/// `kustomize.toolkit.fluxcd.io/force`, Argo CD by the option `Force=true`.
fn is_made_anew(object: View<'_, '_>) -> bool {
    let annotation = |key| object.at(&["metadata", "annotations", key]).and_then(View::text);
    annotation("kustomize.toolkit.fluxcd.io/force").is_some_and(|value| value.eq_ignore_ascii_case("enabled"))
        || annotation("argocd.argoproj.io/sync-options")
            .is_some_and(|options| options.split(',').any(|option| option.trim() == "Force=true"))
}

/// The bytes of the values of an object's data, with its kind.
fn values<'t>(object: View<'t, '_>) -> impl Iterator<Item = (Range<usize>, &'t str)> {
    let kind = object.text_of("kind").unwrap_or_default();
    let data = FIELDS.iter().filter_map(move |field| object.get(field));
    let scalars = data.flat_map(View::everything).filter_map(View::scalar);
    scalars.map(move |scalar| (scalar.span.clone(), kind))
}
