//! The main job: tags pushed to a real registry become commits in a real repository.

use std::time::Duration;

use serde_json::Value;

use crate::cluster::{Cluster, PATIENCE, is};
use crate::support::invariants::Invariants;
use crate::support::wait_until;

const SEMVER: &str = "select: {semver: {range: '>=1.0.0 <2.0.0'}}";

/// Three policies and their files, all at 1.0.0.
async fn shop(flags: &[&str]) -> Cluster {
    let mut cluster = Cluster::start(flags).await;
    let names = ["api", "web", "job"];
    for name in names {
        cluster.registry.push(&format!("acme/{name}"), "1.0.0").await;
    }
    let files: Vec<(String, String)> =
        names.iter().map(|name| (format!("apps/{name}.yaml"), cluster.deployment(name, "1.0.0"))).collect();
    let mut files: Vec<(&str, &str)> =
        files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let unknown = format!("image: x:1 # {{\"$imagepolicy\": \"{}:apj\"}}\n", cluster.namespace);
    files.push(("apps/unknown.yaml", &unknown));
    cluster.repo.seed(&files);
    let policies: String = names.iter().map(|name| cluster.policy_yaml(name, SEMVER)).collect();
    cluster.apply(&(policies + &cluster.infra_yaml())).await;
    cluster.run_operator();
    cluster
        .kubectl(&[
            "wait",
            "--for=condition=Ready",
            "imgpol/api",
            "imgpol/web",
            "imgpol/job",
            "--timeout=30s",
        ])
        .await;
    cluster.status_where("infra/infra", "ready", |status| status["head"].is_string()).await;
    cluster
}

/// The invariants, and that the three policies are well.
async fn holds(cluster: &Cluster, seen: &Invariants) {
    cluster.hold(seen, &["imgpol/api", "imgpol/web", "imgpol/job"], &[]).await;
}

#[tokio::test]
async fn two_tags_pushed_at_once_become_exactly_one_commit() {
    let cluster = shop(&["--gather=2s"]).await;
    let before = cluster.repo.commits("main").len();
    assert!(cluster.bot_commits().is_empty(), "nothing moved yet");

    cluster.registry.push("acme/api", "1.1.0").await;
    cluster.registry.push("acme/web", "1.0.1").await;
    cluster.request_scans("now").await;
    cluster.branch_holds("apps/api.yaml", "acme/api:1.1.0 #").await;

    let infra = cluster.status_where("infra/infra", "committed", |s| s["lastCommit"].is_object()).await;
    let commits = cluster.repo.commits("main");
    assert_eq!(commits.len(), before + 1, "one commit for both");
    let commit = &commits[0];
    assert_eq!(infra["lastCommit"]["id"], commit.id.as_str());
    assert!(cluster.repo.read("main", "apps/web.yaml").contains("acme/web:1.0.1 #"));
    assert!(cluster.repo.read("main", "apps/job.yaml").contains("acme/job:1.0.0 #"), "it has no newer tag");
    let namespace = &cluster.namespace;
    let trailers: Vec<&str> = commit.trailers.iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(trailers, [format!("{namespace}/api 1.0.0 1.1.0"), format!("{namespace}/web 1.0.0 1.0.1")]);
    assert!(commit.message.contains("highest of 2 tags in >=1.0.0 <2.0.0"), "{}", commit.message);

    // Status says what was selected and why, where it was written, and which marker has no policy.
    let api = cluster
        .status_where("imgpol/api", "written", |s| s["written"][0]["commit"] == commit.id.as_str())
        .await;
    assert_eq!(api["selected"]["tag"], "1.1.0");
    assert_eq!(api["selected"]["reason"], "highest of 2 tags in >=1.0.0 <2.0.0");
    assert_eq!(
        (&api["written"][0]["repository"], &api["written"][0]["tag"]),
        (&"infra".into(), &"1.1.0".into())
    );
    let unresolved = &infra["sites"]["unresolved"][0];
    assert_eq!((&unresolved["file"], &unresolved["line"]), (&"apps/unknown.yaml".into(), &1.into()));
    assert!(
        unresolved["why"].as_str().unwrap().contains(&format!("{namespace}/api")),
        "the nearest name: {unresolved}"
    );

    // Columns, events and metrics tell the same.
    let table = cluster.kubectl(&["get", "imagepolicies"]).await;
    assert!(
        table.contains("WRITTEN") && table.lines().any(|l| l.starts_with("api ") && l.contains("1.1.0")),
        "{table}"
    );
    let wanted = [
        "api TagSelected: 1.0.0 is selected: highest of 1 tag in >=1.0.0 <2.0.0",
        "api TagSelected: 1.1.0 is selected: highest of 2 tags in >=1.0.0 <2.0.0",
        &format!("api Committed: 1.1.0 is written to infra by {}", commit.id.get(..10).unwrap()),
        &format!("infra Committed: pushed {}: {}", commit.id.get(..10).unwrap(), commit.subject),
    ];
    are_told(&cluster, &wanted).await;
    holds(&cluster, &Invariants::default()).await;
}

