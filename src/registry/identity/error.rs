//! Why a cloud gave no credential.

use super::Cloud;
use crate::api::{ObjectKey, Reason};
use crate::net;

/// A credential that a cloud did not give.
///
/// Where a variant has `said`, that is the server's own message as `: "…"`, cut and quoted, or empty.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The image is at none of this cloud's registries.
    #[error(
        "{image} is not at a registry of {}, and its credentials are sent nowhere else; remove `provider`, or name the one of this registry",
        cloud.registries()
    )]
    ElsewhereHost {
        /// The image.
        image: String,
        /// The cloud.
        cloud: Cloud,
    },
    /// A ServiceAccount does not say who it is in the cloud.
    #[error("the ServiceAccount {account} has no annotation {name}, which says who it is in the cloud")]
    Annotation {
        /// The ServiceAccount.
        account: ObjectKey,
        /// The annotation.
        name: &'static str,
    },
    /// An annotation or a variable does not hold what it should.
    #[error("{name} is not {wanted}")]
    Malformed {
        /// The annotation or the variable.
        name: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
    /// Kubernetes gave no token of the ServiceAccount.
    #[error("no token of the ServiceAccount {account} can be had: {problem}")]
    AccountToken {
        /// The ServiceAccount.
        account: ObjectKey,
        /// Why.
        problem: String,
    },
    /// A file with a token, which a variable names, can not be read.
    #[error("the file that {variable} names can not be read: {problem}")]
    File {
        /// The variable.
        variable: &'static str,
        /// Why.
        problem: String,
    },
    /// The cloud's metadata service does not answer: the operator does not run in this cloud, or has no identity there.
    #[error(
        "the operator has no identity in {}: no variable of its pod names one, and the metadata service gives none: {problem}",
        cloud.name()
    )]
    NoIdentity {
        /// The cloud.
        cloud: Cloud,
        /// What the metadata service did.
        problem: String,
    },
    /// The exchange failed below the protocol.
    #[error(transparent)]
    Net(#[from] net::Error),
    /// A server of the cloud refuses.
    #[error("{server} refused to give a credential, with status {status}{said}")]
    Refused {
        /// The server.
        server: String,
        /// The HTTP status.
        status: u16,
        /// What it says.
        said: String,
    },
    /// An answer is not what the cloud's documentation says.
    #[error("the answer of {server} {problem}")]
    Answer {
        /// The server.
        server: String,
        /// What is wrong.
        problem: &'static str,
    },
}

impl IdentityError {
    /// The word for conditions, events and metrics.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::ElsewhereHost { .. } => Reason::InvalidSpec,
            Self::Annotation { .. }
            | Self::Malformed { .. }
            | Self::AccountToken { .. }
            | Self::File { .. }
            | Self::NoIdentity { .. } => Reason::AuthenticationFailed,
            Self::Net(error) => error.reason(),
            Self::Refused { status: 429, .. } => Reason::RateLimited,
            Self::Refused { status: 500..=599, .. } | Self::Answer { .. } => Reason::ServerError,
            Self::Refused { .. } => Reason::AuthenticationFailed,
        }
    }
}

impl Cloud {
    const fn name(self) -> &'static str {
        match self {
            Self::Aws => "AWS",
            Self::Gcp => "Google Cloud",
            Self::Azure => "Azure",
        }
    }

    const fn registries(self) -> &'static str {
        match self {
            Self::Aws => "AWS (ACCOUNT.dkr.ecr.REGION.amazonaws.com or public.ecr.aws)",
            Self::Gcp => "Google Cloud (gcr.io or REGION-docker.pkg.dev)",
            Self::Azure => "Azure (NAME.azurecr.io)",
        }
    }
}
