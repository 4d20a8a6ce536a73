//! What the desk hears of objects.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use kube::Resource;
use tokio::time::Instant;

use super::Engine;
use super::show::{policy_id, registry_id, repository_id};
use crate::api::{
    ClusterImageRegistry, ClusterImageRegistrySpec, ClusterImageRegistryStatus, Conditions, Health,
    ImagePolicy, ImagePolicyStatus, InfraRepository, InfraRepositoryStatus, ObjectKey, Reason,
};
use crate::engine::policy_state::{Asked, PolicyState};
use crate::engine::repository_state::{Changed, RepositoryState};
use crate::engine::scan::ScanKey;
use crate::engine::schedule::Slot;
use crate::engine::sources::host_of;
use crate::engine::world::{Kind, ObjectId, Status, Update, World};
use crate::image::ImageName;

impl<W: World> Engine<W> {
    pub(super) fn take_in(&mut self, update: Update) {
        match update {
            Update::Policy(object) => self.take_policy(object),
            Update::Repository(object) => self.take_repository(object),
            Update::Registry(object) => self.take_registry(object),
            Update::Gone(kind, key) => self.forget(kind, &key),
            Update::Unreadable { object, generation, problem } => {
                self.take_unreadable(&object, generation, problem)
            }
            Update::Pushed(pushed) => self.take_news(&pushed),
            Update::Complete => self.is_complete = true,
        }
        self.metrics.known(Kind::Policy, self.policies.len());
        self.metrics.known(Kind::Repository, self.repositories.len());
        self.metrics.known(Kind::Registry, self.registries.len());
    }

    fn take_policy(&mut self, object: Arc<ImagePolicy>) {
        let key = ObjectKey::of(&*object);
        let now = Instant::now();
        if self.policies.get(&key).is_some_and(|known| !is_one(&**known.object(), &*object)) {
            self.forget(Kind::Policy, &key);
        }
        let Some(state) = self.policies.get_mut(&key) else {
            let id = policy_id(&object);
            let status = object.status.clone().map(Status::Policy);
            self.shown.extend(status.map(|status| (id, status)));
            let state = PolicyState::new(object);
            let scan_key = state.scan_key().cloned();
            self.policies.insert(key.clone(), state);
            self.join_scan(scan_key.as_ref(), &key);
            // A policy often comes together with the ClusterImageRegistry of its host, and not always after it.
            let soon = if self.is_complete { now + self.settings.gather } else { now };
            self.ask_for_scan(scan_key.as_ref(), soon);
            self.ask_for_cycles_of(&key, now);
            self.show_policy(&key);
            return;
        };
        let (id, found) = (policy_id(&object), object.status.clone().map(Status::Policy));
        let (old_scan, old_object) = (state.scan_key().cloned(), Arc::clone(state.object()));
        let asked = state.replace(object);
        let (scan_key, has_moved) = (state.scan_key().cloned(), {
            let new = state.object();
            new.metadata.labels != old_object.metadata.labels || new.spec != old_object.spec
        });
        if old_scan != scan_key {
            self.leave_scan(old_scan.as_ref(), &key);
            self.join_scan(scan_key.as_ref(), &key);
        }
        if asked == Asked::ScanNow {
            self.ask_for_scan_first(scan_key.as_ref());
        }
        if has_moved {
            self.forget_where_not_taken(&key);
            self.ask_for_cycles_of(&key, now + self.settings.gather);
        }
        self.show_policy(&key);
        self.restore(&id, found);
    }

    fn take_repository(&mut self, object: Arc<InfraRepository>) {
        let key = ObjectKey::of(&*object);
        let now = Instant::now();
        if self.repositories.get(&key).is_some_and(|known| !is_one(known.object(), &*object)) {
            self.forget(Kind::Repository, &key);
        }
        let (id, found) = (repository_id(&object), object.status.clone().map(Status::Repository));
        let changed = match self.repositories.get_mut(&key) {
            Some(state) => state.replace(object, &self.settings),
            None => {
                self.shown.extend(found.clone().map(|status| (id.clone(), status)));
                self.repositories.insert(key.clone(), RepositoryState::new(object, &self.settings));
                Changed::Spec
            }
        };
        if changed == Changed::Place {
            self.forget_repository(&key);
        }
        if changed != Changed::Nothing {
            self.cycles.entry(key.clone()).or_default().ask(now);
            let policies: Vec<ObjectKey> = self.policies.keys().cloned().collect();
            policies.iter().for_each(|policy| self.forget_where_not_taken(policy));
        }
        self.show_repository(&key);
        self.restore(&id, found);
    }

