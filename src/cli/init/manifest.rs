//! The proposal as YAML for a person: each object with what it is about in a comment above it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use serde::Serialize;

use super::proposal::{Policy, Proposal, Repository};
use crate::api::{FieldUpdate, GROUP, ObjectKey, Pin, Select, TagFilter};
use crate::cli::BadInput;
use crate::cli::output::printable;
use crate::edit::Switch;
use crate::policy::Kind;

/// The most places that a comment lists.
const MOST_PLACES: usize = 20;

/// Stands where nobody knows the repository's address.
const EXAMPLE_URL: &str = "https://git.example.com/acme/infra.git";

/// One object as a file.
pub(super) struct Manifest {
    /// Its path below the folder of `--out`.
    path: String,
    text: String,
}

/// An object with what is said in its spec and nothing else.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Object<S> {
    api_version: String,
    kind: &'static str,
    metadata: Metadata,
    spec: S,
}

#[derive(Serialize)]
struct Metadata {
    name: String,
    namespace: String,
}

#[derive(Serialize)]
pub(super) struct PolicySpec<'p> {
    image: &'p str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'p TagFilter>,
    select: &'p Select,
    #[serde(skip_serializing_if = "Option::is_none")]
    pin: Option<Pin>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    suspend: bool,
}

#[derive(Serialize)]
pub(super) struct RepositorySpec<'p> {
    url: &'p str,
    #[serde(skip_serializing_if = "Option::is_none")]
    branch: Option<&'p str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paths: Option<PathsSpec<'p>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updates: Option<UpdatesSpec<'p>>,
}

#[derive(Serialize)]
struct PathsSpec<'p> {
    include: &'p [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UpdatesSpec<'p> {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    workloads: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    kustomize: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    helm_values: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    oci_artifacts: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    renovate_comments: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    fields: &'p [FieldUpdate],
}

impl Policy {
    pub(super) fn object(&self) -> Object<PolicySpec<'_>> {
        let (tags, select) = (self.series.filter.as_ref(), &self.series.select);
        let spec =
            PolicySpec { image: self.image.as_str(), tags, select, pin: self.pin, suspend: self.is_guard };
        Object::new("ImagePolicy", &self.key, spec)
    }

    fn comment(&self) -> Vec<String> {
        let tags: Vec<String> =
            self.tags().into_iter().map(|(tag, count)| format!("{tag} ({count})")).collect();
        let mut lines = vec![match self.places.len() {
            0 => "No place follows it yet: what would help is told beside the place.".to_owned(),
            1 => format!("In 1 place: {}", tags.join(", ")),
            count => format!("In {count} places: {}", tags.join(", ")),
        }];
        for finding in self.places.iter().take(MOST_PLACES) {
            lines.push(
                format!("  {}:{}  {}", finding.file, finding.place.line, finding.place.value)
                    .trim_end()
                    .to_owned(),
            );
        }
        if let Some(more) = self.places.len().checked_sub(MOST_PLACES).filter(|more| *more > 0) {
            lines.push(format!("  and {more} more"));
        }
        lines.extend(self.series.note.map(str::to_owned));
        if self.is_guard {
            lines.push(
                "It keeps another policy of this image from these tags, which it can not compare.".to_owned(),
            );
        }
        if self.series.kind == Kind::Unordered {
            lines.push("Without suspend, the image that was built last is chosen.".to_owned());
        }
        lines
    }
}

