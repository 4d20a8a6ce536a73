//! The one client of the process: its connections, and what it learned about hosts.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{Hash, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::challenge::Challenge;
use super::manifest::{Known, MOST_KNOWN_IMAGES};
use super::pace::Paces;
use super::page_size::PageSize;
use super::session::Session;
use super::token::Tokens;
use super::{Access, Error, HostSettings, Inspector, ListVersion, Listed, Listing, listing};
use crate::image::{Digest, ImageName, Tag, TagRef};
use crate::net::{self, ClientCertificate, ClientSettings, Connections};

/// Asks registries. A clone is cheap and shares connections, tokens and what is known about hosts.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

/// What all clones share. Only caches: all of it can be learned again.
pub(super) struct Shared {
    pub(super) connections: Connections,
    pub(super) allow_plain_http: bool,
    /// One pool of connections for each set of trusted certificates and each one that is shown.
    pub(super) pools: Cache<PoolKey, reqwest::Client>,
    /// What a host asks for, by its origin; `None` where it asks for nothing.
    pub(super) challenges: Cache<String, Option<Challenge>>,
    pub(super) tokens: Tokens,
    /// The page size that a host admits, by its origin.
    pub(super) page_sizes: Cache<String, PageSize>,
    /// How fast a host is asked, by its name.
    pub(super) paces: Paces,
    pub(super) hasher: RandomState,
    /// What was learned of images.
    pub(super) images: Known,
}

pub(super) type PoolKey = (Option<Arc<[u8]>>, Option<Arc<ClientCertificate>>);

impl Client {
    /// A client over `connections`. Plain HTTP needs `allow_plain_http` and the registry's own setting, both.
    #[must_use]
    pub fn new(connections: Connections, allow_plain_http: bool) -> Self {
        Self::with_room(connections, allow_plain_http, MOST_KNOWN_IMAGES)
    }

    /// [`Client::new`], with room for what is learned of so many images of all repositories.
    #[must_use]
    pub fn with_room(connections: Connections, allow_plain_http: bool, images: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                connections,
                allow_plain_http,
                pools: Cache::new(64),
                challenges: Cache::new(1024),
                tokens: Tokens::default(),
                page_sizes: Cache::new(1024),
                paces: Paces::default(),
                hasher: RandomState::new(),
                images: Known::new(images),
            }),
        }
    }

    /// Gives every tag of the repository to `each` while the pages stream in, some at once, in the registry's order,
    /// duplicates included. Names that break the tag grammar are counted and not given.
    ///
    /// The scan is whole or nothing: after an error, what `each` saw must be dropped.
    ///
    /// # Errors
    /// Any [`Error`]. The caps: 10,000 pages, 1,000,000 names, 32 MiB for a page, 256 MiB for all, 5 minutes.
    pub async fn list_tags(
        &self,
        image: &ImageName,
        access: &Access,
        each: &mut (dyn FnMut(&[TagRef<'_>]) + Send),
    ) -> Result<Listing, Error> {
        match self.list_tags_since(image, access, None, each).await? {
            Listed::Whole(listing, _) => Ok(listing),
            Listed::Unchanged => Err(Error::Protocol {
                host: image.host().to_owned(),
                problem: "it says that the list has not changed, which nobody asked".to_owned(),
            }),
        }
    }

    /// [`Client::list_tags`], unless the list is the one that is known: then nothing is read but the head of an answer,
    /// and `each` sees nothing.
    ///
    /// # Errors
    /// As [`Client::list_tags`].
    pub async fn list_tags_since(
        &self,
        image: &ImageName,
        access: &Access,
        known: Option<&ListVersion>,
        each: &mut (dyn FnMut(&[TagRef<'_>]) + Send),
    ) -> Result<Listed, Error> {
        let session = Session::open(&self.shared, image, access)?;
        listing::list(&session, known, each).await
    }

    /// Until when a host, as image names have it, wants to be left alone by all. Before, it is not asked: every question to it
    /// is [`Error::RateLimited`] at once. So is one with a credential to which alone it has said so.
    #[must_use]
    pub fn left_alone_until(&self, host: &str) -> Option<Instant> {
        self.shared.paces.known(host)?.left_alone_until(Instant::now())
    }

    /// Checks that connections can be set up as a host wants them: that its certificates can be read.
    ///
    /// # Errors
    /// Those of [`Connections::client`].
    pub fn check(&self, host: &HostSettings) -> Result<(), net::Error> {
        self.shared.pool(host).map(drop)
    }

    /// The digest of the manifest or index that `tag` names now.
    ///
    /// # Errors
    /// Any [`Error`]; [`Error::NotFound`] where the tag is gone.
    pub async fn digest(&self, image: &ImageName, tag: &Tag, access: &Access) -> Result<Digest, Error> {
        self.inspector(image, access)?.digest(tag).await
    }

    /// What looks at the images of a repository.
    ///
    /// # Errors
    /// Where the name makes no URL, or the connection can not be set up as `access` wants it.
    pub fn inspector<'a>(&'a self, image: &'a ImageName, access: &'a Access) -> Result<Inspector<'a>, Error> {
        let session = Session::open(&self.shared, image, access)?;
        Ok(Inspector::new(session, &self.shared.images, image))
    }
}

impl Shared {
    /// The connections to hosts that are spoken to in this way.
    pub(super) fn pool(&self, host: &HostSettings) -> Result<reqwest::Client, net::Error> {
        let key = (host.ca_pem.clone(), host.certificate.clone());
        if let Some(http) = self.pools.get(&key) {
            return Ok(http);
        }
        let (ca_pem, certificate) = (key.0.as_deref(), key.1.as_deref());
        let http = self.connections.client(&ClientSettings { ca_pem, certificate, proxy: None })?;
        self.pools.insert(key, http.clone());
        Ok(http)
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
