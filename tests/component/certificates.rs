//! The certificates that sign a registry's, from a ConfigMap: in a folder and in a cluster.

use serde_json::{Value, json};
use tagtide::api::ObjectKey;
use tagtide::controller::KubeWorld;
use tagtide::engine::{ConfigMapError, SecretSource as _};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::scanning::{Running, policy};
use crate::support::control_plane::{ControlPlane, client_from};
use crate::support::registry::{Access, Registry};
use crate::support::tls::{Authority, Clients, Front};

fn message(status: &Value) -> &str {
    status["conditions"][0]["message"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_bundle_that_is_replaced_is_trusted_at_the_next_scan_and_a_broken_one_is_named() {
    let upstream = Registry::start(Access::Anonymous).await;
    upstream.push("acme/app", "1.0.0").await;
    let (old, new) = (Authority::new(), Authority::new());
    let front = Front::start(&old, &["127.0.0.1"], Clients::Any, upstream.host().parse().unwrap()).await;
    let host = front.address.to_string();
    let objects = |bundle: Option<String>| {
        let registry = json!({
            "apiVersion": "tagtide.dev/v1alpha1", "kind": "ClusterImageRegistry", "metadata": { "name": "local" },
            "spec": { "host": host, "caConfigMapRef": { "name": "bundle" } },
        });
        let bundle = bundle.map(|pem| {
            let metadata = json!({ "name": "bundle", "namespace": "tagtide" });
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": { "ca.crt": pem } })
        });
        let bundle = bundle.map(|bundle| format!("---\n{bundle}\n")).unwrap_or_default();
        format!("---\n{registry}\n{bundle}{}", policy("app", &host, "1s"))
    };
    let running = Running::start(&objects(None));
    let missing = "spec.caConfigMapRef: there is no ConfigMap tagtide/bundle";
    running.status_where("app", |status| message(status) == missing).await;

    running.write(&objects(Some(old.pem())));
    running.status_where("app", |status| status["selected"]["tag"] == "1.0.0").await;

    // Connections that are open stay so: the registry goes away with them.
    front.renew(&new, &["127.0.0.1"]);
    let mut upstream = upstream;
    upstream.restart().await;
    let untrusted = running.status_where("app", |status| message(status).contains("certificate")).await;
    assert_eq!(untrusted["conditions"][0]["reason"], "Unreachable", "{untrusted}");

    running
        .write(&objects(Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned())));
    let words = "spec.caConfigMapRef: the ConfigMap tagtide/bundle: certificate 1 in ca.crt cannot be read";
    let broken = running.status_where("app", |status| message(status).starts_with(words)).await;
    assert_eq!(broken["conditions"][0]["reason"], "SecretInvalid", "{broken}");
    assert_eq!(broken["selected"]["tag"], "1.0.0", "the choice stands");

    upstream.push("acme/app", "1.1.0").await;
    running.write(&objects(Some(format!("{}{}", old.pem(), new.pem()))));
    running.status_where("app", |status| status["selected"]["tag"] == "1.1.0").await;
}

#[tokio::test]
async fn a_config_map_of_a_cluster_is_read_with_text_and_bytes() {
    let plane = ControlPlane::shared().await;
    let namespace = plane.namespace("tagtide").await;
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "namespace": namespace, "name": "bundle" },
        "data": { "ca.crt": "text" }, "binaryData": { "ca.der": "/wA=" },
    });
    plane.apply(&object.to_string()).await;
    let (_term, term) = watch::channel(Instant::now());
    let world = KubeWorld::new(plane.client().await, namespace.clone(), "me".to_owned(), term.clone());
    let key = ObjectKey::new(&namespace, "bundle");
    let read = world.config_map(&key).await.unwrap();
    assert_eq!((read["ca.crt"].as_slice(), read["ca.der"].as_slice()), (&b"text"[..], &[0xff, 0][..]));
    let gone = world.config_map(&ObjectKey::new(&namespace, "gone")).await;
    assert!(matches!(gone, Err(ConfigMapError::Missing(_))), "{gone:?}");

    let kubeconfig = plane.service_account(&namespace, "stranger").await;
    let world = KubeWorld::new(client_from(&kubeconfig).await, namespace.clone(), "me".to_owned(), term);
    let problem = world.config_map(&key).await.unwrap_err().to_string();
    assert!(problem.contains("can not be read") && problem.contains("forbidden"), "{problem}");
}
