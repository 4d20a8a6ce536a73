//! Whether a delivery carries an identity token of the right account (OpenID Connect Core 1.0, 3.1.3.7; keys by Discovery
//! 1.0). This is how Pub/Sub proves itself ("Authentication for push subscriptions", Pub/Sub documentation).

use std::collections::HashMap;
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};
use std::time::Duration;

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result as JwtResult};
use jsonwebtoken::jwk::{AlgorithmParameters, JwkSet};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, Validation, decode, decode_header};
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::api::OidcCaller;
use crate::net::{self, ClientSettings, Connections, Limits, read_capped};

/// The most that is read of an issuer's answer, in bytes.
const MAX_ANSWER: u64 = 256 * 1024;

/// How long an issuer may take.
const TIME: Duration = Duration::from_secs(10);

/// How long keys are used before they are read again. Issuers announce new ones for longer than this.
const KEPT: Duration = Duration::from_secs(60 * 60);

/// How long they are used where the issuer can not be asked again.
const KEPT_UNASKED: Duration = Duration::from_secs(24 * 60 * 60);

/// How long an issuer is left alone, whether it gave its keys or not: strangers can make up any number of unknown ones.
const LEAST_PAUSE: Duration = Duration::from_secs(60);

/// How far clocks may differ, in seconds.
const LEEWAY: u64 = 60;

/// Why a token proves nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OidcError {
    /// There is none, or not a good one.
    #[error("the identity token {0}")]
    Token(&'static str),
    /// The operator's flags forbid this issuer.
    #[error("webhook.oidc.issuer is not https, which the operator allows only with --allow-http")]
    PlainHttp,
    /// The issuer's keys can not be had.
    #[error("the keys of {issuer} can not be had: {problem}")]
    Issuer {
        /// The issuer.
        issuer: String,
        /// Why.
        problem: String,
    },
}

impl OidcError {
    /// Whether the sender is at fault, so that sending again is of no use.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Token(_))
    }
}

impl From<net::Error> for Problem {
    fn from(error: net::Error) -> Self {
        Self(error.to_string())
    }
}

/// What is wrong with an issuer's answer.
struct Problem(String);

/// Checks identity tokens, and keeps the keys of those who sign them.
pub struct Oidc {
    connections: Connections,
    allow_http: bool,
    issuers: SyncMutex<HashMap<String, Arc<Mutex<Issuer>>>>,
}

/// What is known of an issuer.
#[derive(Default)]
struct Issuer {
    /// Its keys, and when they were read.
    keys: Option<(JwkSet, Instant)>,
    /// When it was asked last, and why it did not give its keys then.
    asked: Option<(Instant, Option<OidcError>)>,
}

impl Issuer {
    fn keys_within(&self, age: Duration) -> Option<&JwkSet> {
        self.keys.as_ref().filter(|(_, read)| read.elapsed() <= age).map(|(keys, _)| keys)
    }
}

/// The claims that are looked at besides issuer, audience and times.
#[derive(Deserialize)]
struct Claims {
    email: Option<String>,
    #[serde(default)]
    email_verified: bool,
}

impl Oidc {
    /// Reaches issuers by these connections; over plain HTTP only where that is allowed.
    #[must_use]
    pub fn new(connections: Connections, allow_http: bool) -> Self {
        // Only the first call has an effect, and all say the same.
        let _ = PROVIDER.install_default();
        Self { connections, allow_http, issuers: SyncMutex::default() }
    }

    /// Checks that the bearer token in `headers` was made for `caller` by its issuer.
    ///
    /// # Errors
    /// [`OidcError`]; it quotes nothing of the token.
    pub async fn check(&self, caller: &OidcCaller, headers: &HeaderMap) -> Result<(), OidcError> {
        let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let token = header.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let token = token.ok_or(OidcError::Token("is missing"))?.1.trim();
        let key_id = decode_header(token)
            .ok()
            .filter(|header| header.alg == Algorithm::RS256)
            .and_then(|header| header.kid)
            .ok_or(OidcError::Token("is not one that is signed by RS256 with a named key"))?;
        let key = self.key(&caller.issuer, &key_id).await?;
        let mut wanted = Validation::new(Algorithm::RS256);
        wanted.set_issuer(&[&caller.issuer]);
        wanted.set_audience(&[&caller.audience]);
        wanted.set_required_spec_claims(&["exp", "iss", "aud"]);
        wanted.validate_nbf = true;
        wanted.leeway = LEEWAY;
        let claims =
            decode::<Claims>(token, &key, &wanted).map_err(|error| OidcError::Token(words(&error)))?;
        let claims = claims.claims;
        if !claims.email_verified || claims.email.as_deref() != Some(caller.email.as_str()) {
            return Err(OidcError::Token("is in the name of another account than webhook.oidc.email"));
        }
        Ok(())
    }

