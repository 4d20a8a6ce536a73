//! Random faults, foreign pushes and kills for a while, from a seed that is printed; then all of it ends well.
//!
//! `TAGTIDE_SOAK_SECONDS` makes it longer, `TAGTIDE_SEED` makes it the one that was printed. The operator keeps its own time, so
//! that a seed gives the same faults but not the same instants.

use std::env;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::time::sleep;

use crate::cluster::Cluster;
use crate::support::git_server::{Fault, GitServer};
use crate::support::infra_repo::NAME;
use crate::support::invariants::Invariants;
use crate::support::wait_until;

const APPS: [&str; 3] = ["api", "web", "job"];
const SEMVER: &str = "select: {semver: {range: '>=1.0.0 <2.0.0'}}";
const GIT_PASSWORD: &str = "canary-of-the-soak";

/// How long all may take to be well again after the last fault.
const RECOVERY: Duration = Duration::from_secs(90);

/// The cluster and what was done to it.
struct Soak {
    cluster: Cluster,
    seen: Invariants,
    random: StdRng,
    /// The highest tag of each app, as its minor version.
    minors: [u32; APPS.len()],
    janes: u32,
}

impl Soak {
    async fn start(seed: u64) -> Self {
        // The same name takes its own Lease up again at once.
        let mut cluster = Cluster::start(&["--identity=tide", "--gather=0ms"]).await;
        cluster.git = GitServer::with_auth(cluster.repo.root(), "bot", GIT_PASSWORD).await;
        let mut files = vec![("README.md".to_owned(), "0".to_owned())];
        let mut objects = format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{namespace: {}, name: git}}\n\
             stringData: {{username: bot, password: {GIT_PASSWORD}}}\n",
            cluster.namespace
        );
        for name in APPS {
            cluster.registry.push(&format!("acme/{name}"), "1.0.0").await;
            files.push((format!("{name}.yaml"), cluster.deployment(name, "1.0.0")));
            objects += &cluster.policy_yaml(name, SEMVER);
        }
        let files: Vec<(&str, &str)> =
            files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        cluster.repo.seed(&files);
        objects += &cluster
            .infra_yaml()
            .replace("spec: {", "spec: {insecureCredentials: true, secretRef: {name: git}, ");
        cluster.apply(&objects.replace("interval: 1h", "interval: 1s")).await;
        cluster.run_operator();
        assert!(cluster.git.url(NAME).starts_with("http://"));
        let random = StdRng::seed_from_u64(seed);
        let mut soak =
            Self { cluster, seen: Invariants::default(), random, minors: [0; APPS.len()], janes: 0 };
        soak.seen.see(&soak.cluster.repo);
        soak
    }

    /// One thing that happens.
    async fn step(&mut self) {
        match self.random.random_range(0..10) {
            0..=3 => self.release().await,
            4 => {
                self.janes += 1;
                self.cluster.repo.push_as("Jane", &[("README.md", &self.janes.to_string())]);
            }
            5 => self.overtake(),
            6..=7 => {
                let faults = [
                    Fault::Status(503),
                    Fault::Status(500),
                    Fault::Cut,
                    Fault::AnswerLost,
                    Fault::AnswerLost,
                ];
                let fault = faults[self.random.random_range(0..faults.len())];
                println!("  {fault:?}");
                self.cluster.git.fault(Some(fault));
                self.pause(1500).await;
                self.cluster.git.fault(None);
            }
            8 => {
                println!("  the operator is killed");
                self.cluster.kill_operator();
                self.cluster.run_operator();
            }
            _ => {
                println!("  the registry is killed");
                self.cluster.registry.kill();
                self.pause(800).await;
                self.cluster.registry.restart().await;
            }
        }
        self.seen.see(&self.cluster.repo);
        self.pause(600).await;
    }

    async fn pause(&mut self, most: u64) {
        sleep(Duration::from_millis(self.random.random_range(0..most))).await;
    }

    /// A new tag for one of the apps, and one that is out of the range.
    async fn release(&mut self) {
        let app = self.random.random_range(0..APPS.len());
        self.minors[app] += 1;
        let (image, minor) = (format!("acme/{}", APPS[app]), self.minors[app]);
        println!("  {image}:1.{minor}.0");
        self.cluster.registry.push(&image, &format!("2.{minor}.0")).await;
        self.cluster.registry.push(&image, &format!("1.{minor}.0")).await;
    }

    /// A person writes the newest tag before the operator does, or once more.
    fn overtake(&mut self) {
        let app = self.random.random_range(0..APPS.len());
        let tag = format!("1.{}.0", self.minors[app]);
        let (path, content) = (format!("{}.yaml", APPS[app]), self.cluster.deployment(APPS[app], &tag));
        if self.cluster.repo.read("main", &path) != content {
            self.cluster.repo.push_as("Jane", &[(&path, &content)]);
        }
    }

    async fn end(self) {
        let Self { cluster, seen, minors, janes, .. } = self;
        // Someone asks, so that nobody waits for the pause after the last failure.
        cluster
            .kubectl(&["annotate", "--overwrite", "imgpol,infra", "--all", "tagtide.dev/requestedAt=end"])
            .await;
        for (name, minor) in APPS.into_iter().zip(minors) {
            let (path, text) = (format!("{name}.yaml"), format!("acme/{name}:1.{minor}.0 #"));
            wait_until(&format!("{path} to hold {text}"), RECOVERY, async || {
                let held = cluster.repo.read("main", &path);
                if held.contains(&text) { Ok(()) } else { Err(held) }
            })
            .await;
        }
        assert_eq!(cluster.repo.read("main", "README.md"), janes.to_string(), "Jane's last word");
        let objects = APPS.map(|name| format!("imgpol/{name}"));
        let mut well: Vec<&str> = objects.iter().map(String::as_str).collect();
        well.push("infra/infra");
        cluster.hold(&seen, &well, &[GIT_PASSWORD]).await;
    }
}

#[tokio::test]
async fn whatever_happens_in_whatever_order_all_ends_well() {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = number("TAGTIDE_SEED").unwrap_or_else(rand::random::<u64>);
    println!("TAGTIDE_SEED={seed}");
    let mut soak = Soak::start(seed).await;
    let end = Instant::now() + Duration::from_secs(number("TAGTIDE_SOAK_SECONDS").unwrap_or(15));
    while Instant::now() < end {
        soak.step().await;
    }
    soak.end().await;
}
