//! Faults around a running operator: whatever happens, the branch only ever gets right tags, and each of them once.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use crate::cluster::{Cluster, PATIENCE, condition, is};
use crate::support::invariants::Invariants;
use crate::support::wait_until;

const SEMVER: &str = "select: {semver: {range: '>=1.0.0 <2.0.0'}}";

/// One app at 1.0.0 whose registry is asked again and again, and the heads seen.
async fn app(flags: &[&str], interval: &str) -> (Cluster, Invariants) {
    let mut cluster = Cluster::start(flags).await;
    cluster.registry.push("acme/api", "1.0.0").await;
    cluster.repo.seed(&[("api.yaml", &cluster.deployment("api", "1.0.0"))]);
    let all = cluster.policy_yaml("api", SEMVER) + &cluster.infra_yaml();
    cluster.apply(&all.replace("interval: 1h", &format!("interval: {interval}"))).await;
    cluster.run_operator();
    cluster.status_where("imgpol/api", "written", |s| s["written"][0]["tag"] == "1.0.0").await;
    let seen = Invariants::from_now_on(&cluster.repo);
    (cluster, seen)
}

fn message(status: &Value) -> &str {
    condition(status, "Ready").map(|(_, message)| message).unwrap_or_default()
}

/// The tags that the bot ever wrote for a policy, in order.
fn written_tags(cluster: &Cluster) -> Vec<String> {
    let commits = cluster.repo.commits("main").into_iter().rev();
    let trailers = commits.flat_map(|commit| commit.trailers);
    let updates = trailers.filter(|(name, _)| name == "Tagtide-Update");
    updates.map(|(_, value)| value.split(' ').nth(2).unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_registry_that_dies_changes_nothing_until_it_is_back() {
    let (mut cluster, seen) = app(&[], "1s").await;
    cluster.registry.push("acme/api", "1.1.0").await;
    cluster.branch_holds("api.yaml", "acme/api:1.1.0 #").await;
    cluster.registry.kill();
    let status = cluster.status_where("imgpol/api", "failing", |s| is(s, "Unreachable")).await;
    assert_eq!(status["selected"]["tag"], "1.1.0", "the choice stands");
    assert!(message(&status).contains(&cluster.registry.host()), "{status}");
    assert!(condition(&status, "Stalled").is_none(), "it is tried again by itself");
    cluster.registry.restart().await;
    cluster.registry.push("acme/api", "1.2.0").await;
    cluster.branch_holds("api.yaml", "acme/api:1.2.0 #").await;
    cluster.status_where("imgpol/api", "recovered", |s| is(s, "Succeeded")).await;
    assert_eq!(written_tags(&cluster), ["1.1.0", "1.2.0"]);
    cluster.hold(&seen, &[], &[]).await;
}

#[tokio::test]
async fn a_list_that_is_suddenly_empty_is_believed_at_the_second_look_and_git_stays() {
    let (cluster, seen) = app(&[], "1h").await;
    cluster.registry.push("acme/api", "1.1.0").await;
    cluster.request_scans("one").await;
    cluster.branch_holds("api.yaml", "acme/api:1.1.0 #").await;
    for tag in ["1.0.0", "1.1.0"] {
        cluster.registry.delete_tag("acme/api", tag);
    }
    cluster.request_scans("two").await;
    let shrunk = cluster.status_where("imgpol/api", "held back", |s| is(s, "ListShrank")).await;
    assert_eq!(shrunk["selected"]["tag"], "1.1.0", "one empty list is no choice");
    let empty = cluster.status_where("imgpol/api", "believed", |s| is(s, "NoTagMatches")).await;
    assert!(empty["selected"].is_null(), "{empty}");
    sleep(Duration::from_secs(1)).await;
    assert!(cluster.repo.read("main", "api.yaml").contains("acme/api:1.1.0 #"), "Git stays as it is");
    assert_eq!(written_tags(&cluster), ["1.1.0"]);
    cluster.hold(&seen, &[], &[]).await;
}

#[tokio::test]
async fn a_chosen_tag_that_is_deleted_takes_nothing_back() {
    let (cluster, seen) = app(&[], "1h").await;
    cluster.registry.push("acme/api", "1.1.0").await;
    cluster.request_scans("one").await;
    cluster.branch_holds("api.yaml", "acme/api:1.1.0 #").await;
    cluster.registry.delete_tag("acme/api", "1.1.0");
    cluster.request_scans("two").await;
    cluster.status_where("imgpol/api", "held back", |s| is(s, "ListShrank")).await;
    let lower = cluster.status_where("imgpol/api", "lower", |s| s["selected"]["tag"] == "1.0.0").await;
    let told =
        cluster.status_where("imgpol/api", "why it is not written", |s| message(s).contains("1.1.0")).await;
    assert!(message(&told).contains("api.yaml:"), "{lower} then {told}");
    assert!(cluster.repo.read("main", "api.yaml").contains("acme/api:1.1.0 #"));
    assert_eq!(written_tags(&cluster), ["1.1.0"]);
    cluster.hold(&seen, &[], &[]).await;
}

/// Time between a decision and its push, in which a test changes the registry.
const GATHER: &str = "--gather=4s";

#[tokio::test]
async fn a_tag_that_moves_between_the_decision_and_the_push_is_written_as_decided_and_then_as_it_is() {
    let mut cluster = Cluster::start(&[GATHER]).await;
    let day = |day: u32| serde_json::json!({ "created": format!("2026-11-{day}T09:30:00Z") });
    cluster.registry.push("acme/api", "1.0.0").await;
    cluster.repo.seed(&[("api.yaml", &cluster.deployment("api", "1.0.0"))]);
    let pinned = format!("{SEMVER}, pin: TagAndDigest");
    cluster.apply(&(cluster.policy_yaml("api", &pinned) + &cluster.infra_yaml())).await;
    cluster.run_operator();
    cluster.status_where("imgpol/api", "written", |s| s["written"][0]["tag"] == "1.0.0").await;
    let seen = Invariants::from_now_on(&cluster.repo);

    let decided = cluster.registry.push_image("acme/api", "1.1.0", day(20)).await;
    cluster.request_scans("one").await;
    cluster.status_where("imgpol/api", "decided", |s| s["selected"]["digest"] == decided.as_str()).await;
    let moved = cluster.registry.push_image("acme/api", "1.1.0", day(21)).await;
    assert_ne!(decided, moved);
    cluster.branch_holds("api.yaml", &format!("acme/api:1.1.0@{decided} #")).await;

    cluster.request_scans("two").await;
    cluster.branch_holds("api.yaml", &format!("acme/api:1.1.0@{moved} #")).await;
    assert_eq!(written_tags(&cluster), ["1.0.0", "1.1.0", "1.1.0"], "each digest once");
    cluster.hold(&seen, &["imgpol/api", "infra/infra"], &[]).await;
}

#[tokio::test]
async fn a_chosen_tag_that_is_deleted_before_the_push_is_written_once_and_told() {
    let (cluster, seen) = app(&[GATHER], "1h").await;
    cluster.registry.push("acme/api", "1.1.0").await;
    cluster.request_scans("one").await;
    cluster.status_where("imgpol/api", "decided", |s| s["selected"]["tag"] == "1.1.0").await;
    cluster.registry.delete_tag("acme/api", "1.1.0");
    assert!(written_tags(&cluster).is_empty(), "not pushed yet");
    // The decision was made over a whole list; one look that says otherwise does not undo it.
    cluster.branch_holds("api.yaml", "acme/api:1.1.0 #").await;

    cluster.request_scans("two").await;
    cluster.status_where("imgpol/api", "lower", |s| s["selected"]["tag"] == "1.0.0").await;
    let told =
        cluster.status_where("imgpol/api", "why it is not written", |s| message(s).contains("1.1.0")).await;
    assert!(message(&told).contains("api.yaml:"), "{told}");
    assert_eq!(written_tags(&cluster), ["1.1.0"], "never back");
    cluster.hold(&seen, &[], &[]).await;
}

#[tokio::test]
async fn ten_policies_on_one_image_are_one_scan() {
    let mut cluster = Cluster::start(&[]).await;
    cluster.registry.push("acme/api", "1.0.0").await;
    let names: Vec<String> = (0..10).map(|n| format!("api-{n}")).collect();
    let own_image = |name: &str| format!("/acme/{name}'");
    let policies: String = names
        .iter()
        .map(|name| cluster.policy_yaml(name, SEMVER).replace(&own_image(name), "/acme/api'"))
        .collect();
    cluster.apply(&policies.replace("interval: 1h", "interval: 2s")).await;
    cluster.run_operator();
    for name in &names {
        let object = format!("imgpol/{name}");
        cluster.status_where(&object, "chosen", |s| s["selected"]["tag"] == "1.0.0").await;
    }
    let list = "GET /v2/acme/api/tags/list";
    let before = cluster.registry.requests(list);
    sleep(Duration::from_secs(6)).await;
    let scans = cluster.registry.requests(list) - before;
    assert!((2..=4).contains(&scans), "{scans} scans in three intervals");
}

#[tokio::test]
async fn an_operator_that_is_killed_again_and_again_writes_each_tag_once() {
    // The same name takes its own Lease up again at once.
    let (mut cluster, mut seen) = app(&["--identity=tide", "--gather=0ms"], "1s").await;
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut state = seed;
    for minor in 1..=8 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        cluster.registry.push("acme/api", &format!("1.{minor}.0")).await;
        sleep(Duration::from_millis((state >> 33) % 1200)).await;
        cluster.kill_operator();
        seen.see(&cluster.repo);
        cluster.run_operator();
    }
    cluster.branch_holds("api.yaml", "acme/api:1.8.0 #").await;
    cluster.status_where("imgpol/api", "written", |s| s["written"][0]["tag"] == "1.8.0").await;
    let head = cluster.repo.commits("main")[0].id.clone();
    cluster.status_where("infra/infra", "at the head", |s| s["head"] == head.as_str()).await;
    let tags = written_tags(&cluster);
    let mut sorted = tags.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(tags, sorted, "each tag once, and never back");
    cluster.hold(&seen, &[], &[]).await;
    wait_until("no more", PATIENCE, async || {
        let before = cluster.repo.commits("main").len();
        sleep(Duration::from_secs(2)).await;
        if cluster.repo.commits("main").len() == before { Ok(()) } else { Err("it goes on") }
    })
    .await;
}
