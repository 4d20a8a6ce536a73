//! How a registry is spoken to, and by whom: from the objects and their Secrets.

use std::sync::Arc;

use super::asker::Asker;
use super::hooks::{check_webhook, secret_of_webhook};
use super::settings::Settings;
use super::sources::{host_of, sources_of};
use super::world::{AccountError, ConfigMapError, SecretData, SecretError, SecretSource};
use crate::api::{
    ClusterImageRegistry, ClusterImageRegistrySpec, ConfigMapRef, ImagePolicy, ObjectKey, Reason, SecretRef,
};
use crate::image::ImageName;
use crate::net::{self, ClientCertificate};
use crate::registry::webhook::UnusableToken;
use crate::registry::{Access, Client, CredentialError, HostSettings, Identities, IdentityError};

/// The keys of a Secret or ConfigMap that hold certificates, and the private key of one.
const CA_KEY: &str = "ca.crt";
const CERTIFICATE_KEY: &str = "tls.crt";
const PRIVATE_KEY: &str = "tls.key";

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
    /// A ServiceAccount is missing or can not be read.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// A ServiceAccount is there, but none of its pull secrets is for this registry.
    #[error("the ServiceAccount {account} has no pull secret with an entry for {image}")]
    NoPullSecret {
        /// The ServiceAccount.
        account: ObjectKey,
        /// The image.
        image: String,
    },
    /// A cloud gives no credential.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The credentials say nothing, or two things. The API server refuses this; a folder does not.
    #[error(
        "spec.credentials must have exactly one of secretRef, serviceAccountName and a provider other than Generic"
    )]
    Ambiguous,
    /// An ImagePolicy asks for the operator's own identity. The API server refuses this; a folder does not.
    #[error(
        "spec.credentials.provider must have a serviceAccountName here: the operator's own identity asks only where a ClusterImageRegistry says so"
    )]
    OperatorIdentity,
    /// A ConfigMap is missing or can not be read.
    #[error("spec.caConfigMapRef: {0}")]
    ConfigMap(#[from] ConfigMapError),
    /// Two places hold the certificates. The API server refuses this; a folder does not.
    #[error(
        "spec.caSecretRef and spec.caConfigMapRef exclude each other: put all certificates into one of them"
    )]
    TwoBundles,
    /// A Secret or ConfigMap lacks a key.
    #[error("{place} has no key {lacks}")]
    NoKey {
        /// The field, the kind and the name.
        place: String,
        /// The key of its data.
        lacks: &'static str,
    },
    /// The certificates can not be used.
    #[error("{place}: {source}")]
    Certificates {
        /// The field, the kind and the name.
        place: String,
        /// What is wrong.
        source: net::Error,
    },
    /// A mirror makes no place where an image could be. The API server refuses most of these; a folder does not.
    #[error("spec.mirrors[{index}]: {host:?} can not be asked: {problem}")]
    Mirror {
        /// Which one, from 0.
        index: usize,
        /// Its host, as it is written.
        host: String,
        /// What is wrong.
        problem: String,
    },
    /// The host is not asked, and no mirror is. The API server refuses this; a folder does not.
    #[error("spec.fallback is Never, and there are no spec.mirrors: nothing would be asked")]
    NothingToAsk,
    /// The token of a webhook proves nothing.
    #[error("{place}: {source}")]
    WebhookToken {
        /// The field, the kind and the name.
        place: String,
        /// What is wrong.
        source: UnusableToken,
    },
    /// A webhook does not say who may call. The API server refuses this; a folder does not.
    #[error("spec.webhook must have secretRef, or oidc where its kind is ArtifactRegistry, and not both")]
    WebhookOfNobody,
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
    /// Whether what is named could not be had just now, which says nothing of it.
    #[must_use]
    pub const fn is_no_answer(&self) -> bool {
        matches!(
            self,
            Self::Secret(SecretError::NoAnswer { .. })
                | Self::Account(AccountError::NoAnswer { .. })
                | Self::ConfigMap(ConfigMapError::NoAnswer { .. })
        )
    }

    /// Whether a Secret or ConfigMap is there and lacks a key.
    const fn is_of_keys(&self) -> bool {
        matches!(
            self,
            Self::NoKey { .. }
                | Self::Credentials {
                    source: CredentialError::NoKnownKey | CredentialError::HalfPair { .. },
                    ..
                }
        )
    }

    /// The field of the object that it is about.
    #[must_use]
    pub fn field(&self) -> String {
        let message = self.to_string();
        let field = message.split([':', ' ']).next().filter(|field| field.starts_with("spec."));
        field.unwrap_or("spec.credentials").to_owned()
    }

    /// The word for conditions, events and metrics.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Secret(error) => error.reason(),
            Self::Account(error) => error.reason(),
            Self::ConfigMap(error) => error.reason(),
            Self::Credentials { .. }
            | Self::NoEntry { .. }
            | Self::NoPullSecret { .. }
            | Self::NoKey { .. }
            | Self::Certificates { .. }
            | Self::WebhookToken { .. } => Reason::SecretInvalid,
            Self::Identity(error) => error.reason(),
            Self::PlainHttp => Reason::NotAllowed,
            Self::Host(_)
            | Self::Taken(..)
            | Self::Ambiguous
            | Self::OperatorIdentity
            | Self::TwoBundles
            | Self::Mirror { .. }
            | Self::NothingToAsk
            | Self::WebhookOfNobody => Reason::InvalidSpec,
        }
    }
}

