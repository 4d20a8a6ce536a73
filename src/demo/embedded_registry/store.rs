//! What the registry holds: pure, so that every rule is tested without a server.

use std::collections::BTreeMap;
use std::ops::Bound;

use axum::http::StatusCode;
use bytes::Bytes;

use super::Refused;
use super::route::Reference;
use crate::image::{Digest, Tag};

/// The most bytes that are held in all. A demo takes a few thousand.
const CAPACITY: usize = 64 * 1024 * 1024;

/// The most uploads that may be open at once.
const MAX_UPLOADS: usize = 100;

/// The most tags on one page (the specification lets a registry give fewer than it is asked for).
const MAX_PAGE: usize = 100;

/// All images, and the uploads that are under way.
#[derive(Default)]
pub(super) struct Store {
    repositories: BTreeMap<String, Repository>,
    /// Shared by all repositories, since there is nobody to keep one from.
    blobs: BTreeMap<Digest, Bytes>,
    uploads: BTreeMap<u64, Vec<u8>>,
    last_upload: u64,
    held: usize,
}

#[derive(Default)]
struct Repository {
    manifests: BTreeMap<Digest, Manifest>,
    tags: BTreeMap<Tag, Digest>,
}

/// A manifest as it was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) media_type: String,
    pub(super) body: Bytes,
}

/// A page of tags, in the order of their bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) tags: Vec<Tag>,
    /// Whether more tags follow.
    pub(super) has_more: bool,
}

impl Store {
    /// Opens an upload and gives its id.
    pub(super) fn open_upload(&mut self) -> Result<u64, Refused> {
        if self.uploads.len() >= MAX_UPLOADS {
            return Err(Refused::new(
                StatusCode::TOO_MANY_REQUESTS,
                "TOOMANYREQUESTS",
                format!("{MAX_UPLOADS} uploads are open; finish one first"),
            ));
        }
        self.last_upload += 1;
        self.uploads.insert(self.last_upload, Vec::new());
        Ok(self.last_upload)
    }

