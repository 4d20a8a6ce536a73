//! How tags are ranked: the ways of `select`.

use crate::api::{NewestBuild, Order, Select};
use crate::image::Tag;

use super::InvalidPolicy;
use super::calver::Format;
use super::explain::Refusal;
use super::number::Number;
use super::range::{Prereleases, Range};
use super::rank::Rank;
use super::version::{Strictness, Version};

/// What a policy reads from a tag, and in which direction it prefers it.
#[derive(Clone, Debug)]
pub(super) enum Scale {
    Semver(SemverScale),
    Calver(Format),
    Numerical(Order),
    Alphabetical(Order),
    /// Of every tag it is known only that it competes; images are ranked by what they say themselves.
    NewestBuild,
    /// One tag.
    Follow(Tag),
}

#[derive(Clone, Debug)]
pub(super) struct SemverScale {
    pub(super) range: Range,
    pub(super) prereleases: Prereleases,
    pub(super) strictness: Strictness,
}

impl Scale {
    pub(super) fn compile(select: &Select) -> Result<Self, InvalidPolicy> {
        let Select { semver, calver, numerical, alphabetical, newest_build, follow } = select;
        match (semver, calver, numerical, alphabetical, newest_build, follow) {
            (Some(semver), None, None, None, None, None) => {
                let range = Range::parse(&semver.range).map_err(|error| {
                    let problem = format!("{:?} is no range: {error}", semver.range);
                    InvalidPolicy::new("spec.select.semver.range", problem)
                })?;
                Ok(Self::Semver(SemverScale {
                    range,
                    prereleases: if semver.prereleases {
                        Prereleases::All
                    } else {
                        Prereleases::WhereTheRangeHasOne
                    },
                    strictness: if semver.lenient { Strictness::Lenient } else { Strictness::TwoDots },
                }))
            }
            (None, Some(calver), None, None, None, None) => {
                Format::parse(&calver.format).map(Self::Calver).map_err(|error| {
                    let problem = format!("{:?} is no format: {error}", calver.format);
                    InvalidPolicy::new("spec.select.calver.format", problem)
                })
            }
            (None, None, Some(numerical), None, None, None) => Ok(Self::Numerical(numerical.order)),
            (None, None, None, Some(alphabetical), None, None) => Ok(Self::Alphabetical(alphabetical.order)),
            (None, None, None, None, Some(NewestBuild {}), None) => Ok(Self::NewestBuild),
            (None, None, None, None, None, Some(follow)) => Tag::parse(&follow.tag)
                .map(Self::Follow)
                .map_err(|error| InvalidPolicy::new("spec.select.follow.tag", error.to_string())),
            _ => Err(InvalidPolicy::new(
                "spec.select",
                "it must have exactly one of semver, calver, numerical, alphabetical, newestBuild and follow",
            )),
        }
    }

    /// Reads the rank from what the filter left of a tag; `None` where there is none to read.
    #[inline]
    pub(super) fn read<'t>(&self, text: &'t str) -> Option<Rank<'t>> {
        match self {
            Self::Semver(semver) => Version::parse(text, semver.strictness).map(Rank::Version),
            Self::Calver(format) => format.read(text).ok().map(Rank::Calver),
            Self::Numerical(_) => Number::parse(text).map(Rank::Number),
            Self::Alphabetical(_) | Self::NewestBuild => Some(Rank::Text(text)),
            Self::Follow(tag) => (text == tag.as_str()).then_some(Rank::Text(text)),
        }
    }

    /// The refusal of a tag that [`Scale::read`] reads nothing from.
    pub(super) fn unread(&self) -> Refusal {
        match self {
            Self::Semver(_) | Self::Calver(_) => Refusal::NotAVersion,
            Self::Numerical(_) | Self::Alphabetical(_) | Self::NewestBuild => Refusal::NotANumber,
            Self::Follow(_) => Refusal::NotFollowed,
        }
    }

    /// The rule that puts a rank out, if one does.
    #[inline]
    pub(super) fn refusal(&self, rank: &Rank<'_>) -> Option<Refusal> {
        self.semver(rank).and_then(|(semver, version)| semver.refusal(version))
    }

    /// Whether a rank of its kind may be admitted: a release always, a pre-release where the policy chooses from such.
    pub(super) fn ever_admits(&self, rank: &Rank<'_>) -> bool {
        self.semver(rank).is_none_or(|(semver, version)| {
            version.pre.is_empty() || semver.range.lets_prereleases_in(semver.prereleases)
        })
    }

    /// The range and the version, where that is how tags are ranked; no other scale puts a rank out.
    #[inline]
    fn semver<'s, 'r, 't>(&'s self, rank: &'r Rank<'t>) -> Option<(&'s SemverScale, &'r Version<'t>)> {
        match (self, rank) {
            (Self::Semver(semver), Rank::Version(version)) => Some((semver, version)),
            (
                Self::Semver(_)
                | Self::Calver(_)
                | Self::Numerical(_)
                | Self::Alphabetical(_)
                | Self::NewestBuild
                | Self::Follow(_),
                _,
            ) => None,
        }
    }

    /// The end of the order that is preferred: Ascending means the highest.
    #[inline]
    pub(super) fn order(&self) -> Order {
        match self {
            Self::Semver(_) | Self::Calver(_) | Self::NewestBuild | Self::Follow(_) => Order::Ascending,
            Self::Numerical(order) | Self::Alphabetical(order) => *order,
        }
    }

    /// How the choice is made, in words.
    pub(super) fn rule(&self) -> String {
        match self {
            Self::Semver(semver) => semver.range.to_string(),
            Self::Calver(format) => format.to_string(),
            Self::Numerical(Order::Ascending) => "highest number".to_owned(),
            Self::Numerical(Order::Descending) => "lowest number".to_owned(),
            Self::Alphabetical(Order::Ascending) => "last in byte order".to_owned(),
            Self::Alphabetical(Order::Descending) => "first in byte order".to_owned(),
            Self::NewestBuild => "newest build".to_owned(),
            Self::Follow(tag) => tag.to_string(),
        }
    }
}

impl SemverScale {
    #[inline]
    pub(super) fn refusal(&self, version: &Version<'_>) -> Option<Refusal> {
        if self.range.contains(version, self.prereleases) {
            None
        } else if self.range.contains(version, Prereleases::All) {
            Some(Refusal::PreRelease)
        } else {
            Some(Refusal::OutOfRange)
        }
    }
}
