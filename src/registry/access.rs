//! How a registry host is spoken to, and by whom.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::net::{ClientCertificate, SecretText};

/// How one image is read. Everything that is cached is kept apart by the whole of it, so that two tenants never share
/// rights.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Access {
    /// How the host is spoken to.
    pub host: HostSettings,
    /// Who asks; anonymous without it.
    pub credential: Option<Credential>,
}

/// How one registry host is spoken to.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct HostSettings {
    /// Plain HTTP; the operator must allow it too.
    pub insecure: bool,
    /// Certificates (PEM) that are trusted besides the system's.
    pub ca_pem: Option<Arc<[u8]>>,
    /// A certificate for registries that ask for one.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// Further hosts that may hand out tokens for this one, each with its port where it is not the scheme's own.
    pub allowed_realms: Vec<String>,
    /// At most this many requests go out in a second; without it, as many as there are.
    pub requests_per_second: Option<NonZeroU32>,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Credential {
    /// A user with a password or an access token.
    Password {
        /// The user's name.
        username: String,
        /// The password.
        password: SecretText,
    },
    /// A refresh token of the registry's token server (`identitytoken` in a Docker configuration).
    IdentityToken(SecretText),
}

impl fmt::Debug for HostSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostSettings")
            .field("insecure", &self.insecure)
            .field("ca_bytes", &self.ca_pem.as_ref().map(|pem| pem.len()))
            .field("has_certificate", &self.certificate.is_some())
            .field("allowed_realms", &self.allowed_realms)
            .field("requests_per_second", &self.requests_per_second)
            .finish()
    }
}
