//! The best few of many, in little memory.

use std::cmp::Ordering;
use std::collections::BTreeSet;

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
    /// `None` where the candidate's tag breaks the tag grammar.
    pub(super) fn new(candidate: Candidate<'_>, refusal: Refusal) -> Option<Self> {
        Some(Self {
            tag: Tag::parse(candidate.tag()).ok()?,
            rank: candidate.rank().map(OwnedRank::from),
            refusal,
        })
    }

    pub(super) fn candidate(&self) -> Candidate<'_> {
        Candidate::new(self.tag.as_str(), self.rank.as_ref().map(OwnedRank::borrow))
    }

    pub(super) fn tag(&self) -> &Tag {
        &self.tag
    }

    pub(super) fn into_tag(self) -> Tag {
        self.tag
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.candidate() == other.candidate()
    }
}

impl Eq for Kept {}

impl PartialOrd for Kept {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Kept {
    fn cmp(&self, other: &Self) -> Ordering {
        self.candidate().cmp(&other.candidate())
    }
}

/// Keeps the best of the tags it is offered, each once, and no more than a given number.
#[derive(Debug)]
pub(super) struct Shortlist {
    most: usize,
    order: Order,
    kept: BTreeSet<Kept>,
}

impl Shortlist {
    /// Ascending keeps the highest, Descending the lowest.
    pub(super) fn new(most: usize, order: Order) -> Self {
        Self { most, order, kept: BTreeSet::new() }
    }

    /// Whether a candidate would be kept. Allocates nothing.
    fn wants(&self, candidate: Candidate<'_>) -> bool {
        if self.kept.len() < self.most {
            return true;
        }
        match self.order {
            Order::Ascending => self.kept.first().is_some_and(|worst| candidate > worst.candidate()),
            Order::Descending => self.kept.last().is_some_and(|worst| candidate < worst.candidate()),
        }
    }

    pub(super) fn offer(&mut self, candidate: Candidate<'_>, refusal: Refusal) {
        if self.wants(candidate)
            && let Some(kept) = Kept::new(candidate, refusal)
        {
            self.kept.insert(kept);
            if self.kept.len() > self.most {
                match self.order {
                    Order::Ascending => self.kept.pop_first(),
                    Order::Descending => self.kept.pop_last(),
                };
            }
        }
    }

    /// The kept tags, the best first.
    pub(super) fn into_best_first(self) -> Vec<Kept> {
        let mut kept: Vec<Kept> = self.kept.into_iter().collect();
        match self.order {
            Order::Ascending => kept.reverse(),
            Order::Descending => {}
        }
        kept
    }
}
