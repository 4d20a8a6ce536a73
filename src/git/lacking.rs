//! Which files of a commit are to be brought here and are not here yet.

use std::collections::HashSet;

use git2::{ObjectType, Odb, OdbLookupFlags, Repository, Tree};

use super::commit::CommitHead;
use super::snapshot::{MAX_DEPTH, MAX_ENTRIES, TOO_MANY_ENTRIES};
use super::{BlobId, CommitId, Coverage, Error};

/// More files than this are not asked for one by one: the whole commit comes at less cost.
const MOST: usize = 20_000;

/// The files of `commit` that `coverage` wants and the mirror lacks, each content once; `None` where they are too many
/// to be asked for one by one. What `held` has too is known to be here. Blocks.
///
/// Unlike for reading, links count as files: the server takes it that whoever holds a commit holds its links too.
///
/// # Errors
/// `Error::Objects` where a commit or a folder can not be read, and `Error::TooLarge` for more entries than are looked at.
pub(super) fn lacking(
    repository: &Repository,
    held: Option<CommitId>,
    commit: CommitId,
    coverage: &Coverage,
) -> Result<Option<Vec<BlobId>>, Error> {
    let tree = |id: CommitId| repository.find_tree(CommitHead::read(repository, id)?.tree).map_err(unread);
    let before = held.map(tree).transpose()?;
    let odb = repository.odb().map_err(unread)?;
    let mut search = Search { repository, odb, coverage, entries: MAX_ENTRIES, found: HashSet::new() };
    search.enter(before.as_ref(), &tree(commit)?, &mut String::new(), 0)?;
    Ok((search.found.len() <= MOST).then(|| search.found.into_iter().collect()))
}

/// How many of these files are not here. Blocks.
pub(super) fn still_lacking(repository: &Repository, files: &[BlobId]) -> Result<usize, Error> {
    let odb = repository.odb().map_err(unread)?;
    Ok(files.iter().filter(|file| !odb.exists_ext(file.0, OdbLookupFlags::NO_REFRESH)).count())
}

fn unread(source: git2::Error) -> Error {
    Error::objects("read", source)
}

struct Search<'a> {
    repository: &'a Repository,
    odb: Odb<'a>,
    coverage: &'a Coverage,
    entries: usize,
    found: HashSet<BlobId>,
}

impl Search<'_> {
    fn enter(
        &mut self,
        before: Option<&Tree<'_>>,
        after: &Tree<'_>,
        path: &mut String,
        depth: usize,
    ) -> Result<(), Error> {
        let parent = path.len();
        for entry in after {
            self.entries = self.entries.checked_sub(1).ok_or(TOO_MANY_ENTRIES)?;
            let twin = before.and_then(|tree| tree.get_name_bytes(entry.name_bytes()));
            if twin.as_ref().is_some_and(|twin| twin.id() == entry.id()) || self.found.len() > MOST {
                continue;
            }
            path.truncate(parent);
            if parent > 0 {
                path.push('/');
            }
            path.push_str(&String::from_utf8_lossy(entry.name_bytes()));
            match entry.kind() {
                Some(ObjectType::Tree) if depth < MAX_DEPTH && self.coverage.enters(path) => {
                    let twin = twin.and_then(|twin| self.repository.find_tree(twin.id()).ok());
                    let inner = self.repository.find_tree(entry.id()).map_err(unread)?;
                    self.enter(twin.as_ref(), &inner, path, depth + 1)?;
                }
                Some(ObjectType::Blob)
                    if self.coverage.admits(path)
                        && !self.odb.exists_ext(entry.id(), OdbLookupFlags::NO_REFRESH) =>
                {
                    self.found.insert(BlobId(entry.id()));
                }
                // Submodules are commits of other repositories.
                _ => {}
            }
        }
        path.truncate(parent);
        Ok(())
    }
}
