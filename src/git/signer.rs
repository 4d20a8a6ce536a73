//! Signatures of commits with SSH keys (PROTOCOL.sshsig), as `git commit -S` makes them with `gpg.format=ssh`.

use std::collections::BTreeMap;
use std::sync::Arc;

use russh::keys::ssh_key::{self, LineEnding};
use russh::keys::{HashAlg, PrivateKey};

use super::InvalidGitSecret;
use super::credentials::lines;
use super::ssh::private_key;

/// What a signature is for; one for another purpose does not pass as one of a commit (gitformat-signature).
const NAMESPACE: &str = "git";

/// Signs commits with one key.
#[derive(Clone)]
pub struct Signer(Arc<PrivateKey>);

impl Signer {
    /// Reads the data of a Secret: `identity`, a private key, with the `password` of an encrypted one. May take a
    /// moment where it is encrypted.
    ///
    /// # Errors
    /// `InvalidGitSecret` names the key that is missing or unfit.
    pub fn read(data: &BTreeMap<String, Vec<u8>>) -> Result<Self, InvalidGitSecret> {
        let identity = lines(data, "identity")?.ok_or(InvalidGitSecret::NoSigningKey)?;
        let password = super::credentials::text(data, "password")?;
        Ok(Self(private_key(&identity, password.as_deref())?))
    }

    /// The armored signature of a commit's text.
    pub(super) fn sign(&self, commit: &[u8]) -> Result<String, ssh_key::Error> {
        self.0.sign(NAMESPACE, HashAlg::Sha512, commit)?.to_pem(LineEnding::LF)
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.0.public_key().fingerprint(HashAlg::Sha256))
    }
}
