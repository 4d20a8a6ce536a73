//! Which files of a folder, a work tree or a commit are looked at, why others are not, and what they hold.

use std::collections::HashSet;
use std::io::Read;
use std::path::{Component, Path};
use std::{fs, io};

use anyhow::anyhow;
use memchr::memchr;

use crate::edit::Targets;
use crate::engine::{MAX_FILE, NotRead, Scope, Unread};
use crate::git::{BlobId, Error, FileChange, Ignored, Snapshot};

/// The longest path that a link may hold, in bytes; Linux has no longer ones (`PATH_MAX`).
const MAX_LINK: usize = 4096;

/// Larger files of a format that is not looked at are passed over, in bytes: what people write versions into is small.
pub(super) const MAX_OTHER_FILE: usize = 256 * 1024;

/// So much of such a file tells whether it is text.
const FIRST_BYTES: u64 = 8 * 1024;

/// What decides which files are looked at.
#[derive(Clone, Copy)]
pub(super) struct Selector<'a> {
    pub(super) scope: &'a Scope,
    pub(super) targets: &'a Targets,
    /// Whether files of other formats are looked at for comments that nothing reads.
    pub(super) with_others: bool,
}

/// Files by their paths from the root, with `/`, in no order.
pub(super) struct List<F> {
    /// Those that are looked at.
    pub(super) files: Vec<F>,
    /// Those of other formats, of which nothing is told but the comments in them that nothing reads.
    pub(super) others: Vec<F>,
    /// Those that would be, if they could be read.
    pub(super) unread: Vec<Unread>,
}

/// A symbolic link of a name that is looked at.
struct Link {
    path: String,
    /// What it says.
    to: String,
    /// The path to which that leads.
    target: Option<String>,
}

impl Link {
    fn new(path: String, to: &Path) -> Self {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        Self { target: within(folder, to), to: to.to_string_lossy().into_owned(), path }
    }
}

impl<F> List<F> {
    /// With links, which are not read: they are told of unless they lead to a file that is looked at itself.
    fn new(files: Vec<F>, others: Vec<F>, links: Vec<Link>, path_of: impl Fn(&F) -> &str) -> Self {
        let mut unread = Vec::new();
        if !links.is_empty() {
            let paths: HashSet<&str> = files.iter().map(path_of).collect();
            let is_read = |link: &Link| link.target.as_deref().is_some_and(|target| paths.contains(target));
            let links = links.into_iter().filter(|link| !is_read(link));
            unread.extend(links.map(|Link { path, to, .. }| Unread { path, why: NotRead::Link { to } }));
        }
        Self { files, others, unread }
    }
}

