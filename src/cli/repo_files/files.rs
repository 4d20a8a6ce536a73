//! The files of a folder, a work tree or a commit, one by one, and why some of them are not read.

use std::path::{Component, Path};
use std::{fs, io};

use anyhow::anyhow;

use crate::edit::Targets;
use crate::engine::{MAX_FILE, NotRead, Scope};
use crate::git::{Branch, CommitId, Error, FileChange, Ignored};

/// The longest path that a link may hold, in bytes; Linux has no longer ones (`PATH_MAX`).
const MAX_LINK: usize = 4096;

/// Takes a file by its path: its content, or why it is not read.
pub(super) type Take<'t> = &'t mut dyn FnMut(String, Result<Vec<u8>, NotRead>);

/// The files that are looked at.
#[derive(Clone, Copy)]
pub(super) struct Files<'a> {
    pub(super) scope: &'a Scope,
    pub(super) targets: &'a Targets,
}

impl Files<'_> {
    fn include(self, path: &str) -> bool {
        self.scope.admits(path) && self.targets.search(path)
    }

    /// The path to which a link in a folder leads, where what is there is looked at.
    fn target(self, folder: &str, to: &Path) -> Option<String> {
        within(folder, to).filter(|target| self.include(target))
    }

    /// Those of a commit.
    pub(super) fn read_branch(self, branch: &Branch, at: CommitId, take: Take<'_>) -> Result<(), Error> {
        let snapshot = branch.snapshot(at)?;
        let mut links = Vec::new();
        snapshot.changed_files(None, &|folder| self.scope.enters(folder), &mut |change| {
            match change {
                FileChange::Present { path, blob } if self.include(path) => {
                    take(path.to_owned(), snapshot.read(blob, MAX_FILE)?.ok_or(NotRead::TooLarge));
                }
                FileChange::Link { path, blob } if self.include(path) => {
                    let to = snapshot.read(blob, MAX_LINK)?;
                    let to = to.unwrap_or_else(|| format!("a path of more than {MAX_LINK} bytes").into());
                    let to = String::from_utf8_lossy(&to).into_owned();
                    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                    links.push((path.to_owned(), self.target(folder, Path::new(&to)), to));
                }
                FileChange::Present { .. } | FileChange::Link { .. } | FileChange::Gone { .. } => {}
            }
            Ok(())
        })?;
        let targets = links.iter().filter_map(|(_, target, _)| target.as_deref()).collect();
        let files = snapshot.files_among(&targets)?;
        for (path, target, to) in links {
            if !target.is_some_and(|target| files.contains(&target)) {
                take(path, Err(NotRead::Link { to }));
            }
        }
        Ok(())
    }

    /// Those on disk that Git would hold: no links, no folders that are repositories of their own, and nothing ignored.
    pub(super) fn read_below(
        self,
        root: &Path,
        ignored: Option<&Ignored>,
        take: Take<'_>,
    ) -> anyhow::Result<()> {
        let mut folders = vec![(root.to_owned(), String::new())];
        while let Some((folder, prefix)) = folders.pop() {
            for entry in fs::read_dir(&folder).map_err(|error| unreadable(&folder, &error))? {
                let entry = entry.map_err(|error| unreadable(&folder, &error))?;
                let kind = entry.file_type().map_err(|error| unreadable(&entry.path(), &error))?;
                let Some(name) = entry.file_name().to_str().filter(|name| is_honest(name)).map(str::to_owned)
                else {
                    let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
                    if kind.is_file() && self.include(&path) {
                        take(path, Err(NotRead::Name));
                    }
                    continue;
                };
                let path = format!("{prefix}{name}");
                if ignored.is_some_and(|ignored| ignored.holds(&path, kind.is_dir())) {
                    continue;
                }
                if kind.is_dir() && !entry.path().join(".git").exists() {
                    folders.push((entry.path(), format!("{path}/")));
                } else if kind.is_symlink() && self.include(&path) {
                    let to =
                        fs::read_link(entry.path()).map_err(|error| unreadable(&entry.path(), &error))?;
                    let is_file = |target: &str| {
                        fs::symlink_metadata(root.join(target)).is_ok_and(|target| target.is_file())
                    };
                    if !self.target(&prefix, &to).is_some_and(|target| is_file(&target)) {
                        take(path, Err(NotRead::Link { to: to.to_string_lossy().into_owned() }));
                    }
                } else if kind.is_file() && self.include(&path) {
                    take(path, read_file(&entry)?);
                }
            }
        }
        Ok(())
    }
}

fn read_file(entry: &fs::DirEntry) -> anyhow::Result<Result<Vec<u8>, NotRead>> {
    if !entry.metadata().is_ok_and(|metadata| metadata.len() <= MAX_FILE as u64) {
        return Ok(Err(NotRead::TooLarge));
    }
    fs::read(entry.path()).map(Ok).map_err(|error| unreadable(&entry.path(), &error))
}

fn unreadable(path: &Path, error: &io::Error) -> anyhow::Error {
    anyhow!("{} can not be read: {error}", path.display())
}

/// The path from the root to which a link in a folder leads by its text alone; `None` where it leaves the root.
fn within(folder: &str, to: &Path) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in to.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(parts.pop()?),
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

/// Names that a tree of Git can hold, and that do no harm in a diff.
fn is_honest(name: &str) -> bool {
    !name.eq_ignore_ascii_case(".git") && !name.contains('\\') && !name.chars().any(char::is_control)
}
