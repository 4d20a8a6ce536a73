//! What is wrong with each object by itself.

use futures::FutureExt as _;

use super::{Finding, Rule, Severity};
use crate::api::{ClusterImageRegistrySpec, ObjectKey, RegistryLimits};
use crate::engine::{
    Asker, Kind, check_repository, policy_lacks, registry_faults, registry_lacks, repository_lacks,
};
use crate::folder::{Fault, Folder, FolderProblem};
use crate::policy::{Advice, InvalidPolicy, compile};
use crate::registry::is_realm_host;
use crate::registry::webhook::check_issuer;

pub(super) fn findings(folder: &Folder) -> Vec<Finding> {
    let problems = folder.problems.iter().map(of_problem);
    let policies = folder.policies.iter().flat_map(|(key, policy)| match compile(&policy.spec) {
        Ok(policy) => policy.advice().into_iter().map(|advice| of_advice(folder, key, advice)).collect(),
        Err(error) => vec![of_invalid_policy(folder, key, &error)],
    });
    let repositories = folder.repositories.iter().filter_map(|(key, repository)| {
        let error = check_repository(repository).err()?;
        Some(at(folder, Rule::InvalidObject, Kind::Repository, key, &error.field, &error.to_string()))
    });
    let secrets = folder.repositories.iter().flat_map(|(key, repository)| {
        let lacks = repository_lacks(folder, repository).now_or_never().unwrap_or_default();
        lacks.into_iter().map(move |fault| {
            at(folder, Rule::InvalidObject, Kind::Repository, key, &fault.field, &fault.to_string())
        })
    });
    let registries = registries(folder);
    problems
        .chain(policies)
        .chain(repositories)
        .chain(credentials(folder))
        .chain(secrets)
        .chain(registries)
        .collect()
}

/// Credentials of policies that say nothing, or two things, or name a Secret that lacks a key: a registry is never asked
/// with them.
fn credentials(folder: &Folder) -> impl Iterator<Item = Finding> {
    folder.policies.iter().filter_map(move |(key, policy)| {
        let said = Asker::of_policy(policy)?.check().err();
        let error = said.or_else(|| policy_lacks(folder, policy).now_or_never().flatten())?;
        Some(at(folder, Rule::InvalidObject, Kind::Policy, key, &error.field(), &error.to_string()))
    })
}

/// What the operator would say of a ClusterImageRegistry, or the API server before it.
fn registries(folder: &Folder) -> impl Iterator<Item = Finding> {
    folder.registries.iter().flat_map(move |(key, registry)| {
        let faults = registry_faults(registry);
        // What a field says wrongly is told, and not what comes of it.
        let lacks = match faults.as_slice() {
            [] => registry_lacks(folder, registry).now_or_never().unwrap_or_default(),
            [..] => Vec::new(),
        };
        let of_operator = faults.into_iter().chain(lacks).map(|error| (error.field(), error.to_string()));
        let told = of_operator.chain(without_effect(&registry.spec));
        told.map(|(field, message)| at(folder, Rule::InvalidObject, Kind::Registry, key, &field, &message))
            .collect::<Vec<_>>()
    })
}

/// What the operator takes, and nothing comes of: the field and what is wrong with it.
fn without_effect(spec: &ClusterImageRegistrySpec) -> Vec<(String, String)> {
    let mut told = Vec::new();
    if let Some(RegistryLimits { requests_per_second: None, concurrency: None }) = spec.limits {
        let message = "spec.limits: it limits nothing; write requestsPerSecond or concurrency, or both";
        told.push(("spec.limits".to_owned(), message.to_owned()));
    }
    let caller = spec.webhook.as_ref().and_then(|webhook| webhook.oidc.as_ref());
    if let Some(error) = caller.and_then(|caller| check_issuer(caller).err()) {
        let field = "spec.webhook.oidc.issuer";
        let hint = "write its address, such as https://accounts.google.com";
        told.push((field.to_owned(), format!("{field}: {error}; {hint}")));
    }
    for (index, realm) in spec.allowed_realms.iter().enumerate().filter(|(_, realm)| !is_realm_host(realm)) {
        let field = format!("spec.allowedRealms[{index}]");
        let message = format!(
            "{field}: {realm:?} is not a host with an optional port, so no realm is on it; write one such as \
             auth.acme.example"
        );
        told.push((field, message));
    }
    told
}

/// A finding at a field of an object.
pub(super) fn at(
    folder: &Folder,
    rule: Rule,
    kind: Kind,
    key: &ObjectKey,
    field: &str,
    message: &str,
) -> Finding {
    let place = folder.problem_with(kind, key, field, message.to_owned());
    finding(rule, &place)
}

fn of_problem(problem: &FolderProblem) -> Finding {
    let rule = match problem.fault {
        Fault::File => Rule::UnreadableFile,
        Fault::Yaml => Rule::InvalidYaml,
        Fault::Object => Rule::InvalidObject,
        Fault::Duplicate => Rule::DuplicateObject,
    };
    finding(rule, problem)
}

/// A problem of an object as a finding. Where its message does not say what would be right, the page on its kind does.
fn finding(rule: Rule, problem: &FolderProblem) -> Finding {
    let FolderProblem { file, line, columns, object, message, fault: _ } = problem;
    let mut finding = Finding::new(rule, file.clone(), *line, columns.clone(), message);
    finding.object = object.as_ref().map(ToString::to_string);
    let kind = object.as_ref().and_then(|object| Kind::parse(&object.kind));
    if let Some(kind) = kind.filter(|_| rule == Rule::InvalidObject && finding.hint == rule.remedy()) {
        let page = match kind {
            Kind::Policy => "docs/image-policy.md",
            Kind::Repository => "docs/infra-repository.md",
            Kind::Registry => "docs/cluster-image-registry.md",
        };
        finding.hint = format!("{page} tells every field");
    }
    finding
}

fn of_invalid_policy(folder: &Folder, key: &ObjectKey, error: &InvalidPolicy) -> Finding {
    let rule = match error.field.as_str() {
        "spec.select.semver.range" => Rule::InvalidRange,
        field if field.starts_with("spec.tags.") => Rule::InvalidPattern,
        _ => Rule::InvalidObject,
    };
    at(folder, rule, Kind::Policy, key, &error.field, &error.to_string())
}

fn of_advice(folder: &Folder, key: &ObjectKey, advice: Advice) -> Finding {
    let Advice { rule, is_fatal, field, part, message, hint } = advice;
    let found = at(folder, Rule::Policy(rule), Kind::Policy, key, &field, "");
    let severity = if is_fatal { Severity::Error } else { Severity::Warning };
    Finding { severity, part, message: format!("{field}: {message}"), hint, ..found }
}