/// Waits until each of these was an event: the name of its object, its reason and its note.
async fn are_told(cluster: &Cluster, wanted: &[&str]) {
    let notes = r#"jsonpath={range .items[*]}{.regarding.name} {.reason}: {.note}{"\n"}{end}"#;
    wait_until("an event for each thing that happened", PATIENCE, async || {
        let events = cluster.kubectl(&["get", "events.events.k8s.io", "-o", notes]).await;
        if wanted.iter().all(|event| events.contains(event)) { Ok(()) } else { Err(events) }
    })
    .await;
}

#[tokio::test]
async fn each_of_the_commits_of_one_push_is_told_of_and_each_policy_names_its_own() {
    let cluster = shop(&[]).await;
    let change = async |spec: &str| {
        cluster
            .kubectl(&["patch", "infra/infra", "--type=merge", "-p", &format!("{{\"spec\": {spec}}}")])
            .await
    };
    change(r#"{"suspend": true, "commit": {"grouping": "PerPolicy"}}"#).await;
    cluster.status_where("infra/infra", "suspended", |s| is(s, "Suspended")).await;
    cluster.registry.push("acme/api", "1.1.0").await;
    cluster.registry.push("acme/web", "1.0.1").await;
    cluster.request_scans("now").await;
    cluster.status_where("imgpol/api", "chosen", |s| s["selected"]["tag"] == "1.1.0").await;
    cluster.status_where("imgpol/web", "chosen", |s| s["selected"]["tag"] == "1.0.1").await;
    change(r#"{"suspend": false}"#).await;
    cluster.branch_holds("apps/web.yaml", "acme/web:1.0.1 #").await;

    let commits = cluster.repo.commits("main");
    let (web, api) = (&commits[0], &commits[1]);
    assert!(web.subject.contains("/web to 1.0.1") && api.subject.contains("/api to 1.1.0"), "{commits:?}");
    let mut wanted = Vec::new();
    for (name, tag, commit) in [("api", "1.1.0", api), ("web", "1.0.1", web)] {
        let written = |s: &Value| s["written"][0]["commit"] == commit.id.as_str();
        cluster.status_where(&format!("imgpol/{name}"), "written", written).await;
        let short = commit.id.get(..10).unwrap();
        wanted.push(format!("{name} Committed: {tag} is written to infra by {short}"));
        wanted.push(format!("infra Committed: pushed {short}: {}", commit.subject));
    }
    are_told(&cluster, &wanted.iter().map(String::as_str).collect::<Vec<_>>()).await;
    holds(&cluster, &Invariants::default()).await;
}

#[tokio::test]
async fn a_kill_right_after_the_push_makes_no_second_commit_and_the_status_is_repaired() {
    let mut cluster = shop(&[]).await;
    cluster.registry.push("acme/api", "1.2.0").await;
    cluster.request_scans("one").await;
    cluster.branch_holds("apps/api.yaml", "acme/api:1.2.0 #").await;
    cluster.kill_operator();
    let seen = Invariants::from_now_on(&cluster.repo);
    assert_eq!(cluster.bot_commits().len(), 1);

    cluster.run_operator();
    let head = cluster.repo.commits("main")[0].id.clone();
    let api = cluster
        .status_where("imgpol/api", "repaired", |s| {
            s["written"][0]["tag"] == "1.2.0" && s["selected"]["tag"] == "1.2.0"
        })
        .await;
    assert_eq!(api["written"][0]["commit"], head.as_str(), "the trailer tells which commit it was");
    cluster.status_where("infra/infra", "at the commit", |s| s["head"] == head.as_str()).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(cluster.bot_commits().len(), 1, "nothing is committed twice");
    holds(&cluster, &seen).await;
}

#[tokio::test]
async fn someone_who_pushes_in_between_keeps_their_commit() {
    let cluster = shop(&[]).await;
    // The server's hook lands a person's commit between the bot's fetch and the bot's push, three times.
    let foreign = cluster.repo.path().join("hooks/pre-receive");
    let script = "#!/bin/sh\n\
        count=$(cat races 2>/dev/null || echo 0)\n\
        [ \"$count\" -ge 3 ] && exit 0\n\
        echo $((count + 1)) > races\n\
        unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES\n\
        export GIT_AUTHOR_NAME=Jane GIT_AUTHOR_EMAIL=jane@acme.example GIT_COMMITTER_NAME=Jane GIT_COMMITTER_EMAIL=jane@acme.example\n\
        new=$(git commit-tree -p main -m \"Jane's change $count\" 'main^{tree}')\n\
        git update-ref refs/heads/main \"$new\"\n";
    std::fs::write(&foreign, script).unwrap();
    std::fs::set_permissions(&foreign, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();

    cluster.registry.push("acme/api", "1.3.0").await;
    cluster.request_scans("one").await;
    cluster.branch_holds("apps/api.yaml", "acme/api:1.3.0 #").await;
    let subjects: Vec<String> =
        cluster.repo.commits("main").into_iter().map(|commit| commit.subject).collect();
    assert_eq!(subjects.iter().filter(|s| s.starts_with("Jane's change")).count(), 3, "{subjects:?}");
    assert_eq!(cluster.bot_commits().len(), 1, "{subjects:?}");
    holds(&cluster, &Invariants::default()).await;
}

#[tokio::test]
async fn one_bad_policy_stops_no_other() {
    let cluster = shop(&[]).await;
    let bad_range = cluster.policy_yaml("bad", "select: {semver: {range: 'not a range'}}");
    cluster.apply(&bad_range).await;
    let bad = cluster
        .status_where("imgpol/bad", "stalled", |s| {
            s["conditions"].as_array().is_some_and(|all| all.iter().any(|c| c["type"] == "Stalled"))
        })
        .await;
    let message = bad["conditions"][0]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("spec.select.semver.range"), "{message}");
    let missing = cluster.policy_yaml("missing", SEMVER);
    cluster.apply(&missing).await;
    cluster
        .status_where("imgpol/missing", "not found", |s| s["conditions"][0]["reason"] == "ImageNotFound")
        .await;

    cluster.registry.push("acme/job", "1.9.0").await;
    cluster.request_scans("one").await;
    cluster.branch_holds("apps/job.yaml", "acme/job:1.9.0 #").await;
    holds(&cluster, &Invariants::default()).await;
}

#[tokio::test]
async fn a_suspended_policy_and_one_that_would_go_down_leave_git_alone() {
    let cluster = shop(&[]).await;
    cluster.registry.push("acme/api", "1.5.0").await;
    cluster.kubectl(&["patch", "imgpol/api", "--type=merge", "-p", r#"{"spec":{"suspend":true}}"#]).await;
    cluster.status_where("imgpol/api", "suspended", |s| s["conditions"][0]["reason"] == "Suspended").await;
    // A person is ahead of the policy.
    cluster.repo.push_as("Jane", &[("apps/web.yaml", &cluster.deployment("web", "1.8.0"))]);
    let seen = Invariants::from_now_on(&cluster.repo);
    cluster.registry.push("acme/web", "1.7.0").await;
    cluster.request_scans("one").await;
    cluster.status_where("imgpol/web", "chosen", |s| s["selected"]["tag"] == "1.7.0").await;
    let web = cluster
        .status_where("imgpol/web", "why it is not written", |s| {
            s["conditions"][0]["message"].as_str().is_some_and(|m| m.contains("1.8.0"))
        })
        .await;
    assert!(web["conditions"][0]["message"].as_str().unwrap().contains("apps/web.yaml"), "{web}");
    assert!(cluster.bot_commits().is_empty());

    cluster.kubectl(&["patch", "imgpol/api", "--type=merge", "-p", r#"{"spec":{"suspend":false}}"#]).await;
    cluster.branch_holds("apps/api.yaml", "acme/api:1.5.0 #").await;
    cluster.hold(&seen, &["imgpol/api", "imgpol/job"], &[]).await;
}
