//! What a plan says to people and to scripts.

use serde::Serialize;

use super::output::{FAINT, STRONG, note, printable, warnings};
use crate::engine::{Plan, Wishes};

/// What scripts read: names and shape stay.
#[derive(Serialize)]
pub(super) struct Report<'a> {
    policies: Vec<Policy>,
    changes: Vec<Change<'a>>,
    problems: Vec<Problem<'a>>,
}

/// A policy of which something changes.
#[derive(Serialize)]
struct Policy {
    policy: String,
    /// Each tag that its changed values held.
    from: Vec<String>,
    to: String,
    /// Why this tag.
    why: String,
    places: usize,
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
    pub(super) fn of(plan: &'a Plan, wishes: &Wishes) -> Self {
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
        Self { policies: policies(plan, wishes), changes: changes.collect(), problems: problems.collect() }
    }
}

/// Tells on standard error what stands in the way, and what becomes of each policy.
pub(super) fn summarise(plan: &Plan, wishes: &Wishes) {
    warnings(plan.problems.iter().map(|one| {
        let (line, reason) = (one.problem.line, one.problem.reason.as_str());
        format!("{}:{line}: {reason}: {}", one.file, one.problem.message)
    }));
    for one in policies(plan, wishes) {
        let (policy, from, to) = (printable(&one.policy), listed(&one.from), printable(&one.to));
        let (from, places, why) = (printable(&from), places(one.places as u64), printable(&one.why));
        note(&format!("{STRONG}{policy}{STRONG:#}  {from} → {to}  {FAINT}{places}: {why}{FAINT:#}"));
    }
    for (policy, held) in &plan.held {
        let policy = policy.to_string();
        let policy = printable(&policy);
        note(&format!("{STRONG}{policy}{STRONG:#}  up to date  {FAINT}{}{FAINT:#}", places(*held)));
    }
}

fn policies(plan: &Plan, wishes: &Wishes) -> Vec<Policy> {
    let mut before = plan.tags_before();
    let moves = plan.moves(wishes).into_iter().map(|one| Policy {
        from: before.remove(&one.policy).unwrap_or_default(),
        policy: one.policy,
        to: one.to,
        why: one.why,
        places: one.places.len(),
    });
    moves.collect()
}

fn places(count: u64) -> String {
    if count == 1 { "in 1 place".to_owned() } else { format!("in {count} places") }
}

/// So many tags are named before the rest is counted.
const MOST_TAGS: usize = 3;

/// `1.9.2, 1.9.3 and 4 more`.
fn listed(tags: &[String]) -> String {
    let (first, others) = tags.split_at_checked(MOST_TAGS).unwrap_or((tags, &[]));
    let first = first.join(", ");
    if others.is_empty() { first } else { format!("{first} and {} more", others.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_moves_from_several_tags_names_some_and_counts_the_others() {
        let tags = |count: u32| (0..count).map(|tag| tag.to_string()).collect::<Vec<_>>();
        let listed = [0, 1, 2, 3, 5].map(|count| listed(&tags(count)));
        assert_eq!(listed, ["", "0", "0, 1", "0, 1, 2", "0, 1, 2 and 2 more"]);
    }
}
