//! Reading a commit: what it stands on, its files, and which of them differ from another tree's.

use git2::{ObjectType, Oid, Repository, Tree};
use jiff::Timestamp;

use super::commit::CommitHead;
use super::{BlobId, CommitId, Error, TreeId};

/// Deeper folders than this are not entered.
pub(super) const MAX_DEPTH: usize = 64;

/// The most entries of folders that are looked at. A few folders within each other can make any number of them: each time
/// the same one ten times over, say.
pub(super) const MAX_ENTRIES: usize = 2_000_000;

pub(super) const TOO_MANY_ENTRIES: Error =
    Error::TooLarge { most: MAX_ENTRIES, what: "entries in its folders" };

/// One commit, ready to be read. Its methods block.
pub struct Snapshot {
    repository: Repository,
    commit: CommitId,
    head: CommitHead,
}

/// One file of a tree, or that it is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileChange<'a> {
    /// The file is there, new or with other content than before.
    Present {
        /// Its path from the top, with `/`.
        path: &'a str,
        /// Its content.
        blob: BlobId,
    },
    /// A symbolic link is there, which counts as no file: a plain file that was there before is gone.
    Link {
        /// Its path from the top, with `/`.
        path: &'a str,
        /// Where it leads, as text.
        blob: BlobId,
    },
    /// The file is gone, or it is no plain file any more.
    Gone {
        /// Its path.
        path: &'a str,
    },
}

impl Snapshot {
    /// Opens a commit.
    pub(super) fn open(repository: Repository, commit: CommitId) -> Result<Self, Error> {
        let head = CommitHead::read(&repository, commit)?;
        Ok(Self { repository, commit, head })
    }

    /// The commit.
    #[must_use]
    pub const fn commit(&self) -> CommitId {
        self.commit
    }

    /// Its tree.
    #[must_use]
    pub const fn tree(&self) -> TreeId {
        TreeId(self.head.tree)
    }

