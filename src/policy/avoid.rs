//! What is never chosen, by `avoid`.

use crate::image::Tag;

use super::InvalidPolicy;
use super::filter::Filter;
use super::range::{Prereleases, Range};
use super::rank::{OwnedRank, Rank};
use super::scale::Scale;
use super::version::Version;

/// The most entries.
const MOST_ENTRIES: usize = 64;

/// The longest entry, in bytes.
const MOST_BYTES: usize = 256;

/// The entries of `avoid`.
#[derive(Clone, Debug)]
pub(super) struct Avoid {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    spelled: Box<str>,
    meaning: Meaning,
}

#[derive(Clone, Debug)]
enum Meaning {
    /// Every tag of this rank: the tag spelled so, and the same version under another spelling.
    Rank(OwnedRank),
    /// A tag that the policy cannot rank, so that it never competes anyway.
    Unranked,
    /// Every version in the range; pre-releases as well, since the one who avoids a range wants none of it.
    Range(Range),
}

impl Avoid {
    /// An entry is the first of these that it can be: a tag that the policy can rank, a range of versions, a tag.
    ///
    /// So `1.4` is the version 1.4.0 to a lenient policy; to any other it is no version, and means the range `1.4.x`.
    pub(super) fn compile(avoid: &[String], filter: &Filter, scale: &Scale) -> Result<Self, InvalidPolicy> {
        if avoid.len() > MOST_ENTRIES {
            let problem =
                format!("it has more than {MOST_ENTRIES} entries; write ranges instead of single tags");
            return Err(InvalidPolicy::new("spec.avoid", problem));
        }
        let entries = avoid
            .iter()
            .enumerate()
            .map(|(index, text)| {
                let meaning = Meaning::read(text, filter, scale)
                    .map_err(|problem| InvalidPolicy::new(format!("spec.avoid[{index}]"), problem))?;
                let spelled = text.as_str().into();
                Ok(Entry { spelled, meaning })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { entries })
    }

    /// The first entry that covers a rank, with its place in the list.
    #[inline]
    pub(super) fn entry_for(&self, rank: &Rank<'_>) -> Option<(usize, &str)> {
        self.entries
            .iter()
            .enumerate()
            .find(|(_, entry)| entry.meaning.covers(rank))
            .map(|(index, entry)| (index, &*entry.spelled))
    }

    /// The entries that put nothing out, since what they name would not be chosen anyway, with their places in the list.
    pub(super) fn idle(&self, scale: &Scale) -> Vec<(usize, &str)> {
        let entries = self.entries.iter().enumerate().filter(|(_, entry)| entry.meaning.is_idle(scale));
        entries.map(|(index, entry)| (index, &*entry.spelled)).collect()
    }
}

impl Meaning {
    fn covers(&self, rank: &Rank<'_>) -> bool {
        match (self, rank) {
            (Self::Rank(avoided), rank) => avoided.borrow() == *rank,
            (Self::Range(range), Rank::Version(version)) => range.contains(version, Prereleases::All),
            (Self::Range(_), Rank::Calver(_) | Rank::Number(_) | Rank::Text(_) | Rank::Built(_))
            | (Self::Unranked, _) => false,
        }
    }

    fn is_idle(&self, scale: &Scale) -> bool {
        match (self, scale) {
            (Self::Unranked, _) => true,
            (Self::Rank(rank), scale) => scale.refusal(&rank.borrow()).is_some(),
            (Self::Range(avoided), Scale::Semver(semver)) => {
                let samples = [avoided.samples(), semver.range.samples()].concat();
                !samples.iter().map(Version::from).any(|version| {
                    avoided.contains(&version, Prereleases::All) && semver.refusal(&version).is_none()
                })
            }
            (
                Self::Range(_),
                Scale::Calver(_)
                | Scale::Numerical(_)
                | Scale::Alphabetical(_)
                | Scale::NewestBuild
                | Scale::Follow(_),
            ) => false,
        }
    }

