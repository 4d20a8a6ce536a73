//! How many scans ask one host at once, for whichever images they do, and which mirrors did not answer a moment ago.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::api::ClusterImageRegistry;

/// The most hosts whose turns are kept while nobody asks them.
const MOST_AT_REST: usize = 1024;

/// How long a mirror that did not answer is passed over: each of a thousand images would wait for it anew.
const REST: Duration = Duration::from_secs(60);

/// The turns of all hosts. The desk begins no more scans than a host takes; a scan that goes on from a mirror to the next
/// source waits here.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns {
    hosts: Arc<Mutex<HashMap<String, Host>>>,
    silent: Arc<Mutex<HashMap<String, Silent>>>,
}

#[derive(Debug)]
struct Host {
    at_once: usize,
    turns: Arc<Semaphore>,
}

#[derive(Debug)]
struct Silent {
    since: Instant,
    /// What said how it was spoken to.
    registry: Option<Arc<ClusterImageRegistry>>,
}

/// The right to ask a host, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// Waits until fewer than `at_once` scans ask the host.
    pub(super) async fn wait(&self, host: &str, at_once: usize) -> Turn {
        // Nobody closes the semaphore.
        Turn { _permit: self.of(host, at_once).acquire_owned().await.ok() }
    }

    /// Notes that a mirror, spoken to in this way, did not answer.
    pub(super) fn did_not_answer(&self, mirror: &str, registry: Option<&Arc<ClusterImageRegistry>>) {
        let (mut silent, now) = (lock(&self.silent), Instant::now());
        silent.retain(|_, one| now.duration_since(one.since) < REST);
        silent.insert(mirror.to_owned(), Silent { since: now, registry: registry.cloned() });
    }

    /// Whether a mirror, spoken to in this way, did not answer a moment ago.
    pub(super) fn is_silent(&self, mirror: &str, registry: Option<&Arc<ClusterImageRegistry>>) -> bool {
        let spec = registry.map(|registry| &registry.spec);
        lock(&self.silent).get(mirror).is_some_and(|one| {
            one.since.elapsed() < REST && one.registry.as_ref().map(|known| &known.spec) == spec
        })
    }

    fn of(&self, host: &str, at_once: usize) -> Arc<Semaphore> {
        let mut hosts = lock(&self.hosts);
        if hosts.len() >= MOST_AT_REST {
            hosts.retain(|_, host| Arc::strong_count(&host.turns) > 1);
        }
        let fresh = || Host { at_once, turns: Arc::new(Semaphore::new(at_once)) };
        let host = hosts.entry(host.to_owned()).or_insert_with(fresh);
        if host.at_once != at_once {
            // Those that ask at this moment end under the old limit.
            *host = fresh();
        }
        Arc::clone(&host.turns)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn must_wait(turns: &Turns, host: &str, at_once: usize) -> bool {
        tokio::time::timeout(Duration::from_millis(20), turns.wait(host, at_once)).await.is_err()
    }

    #[tokio::test]
    async fn as_many_ask_a_host_as_it_takes() {
        let turns = Turns::default();
        let first = turns.wait("a", 2).await;
        let second = turns.wait("a", 2).await;
        assert!(must_wait(&turns, "a", 2).await);
        assert!(!must_wait(&turns, "b", 2).await, "another host has its own turns");
        drop(first);
        let third = turns.wait("a", 2).await;
        assert!(must_wait(&turns, "a", 2).await);
        assert!(!must_wait(&turns, "a", 3).await, "a new limit holds at once");
        drop(third);
        drop(second);
    }

    #[tokio::test]
    async fn hosts_at_rest_are_forgotten_and_busy_ones_are_not() {
        let turns = Turns::default();
        let busy = turns.wait("busy", 1).await;
        for number in 0..3 * MOST_AT_REST {
            turns.wait(&format!("host-{number}"), 1).await;
        }
        assert!(turns.hosts.lock().unwrap().len() <= MOST_AT_REST + 1);
        assert!(must_wait(&turns, "busy", 1).await);
        drop(busy);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_mirror_is_tried_again_after_a_while() {
        let turns = Turns::default();
        turns.did_not_answer("a", None);
        assert!(turns.is_silent("a", None) && !turns.is_silent("b", None));
        let spec = serde_saphyr::from_str("{host: a, insecure: true}").unwrap();
        let changed = Arc::new(ClusterImageRegistry::new("a", spec));
        assert!(!turns.is_silent("a", Some(&changed)), "it is spoken to in another way now");
        tokio::time::advance(REST).await;
        assert!(!turns.is_silent("a", None));
    }
}
