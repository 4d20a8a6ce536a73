//! Scans: which are due, how many run at once, and what they are given.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::dispatch::has_many_namespaces;
use super::places::Places;
use super::{Done, Engine, Job};
use crate::api::{ObjectKey, RegistryLimits, requested_at};
use crate::engine::asker::Asker;
use crate::engine::revision::Revision;
use crate::engine::scan::{self, Member, Scan, ScanKey, ScanOrder, Verdict};
use crate::engine::sources::sources_of;
use crate::engine::world::World;
use crate::registry::ListVersion;

/// The most wishes of hosts to be left alone that are known here: whoever may create an ImagePolicy can name one host after
/// the other.
const MOST_RESTS: usize = 16_384;

impl<W: World> Engine<W> {
    pub(super) fn ask_for_scan(&mut self, key: Option<&ScanKey>, at: Instant) {
        if let Some(mut slot) = key.and_then(|key| self.scans.get_mut(key)) {
            slot.ask(at);
        }
    }

    pub(super) fn join_scan(&mut self, key: Option<&ScanKey>, policy: &ObjectKey) {
        if let Some(key) = key {
            self.scans.join(key, policy);
        }
    }

    pub(super) fn leave_scan(&mut self, key: Option<&ScanKey>, policy: &ObjectKey) {
        if let Some(key) = key.filter(|key| self.scans.leave(key, policy)) {
            self.known_lists.remove(key);
            self.awaited.remove(key);
        }
    }

    /// Somebody waits for this scan: it goes before those that are due by themselves.
    pub(super) fn ask_for_scan_first(&mut self, key: Option<&ScanKey>) {
        if let Some(mut slot) = key.and_then(|key| self.scans.get_mut(key)) {
            slot.ask_urgently();
        }
    }

    /// Starts the scans that are due, as many as may run at once in all and at each host. A host that wants to be left
    /// alone is; others keep their pace. Hosts are free to make up, so the namespaces take turns.
    pub(super) fn start_scans(&mut self, now: Instant, next: &mut Instant) {
        let due = self.due_scans(now);
        for (key, until) in due.held_back {
            if let Some(mut slot) = self.scans.get_mut(&key) {
                slot.hold_back(until);
            }
        }
        for (key, namespace) in due.first {
            self.start_scan(key, namespace);
        }
        *next = self.scans.next_after(now).map_or(*next, |at| at.min(*next));
    }

    fn due_scans(&self, now: Instant) -> Due {
        let running = self.jobs.values().filter_map(|job| match job {
            Job::Scan(key, _, namespace) => Some((key, namespace.as_str())),
            Job::Cycle(..) | Job::Check(_) => None,
        });
        let mut due = self.scans.due(now).peekable();
        let mut found = Due::default();
        let all = self.settings.scans_at_once;
        if due.peek().is_none() || running.clone().count() >= all {
            return found;
        }
        let mut hosts: HashMap<&str, Host> = HashMap::new();
        for (key, _) in running.clone() {
            hosts.entry(key.image.host()).or_insert_with(|| self.host_of(key)).begin();
        }
        let mut waiting = Vec::new();
        for (turn, key) in due {
            let host = hosts.entry(key.image.host()).or_insert_with(|| self.host_of(key));
            let rest = self.rests.get(&Rest::of(key)).copied().filter(|until| *until > now);
            match host.left_alone_until.max(rest) {
                Some(until) => found.held_back.push((key.clone(), until)),
                None if host.free == 0 => {}
                // One that several share begins with the first turn of any of them: nobody makes others wait by joining.
                None => waiting.extend(self.namespaces_of(key).into_iter().map(|one| (one, (turn, key)))),
            }
        }
        let at_work = running.map(|(_, namespace)| namespace);
        let mut places = Places::new(all, has_many_namespaces(&self.policies), at_work, waiting);
        let mut begun = HashSet::new();
        while let Some((namespace, (_, key))) = places.give(|(_, key)| {
            !begun.contains(key) && hosts.get(key.image.host()).is_some_and(|host| host.free > 0)
        }) {
            hosts.entry(key.image.host()).and_modify(Host::begin);
            begun.insert(key);
            found.first.push((key.clone(), namespace.to_owned()));
        }
        found
    }

    /// The namespaces of the policies that take part in a scan.
    fn namespaces_of(&self, key: &ScanKey) -> Vec<&str> {
        let mut namespaces: Vec<&str> =
            self.scans.members(key).map(|policy| policy.namespace.as_str()).collect();
        namespaces.dedup();
        namespaces
    }

