//! Where image versions live in a tree, kept up to date at the cost of what changed.

mod kept;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::Scope;
use super::plan::{Plan, Wishes};
use crate::edit::{ChartSources, FileSites, Targets, find_sites};
use crate::git::{BlobId, Error, FileChange, Snapshot, TreeId};
use kept::{Found, IndexedFile, KeptFiles};

/// Larger files are not looked at, in bytes. Only a file below `edit`'s own, smaller cap is ever changed; up to this
/// size a marker is still noticed and reported.
pub const MAX_FILE: usize = 16 << 20;

/// So many files are read before memory is given back; in tests, each file by itself.
const FILES_AT_ONCE: usize = if cfg!(test) { 1 } else { 2_500 };

/// The list of files to read may have so many bytes. Files beyond it are read as they come, and memory is given back later.
const MAX_LIST: usize = 16 << 20;

/// So many bytes of files are searched for one tree. A blob counts as often as the tree names it: a tree of a few kilobytes
/// can name one by two million paths.
const MAX_SEARCHED: usize = if cfg!(test) { 1 << 20 } else { 2 << 30 };

const TOO_MUCH_TO_SEARCH: Error = Error::TooMuch { most: MAX_SEARCHED, what: "bytes to search for versions" };

/// The sites of one tree. A file is read again only where its blob at its path is another one.
#[derive(Debug, Default)]
pub(super) struct SiteIndex {
    tree: Option<TreeId>,
    files: KeptFiles,
    /// The sources of charts in all files.
    sources: ChartSources,
    /// What the policies wanted when the index was looked at last.
    wishes: Arc<Wishes>,
    /// The plan for that tree and these wishes, where nothing was to be done.
    rest: Option<Plan>,
}

impl SiteIndex {
    /// The files with at least one site or problem, by path.
    pub(super) const fn files(&self) -> &BTreeMap<Box<str>, IndexedFile> {
        self.files.all()
    }

    /// The sources of charts in these files.
    pub(super) const fn sources(&self) -> &ChartSources {
        &self.sources
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
    /// Where an object can not be read, or the tree holds more than is borne. Nothing is kept then, and the next call reads
    /// the whole tree.
    pub(super) fn update(
        &mut self,
        snapshot: &mut Snapshot,
        scope: &Scope,
        targets: &Targets,
        wishes: &Arc<Wishes>,
    ) -> Result<(), Error> {
        let updated = self.take_over(snapshot, scope, targets, wishes);
        if updated.is_err() {
            *self = Self::default();
        }
        updated
    }

    fn take_over(
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
        let (files, sought) = (&mut self.files, (targets, &self.sources));
        if before.is_none() {
            *files = KeptFiles::default();
        }
        let mut searched = MAX_SEARCHED;
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
                        None => look_at(files, (path.into(), blob), snapshot, &mut searched, sought, wishes)?,
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
                look_at(files, file, snapshot, &mut searched, sought, wishes)?;
            }
            if is_much {
                snapshot.let_go()?;
            }
        }
        self.put_charts_together(snapshot, targets, wishes, &mut searched)?;
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
        let is_new = |file: &IndexedFile| matches!(&file.found, Found::Elsewhere { policy, .. } if new.contains(&**policy));
        let again = self.files.all().iter().filter(|(_, file)| is_new(file));
        let again: Vec<_> = again.map(|(path, file)| (path.clone(), file.blob)).collect();
        let mut searched = MAX_SEARCHED;
        for file in again {
            look_at(&mut self.files, file, snapshot, &mut searched, (targets, &self.sources), wishes)?;
        }
        Ok(())
    }

    /// Takes over the sources of charts that the files hold now, and reads those again in which charts are named.
    fn put_charts_together(
        &mut self,
        snapshot: &Snapshot,
        targets: &Targets,
        wishes: &Wishes,
        searched: &mut usize,
    ) -> Result<(), Error> {
        if !targets.updates().oci_artifacts {
            return Ok(());
        }
        let sources = ChartSources::of(self.files.all().values().flat_map(IndexedFile::chart_sources));
        if sources == self.sources {
            return Ok(());
        }
        self.sources = sources;
        let with_charts = self.files.all().iter().filter(|(_, file)| file.has_charts);
        let again: Vec<_> = with_charts.map(|(path, file)| (path.clone(), file.blob)).collect();
        for file in again {
            look_at(&mut self.files, file, snapshot, searched, (targets, &self.sources), wishes)?;
        }
        Ok(())
    }
}

