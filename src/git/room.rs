//! The room on disk that the mirrors of all repositories may take together.

use std::fs::read_dir;
use std::path::{Path, PathBuf};

/// A mirror may take so many bytes whatever others do, so that small repositories go on where large ones fill the room.
const OWN: u64 = 8 << 20;

/// The room of all mirrors in one folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    all: u64,
}

impl Default for Room {
    fn default() -> Self {
        Self::of_cache(2 << 30)
    }
}

impl Room {
    /// What mirrors may take in a cache of so many bytes: three quarters of it. The rest is for those that are small, and for
    /// what several bring at the same moment.
    #[must_use]
    pub const fn of_cache(bytes: u64) -> Self {
        Self { all: bytes / 4 * 3 }
    }

    /// What one mirror may take, in bytes.
    pub(super) const fn of_one(self) -> u64 {
        self.all / 4
    }

    /// Whether a mirror that takes so many bytes may take more beside all others in the folder.
    pub(super) fn has_left(self, mirrors: &Path, bytes: u64) -> bool {
        let dirs = || read_dir(mirrors).into_iter().flatten().flatten();
        bytes <= OWN || dirs().map(|dir| size_of_packs(&dir.path())).sum::<u64>() <= self.all
    }
}

/// Where a mirror's packs are.
pub(super) fn pack_folder(mirror: &Path) -> PathBuf {
    mirror.join("objects").join("pack")
}

/// The bytes of a mirror's packs, and of one that comes in.
pub(super) fn size_of_packs(mirror: &Path) -> u64 {
    let entries = read_dir(pack_folder(mirror)).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
}
