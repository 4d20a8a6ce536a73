//! What is wrong between objects: names that lead nowhere, and objects that nothing comes of.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::objects::at;
use super::{Finding, Rule};
use crate::api::{ImagePolicy, InfraRepository, ObjectKey, Updates};
use crate::engine::{Kind, host_of, takes};
use crate::folder::Folder;
use crate::image::ImageName;

/// How like another name must be to be the one that is meant.
const LIKE_ENOUGH: f64 = 0.6;

/// A folder without any policy, or without any InfraRepository, is a part of something, and nothing is missing in it.
pub(super) fn findings(folder: &Folder) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (key, repository) in &folder.repositories {
        let taken: Vec<_> = folder
            .policies
            .iter()
            .filter(|(_, policy)| takes(repository, policy))
            .map(|(key, policy)| (key, &**policy))
            .collect();
        findings.extend(without_policies(folder, key, &taken));
        findings.extend(fields(folder, key, repository));
        findings.extend(competing(folder, key, &repository.spec.updates, &taken));
    }
    findings.extend(without_repository(folder));
    findings.extend(hosts(folder));
    findings
}

/// A file that can not be read may hold what seems to be missing.
fn may_lack(folder: &Folder, kind: Kind) -> bool {
    folder
        .problems
        .iter()
        .any(|problem| problem.object.as_ref().is_none_or(|object| object.kind == kind.as_str()))
}

fn without_policies(
    folder: &Folder,
    key: &ObjectKey,
    taken: &[(&ObjectKey, &ImagePolicy)],
) -> Option<Finding> {
    if !taken.is_empty() || folder.policies.is_empty() || may_lack(folder, Kind::Policy) {
        return None;
    }
    let message = format!(
        "it takes no policy: none of the namespace {} has the labels of spec.policies",
        key.namespace
    );
    let message = if folder.policies.keys().any(|policy| policy.namespace == key.namespace) {
        message
    } else {
        format!("it takes no policy: the namespace {} has none", key.namespace)
    };
    let rule = Rule::RepositoryWithoutPolicies;
    Some(at(folder, rule, Kind::Repository, key, "spec.policies", &message))
}

/// Policies that nobody writes for.
fn without_repository(folder: &Folder) -> Vec<Finding> {
    if folder.repositories.is_empty() || may_lack(folder, Kind::Repository) {
        return Vec::new();
    }
    let is_taken =
        |policy: &ImagePolicy| folder.repositories.values().any(|repository| takes(repository, policy));
    let untaken = folder.policies.iter().filter(|(_, policy)| !is_taken(policy));
    let finding = |(key, _): (&ObjectKey, _)| {
        let message = format!(
            "no InfraRepository of the namespace {} takes this policy, so nothing is ever written for it",
            key.namespace
        );
        at(folder, Rule::PolicyWithoutRepository, Kind::Policy, key, "metadata.name", &message)
    };
    untaken.map(finding).collect()
}

/// The policies that `spec.updates.fields` names.
fn fields(folder: &Folder, key: &ObjectKey, repository: &InfraRepository) -> Vec<Finding> {
    let rules = repository.spec.updates.fields.iter().enumerate();
    let finding = |(index, rule): (usize, &crate::api::FieldUpdate)| {
        let policy = ObjectKey::new(&key.namespace, &rule.policy);
        let field = format!("spec.updates.fields[{index}].policy");
        let (rule, message) = match folder.policies.get(&policy) {
            Some(object) if takes(repository, object) => return None,
            Some(_) => (
                Rule::PolicyNotTaken,
                format!("{field}: the policy {policy} is not among those that spec.policies selects"),
            ),
            None if folder.policies.is_empty() || is_unreadable(folder, &policy) => return None,
            None => {
                let message =
                    format!("{field}: there is no policy {policy}{}", did_you_mean(folder, &policy));
                (Rule::UnknownPolicy, message)
            }
        };
        Some(at(folder, rule, Kind::Repository, key, &field, &message))
    };
    rules.filter_map(finding).collect()
}

/// Whether an object of this name is there, and its own mistake is told already.
pub(super) fn is_unreadable(folder: &Folder, policy: &ObjectKey) -> bool {
    let objects = folder.problems.iter().filter_map(|problem| problem.object.as_ref());
    objects.into_iter().any(|object| object.key == *policy && object.kind == Kind::Policy.as_str())
}

fn did_you_mean(folder: &Folder, policy: &ObjectKey) -> String {
    let wanted = policy.to_string();
    let likeness = |other: &ObjectKey| strsim::normalized_damerau_levenshtein(&wanted, &other.to_string());
    let candidates = folder.policies.keys().filter(|other| other.namespace == policy.namespace);
    let best = candidates.map(|other| (likeness(other), other)).max_by(|a, b| a.0.total_cmp(&b.0));
    match best {
        Some((likeness, nearest)) if likeness >= LIKE_ENOUGH => format!("; did you mean {}?", nearest.name),
        Some(_) | None => String::new(),
    }
}

/// Policies of one image in a repository whose places are found by their images: none is written for two of them.
fn competing(
    folder: &Folder,
    repository: &ObjectKey,
    updates: &Updates,
    taken: &[(&ObjectKey, &ImagePolicy)],
) -> Vec<Finding> {
    let Updates { markers: _, workloads, kustomize, helm_values, oci_artifacts, renovate_comments, fields } =
        updates;
    if !(*workloads || *kustomize || *helm_values || *oci_artifacts || *renovate_comments) {
        return Vec::new();
    }
    let mut by_image: BTreeMap<ImageName, Vec<&ObjectKey>> = BTreeMap::new();
    for (key, policy) in taken {
        if let Ok(image) = ImageName::parse(&policy.spec.image) {
            by_image.entry(image).or_default().push(key);
        }
    }
    let mut findings = Vec::new();
    for (image, keys) in by_image.iter().filter(|(_, keys)| keys.len() > 1) {
        // Places that a rule names are clear.
        let is_named = |key: &&ObjectKey| fields.iter().any(|rule| rule.policy == key.name);
        let (named, unnamed): (Vec<&ObjectKey>, Vec<_>) = keys.iter().copied().partition(is_named);
        let (other, rest) = match (named.first(), unnamed.as_slice()) {
            (Some(named), unnamed) => (named, unnamed),
            (None, [first, rest @ ..]) => (first, rest),
            (None, []) => continue,
        };
        findings.extend(rest.iter().map(|key| {
            let message = format!(
                "both {other} and {key} follow {image}, and {repository} looks for its places by the image: none is \
                 written but for a marker or an entry of spec.updates.fields"
            );
            at(folder, Rule::CompetingPolicies, Kind::Policy, key, "spec.image", &message)
        }));
    }
    findings
}

fn hosts(folder: &Folder) -> Vec<Finding> {
    let mut first: BTreeMap<Cow<'_, str>, &ObjectKey> = BTreeMap::new();
    let mut findings = Vec::new();
    for (key, registry) in &folder.registries {
        let host = host_of(registry);
        match first.get(&host) {
            None => drop(first.insert(host, key)),
            Some(other) => {
                let message = format!("spec.host: {other} already says how {host} is spoken to");
                findings.push(at(folder, Rule::DuplicateHost, Kind::Registry, key, "spec.host", &message));
            }
        }
    }
    findings
}
