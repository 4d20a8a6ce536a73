//! From a tag pushed to the registry to the commit on the remote: seconds, CPU and memory of the operator on a real API
//! server, a real registry and `git http-backend`, for repos of three sizes. Every file of a repo has a marker, for a
//! policy of its own, of which only one exists.
//!
//! Run it with `make bench`. It prints one row a size; it judges nothing.

#![expect(clippy::expect_used, clippy::panic, reason = "what can not be started ends the benchmark")]

use std::fmt::Debug;
use std::fs;
use std::time::{Duration, Instant};

#[path = "../tests/support/mod.rs"]
#[expect(dead_code, reason = "the benchmark uses its own part of the harness")]
mod support;

use kube::api::{Patch, PatchParams};
use kube::{Api, CustomResourceExt as _, Resource};
use serde::de::DeserializeOwned;
use serde_json::json;
use support::control_plane::ControlPlane;
use support::git_server::GitServer;
use support::infra_repo::{InfraRepo, NAME};
use support::process::{Process, free_address};
use support::registry::{Access, Registry};
use tagtide::api::{ClusterImageRegistry, ImagePolicy, InfraRepository};

/// Bumps of one repo; the median is shown.
const ROUNDS: usize = 7;

fn main() {
    let sizes: Vec<usize> = match std::env::var("SIZES") {
        Ok(text) => text.split(',').map(|size| size.parse().expect("SIZES is numbers with commas")).collect(),
        Err(_) => vec![100, 5_000, 50_000],
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let plane = ControlPlane::start().await;
        for crd in [ImagePolicy::crd(), InfraRepository::crd(), ClusterImageRegistry::crd()] {
            plane.apply(&serde_json::to_string(&crd).expect("a CRD is JSON")).await;
        }
        plane
            .kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"])
            .await
            .success();
        plane.kubectl(&["create", "namespace", "shop"]).await.success();
        println!(
            "{:>7}  {:>10}  {:>10}  {:>10}  {:>10}  {:>10}  {:>10}  {:>10}",
            "files", "cold s", "cold CPU s", "cold MiB", "bump s", "bump CPU s", "bump MiB", "poll CPU s"
        );
        for size in sizes {
            row(&plane, size).await;
        }
    });
}

async fn row(plane: &ControlPlane, size: usize) {
    let registry = Registry::start(Access::Anonymous).await;
    let repo = InfraRepo::new();
    repo.seed_large(size, &registry.host());
    repo.git(&repo.path(), &["gc", "--quiet"]).success();
    let git = GitServer::start(repo.root()).await;
    let (host, url) = (registry.host(), git.url(NAME));
    registry.push("acme/app-00000", "1.0.0").await;
    registry.push("acme/app-00000", "1.0.1").await;
    plane
        .apply(&format!(
            "{{apiVersion: tagtide.dev/v1alpha1, kind: ClusterImageRegistry, metadata: {{name: bench}}, spec: {{host: '{host}', insecure: true}}}}\n---\n\
             {{apiVersion: tagtide.dev/v1alpha1, kind: ImagePolicy, metadata: {{name: app-00000, namespace: shop}}, spec: {{image: '{host}/acme/app-00000', interval: 1h, select: {{semver: {{range: '1.x'}}}}}}}}\n---\n\
             {{apiVersion: tagtide.dev/v1alpha1, kind: InfraRepository, metadata: {{name: infra, namespace: shop}}, spec: {{url: '{url}', interval: 1h}}}}\n"
        ))
        .await;
    let folder = tempfile::tempdir().expect("a folder");
    let began = Instant::now();
    let operator = start(plane, folder.path(), size);
    // Packed away before; a loose ref appears with the first push.
    let loose = repo.path().join("refs/heads/main");
    let head = |since: &str| fs::read_to_string(&loose).ok().filter(|now| now != since && now.len() == 41);
    let mut tip = wait_for(|| head("")).await;
    let cold = began.elapsed();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let (cold_cpu, cold_memory) = (cpu_seconds(&operator), peak_mib(&operator));

    let client = plane.client().await;
    let policies: Api<ImagePolicy> = Api::namespaced(client.clone(), "shop");
    let repositories: Api<InfraRepository> = Api::namespaced(client, "shop");
    let mut bumps = Vec::new();
    let cpu_before = cpu_seconds(&operator);
    reset_peak(&operator);
    for round in 0..ROUNDS {
        registry.push("acme/app-00000", &format!("1.1.{round}")).await;
        let began = Instant::now();
        request(&policies, "app-00000", round).await;
        tip = wait_for(|| head(&tip)).await;
        bumps.push(began.elapsed().as_secs_f64());
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let bump_cpu = (cpu_seconds(&operator) - cpu_before) / ROUNDS as f64;
    let bump_memory = peak_mib(&operator);
    let cpu_before = cpu_seconds(&operator);
    for round in 0..20 {
        request(&repositories, "infra", round).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let poll_cpu = (cpu_seconds(&operator) - cpu_before) / 20.0;
    bumps.sort_by(f64::total_cmp);
    let bump = bumps.get(ROUNDS / 2).copied().unwrap_or_default();
    println!(
        "{size:>7}  {:>10.2}  {cold_cpu:>10.2}  {cold_memory:>10.0}  {bump:>10.3}  {bump_cpu:>10.3}  {bump_memory:>10.0}  {poll_cpu:>10.4}",
        cold.as_secs_f64()
    );
}

/// Asks for a scan or a look at Git at once.
async fn request<K: Resource + Clone + Debug + DeserializeOwned>(api: &Api<K>, name: &str, round: usize) {
    let patch = json!({"metadata": {"annotations": {"tagtide.dev/requestedAt": format!("{round}")}}});
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.expect("the annotation");
}

fn start(plane: &ControlPlane, folder: &std::path::Path, size: usize) -> Process {
    let cache = format!("--cache-dir={}", folder.join("cache").display());
    let listen = format!("--listen={}", free_address());
    // A Lease of its own: that of the size before has to run out first.
    let lease = format!("--lease-name=bench-{size}");
    let args = [
        "run",
        "--namespace=shop",
        "--watch-namespace=shop",
        "--allow-http",
        "--allow-cidr=127.0.0.0/8",
        "--gather=10ms",
        &cache,
        &listen,
        &lease,
    ];
    let mut command = support::tagtide::command(&args);
    command.env("KUBECONFIG", plane.kubeconfig());
    support::tagtide::start(command, folder)
}

async fn wait_for<T>(mut probe: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(120);
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(Instant::now() < until, "nothing came within two minutes");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// User and system time so far (proc(5), fields 14 and 15 of `stat`, in ticks of 10 ms).
fn cpu_seconds(process: &Process) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks =
        |field: usize| fields.get(field).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}

/// The most memory that was resident since the start or the last reset.
fn peak_mib(process: &Process) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or_default() / 1024.0
}

fn reset_peak(process: &Process) {
    let path = format!("/proc/{}/clear_refs", process.id());
    if let Err(error) = fs::write(&path, "5") {
        panic!("{path}: {error}");
    }
}
