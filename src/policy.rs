//! Which tag wins: from a list of tags to one of them, and for the others the rule that put each out.
//!
//! ```text
//! tag ──► filter ──► scale ──► range ──► avoid ──► the best by rank ──► contest
//!         compete    what is   where     never     total order, so that  what the images
//!         at all?    ranked    it may lie chosen   no list order matters  are, if asked for
//! ```
//!
//! [`compile`] checks a spec once; [`Policy::chooser`] then takes tags one by one and keeps only what the choice
//! needs; [`Contest`] asks for what must be known of images, and chooses. [`guess`] goes the other way: from tags in use
//! to a rule.
//! docs/choosing.md tells the rules with examples.

mod avoid;
mod calver;
mod choose;
mod compile;
mod contest;
#[cfg(test)]
mod documented;
mod explain;
mod filter;
#[cfg(test)]
mod fixture;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod guess;
mod lint;
mod number;
#[cfg(test)]
mod properties;
mod range;
mod rank;
mod reason;
mod scale;
mod shortlist;
mod version;

use std::cmp::Ordering;
use std::time::Duration;

use crate::api::{Downgrade, Order, Pin};
use crate::image::{ImageFacts, ImageName, Platform, Tag, TagRef};

use self::avoid::Avoid;
use self::filter::{Filter, Groups};
use self::rank::{Candidate, Rank};
use self::scale::Scale;
use self::version::{Strictness, Version};

pub use self::choose::{Choice, Chooser, Winner};
pub use self::compile::{InvalidPolicy, compile};
pub use self::contest::{Contest, Facts, MOST_CANDIDATES};
pub use self::explain::{Refusal, RefusedTag};
pub use self::guess::{Kind, Majors, Series, guess};
pub use self::lint::{Advice, PolicyRule};

/// An `ImagePolicySpec` that was found valid, ready to choose.
#[derive(Clone, Debug)]
pub struct Policy {
    image: ImageName,
    interval: Duration,
    pin: Option<Pin>,
    downgrade: Downgrade,
    filter: Filter,
    scale: Scale,
    avoid: Avoid,
    platforms: Vec<Platform>,
}

/// What a policy must know besides the tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// The platforms of the best candidates.
    Platforms,
    /// When the images of all candidates were built.
    BuildTimes,
}

/// What one tag is beside another in a policy's order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is preferred.
    Higher,
    /// It is the same version, build included, under another or the same spelling: no change.
    Alias,
    /// The other is preferred.
    Lower,
    /// One of them cannot be ranked by this policy, such as `latest` by a range of versions.
    Unranked,
}

impl Policy {
    /// The image whose tags are chosen from.
    #[must_use]
    pub fn image(&self) -> &ImageName {
        &self.image
    }

    /// How often the registry is asked; at least a second.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// What must be known besides the tags.
    #[must_use]
    pub fn need(&self) -> Need {
        match self.scale {
            Scale::NewestBuild => Need::BuildTimes,
            Scale::Semver(_)
            | Scale::Calver(_)
            | Scale::Numerical(_)
            | Scale::Alphabetical(_)
            | Scale::Follow(_) => {
                if self.platforms.is_empty() {
                    Need::Nothing
                } else {
                    Need::Platforms
                }
            }
        }
    }

    /// The one tag that can be chosen, where the policy follows one: no list is needed then.
    #[must_use]
    pub fn followed(&self) -> Option<&Tag> {
        if let Scale::Follow(tag) = &self.scale { Some(tag) } else { None }
    }

    /// What is written where a marker stands; `None` leaves it to the marker.
    #[must_use]
    pub fn pin(&self) -> Option<Pin> {
        self.pin
    }

    /// Whether the choice may go below what Git holds.
    #[must_use]
    pub fn downgrade(&self) -> Downgrade {
        self.downgrade
    }

    /// How the choice is made, in words: `>=1.4.0 <2.0.0`, `highest number`.
    #[must_use]
    pub fn rule(&self) -> String {
        self.scale.rule()
    }

