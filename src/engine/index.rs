//! Where image versions live in a tree, kept up to date at the cost of what changed.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::Scope;
use super::plan::{Known, Plan, Wishes};
use crate::edit::{FileSites, Targets, find_sites};
use crate::git::{BlobId, Error, FileChange, Snapshot, TreeId};

/// Larger files are not looked at, in bytes. Only a file below `edit`'s own, smaller cap is ever changed; up to this
/// size a marker is still noticed and reported.
pub const MAX_FILE: usize = 16 << 20;

/// So many files are read before memory is given back; in tests, each file by itself.
const FILES_AT_ONCE: usize = if cfg!(test) { 1 } else { 2_500 };

/// The list of files to read may have so many bytes. Files beyond it are read as they come, and memory is given back later.
const MAX_LIST: usize = 16 << 20;

/// The sites of one tree. A file is read once for each content it has: what it holds follows from its blob alone.
#[derive(Debug, Default)]
pub(super) struct SiteIndex {
    tree: Option<TreeId>,
    files: BTreeMap<Box<str>, IndexedFile>,
    /// What the policies wanted when the index was looked at last.
    wishes: Arc<Wishes>,
    /// The plan for that tree and these wishes, where nothing was to be done.
    rest: Option<Plan>,
}

/// A file with at least one site or problem.
#[derive(Debug)]
pub(super) struct IndexedFile {
    pub(super) blob: BlobId,
    found: Found,
}

/// What a file holds.
#[derive(Debug)]
enum Found {
    Sites(Box<FileSites>),
    /// One marker, for a policy that was not there. A repo may hold one for every app of a company, and this be one team's
    /// view of it: no more is kept than is told of such a file. It is read again when its policy comes to be.
    Elsewhere {
        line: u32,
        policy: Box<str>,
    },
}

impl IndexedFile {
    fn new(blob: BlobId, mut found: FileSites, wishes: &Wishes) -> Self {
        let elsewhere = found.sole_marker().filter(|(_, policy)| !wishes.contains_key(policy));
        let found = match elsewhere.and_then(|(line, policy)| Some((u32::try_from(line).ok()?, policy))) {
            Some((line, policy)) => Found::Elsewhere { line, policy: policy.to_string().into() },
            None => {
                // Most files hold one site; the room that a growing list reserves would be most of the index.
                found.sites.shrink_to_fit();
                found.problems.shrink_to_fit();
                Found::Sites(Box::new(found))
            }
        };
        Self { blob, found }
    }

    /// What is known of the file.
    pub(super) fn known(&self) -> Known<'_> {
        match &self.found {
            Found::Sites(found) => Known::Sites(found),
            Found::Elsewhere { line, policy } => Known::Elsewhere { line: (*line).into(), policy },
        }
    }
}

impl SiteIndex {
    /// The files with at least one site or problem, by path.
    pub(super) const fn files(&self) -> &BTreeMap<Box<str>, IndexedFile> {
        &self.files
    }

    /// The plan over these files, where it is known that there is nothing to do: a look at a branch that has not moved
    /// costs no more than the comparison of the wishes.
    pub(super) const fn rest(&self) -> Option<&Plan> {
        self.rest.as_ref()
    }

    /// Remembers a plan over these files for the wishes that they were updated for.
    pub(super) fn set_rest(&mut self, plan: &Plan) {
        if self.rest.is_none() && plan.files.is_empty() {
            self.rest = Some(plan.clone());
        }
    }

    /// Takes over what differs between the tree seen last and this one, and what the policies want now. Blocks.
    ///
    /// # Errors
    /// Where an object can not be read. The next call reads the whole tree then.
    pub(super) fn update(
        &mut self,
        snapshot: &mut Snapshot,
        scope: &Scope,
        targets: &Targets,
        wishes: &Arc<Wishes>,
    ) -> Result<(), Error> {
        if self.tree != Some(snapshot.tree()) {
            self.rest = None;
            self.read_changes(snapshot, scope, targets, wishes)?;
        }
        if self.wishes != *wishes {
            self.rest = None;
            self.read_again(snapshot, targets, wishes)?;
            self.wishes = Arc::clone(wishes);
        }
        Ok(())
    }

    fn read_changes(
        &mut self,
        snapshot: &mut Snapshot,
        scope: &Scope,
        targets: &Targets,
        wishes: &Wishes,
    ) -> Result<(), Error> {
        // The mirror may have been fetched anew since. Without the old tree nobody can say which files are gone.
        let before = self.tree.take().filter(|tree| snapshot.holds(*tree));
        let files = &mut self.files;
        if before.is_none() {
            files.clear();
        }
        let (mut new, mut room) = (Vec::<(Box<str>, BlobId)>::new(), MAX_LIST);
        snapshot.changed_files(before, &|folder| scope.enters(folder), &mut |change| {
            match change {
                FileChange::Gone { path } => {
                    files.remove(path);
                }
                FileChange::Present { path, blob } if scope.admits(path) && targets.search(path) => {
                    match room.checked_sub(path.len() + size_of::<(Box<str>, BlobId)>()) {
                        Some(left) => {
                            room = left;
                            new.push((path.into(), blob));
                        }
                        None => look_at(files, (path.into(), blob), snapshot, targets, wishes)?,
                    }
                }
                FileChange::Present { .. } | FileChange::Link { .. } => {}
            }
            Ok(())
        })?;
        let is_much = new.len() > FILES_AT_ONCE;
        let mut new = new.into_iter();
        while new.len() > 0 {
            for file in new.by_ref().take(FILES_AT_ONCE) {
                look_at(files, file, snapshot, targets, wishes)?;
            }
            if is_much {
                snapshot.let_go()?;
            }
        }
        self.tree = Some(snapshot.tree());
        Ok(())
    }