/// How to ask for the tags of `image`: as the policy says where it does, else as the ClusterImageRegistry of the host
/// says, else anonymously. Secrets, ConfigMaps and ServiceAccounts are read from `source` each time.
///
/// # Errors
/// What is named but can not be used is an error: going on anonymously could show another list.
pub async fn access_for<S: SecretSource>(
    source: &S,
    client: &Client,
    identities: &Identities,
    image: &ImageName,
    asker: Option<&Asker>,
    registry: Option<&ClusterImageRegistry>,
) -> Result<Access, AccessError> {
    let host = match registry {
        Some(registry) => host_settings(source, client, registry).await?,
        None => HostSettings::default(),
    };
    let of_registry = || {
        let credentials = registry?.spec.credentials.clone()?;
        Some(Asker::of_operator(source.operator_namespace(), credentials))
    };
    let credential = match asker.cloned().or_else(of_registry) {
        Some(asker) => Some(asker.credential(source, identities, image).await?),
        None => None,
    };
    Ok(Access { host, credential })
}

/// Checks that a ClusterImageRegistry can be used: its host, its mirrors, its Secrets, and what the operator allows.
///
/// # Errors
/// The first thing that is wrong.
pub async fn check_registry<S: SecretSource>(
    source: &S,
    client: &Client,
    identities: &Identities,
    settings: &Settings,
    registry: &ClusterImageRegistry,
) -> Result<(), AccessError> {
    if let Some(fault) = registry_faults(registry).into_iter().next() {
        return Err(fault);
    }
    if registry.spec.insecure && !settings.allow_http {
        return Err(AccessError::PlainHttp);
    }
    let image = image_at(&registry.spec.host)?;
    match access_for(source, client, identities, &image, None, Some(registry)).await {
        // The entries may all be for paths of the host, which the probe is not in.
        Ok(_) | Err(AccessError::NoEntry { .. } | AccessError::NoPullSecret { .. }) => {}
        Err(error) => return Err(error),
    }
    match &registry.spec.webhook {
        Some(webhook) => check_webhook(source, webhook).await,
        None => Ok(()),
    }
}

/// What is wrong with a ClusterImageRegistry by itself: with its host, its mirrors, its credentials, and what it says of
/// certificates and webhooks. Nothing that it names is looked at, and nobody is asked.
#[must_use]
pub fn registry_faults(registry: &ClusterImageRegistry) -> Vec<AccessError> {
    let spec = &registry.spec;
    let sources = image_at(&spec.host).and_then(|image| {
        sources_of(&image, |host| (host == host_of(registry)).then(|| Arc::new(registry.clone())))
    });
    let asker = spec.credentials.clone().map(|credentials| Asker::of_operator("", credentials));
    let faults = [
        sources.err(),
        bundle_of(spec).err(),
        asker.and_then(|asker| asker.check().err()),
        spec.webhook.as_ref().and_then(|webhook| secret_of_webhook(webhook).err()),
    ];
    faults.into_iter().flatten().collect()
}

