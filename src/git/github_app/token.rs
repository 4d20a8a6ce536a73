//! Tokens: asked for once for all who wait, and kept until shortly before they end.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{RequestBuilder, Url};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::Mutex;

use super::GitHubApp;
use super::secret::Target;
use crate::api::Reason;
use crate::git::InvalidGitSecret;
use crate::git::wire::cleaned;
use crate::net::{Connections, Limits, read_capped, retry_after};

/// The most bytes of an answer; GitHub's have some kilobytes.
const MAX_ANSWER: u64 = 256 << 10;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long before its end a token is not used any more: a push may take some minutes.
const SPARE: SignedDuration = SignedDuration::from_mins(5);

/// How long a signed request is good for; GitHub takes at most ten minutes.
const SIGNED_FOR: SignedDuration = SignedDuration::from_mins(9);

/// How far GitHub's clock may be behind.
const CLOCK_DRIFT: SignedDuration = SignedDuration::from_mins(1);

/// Trades the key of one App for tokens for one repository.
pub(in crate::git) struct AppTokens {
    connections: Connections,
    client: reqwest::Client,
    app: GitHubApp,
    key: RsaKeyPair,
    target: Target,
    kept: Mutex<Option<Token>>,
}

/// A token as it is sent to the Git host.
struct Token {
    header: HeaderValue,
    until: Timestamp,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// No answer.
    #[error(transparent)]
    Net(#[from] crate::net::Error),
    /// 401.
    #[error("GitHub does not take the App's id and private key: {0}")]
    KeyRefused(String),
    /// 403, 404 or 422.
    #[error(
        "GitHub gives the App no token for {repository} (status {status}): {words}; is it installed there?"
    )]
    NoAccess {
        /// Owner and name.
        repository: String,
        /// The HTTP status.
        status: u16,
        /// What GitHub says.
        words: String,
    },
    /// 429, or 403 with a time to wait.
    #[error("GitHub asks for fewer requests (status {status})")]
    RateLimited {
        /// The HTTP status.
        status: u16,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// Any other answer.
    #[error("the API that gives out the App's tokens answers with status {status}: {words}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// What it says.
        words: String,
    },
    /// An answer that is none of GitHub's.
    #[error("the API that gives out the App's tokens answers with something else; is it GitHub's?")]
    Unreadable,
    /// The private key does not sign.
    #[error("the App's private key can not sign")]
    Unsigned,
}

impl AppError {
    /// The word for conditions, events and metrics.
    pub(in crate::git) const fn reason(&self) -> Reason {
        match self {
            Self::Net(error) => error.reason(),
            Self::KeyRefused(_) => Reason::AuthenticationFailed,
            Self::NoAccess { .. } => Reason::AccessDenied,
            Self::RateLimited { .. } => Reason::RateLimited,
            Self::Status { .. } | Self::Unreadable => Reason::ServerError,
            Self::Unsigned => Reason::SecretInvalid,
        }
    }

    /// How long GitHub wants to be left alone, where it says so.
    pub(in crate::git) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

#[derive(Deserialize)]
struct Installation {
    id: u64,
}

#[derive(Deserialize)]
struct AccessToken {
    token: String,
    expires_at: Timestamp,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

impl AppTokens {
    /// The tokens for the repository at `url`. Nothing is asked for yet.
    ///
    /// # Errors
    /// `InvalidGitSecret` where the private key can not be read, or the address is none of a repository on GitHub.
    pub(in crate::git) fn new(
        connections: Connections,
        client: reqwest::Client,
        app: &GitHubApp,
        url: &Url,
    ) -> Result<Self, InvalidGitSecret> {
        let (key, target) = (app.key()?, app.target(url)?);
        Ok(Self { connections, client, app: app.clone(), key, target, kept: Mutex::new(None) })
    }

    /// The Authorization header for the Git host; `refused` is one that it did not take, which is not given again.
    pub(in crate::git) async fn header(
        &self,
        refused: Option<&HeaderValue>,
    ) -> Result<HeaderValue, AppError> {
        let mut kept = self.kept.lock().await;
        let now = Timestamp::now();
        if let Some(token) = kept.as_ref()
            && Some(&token.header) != refused
            && now + SPARE < token.until
        {
            return Ok(token.header.clone());
        }
        let fresh = self.trade(now).await?;
        Ok(kept.insert(fresh).header.clone())
    }

    async fn trade(&self, now: Timestamp) -> Result<Token, AppError> {
        let Target { api, owner, repository } = &self.target;
        let signed = self.sign(now)?;
        let installation = match &self.app.installation {
            Some(id) => id.clone(),
            None => {
                let look_up = self.client.get(format!("{api}/repos/{owner}/{repository}/installation"));
                self.ask::<Installation>(look_up, &signed).await?.id.to_string()
            }
        };
        let body = json!({ "repositories": [repository] }).to_string();
        let trade = self.client.post(format!("{api}/app/installations/{installation}/access_tokens"));
        let answer: AccessToken = self.ask(trade.body(body), &signed).await?;
        let login = STANDARD.encode(format!("x-access-token:{}", answer.token));
        let mut header =
            HeaderValue::from_str(&format!("Basic {login}")).map_err(|_| AppError::Unreadable)?;
        header.set_sensitive(true);
        Ok(Token { header, until: answer.expires_at })
    }

    /// A JSON Web Token (RFC 7519) that says who asks, signed by RS256 (RFC 7518, 3.3).
    fn sign(&self, now: Timestamp) -> Result<String, AppError> {
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = part(json!({ "alg": "RS256", "typ": "JWT" }));
        let (from, until) = (now - CLOCK_DRIFT, now + SIGNED_FOR);
        let claims = json!({ "iat": from.as_second(), "exp": until.as_second(), "iss": self.app.id });
        let text = format!("{header}.{}", part(claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
            .map_err(|_| AppError::Unsigned)?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder, signed: &str) -> Result<T, AppError> {
        let mut bearer =
            HeaderValue::from_str(&format!("Bearer {signed}")).map_err(|_| AppError::Unsigned)?;
        bearer.set_sensitive(true);
        let request = request
            .header(AUTHORIZATION, bearer)
            .header(ACCEPT, "application/vnd.github+json")
            .header("x-github-api-version", "2022-11-28");
        let limits = Limits::new(MAX_ANSWER, PATIENCE, PATIENCE);
        let response = self.connections.send(&self.client, request, &limits).await?;
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers(), Timestamp::now());
        let body = read_capped(response, limits).await?;
        if matches!(status, 200 | 201) {
            return serde_json::from_slice(&body).map_err(|_| AppError::Unreadable);
        }
        let said = serde_json::from_slice(&body).map(|Refusal { message }| message).unwrap_or_default();
        // A host that repeats what it was sent must not make it known.
        let words = cleaned(said.replace(signed, "…").as_bytes());
        Err(match status {
            401 => AppError::KeyRefused(words),
            403 | 429 if status == 429 || retry_after.is_some() => {
                AppError::RateLimited { status, retry_after }
            }
            403 | 404 | 422 => {
                let repository = format!("{}/{}", self.target.owner, self.target.repository);
                AppError::NoAccess { repository, status, words }
            }
            _ => AppError::Status { status, words },
        })
    }
}
