//! Asking as a GitHub App: its private key is traded for a token that is good for an hour.
//!
//! By GitHub's documentation, "Authenticating as a GitHub App installation". The key goes nowhere; what it signed goes to
//! the API, and the token to the Git host. A token is asked for one repository alone.

mod secret;
mod token;

pub use secret::GitHubApp;
pub use token::AppError;
pub(super) use token::AppTokens;
