//! The field that a rule of `spec.updates.fields` names, by the paths of the leaves.

use std::collections::BTreeMap;

use super::{Leaf, Lines, Step, problem};
use crate::edit::field_path::Step as Wanted;
use crate::edit::targets::FieldRule;
use crate::edit::{Owner, Problem, ProblemReason, Site};

/// The leaves of a file, and what stands at each path, which filters ask for. Made once for all rules.
pub(super) struct Fields<'l> {
    leaves: &'l [Leaf],
    values: BTreeMap<&'l [Step], &'l str>,
}

impl<'l> Fields<'l> {
    pub(super) fn of(leaves: &'l [Leaf]) -> Self {
        Self {
            leaves,
            values: leaves.iter().map(|leaf| (leaf.path.as_slice(), leaf.value.as_str())).collect(),
        }
    }
}

/// The site of the one leaf that the rule names, or why there is none.
pub(super) fn site(lines: &Lines, rule: &FieldRule, fields: &Fields<'_>) -> Result<Site, Problem> {
    let Fields { leaves, values } = fields;
    let meant: Vec<_> = leaves.iter().filter(|leaf| is_at(rule.path.steps(), leaf, values)).collect();
    match meant.as_slice() {
        [leaf] => Ok(leaf.site(lines, Owner::Rule(rule.policy.clone()), rule.part)),
        [] => {
            let message = format!("the file has no value at {}, which spec.updates.fields names", rule.path);
            Err(problem(1, rule, ProblemReason::NoValue, message))
        }
        [leaf, ..] => {
            let message = format!("{} names several fields; write it so that it names one", rule.path);
            Err(problem(lines.at(leaf.span.start), rule, ProblemReason::Ambiguous, message))
        }
    }
}

fn is_at(wanted: &[Wanted], leaf: &Leaf, values: &BTreeMap<&[Step], &str>) -> bool {
    wanted.len() == leaf.path.len()
        && wanted.iter().zip(&leaf.path).enumerate().all(|(depth, (wanted, step))| match (wanted, step) {
            (Wanted::Key(wanted), Step::Key(key)) => wanted == key,
            (Wanted::Index(wanted), Step::Index(index)) => wanted == index,
            (Wanted::Filter { key, value }, Step::Index(_)) => {
                let item = leaf.path.get(..=depth).unwrap_or_default();
                let name: Vec<_> = item.iter().cloned().chain([Step::Key(key.clone())]).collect();
                values.get(name.as_slice()) == Some(&value.as_str())
            }
            (Wanted::Key(_) | Wanted::Index(_) | Wanted::Filter { .. }, _) => false,
        })
}
