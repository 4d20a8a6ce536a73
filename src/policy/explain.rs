//! Why a tag was not chosen.

use std::fmt;

use crate::api::Order;
use crate::image::{ImageFacts, Tag};

use super::Policy;
use super::contest::MOST_LOOKS;
use super::rank::Candidate;
use super::scale::Scale;
use super::version::{Strictness, Version};

/// A tag that was not chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedTag {
    /// The tag as the registry spells it.
    pub tag: Tag,
    /// The first rule that put it out.
    pub rule: Refusal,
    /// The same in words, without the tag.
    pub message: String,
}

/// The rule that put a tag out, in the order in which a tag meets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// It does not match `tags.include`.
    NotIncluded,
    /// It matches one of `tags.exclude`.
    Excluded,
    /// No version can be read from it, or one with an impossible date.
    NotAVersion,
    /// No number can be read from it.
    NotANumber,
    /// Its version is not in the range.
    OutOfRange,
    /// Its version would be in the range but for its pre-release part.
    PreRelease,
    /// It is not the tag that is followed.
    NotFollowed,
    /// It falls under an entry of `avoid`.
    Avoided,
    /// It is not among the first whose images are looked at.
    NotLookedAt,
    /// Its image does not say when it was built.
    Undated,
    /// Its image does not exist for one of the platforms.
    PlatformMissing,
    /// No rule is against it; another tag is preferred.
    Outranked,
}

impl Refusal {
    /// The rule's name, as status and `tagtide explain` show it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotIncluded => "NotIncluded",
            Self::Excluded => "Excluded",
            Self::NotAVersion => "NotAVersion",
            Self::NotANumber => "NotANumber",
            Self::OutOfRange => "OutOfRange",
            Self::PreRelease => "PreRelease",
            Self::NotFollowed => "NotFollowed",
            Self::Avoided => "Avoided",
            Self::NotLookedAt => "NotLookedAt",
            Self::Undated => "Undated",
            Self::PlatformMissing => "PlatformMissing",
            Self::Outranked => "Outranked",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The words for a refused tag. Called for tags that are reported only, since it allocates and matches again.
pub(super) fn message(
    policy: &Policy,
    refused: Candidate<'_>,
    rule: Refusal,
    winner: Option<Candidate<'_>>,
    facts: Option<&ImageFacts>,
) -> String {
    let read = refused.rank().map(ToString::to_string).unwrap_or_default();
    match rule {
        Refusal::NotIncluded => not_included(policy, refused.tag()),
        Refusal::Excluded => match policy.filter.excluding(refused.tag()) {
            Some((index, pattern)) => format!("matches tags.exclude[{index}], {pattern}"),
            None => "matches tags.exclude".to_owned(),
        },
        Refusal::NotAVersion => not_a_version(policy, refused.tag()),
        Refusal::NotANumber => "is no number".to_owned(),
        Refusal::OutOfRange => format!("{read} is not in {}", policy.rule()),
        Refusal::PreRelease => format!("{read} is a pre-release; `prereleases: true` would admit it"),
        Refusal::Avoided => {
            let entry = refused.rank().and_then(|rank| policy.avoid.entry_for(rank));
            match entry {
                Some((index, entry)) => format!("falls under avoid[{index}], {entry}"),
                None => "falls under avoid".to_owned(),
            }
        }
        Refusal::NotFollowed => format!("is not {}", policy.rule()),
        Refusal::NotLookedAt => format!("is not among the first {MOST_LOOKS}, which alone are looked at"),
        Refusal::Undated => "does not say when it was built; times up to 1980 say nothing".to_owned(),
        Refusal::PlatformMissing => platform_missing(policy, facts),
        Refusal::Outranked => winner.map_or_else(String::new, |winner| outranked(policy, refused, winner)),
    }
}

/// Which platform an image lacks, and which it has.
pub(super) fn platform_missing(policy: &Policy, facts: Option<&ImageFacts>) -> String {
    /// More are counted: an index may list hundreds.
    const MOST_SHOWN: usize = 8;
    let Some(facts) = facts else { return "lacks a platform".to_owned() };
    let missing = policy.first_missing_platform(facts).map(ToString::to_string).unwrap_or_default();
    if facts.platforms.is_empty() {
        return format!("does not exist for {missing}, or does not say so");
    }
    let mut has: Vec<String> = facts.platforms.iter().take(MOST_SHOWN).map(ToString::to_string).collect();
    if let Some(more @ 1..) = facts.platforms.len().checked_sub(MOST_SHOWN) {
        has.push(format!("{more} more"));
    }
    format!("does not exist for {missing}, only for {}", has.join(", "))
}

fn not_included(policy: &Policy, tag: &str) -> String {
    let pattern = policy.filter.include().unwrap_or_default();
    if policy.filter.include_matches(tag) {
        format!("matches tags.include, {pattern}, without its group `version`")
    } else {
        format!("does not match tags.include, {pattern}")
    }
}

/// What of a tag is ranked: all of it where `include` does not say otherwise.
pub(super) fn ranked_text<'t>(policy: &Policy, tag: &'t str) -> &'t str {
    policy.filter.ranked_text(tag, &mut policy.filter.groups()).unwrap_or(tag)
}

fn not_a_version(policy: &Policy, tag: &str) -> String {
    let text = ranked_text(policy, tag);
    match &policy.scale {
        Scale::Semver(_) => match Version::parse(text, Strictness::Lenient) {
            Some(version) => {
                format!("has fewer than three numbers; `lenient: true` would read it as {version}")
            }
            None => "is no version".to_owned(),
        },
        Scale::Calver(format) => match format.read(text) {
            Err(misfit) => format!("does not read {format}: {misfit}"),
            Ok(_) => format!("does not read {format}"),
        },
        Scale::Numerical(_) | Scale::Alphabetical(_) | Scale::NewestBuild | Scale::Follow(_) => {
            "is no version".to_owned()
        }
    }
}

fn outranked(policy: &Policy, refused: Candidate<'_>, winner: Candidate<'_>) -> String {
    let Some(rank) = winner.rank() else {
        return String::new();
    };
    if refused.rank() == Some(rank) {
        return format!("equal to {}, whose spelling is preferred", winner.tag());
    }
    match &policy.scale {
        Scale::Semver(_) | Scale::Numerical(Order::Ascending) => format!("lower than {rank}"),
        Scale::Calver(_) => format!("earlier than {rank}"),
        Scale::Numerical(Order::Descending) => format!("higher than {rank}"),
        Scale::Alphabetical(Order::Ascending) => format!("before {rank} in byte order"),
        Scale::Alphabetical(Order::Descending) => format!("after {rank} in byte order"),
        Scale::NewestBuild => match refused.rank() {
            Some(own) => format!("built {own}, before {rank}"),
            None => format!("built before {rank}"),
        },
        Scale::Follow(tag) => format!("is not {tag}"),
    }
}
