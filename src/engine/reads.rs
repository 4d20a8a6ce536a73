//! What was read of Secrets, ConfigMaps and ServiceAccounts a moment ago: a thousand images that are asked for by one
//! credential have it read once, and not a thousand times.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::world::{AccountData, AccountError, ConfigMapError, SecretData, SecretError, SecretSource};
use crate::api::ObjectKey;
use crate::net::SecretText;

/// The most that is kept of each kind, in bytes: a tenant can have any number of large Secrets read.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// What was read. A clone is the same.
#[derive(Clone, Default)]
pub(super) struct Reads(Arc<Shelves>);

#[derive(Default)]
struct Shelves {
    secrets: Shelf<SecretData, SecretError>,
    config_maps: Shelf<SecretData, ConfigMapError>,
    accounts: Shelf<AccountData, AccountError>,
}

impl Reads {
    /// A source whose answers are kept as long as it says itself.
    pub(super) const fn of<'a, S>(&'a self, source: &'a S) -> Kept<'a, S> {
        Kept { source, reads: self, since: None }
    }

    /// The same, but for answers that are no older than this moment.
    pub(super) const fn since<'a, S>(&'a self, source: &'a S, since: Instant) -> Kept<'a, S> {
        Kept { source, reads: self, since: Some(since) }
    }
}

/// A source, and what was read from it.
pub(super) struct Kept<'a, S> {
    source: &'a S,
    reads: &'a Reads,
    since: Option<Instant>,
}

impl<S: SecretSource> Kept<'_, S> {
    /// Whether an answer may be used that was asked for at this moment.
    fn is_good(&self, asked: Instant) -> bool {
        asked.elapsed() < self.source.kept_for() && self.since.is_none_or(|since| asked >= since)
    }
}

impl<S: SecretSource> SecretSource for Kept<'_, S> {
    async fn secret(&self, key: &ObjectKey) -> Result<SecretData, SecretError> {
        let secrets = &self.reads.0.secrets;
        secrets.get(key, |asked| self.is_good(asked), size_of, self.source.secret(key)).await
    }

    async fn config_map(&self, key: &ObjectKey) -> Result<SecretData, ConfigMapError> {
        let config_maps = &self.reads.0.config_maps;
        config_maps.get(key, |asked| self.is_good(asked), size_of, self.source.config_map(key)).await
    }

    async fn service_account(&self, key: &ObjectKey) -> Result<AccountData, AccountError> {
        let accounts = &self.reads.0.accounts;
        accounts
            .get(key, |asked| self.is_good(asked), size_of_account, self.source.service_account(key))
            .await
    }

    async fn account_token(&self, key: &ObjectKey, audience: &str) -> Result<SecretText, String> {
        self.source.account_token(key, audience).await
    }

    fn operator_namespace(&self) -> &str {
        self.source.operator_namespace()
    }
}

/// The answers of one kind.
struct Shelf<V, E> {
    places: Mutex<HashMap<ObjectKey, Arc<Place<V, E>>>>,
}

type Place<V, E> = tokio::sync::Mutex<Option<Answer<V, E>>>;

struct Answer<V, E> {
    said: Result<V, E>,
    asked: Instant,
    came: Instant,
}

impl<V, E> Default for Shelf<V, E> {
    fn default() -> Self {
        Self { places: Mutex::default() }
    }
}

impl<V: Clone, E: Clone> Shelf<V, E> {
    /// What was answered, where it is good by when it was asked for, else what `read` answers. Those who wait for one
    /// reading share what comes of it. A failure is not kept for others: what was missing may be there now.
    async fn get(
        &self,
        key: &ObjectKey,
        is_good: impl Fn(Instant) -> bool,
        size: impl Fn(&V) -> usize,
        read: impl Future<Output = Result<V, E>>,
    ) -> Result<V, E> {
        let began = Instant::now();
        let place = self.place(key, &is_good, size);
        let mut kept = place.lock().await;
        let is_usable = |answer: &&Answer<V, E>| match &answer.said {
            Ok(_) => is_good(answer.asked),
            Err(_) => answer.came > began,
        };
        if let Some(answer) = kept.as_ref().filter(is_usable) {
            return answer.said.clone();
        }
        // Emptied first: when the reading is given up, nothing stale stays.
        *kept = None;
        let asked = Instant::now();
        let said = read.await;
        *kept = Some(Answer { said: said.clone(), asked, came: Instant::now() });
        said
    }