    fn take_registry(&mut self, object: Arc<ClusterImageRegistry>) {
        let name = ObjectKey::of(&*object).name;
        let is_same_spec = self.registries.get(&name).is_some_and(|known| known.spec == object.spec);
        let host = host_of(&object).into_owned();
        let (id, found) = (registry_id(&object), object.status.clone().map(Status::Registry));
        if self.registries.contains_key(&name) {
            self.restore(&id, found);
        } else {
            self.shown.extend(found.map(|status| (id, status)));
        }
        self.hooks.set(&name, &object);
        self.registries.insert(name.clone(), object);
        if is_same_spec {
            return;
        }
        let now = Instant::now();
        self.checks.entry(name).or_default().ask(now);
        // Also those that ask it as a mirror.
        let is_asked = |spec: &ClusterImageRegistrySpec| {
            let hosts = spec.mirrors.iter().map(|mirror| &mirror.host).chain([&spec.host]);
            hosts.into_iter().any(|name| ImageName::known_host(name) == host)
        };
        let asking = self.registries.values().filter(|registry| is_asked(&registry.spec));
        let hosts: HashSet<_> = asking.map(|registry| host_of(registry)).collect();
        let scans = self.scans.keys().filter(|key| hosts.contains(key.image.host()));
        let scans: Vec<ScanKey> = scans.cloned().collect();
        self.rests.clear();
        for key in scans {
            if let Some(mut slot) = self.scans.get_mut(&key) {
                slot.ask_anew(now);
            }
        }
    }

    fn forget(&mut self, kind: Kind, key: &ObjectKey) {
        match kind {
            Kind::Policy => {
                let scan_key = self.policies.remove(key).and_then(|state| state.scan_key().cloned());
                self.leave_scan(scan_key.as_ref(), key);
                let soon = Instant::now() + self.settings.gather;
                let namespace = &key.namespace;
                let affected =
                    self.repositories.keys().filter(|repository| repository.namespace == *namespace);
                affected.for_each(|repository| self.cycles.entry(repository.clone()).or_default().ask(soon));
            }
            Kind::Repository => {
                self.repositories.remove(key);
                self.benches.remove(key);
                // A cycle that still runs holds the mirror: one of an object made anew must wait for its end.
                if !self.cycles.get(key).is_some_and(Slot::is_running) {
                    self.cycles.remove(key);
                }
                self.forget_repository(key);
            }
            Kind::Registry => {
                self.registries.remove(&key.name);
                self.hooks.remove(&key.name);
                self.checks.remove(&key.name);
            }
        }
        self.shown.retain(|id, _| id.kind != kind || id.key != *key);
    }

    /// What policies say of where they are written there is true no more.
    fn forget_repository(&mut self, repository: &ObjectKey) {
        let policies = self.policies.keys().filter(|policy| policy.namespace == repository.namespace);
        let policies: Vec<ObjectKey> = policies.cloned().collect();
        for policy in &policies {
            if let Some(state) = self.policies.get_mut(policy) {
                state.forget_repository(&repository.name);
            }
            self.show_policy(policy);
        }
    }

    fn take_unreadable(&mut self, object: &ObjectId, generation: Option<i64>, problem: String) {
        // Writing a status brings the object here again: what was shown must stay known, or that would never end.
        let shown = self.shown.get(object).cloned();
        self.forget(object.kind, &object.key);
        self.shown.extend(shown.map(|status| (object.clone(), status)));
        let health = Health::failed(Reason::InvalidSpec, problem);
        let conditions = Conditions::of(&health, generation, Timestamp::now(), self.shown_conditions(object));
        let observed_generation = generation;
        self.post(
            object,
            match object.kind {
                Kind::Policy => Status::Policy(ImagePolicyStatus {
                    observed_generation,
                    conditions,
                    ..Default::default()
                }),
                Kind::Repository => Status::Repository(InfraRepositoryStatus {
                    observed_generation,
                    conditions,
                    ..Default::default()
                }),
                Kind::Registry => {
                    Status::Registry(ClusterImageRegistryStatus { observed_generation, conditions })
                }
            },
            Vec::new(),
        );
    }

    /// A repository that does not take a policy any more holds nothing of it, as far as the policy's status goes.
    fn forget_where_not_taken(&mut self, policy: &ObjectKey) {
        let Some(state) = self.policies.get_mut(policy) else { return };
        let lost: Vec<String> = self
            .repositories
            .iter()
            .filter(|(key, repository)| {
                key.namespace == policy.namespace && !repository.takes(state.object())
            })
            .map(|(key, _)| key.name.clone())
            .collect();
        lost.iter().for_each(|repository| state.forget_repository(repository));
        if !lost.is_empty() {
            self.show_policy(policy);
        }
    }
}

/// Whether two versions are of one object. One that was made anew may come without word of the end of the one before.
fn is_one<K: Resource>(known: &K, object: &K) -> bool {
    known.meta().uid == object.meta().uid
}
