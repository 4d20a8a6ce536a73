//! Registries that tell of a pushed image themselves: it is in Git long before the interval of its policy is over.

use std::fs;
use std::time::Duration;

use ::tagtide::demo::image::tiny_image;
use oci_distribution::client::{ClientConfig, ClientProtocol, Config};
use oci_distribution::manifest::IMAGE_CONFIG_MEDIA_TYPE;
use oci_distribution::secrets::RegistryAuth;
use oci_distribution::{Client, Reference};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::cluster::{Cluster, PATIENCE, Plane, is};
use crate::support::gitea::{self, Gitea};
use crate::support::infra_repo::InfraRepo;
use crate::support::invariants::Invariants;
use crate::support::process::{Process, free_address};
use crate::support::registry::{Access, Registry};
use crate::support::{tagtide, wait_until, workspace};

const TOKEN: &str = "tide-hook-0123456789abcdef";

/// The standalone engine with one policy, `shop/api`, that asks once an hour by itself.
struct Site {
    process: Process,
    repo: InfraRepo,
    _folder: tempfile::TempDir,
}

impl Site {
    /// For an image that is at 1.0.0, with deliveries of this kind taken at this address.
    fn start(host: &str, repository: &str, kind: &str, hooks: &str) -> Self {
        let repo = InfraRepo::new();
        let marked = format!("image: {host}/{repository}:1.0.0 # {{\"$imagepolicy\": \"shop:api\"}}\n");
        repo.seed(&[("api.yaml", &marked)]);
        let folder = workspace::folder("webhooks");
        let objects = format!(
            "apiVersion: tagtide.dev/v1alpha1\nkind: ClusterImageRegistry\nmetadata: {{name: local}}\n\
             spec: {{host: '{host}', insecure: true, webhook: {{kind: {kind}, secretRef: {{name: hook}}}}}}\n\
             ---\napiVersion: v1\nkind: Secret\nmetadata: {{name: hook, namespace: tagtide}}\n\
             stringData: {{token: {TOKEN}}}\n\
             ---\napiVersion: tagtide.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: api, namespace: shop}}\n\
             spec: {{image: '{host}/{repository}', interval: 1h, select: {{semver: {{range: '*'}}}}}}\n\
             ---\napiVersion: tagtide.dev/v1alpha1\nkind: InfraRepository\nmetadata: {{name: infra, namespace: shop}}\n\
             spec: {{url: 'file://{}', interval: 1h}}\n",
            repo.path().display()
        );
        fs::write(folder.path().join("objects.yaml"), objects).unwrap();
        let (policies, listen) = (folder.path().to_string_lossy(), format!("--hooks-listen={hooks}"));
        let args = ["standalone", "--policies", &policies, "--log-level=info,tagtide=debug", &listen];
        let process = tagtide::start(tagtide::command(&args), folder.path());
        Self { process, repo, _folder: folder }
    }

    async fn chosen(&self, tag: &str) {
        wait_until(&format!("{tag} to be chosen"), PATIENCE, async || {
            let log = self.process.log();
            if log.contains(&format!("Succeeded: {tag} is the highest")) { Ok(()) } else { Err(log) }
        })
        .await;
    }

    async fn branch_holds(&self, text: &str) {
        wait_until(&format!("the branch to hold {text}"), PATIENCE, async || {
            let held = self.repo.read("main", "api.yaml");
            if held.contains(text) { Ok(()) } else { Err(format!("{held}{}", self.process.log())) }
        })
        .await;
    }
}

#[tokio::test]
async fn a_registry_that_notifies_has_its_tag_in_git_within_seconds() {
    let hooks = free_address().to_string();
    let registry = Registry::that_notifies(&format!("http://{hooks}/hooks/local"), TOKEN).await;
    registry.push("acme/api", "1.0.0").await;
    let site = Site::start(&registry.host(), "acme/api", "Distribution", &hooks);
    site.chosen("1.0.0").await;
    registry.push("acme/api", "1.1.0").await;
    site.branch_holds("acme/api:1.1.0 #").await;
    registry.push("acme/other", "9.9.9").await;
    registry.push("acme/api", "1.2.0").await;
    site.branch_holds("acme/api:1.2.0 #").await;
    assert_eq!(site.repo.commits("main").len(), 3);
    assert!(!site.process.log().contains(TOKEN));
}

#[tokio::test]
async fn a_registry_with_another_token_is_not_heard() {
    let hooks = free_address().to_string();
    let registry =
        Registry::that_notifies(&format!("http://{hooks}/hooks/local"), "another-token-of-no-worth").await;
    registry.push("acme/api", "1.0.0").await;
    let site = Site::start(&registry.host(), "acme/api", "Distribution", &hooks);
    site.chosen("1.0.0").await;
    registry.push("acme/api", "1.1.0").await;
    wait_until("the delivery", PATIENCE, async || {
        let log = registry.log();
        if log.contains("401") { Ok(()) } else { Err(log) }
    })
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(site.repo.read("main", "api.yaml").contains("acme/api:1.0.0 #"));
}

