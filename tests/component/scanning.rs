//! The engine over registries that misbehave: who is asked when, and who is left alone.

mod early;
mod kept_reads;
mod newer_digest;
mod rate_limits;
mod tenants;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tagtide::engine::Settings;
use tagtide::net::{AddressGuard, Connections};
use tagtide::standalone::{self, Print, StandaloneSettings};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::registry::fault_server::{FaultServer, late, page, status, with};
use crate::support::{wait_until, workspace};

const PATIENCE: Duration = Duration::from_secs(20);

/// An engine over a folder of objects. Stopped on drop.
pub struct Running {
    folder: tempfile::TempDir,
    _stop: DropGuard,
}

impl Running {
    pub fn start(objects: &str) -> Self {
        Self::start_with(objects, None)
    }

    /// One that takes deliveries of webhooks at this address, where there is one.
    pub fn start_with(objects: &str, hooks: Option<SocketAddr>) -> Self {
        let folder = workspace::folder("scanning");
        std::fs::write(folder.path().join("objects.yaml"), objects).unwrap();
        let loopback = AddressGuard::new(vec!["127.0.0.0/8".parse().unwrap()]);
        let engine = Settings {
            cache_dir: folder.path().join("cache"),
            room: tagtide::git::Room::default(),
            gather: Duration::ZERO,
            connections: Connections::new(loopback),
            allow_http: true,
            allow_file: false,
            scans_at_once: 64,
            cycles_at_once: 1,
        };
        let (policies, statuses) = (folder.path().join("objects.yaml"), folder.path().join("statuses"));
        let settings = StandaloneSettings { policies, statuses, print: Print::Nothing, hooks, engine };
        let stop = CancellationToken::new();
        let run = standalone::run(settings, stop.clone());
        tokio::spawn(async move { run.await.unwrap() });
        Self { folder, _stop: stop.drop_guard() }
    }

    pub fn write(&self, objects: &str) {
        std::fs::write(self.folder.path().join("objects.yaml"), objects).unwrap();
    }

    /// The status of a policy.
    pub fn status(&self, policy: &str) -> Value {
        self.status_in(&format!("ImagePolicy.shop.{policy}"))
    }

    fn status_in(&self, file: &str) -> Value {
        let file: PathBuf = self.folder.path().join(format!("statuses/{file}.json"));
        let text = std::fs::read_to_string(file).unwrap_or_default();
        serde_json::from_str::<Value>(&text).map(|object| object["status"].clone()).unwrap_or_default()
    }

    pub async fn status_where(&self, policy: &str, wish: impl Fn(&Value) -> bool) -> Value {
        self.where_in(&format!("ImagePolicy.shop.{policy}"), wish).await
    }

    /// The same of a ClusterImageRegistry.
    pub async fn registry_where(&self, registry: &str, wish: impl Fn(&Value) -> bool) -> Value {
        self.where_in(&format!("ClusterImageRegistry..{registry}"), wish).await
    }

    async fn where_in(&self, file: &str, wish: impl Fn(&Value) -> bool) -> Value {
        wait_until("the status", PATIENCE, async || {
            let status = self.status_in(file);
            if wish(&status) { Ok(status) } else { Err(status) }
        })
        .await
    }
}

pub fn registry(name: &str, host: &str, more: &str) -> String {
    format!(
        "---\napiVersion: tagtide.dev/v1alpha1\nkind: ClusterImageRegistry\nmetadata: {{name: {name}}}\n\
         spec: {{host: '{host}', insecure: true{more}}}\n"
    )
}

pub fn policy(name: &str, host: &str, interval: &str) -> String {
    format!(
        "---\napiVersion: tagtide.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec: {{image: '{host}/acme/{name}', interval: {interval}, select: {{semver: {{range: '*'}}}}}}\n"
    )
}

pub fn is_chosen(status: &Value) -> bool {
    status["selected"]["tag"] == "1.0.0"
}