    /// The place of a key. What is of no use any more is given up on the way, and what is too much.
    fn place(
        &self,
        key: &ObjectKey,
        is_good: impl Fn(Instant) -> bool,
        size: impl Fn(&V) -> usize,
    ) -> Arc<Place<V, E>> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.get(key) {
            return Arc::clone(place);
        }
        let mut bytes = 0;
        places.retain(|_, place| {
            let Ok(kept) = place.try_lock() else { return true };
            if let Some(Answer { said: Ok(value), .. }) = kept.as_ref().filter(|one| is_good(one.asked)) {
                bytes += size(value);
                return bytes <= MOST_BYTES;
            }
            Arc::strong_count(place) > 1
        });
        Arc::clone(places.entry(key.clone()).or_default())
    }
}

fn size_of(data: &SecretData) -> usize {
    data.iter().map(|(name, value)| name.len() + value.len()).sum()
}

fn size_of_account(account: &AccountData) -> usize {
    let annotations = account.annotations.iter().map(|(name, value)| name.len() + value.len());
    annotations.chain(account.pull_secrets.iter().map(String::len)).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    const KEPT: Duration = Duration::from_secs(10);

    /// Has a Secret of this size under every name but `gone`, and takes a second for each reading.
    struct Slow {
        bytes: usize,
        reads: AtomicUsize,
    }

    impl Slow {
        fn read(&self) -> usize {
            self.reads.load(Ordering::SeqCst)
        }
    }

    impl SecretSource for Slow {
        async fn secret(&self, key: &ObjectKey) -> Result<SecretData, SecretError> {
            self.reads.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(1)).await;
            if key.name == "gone" {
                return Err(SecretError::Missing(key.clone()));
            }
            Ok(SecretData::from([("token".to_owned(), vec![0; self.bytes])]))
        }

        async fn config_map(&self, key: &ObjectKey) -> Result<SecretData, ConfigMapError> {
            Err(ConfigMapError::Missing(key.clone()))
        }

        fn operator_namespace(&self) -> &str {
            "tagtide"
        }

        fn kept_for(&self) -> Duration {
            KEPT
        }
    }

    fn slow(bytes: usize) -> (Slow, Reads) {
        (Slow { bytes, reads: AtomicUsize::new(0) }, Reads::default())
    }

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new("shop", name)
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_is_read_once_for_all_who_want_it_within_seconds() {
        let (source, reads) = slow(1);
        let (began, pull) = (Instant::now(), key("pull"));
        let kept = reads.of(&source);
        let all = futures::future::join_all((0..100).map(|_| kept.secret(&pull))).await;
        assert!(all.iter().all(Result::is_ok));
        kept.secret(&pull).await.unwrap();
        assert_eq!((source.read(), began.elapsed().as_secs()), (1, 1));
        kept.secret(&key("other")).await.unwrap();
        assert_eq!(source.read(), 2);
        tokio::time::advance(KEPT).await;
        kept.secret(&pull).await.unwrap();
        assert_eq!(source.read(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_may_have_been_replaced_is_read_anew_by_the_first_who_asks_so() {
        let (source, reads) = slow(1);
        let pull = key("pull");
        reads.of(&source).secret(&pull).await.unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        let refused = Instant::now();
        let anew = reads.since(&source, refused);
        let all = futures::future::join_all((0..100).map(|_| anew.secret(&pull))).await;
        assert!(all.iter().all(Result::is_ok));
        assert_eq!(source.read(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_for_those_who_waited_and_for_nobody_after_them() {
        let (source, reads) = slow(1);
        let (began, gone, kept) = (Instant::now(), key("gone"), reads.of(&source));
        let all = futures::future::join_all((0..100).map(|_| kept.secret(&gone))).await;
        assert!(all.iter().all(Result::is_err));
        assert_eq!((source.read(), began.elapsed().as_secs()), (1, 1));
        tokio::time::advance(Duration::from_millis(1)).await;
        kept.secret(&gone).await.unwrap_err();
        assert_eq!(source.read(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_is_bounded_and_given_up_when_it_is_of_no_use() {
        let (source, reads) = slow(MOST_BYTES / 8);
        let kept = reads.of(&source);
        let names: Vec<ObjectKey> = (0..100).map(|number| key(&number.to_string())).collect();
        futures::future::join_all(names.iter().map(|name| kept.secret(name))).await;
        kept.secret(&key("next")).await.unwrap();
        let count = || reads.0.secrets.places.lock().unwrap().len();
        assert_eq!(count(), 8, "seven of an eighth and a name, and the next one");
        tokio::time::advance(KEPT).await;
        kept.secret(&key("last")).await.unwrap();
        assert_eq!(count(), 1);
    }
}
