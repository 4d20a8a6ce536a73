//! Watches of the three kinds, as updates for the engine.
//!
//! An object that can not be read (stored under an older CRD, say) never stops the others: it becomes an update of its
//! own.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{BoxStream, SelectAll};
use k8s_openapi::NamespaceResourceScope;
use kube::api::ObjectMeta;
use kube::core::DeserializeGuard;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, DefaultBackoff, Event, watcher};
use kube::{Api, Client, Resource};
use prometheus_client::metrics::gauge::Gauge;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::api::{ClusterImageRegistry, ImagePolicy, InfraRepository, ObjectKey};
use crate::engine::{Kind, ObjectId, Update};

/// The longest pause before a watch that broke off begins again.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Which namespaces are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    Cluster,
    /// These.
    Namespaces(BTreeSet<String>),
}

/// One event of one watch, without its kind.
enum Seen {
    /// The watch begins, or begins again: what is not given before `Listed` is gone.
    Listing,
    /// The object is there.
    There(Box<Update>, ObjectKey),
    /// The object is gone.
    Gone(ObjectKey),
    /// All that is there has been given.
    Listed,
    /// The watch broke off, for this reason, and begins again.
    Broken(String),
}

/// What is known through one watch.
struct Watched {
    kind: Kind,
    /// None for all namespaces.
    namespace: Option<String>,
    known: BTreeSet<ObjectKey>,
    listed: BTreeSet<ObjectKey>,
    was_listed: bool,
    has_failed: bool,
}

/// Watches until the engine is gone. [`Update::Complete`] is sent once, when every watch has listed what was there.
/// `unlisted` tells how many watches have failed and have not done so yet: one namespace that may not be listed is enough to
/// hold everything up, since nobody knows what is in it.
pub async fn feed(client: Client, scope: Scope, updates: mpsc::Sender<Update>, unlisted: Gauge) {
    let mut streams: SelectAll<BoxStream<'static, (usize, Seen)>> = SelectAll::new();
    let mut watches = Vec::new();
    let mut add = |kind: Kind, namespace: Option<String>, seen: BoxStream<'static, Seen>| {
        streams.push(numbered(watches.len(), seen));
        watches.push(Watched::new(kind, namespace));
    };
    for (namespace, api) in apis::<ImagePolicy>(&client, &scope) {
        add(Kind::Policy, namespace, observe(api, Kind::Policy, Update::Policy));
    }
    for (namespace, api) in apis::<InfraRepository>(&client, &scope) {
        add(Kind::Repository, namespace, observe(api, Kind::Repository, Update::Repository));
    }
    let registries: Api<DeserializeGuard<ClusterImageRegistry>> = Api::all(client);
    add(Kind::Registry, None, observe(registries, Kind::Registry, Update::Registry));
    let mut is_complete = false;
    while let Some((number, seen)) = streams.next().await {
        let Some(watched) = watches.get_mut(number) else { continue };
        for update in watched.take(seen) {
            if updates.send(update).await.is_err() {
                return;
            }
        }
        let failing = watches.iter().filter(|watched| watched.has_failed && !watched.was_listed).count();
        unlisted.set(i64::try_from(failing).unwrap_or(i64::MAX));
        if !is_complete && watches.iter().all(|watched| watched.was_listed) {
            is_complete = true;
            if updates.send(Update::Complete).await.is_err() {
                return;
            }
        }
    }
}

fn numbered(number: usize, seen: BoxStream<'static, Seen>) -> BoxStream<'static, (usize, Seen)> {
    seen.map(move |seen| (number, seen)).boxed()
}

fn apis<K>(client: &Client, scope: &Scope) -> Vec<(Option<String>, Api<DeserializeGuard<K>>)>
where
    K: Resource<Scope = NamespaceResourceScope>,
    K::DynamicType: Default,
{
    match scope {
        Scope::Cluster => vec![(None, Api::all(client.clone()))],
        Scope::Namespaces(names) => {
            let api = |name: &String| (Some(name.clone()), Api::namespaced(client.clone(), name));
            names.iter().map(api).collect()
        }
    }
}

fn observe<K>(
    api: Api<DeserializeGuard<K>>,
    kind: Kind,
    update: fn(Arc<K>) -> Update,
) -> BoxStream<'static, Seen>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K::DynamicType: Default + Clone + Send,
{
    let there = move |object: DeserializeGuard<K>| match object.0 {
        Ok(mut object) => {
            // Most of an object's size, and nothing that is acted on.
            object.meta_mut().managed_fields = None;
            let key = ObjectKey::of(&object);
            Seen::There(Box::new(update(Arc::new(object))), key)
        }
        Err(invalid) => {
            let key = key_of(&invalid.metadata);
            let object = ObjectId { kind, key: key.clone(), uid: invalid.metadata.uid.clone() };
            let problem = format!("the object can not be read: {}", invalid.error);
            let generation = invalid.metadata.generation;
            Seen::There(Box::new(Update::Unreadable { object, generation, problem }), key)
        }
    };
    watcher(api, watcher::Config::default())
        .backoff(Pauses::default())
        .map(move |event| match event {
            Ok(Event::Init) => Seen::Listing,
            Ok(Event::InitApply(object) | Event::Apply(object)) => there(object),
            Ok(Event::Delete(object)) => Seen::Gone(key_of(object.meta())),
            Ok(Event::InitDone) => Seen::Listed,
            Err(error) => Seen::Broken(error.to_string()),
        })
        .boxed()
}

/// The pauses before a watch that broke off begins again: kube's own, but for the long ones. An API server that is back
/// is heard again at once, and three watches of one operator are no load.
#[derive(Default)]
struct Pauses(DefaultBackoff);

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0.next().map(|pause| pause.min(LONGEST_PAUSE))
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        self.0.reset();
    }
}

