//! How a registry is spoken to, and by whom: from the objects and their Secrets.

use std::sync::Arc;

use super::settings::Settings;
use super::world::{SecretError, SecretSource};
use crate::api::{ClusterImageRegistry, ObjectKey, Reason};
use crate::image::ImageName;
use crate::registry::{Access, Credential, CredentialError, HostSettings, credential_from_secret};

/// The key of a Secret that holds certificates.
const CA_KEY: &str = "ca.crt";

/// Why a registry can not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A Secret is missing or can not be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A Secret does not hold credentials.
    #[error("the Secret {key} holds no credentials: {source}")]
    Credentials {
        /// The Secret.
        key: ObjectKey,
        /// What is wrong.
        source: CredentialError,
    },
    /// A Secret is there, but it has nothing for this registry.
    #[error("the Secret {key} has no entry for {image}; add one for its host to .dockerconfigjson")]
    NoEntry {
        /// The Secret.
        key: ObjectKey,
        /// The image.
        image: String,
    },
    /// A Secret has no certificates.
    #[error("the Secret {key} has no key ca.crt")]
    NoCertificates {
        /// The Secret.
        key: ObjectKey,
    },
    /// The certificates can not be used.
    #[error("the Secret {key}: {source}")]
    Certificates {
        /// The Secret.
        key: ObjectKey,
        /// What is wrong.
        source: crate::net::Error,
    },
    /// The operator's flags forbid plain HTTP.
    #[error("spec.insecure asks for plain HTTP, which the operator allows only with --allow-http")]
    PlainHttp,
    /// Two objects speak of one host.
    #[error(
        "spec.host: the ClusterImageRegistry {0} already says how {1} is spoken to; this one has no effect"
    )]
    Taken(String, String),
    /// The host is none.
    #[error(
        "spec.host: {0:?} is not a host with an optional port, such as ghcr.io or registry.acme.example:5000"
    )]
    Host(String),
}

impl AccessError {
    /// The word for conditions, events and metrics.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Secret(_)
            | Self::Credentials { .. }
            | Self::NoEntry { .. }
            | Self::NoCertificates { .. }
            | Self::Certificates { .. } => Reason::SecretInvalid,
            Self::PlainHttp => Reason::NotAllowed,
            Self::Host(_) | Self::Taken(..) => Reason::InvalidSpec,
        }
    }
}

/// How to ask for the tags of `image`: with the Secret of the policy where it names one, else as the
/// ClusterImageRegistry of the host says, else anonymously. Secrets are read anew each time, so that a rotated one works
/// at once.
///
/// # Errors
/// A Secret that is named but can not be used is an error: going on anonymously could show another list.
pub async fn access_for<S: SecretSource>(
    secrets: &S,
    image: &ImageName,
    secret: Option<&ObjectKey>,
    registry: Option<&ClusterImageRegistry>,
) -> Result<Access, AccessError> {
    let host = match registry {
        Some(registry) => host_settings(secrets, registry).await?,
        None => HostSettings::default(),
    };
    let secret = secret.cloned().or_else(|| {
        let reference = registry?.spec.credentials.as_ref()?.secret_ref.name.clone();
        Some(ObjectKey::new(secrets.operator_namespace(), reference))
    });
    let credential = match secret {
        Some(key) => Some(credential(secrets, key, image).await?),
        None => None,
    };
    Ok(Access { host, credential })
}

/// Checks that a ClusterImageRegistry can be used: its host, its Secrets, and what the operator allows.
///
/// # Errors
/// The first thing that is wrong.
pub async fn check_registry<S: SecretSource>(
    secrets: &S,
    settings: &Settings,
    registry: &ClusterImageRegistry,
) -> Result<(), AccessError> {
    let host = &registry.spec.host;
    let probe = ImageName::parse(&format!("{host}/x/x")).ok().filter(|name| name.host() == host);
    let image = probe.ok_or_else(|| AccessError::Host(host.chars().take(80).collect()))?;
    if registry.spec.insecure && !settings.allow_http {
        return Err(AccessError::PlainHttp);
    }
    match access_for(secrets, &image, None, Some(registry)).await {
        // The entries may all be for paths of the host, which the probe is not in.
        Ok(_) | Err(AccessError::NoEntry { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

async fn host_settings<S: SecretSource>(
    secrets: &S,
    registry: &ClusterImageRegistry,
) -> Result<HostSettings, AccessError> {
    let ca_pem = match &registry.spec.ca_secret_ref {
        None => None,
        Some(reference) => {
            let key = ObjectKey::new(secrets.operator_namespace(), &reference.name);
            let data = secrets.secret(&key).await?;
            let pem = data.get(CA_KEY).ok_or(AccessError::NoCertificates { key })?;
            Some(Arc::from(pem.as_slice()))
        }
    };
    Ok(HostSettings {
        insecure: registry.spec.insecure,
        ca_pem,
        allowed_realms: registry.spec.allowed_realms.clone(),
        requests_per_second: registry.spec.limits.and_then(|limits| limits.requests_per_second),
    })
}

async fn credential<S: SecretSource>(
    secrets: &S,
    key: ObjectKey,
    image: &ImageName,
) -> Result<Credential, AccessError> {
    let data = secrets.secret(&key).await?;
    match credential_from_secret(&data, image) {
        Ok(Some(credential)) => Ok(credential),
        Ok(None) => Err(AccessError::NoEntry { key, image: image.to_string() }),
        Err(source) => Err(AccessError::Credentials { key, source }),
    }
}
