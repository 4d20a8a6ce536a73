//! The scans that policies want, by when each is due: finding the next one costs the same however many there are.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::ops::{Bound, Deref, DerefMut};
use std::sync::Arc;

use tokio::time::Instant;

use crate::api::ObjectKey;
use crate::engine::scan::ScanKey;
use crate::engine::schedule::{Slot, Turn};

/// All scans. There is one as long as a policy takes part in it.
#[derive(Default)]
pub(super) struct Agenda {
    scans: BTreeMap<Arc<ScanKey>, Wanted>,
    times: Times,
}

/// Those that have a time.
type Times = BTreeMap<Instant, BTreeSet<Arc<ScanKey>>>;

struct Wanted {
    key: Arc<ScanKey>,
    slot: Slot,
    members: BTreeSet<ObjectKey>,
}

impl Agenda {
    /// Has a policy take part in a scan.
    pub(super) fn join(&mut self, key: &ScanKey, policy: &ObjectKey) {
        if !self.scans.contains_key(key) {
            let key = Arc::new(key.clone());
            let wanted = Wanted { key: key.clone(), slot: Slot::default(), members: BTreeSet::new() };
            self.scans.insert(key, wanted);
        }
        if let Some(wanted) = self.scans.get_mut(key) {
            wanted.members.insert(policy.clone());
        }
    }

    /// A policy takes part no more; whether the scan is gone with it.
    pub(super) fn leave(&mut self, key: &ScanKey, policy: &ObjectKey) -> bool {
        let Some(wanted) = self.scans.get_mut(key) else { return false };
        wanted.members.remove(policy);
        if !wanted.members.is_empty() {
            return false;
        }
        if let Some(gone) = self.scans.remove(key) {
            set_time(&mut self.times, &gone.key, gone.slot.due(), None);
        }
        true
    }

    /// The policies that take part in a scan, in their order.
    pub(super) fn members(&self, key: &ScanKey) -> impl Iterator<Item = &ObjectKey> {
        self.scans.get(key).into_iter().flat_map(|wanted| &wanted.members)
    }

    pub(super) fn contains(&self, key: &ScanKey) -> bool {
        self.scans.contains_key(key)
    }

    /// The schedule of a scan, to be changed.
    pub(super) fn get_mut(&mut self, key: &ScanKey) -> Option<SlotMut<'_>> {
        let Wanted { key, slot, .. } = self.scans.get_mut(key)?;
        Some(SlotMut { before: slot.due(), key, slot, times: &mut self.times })
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.scans.values().map(|wanted| &wanted.slot)
    }

    /// All scans in their order, from this one on.
    pub(super) fn keys_from(&self, first: ScanKey) -> impl Iterator<Item = &ScanKey> {
        self.scans.range::<ScanKey, _>(first..).map(|(key, _)| &**key)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &ScanKey> {
        self.scans.keys().map(|key| &**key)
    }

    /// Those that are due, with their turns.
    pub(super) fn due(&self, now: Instant) -> impl Iterator<Item = (Turn, &ScanKey)> {
        let due = self.times.range(..=now).flat_map(|(_, keys)| keys);
        due.filter_map(|key| Some((self.scans.get(key)?.slot.turn(), &**key)))
    }

    /// When the next one is due after `now`.
    pub(super) fn next_after(&self, now: Instant) -> Option<Instant> {
        self.times.range((Bound::Excluded(now), Bound::Unbounded)).next().map(|(at, _)| *at)
    }
}

fn set_time(times: &mut Times, key: &Arc<ScanKey>, before: Option<Instant>, after: Option<Instant>) {
    if before == after {
        return;
    }
    if let Some(Entry::Occupied(mut keys)) = before.map(|at| times.entry(at)) {
        keys.get_mut().remove(key);
        if keys.get().is_empty() {
            keys.remove();
        }
    }
    if let Some(at) = after {
        times.entry(at).or_default().insert(Arc::clone(key));
    }
}

/// The schedule of one scan; when it is given back, the order of all is right again.
pub(super) struct SlotMut<'a> {
    before: Option<Instant>,
    key: &'a Arc<ScanKey>,
    slot: &'a mut Slot,
    times: &'a mut Times,
}

impl Deref for SlotMut<'_> {
    type Target = Slot;

    fn deref(&self) -> &Slot {
        self.slot
    }
}

impl DerefMut for SlotMut<'_> {
    fn deref_mut(&mut self) -> &mut Slot {
        self.slot
    }
}

impl Drop for SlotMut<'_> {
    fn drop(&mut self) {
        set_time(self.times, self.key, self.before, self.slot.due());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::schedule::Pace;
    use crate::image::ImageName;

    const MINUTE: Duration = Duration::from_secs(60);

    fn scan(name: &str) -> ScanKey {
        ScanKey { image: ImageName::parse(&format!("r.example/{name}")).unwrap(), asker: None }
    }

    fn due(agenda: &Agenda) -> Vec<&str> {
        agenda.due(Instant::now()).map(|(_, key)| key.image.repository()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_due_is_found_after_every_change() {
        let (mut agenda, now) = (Agenda::default(), Instant::now());
        let policy = ObjectKey::new("shop", "api");
        ["a", "b", "c"].iter().for_each(|name| agenda.join(&scan(name), &policy));
        assert_eq!((due(&agenda), agenda.next_after(now)), (vec![], None), "nobody asked");
        for (name, at) in [("a", now), ("b", now), ("c", now + MINUTE)] {
            agenda.get_mut(&scan(name)).unwrap().ask(at);
        }
        assert_eq!((due(&agenda), agenda.next_after(now)), (vec!["a", "b"], Some(now + MINUTE)));
        agenda.get_mut(&scan("a")).unwrap().start();
        assert_eq!(due(&agenda), ["b"]);
        agenda.get_mut(&scan("a")).unwrap().finish(MINUTE / 2, Pace::Steady);
        assert!(agenda.next_after(now).unwrap() <= now + MINUTE / 2);
        tokio::time::advance(MINUTE).await;
        assert_eq!(due(&agenda), ["b", "a", "c"]);
        assert!(agenda.leave(&scan("b"), &policy));
        assert_eq!(due(&agenda), ["a", "c"]);
        assert_eq!(agenda.times.len(), 2);
    }

    #[test]
    fn a_scan_is_there_as_long_as_a_policy_takes_part() {
        let mut agenda = Agenda::default();
        let (api, web) = (ObjectKey::new("shop", "api"), ObjectKey::new("shop", "web"));
        [&web, &api].iter().for_each(|policy| agenda.join(&scan("a"), policy));
        assert_eq!(agenda.members(&scan("a")).collect::<Vec<_>>(), [&api, &web]);
        assert!(!agenda.leave(&scan("a"), &web));
        assert!(agenda.leave(&scan("a"), &api) && !agenda.contains(&scan("a")));
        assert!(!agenda.leave(&scan("a"), &api));
    }
}