#[tokio::test]
async fn a_registry_that_asks_for_a_pause_gets_it_and_others_keep_their_pace() {
    let requests = AtomicUsize::new(0);
    let busy = FaultServer::start(move |_| match requests.fetch_add(1, Ordering::SeqCst) {
        0 => with(status(429), "retry-after", "3"),
        _ => page(&["1.0.0"]),
    })
    .await;
    let idle = FaultServer::start(|_| page(&["1.0.0"])).await;
    let mut objects = registry("busy", busy.host(), ", limits: {concurrency: 1}");
    objects += &registry("idle", idle.host(), "");
    for number in 0..10 {
        objects += &policy(&format!("busy-{number}"), busy.host(), "1s");
    }
    objects += &policy("idle", idle.host(), "1s");
    let running = Running::start(&objects);

    let limited = |status: &Value| status["conditions"][0]["reason"] == "RateLimited";
    wait_until("one to be told", PATIENCE, async || {
        let told = (0..10).filter(|number| limited(&running.status(&format!("busy-{number}")))).count();
        if told == 1 { Ok(()) } else { Err(told) }
    })
    .await;
    for number in 0..10 {
        running.status_where(&format!("busy-{number}"), is_chosen).await;
    }
    let asked = busy.asked();
    let pause = asked[1].at - asked[0].at;
    assert!(pause >= Duration::from_secs(3), "asked again after {pause:?}");
    let meanwhile = idle.asked().iter().filter(|one| one.at < asked[1].at).count();
    assert!(meanwhile >= 3, "{meanwhile} scans of the other registry in {pause:?}");
}

#[tokio::test]
async fn a_registry_is_scanned_by_as_many_at_once_as_its_limits_say() {
    let slow = Duration::from_millis(200);
    let server = FaultServer::start(move |_| late(page(&["1.0.0"]), slow)).await;
    let mut objects = registry("slow", server.host(), ", limits: {concurrency: 2}");
    for number in 0..6 {
        let _ = write!(objects, "{}", policy(&format!("app-{number}"), server.host(), "1h"));
    }
    let running = Running::start(&objects);
    for number in 0..6 {
        running.status_where(&format!("app-{number}"), is_chosen).await;
    }
    let times: Vec<Instant> = server.asked().iter().map(|asked| asked.at).collect();
    let by_target: BTreeMap<String, usize> =
        server.targets().into_iter().fold(BTreeMap::new(), |mut counts, target| {
            *counts.entry(target).or_default() += 1;
            counts
        });
    assert!(by_target.len() == 6 && by_target.values().all(|count| *count == 1), "{by_target:?}");
    for pair in times.windows(3) {
        assert!(pair[2] - pair[0] >= slow, "three at once: {times:?}");
    }
}

#[tokio::test]
async fn a_list_that_has_not_changed_keeps_the_choice_and_one_more_policy_reads_it_anew() {
    let server = FaultServer::start(|asked| match asked.header("if-none-match") {
        "\"v1\"" => status(304),
        _ => with(page(&["1.0.0"]), "etag", "\"v1\""),
    })
    .await;
    let objects = registry("local", server.host(), "") + &policy("app", server.host(), "1s");
    let running = Running::start(&objects);
    let first = running.status_where("app", is_chosen).await;
    wait_until("some scans", PATIENCE, async || {
        let scans = server.asked().len();
        if scans >= 4 { Ok(()) } else { Err(scans) }
    })
    .await;
    let conditional = server.asked().iter().filter(|asked| !asked.header("if-none-match").is_empty()).count();
    assert_eq!(conditional, server.asked().len() - 1, "all but the first");
    assert_eq!(running.status("app"), first, "nothing is written");

    let second = policy("app", server.host(), "1s").replace("name: app,", "name: second,");
    running.write(&(objects + &second));
    running.status_where("second", is_chosen).await;
}

#[tokio::test]
async fn a_tag_whose_digest_can_not_be_read_yet_is_chosen_though_the_list_does_not_change_again() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let server = FaultServer::start(move |asked| match (asked.method.as_str(), asked.nth) {
        // The list shows the tag before the registry has what it names.
        ("HEAD", 0) if asked.target.ends_with("/1.1.0") => status(404),
        ("HEAD", _) => with(status(200), "docker-content-digest", &digest),
        (_, 0) => with(page(&["1.0.0"]), "etag", "\"v1\""),
        _ if asked.header("if-none-match") == "\"v2\"" => status(304),
        _ => with(page(&["1.0.0", "1.1.0"]), "etag", "\"v2\""),
    })
    .await;
    let pinned = policy("app", server.host(), "1s").replace("select:", "pin: TagAndDigest, select:");
    let running = Running::start(&(registry("local", server.host(), "") + &pinned));
    running.status_where("app", is_chosen).await;
    running.status_where("app", |status| status["selected"]["tag"] == "1.1.0").await;
    // What was chosen with its digest is still known again.
    wait_until("a list that has not changed", PATIENCE, async || {
        let unchanged =
            server.asked().iter().filter(|asked| asked.header("if-none-match") == "\"v2\"").count();
        if unchanged > 0 { Ok(()) } else { Err("none") }
    })
    .await;
}
