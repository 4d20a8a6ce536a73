//! A registry that tells of a tag before its list has it.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::{PATIENCE, Running, is_chosen, policy, registry};
use crate::registry::fault_server::{FaultServer, page, status, with};
use crate::support::fault_proxy::{Fault, FaultProxy, Rule};
use crate::support::process::free_address;
use crate::support::registry::{Access, Registry};
use crate::support::wait_until;

const LIST: &str = "GET /v2/acme/app/tags/list";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// An engine that asks a registry once an hour by itself, and takes deliveries from it.
struct Site {
    running: Running,
    host: String,
    hooks: SocketAddr,
}

impl Site {
    /// For a registry that has 1.0.0.
    async fn before(host: &str) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let hooks = free_address();
        let webhook = ", webhook: {kind: Generic, secretRef: {name: hook}}";
        let secret = format!(
            "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: hook, namespace: tagtide}}\nstringData: {{token: {TOKEN}}}\n"
        );
        let objects = registry("early", host, webhook) + &secret + &policy("app", host, "1h");
        let running = Running::start_with(&objects, Some(hooks));
        running.status_where("app", is_chosen).await;
        Self { running, host: host.to_owned(), hooks }
    }

    /// Tells of a push, as the registry would.
    async fn tell(&self, tag: &str) {
        let body = json!({ "image": format!("{}/acme/app:{tag}", self.host) }).to_string();
        let url = format!("http://{}/hooks/early", self.hooks);
        wait_until("the delivery to be taken", PATIENCE, async || {
            let request = reqwest::Client::new().post(&url).bearer_auth(TOKEN).body(body.clone());
            match request.send().await.map(|answer| answer.status().as_u16()) {
                Ok(202) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }

    async fn selects(&self, tag: &str) {
        self.running.status_where("app", |status: &Value| status["selected"]["tag"] == tag).await;
    }
}

async fn registry_behind_proxy() -> (Registry, FaultProxy) {
    let registry = Registry::start(Access::Anonymous).await;
    registry.push("acme/app", "1.0.0").await;
    let proxy = FaultProxy::before(&registry.host()).await;
    (registry, proxy)
}

#[tokio::test]
async fn a_tag_that_is_told_of_before_it_is_listed_is_chosen_within_seconds() {
    let (registry, proxy) = registry_behind_proxy().await;
    let site = Site::before(&proxy.host()).await;
    proxy.rules([Rule::every(LIST, Fault::Replace("1.1.0", "1.0.0")).times(1)]);
    registry.push("acme/app", "1.1.0").await;
    site.tell("1.1.0").await;
    site.selects("1.1.0").await;
    assert_eq!(proxy.requests(LIST).len(), 3, "by itself, for the delivery, and once more for the tag");
}

#[tokio::test]
async fn a_tag_that_is_listed_when_it_is_told_of_is_looked_for_no_more() {
    let (registry, proxy) = registry_behind_proxy().await;
    let site = Site::before(&proxy.host()).await;
    registry.push("acme/app", "1.1.0").await;
    site.tell("1.1.0").await;
    site.selects("1.1.0").await;
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(proxy.requests(LIST).len(), 2);
}

#[tokio::test]
async fn a_list_that_has_not_changed_yet_is_looked_at_again_too() {
    let server = FaultServer::start(|asked| match (asked.nth, asked.header("if-none-match")) {
        (0 | 1, "\"v1\"") => status(304),
        (0 | 1, _) => with(page(&["1.0.0"]), "etag", "\"v1\""),
        _ => with(page(&["1.0.0", "1.1.0"]), "etag", "\"v2\""),
    })
    .await;
    let site = Site::before(server.host()).await;
    site.tell("1.1.0").await;
    site.selects("1.1.0").await;
}
