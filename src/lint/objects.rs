//! What is wrong with each object by itself.

use super::{Finding, Rule, Severity};
use crate::api::{ObjectKey, RegistryLimits};
use crate::engine::{Asker, Kind, check_repository};
use crate::folder::{Fault, Folder, FolderProblem};
use crate::policy::{Advice, InvalidPolicy, compile};

pub(super) fn findings(folder: &Folder) -> Vec<Finding> {
    let problems = folder.problems.iter().map(of_problem);
    let credentials = credentials(folder);
    let limits = folder.registries.iter().filter_map(|(key, registry)| {
        let RegistryLimits { requests_per_second: None, concurrency: None } = registry.spec.limits? else {
            return None;
        };
        let message = "spec.limits: it limits nothing; write requestsPerSecond or concurrency, or both";
        Some(at(folder, Rule::InvalidObject, Kind::Registry, key, "spec.limits", message))
    });
    let policies = folder.policies.iter().flat_map(|(key, policy)| match compile(&policy.spec) {
        Ok(policy) => policy.advice().into_iter().map(|advice| of_advice(folder, key, advice)).collect(),
        Err(error) => vec![of_invalid_policy(folder, key, &error)],
    });
    let repositories = folder.repositories.iter().filter_map(|(key, repository)| {
        let error = check_repository(repository).err()?;
        Some(at(folder, Rule::InvalidObject, Kind::Repository, key, &error.field, &error.to_string()))
    });
    problems.chain(policies).chain(repositories).chain(credentials).chain(limits).collect()
}

/// Credentials that say nothing, or two things: the API server refuses them, and a registry is never asked with them.
fn credentials(folder: &Folder) -> Vec<Finding> {
    let of_policies =
        folder.policies.iter().map(|(key, policy)| (Kind::Policy, key, Asker::of_policy(policy)));
    let of_registries = folder.registries.iter().map(|(key, registry)| {
        let credentials = registry.spec.credentials.clone();
        (Kind::Registry, key, credentials.map(|credentials| Asker::of_operator("", credentials)))
    });
    let checked = of_policies.chain(of_registries).filter_map(|(kind, key, asker)| {
        let error = asker?.check().err()?;
        Some(at(folder, Rule::InvalidObject, kind, key, "spec.credentials", &error.to_string()))
    });
    checked.collect()
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
