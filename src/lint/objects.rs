//! What is wrong with each object by itself.

use super::{Finding, Rule, Severity};
use crate::api::ObjectKey;
use crate::engine::{Kind, check_repository};
use crate::folder::{Fault, Folder, FolderProblem};
use crate::policy::{Advice, InvalidPolicy, compile};

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
    problems.chain(policies).chain(repositories).collect()
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
    let FolderProblem { file, line, columns, object, .. } =
        folder.problem_with(kind, key, field, String::new());
    let object = object.map(|object| object.to_string());
    Finding { object, ..Finding::new(rule, file, line, columns, message) }
}

fn of_problem(problem: &FolderProblem) -> Finding {
    let rule = match problem.fault {
        Fault::File => Rule::UnreadableFile,
        Fault::Yaml => Rule::InvalidYaml,
        Fault::Object => Rule::InvalidObject,
        Fault::Duplicate => Rule::DuplicateObject,
    };
    let object = problem.object.as_ref().map(ToString::to_string);
    let columns = problem.columns.clone();
    Finding { object, ..Finding::new(rule, problem.file.clone(), problem.line, columns, &problem.message) }
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
    let found = at(folder, Rule::of_policy(rule), Kind::Policy, key, &field, "");
    let severity = if is_fatal { Severity::Error } else { Severity::Warning };
    Finding { severity, part, message: format!("{field}: {message}"), hint, ..found }
}
