//! Many that write to one branch at once: nothing is lost, nothing is written twice, and nobody tries for ever.

use std::fmt::Write as _;
use std::time::Duration;

use crate::cluster::{Cluster, is};
use crate::support::infra_repo::NAME;
use crate::support::invariants::Invariants;
use crate::support::wait_until;

/// InfraRepositories of each operator, all with the same address and branch, each for one policy.
const REPOSITORIES: usize = 10;

/// The metric that counts lost races.
const RACED: &str = "tagtide_push_attempts_total{result=\"raced\"}";

/// The objects of one operator: a policy and an InfraRepository for each app.
fn objects(cluster: &Cluster, url: &str) -> String {
    let mut all = String::new();
    for number in 0..REPOSITORIES {
        let policy = cluster.policy_yaml(&format!("app-{number}"), "select: {semver: {range: '*'}}");
        let label = format!(", labels: {{app: 'n{number}'}}}}");
        let infra = cluster
            .infra_yaml()
            .replace(&cluster.git.url(NAME), url)
            .replace("name: infra", &format!("name: infra-{number}"))
            .replace("spec: {", &format!("spec: {{policies: {{matchLabels: {{app: 'n{number}'}}}}, "));
        let policy =
            policy.replacen(&format!("name: app-{number}}}"), &format!("name: app-{number}{label}"), 1);
        let _ = write!(all, "{policy}{infra}");
    }
    all
}

fn path(cluster: &Cluster, number: usize) -> String {
    format!("{}/app-{number}.yaml", cluster.namespace)
}

#[tokio::test]
async fn twenty_repositories_of_two_operators_share_a_branch() {
    let mut one = Cluster::start(&[]).await;
    let mut two = Cluster::start(&[]).await;
    let url = one.git.url(NAME);
    let mut files = vec![("README.md".to_owned(), "0".to_owned())];
    for cluster in [&one, &two] {
        for number in 0..REPOSITORIES {
            let app = format!("app-{number}");
            cluster.registry.push(&format!("acme/{app}"), "1.0.0").await;
            files.push((path(cluster, number), cluster.deployment(&app, "0.9.0")));
        }
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    one.repo.seed(&files);
    one.apply(&objects(&one, &url)).await;
    two.apply(&objects(&two, &url)).await;

    let mut seen = Invariants::from_now_on(&one.repo);
    one.run_operator();
    two.run_operator();
    // Jane commits between theirs, so that they race her too.
    for round in 1..=5 {
        wait_until("more commits of theirs", Duration::from_secs(120), async || {
            let landed = one.bot_commits().len();
            if landed >= 3 * (round - 1) { Ok(()) } else { Err(landed) }
        })
        .await;
        one.repo.push_as("Jane", &[("README.md", &round.to_string())]);
        seen.see(&one.repo);
    }
    for cluster in [&one, &two] {
        for number in 0..REPOSITORIES {
            let file = path(cluster, number);
            wait_until(&format!("{file} to be written"), Duration::from_secs(120), async || {
                let held = one.repo.read("main", &file);
                if held.contains(":1.0.0 #") { Ok(()) } else { Err(held) }
            })
            .await;
        }
    }
    assert_eq!(one.repo.read("main", "README.md"), "5", "Jane's last word");
    assert_eq!(one.bot_commits().len(), 2 * REPOSITORIES, "one commit for each policy");
    // Those of one operator take turns, so that a push loses to the other operator or to Jane alone.
    let (pushes, commits) = (one.git.requests("git-receive-pack"), 2 * REPOSITORIES as u64);
    assert!(pushes <= 3 * commits, "{pushes} pushes for {commits} commits");
    for cluster in [&one, &two] {
        for number in 0..REPOSITORIES {
            let infra = format!("infra/infra-{number}");
            // The places of the others' policies are none of its own.
            cluster.status_where(&infra, "well", |s| is(s, "SitesUnresolved")).await;
        }
        let metrics = reqwest::get(format!("http://{}/metrics", cluster.listen)).await.unwrap();
        let metrics = metrics.text().await.unwrap();
        let raced = metrics.lines().find_map(|line| line.strip_prefix(RACED));
        let raced: u64 = raced.unwrap_or("0").trim().parse().unwrap();
        assert!(raced <= 2 * REPOSITORIES as u64, "{raced} races lost");
        assert!(!metrics.contains("PushRace"), "nobody gave up");
        cluster.hold_in(&one.repo, &seen, &[], &[]).await;
    }
}
