//! A commit before it is anywhere: what it changes, and the objects that it needs.

use std::collections::BTreeSet;
use std::path::Path;

use git2::build::TreeUpdateBuilder;
use git2::{Buf, Commit, ErrorCode, FileMode, ObjectType, Oid, Repository, Signature, Time, Tree};
use jiff::Timestamp;

use super::{BranchName, CommitId, Error, Published, Signer};

/// What a commit shall change, and what it shall say.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The commit whose tree was read to make the edits.
    pub parent: CommitId,
    /// The new contents, by path.
    pub edits: Vec<FileEdit>,
    /// The whole message.
    pub message: String,
    /// Name of author and committer.
    pub author_name: String,
    /// Their e-mail address.
    pub author_email: String,
    /// The time; a parent that claims to be younger wins, so that time never runs backwards along the branch.
    pub at: Timestamp,
    /// Who signs the commit, where it shall be signed.
    pub signer: Option<Signer>,
}

/// The new content of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEdit {
    /// The path from the top, with `/`.
    pub path: String,
    /// The content.
    pub content: Vec<u8>,
}

/// A commit with every object that its parent lacks.
pub(super) struct Written {
    /// Its id.
    pub(super) commit: CommitId,
    /// The new objects.
    objects: BTreeSet<Oid>,
}

impl Draft {
    /// Writes the commit's objects into the object database of `repository`; no ref is touched. Blocks.
    ///
    /// # Errors
    /// `Error::NothingChanges` where the tree would stay the same: an empty commit is never made.
    pub(super) fn write(&self, repository: &Repository) -> Result<Written, Error> {
        let failed = |source| Error::objects("written", source);
        let parent = repository.find_commit(self.parent.0).map_err(failed)?;
        let base = parent.tree().map_err(failed)?;
        let mut objects = BTreeSet::new();
        let mut update = TreeUpdateBuilder::new();
        for edit in &self.edits {
            let blob = repository.blob(&edit.content).map_err(failed)?;
            objects.insert(blob);
            update.upsert(edit.path.as_str(), blob, mode_of(&base, &edit.path));
        }
        let tree = update.create_updated(repository, &base).map_err(failed)?;
        if tree == base.id() {
            return Err(Error::NothingChanges);
        }
        let tree = repository.find_tree(tree).map_err(failed)?;
        objects.insert(tree.id());
        objects.extend(self.edits.iter().flat_map(|edit| folders_of(&tree, &edit.path)));
        let commit = self.write_commit(repository, &tree, &parent)?;
        objects.insert(commit.0);
        Ok(Written { commit, objects })
    }

    fn write_commit(
        &self,
        repository: &Repository,
        tree: &Tree<'_>,
        parent: &Commit<'_>,
    ) -> Result<CommitId, Error> {
        let failed = |source| Error::objects("written", source);
        let time = Time::new(self.at.as_second().max(parent.time().seconds()), 0);
        let author = Signature::new(&self.author_name, &self.author_email, &time).map_err(failed)?;
        let buffer = repository
            .commit_create_buffer(&author, &author, &self.message, tree, &[parent])
            .map_err(failed)?;
        let Some(signer) = &self.signer else {
            let odb = repository.odb().map_err(failed)?;
            return Ok(CommitId(odb.write(ObjectType::Commit, &buffer).map_err(failed)?));
        };
        let signature = signer.sign(&buffer).map_err(|error| Error::NotSigned(error.to_string()))?;
        let text = std::str::from_utf8(&buffer).map_err(|error| Error::NotSigned(error.to_string()))?;
        let signed = repository.commit_signed(text, signature.trim_end(), Some("gpgsig"));
        Ok(CommitId(signed.map_err(failed)?))
    }
}

impl Written {
    /// Moves `branch` to the commit, if it is still at `parent`. Blocks.
    pub(super) fn move_branch(
        &self,
        repository: &Repository,
        branch: &BranchName,
        parent: CommitId,
    ) -> Result<Published, Error> {
        let message = "tagtide: update image tags";
        let moved = repository.reference_matching(&branch.full_ref(), self.commit.0, true, parent.0, message);
        match moved {
            Ok(_) => Ok(Published::Taken(self.commit)),
            Err(error)
                if matches!(error.code(), ErrorCode::Modified | ErrorCode::Locked | ErrorCode::NotFound) =>
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

/// The mode the file has, so that an executable stays one.
fn mode_of(base: &Tree<'_>, path: &str) -> FileMode {
    match base.get_path(Path::new(path)).map(|entry| entry.filemode()) {
        Ok(0o100_755) => FileMode::BlobExecutable,
        Ok(_) | Err(_) => FileMode::Blob,
    }
}

/// The trees between the top and a file.
fn folders_of(tree: &Tree<'_>, path: &str) -> Vec<Oid> {
    let folders = Path::new(path).ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
    folders.filter_map(|folder| tree.get_path(folder).ok().map(|entry| entry.id())).collect()
}

#[cfg(test)]
mod tests {
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

    fn draft(parent: CommitId, content: &[u8]) -> Draft {
        Draft {
            parent,
            edits: vec![FileEdit { path: "apps/api/run.sh".into(), content: content.to_vec() }],
            message: "second\n".into(),
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
        let commit = repository.find_commit(written.commit.0).unwrap();
        assert_eq!((commit.time().seconds(), commit.parent_id(0).unwrap()), (1_000, parent.0));
        let entry = commit.tree().unwrap().get_path(Path::new("apps/api/run.sh")).unwrap();
        assert_eq!(entry.filemode(), 0o100_755);
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
    }
}