    fn read(text: &str, filter: &Filter, scale: &Scale) -> Result<Self, String> {
        if text.is_empty() || text.len() > MOST_BYTES {
            return Err(format!("it must have 1 to {MOST_BYTES} bytes; write a tag or a range"));
        }
        let is_tag = Tag::is_valid(text);
        let ranked_text = filter.ranked_text(text, &mut filter.groups()).unwrap_or(text);
        match (scale, scale.read(ranked_text)) {
            (Scale::Semver(_) | Scale::Calver(_) | Scale::Numerical(_), Some(rank)) => {
                Ok(Self::Rank((&rank).into()))
            }
            (Scale::Alphabetical(_) | Scale::NewestBuild | Scale::Follow(_), Some(rank)) if is_tag => {
                Ok(Self::Rank((&rank).into()))
            }
            (Scale::Semver(_), None) => match Range::parse(text) {
                Ok(range) => Ok(Self::Range(range)),
                Err(_) if is_tag => Ok(Self::Unranked),
                Err(error) => Err(format!("{text:?} is neither a tag nor a range: {error}")),
            },
            (
                Scale::Calver(_)
                | Scale::Numerical(_)
                | Scale::Alphabetical(_)
                | Scale::NewestBuild
                | Scale::Follow(_),
                _,
            ) if is_tag => Ok(Self::Unranked),
            (
                Scale::Calver(_)
                | Scale::Numerical(_)
                | Scale::Alphabetical(_)
                | Scale::NewestBuild
                | Scale::Follow(_),
                _,
            ) => Err(format!("{text:?} is no tag; write tags, since ranges are for select.semver only")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Order;
    use crate::policy::fixture::{
        alphabetical, avoiding, filtered, lenient, numerical, policy, semver, winner, with_prereleases,
    };
    use crate::policy::version::Strictness;

    #[test]
    fn an_avoided_version_is_avoided_under_all_its_spellings() {
        let tags = ["1.4.1", "v1.4.2", "1.4.2", "1.4.2_1"];
        for (entry, expected) in [
            ("1.4.2", "1.4.2_1"),
            ("v1.4.2", "1.4.2_1"),
            ("1.4.2_1", "v1.4.2"),
            ("1.4.2+1", "v1.4.2"),
            ("=1.4.2", "1.4.1"),
        ] {
            let spec = avoiding(semver("*"), &[entry]);
            assert_eq!(winner(&spec, &tags).as_deref(), Some(expected), "{entry}");
        }
    }

    #[test]
    fn an_avoided_range_takes_its_prereleases_with_it() {
        let spec = avoiding(with_prereleases("*"), &["9.9.9", ">=1.5.0-rc.0 <1.5.1", "2.0.0 - 2.1.0"]);
        let tags = ["1.4.9", "1.5.0-rc.1", "1.5.0", "2.0.5-rc.1", "2.0.5"];
        assert_eq!(winner(&spec, &tags).as_deref(), Some("1.4.9"));
        let avoided = Rank::Version(Version::parse("1.5.0-rc.1", Strictness::TwoDots).unwrap());
        let entry = policy(&spec).avoid.entry_for(&avoided).map(|(index, entry)| (index, entry.to_owned()));
        assert_eq!(entry, Some((1, ">=1.5.0-rc.0 <1.5.1".to_owned())));
    }

    #[test]
    fn a_partial_in_avoid_is_a_range_unless_it_is_a_version_to_the_policy() {
        let tags = ["1.3.9", "1.4.0", "1.4.7"];
        for entry in ["1.4", "1.4.x", "v1.4"] {
            assert_eq!(winner(&avoiding(semver("*"), &[entry]), &tags).as_deref(), Some("1.3.9"), "{entry}");
        }
        assert_eq!(winner(&avoiding(lenient("*"), &["1.4"]), &tags[..2]).as_deref(), Some("1.3.9"));
        assert_eq!(winner(&avoiding(lenient("*"), &["1.4"]), &tags).as_deref(), Some("1.4.7"));
    }

    #[test]
    fn avoid_reads_an_entry_as_the_filter_reads_a_tag() {
        let spec = filtered(semver("*"), "^v(?<version>.+)-alpine$", &[]);
        let tags = ["v1.4.1-alpine", "v1.4.2-alpine"];
        for entry in ["1.4.2", "v1.4.2-alpine", "1.4.2 - 1.5.0"] {
            let spec = avoiding(spec.clone(), &[entry]);
            assert_eq!(winner(&spec, &tags).as_deref(), Some("v1.4.1-alpine"), "{entry}");
        }
    }

    #[test]
    fn avoid_works_for_numbers_and_text() {
        let spec = avoiding(numerical(Order::Ascending), &["0012"]);
        assert_eq!(winner(&spec, &["11", "12", "12.0"]).as_deref(), Some("11"));
        let spec = avoiding(alphabetical(Order::Ascending), &["b"]);
        assert_eq!(winner(&spec, &["a", "b"]).as_deref(), Some("a"));
    }
}
