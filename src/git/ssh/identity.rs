//! Who asks: a private key and the servers' keys, as a Secret holds them.

use std::sync::Arc;

use russh::keys::{Algorithm, Error, HashAlg, PrivateKey, decode_secret_key};

use super::key_cost::check_cost;
use crate::git::InvalidGitSecret;
use crate::net::SecretText;

/// The shortest RSA key that is used, in bits; OpenSSH's own limit.
const MIN_RSA_BITS: u32 = 2048;

/// What a Secret for SSH holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshSecret {
    /// The private key, in any of the formats that `ssh-keygen` writes, not in PuTTY's.
    pub identity: SecretText,
    /// What the private key is encrypted with.
    pub password: Option<SecretText>,
    /// The lines of a `known_hosts` file.
    pub known_hosts: String,
}

impl SshSecret {
    pub(super) fn private_key(&self) -> Result<Arc<PrivateKey>, InvalidGitSecret> {
        private_key(self.identity.expose(), self.password.as_ref().map(SecretText::expose))
    }
}

/// Reads a private key. It may take a moment where it is encrypted: that is the purpose of its key derivation.
///
/// # Errors
/// `InvalidGitSecret` says whether it is no key, encrypted without a password, encrypted with another one, or encrypted at
/// a cost that is not paid.
pub(in crate::git) fn private_key(
    identity: &str,
    password: Option<&str>,
) -> Result<Arc<PrivateKey>, InvalidGitSecret> {
    check_cost(identity)?;
    let key = match decode_secret_key(identity, password) {
        Ok(key) => key,
        Err(Error::KeyIsEncrypted) => return Err(InvalidGitSecret::KeyIsEncrypted),
        Err(_) if password.is_some() => return Err(InvalidGitSecret::KeyOrPassword),
        Err(_) => return Err(InvalidGitSecret::NoKey),
    };
    match key.algorithm() {
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } => Ok(Arc::new(key)),
        Algorithm::Rsa { .. } => {
            let bits = key.public_key().key_data().rsa().map(|rsa| rsa.key_size());
            if bits.is_some_and(|bits| bits >= MIN_RSA_BITS) {
                Ok(Arc::new(key))
            } else {
                Err(InvalidGitSecret::WeakKey { least: MIN_RSA_BITS })
            }
        }
        other => Err(InvalidGitSecret::KeyType { found: other.to_string() }),
    }
}

/// The hash for a signature with an RSA key, after what the server says that it takes (RFC 8308, "server-sig-algs"): the
/// outer `None` where it says nothing, the inner one where it takes SHA-1 alone.
pub(super) const fn rsa_hash(offered: Option<Option<HashAlg>>) -> Option<HashAlg> {
    match offered {
        None => Some(HashAlg::Sha512),
        Some(hash) => hash,
    }
}
