//! What a server is told of who asks.

use reqwest::header::HeaderValue;

use super::github_app::{AppError, AppTokens};

/// What a server is told of who asks.
pub(super) enum Authorization {
    /// Nothing.
    Nobody,
    /// The same header each time.
    Fixed(HeaderValue),
    /// The token of a GitHub App.
    App(Box<AppTokens>),
}

impl Authorization {
    /// The Authorization header; `refused` is one that the server did not take.
    pub(super) async fn header(
        &self,
        refused: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, AppError> {
        match self {
            Self::Nobody => Ok(None),
            Self::Fixed(header) => Ok(Some(header.clone())),
            Self::App(tokens) => tokens.header(refused).await.map(Some),
        }
    }

    /// Whether another header may be taken where one was refused.
    pub(super) const fn renews(&self) -> bool {
        match self {
            Self::Nobody | Self::Fixed(_) => false,
            Self::App(_) => true,
        }
    }
}
