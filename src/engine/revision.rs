//! Which version of which spec a piece of work was begun for.

use std::sync::atomic::{AtomicU64, Ordering};

/// One version of one object's spec. No two of a process are the same: an object made anew under an old name is another
/// one, whatever it says. The later one is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Revision(u64);

impl Revision {
    /// One that was never there before.
    pub(super) fn next() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Self(COUNT.fetch_add(1, Ordering::Relaxed))
    }
}