/// Reads a file, and remembers what it holds, or that it holds nothing.
fn look_at(
    files: &mut KeptFiles,
    (path, blob): (Box<str>, BlobId),
    snapshot: &Snapshot,
    searched: &mut usize,
    (targets, sources): (&Targets, &ChartSources),
    wishes: &Wishes,
) -> Result<(), Error> {
    match sites_of(snapshot, &path, blob, searched, targets)? {
        Some(mut found) => {
            let has_charts = found.needs_chart_sources();
            found.resolve(sources);
            files.insert(path, IndexedFile::new(blob, found, has_charts, wishes))
        }
        None => {
            files.remove(&path);
            Ok(())
        }
    }
}

fn sites_of(
    snapshot: &Snapshot,
    path: &str,
    blob: BlobId,
    searched: &mut usize,
    targets: &Targets,
) -> Result<Option<FileSites>, Error> {
    let found = snapshot.read_as(blob, MAX_FILE, |text| {
        *searched = searched.checked_sub(text.len()).ok_or(TOO_MUCH_TO_SEARCH)?;
        Ok::<_, Error>(find_sites(path, text, targets))
    });
    Ok(found?.transpose()?.filter(|found| !found.is_empty()))
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

    const SITE: &[u8] = b"image: example.com/api:1.0.0 # {\"$imagepolicy\": \"shop:api\"}\n";

    /// Makes a bare repository anew, whose branch `main` holds these files alone.
    fn make(folder: &Path, files: &[&str]) {
        make_of(SITE, folder, files);
    }

    fn make_of(content: &[u8], folder: &Path, files: &[&str]) {
        let _ = std::fs::remove_dir_all(folder);
        let repository = Repository::init_bare(folder).unwrap();
        let blob = repository.blob(content).unwrap();
        let mut tree = repository.treebuilder(None).unwrap();
        for file in files {
            tree.insert(file, blob, 0o100_644).unwrap();
        }
        let tree = repository.find_tree(tree.write().unwrap()).unwrap();
        let author = git2::Signature::new("a", "a@b", &git2::Time::new(0, 0)).unwrap();
        repository.commit(Some("refs/heads/main"), &author, &author, "x", &tree, &[]).unwrap();
    }

    async fn update(index: &mut SiteIndex, folder: &Path, wishes: &Arc<Wishes>) -> Vec<String> {
        try_update(index, folder, wishes).await.unwrap()
    }

    async fn try_update(
        index: &mut SiteIndex,
        folder: &Path,
        wishes: &Arc<Wishes>,
    ) -> Result<Vec<String>, Error> {
        let branch = Branch::open_local(folder, BranchName::parse("main").unwrap());
        let head = branch.bring_up_to_date().await.unwrap();
        let mut snapshot = branch.snapshot(head).unwrap();
        index.update(&mut snapshot, &Scope::compile(None).unwrap(), &Targets::default(), wishes)?;
        Ok(index.files().keys().map(ToString::to_string).collect())
    }

    /// So many paths, all of one content, in the order of their names.
    fn paths(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("{n:04}.yaml")).collect()
    }

    #[tokio::test]
    async fn a_few_bytes_that_a_tree_names_over_and_over_are_borne_up_to_a_bound() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("infra.git");
        let long = format!("image: api:{} # {{\"$imagepolicy\": \"shop:api\"}}\n", "x".repeat(1_000));
        let nothing = vec![b'#'; 64 << 10];
        for (content, most, what) in [
            (SITE, 100, "100 places of versions"),
            (long.as_bytes(), 9, "10000 bytes in the places"),
            (&nothing, 16, "1048576 bytes to search"),
        ] {
            for wishes in [wishes(&["api"]), wishes(&["web"])] {
                let paths = paths(most + 1);
                let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
                let mut index = SiteIndex::default();
                make_of(content, &folder, &paths[..most]);
                update(&mut index, &folder, &wishes).await;
                // What went counts no more.
                make_of(content, &folder, &paths[1..]);
                update(&mut index, &folder, &wishes).await;
                make_of(content, &folder, &paths);
                let more = try_update(&mut index, &folder, &wishes).await;
                if content == long.as_bytes() && !wishes.contains_key(&ObjectKey::new("shop", "api")) {
                    continue;
                }
                let error = more.unwrap_err();
                assert_eq!(error.reason(), crate::api::Reason::TooLarge);
                let error = error.to_string();
                assert!(error.contains(what) && error.contains("spec.paths"), "{error}");
            }
        }
    }

    #[tokio::test]
    async fn of_the_problems_of_each_policy_the_first_ones_are_listed_and_all_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let (folder, mut index) = (folder.path().join("infra.git"), SiteIndex::default());
        make(&folder, &["one.yaml", "two.yaml"]);
        let wishes = wishes(&["api"]);
        update(&mut index, &folder, &wishes).await;
        let files = index.files().iter().map(|(path, file)| (&**path, file.known()));
        let plan = plan(files, |_| Err(()), &wishes, 1).unwrap();
        assert_eq!((plan.problems.len(), plan.problem_counts[&ProblemReason::NotChosen]), (1, 2));
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

    /// Makes a bare repository anew, whose branch `main` holds these files alone.
    fn make_texts(folder: &Path, files: &[(&str, &str)]) {
        let _ = std::fs::remove_dir_all(folder);
        let repository = Repository::init_bare(folder).unwrap();
        let mut tree = repository.treebuilder(None).unwrap();
        for (path, text) in files {
            tree.insert(path, repository.blob(text.as_bytes()).unwrap(), 0o100_644).unwrap();
        }
        let tree = repository.find_tree(tree.write().unwrap()).unwrap();
        let author = git2::Signature::new("a", "a@b", &git2::Time::new(0, 0)).unwrap();
        repository.commit(Some("refs/heads/main"), &author, &author, "x", &tree, &[]).unwrap();
    }

    #[tokio::test]
    async fn a_chart_follows_the_policy_of_the_address_that_another_file_tells() {
        let release = "kind: HelmRelease\nmetadata: {name: api, namespace: shop}\nspec:\n  chart:\n    spec:\n      chart: api\n      version: 1.0.0\n      sourceRef: {kind: HelmRepository, name: acme, namespace: flux}\n";
        let source = |url: &str| {
            format!(
                "kind: HelmRepository\nmetadata: {{name: acme, namespace: flux}}\nspec: {{url: '{url}'}}\n"
            )
        };
        let folder = tempfile::tempdir().unwrap();
        let (folder, mut index) = (folder.path().join("infra.git"), SiteIndex::default());
        let updates = crate::api::Updates { oci_artifacts: true, ..crate::api::Updates::default() };
        let targets = Targets::compile(&updates, "shop").unwrap();
        let wish = |image: &str| {
            let image = Some(crate::image::ImageName::parse(image).unwrap());
            (ObjectKey::new("shop", "api"), Err(NoWish { why: "it is new".to_owned(), image }))
        };
        let wishes = Arc::new(Wishes::from([wish("x.io/charts/api")]));
        let (oci, elsewhere) = (source("oci://x.io/charts"), source("https://x.io/charts"));
        let moved = source("oci://y.io/charts");
        for (files, problems) in [
            (vec![("a.yaml", release), ("b.yaml", oci.as_str())], vec![ProblemReason::NotChosen]),
            (vec![("a.yaml", release), ("b.yaml", &elsewhere)], vec![]),
            (vec![("a.yaml", release), ("b.yaml", &moved)], vec![]),
            (vec![("a.yaml", release)], vec![ProblemReason::NoValue]),
            (vec![("a.yaml", release), ("0.yaml", &oci)], vec![ProblemReason::NotChosen]),
        ] {
            make_texts(&folder, &files);
            let branch = Branch::open_local(&folder, BranchName::parse("main").unwrap());
            let head = branch.bring_up_to_date().await.unwrap();
            let mut snapshot = branch.snapshot(head).unwrap();
            index.update(&mut snapshot, &Scope::compile(None).unwrap(), &targets, &wishes).unwrap();
            let known = index.files().iter().map(|(path, file)| (&**path, file.known()));
            let plan = plan(known, |_| Err(()), &wishes, 9).unwrap();
            let found: Vec<_> = plan.problems.iter().map(|one| one.problem.reason).collect();
            assert_eq!(found, problems, "{files:?}: {:?}", plan.problems);
        }
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