/// An image of this host, to try things with.
fn image_at(host: &str) -> Result<ImageName, AccessError> {
    let is_whole = |name: &ImageName| name.host() == ImageName::known_host(host);
    let image = ImageName::parse(&format!("{host}/x/x")).ok().filter(is_whole);
    image.ok_or_else(|| AccessError::Host(host.chars().take(80).collect()))
}

/// Where the certificates of a registry are.
enum Bundle<'a> {
    Secret(&'a SecretRef),
    ConfigMap(&'a ConfigMapRef),
}

fn bundle_of(spec: &ClusterImageRegistrySpec) -> Result<Option<Bundle<'_>>, AccessError> {
    match (&spec.ca_secret_ref, &spec.ca_config_map_ref) {
        (None, None) => Ok(None),
        (Some(secret), None) => Ok(Some(Bundle::Secret(secret))),
        (None, Some(config_map)) => Ok(Some(Bundle::ConfigMap(config_map))),
        (Some(_), Some(_)) => Err(AccessError::TwoBundles),
    }
}

/// Certificates with the place where they are, for messages.
struct Certificates {
    bundle: Option<(Arc<[u8]>, String)>,
    own: Option<(Arc<ClientCertificate>, String)>,
}

async fn certificates<S: SecretSource>(
    source: &S,
    spec: &ClusterImageRegistrySpec,
) -> Result<Certificates, AccessError> {
    let of_operator = |name: &str| ObjectKey::new(source.operator_namespace(), name);
    let bundle = match bundle_of(spec)? {
        None => None,
        Some(Bundle::Secret(secret)) => {
            let key = of_operator(&secret.name);
            let data = source.secret(&key).await?;
            Some(pem_of(data, format!("spec.caSecretRef: the Secret {key}"))?)
        }
        Some(Bundle::ConfigMap(config_map)) => {
            let key = of_operator(&config_map.name);
            let data = source.config_map(&key).await?;
            Some(pem_of(data, format!("spec.caConfigMapRef: the ConfigMap {key}"))?)
        }
    };
    let own = match &spec.client_certificate_secret_ref {
        None => None,
        Some(secret) => {
            let key = of_operator(&secret.name);
            let data = source.secret(&key).await?;
            let place = format!("spec.clientCertificateSecretRef: the Secret {key}");
            let value = |lacks| {
                let lacking = || AccessError::NoKey { place: place.clone(), lacks };
                data.get(lacks).cloned().ok_or_else(lacking)
            };
            let (chain_pem, key_pem) = (value(CERTIFICATE_KEY)?, value(PRIVATE_KEY)?);
            Some((Arc::new(ClientCertificate { chain_pem, key_pem }), place))
        }
    };
    Ok(Certificates { bundle, own })
}

/// The Secrets and ConfigMaps of a ClusterImageRegistry that are there and lack a key, as a scan would find. What is not
/// there, or can not be read, is left to the scan.
pub async fn registry_lacks<S: SecretSource>(
    source: &S,
    registry: &ClusterImageRegistry,
) -> Vec<AccessError> {
    let spec = &registry.spec;
    let mut faults: Vec<_> = certificates(source, spec).await.err().into_iter().collect();
    if let Some(webhook) = &spec.webhook {
        faults.extend(check_webhook(source, webhook).await.err());
    }
    if let (Some(credentials), Ok(image)) = (spec.credentials.clone(), image_at(&spec.host)) {
        let asker = Asker::of_operator(source.operator_namespace(), credentials);
        faults.extend(asker.kept_credential(source, &image).await.err());
    }
    faults.retain(AccessError::is_of_keys);
    faults
}

/// The same of the Secret that an ImagePolicy names.
pub async fn policy_lacks<S: SecretSource>(source: &S, policy: &ImagePolicy) -> Option<AccessError> {
    let image = ImageName::parse(&policy.spec.image).ok()?;
    let fault = Asker::of_policy(policy)?.kept_credential(source, &image).await.err()?;
    fault.is_of_keys().then_some(fault)
}

