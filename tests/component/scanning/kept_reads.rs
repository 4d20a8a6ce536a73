//! How often Secrets and ConfigMaps are read for scans, where reading them costs something.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tagtide::api::{ClusterImageRegistry, ImagePolicy, ObjectKey};
use tagtide::engine::{
    ConfigMapError, ScanError, SecretData, SecretError, SecretSource, Tools, ask, sources_of,
};
use tagtide::image::ImageName;
use tagtide::net::{AddressGuard, Connections};
use tagtide::policy::compile;
use tagtide::registry::{Client, Identities, Variables};

use crate::registry::fault_server::{FaultServer, page, status, with};

/// The operator's namespace, in which one Secret has a password.
struct Counted {
    password: Mutex<&'static str>,
    reads: AtomicUsize,
}

impl SecretSource for Counted {
    async fn secret(&self, _: &ObjectKey) -> Result<SecretData, SecretError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let password = self.password.lock().unwrap().as_bytes().to_vec();
        Ok(BTreeMap::from([("username".to_owned(), b"bot".to_vec()), ("password".to_owned(), password)]))
    }

    async fn config_map(&self, key: &ObjectKey) -> Result<SecretData, ConfigMapError> {
        Err(ConfigMapError::Missing(key.clone()))
    }

    fn operator_namespace(&self) -> &str {
        "tagtide"
    }

    fn kept_for(&self) -> Duration {
        Duration::from_secs(60)
    }
}

struct Site {
    secrets: Counted,
    tools: Tools,
    registry: Arc<ClusterImageRegistry>,
}

impl Site {
    fn of(server: &FaultServer) -> Self {
        let connections = Connections::new(AddressGuard::new(vec!["127.0.0.0/8".parse().unwrap()]));
        let identities = Identities::new(&connections, Variables::default());
        let spec = json!({
            "host": server.host(), "insecure": true, "credentials": { "secretRef": { "name": "pull" } },
        });
        Self {
            secrets: Counted { password: Mutex::new("old"), reads: AtomicUsize::new(0) },
            tools: Tools::new(Client::new(connections, true), identities),
            registry: Arc::new(ClusterImageRegistry::new("local", serde_json::from_value(spec).unwrap())),
        }
    }

    /// Scans an image of the registry.
    async fn scan(&self, name: &str) -> Result<(), ScanError> {
        let image = format!("{}/acme/{name}", self.registry.spec.host);
        let spec = json!({ "image": image, "select": { "semver": { "range": "*" } } });
        let policy = ImagePolicy::new(name, serde_json::from_value(spec).unwrap());
        let policy = Arc::new(compile(&policy.spec).unwrap());
        let image = ImageName::parse(&image).unwrap();
        let sources = sources_of(&image, |_| Some(Arc::clone(&self.registry))).unwrap();
        ask(&self.secrets, &self.tools, &sources, None, &[policy], 10).await.map(|_| ())
    }

    fn reads(&self) -> usize {
        self.secrets.reads.load(Ordering::SeqCst)
    }
}

/// A registry that lets in who knows the password of this moment.
async fn guarded(password: Arc<Mutex<&'static str>>) -> FaultServer {
    // `bot` with each password, in Base64.
    let known = |password: &str| if password == "old" { "Basic Ym90Om9sZA==" } else { "Basic Ym90Om5ldw==" };
    FaultServer::start(move |asked| match asked.authorization.as_deref() {
        Some(shown) if shown == known(&password.lock().unwrap()) => page(&["1.0.0"]),
        _ => with(status(401), "www-authenticate", "Basic realm=\"x\""),
    })
    .await
}

#[tokio::test]
async fn a_secret_is_read_once_for_many_images_and_anew_where_the_registry_refuses_what_was_in_it() {
    let password = Arc::new(Mutex::new("old"));
    let server = guarded(Arc::clone(&password)).await;
    let site = Site::of(&server);
    let names: Vec<String> = (0..50).map(|number| format!("app-{number}")).collect();
    futures::future::try_join_all(names.iter().map(|name| site.scan(name))).await.unwrap();
    assert_eq!(site.reads(), 1, "by objects, not by images");

    *password.lock().unwrap() = "new";
    let refused = futures::future::join_all(names.iter().take(10).map(|name| site.scan(name))).await;
    assert!(refused.iter().all(Result::is_err), "the Secret has the old one still");
    let reads = site.reads();
    assert!((2..=11).contains(&reads), "{reads}");

    *site.secrets.password.lock().unwrap() = "new";
    site.scan("app-0").await.unwrap();
    assert_eq!(site.reads(), reads + 1, "the next scan finds the new one");
    site.scan("app-1").await.unwrap();
    assert_eq!(site.reads(), reads + 1);
}
