//! Which versions a range lets in, told by a few that stand for all, and those among them that nobody expects.

use super::{Alternative, Comparator, Operator, Prereleases, Range};
use crate::policy::version::Version;

/// The least pre-release that a version has.
const LEAST: &str = "0";

/// Something in a range that is allowed, and yet hardly meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) struct Fault {
    pub(in crate::policy) kind: FaultKind,
    /// The part of the range that is at fault, as it is written; `None` where that is the whole.
    pub(in crate::policy) part: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) enum FaultKind {
    /// No version lies in it.
    Empty,
    /// `<2.0.0` keeps 2.0.0 out and lets this pre-release of it in.
    BeforeEnd {
        admitted: semver::Version,
        /// What would keep it out.
        end: String,
    },
    /// One pre-release is written, and so others compete too, such as this one.
    OtherPrereleases { written: semver::Version, admitted: semver::Version },
    /// Every later major version lies in it, such as this one.
    NoEnd { admitted: semver::Version },
}

impl Range {
    /// Versions that stand for all: between two neighbours of them every comparator of this range is either met by all
    /// versions of a kind, release or pre-release, or by none.
    pub(in crate::policy) fn samples(&self) -> Vec<semver::Version> {
        let comparators = self.alternatives.iter().flat_map(|alternative| &alternative.comparators);
        let mut samples: Vec<_> = comparators.flat_map(Comparator::samples).collect();
        samples.extend(release_and_least([0, 0, 0]));
        samples
    }

    /// Whether no version lies in it.
    pub(in crate::policy) fn is_empty(&self, prereleases: Prereleases) -> bool {
        !self.samples().iter().any(|sample| self.contains(&Version::from(sample), prereleases))
    }

    /// What is hardly meant, by alternative.
    pub(in crate::policy) fn faults(&self, prereleases: Prereleases) -> Vec<Fault> {
        let written: Vec<&str> = self.spelled.split("||").map(str::trim).collect();
        let is_split = written.len() == self.alternatives.len();
        if self.is_empty(prereleases) {
            return vec![Fault { kind: FaultKind::Empty, part: None }];
        }
        let samples = self.samples();
        let mut faults = Vec::new();
        for (index, alternative) in self.alternatives.iter().enumerate() {
            let text = written.get(index).copied().filter(|_| is_split);
            let part = text.filter(|_| written.len() > 1).map(str::to_owned);
            if !samples.iter().any(|sample| alternative.contains(&Version::from(sample), prereleases)) {
                faults.push(Fault { kind: FaultKind::Empty, part });
                continue;
            }
            faults.extend(alternative.before_end(text.unwrap_or_default(), prereleases));
            faults.extend(
                alternative.other_prereleases(prereleases).map(|kind| Fault { kind, part: part.clone() }),
            );
            faults.extend(alternative.no_end(prereleases).map(|kind| Fault { kind, part: part.clone() }));
        }
        faults
    }
}

impl Alternative {
    fn holds(&self, version: &semver::Version, prereleases: Prereleases) -> bool {
        self.contains(&Version::from(version), prereleases)
    }

    /// The pre-releases of a version that a `<` keeps out.
    fn before_end(&self, text: &str, prereleases: Prereleases) -> Vec<Fault> {
        let ends = self.comparators.iter().filter(|comparator| comparator.operator == Operator::Less);
        let mut written = written_ends(text).into_iter();
        let mut faults = Vec::new();
        for end in ends {
            let part = written.next();
            let admitted = with_prerelease(numbers_of(&end.operand), "rc.1");
            if end.operand.pre.is_empty()
                && let Some(admitted) = admitted.filter(|admitted| self.holds(admitted, prereleases))
            {
                let end = format!("<{}-{LEAST}", end.operand);
                faults.push(Fault { kind: FaultKind::BeforeEnd { admitted, end }, part });
            }
        }
        faults
    }

