//! What can go wrong with Git.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ssh::SshError;
use super::wire::WireError;
use super::{BranchName, InvalidBranch, InvalidGitSecret, InvalidUrl};
use crate::api::Reason;

/// Why a repository could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `spec.url` is no address of a repository.
    #[error(transparent)]
    Url(#[from] InvalidUrl),
    /// `spec.branch` is no branch name.
    #[error("spec.branch: {0}")]
    Branch(#[from] InvalidBranch),
    /// The operator's flags forbid what the object asks for.
    #[error("{0}")]
    NotAllowed(String),
    /// The Secret does not hold what is needed.
    #[error(transparent)]
    Secret(#[from] InvalidGitSecret),
    /// No client can be made with these settings.
    #[error(transparent)]
    Net(#[from] crate::net::Error),
    /// The wire failed.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The server has no such branch.
    #[error(
        "the repository has no branch {branch}; push a first commit to it, or name another branch in spec.branch"
    )]
    BranchNotFound {
        /// The branch.
        branch: BranchName,
    },
    /// A folder of the cache can not be used.
    #[error("the cache {} can not be used: {problem}", .path.display())]
    Cache {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Others hold the memory that the work needs.
    #[error("the work on other repositories takes up the memory; it is tried again by itself")]
    Crowded,
    /// A `file://` address that names no bare repository.
    #[error("{} is no repository to write to: {problem}", .path.display())]
    NotARepository {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Another process holds the branch, or held it when it was killed.
    #[error("the branch stays locked by {}; where no process of Git is at work there, one was killed: remove that file", .path.display())]
    Locked {
        /// The lock.
        path: PathBuf,
    },
    /// Objects of the repository can not be read or written.
    #[error("objects can not be {step}: {problem}")]
    Objects {
        /// What was being done.
        step: &'static str,
        /// libgit2's words.
        problem: String,
    },
    /// The commit itself, without its files, is larger than one that is read.
    #[error(
        "the commit's message and headers have more than {most} bytes, and are not read; once another commit stands on top, all goes on"
    )]
    LongCommit {
        /// How many are read.
        most: usize,
    },
    /// The commit's folders hold more than is read.
    #[error("the commit has more than {most} {what}, and is not read")]
    TooLarge {
        /// How many are read.
        most: usize,
        /// Of what.
        what: &'static str,
    },
    /// The files that are read hold more than is borne.
    #[error(
        "the files that spec.paths admits have more than {most} {what} in all; let spec.paths name fewer files"
    )]
    TooMuch {
        /// How many are borne.
        most: usize,
        /// Of what.
        what: &'static str,
    },
    /// The commit would change nothing.
    #[error("the commit would change nothing")]
    NothingChanges,
    /// The commit could not be signed; an unsigned one is not made instead.
    #[error("the commit can not be signed: {0}")]
    NotSigned(String),
    /// A task of the process broke off.
    #[error("the work on the repository broke off: {0}")]
    Interrupted(String),
}

impl Error {
    pub(super) fn objects(step: &'static str, source: git2::Error) -> Self {
        Self::Objects { step, problem: source.message().to_owned() }
    }

    pub(super) fn cache(path: &Path, error: &std::io::Error) -> Self {
        Self::Cache { path: path.to_owned(), problem: error.to_string() }
    }

    /// The word for conditions, events and metrics.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Url(_) | Self::Branch(_) | Self::NotARepository { .. } => Reason::InvalidSpec,
            Self::NotAllowed(_) => Reason::NotAllowed,
            Self::Secret(_) | Self::NotSigned(_) => Reason::SecretInvalid,
            Self::BranchNotFound { .. } => Reason::BranchNotFound,
            Self::Cache { .. } | Self::Crowded | Self::Locked { .. } | Self::Objects { .. } => {
                Reason::MirrorFailed
            }
            Self::LongCommit { .. } | Self::TooLarge { .. } | Self::TooMuch { .. } => Reason::TooLarge,
            Self::NothingChanges | Self::Interrupted(_) => Reason::InternalError,
            Self::Net(error) => error.reason(),
            Self::Wire(error) => match error {
                WireError::Net(error) => error.reason(),
                WireError::App(error) => error.reason(),
                WireError::Ssh(SshError::Host(_)) => Reason::HostKeyRejected,
                WireError::Ssh(SshError::Refused { .. }) => Reason::AuthenticationFailed,
                WireError::CutShort | WireError::Ssh(_) => Reason::Unreachable,
                WireError::AuthenticationFailed { .. } => Reason::AuthenticationFailed,
                WireError::AccessDenied(_) | WireError::RepositoryNotFound => Reason::AccessDenied,
                WireError::RateLimited { .. } => Reason::RateLimited,
                WireError::TooMany { .. } => Reason::TooLarge,
                WireError::Status { .. }
                | WireError::LeftOut { .. }
                | WireError::Redirected { .. }
                | WireError::NotPktLine
                | WireError::Server(_)
                | WireError::Unsupported(_) => Reason::ServerError,
            },
        }
    }

    /// How long the server wants to be left alone, where it says so.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Wire(WireError::RateLimited { retry_after, .. }) => *retry_after,
            Self::Wire(WireError::App(error)) => error.retry_after(),
            _ => None,
        }
    }

    /// Whether the mirror may be at fault, so that starting it over may help.
    #[must_use]
    pub const fn is_of_mirror(&self) -> bool {
        matches!(self, Self::Objects { .. })
    }
}
