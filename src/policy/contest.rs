//! The last step of a choice: among the tags that no rule is against, what their images are.

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::image::{ImageFacts, Tag};

use super::choose::{Choice, Chooser};
use super::explain::Refusal;
use super::rank::{Candidate, Rank};
use super::shortlist::Kept;
use super::{Need, Policy};

/// The most candidates whose platforms are looked at, from the best one down.
pub const MOST_LOOKS: usize = 32;

/// The most tags that may compete where the image of each must be looked at.
pub const MOST_CANDIDATES: usize = 2000;

/// What is known of the images that some tags name.
pub type Facts = BTreeMap<Tag, ImageFacts>;

/// A list that was read to its end. [`Contest::unknown`] says which images must be looked at before
/// [`Contest::decide`] can choose; of a policy that needs only tags, none.
#[derive(Debug)]
pub struct Contest<'p> {
    policy: &'p Policy,
    chooser: Chooser<'p>,
    /// The best first; by tags alone nobody is better with `newestBuild`.
    candidates: Vec<Kept>,
}

impl<'p> Contest<'p> {
    pub(super) fn new(policy: &'p Policy, chooser: Chooser<'p>, candidates: Vec<Kept>) -> Self {
        Self { policy, chooser, candidates }
    }

    /// How many tags compete, as far as the tags tell; never more than one above [`MOST_CANDIDATES`] where each image
    /// must be looked at.
    #[must_use]
    pub fn candidates(&self) -> usize {
        self.candidates.len()
    }

    /// The tags whose images must be known before one can be chosen: a better one may be among them.
    #[must_use]
    pub fn unknown(&self, facts: &Facts) -> Vec<Tag> {
        let is_unknown = |kept: &&Kept| !facts.contains_key(kept.tag());
        match self.policy.need() {
            Need::Nothing => Vec::new(),
            Need::BuildTimes => {
                self.candidates.iter().filter(is_unknown).map(|kept| kept.tag().clone()).collect()
            }
            Need::Platforms => {
                let mut best = self.candidates.iter().take(MOST_LOOKS);
                let first = best.find(|kept| {
                    let known = facts.get(kept.tag());
                    known.is_none_or(|facts| self.policy.first_missing_platform(facts).is_none())
                });
                first.filter(is_unknown).map(|kept| kept.tag().clone()).into_iter().collect()
            }
        }
    }

    /// Of the candidates whose images are known and fit, the one that was built last.
    #[must_use]
    pub fn newest(&self, facts: &Facts) -> Option<&Tag> {
        let fit = self.candidates.iter().filter_map(|kept| {
            let known = facts.get(kept.tag())?;
            let fits = self.policy.first_missing_platform(known).is_none();
            Some((known.built?, kept.tag())).filter(|_| fits)
        });
        fit.max().map(|(_, tag)| tag)
    }

    /// Chooses the best one that fits. An image that is not known is never passed over for a lesser one: it ends the
    /// search.
    #[must_use]
    pub fn decide(self, facts: &Facts) -> Choice {
        let Self { policy, mut chooser, candidates } = self;
        let candidates = match policy.need() {
            Need::Nothing => return chooser.end(facts),
            Need::Platforms => candidates,
            Need::BuildTimes => by_build_time(candidates, facts),
        };
        let mut is_over = false;
        for kept in &candidates {
            let refusal = match facts.get(kept.tag()) {
                Some(known) if policy.need() == Need::BuildTimes && known.built.is_none() => Refusal::Undated,
                Some(known) if policy.first_missing_platform(known).is_some() => Refusal::PlatformMissing,
                Some(_) | None if chooser.has_winner() => Refusal::Outranked,
                Some(_) if !is_over => {
                    chooser.crown(&kept.candidate());
                    continue;
                }
                Some(_) | None => {
                    is_over = true;
                    Refusal::NotLookedAt
                }
            };
            chooser.put_behind(&kept.candidate(), refusal);
        }
        chooser.end(facts)
    }
}

/// The candidates with their time as their rank, the newest first; those that are not known before all others, and
/// those that tell no time behind. Of one time the last in byte order comes first.
fn by_build_time(candidates: Vec<Kept>, facts: &Facts) -> Vec<Kept> {
    let mut ranked: Vec<(bool, Kept)> = candidates
        .into_iter()
        .map(|kept| {
            let known = facts.get(kept.tag());
            let time = known.and_then(|known| known.built);
            let dated = time.map(|time| Candidate::new(kept.tag().borrowed(), Some(Rank::Built(time))));
            let kept = match dated {
                Some(dated) => Kept::new(&dated, Refusal::Outranked),
                None => kept,
            };
            (known.is_none(), kept)
        })
        .collect();
    ranked.sort_by(|(one_unknown, one), (other_unknown, other)| match other_unknown.cmp(one_unknown) {
        Ordering::Equal => other.cmp(one),
        order => order,
    });
    ranked.into_iter().map(|(_, kept)| kept).collect()
}