#[tokio::test]
async fn gitea_signs_what_it_tells_and_is_believed() {
    let forge = Gitea::start().await;
    let hooks = free_address().to_string();
    let config =
        json!({ "url": format!("http://{hooks}/hooks/local"), "content_type": "json", "secret": TOKEN });
    let hook = json!({ "type": "gitea", "config": config, "events": ["package"], "active": true });
    forge.api(Method::POST, "user/hooks", hook).await;
    push_to_forge(&forge, "1.0.0").await;
    let site = Site::start(&forge.host(), &format!("{}/api", gitea::USER), "Gitea", &hooks);
    site.chosen("1.0.0").await;
    push_to_forge(&forge, "1.1.0").await;
    site.branch_holds("/api:1.1.0 #").await;
}

async fn push_to_forge(forge: &Gitea, tag: &str) {
    let client = Client::new(ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() });
    let (layer, config) = tiny_image(tag);
    let config = Config::new(config.data, IMAGE_CONFIG_MEDIA_TYPE.to_owned(), None);
    let image = Reference::with_tag(forge.host(), format!("{}/api", gitea::USER), tag.to_owned());
    let user = RegistryAuth::Basic(gitea::USER.to_owned(), gitea::PASSWORD.to_owned());
    client.push(&image, &[layer], config, &user, None).await.unwrap();
}

/// Where an operator takes deliveries, as its log says.
async fn hooks_of(operator: &Process) -> String {
    wait_until("the port for deliveries", PATIENCE, async || {
        let log = operator.log();
        let line = log.lines().find(|line| line.contains("taking deliveries of webhooks")).map(str::to_owned);
        let line: Option<Value> = line.and_then(|line| serde_json::from_str(&line).ok());
        let address = line.and_then(|line| line["address"].as_str().map(str::to_owned));
        address.ok_or(log)
    })
    .await
}

/// A cluster whose operator takes deliveries for its registry, and whose policy `api` is at 1.0.0.
async fn cluster_with_webhook() -> Cluster {
    let mut cluster = Cluster::start(&["--hooks-listen=127.0.0.1:0"]).await;
    cluster.registry.push("acme/api", "1.0.0").await;
    cluster.repo.seed(&[("api.yaml", &cluster.deployment("api", "1.0.0"))]);
    let namespace = cluster.namespace.clone();
    let webhook = json!({ "spec": { "webhook": { "kind": "Generic", "secretRef": { "name": "hook" } } } });
    cluster.kubectl(&["create", "secret", "generic", "hook", &format!("--from-literal=token={TOKEN}")]).await;
    cluster.kubectl(&["patch", "imgreg", &namespace, "--type=merge", "-p", &webhook.to_string()]).await;
    cluster
        .apply(&(cluster.policy_yaml("api", "select: {semver: {range: '*'}}") + &cluster.infra_yaml()))
        .await;
    cluster.run_operator();
    cluster.status_where("imgpol/api", "chosen", |s| is(s, "Succeeded")).await;
    cluster.status_where("infra/infra", "ready", |s| is(s, "Succeeded")).await;
    // Operators of other tests write the object's status too, and have no such Secret: only its own one can be asked.
    let hooks = format!("http://{}/hooks/{namespace}", hooks_of(cluster.operator()).await);
    wait_until("the webhook to be known", PATIENCE, async || {
        let empty = reqwest::Client::new().post(&hooks).bearer_auth(TOKEN).body("{}");
        match empty.send().await.unwrap().status() {
            StatusCode::BAD_REQUEST => Ok(()),
            other => Err(other),
        }
    })
    .await;
    cluster
}

/// A delivery to whoever listens at this address.
fn delivery(cluster: &Cluster, client: &reqwest::Client, at: &str, token: &str) -> reqwest::RequestBuilder {
    let body = json!({ "image": format!("{}/acme/api", cluster.registry.host()) }).to_string();
    client.post(format!("http://{at}/hooks/{}", cluster.namespace)).bearer_auth(token).body(body)
}

