//! Why a registry did not give what it was asked for.

use std::time::Duration;

use crate::api::Reason;
use crate::net;

/// A question to a registry that has no answer.
///
/// Where a variant has `said`, that is the server's own message as `: "…"`, cut and quoted, or empty.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The exchange failed below the protocol.
    #[error(transparent)]
    Net(#[from] net::Error),
    /// Only one of the two switches for plain HTTP is set.
    #[error(
        "{host} is set to plain HTTP by `insecure` of its ClusterImageRegistry, but the operator does not allow that; remove `insecure`, or start the operator with --allow-http"
    )]
    PlainHttpNotAllowed {
        /// The registry.
        host: String,
    },
    /// The name of the image makes no URL.
    #[error("{image} makes no URL for its registry")]
    NoUrl {
        /// The image.
        image: String,
    },
    /// The registry sends its clients to a token server that it may not name.
    #[error("{host} asks for a token from {realm}, {problem}")]
    RealmRefused {
        /// The registry.
        host: String,
        /// Scheme and host of the token server.
        realm: String,
        /// Why it is not asked, and what would change that.
        problem: &'static str,
    },
    /// The registry wants to know who asks.
    #[error(
        "{host} asks for credentials to read {repository}, and none are given; private and missing repositories look alike here{said}"
    )]
    CredentialsMissing {
        /// The registry.
        host: String,
        /// The repository.
        repository: String,
        /// What it says.
        said: String,
    },
    /// The registry does not accept the credentials.
    #[error("{host} does not accept the given credentials for {repository}{said}")]
    CredentialsRefused {
        /// The registry.
        host: String,
        /// The repository.
        repository: String,
        /// What it says.
        said: String,
    },
    /// The registry asks for a way of authentication that is not spoken, or that the credential does not fit.
    #[error("{host} answered 401 but {problem}")]
    NoCommonScheme {
        /// The registry.
        host: String,
        /// What does not fit.
        problem: &'static str,
    },
    /// The token server gives no token.
    #[error(
        "the token server {realm} of {host} refused to give a token for {repository}, with status {status}{said}"
    )]
    TokenRefused {
        /// The registry.
        host: String,
        /// Scheme and host of the token server.
        realm: String,
        /// The repository.
        repository: String,
        /// The HTTP status.
        status: u16,
        /// What it says.
        said: String,
    },
    /// The caller is known but lacks the right.
    #[error("{host} denies access to {repository}{said}")]
    Denied {
        /// The registry.
        host: String,
        /// The repository.
        repository: String,
        /// What it says.
        said: String,
    },
    /// There is no such repository or tag.
    #[error("{host} has no {what}{said}")]
    NotFound {
        /// The registry.
        host: String,
        /// The repository, with the tag where one was asked for.
        what: String,
        /// What it says.
        said: String,
    },
    /// The registry asks for fewer requests.
    #[error("{host} asks for fewer requests{}", wait(*retry_after))]
    RateLimited {
        /// The registry.
        host: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The server failed.
    #[error("{host} answered with status {status}{said}")]
    Server {
        /// The registry or its token server.
        host: String,
        /// The HTTP status.
        status: u16,
        /// What it says.
        said: String,
    },
    /// The answer is a redirect.
    #[error("{host} redirected to {target}, which is not followed")]
    Redirected {
        /// The registry or its token server.
        host: String,
        /// The host it points to.
        target: String,
    },
    /// The answer is not what the protocol says.
    #[error("the answer of {host} breaks the protocol: {problem}")]
    Protocol {
        /// The registry or its token server.
        host: String,
        /// Where.
        problem: String,
    },
    /// The list went beyond a cap.
    #[error("the tags of {repository} at {host} are too many: {problem}")]
    TooLarge {
        /// The registry.
        host: String,
        /// The repository.
        repository: String,
        /// Which cap.
        problem: String,
    },
}

impl Error {
    /// The word for conditions, events and metrics.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Net(error) => error.reason(),
            Self::PlainHttpNotAllowed { .. } => Reason::NotAllowed,
            Self::TooLarge { .. } => Reason::TooLarge,
            Self::NoUrl { .. } => Reason::InvalidSpec,
            Self::RealmRefused { .. }
            | Self::CredentialsMissing { .. }
            | Self::CredentialsRefused { .. }
            | Self::NoCommonScheme { .. }
            | Self::TokenRefused { .. } => Reason::AuthenticationFailed,
            Self::Denied { .. } => Reason::AccessDenied,
            Self::NotFound { .. } => Reason::ImageNotFound,
            Self::RateLimited { .. } => Reason::RateLimited,
            Self::Server { .. } | Self::Redirected { .. } | Self::Protocol { .. } => Reason::ServerError,
        }
    }

    /// How long the registry asked to be left alone; at most six hours.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        if let Self::RateLimited { retry_after, .. } = self { *retry_after } else { None }
    }
}

fn wait(retry_after: Option<Duration>) -> String {
    retry_after.map(|time| format!("; it asks to wait {} s", time.as_secs())).unwrap_or_default()
}