    /// The pre-releases of later versions, where one that is no mere sign for all of them is written.
    fn other_prereleases(&self, prereleases: Prereleases) -> Option<FaultKind> {
        if prereleases == Prereleases::All {
            return None;
        }
        let is_start = |comparator: &&Comparator| match comparator.operator {
            Operator::Greater | Operator::GreaterOrEqual | Operator::Tilde | Operator::Caret => true,
            Operator::Equal | Operator::NotEqual | Operator::Less | Operator::LessOrEqual => false,
        };
        let is_telling = |comparator: &&Comparator| {
            !comparator.operand.pre.is_empty() && comparator.operand.pre.as_str() != LEAST
        };
        let written = self.comparators.iter().filter(is_start).find(is_telling)?.operand.clone();
        let [major, minor, patch] = numbers_of(&written);
        let later = [[major, minor.checked_add(1)?, 0], [major, minor, patch.checked_add(1)?]];
        let mut later = later.into_iter().filter_map(|numbers| with_prerelease(numbers, "alpha"));
        let admitted = later.find(|version| self.holds(version, prereleases))?;
        Some(FaultKind::OtherPrereleases { written, admitted })
    }

    fn no_end(&self, prereleases: Prereleases) -> Option<FaultKind> {
        if !self.holds(&semver::Version::new(u64::MAX, 0, 0), prereleases) {
            return None;
        }
        let highest = self.comparators.iter().map(|comparator| comparator.operand.major).max()?;
        let numbers = [highest.checked_add(1)?, 0, 0];
        let later = [with_prerelease(numbers, "alpha"), Some(semver::Version::new(highest + 1, 0, 0))];
        let admitted = later.into_iter().flatten().find(|version| self.holds(version, prereleases))?;
        Some(FaultKind::NoEnd { admitted })
    }
}

impl Comparator {
    /// Both sides of every version at which the comparator may begin or cease to hold.
    fn samples(&self) -> Vec<semver::Version> {
        let [major, minor, patch] = numbers_of(&self.operand);
        let next = |number: u64| number.checked_add(1);
        let edges = [
            Some([major, 0, 0]),
            Some([major, minor, 0]),
            Some([major, minor, patch]),
            next(patch).map(|patch| [major, minor, patch]),
            next(minor).map(|minor| [major, minor, 0]),
            next(major).map(|major| [major, 0, 0]),
        ];
        let mut samples: Vec<_> = edges.into_iter().flatten().flat_map(release_and_least).collect();
        if !self.operand.pre.is_empty() {
            let pre = self.operand.pre.as_str();
            samples.extend([self.operand.clone()]);
            samples.extend(with_prerelease([major, minor, patch], &format!("{pre}.0")));
        }
        samples
    }
}

const fn numbers_of(version: &semver::Version) -> [u64; 3] {
    [version.major, version.minor, version.patch]
}

fn with_prerelease([major, minor, patch]: [u64; 3], pre: &str) -> Option<semver::Version> {
    let mut version = semver::Version::new(major, minor, patch);
    version.pre = semver::Prerelease::new(pre).ok()?;
    Some(version)
}

fn release_and_least(numbers: [u64; 3]) -> impl Iterator<Item = semver::Version> {
    let [major, minor, patch] = numbers;
    [Some(semver::Version::new(major, minor, patch)), with_prerelease(numbers, LEAST)].into_iter().flatten()
}