    /// A key of an issuer. One reading of its keys at a time, and not for every name that somebody made up.
    async fn key(&self, name: &str, key_id: &str) -> Result<DecodingKey, OidcError> {
        let issuer = {
            let mut issuers = self.issuers.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(issuers.entry(name.to_owned()).or_default())
        };
        let mut issuer = issuer.lock().await;
        let has_key = issuer.keys_within(KEPT).is_some_and(|keys| keys.find(key_id).is_some());
        if !has_key && issuer.asked.as_ref().is_none_or(|(asked, _)| asked.elapsed() > LEAST_PAUSE) {
            let read = self.read_keys(name).await;
            issuer.asked = Some((Instant::now(), read.as_ref().err().cloned()));
            issuer.keys = read.map(|keys| (keys, Instant::now())).ok().or_else(|| issuer.keys.take());
        }
        let key = issuer.keys_within(KEPT_UNASKED).and_then(|keys| keys.find(key_id));
        if let (None, Some((_, Some(error)))) = (key, &issuer.asked) {
            return Err(error.clone());
        }
        key.filter(|key| matches!(key.algorithm, AlgorithmParameters::RSA(_)))
            .and_then(|key| DecodingKey::from_jwk(key).ok())
            .ok_or(OidcError::Token("is signed by a key that its issuer does not have"))
    }

    async fn read_keys(&self, issuer: &str) -> Result<JwkSet, OidcError> {
        #[derive(Deserialize)]
        struct Discovered {
            issuer: String,
            jwks_uri: String,
        }
        let failed = |Problem(problem)| OidcError::Issuer { issuer: issuer.to_owned(), problem };
        let discovery = discovery_of(issuer, self.allow_http)?;
        let found: Discovered = self.read(&discovery).await.map_err(failed)?;
        if found.issuer != issuer {
            return Err(failed(Problem("its configuration names another issuer".to_owned())));
        }
        self.read(&address(&found.jwks_uri, self.allow_http)?).await.map_err(failed)
    }

    async fn read<T: DeserializeOwned>(&self, url: &Url) -> Result<T, Problem> {
        let client = self.connections.client(&ClientSettings::default())?;
        let limits = Limits::new(MAX_ANSWER, TIME, TIME);
        let response = self.connections.send(&client, client.get(url.clone()), &limits).await?;
        let status = response.status();
        if !status.is_success() {
            return Err(Problem(format!("it answered {}", status.as_u16())));
        }
        let body = read_capped(response, limits).await?;
        serde_json::from_slice(&body)
            .map_err(|_| Problem("its answer is not of the documented form".to_owned()))
    }
}

/// Checks that keys could be asked for at the issuer's address, as if the operator allowed plain HTTP. Nobody is asked.
///
/// # Errors
/// [`OidcError`], where it is no such address.
pub fn check_issuer(caller: &OidcCaller) -> Result<(), OidcError> {
    discovery_of(&caller.issuer, true).map(drop)
}

/// Where an issuer says where its keys are (OpenID Connect Discovery 1.0, 4).
fn discovery_of(issuer: &str, allow_http: bool) -> Result<Url, OidcError> {
    address(&format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/')), allow_http)
}

fn address(url: &str, allow_http: bool) -> Result<Url, OidcError> {
    let url = Url::parse(url).map_err(|error| OidcError::Issuer {
        issuer: url.chars().take(200).collect(),
        problem: error.to_string(),
    })?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if allow_http => Ok(url),
        _ => Err(OidcError::PlainHttp),
    }
}

fn words(error: &jsonwebtoken::errors::Error) -> &'static str {
    match error.kind() {
        ErrorKind::ExpiredSignature => "has expired",
        ErrorKind::ImmatureSignature => "is not valid yet",
        ErrorKind::InvalidIssuer => "is of another issuer than webhook.oidc.issuer",
        ErrorKind::InvalidAudience => "is for another audience than webhook.oidc.audience",
        ErrorKind::InvalidSignature => "has a signature that is not its issuer's",
        _ => "can not be read",
    }
}

/// The one algorithm that is accepted, by the cryptography that the process has anyway. It signs nothing.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
    verifier_factory: rs256,
    key_utils: KeyUtils::new_unimplemented(),
};

fn rs256(algorithm: &Algorithm, key: &DecodingKey) -> JwtResult<Box<dyn JwtVerifier>> {
    match (algorithm, key.kind()) {
        (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
            Ok(Box::new(Rs256(RsaPublicKeyComponents { n: n.clone(), e: e.clone() })))
        }
        _ => Err(ErrorKind::UnsupportedAlgorithm.into()),
    }
}

struct Rs256(RsaPublicKeyComponents<Vec<u8>>);

impl Verifier<Vec<u8>> for Rs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let verified = self.0.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature);
        verified.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Rs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}