    /// When it was committed, as it says itself.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.head.at
    }

    /// The commits that it stands on.
    #[must_use]
    pub fn parents(&self) -> Vec<CommitId> {
        self.head.parents.iter().copied().map(CommitId).collect()
    }

    /// Whether the commit says, truly, that its branch holds nothing but Tagtide's commits since it left another one.
    #[must_use]
    pub const fn is_vouched_for(&self) -> bool {
        self.head.is_vouched_for
    }

    /// The content of a file, or `None` where it is larger than `cap` bytes.
    ///
    /// # Errors
    /// `Error::Objects` where the mirror can not be read.
    pub fn read(&self, blob: BlobId, cap: usize) -> Result<Option<Vec<u8>>, Error> {
        self.read_as(blob, cap, <[u8]>::to_vec)
    }

    /// What `look` makes of the content of a file, of which there is no copy; `None` where it is larger than `cap` bytes.
    ///
    /// # Errors
    /// `Error::Objects` where the mirror can not be read.
    pub fn read_as<T>(
        &self,
        blob: BlobId,
        cap: usize,
        look: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<T>, Error> {
        let odb = self.repository.odb().map_err(|source| Error::objects("read", source))?;
        // The size first: a huge file must not come into memory only to be passed over.
        let (size, kind) = odb.read_header(blob.0).map_err(|source| Error::objects("read", source))?;
        if size > cap || kind != ObjectType::Blob {
            return Ok(None);
        }
        let object = odb.read(blob.0).map_err(|source| Error::objects("read", source))?;
        Ok(Some(look(object.data())))
    }

    /// Whether a tree is here, so that it can be compared with this commit's.
    #[must_use]
    pub fn holds(&self, tree: TreeId) -> bool {
        self.repository.find_tree(tree.0).is_ok()
    }

    /// Gives every plain file that differs from those of `before`, or every file where there is no `before`. Folders
    /// with the same id are never entered, nor are those of which `enters` does not want to know.
    ///
    /// Symbolic links are given too, but count as no file. Submodules and entries that no honest tree holds (`.git`, `..`,
    /// names that are not UTF-8) are passed over.
    ///
    /// # Errors
    /// `Error::Objects` where the mirror can not be read, or `before` is not here; `Error::TooLarge` where the folders have
    /// more entries than are looked at.
    pub fn changed_files(
        &self,
        before: Option<TreeId>,
        enters: &dyn Fn(&str) -> bool,
        each: &mut dyn FnMut(FileChange<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.changed_among(before, MAX_ENTRIES, enters, each)
    }

    fn changed_among(
        &self,
        before: Option<TreeId>,
        entries: usize,
        enters: &dyn Fn(&str) -> bool,
        each: &mut dyn FnMut(FileChange<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let after = self.find(self.head.tree)?;
        let before = before.map(|tree| self.find(tree.0)).transpose()?;
        let mut walk = Walk { snapshot: self, path: String::new(), entries, enters, each };
        walk.compare(before.as_ref(), Some(&after), 0)
    }

    /// Gives back what was kept of the packs that were read, and opens them anew at the next read. libgit2 keeps the bases
    /// of deltas, up to 16 MiB for each pack (`GIT_PACK_CACHE_MEMORY_LIMIT`, fixed when it is built).
    ///
    /// # Errors
    /// `Error::Objects` where the mirror can not be opened.
    pub fn let_go(&mut self) -> Result<(), Error> {
        let path = self.repository.path().to_owned();
        self.repository = Repository::open(path).map_err(|source| Error::objects("opened", source))?;
        super::libgit2::give_memory_back();
        Ok(())
    }

    fn find(&self, id: Oid) -> Result<Tree<'_>, Error> {
        self.repository.find_tree(id).map_err(|source| Error::objects("read", source))
    }
}

/// A walk through two trees at once.
struct Walk<'a> {
    snapshot: &'a Snapshot,
    path: String,
    /// How many entries may still be looked at.
    entries: usize,
    enters: &'a dyn Fn(&str) -> bool,
    each: &'a mut dyn FnMut(FileChange<'_>) -> Result<(), Error>,
}

impl Walk<'_> {
    fn compare(
        &mut self,
        before: Option<&Tree<'_>>,
        after: Option<&Tree<'_>>,
        depth: usize,
    ) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Ok(());
        }
        let parent = self.path.len();
        // What is gone comes first, so that a file whose folder took its place is not reported as gone afterwards.
        for (tree, other, is_after) in [(before, after, false), (after, before, true)] {
            let Some(tree) = tree else { continue };
            for entry in tree {
                self.entries = self.entries.checked_sub(1).ok_or(TOO_MANY_ENTRIES)?;
                let Some(name) = entry.name().ok().filter(|name| is_honest(name)) else {
                    continue;
                };
                let kind = Kind::of(entry.filemode());
                let twin = other.and_then(|t| t.get_name(name));
                let twin_kind = twin.as_ref().map(|t| Kind::of(t.filemode()));
                if twin.as_ref().is_some_and(|t| t.id() == entry.id()) && twin_kind == Some(kind) {
                    continue;
                }
                self.path.truncate(parent);
                if parent > 0 {
                    self.path.push('/');
                }
                self.path.push_str(name);
                let path = self.path.as_str();
                match (kind, is_after) {
                    (Kind::File, true) => {
                        (self.each)(FileChange::Present { path, blob: BlobId(entry.id()) })?
                    }
                    (Kind::File, false) if twin_kind != Some(Kind::File) => {
                        (self.each)(FileChange::Gone { path })?
                    }
                    (Kind::Folder, _) if !(self.enters)(path) => {}
                    (Kind::Folder, true) => {
                        let inner = self.snapshot.find(entry.id())?;
                        let twin = twin.filter(|_| twin_kind == Some(Kind::Folder));
                        let twin = twin.map(|t| self.snapshot.find(t.id())).transpose()?;
                        self.compare(twin.as_ref(), Some(&inner), depth + 1)?;
                    }
                    (Kind::Folder, false) if twin_kind != Some(Kind::Folder) => {
                        let inner = self.snapshot.find(entry.id())?;
                        self.compare(Some(&inner), None, depth + 1)?;
                    }
                    (Kind::Link, true) => (self.each)(FileChange::Link { path, blob: BlobId(entry.id()) })?,
                    (Kind::File | Kind::Folder | Kind::Link, false) | (Kind::Other, _) => {}
                }
            }
        }
        self.path.truncate(parent);
        Ok(())
    }
}

