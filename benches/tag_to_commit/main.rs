//! From a tag pushed to the registry to the commit on the remote, beside what Flux does for the same commit.
//!
//! Tagtide is measured whole, as the operator on a real API server, with a real registry and `git http-backend`. The
//! reference (`benches/reference`) is the Git part of Flux's image-automation-controller alone, from Flux's own modules,
//! in a process without a scan, an API server and templates: what it is spared counts for it. Both get a repo of their
//! own with the same bytes, from the same server, one after the other.
//!
//! Run it with `make bench`; `SIZES=100,5000 make bench` takes other sizes. It prints one table. A figure that misses its
//! goal is marked; nothing fails.

#![expect(clippy::expect_used, clippy::panic, reason = "what can not be started ends the benchmark")]

#[path = "../../tests/support/mod.rs"]
#[expect(dead_code, reason = "the benchmark uses its own part of the harness")]
mod support;

#[path = "../common/operator.rs"]
mod operator;
#[path = "../common/process_cost.rs"]
mod process_cost;

mod counted;
mod reference;
mod stage;
mod table;

use support::control_plane::ControlPlane;

use self::stage::{Scene, Stage};
use self::table::{Goal, Row, Table};

fn main() {
    let sizes: Vec<usize> = match std::env::var("SIZES") {
        Ok(text) => text.split(',').map(|size| size.parse().expect("SIZES is numbers with commas")).collect(),
        Err(_) => vec![100, 5_000, 50_000],
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let plane = operator::plane().await;
        let mut table = Table::default();
        for &size in &sizes {
            one_site(&plane, size, &mut table).await;
        }
        many_sites(&plane, &mut table).await;
        named_paths(&plane, sizes.iter().copied().max().unwrap_or(100), &mut table).await;
        many_refs(&plane, &mut table).await;
        println!("{table}");
    });
}

/// Every file holds a marker for a policy of its own; one policy exists and moves.
async fn one_site(plane: &ControlPlane, size: usize, table: &mut Table) {
    let mut stage = Stage::set(plane, &Scene { files: size, ..Scene::default() }).await;
    let reference = stage.reference("1.0.1").await;
    let cold = stage.cold_start().await;
    let goals = match size {
        50_000.. => vec![Goal::Seconds(2.5), Goal::Faster(4.0), Goal::MiB(96.0)],
        _ => Vec::new(),
    };
    table.add(Row::new("cold start to the first commit", size, cold).beside(reference).goals(&goals));
    let bump = stage.bump().await;
    let goals = match size {
        50_000.. => vec![Goal::Faster(200.0), Goal::LessCpu(500.0), Goal::MiB(48.0)],
        5_000.. => vec![Goal::Faster(40.0), Goal::LessCpu(100.0)],
        _ => vec![Goal::Seconds(0.12)],
    };
    table.add(Row::new("one tag, one site", size, bump).beside(reference).goals(&goals));
    let unchanged = stage.unchanged_poll().await;
    let poll = stage.reference_poll().await;
    table
        .add(Row::new("poll, nothing moved", size, unchanged).beside(poll).goals(&[Goal::CpuSeconds(0.003)]));
    let foreign = stage.foreign_push(10).await;
    table.add(Row::new("someone pushed 10 files", size, foreign));
    stage.clear().await;
}

/// A hundred policies move at once.
async fn many_sites(plane: &ControlPlane, table: &mut Table) {
    let scene = Scene { files: 1_000, policies: 100, ..Scene::default() };
    let mut stage = Stage::set(plane, &scene).await;
    let reference = stage.reference("1.0.1").await;
    stage.cold_start().await;
    let bump = stage.bump().await;
    table.add(Row::new("one tag, 100 sites", 1_000, bump).beside(reference).goals(&[Goal::Faster(50.0)]));
    stage.clear().await;
}

/// `spec.paths` names one folder of many.
async fn named_paths(plane: &ControlPlane, size: usize, table: &mut Table) {
    let scene = Scene { files: size, paths: &["apps/group-0000/**"], ..Scene::default() };
    let mut stage = Stage::set(plane, &scene).await;
    let reference = stage.reference("1.0.1").await;
    let cold = stage.cold_start().await;
    let goals = [Goal::Seconds(0.3), Goal::MiB(40.0)];
    table.add(Row::new("cold start, paths name a folder", size, cold).beside(reference).goals(&goals));
    stage.clear().await;
}

/// The remote has 20,000 other branches.
async fn many_refs(plane: &ControlPlane, table: &mut Table) {
    let scene = Scene { files: 100, branches: 20_000, ..Scene::default() };
    let mut stage = Stage::set(plane, &scene).await;
    stage.cold_start().await;
    let unchanged = stage.unchanged_poll().await;
    let poll = stage.reference_poll().await;
    table.add(
        Row::new("poll, 20,000 other branches", 100, unchanged).beside(poll).goals(&[Goal::BytesDown(1024)]),
    );
    stage.clear().await;
}
