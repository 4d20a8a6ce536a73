//! What a plan says to people and to scripts.

use serde::Serialize;

use super::output::{FAINT, STRONG, note, printable, warnings};
use crate::engine::{Plan, Wishes};

/// What scripts read: names and shape stay.
#[derive(Serialize)]
pub(super) struct Report<'a> {
    changes: Vec<Change<'a>>,
    problems: Vec<Problem<'a>>,
}

#[derive(Serialize)]
struct Change<'a> {
    file: &'a str,
    line: u64,
    policy: String,
    from: &'a str,
    to: &'a str,
}

#[derive(Serialize)]
struct Problem<'a> {
    file: &'a str,
    line: u64,
    reason: &'a str,
    message: &'a str,
}

impl<'a> Report<'a> {
    pub(super) fn of(plan: &'a Plan) -> Self {
        let changes = plan.files.iter().flat_map(|file| {
            file.changes.iter().map(|change| Change {
                file: &file.path,
                line: change.line,
                policy: change.policy.to_string(),
                from: &change.from,
                to: &change.to,
            })
        });
        let problems = plan.problems.iter().map(|one| Problem {
            file: &one.file,
            line: one.problem.line,
            reason: one.problem.reason.as_str(),
            message: &one.problem.message,
        });
        Self { changes: changes.collect(), problems: problems.collect() }
    }
}

/// Tells on standard error what stands in the way, and what becomes of each policy.
pub(super) fn summarise(plan: &Plan, wishes: &Wishes) {
    warnings(plan.problems.iter().map(|one| {
        let (line, reason) = (one.problem.line, one.problem.reason.as_str());
        format!("{}:{line}: {reason}: {}", one.file, one.problem.message)
    }));
    for one in plan.moves(wishes) {
        let (policy, from, to) = (printable(&one.policy), printable(&one.from), printable(&one.to));
        let places = places(one.places.len() as u64);
        note(&format!("{STRONG}{policy}{STRONG:#}  {from} → {to}  {FAINT}{places}{FAINT:#}"));
    }
    for (policy, held) in &plan.held {
        let policy = policy.to_string();
        let policy = printable(&policy);
        note(&format!("{STRONG}{policy}{STRONG:#}  up to date  {FAINT}{}{FAINT:#}", places(*held)));
    }
}

fn places(count: u64) -> String {
    if count == 1 { "in 1 place".to_owned() } else { format!("in {count} places") }
}
