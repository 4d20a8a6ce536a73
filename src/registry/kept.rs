//! What is fetched once for all who wait, and kept until shortly before it ends.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Something with an end, and when it is to be renewed.
#[derive(Clone)]
pub(super) struct Fresh<V> {
    pub(super) value: V,
    pub(super) renew_at: Instant,
}

/// The most that are kept at once; of more, the one that ends first goes. A tenant can ask for ever new ones, and a server
/// can call each of them good for a day.
const MOST: usize = 4096;

type Slot<V> = tokio::sync::Mutex<Option<Fresh<V>>>;

/// Values with an end, by what they are for.
pub(super) struct Kept<K, V> {
    slots: Mutex<HashMap<K, Arc<Slot<V>>>>,
}

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self { slots: Mutex::default() }
    }
}

impl<K: Clone + Eq + Hash, V: Clone + PartialEq> Kept<K, V> {
    /// The value for `key`, from `fetch` where none is kept. One that was `rejected` is not given again. Callers with the
    /// same key wait for one fetch.
    pub(super) async fn get<E, F: Future<Output = Result<Fresh<V>, E>>>(
        &self,
        key: K,
        rejected: Option<&V>,
        now: Instant,
        fetch: impl FnOnce() -> F,
    ) -> Result<V, E> {
        let slot = self.slot(key, now);
        let mut kept = slot.lock().await;
        if let Some(fresh) =
            kept.as_ref().filter(|fresh| fresh.is_good(now) && Some(&fresh.value) != rejected)
        {
            return Ok(fresh.value.clone());
        }
        // Emptied first: when the fetch fails or is dropped, nothing stale stays.
        *kept = None;
        let fresh = fetch().await?;
        let value = fresh.value.clone();
        *kept = Some(fresh);
        Ok(value)
    }

    /// The place of a key. Places that nobody uses and that hold nothing of use are given up on the way, so that
    /// credentials that were rotated away do not stay.
    fn slot(&self, key: K, now: Instant) -> Arc<Slot<V>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(&key) {
            return slot.clone();
        }
        slots.retain(|_, slot| match slot.try_lock() {
            Ok(kept) => Arc::strong_count(slot) > 1 || kept.as_ref().is_some_and(|fresh| fresh.is_good(now)),
            Err(_in_use) => true,
        });
        if slots.len() >= MOST {
            let ends =
                slots.iter().filter(|(_, slot)| Arc::strong_count(slot) == 1).filter_map(|(key, slot)| {
                    let ends = slot.try_lock().ok()?.as_ref()?.renew_at;
                    Some((key, ends))
                });
            // What is in use stays, and scans are not so many.
            if let Some(first) = ends.min_by_key(|(_, ends)| *ends).map(|(key, _)| key.clone()) {
                slots.remove(&first);
            }
        }
        slots.entry(key).or_default().clone()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl<V> Fresh<V> {
    /// A value that lives so long from `now`, and is renewed when nine tenths of that are over.
    pub(super) fn for_life(value: V, lifetime: Duration, now: Instant) -> Self {
        Self { value, renew_at: now + lifetime.mul_f64(0.9) }
    }

    fn is_good(&self, now: Instant) -> bool {
        now < self.renew_at
    }
}
