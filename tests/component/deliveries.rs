//! Deliveries of webhooks as strangers and senders make them, over real sockets, up to what the engine is told.

mod flood;
mod handshakes;
mod identity;
mod signed;
mod strangers;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tagtide::api::{ClusterImageRegistry, ObjectKey};
use tagtide::engine::{ConfigMapError, Hooks, SecretData, SecretError, SecretSource, Update};
use tagtide::net::{AddressGuard, Connections};
use tagtide::receiver::{self, Door, Inbox, Listener, Metrics};
use tagtide::registry::webhook::Oidc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// The Secrets of a receiver, which a test changes while it runs.
#[derive(Default)]
struct Secrets {
    data: Mutex<BTreeMap<String, Vec<u8>>>,
    reads: AtomicUsize,
    /// Whether the API server gives no answer.
    is_silent: AtomicBool,
}

impl Secrets {
    fn set(&self, name: &str, token: &str) {
        let mut data = self.data.lock().unwrap_or_else(PoisonError::into_inner);
        data.insert(name.to_owned(), token.as_bytes().to_vec());
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }
}

impl SecretSource for Secrets {
    async fn secret(&self, key: &ObjectKey) -> Result<SecretData, SecretError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        assert_eq!(key.namespace, "tagtide", "only the operator's own Secrets are read");
        if self.is_silent.load(Ordering::Relaxed) {
            return Err(SecretError::NoAnswer { key: key.clone(), problem: "it is away".to_owned() });
        }
        let data = self.data.lock().unwrap_or_else(PoisonError::into_inner);
        let token = data.get(&key.name).cloned().ok_or_else(|| SecretError::Missing(key.clone()))?;
        Ok(SecretData::from([("token".to_owned(), token)]))
    }

    async fn config_map(&self, key: &ObjectKey) -> Result<SecretData, ConfigMapError> {
        Err(ConfigMapError::Missing(key.clone()))
    }

    fn operator_namespace(&self) -> &str {
        "tagtide"
    }
}

/// A receiver with these webhooks, each by its name.
struct Receiver {
    address: SocketAddr,
    secrets: Arc<Secrets>,
    hooks: Hooks,
    updates: mpsc::Receiver<Update>,
    client: reqwest::Client,
    _stop: tokio_util::sync::DropGuard,
}

impl Receiver {
    async fn start(webhooks: &[(&str, &str, Value)]) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let (hooks, secrets, inbox) = (Hooks::default(), Arc::new(Secrets::default()), Inbox::default());
        let guard = AddressGuard::new(vec!["127.0.0.0/8".parse().unwrap()]);
        let oidc = Oidc::new(Connections::new(guard), true);
        let door = Door::new(hooks.clone(), Arc::clone(&secrets), oidc, inbox.clone(), Metrics::default());
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.address().unwrap();
        let stop = CancellationToken::new();
        let (sender, updates) = mpsc::channel(1);
        tokio::spawn(receiver::serve(listener, Arc::new(door), stop.clone()));
        tokio::spawn(inbox.carry(sender));
        let this = Self {
            address,
            secrets,
            hooks,
            updates,
            client: reqwest::Client::new(),
            _stop: stop.drop_guard(),
        };
        for (name, host, webhook) in webhooks {
            this.set(name, host, webhook);
        }
        this
    }

    /// One that has a webhook of each kind that is proven by a token, named like the kind.
    async fn of_each_kind() -> Self {
        let kinds = [
            ("azurecontainerregistry", "AzureContainerRegistry"),
            ("distribution", "Distribution"),
            ("dockerhub", "DockerHub"),
            ("ecr", "Ecr"),
            ("generic", "Generic"),
            ("github", "GitHub"),
            ("gitlab", "GitLab"),
            ("gitea", "Gitea"),
            ("harbor", "Harbor"),
            ("quay", "Quay"),
            ("zot", "Zot"),
        ];
        let webhooks = kinds.map(|(name, kind)| (name, "r.example", by_token(kind)));
        let receiver = Self::start(&webhooks).await;
        receiver.secrets.set("hook", TOKEN);
        receiver
    }

    fn set(&self, name: &str, host: &str, webhook: &Value) {
        let object = json!({
            "apiVersion": "tagtide.dev/v1alpha1", "kind": "ClusterImageRegistry", "metadata": { "name": name },
            "spec": { "host": host, "webhook": webhook },
        });
        let registry: ClusterImageRegistry = serde_json::from_value(object).unwrap();
        self.hooks.set(name, &registry);
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn deliver(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
        let mut request = self.client.post(self.url(path)).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    async fn status(&self, path: &str, headers: &[(&str, &str)], body: &str) -> StatusCode {
        self.deliver(path, headers, body).await.status()
    }

    /// The images of which the engine is told next.
    async fn told(&mut self) -> Vec<String> {
        match self.updates.recv().await {
            Some(Update::Pushed(pushed)) => pushed.iter().map(|pushed| pushed.image.to_string()).collect(),
            other => panic!("{other:?}"),
        }
    }
}

fn by_token(kind: &str) -> Value {
    json!({ "kind": kind, "secretRef": { "name": "hook" } })
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// Lets time pass for the receiver, and none for the test.
async fn later(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
    // The client hears that the connections it kept were closed meanwhile.
    tokio::time::sleep(Duration::from_millis(100)).await;
}
