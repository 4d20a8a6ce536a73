//! Why a choice came out as it did, in one sentence.

use super::Policy;
use super::choose::Tally;
use super::contest::Facts;
use super::explain::{Refusal, platform_missing, ranked_text};
use super::rank::Candidate;
use super::scale::Scale;
use super::shortlist::Kept;
use super::version::Strictness;

/// The reason of a choice with a winner, or without one by the tag that came nearest.
pub(super) fn of(
    policy: &Policy,
    tally: &Tally,
    winner: Option<Candidate<'_>>,
    nearest: Option<&Kept>,
    facts: &Facts,
) -> String {
    match (winner, nearest) {
        (Some(_), _) => won(policy, tally),
        (None, Some(nearest)) => lost(policy, tally, nearest, facts),
        (None, None) if tally.tags == 0 => "the list has no tags".to_owned(),
        (None, None) => format!("none of {} obeys the tag grammar", counted(tally.tags, "tag")),
    }
}

fn won(policy: &Policy, tally: &Tally) -> String {
    let tags = counted(tally.matching, "tag");
    let won = match &policy.scale {
        Scale::Semver(_) => format!("highest of {tags} in {}", policy.rule()),
        Scale::Calver(format) => format!("latest of {tags} in {format}"),
        Scale::Numerical(_) | Scale::Alphabetical(_) => format!("{} of {tags}", policy.rule()),
        Scale::NewestBuild => format!("{} of {tags}", policy.rule()),
        Scale::Follow(_) => "tag that is followed".to_owned(),
    };
    match tally.refused_by(Refusal::PlatformMissing) {
        0 => won,
        count => format!("{won}, but for {count} not for {}", wanted_platforms(policy)),
    }
}

fn lost(policy: &Policy, tally: &Tally, nearest: &Kept, facts: &Facts) -> String {
    let none = none_of(tally);
    let rule = policy.rule();
    let candidate = nearest.candidate();
    let read = candidate.rank().map(ToString::to_string).unwrap_or_default();
    let count = tally.refused_by(nearest.refusal);
    match nearest.refusal {
        Refusal::NotIncluded => format!("{none} matches tags.include"),
        Refusal::Excluded if tally.refused_by(Refusal::NotIncluded) == 0 => {
            format!("{none} gets past tags.exclude")
        }
        Refusal::Excluded => format!("{none} gets past tags.include and tags.exclude"),
        Refusal::NotAVersion => unread(policy, &none, candidate.tag()),
        Refusal::NotANumber => format!("{none} is a number"),
        Refusal::OutOfRange => format!("{none} is in {rule}; the highest version is {read}"),
        Refusal::PreRelease => {
            let count = counted(count, "pre-release");
            format!(
                "{none} is in {rule} but {count}, the highest {read}; `prereleases: true` would admit such"
            )
        }
        Refusal::NotFollowed => format!("{none} is {rule}"),
        Refusal::NotLookedAt => "the images are not all known".to_owned(),
        Refusal::Undated => format!("{none} says when it was built; times up to 1980 say nothing"),
        Refusal::PlatformMissing => {
            let looked_at = match tally.refused_by(Refusal::NotLookedAt) {
                0 => counted(count, "tag"),
                _ => format!("the first {count} of {} tags", tally.matching),
            };
            let tag = candidate.tag();
            let missing = platform_missing(policy, facts.get(nearest.tag()));
            format!(
                "none of {looked_at} that would do exists for {}; {tag} {missing}",
                wanted_platforms(policy)
            )
        }
        Refusal::Avoided | Refusal::Outranked => {
            let count = counted(count, "tag");
            let tag = candidate.tag();
            format!("avoid leaves none of {count} that would do, the first choice being {tag}")
        }
    }
}

/// The tags that competed, as the start of a sentence that says what they all are not.
fn none_of(tally: &Tally) -> String {
    let filtered = tally.refused_by(Refusal::NotIncluded) + tally.refused_by(Refusal::Excluded);
    let competing = tally.tags - tally.malformed - filtered;
    if filtered == 0 || competing == 0 {
        format!("none of {}", counted(tally.tags, "tag"))
    } else {
        let competing = counted(competing, "competing tag");
        format!("none of {competing}, of {} in all,", tally.tags)
    }
}

/// Why none of the tags is a version.
fn unread(policy: &Policy, none: &str, nearest: &str) -> String {
    match &policy.scale {
        Scale::Semver(semver) => match semver.strictness {
            Strictness::TwoDots => {
                format!("{none} is a version such as 1.2.3; `lenient: true` would also read 1.2 and v1")
            }
            Strictness::Lenient => format!("{none} is a version"),
        },
        Scale::Calver(format) => match format.read(ranked_text(policy, nearest)) {
            Err(misfit) => format!("{none} reads {format}; of {nearest}, {misfit}"),
            Ok(_) => format!("{none} reads {format}"),
        },
        Scale::Numerical(_) | Scale::Alphabetical(_) | Scale::NewestBuild | Scale::Follow(_) => {
            format!("{none} is a version")
        }
    }
}

/// The wanted platforms: `linux/amd64 and linux/arm64`.
fn wanted_platforms(policy: &Policy) -> String {
    let names: Vec<String> = policy.platforms.iter().map(ToString::to_string).collect();
    names.join(" and ")
}

fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