    /// What `chosen` is beside `held`. Only ranks count: neither exclusion nor range nor `avoid` does, so that a held
    /// tag that is no longer admitted still keeps the choice from going below it.
    #[must_use]
    pub fn standing(&self, held: &str, chosen: &str) -> Standing {
        if held == chosen {
            return Standing::Alias;
        }
        let (Some(held), Some(chosen)) = (self.rank(held), self.rank(chosen)) else {
            return if self.reads_higher(held, chosen) { Standing::Lower } else { Standing::Unranked };
        };
        match self.preference(&chosen, &held) {
            Ordering::Greater => Standing::Higher,
            Ordering::Equal => Standing::Alias,
            Ordering::Less => Standing::Lower,
        }
    }

    /// Whether a tag is of the kind that is chosen from: `tags.include` admits it, and it has a rank. Where tags have none,
    /// all are of it. What reads as a pre-release, which most flavours do (`8.0.3-alpine`), is of it only where
    /// pre-releases are chosen from: no rule tells `alpine` from `rc`.
    #[must_use]
    pub fn is_akin(&self, tag: &str) -> bool {
        let part = self.filter.ranked_text(tag, &mut self.filter.groups());
        match self.scale {
            Scale::NewestBuild | Scale::Follow(_) => true,
            Scale::Semver(_) | Scale::Calver(_) | Scale::Numerical(_) | Scale::Alphabetical(_) => {
                let rank = part.and_then(|part| self.scale.read(part));
                rank.is_some_and(|rank| self.scale.ever_admits(&rank))
            }
        }
    }

