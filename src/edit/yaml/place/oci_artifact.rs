//! Charts and other artifacts in OCI registries, where Flux, Argo CD, Helm and Kustomize refer to them.

use super::kustomize::is_kustomization;
use super::{Group, Place, Places, application};
use crate::edit::yaml::reader::Node;
use crate::edit::yaml::tree::View;
use crate::edit::{Chart, ChartSource, Obstacle, Owner, Part, ProblemReason};
use crate::image::ImageName;

/// How Helm and Flux mark an address as one of an OCI registry.
pub(super) const SCHEME: &str = "oci://";

/// The source of charts that an object is.
pub(in crate::edit::yaml) fn chart_source(object: View<'_, '_>) -> Option<ChartSource> {
    let text = |path: &[&str]| object.at(path).and_then(View::text);
    (text(&["kind"]) == Some("HelmRepository")).then_some(())?;
    let address = text(&["spec", "url"])?.strip_prefix(SCHEME);
    Some(ChartSource {
        namespace: text(&["metadata", "namespace"]).map(str::to_owned),
        name: text(&["metadata", "name"])?.to_owned(),
        address: address.map(|address| address.trim_end_matches('/').to_owned()),
    })
}

/// Finds the versions of the artifacts that a document refers to. `sources` are those of the same file.
pub(super) fn find<'t, 'a>(
    path: &str,
    document: View<'t, 'a>,
    sources: &[ChartSource],
    places: &mut Places<'t, 'a>,
) {
    let spec = document.get("spec");
    match document.text_of("kind") {
        Some("OCIRepository") => places.groups.extend(spec.and_then(oci_repository)),
        Some("HelmRelease") => places.groups.extend(helm_release(document, sources)),
        Some("Application" | "ApplicationSet") => {
            places.groups.extend(application::sources(document).filter_map(application_source));
        }
        _ if is_kustomization(path, document) => {
            let charts = document.get("helmCharts").into_iter().flat_map(View::items);
            places.groups.extend(charts.filter_map(|chart| dependency(chart, "repo")));
        }
        None if path.rsplit('/').next() == Some("Chart.yaml") => {
            let dependencies = document.get("dependencies").into_iter().flat_map(View::items);
            places.groups.extend(dependencies.filter_map(|one| dependency(one, "repository")));
        }
        Some(_) | None => {}
    }
}

/// Flux reads `ref.digest` before `ref.semver`, and that before `ref.tag`.
fn oci_repository<'t, 'a>(spec: View<'t, 'a>) -> Option<Group<'t, 'a>> {
    let url = filled(spec, "url")?;
    let image = ImageName::parse(url.text()?.strip_prefix(SCHEME)?).ok()?;
    let reference = |key: &str| spec.get("ref").and_then(|reference| filled(reference, key));
    let (tag, digest) = (reference("tag"), reference("digest"));
    let place = |scalar, part| Place::of_image(&image, scalar, part);
    let places = match (reference("semver"), tag, digest) {
        (Some(semver), ..) => {
            let message = "spec.ref.semver lets Flux choose the version; write spec.ref.tag instead";
            vec![place(semver, Part::Version).hindered_by(Some(no_value(message)))]
        }
        (None, Some(tag), Some(digest)) => {
            vec![place(tag, Part::TagBesideDigest), place(digest, Part::Digest)]
        }
        (None, Some(tag), None) => vec![place(tag, Part::TagAlone)],
        (None, None, Some(digest)) => vec![place(digest, Part::Digest)],
        (None, None, None) => {
            let message = "there is no spec.ref.tag to lift; write one with a first version";
            vec![place(url, Part::TagAlone).hindered_by(Some(no_value(message)))]
        }
    };
    Some(Group { places, seen: [Some(url), tag, digest].into_iter().flatten().collect() })
}

/// A source in the same file goes before those of other files, which may stand for other clusters.
fn helm_release<'t, 'a>(document: View<'t, 'a>, sources: &[ChartSource]) -> Option<Group<'t, 'a>> {
    let chart = document.at(&["spec", "chart", "spec"])?;
    let source = chart.get("sourceRef")?;
    let own_namespace = document.at(&["metadata", "namespace"]).and_then(View::text);
    let namespace = source.text_of("namespace").or(own_namespace);
    if !matches!(source.text_of("kind"), None | Some("HelmRepository")) {
        return None;
    }
    let repository = source.text_of("name")?;
    let is_meant =
        |source: &&ChartSource| source.name == repository && source.namespace.as_deref() == namespace;
    let (name, held) = (filled(chart, "chart")?, filled(chart, "version")?);
    if let Some(source) = sources.iter().find(is_meant) {
        return version(&format!("{}/{}", source.address.as_deref()?, name.text()?), name, held);
    }
    let chart = Chart {
        namespace: namespace.map(str::to_owned),
        repository: repository.to_owned(),
        name: name.text()?.to_owned(),
    };
    owned_version(Owner::Chart(chart), name, held)
}

/// Argo CD writes the repository of an OCI chart without a scheme, and that of any other artifact with one.
fn application_source<'t, 'a>(source: View<'t, 'a>) -> Option<Group<'t, 'a>> {
    let url = filled(source, "repoURL")?;
    let revision = filled(source, "targetRevision")?;
    let address = url.text()?;
    match (filled(source, "chart"), address.strip_prefix(SCHEME)) {
        (Some(chart), address_of_artifact) => {
            let address = address_of_artifact.unwrap_or(address).trim_end_matches('/');
            version(&format!("{address}/{}", chart.text()?), chart, revision)
        }
        (None, Some(address)) => {
            let image = ImageName::parse(address).ok()?;
            let place = Place::of_image(&image, revision, Part::TagAlone);
            Some(Group { places: vec![place], seen: vec![url, revision] })
        }
        (None, None) => None,
    }
}

/// A chart that another chart or a kustomization takes in.
fn dependency<'t, 'a>(entry: View<'t, 'a>, repository_key: &str) -> Option<Group<'t, 'a>> {
    let address = filled(entry, repository_key)?.text()?.strip_prefix(SCHEME)?.trim_end_matches('/');
    let name = filled(entry, "name")?;
    version(&format!("{address}/{}", name.text()?), name, filled(entry, "version")?)
}

/// The version of a chart: a tag in which `+` stands for the tag's `_`.
fn version<'t, 'a>(image: &str, name: &'t Node<'a>, version: &'t Node<'a>) -> Option<Group<'t, 'a>> {
    owned_version(Owner::Image(ImageName::parse(image).ok()?), name, version)
}

fn owned_version<'t, 'a>(owner: Owner, name: &'t Node<'a>, version: &'t Node<'a>) -> Option<Group<'t, 'a>> {
    let obstacle = is_range(version.text()?).then(|| {
        no_value("it is a range, in which Helm or the sync engine chooses; write one whole version")
    });
    let place = Place { scalar: version, owner, part: Part::Version, adds: None, obstacle };
    Some(Group { places: vec![place], seen: vec![name, version] })
}

/// Whether Helm reads a version as a constraint: all but three numbers, with what may stand behind them.
fn is_range(version: &str) -> bool {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let numbers = core.strip_prefix('v').unwrap_or(core).split('.');
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    numbers.clone().count() != 3 || !numbers.clone().all(is_number) || version.contains(' ')
}

fn filled<'t, 'a>(view: View<'t, 'a>, key: &str) -> Option<&'t Node<'a>> {
    view.get(key).and_then(View::scalar).filter(|scalar| !scalar.is_empty())
}

fn no_value(message: &str) -> Obstacle {
    Obstacle { reason: ProblemReason::NoValue, message: message.to_owned() }
}
