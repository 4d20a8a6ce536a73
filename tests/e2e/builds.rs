//! Choosing by what images say of themselves, from the policy to the commit.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::{Cluster, condition, is};
use crate::support::invariants::Invariants;

async fn push(cluster: &Cluster, tag: &str, day: u32) -> String {
    let built = json!({ "created": format!("2026-11-{day}T09:30:00Z") });
    cluster.registry.push_image("acme/api", tag, built).await
}

/// How many manifests and configurations were read.
fn reads(cluster: &Cluster) -> usize {
    ["manifests", "blobs"]
        .map(|what| cluster.registry.requests(&format!("GET /v2/acme/api/{what}/")))
        .iter()
        .sum()
}

fn message(status: &Value) -> &str {
    condition(status, "Ready").map(|(_, message)| message).unwrap_or_default()
}

#[tokio::test]
async fn the_newest_build_is_committed_and_no_older_one_takes_its_place_also_after_a_restart() {
    let mut cluster = Cluster::start(&[]).await;
    push(&cluster, "main-ffff", 19).await;
    let first = push(&cluster, "main-9f1c", 20).await;
    push(&cluster, "dev-aaaa", 25).await;
    cluster.repo.seed(&[("api.yaml", &cluster.deployment("api", "main-ffff"))]);
    let rules =
        "tags: {include: '^main-'}, select: {newestBuild: {}}, platforms: [linux/amd64], pin: TagAndDigest";
    cluster.apply(&(cluster.policy_yaml("api", rules) + &cluster.infra_yaml())).await;
    cluster.run_operator();
    let seen = Invariants::from_now_on(&cluster.repo);
    cluster.branch_holds("api.yaml", &format!("acme/api:main-9f1c@{first} #")).await;
    let chosen = cluster.status_where("imgpol/api", "chosen", |s| is(s, "Succeeded")).await;
    assert_eq!(chosen["selected"]["created"], "2026-11-20T09:30:00Z");

    let before = reads(&cluster);
    let second = push(&cluster, "main-02ab", 21).await;
    push(&cluster, "dev-bbbb", 26).await;
    cluster.request_scans("one").await;
    cluster.branch_holds("api.yaml", &format!("acme/api:main-02ab@{second} #")).await;
    assert_eq!(reads(&cluster) - before, 2, "of what is new its manifest and its configuration");

    let older = |s: &Value| {
        message(s).contains("main-02ab stays selected: the newest build of the list is now main-9f1c")
    };
    cluster.registry.delete_tag("acme/api", "main-02ab");
    cluster.request_scans("two").await;
    cluster.status_where("imgpol/api", "held back", |s| is(s, "ListShrank")).await;
    cluster.status_where("imgpol/api", "no older one", older).await;

    let before = reads(&cluster);
    cluster.kill_operator();
    std::fs::remove_dir_all(cluster.cache_folder()).unwrap();
    cluster.run_operator();
    cluster.request_scans("three").await;
    let again = |s: &Value| older(s) && s["lastHandledRequest"] == "three";
    cluster.status_where("imgpol/api", "no older one after a restart", again).await;
    assert_eq!(reads(&cluster) - before, 4, "all that is there is read anew, once");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(cluster.repo.read("main", "api.yaml").contains(&format!("acme/api:main-02ab@{second} #")));

    let third = push(&cluster, "main-0000", 22).await;
    cluster.request_scans("four").await;
    cluster.branch_holds("api.yaml", &format!("acme/api:main-0000@{third} #")).await;
    cluster
        .status_where("imgpol/api", "well", |s| is(s, "Succeeded") && s["selected"]["tag"] == "main-0000")
        .await;
    seen.hold(&cluster.repo);
    let bot = cluster.repo.commits("main").into_iter().filter(|commit| commit.author == "tagtide").count();
    assert_eq!(bot, 3, "each choice once");
}
