//! Mirrors that nobody needs any more.

use std::collections::HashSet;
use std::fs::{File, read_dir, remove_dir_all};
use std::path::{Path, PathBuf};

/// How many letters the name of a mirror's folder has: they are hexadecimal digits, and `engine` makes them.
const MIRROR_NAME: usize = 24;

/// Removes the mirrors in `folder` that are not among `needed`, and that no process holds. Blocks. What can not be removed
/// is left for the next time; what is no mirror is never touched.
pub fn remove_mirrors_except(folder: &Path, needed: &HashSet<PathBuf>) {
    let Ok(entries) = read_dir(folder) else { return };
    for dir in entries.flatten().map(|entry| entry.path()) {
        if needed.contains(&dir) || !is_mirror(&dir) {
            continue;
        }
        // Only who holds the lock may remove it. The lock's file stays: another process may wait at it.
        let lock = File::options().write(true).open(dir.with_extension("lock"));
        if lock.is_ok_and(|lock| lock.try_lock().is_ok() && remove_dir_all(&dir).is_ok()) {
            tracing::debug!(mirror = %dir.display(), "removed a mirror that no object needs");
        }
    }
}

fn is_mirror(dir: &Path) -> bool {
    let is_named_so = |name: &str| name.len() == MIRROR_NAME && name.bytes().all(|b| b.is_ascii_hexdigit());
    dir.file_name().and_then(|name| name.to_str()).is_some_and(is_named_so)
        && dir.is_dir()
        && !dir.is_symlink()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::mirror::Mirror;

    #[test]
    fn a_mirror_that_is_neither_needed_nor_held_is_removed_and_nothing_else() {
        let cache = tempfile::tempdir().unwrap();
        let at = |digit: &str| cache.path().join(digit.repeat(MIRROR_NAME));
        let held = Mirror::open(at("a")).unwrap();
        for dir in [at("b"), at("c"), cache.path().join("hooks")] {
            drop(Mirror::open(dir).unwrap());
        }
        std::fs::create_dir(at("d")).unwrap();
        let left = || {
            let entries = read_dir(cache.path()).unwrap().map(|entry| entry.unwrap().path());
            let mut dirs: Vec<_> = entries.filter(|path| path.is_dir()).collect();
            dirs.sort();
            dirs
        };
        let needed = HashSet::from([at("b")]);
        remove_mirrors_except(cache.path(), &needed);
        assert_eq!(left(), [at("a"), at("b"), at("d"), cache.path().join("hooks")]);
        drop(held);
        remove_mirrors_except(cache.path(), &needed);
        assert_eq!(left(), [at("b"), at("d"), cache.path().join("hooks")]);
        assert!(Mirror::open(at("c")).is_ok(), "it may be needed again");
    }
}
