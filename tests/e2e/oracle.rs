//! What must hold of a cluster and its operator whatever happened to them: I1 to I8 of the invariants.
//!
//! | | | checked by |
//! | --- | --- | --- |
//! | I1 | no wrong tag, and none goes down | [`Cluster::hold`] |
//! | I2 | nothing is lost: the branch ends as it should be | the test, with `branch_holds` |
//! | I3 | no double commit, no empty one | [`Invariants::hold`] |
//! | I4 | nobody else's commit is lost | [`Invariants::hold`] |
//! | I5 | others keep their pace; the process never restarts | the test; [`Cluster::hold`] |
//! | I6 | no secret anywhere | [`Cluster::hold`] |
//! | I7 | bounded memory, descriptors, threads, requests to Git | [`Cluster::hold`] |
//! | I8 | the status named the fault and recovered | the test; [`Cluster::hold`] |

use std::fs;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::cluster::{Cluster, is};
use crate::support::infra_repo::InfraRepo;
use crate::support::invariants::Invariants;

/// What the operator of a test may use at most, built without optimisation: memory in kB, descriptors, threads, requests to
/// Git a second once there is nothing to do.
const MOST_MEMORY: u64 = 256 << 10;
const MOST_DESCRIPTORS: usize = 200;
const MOST_THREADS: u64 = 100;
const MOST_REQUESTS: u64 = 5;

impl Cluster {
    /// Checks all of it at the end of a test. `well` are the objects that must be Ready by now, `canaries` what is in
    /// Secrets and must be nowhere else.
    ///
    /// # Panics
    /// With the invariant that does not hold.
    pub async fn hold(&self, seen: &Invariants, well: &[&str], canaries: &[&str]) {
        self.hold_in(&self.repo, seen, well, canaries).await;
    }

    /// The same where the operator writes to the repository of another cluster.
    pub async fn hold_in(&self, repo: &InfraRepo, seen: &Invariants, well: &[&str], canaries: &[&str]) {
        for object in well {
            self.status_where(object, "well", |status| is(status, "Succeeded")).await;
        }
        seen.hold(repo);
        self.only_choices(repo);
        assert_eq!(self.operator().exit_status(), None, "I5: the process ended");
        let log = self.operator().log();
        assert!(!log.contains("panicked"), "I5: a panic: {log}");
        self.no_secret(repo, canaries).await;
        self.bounded().await;
    }

    /// I1: what a commit's trailer says was written for the policy `name` is a tag of `acme/{name}` that there was, in
    /// the range of the tests' policies, and above what the branch held.
    fn only_choices(&self, repo: &InfraRepo) {
        for commit in repo.commits("main").iter().filter(|commit| commit.author == "tagtide") {
            for (_, update) in commit.trailers.iter().filter(|(name, _)| name == "Tagtide-Update") {
                let mut words = update.split(' ');
                let (policy, from, to) = (words.next(), words.next(), words.next());
                let name = policy.and_then(|policy| policy.strip_prefix(&format!("{}/", self.namespace)));
                // Another operator's commit is for that one's own check.
                let (Some(name), Some(from), Some(to)) = (name, from, to) else { continue };
                assert!(
                    self.registry.ever_held(&format!("acme/{name}"), to),
                    "I1: {update} was never pushed"
                );
                // A tag that was pushed again moves to its new digest.
                let is_moved = from == to && words.next().is_some();
                assert!(is_moved || version(from) < version(to), "I1: {update} does not go up");
                assert!(to.starts_with("1."), "I1: {update} is out of the range");
            }
        }
    }

    /// I6: no canary, plain or in base64, in what the operator wrote, committed, keeps or shows to other processes.
    async fn no_secret(&self, repo: &InfraRepo, canaries: &[&str]) {
        let mut places = vec![
            ("log", self.operator().log()),
            ("status", self.kubectl(&["get", "imgpol,infra,imgreg,lease", "-o", "yaml"]).await),
            ("events", self.kubectl(&["get", "events.events.k8s.io", "-o", "yaml"]).await),
            ("commits", repo.git(&repo.path(), &["log", "-p", "--all"]).success()),
        ];
        let metrics = reqwest::get(format!("http://{}/metrics", self.listen)).await.expect("metrics");
        places.push(("metrics", metrics.text().await.expect("text")));
        let process = Path::new("/proc").join(self.operator().id().to_string());
        for file in ["cmdline", "environ"] {
            let text = fs::read(process.join(file)).expect("the process");
            places.push((file, String::from_utf8_lossy(&text).into_owned()));
        }
        let mut kept = String::new();
        read_all(&self.cache_folder(), &mut kept);
        places.push(("cache", kept));
        for canary in canaries {
            for spelling in
                [(*canary).to_owned(), STANDARD.encode(canary), STANDARD.encode(format!("bot:{canary}"))]
            {
                for (place, text) in &places {
                    assert!(!text.contains(&spelling), "I6: {canary} is in the {place}");
                }
            }
        }
    }

    /// I7.
    async fn bounded(&self) {
        let before = self.git.all_requests();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let requests = self.git.all_requests() - before;
        assert!(requests <= MOST_REQUESTS, "I7: {requests} requests to Git in a second, when all is done");
        let process = Path::new("/proc").join(self.operator().id().to_string());
        let status = fs::read_to_string(process.join("status")).expect("the process");
        let figure = |name: &str| -> u64 {
            let line = status.lines().find(|line| line.starts_with(name)).expect("a figure");
            line.split_ascii_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number")
        };
        let descriptors = fs::read_dir(process.join("fd")).expect("the process").count();
        let (memory, threads) = (figure("VmHWM:"), figure("Threads:"));
        assert!(memory <= MOST_MEMORY, "I7: {memory} kB");
        assert!(descriptors <= MOST_DESCRIPTORS, "I7: {descriptors} descriptors");
        assert!(threads <= MOST_THREADS, "I7: {threads} threads");
    }
}

/// The numbers of a tag.
fn version(tag: &str) -> Vec<u64> {
    tag.split('.').map(|number| number.parse().unwrap_or_default()).collect()
}

/// The text of all files in a folder, however deep.
fn read_all(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            read_all(&path, text);
        } else {
            text.push_str(&String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()));
        }
    }
}
