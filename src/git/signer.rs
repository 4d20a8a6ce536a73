//! Signatures of commits, as `git commit -S` makes them: with SSH keys (PROTOCOL.sshsig, `gpg.format=ssh`) or OpenPGP keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{HashAlg, PrivateKey};

use super::credentials::{lines, text};
use super::openpgp::OpenPgpKey;
use super::ssh::private_key;
use super::{Error, InvalidGitSecret};

/// What an SSH signature is for; one for another purpose does not pass as one of a commit (gitformat-signature).
const NAMESPACE: &str = "git";

/// Signs commits with one key.
#[derive(Clone)]
pub struct Signer(Key);

#[derive(Clone)]
enum Key {
    Ssh(Arc<PrivateKey>),
    OpenPgp(Arc<OpenPgpKey>),
}

impl Signer {
    /// Reads the data of a Secret: `identity`, an SSH private key, or `openpgp`, an armored OpenPGP one; with the
    /// `password` of an encrypted one. May take a moment where it is encrypted.
    ///
    /// # Errors
    /// `InvalidGitSecret` names the key that is missing or unfit.
    pub fn read(data: &BTreeMap<String, Vec<u8>>) -> Result<Self, InvalidGitSecret> {
        let password = text(data, "password")?;
        let password = password.as_deref();
        match (lines(data, "identity")?, lines(data, "openpgp")?) {
            (Some(identity), None) => Ok(Self(Key::Ssh(private_key(&identity, password)?))),
            (None, Some(key)) => {
                let key = OpenPgpKey::read(&key, password, Timestamp::now())?;
                Ok(Self(Key::OpenPgp(Arc::new(key))))
            }
            (Some(_), Some(_)) => Err(InvalidGitSecret::TwoSigningKeys),
            (None, None) => Err(InvalidGitSecret::NoSigningKey),
        }
    }

    /// The armored signature of a commit's text.
    ///
    /// # Errors
    /// `Error::NotSigned` where the key does not do it.
    pub(super) fn sign(&self, commit: &[u8]) -> Result<String, Error> {
        let failed = |problem: String| Error::NotSigned(problem);
        match &self.0 {
            Key::Ssh(key) => {
                let signature = key.sign(NAMESPACE, HashAlg::Sha512, commit);
                let armored = signature.and_then(|signature| signature.to_pem(LineEnding::LF));
                armored.map_err(|error| failed(error.to_string()))
            }
            Key::OpenPgp(key) => key.sign(commit).map_err(|error| failed(error.to_string())),
        }
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Key::Ssh(key) => write!(f, "Signer({})", key.public_key().fingerprint(HashAlg::Sha256)),
            Key::OpenPgp(key) => write!(f, "Signer({key:?})"),
        }
    }
}
