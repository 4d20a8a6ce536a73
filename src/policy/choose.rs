//! The choice itself: tags in, one by one and in any order; the winner and the reasons out.

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::api::Order;
use crate::image::{BuildTime, Tag, TagRef};

use super::contest::{Contest, Facts, MOST_CANDIDATES, MOST_LOOKS};
use super::explain::{self, Refusal, RefusedTag};
use super::filter::Groups;
use super::rank::Candidate;
use super::reason;
use super::shortlist::{Kept, Shortlist};
use super::{Need, Policy};

/// What was chosen from a list, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The chosen tag; `None` where no tag meets the rules.
    pub winner: Option<Winner>,
    /// Why this one, or why none, in words.
    pub reason: String,
    /// The tags that were not chosen: those that can be ranked in the order of preference, then the others in byte
    /// order. Those that a rule puts out, and with no bound also those that were only outranked.
    pub refused: Vec<RefusedTag>,
    /// How many tags the list has, repeated and malformed ones included.
    pub tags: u64,
    /// How many of them meet all rules.
    pub matching: u64,
    /// How many of them break the tag grammar; these are reported nowhere else.
    pub malformed: u64,
}

/// The chosen tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Winner {
    /// The tag as the registry spells it.
    pub tag: Tag,
    /// What was ranked: the version with all three numbers, the number, the text or the time of the build.
    pub version: String,
    /// When the image was built, where it was looked at and tells.
    pub built: Option<BuildTime>,
}

/// Takes the tags of a list one by one, in any order, and keeps only what the choice needs.
#[derive(Debug)]
pub struct Chooser<'p> {
    policy: &'p Policy,
    groups: Groups,
    winner: Option<Kept>,
    /// Where images must be looked at before one wins: the best of those that no rule of tags is against.
    candidates: Option<Shortlist>,
    /// What the reason tells of where there is no winner: of the tags that met the most rules, the one preferred.
    nearest: Option<Kept>,
    reports_outranked: bool,
    most_refused: usize,
    ranked: Shortlist,
    unranked: Shortlist,
    tally: Tally,
}

/// How many tags of each kind the list has.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) tags: u64,
    pub(super) malformed: u64,
    pub(super) matching: u64,
    refused: BTreeMap<Refusal, u64>,
}

impl Tally {
    pub(super) fn refused_by(&self, refusal: Refusal) -> u64 {
        self.refused.get(&refusal).copied().unwrap_or_default()
    }
}

impl<'p> Chooser<'p> {
    pub(super) fn new(policy: &'p Policy, most_refused: usize) -> Self {
        let candidates = match policy.need() {
            Need::Nothing => None,
            // What lies beyond is of interest only to one who wants to hear of every tag.
            Need::Platforms if most_refused == usize::MAX => Some(usize::MAX),
            Need::Platforms => Some(MOST_LOOKS),
            Need::BuildTimes => Some(MOST_CANDIDATES + 1),
        };
        Self {
            policy,
            groups: policy.filter.groups(),
            winner: None,
            candidates: candidates.map(|most| Shortlist::new(most, policy.scale.order())),
            nearest: None,
            reports_outranked: most_refused == usize::MAX,
            most_refused,
            ranked: Shortlist::new(most_refused, policy.scale.order()),
            unranked: Shortlist::new(most_refused, Order::Descending),
            tally: Tally::default(),
        }
    }

    /// Takes what stands in the list for a tag: one, or a text that is none.
    pub fn offer_text(&mut self, text: &str) {
        match TagRef::parse(text) {
            Some(tag) => self.offer(tag),
            None => {
                self.tally.tags += 1;
                self.tally.malformed += 1;
            }
        }
    }