    /// Starts a choice that reports at most `most_refused` refused tags. With `usize::MAX` it also reports every tag
    /// that was only outranked; any other number bounds the memory that the choice takes, however long the list is.
    #[must_use]
    pub fn chooser(&self, most_refused: usize) -> Chooser<'_> {
        Chooser::new(self, most_refused)
    }

    /// The rank of a tag whether or not it competes. A version or number that `include` does not match is read whole;
    /// text is not, because any text would have a rank then.
    fn rank<'t>(&self, tag: &'t str) -> Option<Rank<'t>> {
        let part = self.filter.ranked_text(tag, &mut self.filter.groups());
        match (&self.scale, part) {
            (Scale::NewestBuild, _) | (Scale::Alphabetical(_), None) => None,
            (_, Some(part)) => self.scale.read(part),
            (Scale::Semver(_) | Scale::Calver(_) | Scale::Numerical(_) | Scale::Follow(_), None) => {
                self.scale.read(tag)
            }
        }
    }

    /// Whether a held tag that the policy can not rank still reads as a version above the chosen one: `9` above `8.1.0`,
    /// `2026.1` above `2025.12`. It never makes a tag lower or equal: `1` may stand for any `1.x.y`.
    fn reads_higher(&self, held: &str, chosen: &str) -> bool {
        match self.scale {
            Scale::Semver(_) | Scale::Calver(_) => {
                let [held, chosen] = [held, chosen].map(|tag| Version::parse(tag, Strictness::Lenient));
                held.zip(chosen).is_some_and(|(held, chosen)| held > chosen)
            }
            Scale::Numerical(_) | Scale::Alphabetical(_) | Scale::NewestBuild | Scale::Follow(_) => false,
        }
    }

    /// Greater where `one` is preferred.
    #[inline]
    fn preference<T: Ord>(&self, one: &T, other: &T) -> Ordering {
        match self.scale.order() {
            Order::Ascending => one.cmp(other),
            Order::Descending => other.cmp(one),
        }
    }

    /// The first of the wanted platforms that an image does not exist for.
    fn first_missing_platform(&self, facts: &ImageFacts) -> Option<&Platform> {
        self.platforms.iter().find(|wanted| !facts.platforms.iter().any(|has| has.is(wanted)))
    }

    /// What is ranked of a tag, also of one that a rule puts out, which tells how near it was; and the first such rule.
    #[inline]
    fn judge<'t>(&self, tag: TagRef<'t>, groups: &mut Groups) -> (Candidate<'t>, Option<Refusal>) {
        let part = self.filter.ranked_text(tag.as_str(), groups);
        let candidate = Candidate::new(tag, self.scale.read(part.unwrap_or(tag.as_str())));
        let refusal = match candidate.rank() {
            _ if part.is_none() => Some(Refusal::NotIncluded),
            _ if self.filter.excludes(tag.as_str()) => Some(Refusal::Excluded),
            None => Some(self.scale.unread()),
            Some(rank) => self.scale.refusal(rank).or_else(|| {
                let is_avoided = self.avoid.entry_for(rank).is_some();
                is_avoided.then_some(Refusal::Avoided)
            }),
        };
        (candidate, refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::Standing::{Alias, Higher, Lower, Unranked};
    use super::fixture::{
        alphabetical, avoiding, calver, filtered, numerical, policy, semver, with_prereleases,
    };
    use super::*;

    #[test]
    fn a_flavour_is_akin_only_where_prereleases_are_chosen_from() {
        let releases = policy(&semver(">=1.0.0 <2.0.0"));
        for (tag, is_akin) in [
            ("1.0.3", true),
            ("v9.0.0", true),
            ("1.0.3_2", true),
            ("1.0.3-alpine", false),
            ("9.0.0-alpine3.19", false),
            ("1.0.3-debian-12-r3", false),
            ("1.0.3-rc.1", false),
            ("main-3f2a91c", false),
        ] {
            assert_eq!(releases.is_akin(tag), is_akin, "{tag}");
        }
        for spec in [with_prereleases("1.x"), semver(">=1.0.0-0 <2.0.0"), semver("2.x || >=1.0.0-0 <2.0.0")] {
            assert!(policy(&spec).is_akin("1.0.3-rc.1"), "{spec:?}");
        }
        let alpine = policy(&filtered(semver("*"), "^(?<version>.+)-alpine$", &[]));
        assert_eq!((alpine.is_akin("1.0.3-alpine"), alpine.is_akin("1.0.3")), (true, false));
    }

    #[test]
    fn standing_is_what_the_chosen_tag_is_beside_the_held_one() {
        let by_version = policy(&semver("1.x"));
        let by_date = policy(&calver("YYYY.0M"));
        let by_number = policy(&numerical(Order::Ascending));
        let by_lowest_number = policy(&numerical(Order::Descending));
        let by_text = policy(&alphabetical(Order::Ascending));
        for (policy, held, chosen, standing) in [
            (&by_version, "1.2.3", "1.2.4", Higher),
            (&by_version, "1.2.3", "v1.2.3", Alias),
            (&by_version, "1.2.3", "1.2.3_1", Higher),
            (&by_version, "1.2.3", "1.2.3-rc.1", Lower),
            (&by_version, "2.0.0", "1.9.9", Lower),
            (&by_version, "latest", "1.9.9", Unranked),
            (&by_version, "1.2", "1.9.9", Unranked),
            (&by_version, "1.9", "1.8.5", Lower),
            (&by_version, "v2", "1.9.9", Lower),
            (&by_version, "2-alpine", "1.9.9", Lower),
            (&by_version, "1.9.9.1", "1.9.9", Unranked),
            (&by_date, "2026.1", "2025.12", Lower),
            (&by_date, "2025.1", "2025.12", Unranked),
            (&by_version, "latest", "latest", Alias),
            (&by_number, "9", "10", Higher),
            (&by_number, "9", "9.0", Alias),
            (&by_number, "1.2.3", "9", Unranked),
            (&by_lowest_number, "9", "10", Lower),
            (&by_text, "a", "b", Higher),
            (&by_text, "b", "a", Lower),
        ] {
            assert_eq!(policy.standing(held, chosen), standing, "{held} and then {chosen}");
        }
    }

    #[test]
    fn a_held_tag_that_is_no_longer_admitted_still_has_a_standing() {
        let spec = filtered(avoiding(semver("1.x"), &["1.9.0"]), "^v(?<version>.+)$", &["^v1[.]8"]);
        for held in ["v1.9.0", "v1.8.0", "v2.0.0", "1.7.0"] {
            assert_eq!(policy(&spec).standing(held, "v1.6.0"), Lower, "{held}");
        }
    }

    #[test]
    fn text_that_include_does_not_match_has_no_standing() {
        let policy = policy(&filtered(alphabetical(Order::Ascending), "^main-(?<version>[0-9]+)", &[]));
        assert_eq!(policy.standing("zeta", "main-1"), Unranked);
        assert_eq!(policy.standing("main-1-abc", "main-2-abc"), Higher);
        assert_eq!(policy.standing("main-2-abc", "main-2-def"), Alias);
    }
}