    /// Reads the files again of which less was kept, and whose policy has come to be.
    fn read_again(&mut self, snapshot: &Snapshot, targets: &Targets, wishes: &Wishes) -> Result<(), Error> {
        let new = wishes.keys().filter(|policy| !self.wishes.contains_key(policy));
        let new: HashSet<String> = new.map(ToString::to_string).collect();
        if new.is_empty() {
            return Ok(());
        }
        for (path, file) in &mut self.files {
            if let Found::Elsewhere { policy, .. } = &file.found
                && new.contains(&**policy)
                && let Some(found) = sites_of(snapshot, path, file.blob, targets)?
            {
                *file = IndexedFile::new(file.blob, found, wishes);
            }
        }
        Ok(())
    }
}

/// Reads a file, and remembers what it holds, or that it holds nothing.
fn look_at(
    files: &mut BTreeMap<Box<str>, IndexedFile>,
    (path, blob): (Box<str>, BlobId),
    snapshot: &Snapshot,
    targets: &Targets,
    wishes: &Wishes,
) -> Result<(), Error> {
    match sites_of(snapshot, &path, blob, targets)? {
        Some(found) => {
            files.insert(path, IndexedFile::new(blob, found, wishes));
        }
        None => {
            files.remove(&path);
        }
    }
    Ok(())
}

fn sites_of(
    snapshot: &Snapshot,
    path: &str,
    blob: BlobId,
    targets: &Targets,
) -> Result<Option<FileSites>, Error> {
    let Some(text) = snapshot.read(blob, MAX_FILE)? else { return Ok(None) };
    let found = find_sites(path, &text, targets);
    Ok((!found.is_empty()).then_some(found))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use git2::Repository;

    use super::*;
    use crate::api::ObjectKey;
    use crate::edit::ProblemReason;
    use crate::engine::plan::{NoWish, plan};
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

    async fn update(index: &mut SiteIndex, folder: &Path, wishes: &Arc<Wishes>) -> Vec<String> {
        let branch = Branch::open_local(folder, BranchName::parse("main").unwrap());
        let head = branch.bring_up_to_date().await.unwrap();
        let mut snapshot = branch.snapshot(head).unwrap();
        index.update(&mut snapshot, &Scope::compile(None).unwrap(), &Targets::default(), wishes).unwrap();
        index.files().keys().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn a_file_that_went_while_the_objects_were_fetched_anew_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let (folder, mut index) = (folder.path().join("infra.git"), SiteIndex::default());
        let none = Arc::<Wishes>::default();
        make(&folder, &["kept.yaml", "old.yaml"]);
        assert_eq!(update(&mut index, &folder, &none).await, ["kept.yaml", "old.yaml"]);
        // The same content under another name: nothing but the missing tree tells that old.yaml is gone.
        make(&folder, &["kept.yaml", "new.yaml"]);
        assert_eq!(update(&mut index, &folder, &none).await, ["kept.yaml", "new.yaml"]);
    }

    /// A policy that has not chosen.
    fn wishes(names: &[&str]) -> Arc<Wishes> {
        let wish = |name: &&str| {
            (ObjectKey::new("shop", *name), Err(NoWish { why: "it is new".to_owned(), image: None }))
        };
        Arc::new(names.iter().map(wish).collect())
    }

    fn counts(index: &SiteIndex, wishes: &Wishes) -> Vec<(ProblemReason, u64)> {
        let files = index.files().iter().map(|(path, file)| (&**path, file.known()));
        let plan = plan(files, |_| Err(()), wishes, 1).unwrap();
        assert_eq!((plan.sites, plan.files_with_sites, plan.problems.is_empty()), (2, 2, false));
        plan.problem_counts.into_iter().collect()
    }

    #[tokio::test]
    async fn a_file_is_read_again_when_its_policy_comes_to_be() {
        let folder = tempfile::tempdir().unwrap();
        let (folder, mut index) = (folder.path().join("infra.git"), SiteIndex::default());
        make(&folder, &["one.yaml", "two.yaml"]);
        for (names, reason) in [
            (["web"].as_slice(), ProblemReason::UnknownPolicy),
            (&["web", "api"], ProblemReason::NotChosen),
            (&["web"], ProblemReason::UnknownPolicy),
            (&["api"], ProblemReason::NotChosen),
        ] {
            let wishes = wishes(names);
            update(&mut index, &folder, &wishes).await;
            assert_eq!(counts(&index, &wishes), [(reason, 2)], "{names:?}");
        }
    }

    #[tokio::test]
    async fn the_plan_at_rest_is_forgotten_when_the_files_or_the_wishes_move() {
        let folder = tempfile::tempdir().unwrap();
        let (folder, mut index) = (folder.path().join("infra.git"), SiteIndex::default());
        make(&folder, &["one.yaml"]);
        update(&mut index, &folder, &wishes(&["web"])).await;
        index.set_rest(&Plan::default());
        update(&mut index, &folder, &wishes(&["web"])).await;
        assert!(index.rest().is_some());
        update(&mut index, &folder, &wishes(&["api"])).await;
        assert!(index.rest().is_none(), "other wishes");
        index.set_rest(&Plan::default());
        make(&folder, &["one.yaml", "two.yaml"]);
        update(&mut index, &folder, &wishes(&["api"])).await;
        assert!(index.rest().is_none(), "other files");
    }
}