impl Selector<'_> {
    fn includes(self, path: &str) -> bool {
        self.scope.admits(path) && self.targets.search(path)
    }

    fn includes_as_other(self, path: &str) -> bool {
        self.with_others && self.scope.admits(path) && self.targets.search_for_strays(path)
    }

    /// Those of a commit.
    pub(super) fn list_commit(self, snapshot: &Snapshot) -> Result<List<(String, BlobId)>, Error> {
        let (mut files, mut others, mut links) = (Vec::new(), Vec::new(), Vec::new());
        snapshot.changed_files(None, &|folder| self.scope.enters(folder), &mut |change| {
            match change {
                FileChange::Present { path, blob } if self.includes(path) => {
                    files.push((path.to_owned(), blob));
                }
                FileChange::Present { path, blob } if self.includes_as_other(path) => {
                    others.push((path.to_owned(), blob));
                }
                FileChange::Link { path, blob } if self.includes(path) => {
                    let to = snapshot.read(blob, MAX_LINK)?;
                    let to = to.unwrap_or_else(|| format!("a path of more than {MAX_LINK} bytes").into());
                    links.push(Link::new(path.to_owned(), Path::new(&*String::from_utf8_lossy(&to))));
                }
                FileChange::Present { .. } | FileChange::Link { .. } | FileChange::Gone { .. } => {}
            }
            Ok(())
        })?;
        Ok(List::new(files, others, links, |(path, _)| path))
    }

    /// Those on disk that Git would hold: no links, no folders that are repositories of their own, and nothing ignored.
    pub(super) fn list_folder(self, root: &Path, ignored: Option<&Ignored>) -> anyhow::Result<List<String>> {
        let (mut files, mut others) = (Vec::new(), Vec::new());
        let (mut links, mut unread) = (Vec::new(), Vec::new());
        let mut folders = vec![(root.to_owned(), String::new())];
        while let Some((folder, prefix)) = folders.pop() {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if prefix.is_empty() => return Err(unreadable(&folder, &error)),
                Err(error) => {
                    unread
                        .push(Unread { path: prefix, why: NotRead::Unreadable { error: error.to_string() } });
                    continue;
                }
            };
            for entry in entries {
                let entry = entry.map_err(|error| unreadable(&folder, &error))?;
                let kind = entry.file_type().map_err(|error| unreadable(&entry.path(), &error))?;
                let name = entry.file_name();
                let Some(name) = name.to_str().filter(|name| is_honest(name)) else {
                    let name = name.to_string_lossy();
                    let path = format!("{prefix}{name}");
                    let is_entered = kind.is_dir() && !is_git(&name) && self.scope.enters(&path);
                    if is_entered || kind.is_file() && self.includes(&path) {
                        unread.push(Unread { path, why: NotRead::Name });
                    }
                    continue;
                };
                let path = format!("{prefix}{name}");
                if ignored.is_some_and(|ignored| ignored.holds(&path, kind.is_dir())) {
                    continue;
                }
                if kind.is_dir() && self.scope.enters(&path) && !entry.path().join(".git").exists() {
                    folders.push((entry.path(), format!("{path}/")));
                } else if kind.is_symlink() && self.includes(&path) {
                    let to = fs::read_link(entry.path());
                    links.push(Link::new(path, &to.map_err(|error| unreadable(&entry.path(), &error))?));
                } else if kind.is_file() && self.includes(&path) {
                    files.push(path);
                } else if kind.is_file() && self.includes_as_other(&path) {
                    others.push(path);
                }
            }
        }
        let mut list = List::new(files, others, links, String::as_str);
        list.unread.extend(unread);
        Ok(list)
    }
}

/// Reads a file on disk into a buffer, in place of what is in it.
pub(super) fn read_into(buffer: &mut Vec<u8>, file: &Path) -> Result<(), NotRead> {
    buffer.clear();
    // Not `fs::read`, which asks for the size first and so takes nearly twice as many calls for a small file.
    let cap = MAX_FILE as u64 + 1;
    let read = fs::File::open(file).and_then(|file| file.take(cap).read_to_end(buffer));
    match read {
        Ok(length) if length > MAX_FILE => Err(NotRead::TooLarge),
        Ok(_) => Ok(()),
        Err(error) => Err(NotRead::Unreadable { error: error.to_string() }),
    }
}

/// Reads a file of a format that is not looked at into a buffer, in place of what is in it: nothing of one that is large, is no
/// text, or can not be read.
pub(super) fn read_other_into(buffer: &mut Vec<u8>, file: &Path) {
    buffer.clear();
    let read = fs::File::open(file).and_then(|mut file| {
        Read::by_ref(&mut file).take(FIRST_BYTES).read_to_end(buffer)?;
        if memchr(0, buffer).is_none() {
            file.take(MAX_OTHER_FILE as u64 + 1 - FIRST_BYTES).read_to_end(buffer)?;
        }
        Ok(buffer.len())
    });
    if !read.is_ok_and(|length| length <= MAX_OTHER_FILE) {
        buffer.clear();
    }
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
    !is_git(name) && !name.contains('\\') && !name.chars().any(char::is_control)
}

/// The folder of a repository itself, which no tree can hold under any spelling.
fn is_git(name: &str) -> bool {
    name.eq_ignore_ascii_case(".git")
}