#[tokio::test]
async fn a_delivery_at_any_replica_reaches_the_leader_and_a_flood_of_them_is_a_few_scans() {
    let cluster = cluster_with_webhook().await;
    let folder = workspace::folder("follower");
    let follower = cluster.spawn_operator(folder.path(), &free_address().to_string());
    let (leader, follower_hooks) = (hooks_of(cluster.operator()).await, hooks_of(&follower).await);

    let client = reqwest::Client::new();
    let deliver =
        async |at: &str, token: &str| delivery(&cluster, &client, at, token).send().await.unwrap().status();
    cluster.registry.push("acme/api", "1.1.0").await;
    assert_eq!(deliver(&follower_hooks, TOKEN).await, StatusCode::ACCEPTED, "{}", follower.log());
    cluster.branch_holds("api.yaml", "acme/api:1.1.0 #").await;
    for at in [&leader, &follower_hooks] {
        assert_eq!(deliver(at, "false-token-of-nobody").await, StatusCode::UNAUTHORIZED);
    }
    let handed_on = delivery(&cluster, &client, &follower_hooks, TOKEN).header("x-tagtide-handed-on", "1");
    let answer = handed_on.send().await.unwrap().status();
    assert_eq!(
        answer,
        StatusCode::SERVICE_UNAVAILABLE,
        "two that take each other for the leader end it here"
    );

    cluster.registry.push("acme/api", "1.2.0").await;
    let before = cluster.registry.requests("GET /v2/acme/api/tags/list");
    let began = std::time::Instant::now();
    futures::future::join_all((0..20).map(async |_| {
        for _ in 0..500 {
            assert_eq!(deliver(&leader, TOKEN).await, StatusCode::ACCEPTED);
        }
    }))
    .await;
    let took = began.elapsed();
    cluster.branch_holds("api.yaml", "acme/api:1.2.0 #").await;
    let scans = cluster.registry.requests("GET /v2/acme/api/tags/list") - before;
    let allowed = 2 + usize::try_from(took.as_secs() / 5).unwrap();
    assert!((1..=allowed).contains(&scans), "{scans} scans for ten thousand deliveries in {took:?}");
    let metrics =
        reqwest::get(format!("http://{}/metrics", cluster.listen)).await.unwrap().text().await.unwrap();
    for line in [
        "tagtide_deliveries_total{kind=\"Generic\",result=\"taken\"} 10001",
        "tagtide_deliveries_total{kind=\"Generic\",result=\"unproven\"} 2",
    ] {
        assert!(metrics.lines().any(|known| known == line), "{line} is not in\n{metrics}");
    }
    cluster.hold(&Invariants::default(), &["imgpol/api", "infra/infra"], &[TOKEN]).await;
    assert!(!follower.log().contains(TOKEN));
}

#[tokio::test]
async fn deliveries_are_handed_on_to_the_next_leader_when_the_one_that_was_known_has_died() {
    let cluster = cluster_with_webhook().await;
    let folders = ["second", "third"].map(workspace::folder);
    let followers =
        folders.each_ref().map(|folder| cluster.spawn_operator(folder.path(), &free_address().to_string()));
    let hooks = [hooks_of(&followers[0]).await, hooks_of(&followers[1]).await];
    let client = reqwest::Client::new();
    let deliver = async |at: &str| delivery(&cluster, &client, at, TOKEN).send().await.unwrap();
    for at in &hooks {
        assert_eq!(deliver(at).await.status(), StatusCode::ACCEPTED);
    }
    cluster.kill_operator();
    for at in &hooks {
        let answer = deliver(at).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "nobody leads");
        assert_eq!(answer.headers()["retry-after"], "5");
    }
    cluster.registry.push("acme/api", "1.1.0").await;
    for (at, follower) in hooks.iter().zip(&followers) {
        wait_until("a leader that takes it", 2 * PATIENCE, async || match deliver(at).await.status() {
            StatusCode::ACCEPTED => Ok(()),
            other => Err(format!("{other}\n{}", follower.log())),
        })
        .await;
    }
    cluster.branch_holds("api.yaml", "acme/api:1.1.0 #").await;
}

#[tokio::test]
async fn a_webhook_whose_secret_is_missing_or_too_short_is_named_and_stops_no_scan() {
    // ClusterImageRegistries are for all: the operators of other tests look for this Secret in namespaces of their own, and
    // which of them writes the status last is chance.
    let flags = ["--allow-http", "--hooks-listen=127.0.0.1:0"];
    let mut cluster = Cluster::on(Plane::own(|_| {}).await, Access::Anonymous, &flags).await;
    cluster.registry.push("acme/api", "1.0.0").await;
    let registry = format!("imgreg/{}", cluster.namespace);
    let webhook = json!({ "spec": { "webhook": { "kind": "GitHub", "secretRef": { "name": "hook" } } } });
    cluster.kubectl(&["create", "secret", "generic", "hook", "--from-literal=token=short"]).await;
    cluster.kubectl(&["patch", &registry, "--type=merge", "-p", &webhook.to_string()]).await;
    cluster.apply(&cluster.policy_yaml("api", "select: {semver: {range: '*'}}")).await;
    cluster.run_operator();
    let status = cluster.status_where(&registry, "not ready", |s| is(s, "SecretInvalid")).await;
    assert!(status.to_string().contains("its key token is shorter than 16 characters"), "{status}");
    cluster.status_where("imgpol/api", "chosen", |s| is(s, "Succeeded")).await;
}

#[tokio::test]
async fn a_webhook_of_nobody_is_refused_by_the_api_server() {
    let cluster = Cluster::start(&[]).await;
    for (webhook, sentence) in [
        (json!({ "kind": "GitHub" }), "webhook must have secretRef, unless its kind is ArtifactRegistry"),
        (
            json!({ "kind": "ArtifactRegistry", "secretRef": { "name": "hook" } }),
            "webhook must have oidc where its kind is ArtifactRegistry, and only there",
        ),
    ] {
        let patch = json!({ "spec": { "webhook": webhook } }).to_string();
        let args = ["patch", "imgreg", &cluster.namespace, "--type=merge", "-p", &patch];
        let refused = cluster.plane.kubectl(&args).await;
        assert!(refused.stderr.contains(sentence), "{}", refused.stderr);
    }
}
