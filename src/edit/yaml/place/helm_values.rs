//! Images in the values of a chart: in values files, and inline where Flux, Argo CD and Kustomize take them.

use std::collections::{BTreeMap, BTreeSet};

use super::application;
use super::kustomize::is_kustomization;
use super::{Group, Holds, Place, Places, Text, is_rendered_later};
use crate::edit::yaml::reader::Node;
use crate::edit::yaml::target::is_digest;
use crate::edit::yaml::tree::View;
use crate::edit::{Obstacle, Part, ProblemReason};
use crate::image::{ImageName, ImageReference};

/// Finds the images in a document's values. A document that is no Kubernetes object is all values; a chart's own file
/// has an `apiVersion` but no `kind`.
pub(super) fn find<'t, 'a>(path: &str, document: View<'t, 'a>, places: &mut Places<'t, 'a>) {
    match document.text_of("kind") {
        Some("HelmRelease") => walk(document.at(&["spec", "values"]), places),
        Some("Application" | "ApplicationSet") => {
            for helm in application::sources(document).filter_map(|source| source.get("helm")) {
                walk(helm.get("valuesObject"), places);
                find_in_parameters(helm, places);
            }
        }
        _ if is_kustomization(path, document) => {
            let charts = document.get("helmCharts").into_iter().flat_map(View::items);
            charts.for_each(|chart| walk(chart.get("valuesInline"), places));
        }
        _ => find_in_document(document, places),
    }
}

/// Finds the images in a document that is values, unless it is an object. A chart may have a value `kind`, such as
/// `DaemonSet`; but no object of that kind goes without an API and a name.
pub(super) fn find_in_document<'t, 'a>(document: View<'t, 'a>, places: &mut Places<'t, 'a>) {
    let is_named = document.text_of("kind").is_some() && document.get("metadata").is_some();
    if document.text_of("apiVersion").is_none() && !is_named {
        walk(Some(document), places);
    }
}

/// Finds the images in values.
pub(super) fn find_in_values<'t, 'a>(values: View<'t, 'a>, places: &mut Places<'t, 'a>) {
    walk(Some(values), places);
}

/// The values of a document that are kept as text: those of Argo CD, of the charts of k3s and RKE2, and the YAML files of
/// ConfigMaps, from which Flux takes values by `valuesFrom`.
pub(super) fn texts<'t, 'a>(document: View<'t, 'a>) -> impl Iterator<Item = Text<'t, 'a>> {
    let of_argo = application::sources(document).filter_map(|source| source.at(&["helm", "values"]));
    let of_k3s = match document.text_of("kind") {
        Some("HelmChart" | "HelmChartConfig") => document.at(&["spec", "valuesContent"]),
        Some(_) | None => None,
    };
    let files = match document.text_of("kind") {
        Some("ConfigMap") => document.get("data"),
        Some(_) | None => None,
    };
    let files = files.into_iter().flat_map(View::entries);
    let files = files.filter(|(name, _)| name.ends_with(".yaml") || name.ends_with(".yml"));
    let text = |value: View<'t, 'a>, holds| value.scalar().map(|scalar| Text { scalar, holds });
    let values = of_argo.chain(of_k3s).filter_map(move |value| text(value, Holds::Values));
    values.chain(files.filter_map(move |(_, value)| text(value, Holds::MaybeValues)))
}

fn walk<'t, 'a>(values: Option<View<'t, 'a>>, places: &mut Places<'t, 'a>) {
    for view in values.into_iter().flat_map(View::everything) {
        take_siblings(&|key| view.get(key), places);
    }
}

