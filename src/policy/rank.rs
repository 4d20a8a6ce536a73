//! What of a tag is ranked, and the order of tags.

use std::cmp::Ordering;
use std::fmt;

use smol_str::SmolStr;

use crate::image::{BuildTime, Tag, TagRef};

use super::calver::{Calver, OwnedCalver};
use super::number::{Number, OwnedNumber};
use super::version::{OwnedVersion, Precision, Version};

/// What was read from a tag for its place among the others. One policy makes one kind only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank<'a> {
    /// With `select.semver`.
    Version(Version<'a>),
    /// With `select.calver`.
    Calver(Calver<'a>),
    /// With `select.numerical`.
    Number(Number<'a>),
    /// With `select.alphabetical`: compared byte by byte.
    Text(&'a str),
    /// With `select.newestBuild`.
    Built(BuildTime),
}

impl Rank<'_> {
    /// How much of the rank the tag spells out; of equal ranks the more precise is the higher.
    #[inline]
    fn precision(&self) -> Precision {
        match self {
            Self::Version(version) => version.precision,
            Self::Calver(_) | Self::Number(_) | Self::Text(_) | Self::Built(_) => Precision::Full,
        }
    }
}

impl fmt::Display for Rank<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => version.fmt(f),
            Self::Calver(version) => version.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
            Self::Built(time) => time.fmt(f),
        }
    }
}

/// A tag with its rank. The order is total: by rank, then by precision, then by the tag's bytes; equal is only what is
/// the same tag. A tag without a rank is below all others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'a> {
    rank: Option<Rank<'a>>,
    tag: TagRef<'a>,
}

impl PartialEq for Candidate<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate<'_> {}

impl PartialOrd for Candidate<'_> {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate<'_> {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        let precision = |candidate: &Self| candidate.rank.map_or(Precision::Any, |rank| rank.precision());
        self.rank
            .cmp(&other.rank)
            .then_with(|| precision(self).cmp(&precision(other)))
            .then_with(|| self.tag.cmp(&other.tag))
    }
}

impl<'a> Candidate<'a> {
    #[inline]
    pub(super) fn new(tag: TagRef<'a>, rank: Option<Rank<'a>>) -> Self {
        Self { rank, tag }
    }

    /// The tag as the registry spells it.
    pub(super) fn tag(&self) -> &'a str {
        self.tag.as_str()
    }

    /// The tag, to be kept.
    pub(super) fn to_tag(self) -> Tag {
        self.tag.to_tag()
    }

    /// What was read from the tag; `None` where it cannot be ranked.
    #[inline]
    pub(super) fn rank(&self) -> Option<&Rank<'a>> {
        self.rank.as_ref()
    }
}

/// A [`Rank`] that outlives the text it was read from.
#[derive(Clone, Debug)]
pub(super) enum OwnedRank {
    Version(OwnedVersion),
    Calver(OwnedCalver),
    Number(OwnedNumber),
    Text(SmolStr),
    Built(BuildTime),
}

impl OwnedRank {
    #[inline]
    pub(super) fn borrow(&self) -> Rank<'_> {
        match self {
            Self::Version(version) => Rank::Version(version.borrow()),
            Self::Calver(version) => Rank::Calver(version.borrow()),
            Self::Number(number) => Rank::Number(number.borrow()),
            Self::Text(text) => Rank::Text(text),
            Self::Built(time) => Rank::Built(*time),
        }
    }
}

impl From<&Rank<'_>> for OwnedRank {
    #[inline]
    fn from(rank: &Rank<'_>) -> Self {
        match *rank {
            Rank::Version(version) => Self::Version(version.into()),
            Rank::Calver(version) => Self::Calver(version.into()),
            Rank::Number(number) => Self::Number(number.into()),
            Rank::Text(text) => Self::Text(SmolStr::new(text)),
            Rank::Built(time) => Self::Built(time),
        }
    }
}
