//! A commit before it is anywhere: what it changes, and the objects that it needs.

use std::collections::BTreeSet;
use std::time::Duration;

use git2::{Buf, Commit, ErrorCode, ObjectType, Oid, Repository, Signature, Time, Tree};
use jiff::Timestamp;

use super::regrown::regrown;
use super::{BranchName, CommitId, Error, Published, Signer, lineage};

/// Who moves a branch holds its lock for a moment. It is waited for so often, and so long each time.
const LOCK_LOOKS: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Commits that shall be made, one on top of the other, and published together.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Where they go.
    pub start: Start,
    /// The commits, the first one first.
    pub commits: Vec<DraftCommit>,
    /// Whether each commit says in a trailer that the branch holds nothing but Tagtide's commits since it began.
    pub vouches: bool,
    /// Name of author and committer.
    pub author_name: String,
    /// Their e-mail address.
    pub author_email: String,
    /// The time; a parent that claims to be younger wins, so that time never runs backwards along the branch.
    pub at: Timestamp,
    /// Who signs the commits, where they shall be signed.
    pub signer: Option<Signer>,
}

/// What one commit shall change, and what it shall say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DraftCommit {
    /// The new contents, by path.
    pub edits: Vec<FileEdit>,
    /// The whole message.
    pub message: String,
}

/// The new content of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEdit {
    /// The path from the top, with `/`.
    pub path: String,
    /// The content.
    pub content: Vec<u8>,
}

/// Where new commits go, and where the branch must be for that.
///
/// There is no way to say that commits of the branch are to be dropped: what the branch holds is always in the history of
/// what it is moved to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// On top of the branch, which is at this commit.
    Tip(CommitId),
    /// The branch does not exist, and begins at this commit of another one.
    New(CommitId),
    /// On top of another branch's commit, into whose history the branch comes.
    Over {
        /// Where the branch is.
        tip: CommitId,
        /// The commit of the other branch.
        base: CommitId,
        /// The message of the merge commit that is made, with the tree of `base`, unless `tip` is a parent of `base`.
        message: String,
    },
}

impl Start {
    /// The commit whose tree is edited.
    #[must_use]
    pub const fn edited(&self) -> CommitId {
        match self {
            Self::Tip(commit) | Self::New(commit) | Self::Over { base: commit, .. } => *commit,
        }
    }

    /// Where the branch is; `None` where it does not exist.
    #[must_use]
    pub const fn branch_at(&self) -> Option<CommitId> {
        match self {
            Self::Tip(tip) | Self::Over { tip, .. } => Some(*tip),
            Self::New(_) => None,
        }
    }
}

/// Commits with every object that the branches they stand on lack.
pub(super) struct Written {
    /// Their ids, the first one first.
    pub(super) commits: Vec<CommitId>,
    /// The last of them, to which the branch moves.
    pub(super) tip: CommitId,
    /// The new objects.
    objects: BTreeSet<Oid>,
}

impl Draft {
    /// Writes the commits' objects into the object database of `repository`; no ref is touched. Blocks.
    ///
    /// # Errors
    /// `Error::NothingChanges` where a tree would stay the same: an empty commit is never made.
    pub(super) fn write(&self, repository: &Repository) -> Result<Written, Error> {
        let find =
            |id: CommitId| repository.find_commit(id.0).map_err(|source| Error::objects("written", source));
        let mut objects = BTreeSet::new();
        let mut parent = find(self.start.edited())?;
        if let Start::Over { tip, message, .. } = &self.start
            && !parent.parent_ids().any(|id| id == tip.0)
        {
            let tree = parent.tree().map_err(|source| Error::objects("written", source))?;
            let merge = self.write_commit(repository, message, &tree, &[&find(*tip)?, &parent])?;
            objects.insert(merge.0);
            parent = find(merge)?;
        }
        let mut commits = Vec::new();
        for commit in &self.commits {
            let id = self.write_one(repository, commit, &parent, &mut objects)?;
            commits.push(id);
            parent = find(id)?;
        }
        let tip = *commits.last().ok_or(Error::NothingChanges)?;
        Ok(Written { commits, tip, objects })
    }

    fn write_one(
        &self,
        repository: &Repository,
        commit: &DraftCommit,
        parent: &Commit<'_>,
        objects: &mut BTreeSet<Oid>,
    ) -> Result<CommitId, Error> {
        let failed = |source| Error::objects("written", source);
        let mut blobs = Vec::with_capacity(commit.edits.len());
        for edit in &commit.edits {
            blobs.push((edit.path.as_str(), repository.blob(&edit.content).map_err(failed)?));
        }
        objects.extend(blobs.iter().map(|(_, blob)| *blob));
        let tree = regrown(repository, parent.tree_id(), &blobs, objects)?;
        if tree == parent.tree_id() {
            return Err(Error::NothingChanges);
        }
        let tree = repository.find_tree(tree).map_err(failed)?;
        let id = self.write_commit(repository, &commit.message, &tree, &[parent])?;
        objects.insert(id.0);
        Ok(id)
    }

