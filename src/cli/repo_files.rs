//! The files of an infra repo that hold image versions: of a folder, a work tree, or a bare Git repository.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::anyhow;

use super::BadInput;
use crate::edit::{FileSites, Targets, find_sites};
use crate::engine::{MAX_FILE, Scope};
use crate::git::{Branch, BranchName, CommitId, Error, FileChange, head_branch};

/// Where the files are.
pub(super) enum Repo {
    /// A folder without Git.
    Folder(PathBuf),
    /// A folder with the files of a Git repository, as they are on disk.
    WorkTree(PathBuf),
    /// A bare Git repository, at one commit.
    Bare {
        /// The branch.
        branch: Branch,
        /// Where it is.
        at: CommitId,
    },
}

/// A file with at least one site or problem.
pub(super) struct MarkedFile {
    pub(super) text: Vec<u8>,
    pub(super) found: FileSites,
}

/// By path, with `/`.
pub(super) type MarkedFiles = BTreeMap<String, MarkedFile>;

impl Repo {
    /// Tells what is at `path`. Only a bare repository has a choice of branches: the one asked for, else the usual one,
    /// else the one that `HEAD` names.
    pub(super) async fn open(
        path: &Path,
        branch: Option<&BranchName>,
        usual_branch: Option<&str>,
    ) -> anyhow::Result<Self> {
        let bad = |problem: String| BadInput::new(format!("--repo {}: {problem}", path.display()));
        if !fs::metadata(path).map_err(|error| bad(error.to_string()))?.is_dir() {
            return Err(bad("it is no folder".to_owned()).into());
        }
        let is_bare = ["HEAD", "objects", "refs"].iter().all(|name| path.join(name).exists());
        let has_work_tree = path.join(".git").exists();
        if has_work_tree || !is_bare {
            if branch.is_some() {
                let problem =
                    "it is no bare repository: its files are read as they are, whatever --branch says";
                return Err(bad(problem.to_owned()).into());
            }
            let path = path.to_owned();
            return Ok(if has_work_tree { Self::WorkTree(path) } else { Self::Folder(path) });
        }
        let bare = |error: Error| bad(error.to_string());
        let path = path.canonicalize()?;
        let branch = match (branch, usual_branch) {
            (Some(branch), _) => Ok(branch.clone()),
            (None, Some(usual)) => BranchName::parse(usual).map_err(Error::from),
            (None, None) => head_branch(&path),
        };
        let branch = branch.map_err(bare)?;
        let branch = Branch::open_local(&path, branch);
        let at = branch.bring_up_to_date().await.map_err(bare)?;
        Ok(Self::Bare { branch, at })
    }

    /// The files with image versions that `scope` admits.
    pub(super) fn marked_files(&self, scope: &Scope, targets: &Targets) -> anyhow::Result<MarkedFiles> {
        match self {
            Self::Folder(root) | Self::WorkTree(root) => files_below(root, scope, targets),
            Self::Bare { branch, at } => Ok(files_of(branch, *at, scope, targets)?),
        }
    }
}

fn files_of(branch: &Branch, at: CommitId, scope: &Scope, targets: &Targets) -> Result<MarkedFiles, Error> {
    let snapshot = branch.snapshot(at)?;
    let mut files = MarkedFiles::new();
    snapshot.changed_files(None, &|folder| scope.enters(folder), &mut |change| {
        if let FileChange::Present { path, blob } = change
            && scope.admits(path)
            && targets.search(path)
            && let Some(text) = snapshot.read(blob, MAX_FILE)?
        {
            take(&mut files, path, text, targets);
        }
        Ok(())
    })?;
    Ok(files)
}

/// The same files that Git would hold: no links, and no folders that are repositories of their own.
fn files_below(root: &Path, scope: &Scope, targets: &Targets) -> anyhow::Result<MarkedFiles> {
    let unreadable = |path: &Path, error: io::Error| anyhow!("{} can not be read: {error}", path.display());
    let mut files = MarkedFiles::new();
    let mut folders = vec![(root.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| unreadable(&folder, error))? {
            let entry = entry.map_err(|error| unreadable(&folder, error))?;
            let Some(name) = entry.file_name().to_str().filter(|name| is_honest(name)).map(str::to_owned)
            else {
                continue;
            };
            let path = format!("{prefix}{name}");
            let kind = entry.file_type().map_err(|error| unreadable(&entry.path(), error))?;
            if kind.is_dir() && !entry.path().join(".git").exists() {
                folders.push((entry.path(), format!("{path}/")));
            } else if kind.is_file()
                && scope.admits(&path)
                && targets.search(&path)
                && entry.metadata().is_ok_and(|metadata| metadata.len() <= MAX_FILE as u64)
            {
                let text = fs::read(entry.path()).map_err(|error| unreadable(&entry.path(), error))?;
                take(&mut files, &path, text, targets);
            }
        }
    }
    Ok(files)
}

/// Names that a tree of Git can hold, and that do no harm in a diff.
fn is_honest(name: &str) -> bool {
    !name.eq_ignore_ascii_case(".git") && !name.contains('\\') && !name.chars().any(char::is_control)
}

fn take(files: &mut MarkedFiles, path: &str, text: Vec<u8>, targets: &Targets) {
    let found = find_sites(path, &text, targets);
    if !found.is_empty() {
        files.insert(path.to_owned(), MarkedFile { text, found });
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_files_that_git_would_hold_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let marked = "image: a:1 # {\"$imagepolicy\": \"shop:api\"}\n";
        for path in [
            "a.yaml",
            ".github/b.yaml",
            ".git/c.yaml",
            "module/.git/x",
            "module/d.yaml",
            "e.txt",
            "f\nx.yaml",
        ] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, marked).unwrap();
        }
        fs::write(folder.path().join("plain.yaml"), "a: 1\n").unwrap();
        symlink(folder.path().join("a.yaml"), folder.path().join("link.yaml")).unwrap();
        symlink(folder.path().join(".github"), folder.path().join("linked")).unwrap();
        let files = files_below(folder.path(), &Scope::compile(None).unwrap(), &Targets::default()).unwrap();
        assert_eq!(files.keys().collect::<Vec<_>>(), [".github/b.yaml", "a.yaml"]);
    }
}
