//! The branch that a repository of this machine is on.

use std::path::Path;

use git2::Repository;

use super::{BranchName, Error};

/// The branch that `HEAD` names. In a bare repository that is its main branch, in a work tree the one checked out. It
/// need not have a commit.
///
/// # Errors
/// `Error::NotARepository` where there is no repository, or its `HEAD` names a commit instead of a branch.
pub fn head_branch(path: &Path) -> Result<BranchName, Error> {
    super::libgit2::set_up();
    let not_one = |problem: String| Error::NotARepository { path: path.to_owned(), problem };
    let repository = Repository::open(path).map_err(|error| not_one(error.message().to_owned()))?;
    let head = repository.find_reference("HEAD").map_err(|error| not_one(error.message().to_owned()))?;
    let target = head.symbolic_target().ok().flatten();
    let name = target.and_then(|target| target.strip_prefix("refs/heads/"));
    let name =
        name.ok_or_else(|| not_one("its HEAD is on no branch; check one out, or name it".to_owned()))?;
    Ok(BranchName::parse(name)?)
}
