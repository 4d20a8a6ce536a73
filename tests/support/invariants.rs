//! What holds of a repository whatever went wrong on the way: testing I3 (no double and no empty commit) and I4 (nobody's
//! commit is lost), on each of its branches.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::infra_repo::{InfraRepo, commits_in, hermetic_git};
use super::process::Finished;

/// The name of the commits' author, and of the trailer that says what they did.
const BOT: &str = "tagtide";
const TRAILER: &str = "Tagtide-Update";

/// A bare repository of this machine, whoever serves it.
pub trait Bare {
    /// Its folder.
    fn folder(&self) -> PathBuf;
}

impl Bare for InfraRepo {
    fn folder(&self) -> PathBuf {
        self.path()
    }
}

impl Bare for PathBuf {
    fn folder(&self) -> PathBuf {
        self.clone()
    }
}

/// The heads that each branch had while a test ran.
#[derive(Default)]
pub struct Invariants {
    heads: BTreeMap<String, BTreeSet<String>>,
}

impl Invariants {
    /// Watches from where the branches are now.
    pub fn from_now_on(repo: &impl Bare) -> Self {
        let mut seen = Self::default();
        seen.see(repo);
        seen
    }

    /// Notes where the branches are now: from here on these commits must stay.
    pub fn see(&mut self, repo: &impl Bare) {
        for (branch, head) in branches(&repo.folder()) {
            self.heads.entry(branch).or_default().insert(head);
        }
    }

    /// Forgets a branch that the test itself takes away.
    pub fn forget(&mut self, branch: &str) {
        self.heads.remove(branch);
    }

    /// Checks the branches as they are at the end.
    ///
    /// # Panics
    /// Where a head that was seen is no ancestor, one move was committed twice, or a commit changes nothing.
    pub fn hold(&self, repo: &impl Bare) {
        let folder = repo.folder();
        let now = branches(&folder);
        for (branch, heads) in &self.heads {
            let ids = match now.contains_key(branch) {
                true => git(&folder, &["rev-list", branch]),
                false => String::new(),
            };
            for head in heads {
                assert!(
                    ids.contains(head.as_str()),
                    "I4: {head} was the head of {branch} and is lost: {ids}"
                );
            }
        }
        for branch in now.keys() {
            let (commits, mut moves) = (commits_in(&folder, branch), BTreeSet::new());
            for commit in commits.iter().filter(|commit| commit.author == BOT) {
                for trailer in commit.trailers.iter().filter(|(name, _)| name == TRAILER) {
                    assert!(moves.insert(&trailer.1), "I3: committed twice: {} in {commits:?}", trailer.1);
                }
            }
            // With a path, git leaves commits out whose tree is that of their parent, which that of a merge may be.
            let bots = |limit: &[&str]| {
                let log = ["log", "--no-merges", "--full-history", "--format=%H", "--author", BOT, branch];
                git(&folder, &[&log, limit].concat())
            };
            assert_eq!(bots(&[]), bots(&["--", ":/"]), "I3: an empty commit on {branch}");
        }
    }
}

/// Where each branch is.
fn branches(folder: &Path) -> BTreeMap<String, String> {
    let refs = git(folder, &["for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads"]);
    let refs = refs.lines().filter_map(|line| line.split_once(' '));
    refs.map(|(branch, head)| (branch.to_owned(), head.to_owned())).collect()
}

fn git(folder: &Path, args: &[&str]) -> String {
    Finished::from(hermetic_git(folder).args(args).output().expect("git")).success()
}
