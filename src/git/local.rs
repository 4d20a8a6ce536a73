//! A bare repository of this machine, read and written in place: no copy, and the branch moved by compare-and-swap.

use std::path::{Path, PathBuf};

use git2::Repository;

use super::draft::{Draft, tip_of};
use super::{BranchName, CommitId, Error, Published};

/// A bare repository of this machine. Its hooks do not run: a ref is moved, nothing is received.
pub(super) struct LocalRepository {
    path: PathBuf,
}

impl LocalRepository {
    /// The repository in a folder.
    pub(super) fn at(path: &Path) -> Self {
        super::libgit2::set_up();
        Self { path: path.to_owned() }
    }

    /// Opens it.
    ///
    /// # Errors
    /// `Error::NotARepository` where the folder holds none, or one with a work tree: moving a branch beneath someone's
    /// checked-out files would make their next commit undo ours.
    pub(super) fn open(&self) -> Result<Repository, Error> {
        let not_one = |problem: String| Error::NotARepository { path: self.path.clone(), problem };
        let repository = Repository::open(&self.path).map_err(|error| not_one(error.message().to_owned()))?;
        if repository.is_bare() {
            Ok(repository)
        } else {
            Err(not_one(
                "it has a work tree; name a bare repository, as `git clone --bare` makes one".to_owned(),
            ))
        }
    }

    /// Where the branch is.
    pub(super) fn tip(&self, branch: &BranchName) -> Result<Option<CommitId>, Error> {
        tip_of(&self.open()?, branch)
    }

    /// Writes the commits and moves the branch to them, if the branch still is where the draft says.
    pub(super) fn publish(&self, branch: &BranchName, draft: &Draft) -> Result<Published, Error> {
        let repository = self.open()?;
        draft.write(&repository)?.move_branch(&repository, branch, &draft.start)
    }
}
