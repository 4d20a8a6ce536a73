//! The files of an infra repo that hold image versions: of a folder, a work tree, or a bare Git repository.

mod files;
mod shared_out;

use std::collections::BTreeMap;
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};

use self::files::{MAX_OTHER_FILE, Selector, read_into, read_other_into};
use self::shared_out::shared_out;
use super::BadInput;
use super::progress::Progress;
use crate::edit::{ChartSources, FileSites, Targets, find_sites};
use crate::engine::{GlobUse, IdleGlob, MAX_FILE, NotRead, Scope, Unread};
use crate::git::{Branch, BranchName, CommitId, Error, Ignored, head_branch};

/// The room that is made for a file before its size is known, in bytes: more than most take.
const USUAL_FILE: usize = 16 * 1024;

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
    pub(super) found: FileSites,
    kept: Kept,
}

/// What is kept of a file's text.
enum Kept {
    /// All of it.
    Whole(Vec<u8>),
    /// A keyed hash, by which a file on disk is known to be the same still. Most files hold what is wanted already, and
    /// the texts of all would be most of what a plan takes.
    Hash(u64),
}

/// By path, with `/`.
pub(super) type MarkedFiles = BTreeMap<String, MarkedFile>;

/// What a look at each file came to.
pub(super) struct Looked<T> {
    /// Of each file that was read, in no order.
    pub(super) results: Vec<T>,
    /// How many files were read of those in which versions are looked for.
    pub(super) files: usize,
    /// Files that were not read, in the order of their paths.
    pub(super) unread: Vec<Unread>,
}

/// What a search of the files came to.
#[derive(Default)]
pub(super) struct Searched {
    pub(super) marked: MarkedFiles,
    /// Files that were not read.
    pub(super) unread: Vec<Unread>,
    /// Globs of the InfraRepository that no file matches.
    pub(super) idle_globs: Vec<IdleGlob>,
    /// How many files were read.
    pub(super) files: usize,
    /// Where files on disk can be read again.
    root: Option<PathBuf>,
    hash: RandomState,
}

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

    /// The files with image versions that `scope` admits, and those that were not read.
    pub(super) fn search(&self, scope: &Scope, targets: &Targets) -> anyhow::Result<Searched> {
        let root = match self {
            Self::Folder(root) | Self::WorkTree(root) => Some(root.clone()),
            Self::Bare { .. } => None,
        };
        let mut searched = Searched { root, ..Searched::default() };
        let selector = Selector { scope, targets, with_others: true };
        let globs = GlobUse::of(scope, targets);
        let looked = self.look_at(selector, |path, text| {
            globs.take_note(path);
            searched.mark(path, text, targets)
        })?;
        searched.files = looked.files;
        searched.marked = looked.results.into_iter().flatten().collect();
        searched.put_charts_together();
        looked.unread.iter().for_each(|file| globs.take_note(&file.path));
        searched.idle_globs = globs.idle();
        searched.unread = looked.unread;
        Ok(searched)
    }

    /// Reads the files that `scope` admits and in which `targets` are looked for, and gives path, with `/`, and content
    /// to `look`, on several threads and in no order.
    pub(super) fn look<T: Send>(
        &self,
        scope: &Scope,
        targets: &Targets,
        look: impl Fn(&str, &[u8]) -> T + Sync,
    ) -> anyhow::Result<Looked<T>> {
        self.look_at(Selector { scope, targets, with_others: false }, look)
    }

    fn look_at<T: Send>(
        &self,
        selector: Selector<'_>,
        look: impl Fn(&str, &[u8]) -> T + Sync,
    ) -> anyhow::Result<Looked<T>> {
        match self {
            Self::Folder(root) => look_in_folder(selector, root, None, look),
            Self::WorkTree(root) => look_in_folder(selector, root, Ignored::of(root).as_ref(), look),
            Self::Bare { branch, at } => {
                let list = selector.list_commit(&branch.snapshot(*at)?)?;
                let progress = Progress::towards(list.files.len(), "files read");
                // libgit2 lets one thread at a time read from what it opened.
                let open = || Ok(branch.snapshot(*at)?);
                let results = shared_out(&list.files, open, |snapshot, (path, blob)| {
                    progress.step();
                    let text = snapshot.read(*blob, MAX_FILE)?;
                    let text = text.ok_or_else(|| Unread { path: path.clone(), why: NotRead::TooLarge });
                    Ok(text.map(|text| look(path, &text)))
                })?;
                let others = shared_out(&list.others, open, |snapshot, (path, blob)| {
                    Ok(snapshot.read(*blob, MAX_OTHER_FILE)?.map(|text| look(path, &text)))
                })?;
                Ok(Looked::new(results, others.into_iter().flatten(), list.unread))
            }
        }
    }
}