/// What an entry of a tree is, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Folder,
    Link,
    /// A submodule, or a mode that no Git writes.
    Other,
}

impl Kind {
    const fn of(mode: i32) -> Self {
        match mode {
            0o100_644 | 0o100_755 | 0o100_664 => Self::File,
            0o040_000 => Self::Folder,
            0o120_000 => Self::Link,
            _ => Self::Other,
        }
    }
}

/// Whether an honest tree can hold this name; one that is checked out elsewhere must not be led astray by our commit.
pub(super) fn is_honest(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && !name.eq_ignore_ascii_case(".git")
        && !name.eq_ignore_ascii_case("git~1")
        && !name.contains(['/', '\\'])
        && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const FILE: i32 = 0o100_644;

    /// A repository with a commit for each set of files.
    fn commits(sets: &[BTreeMap<String, String>]) -> (tempfile::TempDir, Vec<CommitId>) {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(dir.path()).unwrap();
        let author = git2::Signature::new("a", "a@b", &git2::Time::new(0, 0)).unwrap();
        let commits = sets.iter().map(|files| {
            let empty = repository.treebuilder(None).unwrap().write().unwrap();
            let mut update = git2::build::TreeUpdateBuilder::new();
            for (path, text) in files {
                update.upsert(path.as_str(), repository.blob(text.as_bytes()).unwrap(), git2::FileMode::Blob);
            }
            let tree = update.create_updated(&repository, &repository.find_tree(empty).unwrap()).unwrap();
            let tree = repository.find_tree(tree).unwrap();
            CommitId(repository.commit(None, &author, &author, "x", &tree, &[]).unwrap())
        });
        let commits = commits.collect();
        (dir, commits)
    }

    /// The files of `after` as they follow from those of `before` and the changes between the two.
    fn replay(
        dir: &std::path::Path,
        before: Option<CommitId>,
        after: CommitId,
        files: &mut BTreeMap<String, String>,
    ) {
        let open = |id| Snapshot::open(Repository::open(dir).unwrap(), id).unwrap();
        let snapshot = open(after);
        let since = before.map(|id| open(id).tree());
        snapshot
            .changed_files(since, &|_| true, &mut |change| {
                match change {
                    FileChange::Present { path, blob } => {
                        let text = snapshot.read(blob, 100).unwrap().unwrap();
                        files.insert(path.to_owned(), String::from_utf8(text).unwrap());
                    }
                    FileChange::Link { path, .. } => panic!("{path} is no link"),
                    FileChange::Gone { path } => {
                        assert!(files.remove(path).is_some(), "{path} was not there")
                    }
                }
                Ok(())
            })
            .unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn the_changes_between_two_trees_lead_from_one_to_the_other(
            before in prop::collection::btree_map("[ab](/[ab]){0,2}\\.yaml", "[xy]", 0..8),
            after in prop::collection::btree_map("[ab](/[ab]){0,2}\\.yaml", "[xy]", 0..8),
        ) {
            let (dir, ids) = commits(&[before.clone(), after.clone()]);
            let mut files = BTreeMap::new();
            replay(dir.path(), None, ids[0], &mut files);
            prop_assert_eq!(&files, &before);
            replay(dir.path(), Some(ids[0]), ids[1], &mut files);
            prop_assert_eq!(&files, &after);
        }
    }

    #[test]
    fn a_folder_takes_the_place_of_a_file_and_back() {
        let set = |path: &str| BTreeMap::from([(path.to_owned(), "x".to_owned())]);
        let (dir, ids) = commits(&[set("a"), set("a/b"), set("a")]);
        let mut files = set("a");
        replay(dir.path(), Some(ids[0]), ids[1], &mut files);
        assert_eq!(files, set("a/b"));
        replay(dir.path(), Some(ids[1]), ids[2], &mut files);
        assert_eq!(files, set("a"));
    }

    #[test]
    fn links_submodules_and_dishonest_names_are_no_files() {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(dir.path()).unwrap();
        let blob = repository.blob(b"../../etc/passwd").unwrap();
        let mut raw = Vec::new();
        for (mode, name) in [
            ("100644", ".GIT"),
            ("100644", "a\nb"),
            ("120000", "link.yaml"),
            ("160000", "module"),
            ("100644", "ok.yaml"),
        ] {
            raw.extend_from_slice(format!("{mode} {name}\0").as_bytes());
            raw.extend_from_slice(blob.as_bytes());
        }
        let tree = repository.odb().unwrap().write(ObjectType::Tree, &raw).unwrap();
        let text = format!("tree {tree}\nauthor a <a@b> 0 +0000\ncommitter a <a@b> 0 +0000\n\nx");
        let commit = repository.odb().unwrap().write(ObjectType::Commit, text.as_bytes()).unwrap();
        let snapshot = Snapshot::open(Repository::open(dir.path()).unwrap(), CommitId(commit)).unwrap();
        let mut seen = Vec::new();
        snapshot
            .changed_files(None, &|_| true, &mut |change| {
                seen.push(format!("{change:?}"));
                Ok(())
            })
            .unwrap();
        let names = [
            format!("Link {{ path: \"link.yaml\", blob: {blob} }}"),
            format!("Present {{ path: \"ok.yaml\", blob: {blob} }}"),
        ];
        assert_eq!(seen, names);
    }

    #[test]
    fn folders_that_hold_each_other_over_and_over_are_not_walked_to_their_end() {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(dir.path()).unwrap();
        let blob = repository.blob(b"x").unwrap();
        let mut inner = (blob, FILE);
        for _ in 0..12 {
            let mut tree = repository.treebuilder(None).unwrap();
            for name in 0..10 {
                tree.insert(format!("{name}"), inner.0, inner.1).unwrap();
            }
            inner = (tree.write().unwrap(), 0o040_000);
        }
        let author = git2::Signature::new("a", "a@b", &git2::Time::new(0, 0)).unwrap();
        let top = repository.find_tree(inner.0).unwrap();
        let commit = CommitId(repository.commit(None, &author, &author, "x", &top, &[]).unwrap());
        let snapshot = Snapshot::open(Repository::open(dir.path()).unwrap(), commit).unwrap();
        let (mut seen, all) = (0, 1_000);
        let walked = snapshot.changed_among(None, all, &|_| true, &mut |_| {
            seen += 1;
            Ok(())
        });
        assert_eq!(walked.unwrap_err().reason(), crate::api::Reason::TooLarge);
        assert!(seen < all);
    }

    #[test]
    fn a_file_over_the_cap_is_not_read() {
        let set = BTreeMap::from([("a".to_owned(), "12345".to_owned())]);
        let (dir, ids) = commits(&[set]);
        let snapshot = Snapshot::open(Repository::open(dir.path()).unwrap(), ids[0]).unwrap();
        let blob = BlobId(Repository::open(dir.path()).unwrap().blob(b"12345").unwrap());
        assert_eq!(snapshot.read(blob, 4).unwrap(), None);
        assert_eq!(snapshot.read(blob, 5).unwrap().unwrap(), b"12345");
    }
}
