//! A repository with its files checked out: some of them written by someone else, to be committed and nothing besides.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use git2::{ErrorCode, Repository, RepositoryState, Status};

use super::draft::Draft;
use super::{BranchName, CommitId, Error, FileEdit, Published, head_branch};

/// A repository with a work tree, on a branch. Its methods block. Its hooks do not run.
pub struct WorkTree {
    repository: Repository,
    branch: BranchName,
    head: CommitId,
}

impl WorkTree {
    /// Opens the repository whose work tree is `path`.
    ///
    /// # Errors
    /// `Error::NotARepository` where the work tree is elsewhere, or its state is one in which a commit would mix with
    /// what a person has under way; `Error::BranchNotFound` before the first commit.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let branch = head_branch(path)?;
        let not_one =
            |problem: &str| Error::NotARepository { path: path.to_owned(), problem: problem.to_owned() };
        let repository = Repository::open(path).map_err(|error| not_one(error.message()))?;
        let real = |path: &Path| path.canonicalize().ok();
        if repository.workdir().and_then(real) != real(path) {
            return Err(not_one("its work tree is elsewhere"));
        }
        if repository.state() != RepositoryState::Clean {
            return Err(not_one("a merge, rebase or the like is under way; finish it first"));
        }
        let head = match repository.refname_to_id(&branch.full_ref()) {
            Ok(id) => CommitId(id),
            Err(error) if error.code() == ErrorCode::NotFound => {
                return Err(Error::BranchNotFound { branch });
            }
            Err(source) => return Err(Error::objects("read", source)),
        };
        Ok(Self { repository, branch, head })
    }

    /// The branch that is checked out.
    #[must_use]
    pub const fn branch(&self) -> &BranchName {
        &self.branch
    }

    /// The commit that is checked out.
    #[must_use]
    pub const fn head(&self) -> CommitId {
        self.head
    }

    /// Whether the file, or what is staged of it, differs from the commit that is checked out.
    ///
    /// # Errors
    /// `Error::Objects` where the index or the file can not be read.
    pub fn is_changed(&self, path: &str) -> Result<bool, Error> {
        match self.repository.status_file(Path::new(path)) {
            Ok(status) => Ok(status != Status::CURRENT),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(true),
            Err(source) => Err(Error::objects("compared", source)),
        }
    }

    /// Commits files that were written to the work tree, and nothing else: what is staged stays staged.
    ///
    /// # Errors
    /// With an error the branch is where it was; the files may be staged.
    pub fn commit(&self, draft: &Draft) -> Result<Published, Error> {
        let mut stored = draft.clone();
        for edit in stored.commits.iter_mut().flat_map(|commit| &mut commit.edits) {
            *edit = self.as_stored(edit)?;
        }
        let written = stored.write(&self.repository)?;
        self.stage(draft.commits.iter().flat_map(|commit| &commit.edits).map(|edit| edit.path.as_str()))?;
        written.move_branch(&self.repository, &self.branch, &draft.start)
    }

    /// The content as Git stores it: with `.gitattributes` or `core.autocrlf` that is not what the file holds.
    fn as_stored(&self, edit: &FileEdit) -> Result<FileEdit, Error> {
        let failed = |source| Error::objects("written", source);
        let mut blob = self.repository.blob_writer(Some(Path::new(&edit.path))).map_err(failed)?;
        blob.write_all(&edit.content).map_err(|_| failed(git2::Error::last_error(-1)))?;
        let blob = self.repository.find_blob(blob.commit().map_err(failed)?).map_err(failed)?;
        Ok(FileEdit { path: edit.path.clone(), content: blob.content().to_vec() })
    }

    fn stage<'a>(&self, paths: impl Iterator<Item = &'a str>) -> Result<(), Error> {
        let failed = |source| Error::objects("staged", source);
        let mut index = self.repository.index().map_err(failed)?;
        for path in paths {
            index.add_path(&PathBuf::from(path)).map_err(failed)?;
        }
        index.write().map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use git2::{RepositoryInitOptions, Signature};
    use jiff::Timestamp;

    use super::super::{DraftCommit, Start};
    use super::*;

    fn repository(attributes: &str) -> tempfile::TempDir {
        super::super::libgit2::set_up();
        let folder = tempfile::tempdir().unwrap();
        let mut options = RepositoryInitOptions::new();
        options.initial_head("main").external_template(false);
        let repository = Repository::init_opts(folder.path(), &options).unwrap();
        for (path, content) in
            [(".gitattributes", attributes), ("a.yaml", "old\r\n"), ("b.yaml", "b\n"), ("c.yaml", "c\n")]
        {
            fs::write(folder.path().join(path), content).unwrap();
        }
        let mut index = repository.index().unwrap();
        index.add_all(["*"], git2::IndexAddOption::DEFAULT, None).unwrap();
        index.write().unwrap();
        let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
        let author = Signature::now("a", "a@b").unwrap();
        repository.commit(Some("HEAD"), &author, &author, "first", &tree, &[]).unwrap();
        folder
    }

    fn draft(tree: &WorkTree, path: &str, content: &str) -> Draft {
        Draft {
            start: Start::Tip(tree.head()),
            commits: vec![DraftCommit {
                edits: vec![FileEdit { path: path.into(), content: content.into() }],
                message: "second\n".into(),
            }],
            vouches: false,
            author_name: "bot".into(),
            author_email: "bot@example.com".into(),
            at: Timestamp::UNIX_EPOCH,
            signer: None,
        }
    }

    fn stored(repository: &Repository, commit: CommitId, path: &str) -> String {
        let tree = repository.find_commit(commit.0).unwrap().tree().unwrap();
        let blob = repository.find_blob(tree.get_path(Path::new(path)).unwrap().id()).unwrap();
        String::from_utf8(blob.content().to_vec()).unwrap()
    }

    #[test]
    fn commits_its_own_files_and_leaves_what_is_staged() {
        let folder = repository("");
        fs::write(folder.path().join("b.yaml"), "staged\n").unwrap();
        let tree = WorkTree::open(folder.path()).unwrap();
        let mut index = tree.repository.index().unwrap();
        index.add_path(Path::new("b.yaml")).unwrap();
        index.write().unwrap();
        fs::write(folder.path().join("a.yaml"), "new\r\n").unwrap();
        let Published::Taken(commits) = tree.commit(&draft(&tree, "a.yaml", "new\r\n")).unwrap() else {
            panic!("not taken")
        };
        let commit = commits[0];
        let tree = WorkTree::open(folder.path()).unwrap();
        assert_eq!(tree.head(), commit);
        assert_eq!(stored(&tree.repository, commit, "a.yaml"), "new\r\n");
        assert_eq!(stored(&tree.repository, commit, "b.yaml"), "b\n");
        assert!(!tree.is_changed("a.yaml").unwrap());
        assert_eq!(tree.repository.status_file(Path::new("b.yaml")).unwrap(), Status::INDEX_MODIFIED);
    }

    #[test]
    fn line_ends_are_stored_as_the_repository_wants_them() {
        let folder = repository("*.yaml text eol=crlf\n");
        let tree = WorkTree::open(folder.path()).unwrap();
        assert!(!tree.is_changed("a.yaml").unwrap());
        fs::write(folder.path().join("a.yaml"), "new\r\n").unwrap();
        let Published::Taken(commits) = tree.commit(&draft(&tree, "a.yaml", "new\r\n")).unwrap() else {
            panic!("not taken")
        };
        let commit = commits[0];
        assert_eq!(stored(&tree.repository, commit, "a.yaml"), "new\n");
        assert!(!tree.is_changed("a.yaml").unwrap());
    }

    #[test]
    fn a_file_that_is_changed_staged_or_unknown_is_told() {
        let folder = repository("");
        let tree = WorkTree::open(folder.path()).unwrap();
        assert!(!tree.is_changed("c.yaml").unwrap());
        fs::write(folder.path().join("c.yaml"), "mine\n").unwrap();
        fs::write(folder.path().join("new.yaml"), "mine\n").unwrap();
        assert!(tree.is_changed("c.yaml").unwrap());
        assert!(tree.is_changed("new.yaml").unwrap());
        assert!(tree.is_changed("missing.yaml").unwrap());
    }

    #[test]
    fn a_branch_that_moved_meanwhile_is_left_alone() {
        let folder = repository("");
        let tree = WorkTree::open(folder.path()).unwrap();
        fs::write(folder.path().join("a.yaml"), "one\n").unwrap();
        tree.commit(&draft(&tree, "a.yaml", "one\n")).unwrap();
        let theirs = WorkTree::open(folder.path()).unwrap().head();
        assert_eq!(tree.commit(&draft(&tree, "a.yaml", "two\n")).unwrap(), Published::Raced);
        assert_eq!(WorkTree::open(folder.path()).unwrap().head(), theirs);
    }

    #[test]
    fn a_merge_under_way_is_not_touched() {
        let folder = repository("");
        let head = WorkTree::open(folder.path()).unwrap().head();
        fs::write(folder.path().join(".git/MERGE_HEAD"), format!("{head}\n")).unwrap();
        let error = WorkTree::open(folder.path()).err().unwrap().to_string();
        assert!(error.contains("finish it first"), "{error}");
    }
}