/// `helm.parameters` spell the values as `web.image.tag` and its like, each with a value; of two with one name, the last
/// counts.
fn find_in_parameters<'t, 'a>(helm: View<'t, 'a>, places: &mut Places<'t, 'a>) {
    let parameters = helm.get("parameters").into_iter().flat_map(View::items);
    let values: BTreeMap<&str, View<'t, 'a>> =
        parameters.filter_map(|one| Some((one.text_of("name")?, one.get("value")?))).collect();
    let prefix_of = |name: &'t str| {
        let (prefix, key) = name.split_at_checked(name.rfind('.').map_or(0, |dot| dot + 1))?;
        matches!(key, "repository" | "image").then_some(prefix)
    };
    let prefixes: BTreeSet<&str> = values.keys().copied().filter_map(prefix_of).collect();
    for prefix in prefixes {
        take_siblings(&|key| values.get(format!("{prefix}{key}").as_str()).copied(), places);
    }
}

/// Takes the image that values beside each other tell, or else the one that `image` is.
fn take_siblings<'t, 'a>(get: &dyn Fn(&str) -> Option<View<'t, 'a>>, places: &mut Places<'t, 'a>) {
    let group = group(get);
    let is_reference = group.as_ref().is_none_or(|group| group.places.is_empty());
    places.groups.extend(group);
    if is_reference && let Some(image) = get("image").filter(|image| names_a_version(*image)) {
        places.take_reference(image);
    }
}

fn names_a_version(value: View<'_, '_>) -> bool {
    let reference = value.text().and_then(ImageReference::parse);
    reference.is_some_and(|reference| reference.tag.is_some() || reference.digest.is_some())
}

/// The fields of one image that stand side by side: `registry`, `repository`, `tag` or `version`, `digest` or `sha`.
fn group<'t, 'a: 't>(get: &dyn Fn(&str) -> Option<View<'t, 'a>>) -> Option<Group<'t, 'a>> {
    let has = |key: &str| get(key).is_some();
    let filled = |key: &str| get(key).and_then(View::scalar).filter(|scalar| !scalar.is_empty());
    let tag_key = if has("tag") { "tag" } else { "version" };
    if !has(tag_key) && !has("digest") && !has("sha") {
        return None;
    }
    // `image` for the repository is only meant so beside a tag.
    let repository = filled("repository").or_else(|| filled("image").filter(|_| has("tag")))?;
    let registry = filled("registry");
    let image = image(registry, repository)?;
    let tag = filled(tag_key);
    if let Some(tag) = tag.filter(|tag| tag.text().is_some_and(is_rendered_later)) {
        return Some(Group { places: Vec::new(), seen: vec![tag] });
    }
    let place = |scalar, part| Place::of_image(&image, scalar, part);
    let digest = filled("digest").or_else(|| filled("sha").filter(|sha| is_digest(sha)));
    let places = match (tag, digest) {
        (Some(tag), Some(digest)) => {
            let digest = place(digest, Part::Digest).hindered_by(no_digest(digest));
            vec![place(tag, Part::TagBesideDigest), digest]
        }
        (Some(tag), None) => vec![place(tag, Part::Tag)],
        (None, Some(digest)) => vec![place(digest, Part::Digest).hindered_by(no_digest(digest))],
        (None, None) if has("tag") => {
            let scalar = get("tag").and_then(View::scalar).unwrap_or(repository);
            vec![place(scalar, Part::Tag).hindered_by(Some(no_tag()))]
        }
        (None, None) => return None,
    };
    let seen = registry.into_iter().chain([repository]).chain(tag).chain(digest).collect();
    Some(Group { places, seen })
}

fn image(registry: Option<&Node<'_>>, repository: &Node<'_>) -> Option<ImageName> {
    let repository = repository.text()?;
    match registry {
        None => ImageName::parse(repository).ok(),
        Some(registry) => ImageName::parse(&format!("{}/{repository}", registry.text()?)).ok(),
    }
}

fn no_digest(digest: &Node<'_>) -> Option<Obstacle> {
    (!is_digest(digest)).then(|| Obstacle {
        reason: ProblemReason::NotAnImage,
        message: format!("{:?} is no digest; write sha256:…, or nothing", digest.text().unwrap_or_default()),
    })
}

fn no_tag() -> Obstacle {
    Obstacle {
        reason: ProblemReason::NoValue,
        message:
            "the tag is empty, which means the chart's appVersion; write a first version to have it lifted"
                .to_owned(),
    }
}
