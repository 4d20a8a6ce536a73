//! How tags are ranked: the ways of `select`.

use crate::api::{Order, Select};

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
}

#[derive(Clone, Debug)]
pub(super) struct SemverScale {
    pub(super) range: Range,
    prereleases: Prereleases,
    pub(super) strictness: Strictness,
}

impl Scale {
    pub(super) fn compile(select: &Select) -> Result<Self, InvalidPolicy> {
        let Select { semver, calver, numerical, alphabetical } = select;
        match (semver, calver, numerical, alphabetical) {
            (Some(semver), None, None, None) => {
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
            (None, Some(calver), None, None) => {
                Format::parse(&calver.format).map(Self::Calver).map_err(|error| {
                    let problem = format!("{:?} is no format: {error}", calver.format);
                    InvalidPolicy::new("spec.select.calver.format", problem)
                })
            }
            (None, None, Some(numerical), None) => Ok(Self::Numerical(numerical.order)),
            (None, None, None, Some(alphabetical)) => Ok(Self::Alphabetical(alphabetical.order)),
            _ => Err(InvalidPolicy::new(
                "spec.select",
                "it must have exactly one of semver, calver, numerical and alphabetical",
            )),
        }
    }

    /// Reads the rank from what the filter left of a tag; `None` where there is none to read.
    pub(super) fn read<'t>(&self, text: &'t str) -> Option<Rank<'t>> {
        match self {
            Self::Semver(semver) => Version::parse(text, semver.strictness).map(Rank::Version),
            Self::Calver(format) => format.read(text).ok().map(Rank::Calver),
            Self::Numerical(_) => Number::parse(text).map(Rank::Number),
            Self::Alphabetical(_) => Some(Rank::Text(text)),
        }
    }

    /// The refusal of a tag that [`Scale::read`] reads nothing from.
    pub(super) fn unread(&self) -> Refusal {
        match self {
            Self::Semver(_) | Self::Calver(_) => Refusal::NotAVersion,
            Self::Numerical(_) | Self::Alphabetical(_) => Refusal::NotANumber,
        }
    }

    /// The rule that puts a rank out, if one does.
    pub(super) fn refusal(&self, rank: &Rank<'_>) -> Option<Refusal> {
        match (self, rank) {
            (Self::Semver(semver), Rank::Version(version)) => semver.refusal(version),
            (Self::Semver(_) | Self::Calver(_) | Self::Numerical(_) | Self::Alphabetical(_), _) => None,
        }
    }

    /// The end of the order that is preferred: Ascending means the highest.
    pub(super) fn order(&self) -> Order {
        match self {
            Self::Semver(_) | Self::Calver(_) => Order::Ascending,
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
        }
    }
}

impl SemverScale {
    fn refusal(&self, version: &Version<'_>) -> Option<Refusal> {
        if self.range.contains(version, self.prereleases) {
            None
        } else if self.range.contains(version, Prereleases::All) {
            Some(Refusal::PreRelease)
        } else {
            Some(Refusal::OutOfRange)
        }
    }
}
