//! The objects that a repo holds already: what their policies follow is not proposed again.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::findings::{Finding, Passed};
use super::proposal::Policy;
use crate::api::{FieldUpdate, GROUP, ImagePolicy, InfraRepository, ObjectKey, Pin, Updates};
use crate::edit::{Owner, Switch, Targets, find_sites};
use crate::engine::{Kind, Scope, takes};
use crate::folder::{DEFAULT_NAMESPACE, Folder};
use crate::image::ImageName;
use crate::policy::{Facts, compile};

/// The ImagePolicies and InfraRepositories of a repo.
#[derive(Default)]
pub(super) struct Existing(Folder);

/// Whether an object may be of this namespace. One whose file names none gets its own from a kustomization, say.
fn may_be_of(key: &ObjectKey, namespace: &str) -> bool {
    key.namespace == namespace || key.namespace == DEFAULT_NAMESPACE
}

impl Existing {
    /// Whether a file may hold one.
    pub(super) fn may_be_in(file: &str, text: &[u8]) -> bool {
        let is_yaml = [".yaml", ".yml", ".json"].iter().any(|end| file.ends_with(end));
        is_yaml && memchr::memmem::find(text, GROUP.as_bytes()).is_some()
    }

    /// Takes in what a file holds.
    pub(super) fn take(&mut self, file: &str, text: &[u8]) {
        if Self::may_be_in(file, text) {
            self.0.take_file(file, text);
        }
    }

    /// The names of all policies, also of those that can not be read.
    fn keys(&self) -> impl Iterator<Item = &ObjectKey> {
        let unreadable = self.0.problems.iter().filter_map(|problem| problem.object.as_ref());
        let unreadable = unreadable.filter(|object| object.kind == Kind::Policy.as_str());
        self.0.policies.keys().chain(unreadable.map(|object| &object.key))
    }

    /// Whether there is the policy that a marker names.
    pub(super) fn has_policy(&self, key: &ObjectKey) -> bool {
        self.keys().any(|other| other.name == key.name && may_be_of(other, &key.namespace))
    }

    /// The names that policies of a namespace have.
    pub(super) fn names(&self, namespace: &str) -> impl Iterator<Item = &str> {
        self.keys().filter(move |key| may_be_of(key, namespace)).map(|key| key.name.as_str())
    }

    /// The policies that follow an image.
    fn of_image(&self, image: &ImageName) -> impl Iterator<Item = (&ObjectKey, &ImagePolicy)> {
        let policies = self.0.policies.iter().map(|(key, policy)| (key, &**policy));
        policies
            .filter(move |(_, policy)| ImageName::parse(&policy.spec.image).is_ok_and(|own| own == *image))
    }

    /// Whether a policy follows an image.
    pub(super) fn follows(&self, image: &ImageName) -> bool {
        self.of_image(image).next().is_some()
    }

    /// The InfraRepository that stands for the repo in a namespace: by its address, or by the name that one would get.
    pub(super) fn repository(&self, key: &ObjectKey, url: Option<&str>) -> Option<&InfraRepository> {
        let mut all = self.0.repositories.iter().filter(|(other, _)| may_be_of(other, &key.namespace));
        let found =
            all.find(|(other, object)| other.name == key.name || Some(object.spec.url.as_str()) == url);
        found.map(|(_, repository)| &**repository)
    }

    /// Whether an InfraRepository of the repo writes a place by an existing policy.
    fn writes(&self, finding: &Finding, text: &[u8]) -> bool {
        self.0.repositories.iter().any(|(key, repository)| {
            let may_write = |policy: &ObjectKey| {
                self.0.policies.get(policy).is_some_and(|policy| takes(repository, policy))
            };
            let is_written =
                |image: &ImageName| self.of_image(image).filter(|(policy, _)| may_write(policy)).count() == 1;
            let admits =
                Scope::compile(repository.spec.paths.as_ref()).is_ok_and(|scope| scope.admits(&finding.file));
            let Ok(targets) = Targets::compile(&repository.spec.updates, &key.namespace) else {
                return false;
            };
            let found = find_sites(&finding.file, text, &targets);
            let mut sites = found.sites.iter().filter(|site| site.line == finding.place.line);
            admits
                && sites.any(|site| match &site.owner {
                    Owner::Policy(policy) | Owner::Rule(policy) => may_write(policy),
                    Owner::Image(image) => is_written(image),
                    // Which image that is was found out with the place.
                    Owner::Chart(_) => finding.place.image.as_ref().is_some_and(is_written),
                })
        })
    }

