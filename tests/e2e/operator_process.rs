//! The operator as a process: what it serves, how it stops, who takes over, and what it outlives.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::cluster::{Cluster, PATIENCE, Plane, condition, is};
use crate::support::invariants::Invariants;
use crate::support::process::{Process, free_address};
use crate::support::registry::Access;
use crate::support::{wait_until, workspace};

const SEMVER: &str = "select: {semver: {range: '*'}}";

/// How long a follower may take after the leader was killed: the rest of the Lease, and some seconds to notice.
const TAKEOVER: Duration = Duration::from_secs(30);

/// One policy, its file at 1.0.0, and everything but the operator.
async fn with_one_app(mut cluster: Cluster, interval: &str) -> Cluster {
    cluster.registry.push("acme/api", "1.0.0").await;
    cluster.repo.seed(&[("api.yaml", &cluster.deployment("api", "1.0.0"))]);
    let all = cluster.policy_yaml("api", SEMVER) + &cluster.infra_yaml();
    cluster.apply(&all.replace("interval: 1h", &format!("interval: {interval}"))).await;
    cluster.run_operator();
    cluster
}

async fn settled(cluster: &Cluster) {
    cluster.status_where("imgpol/api", "chosen", |s| is(s, "Succeeded")).await;
    cluster.status_where("infra/infra", "ready", |s| is(s, "Succeeded")).await;
}

/// The invariants, and that the app is well.
async fn holds(cluster: &Cluster) {
    cluster.hold(&Invariants::default(), &["imgpol/api", "infra/infra"], &[]).await;
}

async fn get(listen: &str, path: &str) -> (u16, String) {
    wait_until("an answer", PATIENCE, async || {
        let answer = reqwest::get(format!("http://{listen}{path}")).await?;
        Ok::<_, reqwest::Error>((answer.status().as_u16(), answer.text().await?))
    })
    .await
}

