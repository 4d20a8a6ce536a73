//! `tagtide plan` over a plain folder: what a person waits for before each commit.
//!
//! Every file holds a marker and an image; one policy exists and moves. Run it with `cargo bench --bench plan`;
//! `FILES=5000` takes another size. It prints one table. A figure that misses its goal is marked; nothing fails.

#![expect(clippy::expect_used, clippy::panic, reason = "what can not be started ends the benchmark")]

#[path = "../../tests/support/mod.rs"]
#[expect(dead_code, reason = "the benchmark uses its own part of the harness")]
mod support;

#[path = "../common/process_cost.rs"]
#[expect(dead_code, reason = "only the peak is of interest here")]
mod process_cost;

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use process_cost::peak_kib;
use support::infra_repo::{fleet_file, fleet_path};
use support::{tagtide, workspace};

const REGISTRY: &str = "registry.acme.example";
const ROUNDS: usize = 5;

/// What a figure must reach, with the usual number of files.
const MOST_SECONDS: f64 = 1.0;
const MOST_MIB: f64 = 100.0;

const OBJECTS: &str = "\
apiVersion: tagtide.dev/v1alpha1
kind: ImagePolicy
metadata: {name: app-00007, namespace: shop}
spec:
  image: registry.acme.example/acme/app-00007
  select: {semver: {range: 1.x}}
---
apiVersion: tagtide.dev/v1alpha1
kind: InfraRepository
metadata: {name: images, namespace: shop}
spec:
  url: https://git.example.com/acme/infra.git
  updates: {markers: false, workloads: true, kustomize: true, helmValues: true, ociArtifacts: true}
";

fn main() {
    let files = std::env::var("FILES").map_or(50_000, |text| text.parse().expect("FILES is a number"));
    let folder = workspace::folder("fleet");
    let (repo, objects) = (folder.path().join("repo"), folder.path().join("objects.yaml"));
    fs::write(&objects, OBJECTS).expect("the objects");
    (0..files).for_each(|number| write_file(&repo, number));
    println!("| what | files | s | MiB | goal |\n| --- | ---: | ---: | ---: | --- |");
    for (what, more) in
        [("plan, markers", &[][..]), ("plan, places by their images", &["--repository", "shop/images"])]
    {
        let mut rounds: Vec<_> = (0..ROUNDS).map(|_| plan(&objects, &repo, more)).collect();
        rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
        let seconds = rounds.get(ROUNDS / 2).map_or(f64::NAN, |round| round.0);
        let mib = rounds.iter().map(|round| round.1).fold(0.0, f64::max);
        let is_met = seconds <= MOST_SECONDS && mib <= MOST_MIB;
        let missed = if is_met { "" } else { "**missed**: " };
        println!(
            "| {what} | {files} | {seconds:.2} | {mib:.0} | {missed}≤ {MOST_SECONDS} s, ≤ {MOST_MIB} MiB |"
        );
    }
}

fn write_file(repo: &Path, number: usize) {
    let path = repo.join(fleet_path(number));
    fs::create_dir_all(path.parent().expect("a folder")).expect("the file's folder");
    fs::write(path, fleet_file(number, REGISTRY, "1.0.0")).expect("the file");
}

/// Plans once: seconds, and the peak of resident memory in MiB.
fn plan(objects: &Path, repo: &Path, more: &[&str]) -> (f64, f64) {
    let (objects, repo) = (objects.to_string_lossy(), repo.to_string_lossy());
    let select = ["plan", "--policies", &objects, "--repo", &repo, "--select", "shop/app-00007=1.0.1"];
    let mut command = tagtide::command(&[&select[..], more].concat());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let mut child = command.spawn().expect("tagtide");
    let mut peak = 0;
    let status = loop {
        peak = peak_kib(child.id()).unwrap_or(peak);
        if let Some(status) = child.try_wait().expect("tagtide's end") {
            break status;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!(status.code(), Some(10), "there is something to write");
    (seconds, peak as f64 / 1024.0)
}