    fn write_commit(
        &self,
        repository: &Repository,
        message: &str,
        tree: &Tree<'_>,
        parents: &[&Commit<'_>],
    ) -> Result<CommitId, Error> {
        let failed = |source| Error::objects("written", source);
        let youngest = parents.iter().map(|parent| parent.time().seconds()).max().unwrap_or_default();
        let time = Time::new(self.at.as_second().max(youngest), 0);
        let author = Signature::new(&self.author_name, &self.author_email, &time).map_err(failed)?;
        let vouch =
            parents.first().filter(|_| self.vouches).map(|parent| lineage::trailer(parent.id(), tree.id()));
        let message = format!("{message}{}", vouch.unwrap_or_default());
        let buffer =
            repository.commit_create_buffer(&author, &author, &message, tree, parents).map_err(failed)?;
        let Some(signer) = &self.signer else {
            let odb = repository.odb().map_err(failed)?;
            return Ok(CommitId(odb.write(ObjectType::Commit, &buffer).map_err(failed)?));
        };
        let signature = signer.sign(&buffer)?;
        let text = std::str::from_utf8(&buffer).map_err(|error| Error::NotSigned(error.to_string()))?;
        let signed = repository.commit_signed(text, signature.trim_end(), Some("gpgsig"));
        Ok(CommitId(signed.map_err(failed)?))
    }
}

impl Written {
    /// Moves `branch` to the last commit, if it still is where `start` says. Blocks.
    pub(super) fn move_branch(
        self,
        repository: &Repository,
        branch: &BranchName,
        start: &Start,
    ) -> Result<Published, Error> {
        let (name, message) = (branch.full_ref(), "tagtide: update image tags");
        let is_locked = |moved: &Result<_, git2::Error>| {
            moved.as_ref().is_err_and(|error| error.code() == ErrorCode::Locked)
        };
        let try_to_move = || match start.branch_at() {
            Some(at) => repository.reference_matching(&name, self.tip.0, true, at.0, message),
            None => repository.reference(&name, self.tip.0, false, message),
        };
        let mut moved = try_to_move();
        for _ in 0..LOCK_LOOKS {
            if is_locked(&moved) {
                std::thread::sleep(LOCK_PAUSE);
                moved = try_to_move();
            }
        }
        if is_locked(&moved) && tip_of(repository, branch)? == start.branch_at() {
            return Err(Error::Locked { path: repository.path().join(format!("{name}.lock")) });
        }
        match moved {
            Ok(_) => Ok(Published::Taken(self.commits)),
            Err(error)
                if matches!(
                    error.code(),
                    ErrorCode::Modified | ErrorCode::Locked | ErrorCode::NotFound | ErrorCode::Exists
                ) =>
            {
                Ok(Published::Raced)
            }
            Err(source) => Err(Error::objects("moved to the new commit", source)),
        }
    }

