//! Where an Argo CD Application, or the template of an ApplicationSet, takes its manifests from.

use crate::edit::yaml::tree::View;

/// The sources of a document; none where it is neither of the two.
pub(super) fn sources<'t, 'a>(document: View<'t, 'a>) -> impl Iterator<Item = View<'t, 'a>> {
    let spec = match document.text_of("kind") {
        Some("Application") => document.get("spec"),
        Some("ApplicationSet") => document.at(&["spec", "template", "spec"]),
        Some(_) | None => None,
    };
    spec.into_iter()
        .flat_map(|spec| spec.get("sources").into_iter().flat_map(View::items).chain(spec.get("source")))
}
