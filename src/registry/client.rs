//! The one client of the process: its connections, and what it learned about hosts.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::challenge::Challenge;
use super::pace::Pace;
use super::page_size::PageSize;
use super::session::Session;
use super::token::Tokens;
use super::{Access, Error, Listing, listing, manifest};
use crate::image::{Digest, ImageName, Tag};
use crate::net::Connections;

/// Asks registries. A clone is cheap and shares connections, tokens and what is known about hosts.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

/// What all clones share. Only caches: all of it can be learned again.
pub(super) struct Shared {
    pub(super) connections: Connections,
    pub(super) allow_plain_http: bool,
    /// One pool of connections for each set of trusted certificates.
    pub(super) pools: Cache<Option<Arc<[u8]>>, reqwest::Client>,
    /// What a host asks for, by its origin; `None` where it asks for nothing.
    pub(super) challenges: Cache<String, Option<Challenge>>,
    pub(super) tokens: Tokens,
    /// The page size that a host admits, by its origin.
    pub(super) page_sizes: Cache<String, PageSize>,
    /// How fast a host is asked, by its name.
    pub(super) paces: Cache<String, Arc<Pace>>,
}

impl Client {
    /// A client over `connections`. Plain HTTP needs `allow_plain_http` and the registry's own setting, both.
    #[must_use]
    pub fn new(connections: Connections, allow_plain_http: bool) -> Self {
        Self {
            shared: Arc::new(Shared {
                connections,
                allow_plain_http,
                pools: Cache::new(64),
                challenges: Cache::new(1024),
                tokens: Tokens::default(),
                page_sizes: Cache::new(1024),
                paces: Cache::new(1024),
            }),
        }
    }

    /// Gives every tag of the repository to `each` while the pages stream in, in the registry's order, duplicates
    /// included. Names that break the tag grammar are counted and not given.
    ///
    /// The scan is whole or nothing: after an error, what `each` saw must be dropped.
    ///
    /// # Errors
    /// Any [`Error`]. The caps: 10,000 pages, 1,000,000 names, 32 MiB for a page, 256 MiB for all, 5 minutes.
    pub async fn list_tags(
        &self,
        image: &ImageName,
        access: &Access,
        each: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Listing, Error> {
        let session = Session::open(&self.shared, image, access)?;
        listing::list(&session, each).await
    }

    /// Until when the registry of this image wants to be left alone. Before, it is not asked: every question to it is
    /// [`Error::RateLimited`] at once.
    #[must_use]
    pub fn left_alone_until(&self, image: &ImageName) -> Option<Instant> {
        self.shared.paces.get(image.host())?.left_alone_until(Instant::now())
    }

    /// The digest of the manifest or index that `tag` names now.
    ///
    /// # Errors
    /// Any [`Error`]; [`Error::NotFound`] where the tag is gone.
    pub async fn digest(&self, image: &ImageName, tag: &Tag, access: &Access) -> Result<Digest, Error> {
        let session = Session::open(&self.shared, image, access)?;
        manifest::digest(&session, tag).await
    }
}

/// A map that forgets everything when it is full, so that nobody can make it grow without end.
pub(super) struct Cache<K, V> {
    entries: Mutex<HashMap<K, V>>,
    most: usize,
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    fn new(most: usize) -> Self {
        Self { entries: Mutex::default(), most }
    }

    pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// The value of a key, which is the default one where there was none: one for all who ask at once.
    pub(super) fn get_or_default(&self, key: &K) -> V
    where
        K: Clone,
        V: Default,
    {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= self.most && !entries.contains_key(key) {
            entries.clear();
        }
        entries.entry(key.clone()).or_default().clone()
    }

    pub(super) fn insert(&self, key: K, value: V) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= self.most {
            entries.clear();
        }
        entries.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_cache_starts_again() {
        let cache = Cache::new(2);
        for number in 0..3 {
            cache.insert(number, number);
        }
        assert_eq!((cache.get(&0), cache.get(&2)), (None, Some(2)));
    }
}
