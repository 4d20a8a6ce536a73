//! What is told of a proposal, to scripts and to people.

use std::path::Path;

use serde::Serialize;

use super::manifest::{Object, PolicySpec, RepositorySpec};
use super::proposal::Proposal;
use crate::cli::output::{FAINT, note, warning};
use crate::edit::FoundBy;

/// The most values that are told of one by one.
const MOST_TOLD: usize = 50;

/// What scripts read: names and shape stay.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report<'p> {
    repositories: Vec<Object<RepositorySpec<'p>>>,
    policies: Vec<Policy<'p>>,
    passed_over: Vec<PassedOver<'p>>,
}

#[derive(Serialize)]
struct Policy<'p> {
    object: Object<PolicySpec<'p>>,
    tags: Vec<String>,
    places: Vec<Place<'p>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Place<'p> {
    file: &'p str,
    line: u64,
    found_by: &'static str,
    value: &'p str,
}

#[derive(Serialize)]
struct PassedOver<'p> {
    file: &'p str,
    line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'p str>,
    reason: &'static str,
    message: &'p str,
}

impl<'p> Report<'p> {
    pub(super) fn of(proposal: &'p Proposal) -> Self {
        let policies = proposal.policies.iter().map(|policy| Policy {
            object: policy.object(),
            tags: policy.series.tags.iter().map(ToString::to_string).collect(),
            places: policy
                .places
                .iter()
                .map(|finding| Place {
                    file: &finding.file,
                    line: finding.place.line,
                    found_by: match &finding.place.found_by {
                        FoundBy::Marker(_) => "marker",
                        FoundBy::Switch(switch) => switch.name(),
                    },
                    value: &finding.place.value,
                })
                .collect(),
            note: policy.series.note,
        });
        let passed_over = proposal.passed.iter().map(|passed| PassedOver {
            file: &passed.file,
            line: passed.line,
            image: passed.image.as_deref(),
            reason: passed.reason,
            message: &passed.message,
        });
        Self {
            repositories: proposal.repositories.iter().map(|repository| repository.object()).collect(),
            policies: policies.collect(),
            passed_over: passed_over.collect(),
        }
    }
}

/// Tells on standard error what was passed over, how much was found, and what comes next.
pub(super) fn summarise(proposal: &Proposal, repo: &Path, out: Option<&Path>) {
    for passed in proposal.passed.iter().take(MOST_TOLD) {
        let image = passed.image.as_deref().map(|image| format!("{image}: ")).unwrap_or_default();
        warning(&format!("{}:{}: {}: {image}{}", passed.file, passed.line, passed.reason, passed.message));
    }
    if let Some(more) = proposal.passed.len().checked_sub(MOST_TOLD).filter(|more| *more > 0) {
        warning(&format!("{more} more values were passed over; -o json lists them all"));
    }
    let (policies, passed) = (proposal.policies.len(), proposal.passed.len());
    let places: usize = proposal.policies.iter().map(|policy| policy.places.len()).sum();
    if proposal.images == 0 && policies == 0 && passed == 0 {
        return note("no image version was found");
    }
    note(&format!(
        "{}, {}, {}; {} passed over",
        count(proposal.images, "image", "images"),
        count(policies, "policy", "policies"),
        count(places, "place", "places"),
        count(passed, "value", "values")
    ));
    if proposal.followed > 0 {
        note(&format!(
            "{} of a policy that is there already",
            count(proposal.followed, "image is that", "images are those")
        ));
    }
    if let (Some(out), Some(repository)) = (out, proposal.repositories.first()) {
        let (out, repo) = (out.display(), repo.display());
        let text =
            format!("next: tagtide plan --policies {out} --repo {repo} --repository {}", repository.key);
        note(&format!("{FAINT}{}{FAINT:#}", crate::cli::output::printable(&text)));
    }
}

fn count(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
