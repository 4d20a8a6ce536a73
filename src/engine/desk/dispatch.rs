//! What is due, and how it is handed out.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::places::Places;
use super::{Begun, Done, Engine, IDLE, Job};
use crate::api::{ClusterImageRegistry, ObjectKey, requested_at};
use crate::engine::access::{AccessError, check_registry};
use crate::engine::cycle;
use crate::engine::plan::{Wish, Wishes};
use crate::engine::policy_state::PolicyState;
use crate::engine::recheck::{Authority, Recheck};
use crate::engine::repository_state::RepositoryState;
use crate::engine::scan::ScanKey;
use crate::engine::schedule::Slot;
use crate::engine::sources::{host_of, registry_of, sources_of};
use crate::engine::world::World;
use crate::git::{BranchName, RepositoryUrl};

/// How long the first cycle of a repository waits for the first scans of its policies.
const FIRST_SCANS: Duration = Duration::from_secs(10);

impl<W: World> Engine<W> {
    /// Asks for a cycle of every repository that takes this policy.
    pub(super) fn ask_for_cycles_of(&mut self, policy: &ObjectKey, at: Instant) {
        let Some(state) = self.policies.get(policy) else { return };
        for (key, repository) in &self.repositories {
            if repository.takes(state.object()) {
                self.cycles.entry(key.clone()).or_default().ask(at);
            }
        }
    }

    /// Starts what is due and may run; the moment at which something will be due next.
    pub(super) fn start_what_is_due(&mut self) -> Instant {
        let now = Instant::now();
        let mut next = now + IDLE;
        if !self.is_complete {
            return next;
        }
        self.start_scans(now, &mut next);
        if !self.holds_cycles_back() {
            self.start_cycles(now, &mut next);
        }
        self.sweep_mirrors(now, &mut next);
        for name in due(&self.checks, now, &mut next) {
            self.start_check(name);
        }
        next
    }

    /// Objects of one namespace that write to one branch take turns, or they would lose races to each other. Those of
    /// other namespaces are not waited for: a tenant whose servers hang, however many they are, holds nobody else up.
    fn start_cycles(&mut self, now: Instant, next: &mut Instant) {
        let mut waiting = due(&self.cycles, now, next);
        waiting.retain(|key| match self.first_scans_until(key).filter(|until| *until > now) {
            Some(until) => {
                *next = until.min(*next);
                false
            }
            None => true,
        });
        if waiting.is_empty() {
            return;
        }
        let running = self.cycles.iter().filter(|(_, slot)| slot.is_running()).map(|(key, _)| key);
        let mut busy: HashSet<BranchOfTenant> =
            running.clone().filter_map(|key| self.branch_of(key)).collect();
        let at_work = running.map(|key| key.namespace.as_str());
        let due = waiting.iter().enumerate().map(|(turn, key)| (key.namespace.as_str(), (turn, key)));
        let has_others = has_many_namespaces(&self.repositories);
        let mut places = Places::new(self.settings.cycles_at_once, has_others, at_work, due);
        let mut first = Vec::new();
        let is_free =
            |busy: &HashSet<_>, key| self.branch_of(key).is_none_or(|branch| !busy.contains(&branch));
        while let Some((_, (_, key))) = places.give(|(_, key)| is_free(&busy, key)) {
            busy.extend(self.branch_of(key));
            first.push(key.clone());
        }
        first.into_iter().for_each(|key| self.start_cycle(key));
    }

    /// Until when the first cycle of a repository waits for the first scans of its policies, as long as there are any: it
    /// would plan without their wishes, and its status tell of that for a moment.
    fn first_scans_until(&self, key: &ObjectKey) -> Option<Instant> {
        let slot = self.cycles.get(key).filter(|slot| slot.is_new())?;
        let repository = self.repositories.get(key).filter(|state| state.active_settings().is_some())?;
        let first = ObjectKey::new(&key.namespace, "");
        let policies = self.policies.range(first..).take_while(|(other, _)| other.namespace == key.namespace);
        let awaits = |state: &PolicyState| state.awaits_first_scan() && repository.takes(state.object());
        policies.map(|(_, state)| state).any(awaits).then(|| slot.due())?.map(|due| due + FIRST_SCANS)
    }

    fn branch_of(&self, key: &ObjectKey) -> Option<BranchOfTenant> {
        let settings = self.repositories.get(key)?.active_settings()?;
        Some((key.namespace.clone(), settings.url.clone(), settings.written().clone()))
    }