fn look_in_folder<T: Send>(
    selector: Selector<'_>,
    root: &Path,
    ignored: Option<&Ignored>,
    look: impl Fn(&str, &[u8]) -> T + Sync,
) -> anyhow::Result<Looked<T>> {
    let list = selector.list_folder(root, ignored)?;
    let progress = Progress::towards(list.files.len(), "files read");
    let buffer = || Ok(Vec::with_capacity(USUAL_FILE));
    let results = shared_out(&list.files, buffer, |text, path| {
        progress.step();
        let read = read_into(text, &root.join(path));
        Ok(read.map(|()| look(path, text)).map_err(|why| Unread { path: path.clone(), why }))
    })?;
    let others = shared_out(&list.others, buffer, |text, path| {
        read_other_into(text, &root.join(path));
        Ok(look(path, text))
    })?;
    Ok(Looked::new(results, others, list.unread))
}

impl<T> Looked<T> {
    fn new(
        results: Vec<Result<T, Unread>>,
        others: impl IntoIterator<Item = T>,
        mut unread: Vec<Unread>,
    ) -> Self {
        let mut looked = Vec::with_capacity(results.len());
        for result in results {
            match result {
                Ok(result) => looked.push(result),
                Err(file) => unread.push(file),
            }
        }
        unread.sort_by(|one, other| one.path.cmp(&other.path));
        let files = looked.len();
        looked.extend(others);
        Self { files, results: looked, unread }
    }
}

impl Searched {
    /// Gives each chart the address that its source tells, whichever file that is in. Files that only hold sources are then
    /// of no interest any more.
    fn put_charts_together(&mut self) {
        let files = || self.marked.values().map(|file| &file.found);
        let sources = ChartSources::of(files().flat_map(FileSites::chart_sources));
        self.marked.values_mut().for_each(|file| file.found.resolve(&sources));
        self.marked.retain(|_, file| !file.found.sites.is_empty() || !file.found.problems.is_empty());
    }

    /// Searches a file; `None` where nothing is in it.
    fn mark(&self, path: &str, text: &[u8], targets: &Targets) -> Option<(String, MarkedFile)> {
        let mut found = find_sites(path, text, targets);
        if found.is_empty() {
            return None;
        }
        // Most files hold one site; the room that a growing list reserves would be most of what is kept.
        found.sites.shrink_to_fit();
        found.problems.shrink_to_fit();
        let kept = match self.root {
            Some(_) => Kept::Hash(self.hash.hash_one(text)),
            None => Kept::Whole(text.to_vec()),
        };
        Some((path.to_owned(), MarkedFile { found, kept }))
    }