    /// Notes how long the host of a scan wants to be left alone by those who ask as this scan does. Each other one would find
    /// that out by itself, and say so in its status.
    pub(super) fn note_rest(&mut self, key: &ScanKey, wanted: Duration) {
        let now = Instant::now();
        if self.rests.len() >= MOST_RESTS {
            self.rests.retain(|_, until| *until > now);
        }
        if self.rests.len() < MOST_RESTS {
            self.rests.insert(Rest::of(key), now + wanted);
        }
    }

    /// Remembers a list that its registry knows again, for those who have chosen from it.
    pub(super) fn note_list(&mut self, key: &ScanKey, scan: &Scan) {
        match &scan.version {
            Some(version) if self.scans.contains(key) => {
                // Whose new choice has no digest yet keeps the one before, and must be given the list again.
                let has_used = |verdict: &&Verdict| verdict.choice.is_none() || verdict.digest.is_ok();
                let seen_by = |verdict: &Verdict| (verdict.member.key.clone(), verdict.member.revision);
                let members = scan.verdicts.iter().filter(has_used).map(seen_by).collect();
                self.known_lists.insert(key.clone(), KnownList { version: version.clone(), members });
            }
            Some(_) | None => drop(self.known_lists.remove(key)),
        }
    }

    /// What is asked first of the image's host: a mirror or the host itself, less those that want to be left alone.
    fn host_of(&self, key: &ScanKey) -> Host {
        let sources = sources_of(&key.image, |host| self.registry_of(host)).unwrap_or_default();
        let mut left_alone_until: Option<Instant> = None;
        for source in &sources {
            match self.tools.client.left_alone_until(source.host()) {
                None => return Host { free: source.scans_at_once(), left_alone_until: None },
                Some(until) => {
                    left_alone_until = Some(left_alone_until.map_or(until, |known| known.min(until)))
                }
            }
        }
        Host { free: RegistryLimits::default().scans_at_once(), left_alone_until }
    }

    /// The policies that take part in a scan. What is known of the list counts for those who have chosen from it.
    pub(super) fn members_of(&self, key: &ScanKey, known: Option<&KnownList>) -> Vec<Member> {
        let members = self.scans.members(key).filter_map(|policy_key| {
            let state = self.policies.get(policy_key)?;
            let policy = Arc::clone(state.active_policy()?);
            let seen = known.is_some_and(|known| known.was_given_to(policy_key, state.revision()));
            let chosen = state.chosen_tag().filter(|_| seen).cloned();
            let standing = state.selection().cloned();
            let (key, revision) = (policy_key.clone(), state.revision());
            let request = requested_at(&**state.object());
            Some(Member { key, revision, policy, chosen, standing, request })
        });
        members.collect()
    }

    /// Starts a scan in the turn of this namespace.
    fn start_scan(&mut self, key: ScanKey, namespace: String) {
        let awaited = self.tags_awaited_of(&key);
        // What is in a list that has not changed could not be told.
        let known = self.known_lists.get(&key).filter(|_| awaited.is_empty());
        let members = self.members_of(&key, known);
        let known = known.map(|known| known.version.clone());
        match self.scans.get_mut(&key) {
            Some(mut slot) => slot.start(),
            None => return,
        }
        let (world, tools) = (Arc::clone(&self.world), self.tools.clone());
        let sources = sources_of(&key.image, |host| self.registry_of(host));
        let order = ScanOrder { sources, known, awaited };
        let job = Job::Scan(key.clone(), members.clone(), namespace);
        self.start(job, async move {
            let began = Instant::now();
            let scan = scan::scan(&*world, &tools, &key, order, members).await;
            Done::Scan(Box::new(scan), began.elapsed())
        });
    }
}

/// A list that its registry knows again, and the policies that have chosen from it.
pub(super) struct KnownList {
    version: ListVersion,
    /// With their revisions.
    members: Vec<(ObjectKey, Revision)>,
}

impl KnownList {
    fn was_given_to(&self, policy: &ObjectKey, revision: Revision) -> bool {
        self.members.iter().any(|(key, seen_as)| key == policy && *seen_as == revision)
    }
}

/// What is to be done with the scans that are due.
#[derive(Default)]
struct Due {
    /// They may begin, each in the turn of this namespace.
    first: Vec<(ScanKey, String)>,
    /// They are to wait until this moment.
    held_back: Vec<(ScanKey, Instant)>,
}

/// Those who ask a host in one way.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Rest {
    host: String,
    asker: Option<Asker>,
}

impl Rest {
    fn of(key: &ScanKey) -> Self {
        Self { host: key.image.host().to_owned(), asker: key.asker.clone() }
    }
}

/// What one host allows.
struct Host {
    /// How many more scans may begin.
    free: usize,
    left_alone_until: Option<Instant>,
}

impl Host {
    const fn begin(&mut self) {
        self.free = self.free.saturating_sub(1);
    }
}