/// Each `<` of a text that is no `<=` and no `=<`, with what stands behind it.
fn written_ends(text: &str) -> Vec<String> {
    let at = text.match_indices('<').map(|(at, _)| at);
    let ends = at.filter_map(|at| {
        let (before, end) = text.split_at_checked(at)?;
        let behind = end.strip_prefix('<')?;
        if before.ends_with('=') || behind.starts_with('=') {
            return None;
        }
        let version = behind.trim_start();
        let length = version.find([' ', ',']).unwrap_or(version.len());
        end.get(..end.len() - version.len() + length).map(str::to_owned)
    });
    ends.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::version::Strictness;

    fn faults(range: &str) -> Vec<String> {
        told(range, Prereleases::WhereTheRangeHasOne)
    }

    fn told(range: &str, prereleases: Prereleases) -> Vec<String> {
        let faults = Range::parse(range).unwrap().faults(prereleases);
        let told = faults.into_iter().map(|fault| {
            let what = match fault.kind {
                FaultKind::Empty => "empty".to_owned(),
                FaultKind::BeforeEnd { admitted, end } => format!("{admitted} but for {end}"),
                FaultKind::OtherPrereleases { written, admitted } => format!("{written} and {admitted}"),
                FaultKind::NoEnd { admitted } => format!("no end {admitted}"),
            };
            fault.part.map(|part| format!("{part}: {what}")).unwrap_or(what)
        });
        told.collect()
    }

    #[test]
    fn a_range_that_nothing_lies_in_is_found_out() {
        for range in [
            ">2 <1",
            ">=2.0.0 <2.0.0",
            ">1.2.3 <1.2.4",
            "1.x, 2.x",
            "^1.2 !=1",
            "1.2.3, !=1.2.3",
            "<0.0.0",
            "~1.2.3 >1.2",
            ">=1.0.0 <1.0.0-rc.1",
        ] {
            assert_eq!(faults(range), ["empty"], "{range}");
        }
        assert_eq!(faults("1.x || >2 <1"), [">2 <1: empty"]);
    }

    #[test]
    fn a_range_that_something_lies_in_is_left_alone() {
        for range in [
            ">=1.4.0 <2.0.0",
            "1.4.x",
            "^1.4",
            "~1.4 || ^2.0",
            "1.0 - 2.0",
            ">1.2.3 <1.2.5",
            ">1.2 <1.4",
            "=1.2.3-rc.1",
            ">1.0.0-rc.1 <1.0.0-rc.2",
            ">=1.0.0-0 <2.0.0-0",
            "^1.0.0-0",
            "<=1",
            "<1.0.0",
            "1.2.3",
            "0.0.0",
        ] {
            assert_eq!(faults(range), [""; 0], "{range}");
        }
    }

    #[test]
    fn pre_releases_that_nobody_expects_are_named() {
        for (range, fault) in [
            (">=1.4.0-0 <2.0.0", "<2.0.0: 2.0.0-rc.1 but for <2.0.0-0"),
            (">=1.4.0-0, < 2", "< 2: 2.0.0-rc.1 but for <2.0.0-0"),
            (">=1.4.0-rc.1 <2.0.0-0", "1.4.0-rc.1 and 1.5.0-alpha"),
            ("^1.4.0-rc.1", "1.4.0-rc.1 and 1.5.0-alpha"),
            ("~1.4.0-rc.1", "1.4.0-rc.1 and 1.4.1-alpha"),
        ] {
            assert_eq!(faults(range), [fault], "{range}");
        }
        let all = told(">=1.4.0 <2.0.0 || 3.x", Prereleases::All);
        assert_eq!(all, ["<2.0.0: 2.0.0-rc.1 but for <2.0.0-0"]);
    }

    #[test]
    fn a_range_without_an_end_is_told_with_the_next_major_version() {
        for (range, fault) in [
            (">=1.0.0", "no end 2.0.0"),
            ("*", "no end 1.0.0"),
            (">=1.0.0-0", "no end 2.0.0-alpha"),
            ("1.x || >3", ">3: no end 4.0.0"),
            ("!=1.5.0", "no end 2.0.0"),
        ] {
            assert_eq!(faults(range), [fault], "{range}");
        }
    }

    proptest! {
        #[test]
        fn what_is_called_empty_holds_no_version(
            range in prop::collection::vec(
                ("(|=|!=|<|<=|>|>=|~|\\^)", "[0-2](\\.[0-2x](\\.[0-2](-(0|rc|rc\\.1))?)?)?"), 1..4),
            versions in prop::collection::vec("[0-3]\\.[0-3]\\.[0-3](-(0|a|rc|rc\\.0|rc\\.1|rc\\.1\\.0|z))?", 1..40),
        ) {
            let range: Vec<_> = range.into_iter().map(|(operator, version)| format!("{operator}{version}")).collect();
            let range = Range::parse(&range.join(" ")).unwrap();
            for mode in [Prereleases::All, Prereleases::WhereTheRangeHasOne] {
                for version in versions.iter().filter(|_| range.is_empty(mode)) {
                    let version = Version::parse(version, Strictness::TwoDots).unwrap();
                    prop_assert!(!range.contains(&version, mode), "{range} holds {version}");
                }
            }
        }
    }
}
