//! One repo with everything around it, and what can be done to it.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use kube::Api;
use tempfile::TempDir;

use tagtide::api::{ImagePolicy, InfraRepository};

use crate::counted::{Cost, Passage};
use crate::operator::{self, request, wait_for};
use crate::process_cost::{cpu_seconds, peak_mib, reset_peak};
use crate::reference;
use crate::support::control_plane::ControlPlane;
use crate::support::git_server::GitServer;
use crate::support::infra_repo::{InfraRepo, NAME, fleet_file, fleet_path};
use crate::support::process::{Process, free_address};
use crate::support::registry::{Access, Registry};
use crate::support::workspace;

/// The folder of the reference's copy of the repo.
const COPY: &str = "copy.git";
/// Bumps of one repo; the median of their time is shown, and the mean of the rest.
const BUMPS: usize = 7;
/// Polls of one repo.
const POLLS: usize = 20;

/// What there is to be measured.
pub struct Scene {
    pub files: usize,
    /// How many policies there are, each with a marker in a file of its own. All want the same image.
    pub policies: usize,
    /// `spec.paths.include`.
    pub paths: &'static [&'static str],
    /// Branches of the remote beside `main`.
    pub branches: usize,
}

impl Default for Scene {
    fn default() -> Self {
        Self { files: 0, policies: 1, paths: &[], branches: 0 }
    }
}

/// Makes so many branches at the head of `main`, all in one file (gitrepository-layout, `packed-refs`).
fn branch_off(repo: &InfraRepo, branches: usize) {
    let file = repo.path().join("packed-refs");
    let packed = fs::read_to_string(&file).expect("packed refs");
    let main = packed.lines().find(|line| line.ends_with(" refs/heads/main")).expect("the branch main");
    let head = main.split(' ').next().expect("its commit");
    let mut refs: Vec<String> =
        (0..branches).map(|number| format!("{head} refs/heads/{number:06}")).collect();
    refs.push(main.to_owned());
    let text = format!("# pack-refs with: peeled fully-peeled sorted \n{}\n", refs.join("\n"));
    fs::write(file, text).expect("packed refs");
}

/// A scene that is set: registry, repo, server, objects; and the operator once it was started.
pub struct Stage<'a> {
    plane: &'a ControlPlane,
    registry: Registry,
    repo: InfraRepo,
    server: GitServer,
    passage: Passage,
    folder: TempDir,
    operator: Option<Process>,
    policies: usize,
    /// Counts what was asked for, so that no request equals another.
    asked: usize,
}

impl<'a> Stage<'a> {
    /// Makes the repo and the objects.
    pub async fn set(plane: &'a ControlPlane, scene: &Scene) -> Self {
        let registry = Registry::start(Access::Anonymous).await;
        let repo = InfraRepo::new();
        repo.seed_large(scene.files, &format!("{}/one", registry.host()));
        repo.git(&repo.path(), &["gc", "--quiet"]).success();
        if scene.branches > 0 {
            branch_off(&repo, scene.branches);
        }
        let copied = Command::new("cp").arg("-r").arg(repo.path()).arg(repo.root().join(COPY)).status();
        assert!(copied.is_ok_and(|status| status.success()), "the repo can not be copied");
        let server = GitServer::start(repo.root()).await;
        let passage =
            Passage::open(server.url("").trim_start_matches("http://").trim_end_matches('/').to_owned())
                .await;
        for tag in ["1.0.0", "1.0.1"] {
            registry.push("acme/app", tag).await;
        }
        let folder = workspace::folder("bench");
        let policies = scene.policies;
        let this =
            Self { plane, registry, repo, server, passage, folder, operator: None, policies, asked: 0 };
        plane.apply(&this.objects(scene)).await;
        this
    }