#[tokio::test]
async fn health_and_metrics_are_served_and_nothing_else() {
    let cluster = with_one_app(Cluster::start(&[]).await, "1h").await;
    settled(&cluster).await;
    let listen = cluster.listen.as_str();
    assert_eq!(get(listen, "/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(get(listen, "/readyz").await, (200, "ok\n".to_owned()));
    for path in ["/", "/metrics/", "/debug/pprof", "/healthz/x", "/..%2fetc/passwd", "/api/v1/images"] {
        assert_eq!(get(listen, path).await.0, 404, "{path}");
    }
    let posted = reqwest::Client::new().post(format!("http://{listen}/metrics")).body("x").send().await;
    assert_eq!(posted.unwrap().status(), 405);

    let (status, metrics) = get(listen, "/metrics").await;
    assert_eq!(status, 200);
    for line in [
        "tagtide_leader 1",
        "tagtide_scans_total{result=\"whole\"} 1",
        "tagtide_scan_seconds_count 1",
        "tagtide_tags_read_total 1",
        "tagtide_choices_total{result=\"moved\"} 1",
        "tagtide_commits_total 0",
        "tagtide_objects{kind=\"ImagePolicy\"} 1",
        "tagtide_objects{kind=\"InfraRepository\"} 1",
        "# EOF",
    ] {
        assert!(metrics.lines().any(|known| known == line), "{line} is not in\n{metrics}");
    }
    assert!(metrics.contains("tagtide_status_writes_total "), "{metrics}");
    assert!(!metrics.contains(&cluster.namespace), "no object is named in a label:\n{metrics}");
}

#[tokio::test]
async fn a_process_that_is_asked_to_stop_finishes_its_push_and_gives_the_lease_back() {
    let cluster = with_one_app(Cluster::start(&[]).await, "1h").await;
    settled(&cluster).await;
    push_slowly(&cluster).await;
    assert!(cluster.bot_commits().is_empty(), "the hook holds the push back");
    cluster.operator().signal(Signal::TERM);

    let status = cluster.operator().exited(Duration::from_secs(15)).await;
    assert_eq!(status.code(), Some(0), "{status}");
    assert_eq!(cluster.bot_commits().len(), 1);
    let head = cluster.repo.commits("main")[0].id.clone();
    assert_eq!(cluster.status("infra/infra").await["head"], head.as_str(), "the last status is written too");
    assert_eq!(cluster.status("imgpol/api").await["written"][0]["commit"], head.as_str());
    assert_eq!(holder(&cluster).await, "");
}

/// Has the repository's hook hold a push back for two seconds, and waits until one is under way.
async fn push_slowly(cluster: &Cluster) {
    let hook = cluster.repo.path().join("hooks/pre-receive");
    std::fs::write(&hook, "#!/bin/sh\ntouch pushing\nsleep 2\n").unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    cluster.registry.push("acme/api", "1.1.0").await;
    cluster.request_scans("one").await;
    let pushing = cluster.repo.path().join("pushing");
    wait_until("the push", PATIENCE, async || if pushing.exists() { Ok(()) } else { Err("not yet") }).await;
}

#[tokio::test]
async fn a_repository_made_anew_waits_for_the_push_of_the_one_before() {
    let cluster = with_one_app(Cluster::start(&[]).await, "1h").await;
    settled(&cluster).await;
    push_slowly(&cluster).await;
    cluster.kubectl(&["delete", "infra/infra"]).await;
    cluster.apply(&cluster.infra_yaml()).await;
    let status = cluster.status_where("infra/infra", "ready", |s| is(s, "Succeeded")).await;
    assert_eq!(status["head"], cluster.repo.commits("main")[0].id.as_str());
    assert_eq!(cluster.bot_commits().len(), 1);
    let log = cluster.operator().log();
    assert!(!log.contains("the cycle failed"), "{log}");
    holds(&cluster).await;
}

async fn holder(cluster: &Cluster) -> String {
    cluster.kubectl(&["get", "lease/tagtide", "-o", "jsonpath={.spec.holderIdentity}"]).await
}

#[tokio::test]
async fn a_follower_takes_over_from_a_killed_leader_and_repeats_nothing() {
    let cluster = with_one_app(Cluster::start(&[]).await, "1s").await;
    settled(&cluster).await;
    let leader = holder(&cluster).await;
    assert_ne!(leader, "");
    let (folder, listen) = (workspace::folder("follower"), free_address().to_string());
    let follower = cluster.spawn_operator(folder.path(), &listen);
    wait_until("the follower", PATIENCE, async || match get(&listen, "/readyz").await {
        (200, _) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    cluster.registry.push("acme/api", "1.1.0").await;
    cluster.branch_holds("api.yaml", "acme/api:1.1.0 #").await;
    assert!(get(&listen, "/metrics").await.1.contains("tagtide_leader 0\n"), "it waits");
    assert!(!follower.log().contains("pushed"), "a follower does nothing");

    let seen = Invariants::from_now_on(&cluster.repo);
    cluster.kill_operator();
    cluster.registry.push("acme/api", "1.2.0").await;
    wait_until("the follower to take over", TAKEOVER, async || {
        let held = cluster.repo.read("main", "api.yaml");
        if held.contains("acme/api:1.2.0 #") { Ok(()) } else { Err(held) }
    })
    .await;
    assert_ne!(holder(&cluster).await, leader);
    cluster.status_where("imgpol/api", "written", |s| s["written"][0]["tag"] == "1.2.0").await;
    assert_eq!(cluster.bot_commits().len(), 2);
    seen.hold(&cluster.repo);
    drop(follower);
}

async fn restart_api_server(cluster: &mut Cluster) {
    if let Plane::Own(plane) = &mut cluster.plane {
        plane.restart_api_server().await;
    }
}

fn still_runs(operator: &Process) {
    assert_eq!(operator.exit_status(), None, "the process never restarts");
}

#[tokio::test]
async fn an_api_server_that_is_away_for_a_while_stops_nothing_and_hears_everything() {
    let cluster = Cluster::on(Plane::own(|_| {}).await, Access::Anonymous, &["--allow-http"]).await;
    let mut cluster = with_one_app(cluster, "1s").await;
    settled(&cluster).await;
    cluster.plane.kill_api_server();
    cluster.registry.push("acme/api", "1.1.0").await;
    sleep(Duration::from_secs(10)).await;
    still_runs(cluster.operator());
    restart_api_server(&mut cluster).await;
    cluster.branch_holds("api.yaml", "acme/api:1.1.0 #").await;
    cluster.status_where("imgpol/api", "written", |s| s["written"][0]["tag"] == "1.1.0").await;

    // What changes afterwards is heard of as well.
    cluster.registry.push("acme/web", "2.0.0").await;
    cluster.apply(&cluster.policy_yaml("web", SEMVER)).await;
    cluster.status_where("imgpol/web", "chosen", |s| s["selected"]["tag"] == "2.0.0").await;
    cluster.registry.push("acme/api", "1.2.0").await;
    cluster.branch_holds("api.yaml", "acme/api:1.2.0 #").await;
    assert_eq!(cluster.bot_commits().len(), 2);
    cluster.hold(&Invariants::default(), &["imgpol/api", "imgpol/web", "infra/infra"], &[]).await;
}

#[tokio::test]
async fn a_leader_that_is_cut_off_stops_writing_before_another_could_begin() {
    let cluster = Cluster::on(Plane::own(|_| {}).await, Access::Anonymous, &["--allow-http"]).await;
    let mut cluster = with_one_app(cluster, "1s").await;
    settled(&cluster).await;
    cluster.plane.kill_api_server();
    // The Lease lasts 15 s.
    sleep(Duration::from_secs(15)).await;
    cluster.registry.push("acme/api", "1.1.0").await;
    sleep(Duration::from_secs(4)).await;
    assert!(cluster.bot_commits().is_empty(), "another process may lead by now");
    restart_api_server(&mut cluster).await;
    still_runs(cluster.operator());
    cluster.branch_holds("api.yaml", "acme/api:1.1.0 #").await;
    holds(&cluster).await;
}

/// A schema that takes anything, as one from before a rule was made might.
pub fn forget_the_schema(crd: &mut Value) {
    for version in crd["spec"]["versions"].as_array_mut().unwrap() {
        version["schema"]["openAPIV3Schema"] =
            json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    }
}

#[tokio::test]
async fn an_object_that_no_crd_would_take_is_stalled_and_stops_no_other() {
    let plane = Plane::own(forget_the_schema).await;
    let cluster = with_one_app(Cluster::on(plane, Access::Anonymous, &["--allow-http"]).await, "1h").await;
    settled(&cluster).await;
    let good = cluster.policy_yaml("bad", SEMVER);
    let number = good.replace("interval: 1h", "interval: 5").replace("name: bad", "name: number");
    let words = good.replace("interval: 1h", "interval: soon").replace("name: bad", "name: words");
    let shape = good.replace("select: {", "select: {surprise: {}, ").replace("name: bad", "name: shape");
    let infra =
        cluster.infra_yaml().replace("name: infra", "name: bad").replace("branch: main", "branch: []");
    cluster.apply(&(number + &words + &shape + &infra)).await;
    for object in ["imgpol/number", "imgpol/words", "imgpol/shape", "infra/bad"] {
        let status = cluster.status_where(object, "stalled", |s| condition(s, "Stalled").is_some()).await;
        let (reason, message) = condition(&status, "Ready").unwrap();
        assert_eq!(reason, "InvalidSpec", "{object}: {message}");
        assert!(message.len() > 20, "{object}: {message}");
    }
    cluster.registry.push("acme/api", "1.1.0").await;
    cluster.request_scans("one").await;
    cluster.branch_holds("api.yaml", "acme/api:1.1.0 #").await;

    cluster.status_where("imgpol/api", "written", |s| s["written"][0]["tag"] == "1.1.0").await;
    sleep(Duration::from_secs(1)).await;

    let (versions, status) = (all_versions(&cluster).await, cluster.status("imgpol/number").await);
    cluster.kubectl(&["label", "imgpol/number", "touched=yes"]).await;
    sleep(Duration::from_secs(2)).await;
    let after = all_versions(&cluster).await;
    let moved: Vec<&String> = after.iter().filter(|line| !versions.contains(line)).collect();
    assert_eq!(moved.len(), 1, "only the label moved anything: {moved:?}");
    assert_eq!(cluster.status("imgpol/number").await, status, "seen once more, it is not written once more");

    // Put right, it is served.
    cluster.registry.push("acme/bad", "3.0.0").await;
    let repaired = good.replace("name: bad", "name: number");
    cluster.apply(&repaired).await;
    cluster.status_where("imgpol/number", "chosen", |s| s["selected"]["tag"] == "3.0.0").await;
    holds(&cluster).await;
}

/// Kind, name and resourceVersion of every object of Tagtide.
async fn all_versions(cluster: &Cluster) -> Vec<String> {
    let columns =
        "-o=jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{\"\\n\"}{end}";
    let all = cluster.kubectl(&["get", "imgpol,infra,imgreg", columns]).await;
    all.lines().map(str::to_owned).collect()
}

/// How often the operator wrote a status, by its own count.
async fn status_writes(cluster: &Cluster) -> String {
    let metrics = get(&cluster.listen, "/metrics").await.1;
    let line = metrics.lines().find(|line| line.starts_with("tagtide_status_writes_total "));
    line.expect("the count of status writes").to_owned()
}

#[tokio::test]
async fn what_does_not_change_is_not_written() {
    // ClusterImageRegistries are for all: the operators of other tests would write to this one's too.
    let cluster = Cluster::on(Plane::own(|_| {}).await, Access::Anonymous, &["--allow-http"]).await;
    let cluster = with_one_app(cluster, "1s").await;
    settled(&cluster).await;
    cluster.registry.push("acme/api", "1.1.0").await;
    cluster.branch_holds("api.yaml", "acme/api:1.1.0 #").await;
    cluster.status_where("imgpol/api", "written", |s| s["written"][0]["tag"] == "1.1.0").await;
    sleep(Duration::from_secs(2)).await;
    let before = (all_versions(&cluster).await, status_writes(&cluster).await);
    let scans = cluster.registry.requests("GET /v2/acme/api/tags/list");
    sleep(Duration::from_secs(5)).await;
    assert_eq!((all_versions(&cluster).await, status_writes(&cluster).await), before);
    assert_eq!(before.0.len(), 3, "{before:?}");
    let more = cluster.registry.requests("GET /v2/acme/api/tags/list") - scans;
    assert!(more >= 3, "it did work meanwhile: {more} scans");
    holds(&cluster).await;
}

#[tokio::test]
async fn an_object_that_is_deleted_has_no_more_effect() {
    let cluster = with_one_app(Cluster::start(&[]).await, "1s").await;
    settled(&cluster).await;
    cluster.kubectl(&["delete", "imgpol/api"]).await;
    cluster.status_where("infra/infra", "the policy missed", |s| s["sites"]["unresolvedTotal"] == 1).await;
    let scans = cluster.registry.requests("GET /v2/acme/api/tags/list");
    cluster.registry.push("acme/api", "1.1.0").await;
    sleep(Duration::from_secs(3)).await;
    assert!(cluster.bot_commits().is_empty());
    assert!(cluster.registry.requests("GET /v2/acme/api/tags/list") <= scans + 1, "nobody asks any more");

    cluster.kubectl(&["delete", "infra/infra"]).await;
    cluster.apply(&cluster.policy_yaml("api", SEMVER)).await;
    cluster.status_where("imgpol/api", "chosen", |s| s["selected"]["tag"] == "1.1.0").await;
    let asked = cluster.git.requests("git-upload-pack");
    sleep(Duration::from_secs(3)).await;
    assert!(cluster.git.requests("git-upload-pack") <= asked + 1, "nobody looks any more");
    assert!(cluster.bot_commits().is_empty());
    let status = cluster.status("imgpol/api").await;
    assert!(status["written"].is_null(), "{status}");

    // Made again, it counts again.
    cluster.apply(&cluster.infra_yaml()).await;
    cluster.branch_holds("api.yaml", "acme/api:1.1.0 #").await;
    holds(&cluster).await;
}