    /// The objects as a pack. Blocks.
    pub(super) fn pack(&self, repository: &Repository) -> Result<Vec<u8>, Error> {
        let failed = |source| Error::objects("packed", source);
        let mut builder = repository.packbuilder().map_err(failed)?;
        builder.set_threads(1);
        for object in &self.objects {
            builder.insert_object(*object, None).map_err(failed)?;
        }
        let mut pack = Buf::new();
        builder.write_buf(&mut pack).map_err(failed)?;
        Ok(pack.to_vec())
    }
}

/// Where a branch is.
pub(super) fn tip_of(repository: &Repository, branch: &BranchName) -> Result<Option<CommitId>, Error> {
    match repository.refname_to_id(&branch.full_ref()) {
        Ok(id) => Ok(Some(CommitId(id))),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(source) => Err(Error::objects("read", source)),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use git2::FileMode;
    use git2::build::TreeUpdateBuilder;

    use super::super::commit::CommitHead;
    use super::*;

    fn repository() -> (tempfile::TempDir, Repository, CommitId) {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(dir.path()).unwrap();
        let mut update = TreeUpdateBuilder::new();
        update.upsert("apps/api/run.sh", repository.blob(b"old").unwrap(), FileMode::BlobExecutable);
        update.upsert("apps/web/x.yaml", repository.blob(b"x").unwrap(), FileMode::Blob);
        let empty = repository.treebuilder(None).unwrap().write().unwrap();
        let tree = update.create_updated(&repository, &repository.find_tree(empty).unwrap()).unwrap();
        let author = Signature::new("a", "a@b", &Time::new(1_000, 0)).unwrap();
        let tree = repository.find_tree(tree).unwrap();
        let commit = repository.commit(None, &author, &author, "first", &tree, &[]).unwrap();
        drop(tree);
        (dir, repository, CommitId(commit))
    }

    fn commit(path: &str, content: &[u8]) -> DraftCommit {
        let edits = vec![FileEdit { path: path.into(), content: content.to_vec() }];
        DraftCommit { edits, message: format!("set {path}\n\n") }
    }

    fn draft(parent: CommitId, content: &[u8]) -> Draft {
        Draft {
            start: Start::Tip(parent),
            commits: vec![commit("apps/api/run.sh", content)],
            vouches: false,
            author_name: "bot".into(),
            author_email: "bot@example.com".into(),
            at: Timestamp::from_second(500).unwrap(),
            signer: None,
        }
    }

    #[test]
    fn keeps_the_mode_and_never_runs_time_backwards() {
        let (_dir, repository, parent) = repository();
        let written = draft(parent, b"new").write(&repository).unwrap();
        let commit = repository.find_commit(written.tip.0).unwrap();
        assert_eq!((commit.time().seconds(), commit.parent_id(0).unwrap()), (1_000, parent.0));
        let entry = commit.tree().unwrap().get_path(Path::new("apps/api/run.sh")).unwrap();
        assert_eq!(entry.filemode(), 0o100_755);
    }

    #[test]
    fn a_file_of_the_old_mode_that_the_group_may_write_keeps_it_and_so_do_others() {
        let (_dir, repository, parent) = repository();
        let blob = repository.blob(b"old").unwrap();
        let mut raw = Vec::new();
        for name in ["a.yaml", "b.yaml"] {
            raw.extend_from_slice(format!("100664 {name}\0").as_bytes());
            raw.extend_from_slice(blob.as_bytes());
        }
        let tree = repository.odb().unwrap().write(ObjectType::Tree, &raw).unwrap();
        let (tree, first) = (repository.find_tree(tree).unwrap(), repository.find_commit(parent.0).unwrap());
        let base = repository.commit(None, &first.author(), &first.author(), "x", &tree, &[&first]).unwrap();
        let changed = Draft { commits: vec![commit("a.yaml", b"new")], ..draft(CommitId(base), b"") };
        let written = changed.write(&repository).unwrap();
        let tree = repository.find_commit(written.tip.0).unwrap().tree().unwrap();
        let modes = ["a.yaml", "b.yaml"].map(|name| tree.get_name(name).unwrap().filemode_raw());
        assert_eq!(modes, [0o100_664, 0o100_664]);
    }

    #[test]
    fn packs_exactly_what_the_parent_lacks() {
        let (_dir, repository, parent) = repository();
        let written = draft(parent, b"new").write(&repository).unwrap();
        // One blob, the trees of apps/api, apps and the top, one commit.
        assert_eq!(written.objects.len(), 5);
        let pack = written.pack(&repository).unwrap();
        assert_eq!(pack[8..12], [0, 0, 0, 5]);
    }

    #[test]
    fn an_empty_commit_is_never_made() {
        let (_dir, repository, parent) = repository();
        assert!(matches!(draft(parent, b"old").write(&repository), Err(Error::NothingChanges)));
        let mut twice = draft(parent, b"new");
        twice.commits.push(commit("apps/api/run.sh", b"new"));
        assert!(matches!(twice.write(&repository), Err(Error::NothingChanges)));
        twice.commits.clear();
        assert!(matches!(twice.write(&repository), Err(Error::NothingChanges)));
    }

    #[test]
    fn several_commits_stand_on_each_other() {
        let (_dir, repository, parent) = repository();
        let mut two = draft(parent, b"new");
        two.commits.push(commit("apps/web/x.yaml", b"y"));
        let written = two.write(&repository).unwrap();
        let [first, second] = written.commits[..] else { panic!("{:?}", written.commits) };
        let tip = repository.find_commit(second.0).unwrap();
        assert_eq!((tip.parent_id(0).unwrap(), written.tip), (first.0, second));
        assert_eq!(repository.find_commit(first.0).unwrap().parent_id(0).unwrap(), parent.0);
        // Two blobs; apps, its two folders and the top, of which the top and apps are written twice; two commits.
        assert_eq!(written.objects.len(), 10);
    }

    #[test]
    fn a_branch_that_goes_on_from_elsewhere_takes_its_history_along() {
        let (_dir, repository, root) = repository();
        let tip = draft(root, b"ours").write(&repository).unwrap().tip;
        let base = draft(root, b"theirs").write(&repository).unwrap().tip;
        let over = |tip, base, content| {
            let start = Start::Over { tip, base, message: "Merge main\n\n".into() };
            let written = Draft { start, vouches: true, ..draft(root, content) }.write(&repository).unwrap();
            repository.find_commit(written.tip.0).unwrap()
        };
        let last = over(tip, base, b"new");
        let merge = last.parent(0).unwrap();
        assert_eq!(merge.parent_ids().collect::<Vec<_>>(), [tip.0, base.0]);
        assert_eq!(merge.tree_id(), repository.find_commit(base.0).unwrap().tree_id());
        let vouches = |id| CommitHead::read(&repository, CommitId(id)).unwrap().is_vouched_for;
        assert!(vouches(last.id()) && vouches(merge.id()));
        // What the other branch was made of is in its history already.
        assert_eq!(over(root, base, b"new").parent_id(0).unwrap(), base.0);
    }
}
