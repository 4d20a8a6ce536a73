//! The other way round: from the tags in use to the rule that lifts them.
//!
//! No registry is asked, so this is a guess, for a person to review. It is a careful one: where the tags leave room for
//! two readings, the one is taken that moves less.

mod calendar;
mod reading;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{
    Alphabetical, Calver, Downgrade, Follow, ImagePolicySpec, Interval, NewestBuild, Numerical, Select,
    Semver, TagFilter,
};
use crate::image::Tag;

use self::reading::{Ranked, Reading, Version};
use super::compile;

/// Tags of one image that one rule lifts together.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The tags, in byte order.
    pub tags: BTreeSet<Tag>,
    /// What they are to a rule.
    pub kind: Kind,
    /// Which tags compete; `None` for all.
    pub filter: Option<TagFilter>,
    /// How the winner is chosen. For [`Kind::Unordered`] this is what would help, at its price.
    pub select: Select,
    /// What a person should know who reviews it: one sentence.
    pub note: Option<&'static str>,
    /// What tells it from other series of the image: `alpine`, `rc`, `latest`. Characters of a DNS label, or nothing.
    pub variant: String,
    /// The major version, or for 0.x major and minor: `15`, `0-4`. Nothing where there is none.
    pub major: String,
}

/// What tags are to a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// They have an order, by which a higher one can be told.
    Ordered,
    /// One name that the registry gives to image after image.
    Moving,
    /// Nothing in them tells which is newer.
    Unordered,
}

/// Whether tags of different major versions go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Majors {
    /// Each for itself.
    Apart,
    /// In one range.
    Together,
}

/// Sorts the tags of one image into series, each with its rule. Every tag is in one of them, and a rule that is
/// [`Kind::Ordered`] takes all tags of its series. The order is that of variants and majors.
#[must_use]
pub fn guess<'t>(tags: impl IntoIterator<Item = &'t Tag>, majors: Majors) -> Vec<Series> {
    let mut groups: BTreeMap<reading::Key, Vec<(&Tag, Reading<'_>)>> = BTreeMap::new();
    for tag in tags {
        let reading = Reading::of(tag.as_str());
        groups.entry(reading.key(majors)).or_default().push((tag, reading));
    }
    groups.into_values().filter_map(|group| series(&group)).collect()
}

/// The series of tags that share their key.
fn series(group: &[(&Tag, Reading<'_>)]) -> Option<Series> {
    let (first_tag, first) = group.first()?;
    let tags: BTreeSet<Tag> = group.iter().map(|(tag, _)| (*tag).clone()).collect();
    let readings = || group.iter().map(|(_, reading)| reading);
    let (kind, select, ranked, note) = match &first.ranked {
        Ranked::Moving => {
            let follow = Some(Follow { tag: first_tag.to_string() });
            (Kind::Moving, Select { follow, ..Select::default() }, String::new(), None)
        }
        Ranked::Nothing => (Kind::Unordered, newest_build(), String::new(), None),
        Ranked::Version(_) => {
            let versions: Vec<_> = readings().filter_map(Reading::version).collect();
            match by_version(&versions) {
                Some((select, ranked)) => (Kind::Ordered, select, ranked, note_on(&versions)),
                // There is no next major.
                None => (Kind::Unordered, newest_build(), String::new(), None),
            }
        }
        Ranked::Date(_) => {
            let dates: Vec<_> = readings().filter_map(Reading::date).collect();
            let calver = Some(Calver { format: calendar::format(&dates) });
            let select = Select { calver, ..Select::default() };
            (Kind::Ordered, select, calendar::pattern(&dates), calendar::note(&dates))
        }
        Ranked::Number => {
            let numerical = Some(Numerical::default());
            (Kind::Ordered, Select { numerical, ..Select::default() }, r"\d+".to_owned(), None)
        }
        Ranked::Moment => {
            let alphabetical = Some(Alphabetical::default());
            (Kind::Ordered, Select { alphabetical, ..Select::default() }, String::new(), None)
        }
    };
    let filter =
        first.include(&ranked).map(|include| TagFilter { include: Some(include), exclude: Vec::new() });
    let (variant, major) = (first.variant(first_tag), first.major());
    let series = Series { tags, kind, filter, select, note, variant, major };
    let is_right = series.kind == Kind::Unordered || series.takes_its_tags();
    Some(if is_right { series } else { series.without_order() })
}

/// The range from the lowest version in use to below the next major, or for 0.x the next minor; and the pattern of such
/// versions.
fn by_version(versions: &[&Version<'_>]) -> Option<(Select, String)> {
    let lowest = versions.iter().min_by(|a, b| a.precedence(b))?;
    let highest = versions.iter().max_by(|a, b| a.precedence(b))?;
    let end = match highest.numbers {
        [0, minor, _] => format!("0.{}.0", minor.checked_add(1)?),
        [major, ..] => format!("{}.0.0", major.checked_add(1)?),
    };
    let [major, minor, patch] = lowest.numbers;
    let (pre, before_end) = match lowest.pre {
        "" => (String::new(), ""),
        // 2.0.0-rc.1 is below 2.0.0, and would compete.
        pre => (format!("-{pre}"), "-0"),
    };
    let lenient = versions.iter().any(|version| version.count < 3);
    let semver = Semver {
        range: format!(">={major}.{minor}.{patch}{pre} <{end}{before_end}"),
        prereleases: false,
        lenient,
    };
    let v = if versions.iter().any(|version| version.has_v) { "v?" } else { "" };
    let numbers = if lenient { r"\d+(?:\.\d+){0,2}" } else { r"\d+\.\d+\.\d+" };
    Some((Select { semver: Some(semver), ..Select::default() }, format!("{v}{numbers}")))
}

fn note_on(versions: &[&Version<'_>]) -> Option<&'static str> {
    if versions.iter().any(|version| version.has_more) {
        Some("Only the first three numbers count: a version has no more.")
    } else if versions.iter().all(|version| version.count == 1) {
        Some("If these are build numbers and no major versions, write `select: {numerical: {}}`.")
    } else {
        None
    }
}

fn newest_build() -> Select {
    Select { newest_build: Some(NewestBuild {}), ..Select::default() }
}

impl Series {
    /// Whether the rule holds for all its tags; the guess is checked by what will choose.
    fn takes_its_tags(&self) -> bool {
        let spec = ImagePolicySpec {
            image: "image".to_owned(),
            interval: Interval::new("5m"),
            credentials: None,
            tags: self.filter.clone(),
            select: self.select.clone(),
            pin: None,
            platforms: Vec::new(),
            avoid: Vec::new(),
            downgrade: Downgrade::Never,
            suspend: false,
        };
        compile(&spec).is_ok_and(|policy| {
            let mut groups = policy.filter.groups();
            self.tags.iter().all(|tag| policy.judge(tag.borrowed(), &mut groups).1.is_none())
        })
    }

    /// The same tags where no rule was found that takes them all.
    fn without_order(self) -> Self {
        Self { kind: Kind::Unordered, filter: None, select: newest_build(), note: None, ..self }
    }
}