    /// The text in which something was found.
    ///
    /// # Errors
    /// Where it can not be read once more, or is another by now.
    pub(super) fn read(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        let file = self.marked.get(path).with_context(|| format!("nothing was found in {path}"))?;
        let hash = match &file.kept {
            Kept::Whole(text) => return Ok(text.clone()),
            Kept::Hash(hash) => *hash,
        };
        let file = self.root.as_deref().unwrap_or(Path::new("")).join(path);
        let text = fs::read(file).map_err(|error| anyhow!("{path} can not be read: {error}"))?;
        if self.hash.hash_one(&text) != hash {
            bail!("{path} was changed meanwhile; run the command again");
        }
        Ok(text)
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
        let all = Scope::compile(None).unwrap();
        let repo = Repo::Folder(folder.path().to_owned());
        let searched = repo.search(&all, &Targets::default()).unwrap();
        let found = |path: &&String| !searched.marked[*path].found.sites.is_empty();
        assert_eq!(searched.marked.keys().filter(found).collect::<Vec<_>>(), [".github/b.yaml", "a.yaml"]);
        assert_eq!(searched.files, 3, "and plain.yaml");
    }

    #[tokio::test]
    async fn a_marker_in_a_file_of_another_format_is_told_and_costs_little() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| fs::write(folder.path().join(path), text).unwrap();
        let marked = "image: a:1 # {\"$imagepolicy\": \"shop:api\"}\n";
        let filled = |length: usize| format!("{marked}{}", "#".repeat(length - marked.len()));
        write("a.tpl", marked);
        write("largest.tpl", &filled(MAX_OTHER_FILE));
        write("large.tpl", &filled(MAX_OTHER_FILE + 1));
        write("binary", &format!("\0{marked}"));
        write("README.md", marked);
        symlink("a.tpl", folder.path().join("link.tpl")).unwrap();
        let git = git2::Repository::init(folder.path()).unwrap();
        let mut index = git.index().unwrap();
        index.add_all(["*"], git2::IndexAddOption::DEFAULT, None).unwrap();
        let tree = git.find_tree(index.write_tree().unwrap()).unwrap();
        let author = git2::Signature::new("a", "a@b", &git2::Time::new(0, 0)).unwrap();
        git.commit(Some("HEAD"), &author, &author, "x", &tree, &[]).unwrap();
        for (path, is_bare) in [(folder.path().to_owned(), false), (folder.path().join(".git"), true)] {
            git.config().unwrap().set_bool("core.bare", is_bare).unwrap();
            let repo = Repo::open(&path, None, None).await.unwrap();
            let searched = repo.search(&Scope::compile(None).unwrap(), &Targets::default()).unwrap();
            let told = searched.marked.iter().flat_map(|(path, file)| {
                file.found.problems.iter().map(move |problem| (path.as_str(), problem.line))
            });
            assert_eq!(told.collect::<Vec<_>>(), [("a.tpl", 1), ("largest.tpl", 1)], "{}", path.display());
            assert_eq!((searched.files, searched.unread.len()), (0, 0));
        }
    }

    #[test]
    fn a_chart_has_the_address_that_another_file_tells() {
        let folder = tempfile::tempdir().unwrap();
        let release = "kind: HelmRelease\nspec: {chart: {spec: {chart: api, version: 1.0.0, sourceRef: {name: acme, namespace: flux}}}}\n";
        let source = "kind: HelmRepository\nmetadata: {name: acme, namespace: flux}\nspec: {url: 'oci://x.io/charts'}\n";
        fs::write(folder.path().join("a.yaml"), release).unwrap();
        fs::write(folder.path().join("b.yaml"), source).unwrap();
        let updates = crate::api::Updates { oci_artifacts: true, ..crate::api::Updates::default() };
        let image = crate::image::ImageName::parse("x.io/charts/api").unwrap();
        let targets = Targets::compile(&updates, "shop").unwrap();
        for targets in [targets.clone(), targets.of_images([&image])] {
            let repo = Repo::Folder(folder.path().to_owned());
            let searched = repo.search(&Scope::compile(None).unwrap(), &targets).unwrap();
            let found: Vec<_> =
                searched.marked.iter().map(|(path, file)| (path.as_str(), &file.found.sites)).collect();
            let [("a.yaml", sites)] = found.as_slice() else { panic!("{found:?}") };
            assert_eq!(sites[0].owner, crate::edit::Owner::Image(image.clone()));
        }
    }

    #[test]
    fn what_is_unread_is_told_unless_it_is_looked_at_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let path = |path: &str| folder.path().join(path);
        fs::create_dir_all(path("apps/api")).unwrap();
        fs::create_dir_all(path("base")).unwrap();
        for file in ["apps/api/a.yaml", "base/b.yaml", "apps/f\nx.yaml", "apps/f\nx.txt"] {
            fs::write(path(file), "a: 1\n").unwrap();
        }
        for folder in ["apps/we\\ird", "apps/x/.GIT", "other/we\\ird"] {
            fs::create_dir_all(path(folder)).unwrap();
            fs::write(path(folder).join("a.yaml"), "a: 1\n").unwrap();
        }
        fs::File::create(path("apps/large.yaml")).unwrap().set_len(MAX_FILE as u64 + 1).unwrap();
        for (to, link) in [
            ("api/a.yaml", "apps/seen.yaml"),
            ("../base/b.yaml", "apps/unseen.yaml"),
            ("/etc/hostname", "apps/absolute.yaml"),
            ("../../x.yaml", "apps/outside.yaml"),
            ("gone.yaml", "apps/gone.yaml.yaml"),
            ("seen.yaml", "apps/chain.yaml"),
            ("api/a.yaml", "apps/link.txt"),
            ("api", "apps/folder"),
            ("b.yaml", "base/link.yaml"),
        ] {
            symlink(to, path(link)).unwrap();
        }
        let apps = crate::api::Paths { include: vec!["apps/**".to_owned()], exclude: Vec::new() };
        let apps = Scope::compile(Some(&apps)).unwrap();
        let repo = Repo::Folder(folder.path().to_owned());
        let unread = repo.search(&apps, &Targets::default()).unwrap().unread;
        let link = |path: &str, to: &str| (path.to_owned(), NotRead::Link { to: to.to_owned() });
        let wanted = [
            link("apps/absolute.yaml", "/etc/hostname"),
            link("apps/chain.yaml", "seen.yaml"),
            ("apps/f\nx.yaml".to_owned(), NotRead::Name),
            link("apps/gone.yaml.yaml", "gone.yaml"),
            ("apps/large.yaml".to_owned(), NotRead::TooLarge),
            link("apps/outside.yaml", "../../x.yaml"),
            link("apps/unseen.yaml", "../base/b.yaml"),
            ("apps/we\\ird".to_owned(), NotRead::Name),
        ];
        assert_eq!(unread.into_iter().map(|file| (file.path, file.why)).collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn what_the_system_does_not_let_be_read_is_told_with_its_words() {
        let folder = tempfile::tempdir().unwrap();
        let why = read_into(&mut Vec::new(), folder.path()).unwrap_err();
        let unread = Unread { path: "a.yaml".to_owned(), why };
        let problem = unread.problem().problem;
        assert_eq!((unread.is_failure(), problem.reason.as_str()), (true, "Unreadable"));
        assert!(problem.message.starts_with("it can not be read, and is passed over: "), "{problem:?}");
    }

    #[tokio::test]
    async fn a_file_is_only_read_again_while_it_is_the_one_that_was_searched() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        let marked = "image: a:1 # {\"$imagepolicy\": \"shop:api\"}\n";
        fs::write(&file, marked).unwrap();
        let repo = Repo::open(folder.path(), None, None).await.unwrap();
        let searched = repo.search(&Scope::compile(None).unwrap(), &Targets::default()).unwrap();
        let read = |path| searched.read(path).map_err(|error| error.to_string());
        assert_eq!(read("a.yaml"), Ok(marked.as_bytes().to_vec()));
        fs::write(&file, marked.replace("a:1", "a:2")).unwrap();
        assert_eq!(read("a.yaml"), Err("a.yaml was changed meanwhile; run the command again".to_owned()));
        fs::remove_file(&file).unwrap();
        assert!(read("a.yaml").unwrap_err().starts_with("a.yaml can not be read: "));
        assert!(read("b.yaml").is_err());
    }
}
