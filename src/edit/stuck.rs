//! Digests that can not be written, beside which no tag moves.

use super::{Obstacle, Part, Site};

/// Such a digest.
pub(super) struct Stuck<'s> {
    line: u64,
    obstacle: &'s Obstacle,
}

impl<'s> Stuck<'s> {
    /// A site, where it is one.
    pub(super) fn of(site: &'s Site) -> Option<Self> {
        let obstacle = site.obstacle.as_deref().filter(|_| site.part == Part::Digest)?;
        Some(Self { line: site.line, obstacle })
    }

    /// What keeps a tag beside it from being written.
    pub(super) fn hinders(&self) -> Obstacle {
        Obstacle {
            reason: self.obstacle.reason,
            message: format!(
                "the digest in line {} can not be written, and tag and digest move together; {}",
                self.line, self.obstacle.message
            ),
        }
    }
}
