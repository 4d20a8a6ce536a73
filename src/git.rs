//! Reading and writing one branch of a Git repository, at the cost of what changed.
//!
//! libgit2 is the object database; the wire is ours. There is no work tree: a commit is read object by object, and a new
//! one is made from the blobs that differ. For a server the objects are in a mirror, a folder of the cache that may be
//! deleted at any time; a local bare repository is read and written in place.
//!
//! The way of one commit: [`Branch::bring_up_to_date`] → [`Branch::snapshot`] → [`Snapshot::changed_files`] →
//! [`Branch::publish`].

mod authorization;
mod branch;
mod budget;
mod commit;
mod coverage;
mod credentials;
mod draft;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod github_app;
mod handle;
mod head;
#[cfg(test)]
mod hostile_packs;
mod http;
mod id;
mod ignored;
mod lacking;
mod leftovers;
mod libgit2;
mod lineage;
mod local;
mod mirror;
mod openpgp;
mod origin;
mod regrown;
mod room;
mod signer;
mod snapshot;
mod ssh;
mod transport;
mod url;
mod wire;
mod work_tree;

pub use branch::{BranchName, InvalidBranch};
pub use budget::Loan;
pub use coverage::{Coverage, FileFilter};
pub use credentials::{GitSecret, InvalidGitSecret, proxy_from_secret};
pub use draft::{Draft, DraftCommit, FileEdit, Start};
pub use error::Error;
pub use github_app::{AppError, GitHubApp};
pub use handle::{Branch, Published, RemoteAccess};
pub use head::head_branch;
pub use id::{BlobId, CommitId, TreeId};
pub use ignored::Ignored;
pub use leftovers::remove_mirrors_except;
pub use openpgp::InvalidOpenPgpKey;
pub use origin::{Origin, origin};
pub use room::Room;
pub use signer::Signer;
pub use snapshot::{FileChange, Snapshot};
pub use ssh::{InvalidKnownHosts, SshError, SshSecret, UntrustedHost};
pub use url::{InvalidUrl, RepositoryUrl, SshUrl};
pub use wire::WireError;
pub use work_tree::WorkTree;