    fn objects(&self, scene: &Scene) -> String {
        let (host, url) = (self.registry.host(), self.passage.url());
        let paths = if scene.paths.is_empty() {
            String::new()
        } else {
            format!(", paths: {{include: {:?}}}", scene.paths)
        };
        let mut text = format!(
            "{{apiVersion: tagtide.dev/v1alpha1, kind: ClusterImageRegistry, metadata: {{name: bench}}, spec: {{host: '{host}', insecure: true}}}}\n---\n\
             {{apiVersion: tagtide.dev/v1alpha1, kind: InfraRepository, metadata: {{name: infra, namespace: shop}}, spec: {{url: '{url}/{NAME}', interval: 1h{paths}}}}}\n"
        );
        for number in 0..scene.policies {
            writeln!(
                text,
                "---\n{{apiVersion: tagtide.dev/v1alpha1, kind: ImagePolicy, metadata: {{name: app-{number:05}, namespace: shop}}, spec: {{image: '{host}/acme/app', interval: 1h, select: {{semver: {{range: '1.x'}}}}}}}}"
            )
            .expect("text");
        }
        text
    }

    /// The reference's way to one commit with this tag, from a clone of its own as always.
    pub async fn reference(&self, tag: &str) -> Cost {
        let outcome = self.run_reference(tag, None).await;
        let (cost, outcome) = outcome;
        assert_eq!(outcome.files, self.policies, "the reference changed other files");
        assert_eq!(outcome.commit.len(), 40, "the reference made no commit");
        cost
    }

    /// The reference's look at a branch that has not moved.
    pub async fn reference_poll(&self) -> Cost {
        let head = self.repo.git(&self.repo.root().join(COPY), &["rev-parse", "main"]).success();
        let (cost, outcome) = self.run_reference("1.0.1", Some(head.trim())).await;
        assert_eq!(outcome.commit, "", "the reference made a commit where nothing was to be done");
        cost
    }

    async fn run_reference(&self, tag: &str, observed: Option<&str>) -> (Cost, reference::Outcome) {
        let mut images = String::new();
        for number in 0..self.policies {
            writeln!(images, "shop:app-{number:05} {}/acme/app:{tag}", self.registry.host()).expect("text");
        }
        let file = self.folder.path().join("images");
        fs::write(&file, images).expect("the list of images");
        let before = self.traffic();
        let outcome = reference::run(&format!("{}/{COPY}", self.passage.url()), &file, observed).await;
        let cost = Cost {
            seconds: outcome.wall_seconds,
            cpu_seconds: outcome.cpu_seconds,
            peak_mib: outcome.peak_kib as f64 / 1024.0,
            ..self.traffic_since(before)
        };
        (cost, outcome)
    }

    /// From the start of the process, with an empty cache, to its first commit.
    pub async fn cold_start(&mut self) -> Cost {
        let (before, began) = (self.traffic(), Instant::now());
        let lease = format!("bench-{}", self.registry.host().replace(['.', ':'], "-"));
        self.operator = Some(operator::start(self.plane, self.folder.path(), &lease, free_address()));
        self.head_other_than("").await;
        let seconds = began.elapsed().as_secs_f64();
        self.settle().await;
        Cost {
            seconds,
            cpu_seconds: self.measured(cpu_seconds),
            peak_mib: self.measured(peak_mib),
            ..self.traffic_since(before)
        }
    }

    /// From the request for a scan, with a new tag in the registry, to the commit.
    pub async fn bump(&mut self) -> Cost {
        let policies: Api<ImagePolicy> = Api::namespaced(self.plane.client().await, "shop");
        let mut seconds = Vec::new();
        let commits = self.commits();
        let (before, cpu) = (self.traffic(), self.measured(cpu_seconds));
        self.operator.iter().for_each(reset_peak);
        for round in 0..BUMPS {
            self.registry.push("acme/app", &format!("1.1.{round}")).await;
            let head = self.head();
            let (began, what) = (Instant::now(), self.next_request());
            request(&policies, "app-00000", &what).await;
            self.head_other_than(&head).await;
            seconds.push(began.elapsed().as_secs_f64());
            self.settle().await;
        }
        assert_eq!(self.commits(), commits + BUMPS, "one tag makes one commit");
        seconds.sort_by(f64::total_cmp);
        let cost = Cost {
            seconds: seconds.get(BUMPS / 2).copied().unwrap_or_default(),
            cpu_seconds: (self.measured(cpu_seconds) - cpu) / BUMPS as f64,
            peak_mib: self.measured(peak_mib),
            ..self.traffic_since(before)
        };
        cost.each_of(BUMPS)
    }

