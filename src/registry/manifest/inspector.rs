//! What the images of a repository are: when they were built, and for which platforms.

use std::sync::Arc;

use tokio::time::Instant;

use super::document::{Configuration, Document, Index, Manifest};
use super::fetch;
use crate::image::{BuildTime, Digest, ImageFacts, ImageName, Platform, Tag};
use crate::registry::Error;
use crate::registry::recent::Recent;
use crate::registry::session::Session;

/// How much of an image must be known. A registry may count each manifest that is read as a pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Depth {
    /// The platforms: the index, or the manifest and its configuration.
    Platforms,
    /// Also the time of the build: where an index does not tell it, that of its first image.
    BuildTime,
}

/// What was learned of images, for all repositories. What has a digest never changes; which digest a tag has may.
pub(in crate::registry) struct Known {
    facts: Recent<(Repository, Digest, Depth), ImageFacts>,
    tags: Recent<(Repository, Tag), (Digest, Instant)>,
}

/// A repository as one caller sees it. The caller is part of it, so that nobody learns from what others may read; by a hash,
/// as one can have a password of a megabyte, and tens of thousands of them in a row.
type Repository = Arc<(ImageName, u64)>;

impl Default for Known {
    /// About 10 MB when full.
    fn default() -> Self {
        Self { facts: Recent::new(20_000), tags: Recent::new(50_000) }
    }
}

/// Looks at the images of one repository.
pub struct Inspector<'a> {
    session: Session<'a>,
    known: &'a Known,
    repository: Repository,
}

impl<'a> Inspector<'a> {
    pub(in crate::registry) fn new(session: Session<'a>, known: &'a Known, image: &ImageName) -> Self {
        let repository = Arc::new((image.clone(), session.caller()));
        Self { session, known, repository }
    }

    /// The digest of the manifest or index that `tag` names now.
    ///
    /// # Errors
    /// Any [`Error`]; [`Error::NotFound`] where the tag is gone.
    pub async fn digest(&self, tag: &Tag) -> Result<Digest, Error> {
        let digest = super::digest(&self.session, tag).await?;
        self.known.tags.insert((Arc::clone(&self.repository), tag.clone()), (digest.clone(), Instant::now()));
        Ok(digest)
    }

    /// What the image is that `tag` names now. Its digest is asked for each time, by HEAD; the rest is read once for
    /// each digest.
    ///
    /// # Errors
    /// Any [`Error`], where an answer is missing, too large, unreadable, or has not the digest that it should have.
    pub async fn look(&self, tag: &Tag, depth: Depth) -> Result<ImageFacts, Error> {
        let digest = self.digest(tag).await?;
        if let Some(facts) = self.facts(&digest, depth) {
            return Ok(facts);
        }
        let facts = self.read(digest.clone(), depth).await?;
        self.known.facts.insert((Arc::clone(&self.repository), digest, depth), facts.clone());
        Ok(facts)
    }

    /// What the image was that `tag` named when it was last asked about, and when that was; without asking.
    #[must_use]
    pub fn recall(&self, tag: &Tag, depth: Depth) -> Option<(ImageFacts, Instant)> {
        let (digest, at) = self.known.tags.get(&(Arc::clone(&self.repository), tag.clone()))?;
        Some((self.facts(&digest, depth)?, at))
    }

    fn facts(&self, digest: &Digest, depth: Depth) -> Option<ImageFacts> {
        self.known.facts.get(&(Arc::clone(&self.repository), digest.clone(), depth))
    }

    async fn read(&self, digest: Digest, depth: Depth) -> Result<ImageFacts, Error> {
        let (built, platforms) = match self.document(&digest).await? {
            Document::Index(Index { platforms, built, first }) => {
                let built = match (built, first, depth) {
                    (Some(_), _, _) | (_, None, _) | (_, _, Depth::Platforms) => built,
                    (None, Some(first), Depth::BuildTime) => self.built(&first).await?,
                };
                (built, platforms)
            }
            Document::Manifest(manifest) => {
                let configuration = self.configuration(&manifest).await?;
                let (built, platform) = configuration.map_or((None, None), |c| (c.built, c.platform));
                (manifest.built.or(built), platform.into_iter().collect::<Arc<[Platform]>>())
            }
            Document::Other => (None, Arc::default()),
        };
        Ok(ImageFacts { digest, built, platforms })
    }

    /// When one image of an index was built.
    async fn built(&self, digest: &Digest) -> Result<Option<BuildTime>, Error> {
        let Document::Manifest(manifest) = self.document(digest).await? else { return Ok(None) };
        if manifest.built.is_some() {
            return Ok(manifest.built);
        }
        Ok(self.configuration(&manifest).await?.and_then(|configuration| configuration.built))
    }

    async fn document(&self, digest: &Digest) -> Result<Document, Error> {
        let json = fetch::manifest(&self.session, digest).await?;
        Document::read(&json).map_err(|error| self.unreadable("manifest", digest, &error))
    }

    async fn configuration(&self, manifest: &Manifest) -> Result<Option<Configuration>, Error> {
        let Some(digest) = &manifest.configuration else { return Ok(None) };
        let json = fetch::configuration(&self.session, digest).await?;
        let read = Configuration::read(&json);
        read.map(Some).map_err(|error| self.unreadable("configuration", digest, &error))
    }

    /// The parser's own words are left out: they may quote what was sent.
    fn unreadable(&self, what: &str, digest: &Digest, error: &serde_json::Error) -> Error {
        let (line, column) = (error.line(), error.column());
        self.session.protocol_error(format!(
            "the {what} {}@{digest} can not be read at line {line}, column {column}",
            self.session.repository()
        ))
    }
}
