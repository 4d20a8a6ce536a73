//! What holds of a repository whatever went wrong on the way: testing I3 (no double and no empty commit) and I4 (nobody's
//! commit is lost).

use std::collections::BTreeSet;

use super::infra_repo::InfraRepo;

/// The name of the commits' author, and of the trailer that says what they did.
const BOT: &str = "tagtide";
const TRAILER: &str = "Tagtide-Update";

/// The heads that a branch had while a test ran.
#[derive(Default)]
pub struct Invariants {
    heads: BTreeSet<String>,
}

impl Invariants {
    /// Watches from where `main` is now.
    pub fn from_now_on(repo: &InfraRepo) -> Self {
        let mut seen = Self::default();
        seen.see(repo);
        seen
    }

    /// Notes where `main` is now: from here on that commit must stay.
    pub fn see(&mut self, repo: &InfraRepo) {
        self.heads.insert(repo.commits("main")[0].id.clone());
    }

    /// Checks `main` as it is at the end.
    ///
    /// # Panics
    /// Where a head that was seen is no ancestor, one move was committed twice, or a commit changes nothing.
    pub fn hold(&self, repo: &InfraRepo) {
        let commits = repo.commits("main");
        let ids: BTreeSet<&str> = commits.iter().map(|commit| commit.id.as_str()).collect();
        for head in &self.heads {
            assert!(ids.contains(head.as_str()), "I4: {head} was the head once and is lost: {ids:?}");
        }
        let mut moves = BTreeSet::new();
        for commit in commits.iter().filter(|commit| commit.author == BOT) {
            for trailer in commit.trailers.iter().filter(|(name, _)| name == TRAILER) {
                assert!(moves.insert(&trailer.1), "I3: committed twice: {} in {commits:?}", trailer.1);
            }
        }
        // With a path, git leaves commits out whose tree is that of their parent.
        let (all, changing) = (bots(repo, &[]), bots(repo, &["--", ":/"]));
        assert_eq!(all, changing, "I3: an empty commit");
    }
}

fn bots(repo: &InfraRepo, limit: &[&str]) -> String {
    let log = ["log", "--format=%H", "--author", BOT, "main"];
    repo.git(&repo.path(), &[&log, limit].concat()).success()
}
