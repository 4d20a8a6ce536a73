//! The folder as updates for the engine: read at the start, and again whenever a file in it changes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kube::Resource;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::statuses::Statuses;
use super::world::FolderWorld;
use crate::api::{ClusterImageRegistry, ImagePolicy, InfraRepository, ObjectKey};
use crate::engine::{Kind, Update};
use crate::folder::{self, Folder};

/// How often the folder is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Feeds the engine until it is gone.
pub(super) async fn feed(
    path: PathBuf,
    world: Arc<FolderWorld>,
    statuses: Statuses,
    updates: mpsc::Sender<Update>,
) {
    let mut known = Known::default();
    let mut last_stamps = None;
    let mut is_complete = false;
    loop {
        let stamps = folder::stamps(&path);
        if last_stamps.as_ref() != Some(&stamps) {
            last_stamps = Some(stamps);
            let folder = match Folder::read(&path) {
                Ok(folder) => folder,
                Err(error) => {
                    // An unreadable folder says nothing about its objects: what is known stays.
                    tracing::error!(%error, "the folder can not be read");
                    tokio::time::sleep(LOOK).await;
                    continue;
                }
            };
            for problem in &folder.problems {
                tracing::error!("{problem}");
            }
            for update in known.take(folder, &world, &statuses) {
                if updates.send(update).await.is_err() {
                    return;
                }
            }
            if !is_complete {
                is_complete = true;
                if updates.send(Update::Complete).await.is_err() {
                    return;
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The objects as the engine was told of them.
#[derive(Default)]
struct Known {
    policies: BTreeMap<ObjectKey, Arc<ImagePolicy>>,
    repositories: BTreeMap<ObjectKey, Arc<InfraRepository>>,
    registries: BTreeMap<ObjectKey, Arc<ClusterImageRegistry>>,
}

impl Known {
    /// Takes over what the folder holds now; what differs, as updates.
    fn take(&mut self, mut folder: Folder, world: &FolderWorld, statuses: &Statuses) -> Vec<Update> {
        let mut updates = Vec::new();
        // A file that can not be read may be the one with the object that is missing: nothing is forgotten then.
        let is_whole = folder.problems.is_empty();
        let registries =
            dressed(std::mem::take(&mut folder.registries), Kind::Registry, statuses, |object, status| {
                (object.metadata.generation, object.status) = (Some(generation_of(&object.spec)), status);
            });
        changes(&mut self.registries, registries, is_whole, (Kind::Registry, Update::Registry), &mut updates);
        let repositories = dressed(
            std::mem::take(&mut folder.repositories),
            Kind::Repository,
            statuses,
            |object, status| {
                (object.metadata.generation, object.status) = (Some(generation_of(&object.spec)), status);
            },
        );
        changes(
            &mut self.repositories,
            repositories,
            is_whole,
            (Kind::Repository, Update::Repository),
            &mut updates,
        );
        let policies =
            dressed(std::mem::take(&mut folder.policies), Kind::Policy, statuses, |object, status| {
                (object.metadata.generation, object.status) = (Some(generation_of(&object.spec)), status);
            });
        changes(&mut self.policies, policies, is_whole, (Kind::Policy, Update::Policy), &mut updates);
        world.set_folder(folder);
        for update in &updates {
            if let Update::Gone(kind, key) = update {
                statuses.remove(*kind, key);
            }
        }
        updates
    }
}

/// The objects with what an API server would add: a generation, and the status written last.
fn dressed<K: Clone, S: DeserializeOwned>(
    objects: BTreeMap<ObjectKey, Arc<K>>,
    kind: Kind,
    statuses: &Statuses,
    dress: impl Fn(&mut K, Option<S>),
) -> BTreeMap<ObjectKey, Arc<K>> {
    let dressed = objects.into_iter().map(|(key, object)| {
        let mut object = Arc::unwrap_or_clone(object);
        dress(&mut object, statuses.read(kind, &key));
        (key, Arc::new(object))
    });
    dressed.collect()
}

/// Replaces `known` by `now` and adds what differs to `updates`. What is missing from a folder that could not be read
/// whole stays known.
fn changes<K: Resource>(
    known: &mut BTreeMap<ObjectKey, Arc<K>>,
    mut now: BTreeMap<ObjectKey, Arc<K>>,
    is_whole: bool,
    (kind, update): (Kind, fn(Arc<K>) -> Update),
    updates: &mut Vec<Update>,
) {
    for (key, object) in &now {
        let is_same = known.get(key).is_some_and(|before| {
            let (before, now) = (before.meta(), object.meta());
            (before.generation, &before.labels, &before.annotations)
                == (now.generation, &now.labels, &now.annotations)
        });
        if !is_same {
            updates.push(update(Arc::clone(object)));
        }
    }
    let missing = known.iter().filter(|(key, _)| !now.contains_key(key));
    let missing: Vec<_> = missing.map(|(key, object)| (key.clone(), Arc::clone(object))).collect();
    if is_whole {
        updates.extend(missing.into_iter().map(|(key, _)| Update::Gone(kind, key)));
    } else {
        now.extend(missing);
    }
    *known = now;
}

/// A number that changes with the spec and stays the same across restarts, as a generation does not need to more.
fn generation_of(spec: &impl Serialize) -> i64 {
    let text = serde_json::to_vec(spec).unwrap_or_default();
    let hash = Sha256::digest(text);
    // 53 bits: what every reader of JSON takes for a whole number.
    hash.iter().take(7).fold(0_i64, |number, byte| (number << 8) | i64::from(*byte)) & ((1 << 53) - 1)
}
