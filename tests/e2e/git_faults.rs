//! What goes wrong with Git around a running operator: the status names it, nothing of others is lost, and it ends well.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use crate::cluster::{Cluster, PATIENCE, condition, is};
use crate::support::git_server::{Fault, GitServer};
use crate::support::infra_repo::{InfraRepo, NAME};
use crate::support::invariants::Invariants;
use crate::support::wait_until;

const SEMVER: &str = "select: {semver: {range: '>=1.0.0 <2.0.0'}}";

/// One app at 1.0.0 and the heads seen.
async fn app() -> (Cluster, Invariants) {
    let mut cluster = Cluster::start(&["--gather=0ms"]).await;
    cluster.registry.push("acme/api", "1.0.0").await;
    cluster.repo.seed(&[("api.yaml", &cluster.deployment("api", "1.0.0")), ("README.md", "0")]);
    cluster.apply(&(cluster.policy_yaml("api", SEMVER) + &cluster.infra_yaml())).await;
    cluster.run_operator();
    cluster.status_where("imgpol/api", "written", |s| s["written"][0]["tag"] == "1.0.0").await;
    let seen = Invariants::from_now_on(&cluster.repo);
    (cluster, seen)
}

fn hook(cluster: &Cluster, script: &str) {
    let path = cluster.repo.path().join("hooks/pre-receive");
    std::fs::write(&path, format!("#!/bin/sh\n{script}")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Asks for a look at the repository at once.
async fn look(cluster: &Cluster, at: &str) {
    let annotation = format!("tagtide.dev/requestedAt={at}");
    cluster.kubectl(&["annotate", "--overwrite", "infra", "--all", &annotation]).await;
}

fn message(status: &Value) -> &str {
    condition(status, "Ready").map(|(_, message)| message).unwrap_or_default()
}

#[tokio::test]
async fn a_persons_newer_value_on_the_same_line_that_lands_in_between_stays() {
    let (cluster, mut seen) = app().await;
    let script = "[ -e raced ] && exit 0\n\
        touch raced\n\
        unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES\n\
        export GIT_AUTHOR_NAME=Jane GIT_AUTHOR_EMAIL=j@example.com GIT_COMMITTER_NAME=Jane GIT_COMMITTER_EMAIL=j@example.com\n\
        export GIT_INDEX_FILE=index-of-jane\n\
        git read-tree main\n\
        blob=$(git show main:api.yaml | sed 's/api:1.0.0 #/api:1.5.0 #/' | git hash-object -w --stdin)\n\
        git update-index --cacheinfo \"100644,$blob,api.yaml\"\n\
        git update-ref refs/heads/main $(git commit-tree -p main -m hers $(git write-tree))\n";
    hook(&cluster, script);
    cluster.registry.push("acme/api", "1.4.0").await;
    cluster.request_scans("one").await;
    cluster.branch_holds("api.yaml", "acme/api:1.5.0 #").await;
    seen.see(&cluster.repo);
    let told = |s: &Value| message(s).contains("1.5.0");
    cluster.status_where("imgpol/api", "why it is not written", told).await;
    assert!(cluster.bot_commits().is_empty(), "a person's newer value wins");

    cluster.registry.push("acme/api", "1.6.0").await;
    cluster.request_scans("two").await;
    cluster.branch_holds("api.yaml", "acme/api:1.6.0 #").await;
    assert_eq!(cluster.bot_commits().len(), 1);
    cluster.hold(&seen, &["imgpol/api", "infra/infra"], &[]).await;
}

#[tokio::test]
async fn a_hook_that_refuses_is_quoted_in_the_status_and_left_in_peace() {
    let (cluster, seen) = app().await;
    hook(&cluster, "echo 'only on \x1b[31mworking days' >&2; exit 1\n");
    cluster.registry.push("acme/api", "1.1.0").await;
    cluster.request_scans("one").await;
    let status = cluster.status_where("infra/infra", "refused", |s| is(s, "PushRejected")).await;
    assert!(message(&status).contains("only on [31mworking days"), "{status}");
    let pushes = cluster.git.requests("git-receive-pack");
    sleep(Duration::from_secs(5)).await;
    let more = cluster.git.requests("git-receive-pack") - pushes;
    assert!(more <= 3, "{more} pushes in five seconds");
    assert!(cluster.bot_commits().is_empty());
    hook(&cluster, "exit 0\n");
    // From here on nobody helps.
    cluster.branch_holds("api.yaml", "acme/api:1.1.0 #").await;
    cluster.hold(&seen, &["imgpol/api", "infra/infra"], &[]).await;
}

#[tokio::test]
async fn a_branch_that_was_forced_back_is_taken_as_it_is() {
    let (cluster, _) = app().await;
    let old = cluster.repo.commits("main")[0].id.clone();
    cluster.repo.push_as("Jane", &[("README.md", "dropped later")]);
    cluster.registry.push("acme/api", "1.1.0").await;
    cluster.request_scans("one").await;
    cluster.branch_holds("api.yaml", "acme/api:1.1.0 #").await;
    cluster.repo.git(&cluster.repo.path(), &["update-ref", "refs/heads/main", &old]).success();
    let seen = Invariants::from_now_on(&cluster.repo);
    look(&cluster, "one").await;
    cluster.branch_holds("api.yaml", "acme/api:1.1.0 #").await;
    assert_eq!(cluster.repo.read("main", "README.md"), "0", "what was dropped stays dropped");
    assert_eq!(cluster.repo.commits("main").len(), 2, "the old head and the tag, once more");
    cluster.hold(&seen, &["imgpol/api", "infra/infra"], &[]).await;
}

#[tokio::test]
async fn a_branch_that_is_deleted_is_missed_and_not_made_again() {
    let (cluster, seen) = app().await;
    let head = cluster.repo.commits("main")[0].id.clone();
    cluster.repo.git(&cluster.repo.path(), &["update-ref", "-d", "refs/heads/main"]).success();
    cluster.registry.push("acme/api", "1.1.0").await;
    cluster.request_scans("one").await;
    look(&cluster, "one").await;
    let status = cluster.status_where("infra/infra", "missed", |s| is(s, "BranchNotFound")).await;
    assert!(message(&status).contains("no branch main"), "{status}");
    let refs = cluster.repo.git(&cluster.repo.path(), &["for-each-ref"]).success();
    assert_eq!(refs, "", "nothing is made");
    cluster.repo.git(&cluster.repo.path(), &["update-ref", "refs/heads/main", &head]).success();
    // From here on nobody helps.
    cluster.branch_holds("api.yaml", "acme/api:1.1.0 #").await;
    cluster.hold(&seen, &["imgpol/api", "infra/infra"], &[]).await;
}

#[tokio::test]
async fn one_broken_file_of_a_hundred_is_named_and_the_others_are_written_in_one_commit() {
    let mut cluster = Cluster::start(&[]).await;
    cluster.registry.push("acme/api", "1.0.0").await;
    let good = cluster.deployment("api", "1.0.0");
    let mut files: Vec<(String, String)> =
        (0..99).map(|number| (format!("apps/{number:02}.yaml"), good.clone())).collect();
    let broken = good.replace("metadata: {name: api}", "metadata: {name: api");
    files.push(("apps/broken.yaml".to_owned(), broken.clone()));
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    cluster.repo.seed(&files);
    cluster.apply(&(cluster.policy_yaml("api", SEMVER) + &cluster.infra_yaml())).await;
    let seen = Invariants::from_now_on(&cluster.repo);
    cluster.registry.push("acme/api", "1.1.0").await;
    cluster.run_operator();
    for number in [0, 50, 98] {
        cluster.branch_holds(&format!("apps/{number:02}.yaml"), "acme/api:1.1.0 #").await;
    }
    let left = cluster.repo.git(&cluster.repo.path(), &["grep", "-l", "acme/api:1.0.0", "main"]).success();
    assert_eq!(left, "main:apps/broken.yaml\n");
    assert_eq!(cluster.repo.read("main", "apps/broken.yaml"), broken, "it is left as it is");
    assert_eq!(cluster.bot_commits().len(), 1);
    let names_it = |s: &Value| s.to_string().contains("apps/broken.yaml");
    cluster.status_where("infra/infra", "which file is broken", names_it).await;
    cluster.hold(&seen, &[], &[]).await;
}

#[tokio::test]
async fn a_server_that_hangs_holds_up_no_other_repository() {
    let (cluster, seen) = app().await;
    let other = InfraRepo::new();
    other.seed(&[("api.yaml", &cluster.deployment("api", "1.0.0"))]);
    let hanging = GitServer::start(other.root()).await;
    hanging.fault(Some(Fault::Silence));
    let mut all = String::new();
    for number in 0..3 {
        let infra = cluster.infra_yaml().replace(&cluster.git.url(NAME), &hanging.url(NAME));
        let _ = write!(all, "{}", infra.replace("name: infra", &format!("name: hanging-{number}")));
    }
    cluster.apply(&all).await;
    wait_until("a request to hang", PATIENCE, async || match hanging.requests("info/refs") {
        0 => Err("none yet"),
        _ => Ok(()),
    })
    .await;
    for minor in 1..=3 {
        cluster.registry.push("acme/api", &format!("1.{minor}.0")).await;
        cluster.request_scans(&minor.to_string()).await;
        cluster.branch_holds("api.yaml", &format!("acme/api:1.{minor}.0 #")).await;
    }
    assert!(hanging.requests("info/refs") <= 3, "it is not asked again and again");
    cluster.hold(&seen, &["imgpol/api", "infra/infra"], &[]).await;
}