    /// From the request for a look to the status that answers it, where nothing moved.
    pub async fn unchanged_poll(&mut self) -> Cost {
        let (before, cpu) = (self.traffic(), self.measured(cpu_seconds));
        let mut seconds = 0.0;
        self.operator.iter().for_each(reset_peak);
        for _ in 0..POLLS {
            seconds += self.look().await;
        }
        let cost = Cost {
            seconds: seconds / POLLS as f64,
            cpu_seconds: (self.measured(cpu_seconds) - cpu) / POLLS as f64,
            peak_mib: self.measured(peak_mib),
            ..self.traffic_since(before)
        };
        cost.each_of(POLLS)
    }

    /// The same after someone else pushed other content for so many files.
    pub async fn foreign_push(&mut self, files: usize) -> Cost {
        let host = self.registry.host();
        let changed: Vec<(String, String)> = (0..files)
            .map(|number| number * 25 + 1)
            .map(|number| (fleet_path(number), fleet_file(number, &format!("{host}/two"), "1.0.0")))
            .collect();
        let changed: Vec<(&str, &str)> =
            changed.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        self.repo.seed(&changed);
        let (before, cpu) = (self.traffic(), self.measured(cpu_seconds));
        self.operator.iter().for_each(reset_peak);
        let seconds = self.look().await;
        self.settle().await;
        Cost {
            seconds,
            cpu_seconds: self.measured(cpu_seconds) - cpu,
            peak_mib: self.measured(peak_mib),
            ..self.traffic_since(before)
        }
    }

    /// Ends the operator and removes the objects.
    pub async fn clear(mut self) {
        self.operator = None;
        self.plane
            .kubectl(&["delete", "imagepolicies,infrarepositories", "--all", "--namespace=shop"])
            .await
            .success();
    }

    /// Asks for a look at the repository, and waits for the status that answers.
    async fn look(&mut self) -> f64 {
        let repositories: Api<InfraRepository> = Api::namespaced(self.plane.client().await, "shop");
        let (began, what) = (Instant::now(), self.next_request());
        request(&repositories, "infra", &what).await;
        wait_for("a look at the repository", async || {
            let status = repositories.get("infra").await.ok()?.status?;
            (status.last_handled_request.as_deref() == Some(&what)).then_some(())
        })
        .await;
        began.elapsed().as_secs_f64()
    }

    fn next_request(&mut self) -> String {
        self.asked += 1;
        self.asked.to_string()
    }

    /// Lets the work end that follows a commit: the second look, statuses, events.
    async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(700)).await;
    }

    fn loose_head(&self) -> PathBuf {
        self.repo.path().join("refs/heads/main")
    }

    /// The head of the branch; empty while it is packed away, which it is until the first push.
    fn head(&self) -> String {
        fs::read_to_string(self.loose_head()).unwrap_or_default()
    }

    async fn head_other_than(&self, before: &str) {
        wait_for("a commit", async || {
            let head = self.head();
            (head != before && head.len() == 41).then_some(())
        })
        .await;
    }

    fn commits(&self) -> usize {
        let count = self.repo.git(&self.repo.path(), &["rev-list", "--count", "main"]).success();
        count.trim().parse().expect("a number of commits")
    }

    fn measured(&self, measure: impl Fn(&Process) -> f64) -> f64 {
        self.operator.as_ref().map(measure).unwrap_or_default()
    }

    fn traffic(&self) -> Cost {
        let (down, up) = self.passage.bytes();
        let services = ["info/refs", "git-upload-pack", "git-receive-pack"];
        let requests = services.iter().map(|service| self.server.requests(service)).sum();
        Cost { down, up, requests, ..Cost::default() }
    }

    fn traffic_since(&self, before: Cost) -> Cost {
        let now = self.traffic();
        Cost {
            down: now.down - before.down,
            up: now.up - before.up,
            requests: now.requests - before.requests,
            ..Cost::default()
        }
    }
}