    /// Adds to an upload and gives its size. A chunk that does not begin where the last one ended is refused.
    pub(super) fn append(&mut self, id: u64, start: Option<usize>, chunk: &[u8]) -> Result<usize, Refused> {
        self.reserve(chunk.len())?;
        let upload = self.uploads.get_mut(&id).ok_or_else(no_upload)?;
        if start.is_some_and(|start| start != upload.len()) {
            return Err(Refused::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "BLOB_UPLOAD_INVALID",
                format!("the next chunk begins at {}", upload.len()),
            ));
        }
        upload.extend_from_slice(chunk);
        self.held += chunk.len();
        Ok(upload.len())
    }

    /// Ends an upload. It becomes a blob where its content is what the digest says, and is forgotten where it is not.
    pub(super) fn finish_upload(&mut self, id: u64, digest: &Digest) -> Result<(), Refused> {
        let content = self.uploads.remove(&id).ok_or_else(no_upload)?;
        self.held -= content.len();
        let found = Digest::sha256_of(&content);
        if found != *digest {
            return Err(Refused::invalid("DIGEST_INVALID", format!("the content is {found}")));
        }
        self.held += content.len();
        let before = self.blobs.insert(found, content.into());
        self.held -= before.map_or(0, |blob| blob.len());
        Ok(())
    }

    pub(super) fn blob(&self, digest: &Digest) -> Result<Bytes, Refused> {
        self.blobs.get(digest).cloned().ok_or_else(|| Refused::not_found("BLOB_UNKNOWN", digest))
    }

    /// Keeps a manifest, under its tag too where it is pushed by one, and gives its digest.
    pub(super) fn put_manifest(
        &mut self,
        repository: &str,
        reference: Reference,
        manifest: Manifest,
    ) -> Result<Digest, Refused> {
        let found = Digest::sha256_of(&manifest.body);
        self.reserve(manifest.body.len())?;
        let tag = match reference {
            Reference::Digest(digest) if digest != found => {
                return Err(Refused::invalid("DIGEST_INVALID", format!("the content is {found}")));
            }
            Reference::Digest(_) => None,
            Reference::Tag(tag) => Some(tag),
        };
        let repository = self.repositories.entry(repository.to_owned()).or_default();
        self.held += manifest.body.len();
        let before = repository.manifests.insert(found.clone(), manifest);
        self.held -= before.map_or(0, |manifest| manifest.body.len());
        if let Some(tag) = tag {
            repository.tags.insert(tag, found.clone());
        }
        Ok(found)
    }

    pub(super) fn manifest(
        &self,
        repository: &str,
        reference: &Reference,
    ) -> Result<(Digest, Manifest), Refused> {
        let found = self.repositories.get(repository).and_then(|repository| {
            let digest = match reference {
                Reference::Tag(tag) => repository.tags.get(tag)?,
                Reference::Digest(digest) => digest,
            };
            Some((digest.clone(), repository.manifests.get(digest)?.clone()))
        });
        found.ok_or_else(|| Refused::not_found("MANIFEST_UNKNOWN", "the manifest"))
    }

    /// By tag, takes away the tag alone; by digest, the manifest with all its tags ("Deleting Tags", "Deleting
    /// Manifests").
    pub(super) fn delete_manifest(&mut self, repository: &str, reference: &Reference) -> Result<(), Refused> {
        let unknown = || Refused::not_found("MANIFEST_UNKNOWN", "the manifest");
        let repository = self.repositories.get_mut(repository).ok_or_else(unknown)?;
        match reference {
            Reference::Tag(tag) => {
                repository.tags.remove(tag).ok_or_else(unknown)?;
            }
            Reference::Digest(digest) => {
                let manifest = repository.manifests.remove(digest).ok_or_else(unknown)?;
                self.held -= manifest.body.len();
                repository.tags.retain(|_, tagged| tagged != digest);
            }
        }
        Ok(())
    }

    /// At most `most` of the tags that come after `last`.
    pub(super) fn tags(
        &self,
        repository: &str,
        most: Option<usize>,
        last: Option<Tag>,
    ) -> Result<Page, Refused> {
        let tags = &self
            .repositories
            .get(repository)
            .ok_or_else(|| Refused::not_found("NAME_UNKNOWN", repository))?
            .tags;
        let start = last.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = tags.range((start, Bound::Unbounded)).map(|(tag, _)| tag.clone());
        let most = most.unwrap_or(MAX_PAGE).min(MAX_PAGE);
        let page: Vec<Tag> = rest.by_ref().take(most).collect();
        // A page of none has no last tag from which to go on.
        let has_more = !page.is_empty() && rest.next().is_some();
        Ok(Page { tags: page, has_more })
    }

    fn reserve(&self, more: usize) -> Result<(), Refused> {
        if self.held.saturating_add(more) <= CAPACITY {
            return Ok(());
        }
        let message = format!("this registry holds at most {CAPACITY} bytes");
        Err(Refused::new(StatusCode::INSUFFICIENT_STORAGE, "DENIED", message))
    }
}

