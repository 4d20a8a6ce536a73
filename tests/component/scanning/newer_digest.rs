//! A tag that moves between two scans, while somebody writes its new digest by hand.

use serde_json::{Value, json};

use super::{PATIENCE, Running, registry};
use crate::support::git_server::GitServer;
use crate::support::infra_repo::{InfraRepo, NAME};
use crate::support::registry::{Access, Registry};
use crate::support::wait_until;

const FILE: &str = "app.yaml";

/// An engine that scans once an hour and looks at the branch every second.
struct Site {
    registry: Registry,
    repo: InfraRepo,
    _server: GitServer,
    running: Running,
}

impl Site {
    /// One that has written the digest of `stable`, which is given too.
    async fn settled() -> (Self, String) {
        let registry_server = Registry::start(Access::Anonymous).await;
        let digest = push(&registry_server, 1).await;
        let (repo, host) = (InfraRepo::new(), registry_server.host());
        repo.seed(&[(FILE, &file(&host, ""))]);
        let server = GitServer::start(repo.root()).await;
        let objects = registry("local", &host, "")
            + &format!(
                "---\napiVersion: tagtide.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: app, namespace: shop}}\n\
                 spec: {{image: '{host}/acme/app', interval: 1h, select: {{follow: {{tag: stable}}}}}}\n\
                 ---\napiVersion: tagtide.dev/v1alpha1\nkind: InfraRepository\nmetadata: {{name: infra, namespace: shop}}\n\
                 spec: {{url: '{}', interval: 1s}}\n",
                server.url(NAME)
            );
        let running = Running::start(&objects);
        let site = Self { registry: registry_server, repo, _server: server, running };
        site.holds(&digest).await;
        (site, digest)
    }

    /// Waits until the branch holds this digest.
    async fn holds(&self, digest: &str) {
        let wanted = file(&self.registry.host(), &format!("@{digest}"));
        wait_until("the digest", PATIENCE, async || {
            let text = self.repo.read("main", FILE);
            if text == wanted { Ok(()) } else { Err(text) }
        })
        .await;
    }

    fn write_by_hand(&self, digest: &str) {
        self.repo.push_as("Jane", &[(FILE, &file(&self.registry.host(), &format!("@{digest}")))]);
    }

    async fn selects(&self, digest: &str) {
        self.running.status_where("app", |status| status["selected"]["digest"] == digest).await;
    }

    async fn repository_where(&self, wish: impl Fn(&Value) -> bool) {
        self.running.where_in("InfraRepository.shop.infra", wish).await;
    }

    /// Whether the head of the branch is what its status is about.
    fn is_seen(&self, status: &Value) -> bool {
        status["head"] == self.repo.commits("main")[0].id.as_str()
    }
}

fn file(host: &str, digest: &str) -> String {
    format!("image: {host}/acme/app:stable{digest} # {{\"$imagepolicy\": \"shop:app\"}}\n")
}

async fn push(registry: &Registry, build: u64) -> String {
    registry.push_image("acme/app", "stable", json!({ "author": build.to_string() })).await
}

#[tokio::test]
async fn a_digest_that_was_written_by_hand_is_not_taken_back_for_one_that_was_scanned_before() {
    let (site, _) = Site::settled().await;
    let newer = push(&site.registry, 2).await;
    site.write_by_hand(&newer);
    // Nothing else makes it scan within the hour.
    site.selects(&newer).await;
    site.repository_where(|status| site.is_seen(status) && status["conditions"][0]["reason"] == "Succeeded")
        .await;
    let authors: Vec<String> = site.repo.commits("main").into_iter().map(|commit| commit.author).collect();
    assert_eq!(authors, ["Jane", "tagtide", "Test"]);
}

#[tokio::test]
async fn a_digest_that_the_registry_still_has_replaces_one_that_was_written_by_hand() {
    let (site, digest) = Site::settled().await;
    site.write_by_hand(&format!("sha256:{}", "0".repeat(64)));
    site.holds(&digest).await;
}

#[tokio::test]
async fn a_digest_stays_while_nobody_can_say_whether_it_is_the_newer_one() {
    let (mut site, digest) = Site::settled().await;
    let newer = push(&site.registry, 2).await;
    site.registry.kill();
    site.write_by_hand(&newer);
    let words = format!("{FILE}:1: Git holds another digest of stable than {digest}, and nobody can say");
    let tells =
        |status: &Value| status["conditions"][0]["message"].as_str().is_some_and(|it| it.contains(&words));
    site.repository_where(|status| site.is_seen(status) && tells(status)).await;
    site.running.status_where("app", tells).await;
    site.registry.restart().await;
    site.selects(&newer).await;
    site.repository_where(|status| status["conditions"][0]["reason"] == "Succeeded").await;
    site.holds(&newer).await;
    assert_eq!(site.repo.commits("main").len(), 3);
}