impl Repository {
    pub(super) fn object(&self) -> Object<RepositorySpec<'_>> {
        let on = |switch| self.switches.contains(&switch);
        let updates = (!self.switches.is_empty() || !self.fields.is_empty()).then(|| UpdatesSpec {
            workloads: on(Switch::Workloads),
            kustomize: on(Switch::Kustomize),
            helm_values: on(Switch::HelmValues),
            oci_artifacts: on(Switch::OciArtifacts),
            renovate_comments: on(Switch::RenovateComments),
            fields: &self.fields,
        });
        let url = self.url.as_deref().unwrap_or(EXAMPLE_URL);
        let paths = (!self.include.is_empty()).then_some(PathsSpec { include: &self.include });
        Object::new(
            "InfraRepository",
            &self.key,
            RepositorySpec { url, branch: self.branch.as_deref(), paths, updates },
        )
    }

    fn comment(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.url.is_none() {
            lines.push(
                "The url is an example, since the repo names no remote. Write where the repository is."
                    .to_owned(),
            );
        }
        lines.push(
            "A server that asks for credentials needs a Secret in this namespace: secretRef: {name: infra-git}".to_owned(),
        );
        if !self.include.is_empty() {
            lines.push(
                "No image is elsewhere, and nothing else is fetched. Name a new folder here too.".to_owned(),
            );
        }
        if !self.fields.is_empty() {
            lines.push(
                "The fields tell several policies of one image apart; a marker behind the value does too."
                    .to_owned(),
            );
        }
        lines
    }
}

impl<S> Object<S> {
    fn new(kind: &'static str, key: &ObjectKey, spec: S) -> Self {
        let metadata = Metadata { name: key.name.clone(), namespace: key.namespace.clone() };
        Self { api_version: format!("{GROUP}/v1alpha1"), kind, metadata, spec }
    }
}

impl Manifest {
    /// Every object, the InfraRepositories first. What is in the namespace of the first lies beside it, what is in others
    /// in folders of their names.
    pub(super) fn all(proposal: &Proposal) -> anyhow::Result<Vec<Self>> {
        let mut taken = BTreeSet::new();
        let mut path = |key: &ObjectKey, kind: &str| {
            let folder = proposal.folder_of(&key.namespace);
            let names = [format!("{folder}{}.yaml", key.name), format!("{folder}{}.{kind}.yaml", key.name)];
            names.into_iter().find(|path| taken.insert(path.clone())).unwrap_or_default()
        };
        let mut manifests = Vec::new();
        for repository in &proposal.repositories {
            let text = text(&repository.comment(), &repository.object())?;
            manifests.push(Self { path: path(&repository.key, "infra"), text });
        }
        for policy in &proposal.policies {
            manifests.push(Self {
                path: path(&policy.key, "policy"),
                text: text(&policy.comment(), &policy.object())?,
            });
        }
        Ok(manifests)
    }
}

/// A comment can not be left: no character in it ends a line.
fn text<S: Serialize>(comment: &[String], object: &Object<S>) -> anyhow::Result<String> {
    let body = serde_saphyr::to_string(object).context("an object can not be written as YAML")?;
    let comment: String = comment.iter().map(|line| format!("# {}\n", printable(line))).collect();
    Ok(format!("{comment}{body}"))
}

/// All objects as one text.
pub(super) fn stream(manifests: &[Manifest]) -> String {
    let texts: Vec<&str> = manifests.iter().map(|manifest| manifest.text.as_str()).collect();
    texts.join("---\n")
}

/// Writes each object to its file below the folder, or none where one of them is there already.
pub(super) fn write(folder: &Path, manifests: &[Manifest]) -> anyhow::Result<()> {
    for Manifest { path, .. } in manifests {
        let path = folder.join(path);
        if fs::symlink_metadata(&path).is_ok() {
            let message = format!("--out: {} is there already, and nothing was written", path.display());
            let hint = "name another folder, or remove the file";
            return Err(BadInput::with_hint(message, hint).into());
        }
    }
    for Manifest { path, text } in manifests {
        let path = folder.join(path);
        let write = || {
            fs::create_dir_all(path.parent().unwrap_or(folder))?;
            File::create_new(&path)?.write_all(text.as_bytes())
        };
        write().map_err(|error| anyhow!("{} can not be written: {error}", path.display()))?;
    }
    Ok(())
}
