//! The `images:` of kustomizations and components, and the same list where Flux and Argo CD take one.

use super::{Group, Place, Places, application};
use crate::edit::yaml::reader::Node;
use crate::edit::yaml::tree::View;
use crate::edit::{Obstacle, Part, ProblemReason};
use crate::image::ImageName;

/// The names under which Kustomize reads its file; there the kind may be left out.
const FILES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Whether an object of a file is Kustomize's own.
pub(super) fn is_kustomization(path: &str, object: View<'_, '_>) -> bool {
    match (api(object), object.text_of("kind")) {
        (Some("kustomize.config.k8s.io"), _) | (None, Some("Kustomization" | "Component")) => true,
        (None, None) => FILES.contains(&path.rsplit('/').next().unwrap_or(path)),
        (_, _) => false,
    }
}

/// The group of an object's API.
fn api<'t>(object: View<'t, '_>) -> Option<&'t str> {
    object.text_of("apiVersion").and_then(|version| version.split('/').next())
}

/// Finds the entries of every list of images in an object.
pub(super) fn find<'t, 'a>(path: &str, document: View<'t, 'a>, places: &mut Places<'t, 'a>) {
    let spec = document.get("spec");
    for source in application::sources(document) {
        let images = source.at(&["kustomize", "images"]);
        images.into_iter().flat_map(View::items).for_each(|image| places.take_replacement(image));
    }
    match api(document) {
        _ if is_kustomization(path, document) => find_in_list(document.get("images"), places),
        Some("kustomize.toolkit.fluxcd.io") => {
            find_in_list(spec.and_then(|spec| spec.get("images")), places);
        }
        Some("helm.toolkit.fluxcd.io") => {
            let renderers = spec.and_then(|spec| spec.get("postRenderers"));
            for renderer in renderers.into_iter().flat_map(View::items) {
                find_in_list(renderer.at(&["kustomize", "images"]), places);
            }
        }
        _ => {}
    }
}

fn find_in_list<'t, 'a>(images: Option<View<'t, 'a>>, places: &mut Places<'t, 'a>) {
    for entry in images.into_iter().flat_map(View::items) {
        places.groups.extend(group(entry));
    }
}

/// An entry stands for `newName`, where it has one, else for `name`; Kustomize knows placeholders of any spelling there.
fn group<'t, 'a>(entry: View<'t, 'a>) -> Option<Group<'t, 'a>> {
    let filled = |key: &str| entry.get(key).and_then(View::scalar).filter(|scalar| !scalar.is_empty());
    let key = if filled("newName").is_some() { "newName" } else { "name" };
    let name = filled(key)?;
    let image = ImageName::parse(name.text()?).ok()?;
    let place = |scalar, part| Place::of_image(&image, scalar, part);
    let places = match (filled("newTag"), filled("digest")) {
        (Some(tag), Some(digest)) => vec![place(tag, Part::TagBesideDigest), place(digest, Part::Digest)],
        (Some(tag), None) => vec![place(tag, Part::Tag)],
        (None, Some(digest)) => vec![place(digest, Part::Digest)],
        (None, None) => vec![added(entry, key, place(name, Part::Tag))],
    };
    let keys = ["name", "newName", "newTag", "digest"];
    let seen = keys.iter().filter_map(|key| entry.get(key).and_then(View::scalar)).collect();
    Some(Group { places, seen })
}

/// A `newTag` that is to be written behind the name.
fn added<'t, 'a>(entry: View<'t, 'a>, key: &str, name: Place<'t, 'a>) -> Place<'t, 'a> {
    let is_beside =
        |key: &Node<'_>| key.lines.1 == name.scalar.lines.0 && key.span.end <= name.scalar.span.start;
    let is_free = entry.get("newTag").is_none()
        && name.scalar.lines.0 == name.scalar.lines.1
        && entry.key(key).is_some_and(is_beside);
    let obstacle = (!is_free).then(|| Obstacle {
        reason: ProblemReason::NoValue,
        message: "the entry has no tag; write newTag with a first version".to_owned(),
    });
    Place { adds: Some(entry.is_flow()), obstacle, ..name }
}
