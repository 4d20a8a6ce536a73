//! Deliveries that were taken a moment ago: a signed one can be caught and sent again, as it is, for as long as its time is
//! near.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::registry::webhook::DeliveryName;

/// How long one is kept in mind: from five minutes before the time that it has to five minutes after.
const KEPT: Duration = Duration::from_secs(10 * 60 + 1);

/// The most that are kept in mind; only who has proven itself makes them more. Of more, the oldest go.
const MOST: usize = 16_384;

/// What was taken a moment ago.
#[derive(Default)]
pub(super) struct Repeats {
    taken: Mutex<Taken>,
    hasher: RandomState,
}

#[derive(Default)]
struct Taken {
    /// Hashes of webhook and delivery.
    names: HashSet<u64>,
    in_order: VecDeque<(Instant, u64)>,
}

impl Repeats {
    /// Whether a delivery to this webhook was noted before.
    pub(super) fn has(&self, webhook: &str, name: DeliveryName<'_>) -> bool {
        let key = self.hasher.hash_one((webhook, name));
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).names.contains(&key)
    }

    /// Notes that a delivery to this webhook was taken.
    pub(super) fn note(&self, webhook: &str, name: DeliveryName<'_>) {
        let (key, now) = (self.hasher.hash_one((webhook, name)), Instant::now());
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let Taken { names, in_order } = &mut *taken;
        if names.insert(key) {
            in_order.push_back((now, key));
        }
        while in_order.len() > MOST || in_order.front().is_some_and(|(at, _)| now.duration_since(*at) > KEPT)
        {
            let Some((_, oldest)) = in_order.pop_front() else { break };
            names.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;

    use super::*;

    fn headers(id: usize) -> HeaderMap {
        let pairs = [("webhook-id", format!("msg_{id}")), ("webhook-timestamp", "1774000000".to_owned())];
        pairs.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn note(repeats: &Repeats, id: usize) {
        repeats.note("gitlab", DeliveryName::read(&headers(id)).unwrap());
    }

    fn has(repeats: &Repeats, webhook: &str, id: usize) -> bool {
        repeats.has(webhook, DeliveryName::read(&headers(id)).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_delivery_is_kept_in_mind_for_its_webhook_as_long_as_it_could_be_repeated() {
        let repeats = Repeats::default();
        note(&repeats, 1);
        assert!(has(&repeats, "gitlab", 1) && !has(&repeats, "other", 1) && !has(&repeats, "gitlab", 2));
        tokio::time::advance(KEPT).await;
        note(&repeats, 2);
        assert!(has(&repeats, "gitlab", 1));
        tokio::time::advance(Duration::from_secs(1)).await;
        note(&repeats, 3);
        assert!(!has(&repeats, "gitlab", 1) && has(&repeats, "gitlab", 2) && has(&repeats, "gitlab", 3));
    }

    #[tokio::test]
    async fn no_more_are_kept_in_mind_than_there_is_room_for() {
        let repeats = Repeats::default();
        (0..MOST + 5).for_each(|id| note(&repeats, id));
        note(&repeats, MOST);
        let taken = repeats.taken.lock().unwrap();
        assert_eq!((taken.names.len(), taken.in_order.len()), (MOST, MOST));
        drop(taken);
        assert!(!has(&repeats, "gitlab", 4) && has(&repeats, "gitlab", 5));
    }
}