    /// What is to be done for a place whose image has a policy; `None` where it is written already. `joins` tells whether
    /// the proposed InfraRepository of a namespace would write it.
    pub(super) fn advice(
        &self,
        finding: &Finding,
        text: &[u8],
        joins: impl Fn(&str) -> bool,
    ) -> Option<Passed> {
        let image = finding.place.image.as_ref()?;
        let all: Vec<_> = self.of_image(image).collect();
        if self.writes(finding, text) || matches!(all.as_slice(), [(key, _)] if joins(&key.namespace)) {
            return None;
        }
        let fitting: Vec<_> = all.iter().filter(|(_, policy)| fits(policy, finding)).collect();
        let message = match (fitting.as_slice(), all.as_slice()) {
            ([(key, policy)], _) => {
                let what = match finding.marker(key, is_pinned(policy)) {
                    Some(marker) => format!("put {marker} behind the value"),
                    None => "let its InfraRepository look here".to_owned(),
                };
                format!("{} follows this image already, and nothing writes it here; {what}", self.named(key))
            }
            ([], [(key, _), ..]) => format!(
                "{} follows this image already, and takes no tag like this one; write a policy for it by hand",
                self.named(key)
            ),
            ([(key, _), ..], _) => format!(
                "several policies follow this image already, {} among them; put a marker behind the value that names one",
                self.named(key)
            ),
            ([], []) => return None,
        };
        Some(finding.passed("HasPolicy", message))
    }

    /// What is to be done for a marker that names no policy, where another one follows its image.
    pub(super) fn renamed(&self, marked: &ObjectKey, finding: &Finding, image: &ImageName) -> Option<Passed> {
        let (key, policy) = self.of_image(image).next()?;
        let marker = finding.marker(key, is_pinned(policy));
        let instead = marker.map(|marker| format!("; write {marker}")).unwrap_or_default();
        let message = format!(
            "the marker names the policy {marked}, which the repo does not hold, and {} follows this image{instead}",
            self.named(key)
        );
        Some(finding.passed("HasPolicy", message))
    }

    /// What an InfraRepository that is there lacks for these policies.
    pub(super) fn lacking(
        &self,
        repository: &InfraRepository,
        switches: &BTreeSet<Switch>,
        fields: &[FieldUpdate],
        policies: &[&Policy],
    ) -> Option<Passed> {
        let spec = &repository.spec;
        let mut lacks = Vec::new();
        let updates = lacking_updates(&spec.updates, switches, fields);
        if !updates.is_empty() {
            lacks.push(format!("add {} to its spec.updates", Value::Object(updates)));
        }
        if spec.policies.as_ref().is_some_and(|selector| !selector.match_labels.is_empty()) {
            lacks.push("give the policies the labels of its spec.policies".to_owned());
        }
        let scope = Scope::compile(spec.paths.as_ref()).ok();
        let is_outside = |file: &&str| scope.as_ref().is_some_and(|scope| !scope.admits(file));
        let mut places =
            policies.iter().flat_map(|policy| &policy.places).map(|finding| finding.file.as_str());
        if let Some(file) = places.find(is_outside) {
            lacks.push(format!("let its spec.paths admit {file}"));
        }
        if policies.is_empty() || lacks.is_empty() {
            return None;
        }
        let key = ObjectKey::of(repository);
        let place = self.0.problem_with(Kind::Repository, &key, "spec.updates", String::new());
        let message = format!("the InfraRepository {key} is there already; {}", lacks.join(", and "));
        Some(Passed { file: place.file, line: place.line, image: None, reason: "Lacking", message })
    }

    /// A policy, with where it is.
    fn named(&self, key: &ObjectKey) -> String {
        let place = self.0.problem_with(Kind::Policy, key, "metadata.name", String::new());
        format!("the policy {key} ({}:{})", place.file, place.line)
    }
}

/// Whether a policy would choose among tags like that of a place; any does where there is none.
fn fits(policy: &ImagePolicy, finding: &Finding) -> bool {
    let (Ok(policy), Some(tag)) = (compile(&policy.spec), &finding.place.tag) else { return true };
    let mut chooser = policy.chooser(0);
    chooser.offer(tag.borrowed());
    chooser.finish().decide(&Facts::new()).matching > 0
}

fn is_pinned(policy: &ImagePolicy) -> bool {
    match policy.spec.pin {
        None | Some(Pin::Tag) => false,
        Some(Pin::TagAndDigest | Pin::Digest) => true,
    }
}

/// What of `spec.updates` is not there yet.
fn lacking_updates(
    updates: &Updates,
    switches: &BTreeSet<Switch>,
    fields: &[FieldUpdate],
) -> Map<String, Value> {
    let off = switches.iter().filter(|switch| !switch.is_on(updates));
    let mut lacking: Map<_, _> = off.map(|switch| (switch.name().to_owned(), Value::Bool(true))).collect();
    let fields: Vec<Value> = fields
        .iter()
        .filter(|field| !updates.fields.contains(field))
        .filter_map(|field| serde_json::to_value(field).ok())
        .collect();
    if !fields.is_empty() {
        lacking.insert("fields".to_owned(), Value::Array(fields));
    }
    lacking
}
