//! Credentials that a cloud hands out to the operator, or to a ServiceAccount.
//!
//! What a cloud gives is sent to this cloud's own registries and nowhere else: an image at any other host is an error
//! before anything is asked for.

mod aws;
mod azure;
mod error;
mod exchange;
mod gcp;
mod signature;
mod variables;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Credential;
use super::kept::{Fresh, Kept};
use crate::api::ObjectKey;
use crate::image::ImageName;
use crate::net::{Connections, SecretText};
use exchange::Exchange;

pub use error::IdentityError;
pub use variables::Variables;

/// The longest that a credential is kept, so that a right that was taken away or given is noticed.
const LONGEST_LIFE: Duration = Duration::from_secs(60 * 60);

/// A cloud with registries of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cloud {
    /// Amazon: ECR, private and public.
    Aws,
    /// Google: Artifact Registry and Container Registry.
    Gcp,
    /// Microsoft: Azure Container Registry.
    Azure,
}

/// A ServiceAccount whose cloud identity asks.
#[derive(Debug)]
pub struct Account<'a, T> {
    /// Namespace and name.
    pub key: &'a ObjectKey,
    /// Its annotations: they name the identity in the cloud.
    pub annotations: &'a BTreeMap<String, String>,
    /// Where its tokens come from.
    pub tokens: &'a T,
}

/// Where tokens of a ServiceAccount come from.
pub trait TokenSource: Sync {
    /// A short-lived token for one audience.
    ///
    /// # Errors
    /// Why there is none, in words.
    fn token(&self, audience: &str) -> impl Future<Output = Result<SecretText, String>> + Send;
}

/// Asks clouds for credentials, and keeps those. A clone is cheap and shares them.
#[derive(Clone)]
pub struct Identities {
    shared: Arc<Shared>,
}

struct Shared {
    exchange: Exchange,
    variables: Variables,
    kept: Kept<IdentityKey, Credential>,
}

/// For which registries, and whose.
#[derive(Clone, PartialEq, Eq, Hash)]
struct IdentityKey {
    place: Place,
    account: Option<(ObjectKey, Vec<Option<String>>)>,
}

/// The registries that one credential is good for.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Place {
    Aws(aws::Ecr),
    Gcp,
    Azure(azure::Acr),
}

/// A credential, and how long it is good.
struct Given {
    credential: Credential,
    lifetime: Duration,
}

impl Identities {
    /// Over `connections`, and for the operator's own identity over the addresses of the clouds' metadata services
    /// besides.
    #[must_use]
    pub fn new(connections: &Connections, variables: Variables) -> Self {
        let exchange = Exchange::new(connections);
        Self { shared: Arc::new(Shared { exchange, variables, kept: Kept::default() }) }
    }

    /// The credential with which `account`, or the operator itself, reads `image`.
    ///
    /// # Errors
    /// Any [`IdentityError`]; without asking anybody where the image is not at a registry of this cloud.
    pub async fn credential<T: TokenSource>(
        &self,
        cloud: Cloud,
        image: &ImageName,
        account: Option<&Account<'_, T>>,
    ) -> Result<Credential, IdentityError> {
        let place = Place::of(cloud, image.host())
            .ok_or_else(|| IdentityError::ElsewhereHost { image: image.to_string(), cloud })?;
        let identity = |account: &Account<'_, T>| {
            let values = place.annotations().iter().map(|name| account.annotations.get(*name).cloned());
            (account.key.clone(), values.collect())
        };
        let key = IdentityKey { place: place.clone(), account: account.map(identity) };
        let Shared { exchange, variables, kept } = &*self.shared;
        let now = Instant::now();
        let fetch = || async {
            let given = match &place {
                Place::Aws(ecr) => aws::credential(exchange, variables, ecr, account).await?,
                Place::Gcp => gcp::credential(exchange, variables, account).await?,
                Place::Azure(acr) => azure::credential(exchange, variables, acr, account).await?,
            };
            Ok(Fresh::for_life(given.credential, given.lifetime.min(LONGEST_LIFE), now))
        };
        kept.get(key, None, now, fetch).await
    }
}

impl Place {
    fn of(cloud: Cloud, host: &str) -> Option<Self> {
        match cloud {
            Cloud::Aws => aws::Ecr::of(host).map(Self::Aws),
            Cloud::Gcp => gcp::is_registry(host).then_some(Self::Gcp),
            Cloud::Azure => azure::Acr::of(host).map(Self::Azure),
        }
    }

    /// The annotations of a ServiceAccount that say who it is in the cloud.
    const fn annotations(&self) -> &'static [&'static str] {
        match self {
            Self::Aws(_) => &[aws::ROLE],
            Self::Gcp => &[gcp::EMAIL],
            Self::Azure(_) => &[azure::CLIENT, azure::TENANT],
        }
    }
}

impl<T: TokenSource> Account<'_, T> {
    fn annotation(&self, name: &'static str) -> Result<&str, IdentityError> {
        let value = self.annotations.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        value.ok_or_else(|| IdentityError::Annotation { account: self.key.clone(), name })
    }

    async fn token(&self, audience: &str) -> Result<SecretText, IdentityError> {
        let token = self.tokens.token(audience).await;
        token.map_err(|problem| IdentityError::AccountToken { account: self.key.clone(), problem })
    }
}
