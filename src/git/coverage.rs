//! How much of a commit is brought here from a server.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

/// How much of a commit is brought here from a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// All of it.
    Whole,
    /// Its folders, and of its files those that are read.
    Files(FileFilter),
}

/// Which files of a commit are read.
#[derive(Clone)]
pub struct FileFilter {
    rule: String,
    admits: Arc<PathTest>,
    enters: Arc<PathTest>,
}

type PathTest = dyn Fn(&str) -> bool + Send + Sync;

impl FileFilter {
    /// The files for whose paths `admits` says so. `rule` is the text from which that follows: two filters with the same
    /// text are taken for the same, also from one process to the next.
    #[must_use]
    pub fn new(rule: String, admits: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self { rule, admits: Arc::new(admits), enters: Arc::new(|_| true) }
    }

    /// The same, where a folder holds no such file unless `enters` says so of its path.
    #[must_use]
    pub fn entering(self, enters: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self { enters: Arc::new(enters), ..self }
    }
}

impl Coverage {
    /// Whether the file at this path is brought.
    pub(super) fn admits(&self, path: &str) -> bool {
        match self {
            Self::Whole => true,
            Self::Files(filter) => (filter.admits)(path),
        }
    }

    /// Whether the folder at this path may hold a file that is brought.
    pub(super) fn enters(&self, folder: &str) -> bool {
        match self {
            Self::Whole => true,
            Self::Files(filter) => (filter.enters)(folder),
        }
    }

    /// The end of the name of the ref that remembers the commit of which this much is here.
    pub(super) fn tip_name(&self) -> String {
        match self {
            Self::Whole => "tip".to_owned(),
            Self::Files(filter) => {
                let hash = Sha256::digest(filter.rule.as_bytes());
                let name: String = hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
                format!("files/{name}")
            }
        }
    }
}

impl fmt::Debug for FileFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileFilter").field(&self.rule).finish()
    }
}

impl PartialEq for FileFilter {
    fn eq(&self, other: &Self) -> bool {
        self.rule == other.rule
    }
}

impl Eq for FileFilter {}
