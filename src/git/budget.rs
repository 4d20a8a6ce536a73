//! The memory that the work on all repositories may hold together.
//!
//! Who fills repositories must not be able to have the process killed. What eight works need at once, beside all else,
//! stays below the limit of the chart: each has a small part of its own, so that small ones always go on, and a large one is
//! put off where others have the rest.

use super::Error;
use super::libgit2::{Pool, bounded};

/// What libgit2 may hold for one work whatever others do, in bytes.
const OWN: usize = 4 << 20;

/// What all share beyond that: room for two contents of the size that libgit2 takes at most, and what they make.
const SHARED: usize = 144 << 20;

static POOL: Pool = Pool::new(SHARED, OWN);

/// Texts of so many bytes are held for one work whatever others do.
const OWN_TEXTS: usize = 2 << 20;

/// Runs work in which libgit2 holds no more than it may. Blocks.
///
/// # Errors
/// `Error::Crowded` where others hold too much of it, else as the work.
pub(super) fn within<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    within_bounds(OWN + SHARED, Some(&POOL), work)
}

/// As [`within`], with bounds of its own.
pub(super) fn within_bounds<T>(
    bytes: usize,
    pool: Option<&'static Pool>,
    work: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    match bounded(bytes, pool, work) {
        // That says nothing against the objects.
        (Err(_), true) => Err(Error::Crowded),
        (done, _) => done,
    }
}

/// Memory for texts, which counts as if libgit2 held it; given back when this is dropped.
#[derive(Debug, Default)]
pub struct Loan {
    held: usize,
    borrowed: usize,
}

impl Loan {
    /// Takes so many bytes more.
    ///
    /// # Errors
    /// `Error::Crowded` where others have them.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Error> {
        let held = self.held.saturating_add(bytes);
        let more = held.saturating_sub(OWN_TEXTS).saturating_sub(self.borrowed);
        if !POOL.lend(more) {
            return Err(Error::Crowded);
        }
        (self.held, self.borrowed) = (held, self.borrowed + more);
        Ok(())
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        POOL.take_back(self.borrowed);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::api::Reason;

    #[test]
    fn texts_are_put_off_while_others_hold_the_memory_and_small_ones_are_not() {
        let (mut large, mut small, mut other) = (Loan::default(), Loan::default(), Loan::default());
        // Other tests may hold some of it meanwhile; none holds half.
        large.grow(SHARED / 2).unwrap();
        small.grow(OWN_TEXTS).unwrap();
        assert_eq!(other.grow(SHARED / 2 + 3 * OWN_TEXTS).unwrap_err().reason(), Reason::MirrorFailed);
        drop(large);
        other.grow(SHARED / 2).unwrap();
    }
}
