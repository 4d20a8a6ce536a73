//! What is kept of the files of a tree, and how much that may be.

use std::collections::BTreeMap;

use crate::edit::{ChartSource, FileSites};
use crate::engine::plan::{Known, Wishes};
use crate::git::{BlobId, Error};

/// The most places of one tree, good and bad ones together.
const MAX_PLACES: usize = if cfg!(test) { 100 } else { 200_000 };

const TOO_MANY_PLACES: Error = Error::TooMuch { most: MAX_PLACES, what: "places of versions" };

/// The most bytes of what these places hold, of all of them together.
const MAX_TEXT: usize = if cfg!(test) { 10_000 } else { 16 << 20 };

const TOO_MUCH_TEXT: Error = Error::TooMuch { most: MAX_TEXT, what: "bytes in the places of versions" };

/// A file with at least one site or problem.
#[derive(Debug)]
pub(in crate::engine) struct IndexedFile {
    pub(in crate::engine) blob: BlobId,
    pub(super) found: Found,
    /// Whether it names charts whose sources may be in other files.
    pub(super) has_charts: bool,
}

/// What a file holds.
#[derive(Debug)]
pub(super) enum Found {
    Sites(Box<FileSites>),
    /// One marker, for a policy that was not there. A repo may hold one for every app of a company, and this be one team's
    /// view of it: no more is kept than is told of such a file. It is read again when its policy comes to be.
    Elsewhere {
        line: u32,
        policy: Box<str>,
    },
}

impl IndexedFile {
    pub(super) fn new(blob: BlobId, mut found: FileSites, has_charts: bool, wishes: &Wishes) -> Self {
        let elsewhere = found.sole_marker().filter(|(_, policy)| !wishes.contains_key(policy));
        let found = match elsewhere.and_then(|(line, policy)| Some((u32::try_from(line).ok()?, policy))) {
            Some((line, policy)) => Found::Elsewhere { line, policy: policy.to_string().into() },
            None => {
                // Most files hold one site; the room that a growing list reserves would be most of the index.
                found.sites.shrink_to_fit();
                found.problems.shrink_to_fit();
                Found::Sites(Box::new(found))
            }
        };
        Self { blob, found, has_charts }
    }

    /// The sources of charts that it holds.
    pub(super) fn chart_sources(&self) -> &[ChartSource] {
        match &self.found {
            Found::Sites(found) => found.chart_sources(),
            Found::Elsewhere { .. } => &[],
        }
    }

    /// What is known of the file.
    pub(in crate::engine) fn known(&self) -> Known<'_> {
        match &self.found {
            Found::Sites(found) => Known::Sites(found),
            Found::Elsewhere { line, policy } => Known::Elsewhere { line: (*line).into(), policy },
        }
    }

    /// How many places are kept of it, and how many bytes of what they hold.
    fn weight(&self) -> (usize, usize) {
        match &self.found {
            Found::Elsewhere { policy, .. } => (1, policy.len()),
            Found::Sites(found) => {
                let values = found.sites.iter().map(|site| site.value.len());
                let messages = found.problems.iter().map(|problem| problem.message.len());
                let places = found.sites.len() + found.problems.len() + found.chart_sources().len();
                let sources = found.chart_sources().iter().map(ChartSource::size);
                (places, values.chain(messages).chain(sources).sum())
            }
        }
    }
}

/// The files with at least one site or problem, by path, and what they weigh together: a tree can name one file by any
/// number of paths, and is held in memory for as long as its repository is looked after.
#[derive(Debug, Default)]
pub(super) struct KeptFiles {
    files: BTreeMap<Box<str>, IndexedFile>,
    places: usize,
    text: usize,
}

impl KeptFiles {
    pub(super) const fn all(&self) -> &BTreeMap<Box<str>, IndexedFile> {
        &self.files
    }

    /// Keeps a file in place of what was kept of this path.
    ///
    /// # Errors
    /// `Error::TooMuch` where all files hold more than is kept.
    pub(super) fn insert(&mut self, path: Box<str>, file: IndexedFile) -> Result<(), Error> {
        self.remove(&path);
        let (places, text) = file.weight();
        (self.places, self.text) = (self.places + places, self.text + text);
        self.files.insert(path, file);
        if self.places > MAX_PLACES {
            return Err(TOO_MANY_PLACES);
        }
        if self.text > MAX_TEXT { Err(TOO_MUCH_TEXT) } else { Ok(()) }
    }

    pub(super) fn remove(&mut self, path: &str) {
        let Some(file) = self.files.remove(path) else { return };
        let (places, text) = file.weight();
        (self.places, self.text) = (self.places - places, self.text - text);
    }
}
