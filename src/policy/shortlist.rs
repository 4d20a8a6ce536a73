//! The best few of many, in little memory.

use std::cmp::Ordering;

use crate::api::Order;
use crate::image::Tag;

use super::explain::Refusal;
use super::rank::{Candidate, OwnedRank};

/// A tag that outlived the list it was in. Order and equality are those of its candidate.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    tag: Tag,
    rank: Option<OwnedRank>,
    pub(super) refusal: Refusal,
}

impl Kept {
    #[inline]
    pub(super) fn new(candidate: &Candidate<'_>, refusal: Refusal) -> Self {
        Self { tag: candidate.to_tag(), rank: candidate.rank().map(OwnedRank::from), refusal }
    }

    #[inline]
    pub(super) fn candidate(&self) -> Candidate<'_> {
        Candidate::new(self.tag.borrowed(), self.rank.as_ref().map(OwnedRank::borrow))
    }

    pub(super) fn tag(&self) -> &Tag {
        &self.tag
    }

    pub(super) fn into_tag(self) -> Tag {
        self.tag
    }
}

impl PartialEq for Kept {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.candidate() == other.candidate()
    }
}

impl Eq for Kept {}

impl PartialOrd for Kept {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Kept {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.candidate().cmp(&other.candidate())
    }
}

/// Keeps the best of the tags it is offered, each once, and no more than a given number.
///
/// Up to twice as many are held: to put them in order once for many is cheaper than to find each its place, and a list
/// that rises brings a better one with every tag.
#[derive(Debug)]
pub(super) struct Shortlist {
    most: usize,
    order: Order,
    held: Vec<Kept>,
    /// Whether `held` begins with the worst of the best, beside which all others were too bad.
    is_full: bool,
}

impl Shortlist {
    /// Ascending keeps the highest, Descending the lowest.
    pub(super) fn new(most: usize, order: Order) -> Self {
        Self { most, order, held: Vec::new(), is_full: false }
    }

    #[inline]
    pub(super) fn offer(&mut self, candidate: &Candidate<'_>, refusal: Refusal) {
        if !self.wants(candidate) {
            return;
        }
        self.held.push(Kept::new(candidate, refusal));
        if self.held.len() >= self.most.saturating_mul(2) {
            self.prune();
        }
    }

    /// Whether a candidate may be among the best.
    #[inline]
    fn wants(&self, candidate: &Candidate<'_>) -> bool {
        let worst = self.held.first().filter(|_| self.is_full);
        self.most > 0
            && worst.is_none_or(|worst| match self.order {
                Order::Ascending => *candidate > worst.candidate(),
                Order::Descending => *candidate < worst.candidate(),
            })
    }

    /// Leaves the best, the worst of them first: so a list that rises needs little sorting.
    fn prune(&mut self) {
        match self.order {
            Order::Ascending => self.held.sort_unstable(),
            Order::Descending => self.held.sort_unstable_by(|one, other| other.cmp(one)),
        }
        self.held.dedup();
        self.held.drain(..self.held.len().saturating_sub(self.most));
        self.is_full = self.held.len() == self.most;
    }

    /// The kept tags, the best first.
    pub(super) fn into_best_first(mut self) -> Vec<Kept> {
        self.prune();
        self.held.reverse();
        self.held
    }
}