async fn host_settings<S: SecretSource>(
    source: &S,
    client: &Client,
    registry: &ClusterImageRegistry,
) -> Result<HostSettings, AccessError> {
    let spec = &registry.spec;
    let Certificates { bundle, own } = certificates(source, spec).await?;
    let (ca_pem, ca_place) = bundle.unzip();
    let (certificate, certificate_place) = own.unzip();
    let settings = HostSettings {
        insecure: spec.insecure,
        ca_pem,
        certificate,
        allowed_realms: spec.allowed_realms.clone(),
        requests_per_second: spec.limits.and_then(|limits| limits.requests_per_second),
    };
    client.check(&settings).map_err(|source| {
        let is_of_bundle = matches!(source, net::Error::NoCertificate | net::Error::BadCertificate { .. });
        let place = if is_of_bundle { ca_place } else { certificate_place };
        AccessError::Certificates { place: place.unwrap_or_else(|| "spec".to_owned()), source }
    })?;
    Ok(settings)
}

/// The certificates in a Secret or ConfigMap, with the place where they are, for messages.
fn pem_of(mut data: SecretData, place: String) -> Result<(Arc<[u8]>, String), AccessError> {
    match data.remove(CA_KEY) {
        Some(pem) => Ok((pem.into(), place)),
        None => Err(AccessError::NoKey { place, lacks: CA_KEY }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::AccountData;
    use super::*;
    use crate::net::{AddressGuard, Connections};
    use crate::registry::Variables;

    /// Who has nothing, and either says so or gives no answer.
    struct Nothing {
        answers: bool,
    }

    impl SecretSource for Nothing {
        async fn secret(&self, key: &ObjectKey) -> Result<SecretData, SecretError> {
            Err(if self.answers {
                SecretError::Missing(key.clone())
            } else {
                SecretError::NoAnswer { key: key.clone(), problem: "too late".to_owned() }
            })
        }

        async fn config_map(&self, key: &ObjectKey) -> Result<SecretData, ConfigMapError> {
            Err(if self.answers {
                ConfigMapError::Missing(key.clone())
            } else {
                ConfigMapError::NoAnswer { key: key.clone(), problem: "too late".to_owned() }
            })
        }

        async fn service_account(&self, key: &ObjectKey) -> Result<AccountData, AccountError> {
            Err(if self.answers {
                AccountError::Missing(key.clone())
            } else {
                AccountError::NoAnswer { key: key.clone(), problem: "too late".to_owned() }
            })
        }

        fn operator_namespace(&self) -> &str {
            "tagtide"
        }
    }

    #[tokio::test]
    async fn what_can_not_be_had_just_now_is_not_called_wrong() {
        let connections = Connections::new(AddressGuard::default());
        let identities = Identities::new(&connections, Variables::default());
        let client = Client::new(connections.clone(), false);
        let settings = Settings {
            cache_dir: std::path::PathBuf::new(),
            room: crate::git::Room::default(),
            gather: std::time::Duration::ZERO,
            connections,
            allow_http: false,
            allow_file: false,
            scans_at_once: 1,
            cycles_at_once: 1,
        };
        for named in [
            "credentials: {secretRef: {name: x}}",
            "credentials: {serviceAccountName: x}",
            "caSecretRef: {name: x}",
            "caConfigMapRef: {name: x}",
            "clientCertificateSecretRef: {name: x}",
            "webhook: {kind: Harbor, secretRef: {name: x}}",
        ] {
            let spec = serde_saphyr::from_str(&format!("{{host: ghcr.io, {named}}}")).unwrap();
            let registry = ClusterImageRegistry::new("one", spec);
            for (answers, reason) in [(true, Reason::SecretInvalid), (false, Reason::Unreachable)] {
                let source = Nothing { answers };
                let checked = check_registry(&source, &client, &identities, &settings, &registry).await;
                let error = checked.unwrap_err();
                assert_eq!((error.reason(), error.is_no_answer()), (reason, !answers), "{named}: {error}");
            }
        }
    }
}
