//! Files that are not read, as whoever looks at a repo by hand is told of them.

use super::plan::FileProblem;
use crate::edit::{MAX_FILE_BYTES, Problem, ProblemReason};

/// A file that might hold an image version, and is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// The path, with `/`.
    pub path: String,
    /// Why.
    pub why: NotRead,
}

/// Why a file is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotRead {
    /// It is a symbolic link to this, which no file that is looked at is.
    Link {
        /// What the link says.
        to: String,
    },
    /// It has more bytes than are read.
    TooLarge,
    /// Its name, or that of the folder it is, has a control character or a backslash, or is not UTF-8.
    Name,
    /// It, or the folder it is, can not be read.
    Unreadable {
        /// What the system says.
        error: String,
    },
}

impl Unread {
    /// Whether it should have been read.
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        matches!(self.why, NotRead::Unreadable { .. })
    }

    /// What is to be told of it.
    #[must_use]
    pub fn problem(&self) -> FileProblem {
        let (reason, message) = match &self.why {
            NotRead::Link { to } => (
                ProblemReason::Symlink,
                format!("the file is a link to {to}, which is not followed and not looked at by itself"),
            ),
            NotRead::TooLarge => (
                ProblemReason::TooLarge,
                format!(
                    "the file is far larger than the {MAX_FILE_BYTES} bytes up to which files are written, and is not read"
                ),
            ),
            NotRead::Name => (
                ProblemReason::FileName,
                "the file is passed over: its name has a control character or a backslash, or is not UTF-8"
                    .to_owned(),
            ),
            NotRead::Unreadable { error } => {
                (ProblemReason::Unreadable, format!("it can not be read, and is passed over: {error}"))
            }
        };
        FileProblem { file: self.path.clone(), problem: Problem { line: 1, reason, message, policy: None } }
    }
}
