//! What the images of a repository are: when they were built, and for which platforms.

use std::sync::Arc;

use super::document::{Configuration, Document, Index, Manifest};
use super::fetch;
use super::known::{Known, RepositoryId};
use crate::image::{BuildTime, Digest, ImageFacts, ImageName, Platform, Tag};
use crate::registry::Error;
use crate::registry::session::Session;

/// How much of an image must be known. A registry may count each manifest that is read as a pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Depth {
    /// The platforms: the index, or the manifest and its configuration.
    Platforms,
    /// Also the time of the build: where an index does not tell it, that of its first image.
    BuildTime,
}

/// Looks at the images of one repository.
pub struct Inspector<'a> {
    session: Session<'a>,
    known: &'a Known,
    repository: RepositoryId,
}

impl<'a> Inspector<'a> {
    pub(in crate::registry) fn new(session: Session<'a>, known: &'a Known, image: &ImageName) -> Self {
        let repository = known.repository(image, session.caller());
        Self { session, known, repository }
    }

    /// The digest of the manifest or index that `tag` names now.
    ///
    /// # Errors
    /// Any [`Error`]; [`Error::NotFound`] where the tag is gone.
    pub async fn digest(&self, tag: &Tag) -> Result<Digest, Error> {
        super::digest(&self.session, tag).await
    }

    /// What the image is that `tag` names now. Its digest is asked for each time, by HEAD; the rest is read once for
    /// each digest.
    ///
    /// # Errors
    /// Any [`Error`], where an answer is missing, too large, unreadable, or has not the digest that it should have.
    pub async fn look(&self, tag: &Tag, depth: Depth) -> Result<(Digest, ImageFacts), Error> {
        let digest = self.digest(tag).await?;
        let facts = match self.known.seen(self.repository, tag, &digest, depth) {
            Some(facts) => facts,
            None => {
                let facts = self.read(&digest, depth).await?;
                self.known.learn(self.repository, tag, &digest, depth, facts)
            }
        };
        Ok((digest, facts))
    }

    /// What the image was that `tag` named when it was last asked about, and how many looks, of all repositories, ago
    /// that was; without asking.
    #[must_use]
    pub fn recall(&self, tag: &Tag, depth: Depth) -> Option<(ImageFacts, u32)> {
        self.known.recall(self.repository, tag, depth)
    }

    /// Makes room for what is to be learned of all these tags, so that it can be recalled.
    ///
    /// # Errors
    /// Where there is none: for how many images of all repositories there is.
    pub fn make_room(&self, tags: &[Tag]) -> Result<(), usize> {
        if self.known.make_room(self.repository, tags) { Ok(()) } else { Err(self.known.most()) }
    }

    async fn read(&self, digest: &Digest, depth: Depth) -> Result<ImageFacts, Error> {
        let (built, platforms) = match self.document(digest).await? {
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
        Ok(ImageFacts { built, platforms })
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
