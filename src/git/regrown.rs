//! A tree in which some files have other contents, and every other byte is as it was.
//!
//! Trees are written as the bytes that they are: libgit2's own builder puts entries in order and modes into its own few, so
//! that what people committed with an old Git, such as the mode 100664, would come out as something else.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use git2::{ObjectType, Oid, Repository};

use super::Error;
use super::snapshot::is_honest;

/// The bytes of an id in a tree.
const ID: usize = 20;

/// Writes the tree that differs from `tree` by these blobs, and its folders that differ; gives its id. What is written is
/// added to `written`. The files must be there: none is made, and no link or submodule is written over. Blocks.
///
/// # Errors
/// `Error::Objects` where a path leads to no file, or an object can not be read or written.
pub(super) fn regrown(
    repository: &Repository,
    tree: Oid,
    blobs: &[(&str, Oid)],
    written: &mut BTreeSet<Oid>,
) -> Result<Oid, Error> {
    let failed = |source| Error::objects("written", source);
    let odb = repository.odb().map_err(failed)?;
    let mut bytes = odb.read(tree).map_err(failed)?.data().to_vec();
    let mut by_name: BTreeMap<&str, Vec<(&str, Oid)>> = BTreeMap::new();
    let mut ids = Vec::new();
    for (path, blob) in blobs {
        match path.split_once('/') {
            Some((folder, rest)) => by_name.entry(folder).or_default().push((rest, *blob)),
            None => ids.push((entry(&bytes, path, is_file)?, *blob)),
        }
    }
    for (folder, blobs) in by_name {
        let place = entry(&bytes, folder, is_folder)?;
        let before = bytes.get(place.clone()).and_then(|id| Oid::from_bytes(id).ok());
        let before = before.ok_or_else(|| no_such(folder))?;
        ids.push((place, regrown(repository, before, &blobs, written)?));
    }
    for (place, id) in ids {
        bytes.get_mut(place).ok_or_else(|| no_such(""))?.copy_from_slice(id.as_bytes());
    }
    let id = odb.write(ObjectType::Tree, &bytes).map_err(failed)?;
    written.insert(id);
    Ok(id)
}

/// Where the id of the one entry of this name stands: each entry is its mode, a space, its name, a zero and the id, as
/// Git's own `tree-walk.c` reads it.
fn entry(tree: &[u8], name: &str, is_meant: fn(u32) -> bool) -> Result<Range<usize>, Error> {
    let (mut at, mut found) = (0, None);
    while let Some(rest) = tree.get(at..).filter(|rest| !rest.is_empty()) {
        let space = rest.iter().position(|byte| *byte == b' ').ok_or_else(|| no_such(name))?;
        let end = rest.iter().position(|byte| *byte == 0).filter(|end| *end > space);
        let end = end.ok_or_else(|| no_such(name))?;
        let (id, own) = (at + end + 1, rest.get(space + 1..end));
        if own == Some(name.as_bytes()) {
            let mode = rest.get(..space).and_then(|mode| std::str::from_utf8(mode).ok());
            let mode = mode.and_then(|mode| u32::from_str_radix(mode, 8).ok()).unwrap_or_default();
            if found.is_some() || !is_meant(mode) || !is_honest(name) {
                return Err(no_such(name));
            }
            found = Some(id..id + ID);
        }
        at = id + ID;
    }
    found.filter(|id| id.end <= tree.len()).ok_or_else(|| no_such(name))
}

const fn is_file(mode: u32) -> bool {
    mode & 0o170_000 == 0o100_000
}

const fn is_folder(mode: u32) -> bool {
    mode & 0o170_000 == 0o040_000
}

fn no_such(name: &str) -> Error {
    Error::Objects {
        step: "written",
        problem: format!("the tree has no one file or folder {name:?} to write to"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of a tree of these entries.
    fn tree(entries: &[(&str, &str, Oid)]) -> Vec<u8> {
        let mut raw = Vec::new();
        for (mode, name, id) in entries {
            raw.extend_from_slice(format!("{mode} {name}\0").as_bytes());
            raw.extend_from_slice(id.as_bytes());
        }
        raw
    }

    #[test]
    fn nothing_differs_but_the_ids_of_what_is_written_and_of_the_folders_above() {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(dir.path()).unwrap();
        let (old, new) = (repository.blob(b"old").unwrap(), repository.blob(b"new").unwrap());
        let odb = repository.odb().unwrap();
        let write = |raw: &[u8]| odb.write(ObjectType::Tree, raw).unwrap();
        // In no order, with modes and names that Git makes no more, and a zero and a space in an id.
        let inner =
            |id| tree(&[("100664", "b.yaml", id), ("100600", "a.yaml", old), ("120000", "link", old)]);
        let outer = |id, top| {
            tree(&[
                ("040000", "apps", id),
                ("100755", "z.sh", top),
                ("100664", "a b", old),
                ("40000", "other", id),
            ])
        };
        let before = write(&outer(write(&inner(old)), old));
        let mut written = BTreeSet::new();
        let blobs = [("apps/b.yaml", new), ("z.sh", new)];
        let after = regrown(&repository, before, &blobs, &mut written).unwrap();
        let folder = write(&inner(new));
        let mut expected = outer(folder, new);
        // The other folder of the same content is another folder.
        let end = expected.len() - ID;
        expected[end..].copy_from_slice(write(&inner(old)).as_bytes());
        assert_eq!(odb.read(after).unwrap().data(), expected);
        assert_eq!(written, BTreeSet::from([folder, after]));
        assert_eq!(regrown(&repository, before, &[("z.sh", old)], &mut written).unwrap(), before);
    }

    #[test]
    fn only_a_file_that_is_there_once_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(dir.path()).unwrap();
        let blob = repository.blob(b"old").unwrap();
        let odb = repository.odb().unwrap();
        let folder = odb.write(ObjectType::Tree, &tree(&[("100644", "config", blob)])).unwrap();
        let raw = tree(&[
            ("40000", ".git", folder),
            ("40000", "..", folder),
            ("40000", "apps", folder),
            ("120000", "link", blob),
            ("160000", "module", blob),
            ("100644", "twice", blob),
            ("100644", "twice", blob),
            ("100644", "once", blob),
        ]);
        let top = odb.write(ObjectType::Tree, &raw).unwrap();
        let cut = odb.write(ObjectType::Tree, &raw[..raw.len() - 1]).unwrap();
        let write = |tree, path: &str| regrown(&repository, tree, &[(path, blob)], &mut BTreeSet::new());
        for path in [
            "",
            "link",
            "module",
            "twice",
            "none",
            "apps",
            "apps/",
            "apps/none",
            "once/config",
            ".git/config",
            "../config",
            "apps/../once",
            "/once",
        ] {
            assert!(write(top, path).is_err(), "{path:?}");
        }
        assert!(write(top, "once").is_ok() && write(top, "apps/config").is_ok());
        assert!(write(cut, "once").is_err(), "its last byte is missing");
    }
}