fn no_upload() -> Refused {
    Refused::not_found("BLOB_UPLOAD_UNKNOWN", "the upload")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(text: &str) -> Tag {
        Tag::parse(text).unwrap()
    }

    fn put(store: &mut Store, name: &str, content: &str) -> Digest {
        let manifest = Manifest { media_type: "x/y".into(), body: Bytes::from(content.to_owned()) };
        store.put_manifest("acme/api", Reference::Tag(tag(name)), manifest).unwrap()
    }

    fn names(page: &Page) -> Vec<&str> {
        page.tags.iter().map(Tag::as_str).collect()
    }

    #[test]
    fn chunks_become_a_blob_where_the_digest_is_right() {
        let mut store = Store::default();
        let id = store.open_upload().unwrap();
        assert_eq!(store.append(id, Some(0), b"ti"), Ok(2));
        assert_eq!(store.append(id, Some(1), b"de").unwrap_err().status, StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(store.append(id, Some(2), b"de"), Ok(4));
        let digest = Digest::sha256_of(b"tide");
        store.finish_upload(id, &digest).unwrap();
        assert_eq!(store.blob(&digest).unwrap(), "tide");
        assert_eq!(store.append(id, None, b"s").unwrap_err().code, "BLOB_UPLOAD_UNKNOWN");
    }

    #[test]
    fn an_upload_with_a_wrong_digest_is_forgotten() {
        let mut store = Store::default();
        let id = store.open_upload().unwrap();
        store.append(id, None, b"ebb").unwrap();
        let digest = Digest::sha256_of(b"tide");
        assert_eq!(store.finish_upload(id, &digest).unwrap_err().code, "DIGEST_INVALID");
        assert_eq!(store.blob(&digest).unwrap_err().code, "BLOB_UNKNOWN");
        assert_eq!(store.held, 0);
    }

    #[test]
    fn no_more_is_held_than_the_capacity() {
        let mut store = Store::default();
        let id = store.open_upload().unwrap();
        store.append(id, None, &vec![0; CAPACITY]).unwrap();
        assert_eq!(store.append(id, None, b"1").unwrap_err().status, StatusCode::INSUFFICIENT_STORAGE);
        for _ in 1..MAX_UPLOADS {
            store.open_upload().unwrap();
        }
        assert_eq!(store.open_upload().unwrap_err().status, StatusCode::TOO_MANY_REQUESTS);
    }

    #[test]
    fn the_same_content_again_takes_no_more_room() {
        let mut store = Store::default();
        put(&mut store, "1.0.0", "{}");
        put(&mut store, "1.0.1", "{}");
        for _ in 0..2 {
            let id = store.open_upload().unwrap();
            store.append(id, None, b"tide").unwrap();
            store.finish_upload(id, &Digest::sha256_of(b"tide")).unwrap();
        }
        assert_eq!(store.held, 2 + 4);
    }

    #[test]
    fn pages_follow_each_other_without_a_gap() {
        let mut store = Store::default();
        for name in ["c", "a", "e", "b", "d"] {
            put(&mut store, name, name);
        }
        let first = store.tags("acme/api", Some(2), None).unwrap();
        assert_eq!((names(&first), first.has_more), (vec!["a", "b"], true));
        let second = store.tags("acme/api", Some(2), Some(tag("b"))).unwrap();
        assert_eq!((names(&second), second.has_more), (vec!["c", "d"], true));
        let third = store.tags("acme/api", Some(2), Some(tag("d"))).unwrap();
        assert_eq!((names(&third), third.has_more), (vec!["e"], false));
        let none = store.tags("acme/api", Some(0), None).unwrap();
        assert_eq!((names(&none), none.has_more), (vec![], false));
        assert_eq!(store.tags("acme/web", None, None).unwrap_err().code, "NAME_UNKNOWN");
    }

    #[test]
    fn a_deleted_tag_leaves_its_image_and_a_deleted_image_takes_all_its_tags() {
        let mut store = Store::default();
        let digest = put(&mut store, "1.0.0", "{}");
        put(&mut store, "1.0", "{}");
        put(&mut store, "1", "{}");
        put(&mut store, "other", "[]");
        store.delete_manifest("acme/api", &Reference::Tag(tag("1"))).unwrap();
        let (found, _) = store.manifest("acme/api", &Reference::Digest(digest.clone())).unwrap();
        assert_eq!(found, digest);
        store.delete_manifest("acme/api", &Reference::Digest(digest)).unwrap();
        assert_eq!(names(&store.tags("acme/api", None, None).unwrap()), ["other"]);
        assert_eq!(store.held, 2);
        let again = store.delete_manifest("acme/api", &Reference::Tag(tag("1.0.0")));
        assert_eq!(again.unwrap_err().code, "MANIFEST_UNKNOWN");
    }

    #[test]
    fn a_manifest_pushed_by_a_digest_that_is_not_its_own_is_refused() {
        let mut store = Store::default();
        let manifest = Manifest { media_type: "x/y".into(), body: Bytes::from_static(b"{}") };
        let reference = Reference::Digest(Digest::sha256_of(b"[]"));
        assert_eq!(store.put_manifest("a", reference, manifest).unwrap_err().code, "DIGEST_INVALID");
    }
}
