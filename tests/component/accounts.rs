//! ServiceAccounts as the Kubernetes API has them: whom they name, and tokens of theirs.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tagtide::api::ObjectKey;
use tagtide::controller::KubeWorld;
use tagtide::engine::{AccountError, ConfigMapError, SecretError, SecretSource as _};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::registry::fault_server::{FaultServer, status};
use crate::support::control_plane::{ControlPlane, client_from};

fn claims(token: &str) -> Value {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

#[tokio::test]
async fn a_token_is_for_one_account_and_one_audience_and_soon_over() {
    let plane = ControlPlane::shared().await;
    let namespace = plane.namespace("shop").await;
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "imagePullSecrets": [{ "name": "one" }, { "name": "two" }],
        "metadata": { "namespace": namespace, "name": "api", "annotations": { "role": "reader" } },
    });
    plane.apply(&account.to_string()).await;
    let (_term, term) = watch::channel(Instant::now());
    let world = KubeWorld::new(plane.client().await, "tagtide".to_owned(), "me".to_owned(), term.clone());
    let key = ObjectKey::new(&namespace, "api");

    let read = world.service_account(&key).await.unwrap();
    assert_eq!(
        (read.annotations["role"].as_str(), read.pull_secrets),
        ("reader", vec!["one".into(), "two".into()])
    );
    let token = world.account_token(&key, "sts.amazonaws.com").await.unwrap();
    let claims = claims(token.expose());
    assert_eq!(claims["aud"], json!(["sts.amazonaws.com"]));
    assert_eq!(claims["sub"], format!("system:serviceaccount:{namespace}:api"));
    let life = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert!(Duration::from_secs(life) <= Duration::from_secs(600), "{claims}");

    let missing = world.service_account(&ObjectKey::new(&namespace, "web")).await;
    assert!(matches!(missing, Err(AccountError::Missing(_))), "{missing:?}");

    let kubeconfig = plane.service_account(&namespace, "stranger").await;
    let stranger = client_from(&kubeconfig).await;
    let world = KubeWorld::new(stranger, "tagtide".to_owned(), "me".to_owned(), term);
    let problem = world.account_token(&key, "sts.amazonaws.com").await.unwrap_err();
    assert!(problem.contains("cloudIdentities"), "{problem}");
}

#[tokio::test]
async fn an_api_server_that_fails_says_nothing_of_what_it_has() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let ill = FaultServer::start(|_| status(500)).await;
    let config = kube::Config::new(format!("http://{}", ill.host()).parse().unwrap());
    let (_term, term) = watch::channel(Instant::now());
    let client = kube::Client::try_from(config).unwrap();
    let world = KubeWorld::new(client, "tagtide".to_owned(), "me".to_owned(), term);
    let key = ObjectKey::new("shop", "api");
    let secret = world.secret(&key).await;
    assert!(matches!(secret, Err(SecretError::NoAnswer { .. })), "{:?}", secret.err());
    let config_map = world.config_map(&key).await;
    assert!(matches!(config_map, Err(ConfigMapError::NoAnswer { .. })), "{config_map:?}");
    let account = world.service_account(&key).await;
    assert!(matches!(account, Err(AccountError::NoAnswer { .. })), "{account:?}");
}