fn key_of(metadata: &ObjectMeta) -> ObjectKey {
    ObjectKey::new(metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}

impl Watched {
    fn new(kind: Kind, namespace: Option<String>) -> Self {
        let (known, listed) = (BTreeSet::new(), BTreeSet::new());
        Self { kind, namespace, known, listed, was_listed: false, has_failed: false }
    }

    /// Says in the log that the watch broke off.
    fn tell(&self, error: &str) {
        let (kind, namespace) = (self.kind.as_str(), self.namespace.as_deref().unwrap_or("all"));
        if self.was_listed {
            tracing::warn!(kind, namespace, error, "the watch broke off and begins again");
        } else {
            tracing::warn!(
                kind,
                namespace,
                error,
                "the watch has listed nothing yet, and nothing is scanned or written before; may the operator list and watch there?"
            );
        }
    }

    fn take(&mut self, seen: Seen) -> Vec<Update> {
        match seen {
            Seen::Listing => {
                self.listed.clear();
                Vec::new()
            }
            Seen::There(update, key) => {
                self.listed.insert(key.clone());
                self.known.insert(key);
                vec![*update]
            }
            Seen::Gone(key) => {
                self.known.remove(&key);
                vec![Update::Gone(self.kind, key)]
            }
            Seen::Listed => {
                self.was_listed = true;
                let gone: Vec<ObjectKey> = self.known.difference(&self.listed).cloned().collect();
                self.known.retain(|key| self.listed.contains(key));
                gone.into_iter().map(|key| Update::Gone(self.kind, key)).collect()
            }
            Seen::Broken(error) => {
                self.has_failed = true;
                self.tell(&error);
                Vec::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicBool, Ordering};

    use axum::http::{Request, Response};
    use kube::client::Body;
    use serde_json::json;

    use super::*;

    /// An API server with nothing on it, which lets nobody see the namespace `blog` before `opens`.
    fn api_server(opens: Arc<AtomicBool>) -> Client {
        let answer = move |request: Request<Body>| {
            let (asked, is_open) = (request.uri().to_string(), opens.load(Ordering::SeqCst));
            async move {
                if asked.contains("watch=true") {
                    std::future::pending::<()>().await;
                }
                let (code, answer) = if asked.contains("/namespaces/blog/") && !is_open {
                    let refusal = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure",
                        "reason": "Forbidden", "message": "no", "code": 403 });
                    (403, refusal)
                } else {
                    let list = json!({ "kind": "List", "apiVersion": "v1", "items": [],
                        "metadata": { "resourceVersion": "1" } });
                    (200, list)
                };
                let body = Body::from(serde_json::to_vec(&answer).unwrap());
                Ok::<_, Infallible>(Response::builder().status(code).body(body).unwrap())
            }
        };
        Client::new(tower::service_fn(answer), "default")
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_that_may_not_be_listed_holds_all_up_and_is_counted() {
        let (opens, unlisted) = (Arc::<AtomicBool>::default(), Gauge::default());
        let scope = Scope::Namespaces(BTreeSet::from(["blog", "shop"].map(str::to_owned)));
        let (sender, mut updates) = mpsc::channel(8);
        tokio::spawn(feed(api_server(Arc::clone(&opens)), scope, sender, unlisted.clone()));
        tokio::time::sleep(Duration::from_secs(60)).await;
        // Its ImagePolicies and its InfraRepositories.
        assert_eq!(unlisted.get(), 2);
        assert!(updates.try_recv().is_err(), "not complete");
        opens.store(true, Ordering::SeqCst);
        assert!(matches!(updates.recv().await, Some(Update::Complete)));
        assert_eq!(unlisted.get(), 0);
    }

    fn unreadable(name: &str) -> Seen {
        let object = ObjectId { kind: Kind::Policy, key: ObjectKey::new("shop", name), uid: None };
        let key = object.key.clone();
        Seen::There(Box::new(Update::Unreadable { object, generation: None, problem: String::new() }), key)
    }

    #[test]
    fn what_is_missing_from_a_second_list_is_gone() {
        let mut watched = Watched::new(Kind::Policy, None);
        for seen in [Seen::Listing, unreadable("a"), unreadable("b"), Seen::Listed] {
            assert!(watched.take(seen).iter().all(|update| !matches!(update, Update::Gone(..))));
        }
        for seen in [Seen::Listing, unreadable("b")] {
            watched.take(seen);
        }
        let updates = watched.take(Seen::Listed);
        assert!(
            matches!(updates.as_slice(), [Update::Gone(Kind::Policy, key)] if key.name == "a"),
            "{updates:?}"
        );
    }
}