    /// Takes tags that follow each other in the list.
    ///
    /// Most lists rise or fall as a whole. Begun at the preferred end, nearly every tag meets one that is preferred to it,
    /// and nothing of it needs to be kept.
    pub fn offer_all(&mut self, tags: &[TagRef<'_>]) {
        let prefers_later = self.policy.scale.order() == Order::Ascending;
        let rises = tags.first() < tags.last();
        let mut best = None;
        if rises == prefers_later {
            tags.iter().rev().for_each(|tag| self.judge(*tag, &mut best));
        } else {
            tags.iter().for_each(|tag| self.judge(*tag, &mut best));
        }
        if let Some(best) = best {
            self.compete(&best);
        }
    }

    /// Takes one tag of the list.
    pub fn offer(&mut self, tag: TagRef<'_>) {
        self.offer_all(&[tag]);
    }

    /// Judges one tag. What would only be outranked by `best`, and need not be told of, does not compete.
    #[inline]
    fn judge<'t>(&mut self, tag: TagRef<'t>, best: &mut Option<Candidate<'t>>) {
        self.tally.tags += 1;
        let (candidate, refusal) = self.policy.judge(tag, &mut self.groups);
        if let Some(refusal) = refusal {
            self.refuse(&candidate, refusal);
            return;
        }
        self.tally.matching += 1;
        if self.reports_outranked || self.candidates.is_some() {
            self.compete(&candidate);
        } else if best.as_ref().is_none_or(|best| self.policy.preference(&candidate, best).is_gt()) {
            *best = Some(candidate);
        }
    }

    /// Ends the list.
    #[must_use]
    pub fn finish(mut self) -> Contest<'p> {
        let candidates = self.candidates.take().map(Shortlist::into_best_first).unwrap_or_default();
        Contest::new(self.policy, self, candidates)
    }

    /// Makes the choice of what was found.
    pub(super) fn end(self, facts: &Facts) -> Choice {
        let policy = self.policy;
        let winner = self.winner.as_ref().map(Kept::candidate);
        let reason = reason::of(policy, &self.tally, winner, self.nearest.as_ref(), facts);
        let refused = self
            .ranked
            .into_best_first()
            .into_iter()
            .chain(self.unranked.into_best_first())
            .take(self.most_refused)
            .map(|kept| RefusedTag {
                rule: kept.refusal,
                message: explain::message(
                    policy,
                    kept.candidate(),
                    kept.refusal,
                    winner,
                    facts.get(kept.tag()),
                ),
                tag: kept.into_tag(),
            })
            .collect();
        let version = winner.as_ref().and_then(Candidate::rank).map(ToString::to_string);
        Choice {
            reason,
            refused,
            tags: self.tally.tags,
            matching: self.tally.matching,
            malformed: self.tally.malformed,
            winner: self.winner.map(|winner| {
                let known = facts.get(winner.tag());
                Winner {
                    version: version.unwrap_or_default(),
                    built: known.and_then(|known| known.built),
                    tag: winner.into_tag(),
                }
            }),
        }
    }

    pub(super) fn has_winner(&self) -> bool {
        self.winner.is_some()
    }

    /// Makes a candidate the winner.
    pub(super) fn crown(&mut self, candidate: &Candidate<'_>) {
        self.winner = Some(Kept::new(candidate, Refusal::Outranked));
    }

    /// Reports a candidate that did not win: one that is only outranked where all are reported.
    pub(super) fn put_behind(&mut self, candidate: &Candidate<'_>, refusal: Refusal) {
        match refusal {
            Refusal::Outranked => self.outrank(candidate),
            _ => self.refuse(candidate, refusal),
        }
    }

    fn compete(&mut self, candidate: &Candidate<'_>) {
        if let Some(candidates) = &mut self.candidates {
            candidates.offer(candidate, Refusal::Outranked);
            return;
        }
        let order = self
            .winner
            .as_ref()
            .map_or(Ordering::Greater, |winner| self.policy.preference(candidate, &winner.candidate()));
        match order {
            Ordering::Equal => {}
            Ordering::Less => self.outrank(candidate),
            Ordering::Greater => {
                if let Some(loser) = self.winner.replace(Kept::new(candidate, Refusal::Outranked)) {
                    self.outrank(&loser.candidate());
                }
            }
        }
    }

    fn outrank(&mut self, loser: &Candidate<'_>) {
        if self.reports_outranked {
            self.ranked.offer(loser, Refusal::Outranked);
        }
    }

    pub(super) fn refuse(&mut self, candidate: &Candidate<'_>, refusal: Refusal) {
        *self.tally.refused.entry(refusal).or_default() += 1;
        let is_nearest = self.winner.is_none()
            && self.nearest.as_ref().is_none_or(|nearest| {
                let by_rule = refusal.cmp(&nearest.refusal);
                let order = by_rule.then_with(|| self.policy.preference(candidate, &nearest.candidate()));
                order.is_gt()
            });
        if is_nearest {
            self.nearest = Some(Kept::new(candidate, refusal));
        }
        match candidate.rank() {
            Some(_) => self.ranked.offer(candidate, refusal),
            None => self.unranked.offer(candidate, refusal),
        }
    }
}