    fn start_cycle(&mut self, key: ObjectKey) {
        let Some(repository) = self.repositories.get(&key) else {
            self.cycles.remove(&key);
            return;
        };
        let wishes = self.wishes_for(repository);
        let recheck = self.recheck_for(&wishes);
        let order = repository.order(wishes, recheck);
        let begun = Begun { revision: repository.revision(), request: requested_at(repository.object()) };
        let Some(slot) = self.cycles.get_mut(&key) else { return };
        let Some(order) = order else {
            slot.rest();
            return;
        };
        slot.start();
        let bench = self.benches.remove(&key);
        let (world, settings, metrics) =
            (Arc::clone(&self.world), Arc::clone(&self.settings), self.metrics.clone());
        self.start(Job::Cycle(key, begun), async move {
            let (bench, report) = cycle::run(&*world, &settings, bench, &order, &metrics).await;
            Done::Cycle(Box::new(bench), Box::new(report), order.wishes)
        });
    }

    fn start_check(&mut self, name: String) {
        let Some(registry) = self.registries.get(&name).cloned() else { return };
        if let Some(slot) = self.checks.get_mut(&name) {
            slot.start();
        }
        let (world, settings, tools) =
            (Arc::clone(&self.world), Arc::clone(&self.settings), self.tools.clone());
        let host = host_of(&registry).into_owned();
        let first =
            self.registry_of(&host).map(|first| ObjectKey::of(&*first).name).filter(|first| *first != name);
        self.start(Job::Check(name), async move {
            Done::Check(match first {
                Some(first) => Err(AccessError::Taken(first, host)),
                None => check_registry(&*world, &tools.client, &tools.identities, &settings, &registry).await,
            })
        });
    }

    /// What says how a host is spoken to: the first by name, where there are several.
    pub(super) fn registry_of(&self, host: &str) -> Option<Arc<ClusterImageRegistry>> {
        registry_of(self.registries.values(), host)
    }

    pub(super) fn start(&mut self, job: Job, work: impl Future<Output = Done> + Send + 'static) {
        let task = self.tasks.spawn(work);
        self.jobs.insert(task.id(), job);
    }

    /// What asks for the digests of these wishes anew, as their scans would ask.
    fn recheck_for(&self, wishes: &Wishes) -> Recheck {
        let authority = |policy: &ObjectKey| {
            let ScanKey { image, asker } = self.policies.get(policy)?.scan_key()?.clone();
            let sources = sources_of(&image, |host| self.registry_of(host)).unwrap_or_default();
            Some((policy.clone(), Authority { source: sources.into_iter().next_back(), asker }))
        };
        let pins = |wish: &Wish| wish.selection.digest.is_some();
        let pinning = wishes.iter().filter(|(_, wish)| wish.as_ref().is_ok_and(pins));
        let authorities = pinning.filter_map(|(policy, _)| authority(policy)).collect();
        Recheck { tools: self.tools.clone(), authorities }
    }

    pub(super) fn wishes_for(&self, repository: &RepositoryState) -> Wishes {
        let policies = self.policies.iter().filter(|(_, state)| repository.takes(state.object()));
        policies.map(|(key, state)| (key.clone(), state.wish())).collect()
    }
}

/// Whether these objects, which stand in the order of their namespaces, are in more than one.
pub(super) fn has_many_namespaces<V>(objects: &BTreeMap<ObjectKey, V>) -> bool {
    let ends = objects.first_key_value().zip(objects.last_key_value());
    ends.is_some_and(|((first, _), (last, _))| first.namespace != last.namespace)
}

/// A branch as the objects of one namespace write to it.
type BranchOfTenant = (String, RepositoryUrl, BranchName);

/// The keys that are due, who waits longest first; `next` becomes the first moment at which another one is.
fn due<K: Clone + Ord>(slots: &BTreeMap<K, Slot>, now: Instant, next: &mut Instant) -> Vec<K> {
    let mut keys: Vec<(Instant, &K)> = Vec::new();
    for (key, slot) in slots {
        match slot.due() {
            Some(at) if at <= now => keys.push((at, key)),
            Some(at) => *next = (*next).min(at),
            None => {}
        }
    }
    keys.sort_by_key(|(at, _)| *at);
    keys.into_iter().map(|(_, key)| key.clone()).collect()
}
