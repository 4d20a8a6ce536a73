//! What tags a registry has, and what image a tag names: the pull side of the OCI distribution specification.
//!
//! One [`Client`] serves the whole process. A `Session` is one repository seen with one
//! [`Access`]; it knows how to authenticate, and `listing` and `manifest` ask their questions through it.

mod access;
mod challenge;
mod client;
mod error;
mod form;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod identity;
mod kept;
mod link;
mod listing;
mod manifest;
mod pace;
mod page_size;
mod pull_secret;
mod rate_limit;
mod realm;
mod refusal;
mod session;
mod tag_list;
mod token;
pub mod webhook;

pub use access::{Access, Credential, HostSettings};
pub use client::Client;
pub use error::Error;
pub use identity::{Account, Cloud, Identities, IdentityError, TokenSource, Variables};
pub use listing::{ListVersion, Listed, Listing};
pub use manifest::{Depth, Inspector};
pub use pull_secret::{CredentialError, credential_from_secret};
pub use realm::is_realm_host;
