//! What is measured of Tagtide alone: its client and its policies.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use tagtide::engine::choose;
use tagtide::image::ImageName;
use tagtide::net::{AddressGuard, Connections};
use tagtide::policy::{Policy, compile};
use tagtide::registry::{Access, Client, HostSettings};

use crate::RANGE;
use crate::allocations;
use crate::process_cost::peak_kib;

/// The variable by which a process is told that it is the measured one.
pub const TASK: &str = "TAGTIDE_BENCH_TASK";

/// What is to be scanned.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    pub host: String,
    pub images: usize,
    /// How often each.
    pub rounds: usize,
    pub at_once: usize,
}

/// What came of it. The reference prints the same.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Outcome {
    /// The tag that every image chose.
    pub winner: String,
    pub wall_seconds: f64,
    pub cpu_seconds: f64,
    #[serde(rename = "peakKiB")]
    pub peak_kib: u64,
    /// The reference does not tell them.
    #[serde(default)]
    pub allocations: u64,
}

impl Task {
    /// The task of this process, where it is the measured one.
    pub fn of_this_process() -> Option<Self> {
        let text = std::env::var(TASK).ok()?;
        Some(serde_json::from_str(&text).expect("a task"))
    }

    pub fn image(&self, number: usize) -> String {
        format!("{}/acme/app-{number}", self.host)
    }
}

/// Scans, and prints what it took.
pub fn run(task: &Task) {
    let began = Instant::now();
    // As the program's own.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let before = allocations::so_far();
    let winner = runtime.block_on(scan_all(task));
    let outcome = Outcome {
        winner,
        wall_seconds: began.elapsed().as_secs_f64(),
        cpu_seconds: cpu_seconds(),
        peak_kib: peak_kib("self").expect("its peak"),
        allocations: allocations::so_far() - before,
    };
    println!("{}", serde_json::to_string(&outcome).expect("JSON"));
}

async fn scan_all(task: &Task) -> String {
    let loopback = AddressGuard::new(vec!["127.0.0.0/8".parse().expect("a range")]);
    let client = Client::new(Connections::new(loopback), true);
    let policies: Vec<Arc<Policy>> = (0..task.images).map(|number| policy(&task.image(number))).collect();
    let policies = &policies;
    // Each a task, as in the operator: none of them waits for the thread that all of them share otherwise.
    let scans = (0..task.rounds)
        .flat_map(|_| policies)
        .map(|policy| tokio::spawn(scan(client.clone(), Arc::clone(policy))));
    let mut winners = stream::iter(scans).buffer_unordered(task.at_once);
    let first = winners.next().await.expect("a scan").expect("its end");
    while let Some(winner) = winners.next().await {
        assert_eq!(winner.expect("its end"), first, "all lists are the same");
    }
    first
}

fn policy(image: &str) -> Arc<Policy> {
    let spec = serde_json::json!({ "image": image, "select": { "semver": { "range": RANGE } } });
    Arc::new(compile(&serde_json::from_value(spec).expect("a policy")).expect("a good policy"))
}

async fn scan(client: Client, policy: Arc<Policy>) -> String {
    let image: ImageName = policy.image().clone();
    let access =
        Access { host: HostSettings { insecure: true, ..HostSettings::default() }, credential: None };
    let policies = std::slice::from_ref(&policy);
    let scanned =
        choose(&client, &image, &access, policies, None, &BTreeSet::new(), 10).await.expect("a list");
    let winner = scanned.into_looked().into_iter().next().and_then(|looked| looked.choice.winner);
    winner.expect("a tag in the range").tag.to_string()
}

/// User and system time of this process so far.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
