//! Ranges of versions, in the language that Flux, Helm and Argo CD users know.
//!
//! It is the language of `github.com/Masterminds/semver/v3` 3.5.0 to the letter, oddities included, because users bring
//! ranges that must go on meaning what they meant. `tests/masterminds` makes the table that holds this to be so.

mod hyphen;
mod members;
mod operand;
mod parse;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt;

use super::version::{Precision, Version, prerelease_order};

pub(super) use members::{Fault, FaultKind};
pub(super) use parse::InvalidRange;

/// Alternatives, of which one must hold.
#[derive(Clone, Debug)]
pub(super) struct Range {
    alternatives: Vec<Alternative>,
    spelled: Box<str>,
}

/// Comparators that must all hold.
#[derive(Clone, Debug)]
struct Alternative {
    comparators: Vec<Comparator>,
    /// Whether one of the comparators carries a pre-release, which lets pre-releases into the whole alternative.
    admits_prereleases: bool,
}

/// An operator with the version behind it; the numbers that are not written out are zero.
#[derive(Clone, Debug)]
struct Comparator {
    operator: Operator,
    operand: semver::Version,
    precision: Precision,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    /// `=`, or none.
    Equal,
    /// `!=`
    NotEqual,
    /// `>`
    Greater,
    /// `>=` or `=>`
    GreaterOrEqual,
    /// `<`
    Less,
    /// `<=` or `=<`
    LessOrEqual,
    /// `~` or `~>`
    Tilde,
    /// `^`
    Caret,
}

/// Which pre-releases a range may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prereleases {
    /// Those of alternatives that carry a pre-release themselves.
    WhereTheRangeHasOne,
    /// Those that lie between the bounds, whatever the range carries.
    All,
}

impl Range {
    /// Reads a range of at most 512 bytes and 32 alternatives.
    pub(super) fn parse(text: &str) -> Result<Self, InvalidRange> {
        let alternatives = parse::alternatives(text)?;
        let spelled = text.split_ascii_whitespace().collect::<Vec<_>>().join(" ").into();
        Ok(Self { alternatives, spelled })
    }

    #[inline]
    pub(super) fn contains(&self, version: &Version<'_>, prereleases: Prereleases) -> bool {
        self.alternatives.iter().any(|alternative| alternative.contains(version, prereleases))
    }

    /// Whether it may contain any pre-release.
    pub(super) fn lets_prereleases_in(&self, prereleases: Prereleases) -> bool {
        self.alternatives.iter().any(|alternative| alternative.lets_prereleases_in(prereleases))
    }
}

impl Alternative {
    #[inline]
    fn contains(&self, version: &Version<'_>, prereleases: Prereleases) -> bool {
        let may_compete = version.pre.is_empty() || self.lets_prereleases_in(prereleases);
        may_compete && self.comparators.iter().all(|comparator| comparator.holds_for(version))
    }

    fn lets_prereleases_in(&self, prereleases: Prereleases) -> bool {
        self.admits_prereleases
            || match prereleases {
                Prereleases::All => true,
                Prereleases::WhereTheRangeHasOne => false,
            }
    }
}

impl fmt::Display for Range {
    /// The range as it was written, with single spaces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelled)
    }
}

impl Comparator {
    fn holds_for(&self, version: &Version<'_>) -> bool {
        let order = self.order(version);
        match self.operator {
            Operator::Equal => match self.precision {
                Precision::Full => order == Ordering::Equal,
                Precision::Any | Precision::Major | Precision::Minor => self.tilde(version, order),
            },
            Operator::NotEqual => self.not_equal(version, order),
            Operator::Greater => self.greater(version, order),
            Operator::GreaterOrEqual => order != Ordering::Less,
            Operator::Less => order == Ordering::Less,
            Operator::LessOrEqual => self.less_or_equal(version, order),
            Operator::Tilde => self.tilde(version, order),
            Operator::Caret => self.caret(version, order),
        }
    }

    /// Order of the version to the operand, by precedence.
    fn order(&self, version: &Version<'_>) -> Ordering {
        let operand = [self.operand.major, self.operand.minor, self.operand.patch];
        version.numbers.cmp(&operand).then_with(|| prerelease_order(version.pre, self.operand.pre.as_str()))
    }

    /// A partial excludes all that begins so: `!=1` every 1.x.y. `!=1.2` spares what differs in its pre-release.
    fn not_equal(&self, version: &Version<'_>, order: Ordering) -> bool {
        match self.precision {
            Precision::Any | Precision::Full => order != Ordering::Equal,
            Precision::Major => self.major_order(version).is_ne(),
            Precision::Minor => {
                self.minor_order(version).is_ne()
                    || prerelease_order(version.pre, self.operand.pre.as_str()).is_ne()
            }
        }
    }

    /// A partial means above all that begins so: `>1` is from 2.0.0.
    fn greater(&self, version: &Version<'_>, order: Ordering) -> bool {
        match self.precision {
            Precision::Any | Precision::Full => order == Ordering::Greater,
            Precision::Major => self.major_order(version).is_gt(),
            Precision::Minor => self.minor_order(version).is_gt(),
        }
    }

    /// A partial includes all that begins so: `<=1` reaches to 1.x.y. `<=*` counts as `<=0.0`.
    fn less_or_equal(&self, version: &Version<'_>, order: Ordering) -> bool {
        match self.precision {
            Precision::Full => order != Ordering::Greater,
            Precision::Major => self.major_order(version).is_le(),
            Precision::Any | Precision::Minor => self.minor_order(version).is_le(),
        }
    }

    /// From the operand up, within its minor, or within its major where no more is written. `~0.0.0` has no upper end.
    fn tilde(&self, version: &Version<'_>, order: Ordering) -> bool {
        let is_within = match self.precision {
            Precision::Any => true,
            Precision::Major => self.major_order(version).is_eq(),
            Precision::Minor => self.minor_order(version).is_eq(),
            Precision::Full => self.is_zero() || self.minor_order(version).is_eq(),
        };
        order != Ordering::Less && is_within
    }

    /// From the operand up, with the leftmost number that is not zero unchanged. `^*` counts as `^0.0.0`.
    fn caret(&self, version: &Version<'_>, order: Ordering) -> bool {
        let is_within = if self.operand.major > 0 || self.precision == Precision::Major {
            self.major_order(version).is_eq()
        } else if self.operand.minor > 0 || self.precision == Precision::Minor {
            self.minor_order(version).is_eq()
        } else {
            let [_, _, patch] = version.numbers;
            self.minor_order(version).is_eq() && patch == self.operand.patch
        };
        order != Ordering::Less && is_within
    }

    /// Order of the version's major to the operand's.
    fn major_order(&self, version: &Version<'_>) -> Ordering {
        let [major, _, _] = version.numbers;
        major.cmp(&self.operand.major)
    }

    /// Order of the version's major and minor to the operand's.
    fn minor_order(&self, version: &Version<'_>) -> Ordering {
        let [major, minor, _] = version.numbers;
        (major, minor).cmp(&(self.operand.major, self.operand.minor))
    }

    fn is_zero(&self) -> bool {
        (self.operand.major, self.operand.minor, self.operand.patch) == (0, 0, 0)
    }
}
