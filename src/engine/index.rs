//! Where image versions live in a tree, kept up to date at the cost of what changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Scope;
use crate::edit::{FileSites, find_sites, is_searched};
use crate::git::{BlobId, Error, FileChange, Snapshot, TreeId};

/// Larger files are not looked at, in bytes. Only a file below `edit`'s own, smaller cap is ever changed; up to this
/// size a marker is still noticed and reported.
pub const MAX_FILE: usize = 16 << 20;

/// The sites of one tree. A file is read once for each content it has: what it holds follows from its blob alone.
#[derive(Debug, Default)]
pub(super) struct SiteIndex {
    tree: Option<TreeId>,
    files: BTreeMap<String, IndexedFile>,
}

/// A file with at least one site or problem.
#[derive(Clone, Debug)]
pub(super) struct IndexedFile {
    pub(super) blob: BlobId,
    pub(super) found: Arc<FileSites>,
}

impl SiteIndex {
    /// The files with at least one site or problem, by path.
    pub(super) const fn files(&self) -> &BTreeMap<String, IndexedFile> {
        &self.files
    }

    /// Takes over what differs between the tree seen last and this one. Blocks.
    ///
    /// # Errors
    /// Where an object can not be read. The index is empty then, and the next call reads the whole tree.
    pub(super) fn update(&mut self, snapshot: &Snapshot, scope: &Scope) -> Result<(), Error> {
        if self.tree == Some(snapshot.tree()) {
            return Ok(());
        }
        // The mirror may have been fetched anew since. Without the old tree nobody can say which files are gone.
        let before = self.tree.take().filter(|tree| snapshot.holds(*tree));
        let files = &mut self.files;
        if before.is_none() {
            files.clear();
        }
        snapshot.changed_files(before, &mut |change| {
            match change {
                FileChange::Gone { path } => {
                    files.remove(path);
                }
                FileChange::Present { path, blob } if scope.admits(path) => {
                    match sites_of(snapshot, path, blob)? {
                        Some(found) => {
                            files.insert(path.to_owned(), IndexedFile { blob, found: Arc::new(found) });
                        }
                        None => {
                            files.remove(path);
                        }
                    }
                }
                FileChange::Present { .. } => {}
            }
            Ok(())
        })?;
        self.tree = Some(snapshot.tree());
        Ok(())
    }
}

fn sites_of(snapshot: &Snapshot, path: &str, blob: BlobId) -> Result<Option<FileSites>, Error> {
    if !is_searched(path) {
        return Ok(None);
    }
    let Some(text) = snapshot.read(blob, MAX_FILE)? else { return Ok(None) };
    let mut found = find_sites(path, &text);
    // Most files hold one site; the room that a growing list reserves would be most of the index.
    found.sites.shrink_to_fit();
    found.problems.shrink_to_fit();
    Ok((!found.is_empty()).then_some(found))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use git2::Repository;

    use super::*;
    use crate::git::{Branch, BranchName};

    /// Makes a bare repository anew, whose branch `main` holds these files alone.
    fn make(folder: &Path, files: &[&str]) {
        let _ = std::fs::remove_dir_all(folder);
        let repository = Repository::init_bare(folder).unwrap();
        let site = b"image: example.com/api:1.0.0 # {\"$imagepolicy\": \"shop:api\"}\n";
        let blob = repository.blob(site).unwrap();
        let mut tree = repository.treebuilder(None).unwrap();
        for file in files {
            tree.insert(file, blob, 0o100_644).unwrap();
        }
        let tree = repository.find_tree(tree.write().unwrap()).unwrap();
        let author = git2::Signature::new("a", "a@b", &git2::Time::new(0, 0)).unwrap();
        repository.commit(Some("refs/heads/main"), &author, &author, "x", &tree, &[]).unwrap();
    }

    async fn update(index: &mut SiteIndex, folder: &Path) -> Vec<String> {
        let branch = Branch::open_local(folder, BranchName::parse("main").unwrap());
        let head = branch.bring_up_to_date().await.unwrap();
        index.update(&branch.snapshot(head).unwrap(), &Scope::compile(None).unwrap()).unwrap();
        index.files().keys().cloned().collect()
    }

    #[tokio::test]
    async fn a_file_that_went_while_the_objects_were_fetched_anew_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let (folder, mut index) = (folder.path().join("infra.git"), SiteIndex::default());
        make(&folder, &["kept.yaml", "old.yaml"]);
        assert_eq!(update(&mut index, &folder).await, ["kept.yaml", "old.yaml"]);
        // The same content under another name: nothing but the missing tree tells that old.yaml is gone.
        make(&folder, &["kept.yaml", "new.yaml"]);
        assert_eq!(update(&mut index, &folder).await, ["kept.yaml", "new.yaml"]);
    }
}
