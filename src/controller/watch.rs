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
}

/// What is known through one watch.
struct Watched {
    kind: Kind,
    known: BTreeSet<ObjectKey>,
    listed: BTreeSet<ObjectKey>,
    was_listed: bool,
}

/// Watches until the engine is gone. [`Update::Complete`] is sent once, when every watch has listed what was there.
pub async fn feed(client: Client, scope: Scope, updates: mpsc::Sender<Update>) {
    let mut streams: SelectAll<BoxStream<'static, (usize, Seen)>> = SelectAll::new();
    let mut watches = Vec::new();
    let mut add = |kind: Kind,
                   stream: fn(usize, BoxStream<'static, Seen>) -> BoxStream<'static, (usize, Seen)>,
                   seen| {
        streams.push(stream(watches.len(), seen));
        watches.push(Watched { kind, known: BTreeSet::new(), listed: BTreeSet::new(), was_listed: false });
    };
    for api in apis::<ImagePolicy>(&client, &scope) {
        add(Kind::Policy, numbered, observe(api, Kind::Policy, Update::Policy));
    }
    for api in apis::<InfraRepository>(&client, &scope) {
        add(Kind::Repository, numbered, observe(api, Kind::Repository, Update::Repository));
    }
    let registries: Api<DeserializeGuard<ClusterImageRegistry>> = Api::all(client);
    add(Kind::Registry, numbered, observe(registries, Kind::Registry, Update::Registry));
    let mut is_complete = false;
    while let Some((number, seen)) = streams.next().await {
        let Some(watched) = watches.get_mut(number) else { continue };
        for update in watched.take(seen) {
            if updates.send(update).await.is_err() {
                return;
            }
        }
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

fn apis<K>(client: &Client, scope: &Scope) -> Vec<Api<DeserializeGuard<K>>>
where
    K: Resource<Scope = NamespaceResourceScope>,
    K::DynamicType: Default,
{
    match scope {
        Scope::Cluster => vec![Api::all(client.clone())],
        Scope::Namespaces(names) => names.iter().map(|name| Api::namespaced(client.clone(), name)).collect(),
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
        .filter_map(move |event| {
            let seen = match event {
                Ok(Event::Init) => Some(Seen::Listing),
                Ok(Event::InitApply(object) | Event::Apply(object)) => Some(there(object)),
                Ok(Event::Delete(object)) => Some(Seen::Gone(key_of(object.meta()))),
                Ok(Event::InitDone) => Some(Seen::Listed),
                Err(error) => {
                    tracing::warn!(kind = kind.as_str(), %error, "the watch broke off and begins again");
                    None
                }
            };
            std::future::ready(seen)
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreadable(name: &str) -> Seen {
        let object = ObjectId { kind: Kind::Policy, key: ObjectKey::new("shop", name), uid: None };
        let key = object.key.clone();
        Seen::There(Box::new(Update::Unreadable { object, generation: None, problem: String::new() }), key)
    }

    #[test]
    fn what_is_missing_from_a_second_list_is_gone() {
        let mut watched = Watched {
            kind: Kind::Policy,
            known: BTreeSet::new(),
            listed: BTreeSet::new(),
            was_listed: false,
        };
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
