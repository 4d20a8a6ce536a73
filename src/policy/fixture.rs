//! What the tests of this module share: policies in one line.

use crate::api::{
    Alphabetical, Calver, Follow, ImagePolicySpec, Interval, NewestBuild, Numerical, Order, Pin, Select,
    Semver, TagFilter,
};
use crate::image::{BuildTime, ImageFacts, Platform, Tag};

use super::{Choice, Facts, Policy, compile};

/// A valid spec that has no way of choosing yet.
pub(super) fn spec() -> ImagePolicySpec {
    ImagePolicySpec {
        image: "ghcr.io/acme/api".to_owned(),
        interval: Interval::new("5m"),
        credentials: None,
        tags: None,
        select: Select::default(),
        pin: None,
        platforms: Vec::new(),
        avoid: Vec::new(),
        downgrade: Default::default(),
        suspend: false,
    }
}

pub(super) fn semver(range: &str) -> ImagePolicySpec {
    let mut spec = spec();
    spec.select.semver = Some(Semver { range: range.to_owned(), prereleases: false, lenient: false });
    spec
}

pub(super) fn lenient(range: &str) -> ImagePolicySpec {
    let mut spec = semver(range);
    if let Some(semver) = &mut spec.select.semver {
        semver.lenient = true;
    }
    spec
}

pub(super) fn with_prereleases(range: &str) -> ImagePolicySpec {
    let mut spec = semver(range);
    if let Some(semver) = &mut spec.select.semver {
        semver.prereleases = true;
    }
    spec
}

pub(super) fn calver(format: &str) -> ImagePolicySpec {
    let mut spec = spec();
    spec.select.calver = Some(Calver { format: format.to_owned() });
    spec
}

pub(super) fn numerical(order: Order) -> ImagePolicySpec {
    let mut spec = spec();
    spec.select.numerical = Some(Numerical { order });
    spec
}

pub(super) fn alphabetical(order: Order) -> ImagePolicySpec {
    let mut spec = spec();
    spec.select.alphabetical = Some(Alphabetical { order });
    spec
}

pub(super) fn newest_build() -> ImagePolicySpec {
    let mut spec = spec();
    spec.select.newest_build = Some(NewestBuild {});
    spec
}

pub(super) fn follow(tag: &str) -> ImagePolicySpec {
    let mut spec = spec();
    spec.select.follow = Some(Follow { tag: tag.to_owned() });
    spec
}

pub(super) fn pinned(mut spec: ImagePolicySpec, pin: Pin) -> ImagePolicySpec {
    spec.pin = Some(pin);
    spec
}

pub(super) fn for_platforms(mut spec: ImagePolicySpec, platforms: &[&str]) -> ImagePolicySpec {
    spec.platforms = platforms.iter().map(|platform| (*platform).to_owned()).collect();
    spec
}

/// What is known of the image of a tag: when it was built, or an empty text, and its platforms.
pub(super) fn facts(of: &[(&str, &str, &[&str])]) -> Facts {
    of.iter()
        .map(|(tag, built, platforms)| {
            let facts = ImageFacts {
                built: BuildTime::parse(built),
                platforms: platforms.iter().map(|platform| Platform::parse(platform).unwrap()).collect(),
            };
            (Tag::parse(tag).unwrap(), facts)
        })
        .collect()
}

pub(super) fn filtered(mut spec: ImagePolicySpec, include: &str, exclude: &[&str]) -> ImagePolicySpec {
    spec.tags = Some(TagFilter {
        include: (!include.is_empty()).then(|| include.to_owned()),
        exclude: exclude.iter().map(|pattern| (*pattern).to_owned()).collect(),
    });
    spec
}

pub(super) fn avoiding(mut spec: ImagePolicySpec, avoid: &[&str]) -> ImagePolicySpec {
    spec.avoid = avoid.iter().map(|entry| (*entry).to_owned()).collect();
    spec
}

pub(super) fn policy(spec: &ImagePolicySpec) -> Policy {
    compile(spec).unwrap_or_else(|error| panic!("{error}"))
}

pub(super) fn choose<T: AsRef<str>>(policy: &Policy, tags: &[T], most_refused: usize) -> Choice {
    let mut chooser = policy.chooser(most_refused);
    for tag in tags {
        chooser.offer_text(tag.as_ref());
    }
    chooser.finish().decide(&Facts::new())
}

/// The chosen tag of a list.
pub(super) fn winner(spec: &ImagePolicySpec, tags: &[&str]) -> Option<String> {
    choose(&policy(spec), tags, 0).winner.map(|winner| winner.tag.to_string())
}
