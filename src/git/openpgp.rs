//! Signatures of commits with OpenPGP keys (RFC 9580), as `git commit -S` has GnuPG make them.

use std::fmt;

use jiff::Timestamp;
use pgp::composed::{
    ArmorOptions, Deserializable as _, DetachedSignature, SignedSecretKey, SignedSecretSubKey,
};
use pgp::packet::{
    SecretKey, SecretSubkey, Signature, SignatureConfig, SignatureType, Subpacket, SubpacketData,
};
use pgp::types::{KeyDetails, KeyVersion, Password, S2kParams, SecretParams, SigningKey, StringToKey};

/// A private key that signs: the newest subkey that may, else the primary key, as GnuPG chooses.
pub(super) struct OpenPgpKey(Part);

enum Part {
    Primary(Box<SecretKey>),
    Subkey(Box<SecretSubkey>),
}

/// An OpenPGP key that can not sign. Its text never holds anything secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOpenPgpKey {
    /// It can not be read.
    #[error("it is no private key that can be read; write what gpg --export-secret-keys --armor prints")]
    Unreadable,
    /// No part of it signs.
    #[error("no part of it both may sign and comes with its private half")]
    NoSigningPart,
    /// It is revoked.
    #[error("it was revoked")]
    Revoked,
    /// It is expired.
    #[error("it expired at {0}; extend it, or make another one")]
    Expired(Timestamp),
    /// It is encrypted.
    #[error("it is encrypted; add the key password")]
    Encrypted,
    /// The passphrase is another one.
    #[error("the Secret's password is not its passphrase")]
    Password,
    /// It is encrypted in a way that costs too much.
    #[error("it is encrypted in a way that GnuPG does not use; export it with gpg")]
    UnusualEncryption,
}

/// What is known of a part before its private half is unlocked.
struct Standing {
    may_sign: bool,
    is_revoked: bool,
    expires: Option<Timestamp>,
}

impl OpenPgpKey {
    /// Reads an armored private key. It may take a moment where it is encrypted: that is the purpose of its passphrase.
    ///
    /// # Errors
    /// `InvalidOpenPgpKey` says what it lacks.
    pub(super) fn read(
        armored: &str,
        password: Option<&str>,
        now: Timestamp,
    ) -> Result<Self, InvalidOpenPgpKey> {
        let (key, _) = SignedSecretKey::from_string(armored).map_err(|_| InvalidOpenPgpKey::Unreadable)?;
        let primary = standing_of_primary(&key);
        primary.check(now)?;
        let mut why = None;
        let mut subkeys: Vec<SignedSecretSubKey> = key.secret_subkeys;
        subkeys.sort_by_key(|subkey| std::cmp::Reverse(subkey.key.created_at().as_secs()));
        for subkey in subkeys {
            let standing = standing_of_subkey(&subkey);
            if !standing.may_sign || !is_usable(&subkey.key, subkey.key.secret_params()) {
                continue;
            }
            match standing.check(now) {
                Ok(()) => {
                    let mut key = subkey.key;
                    unlock(key.secret_params(), password)?;
                    key.remove_password(&passphrase(password)).map_err(|_| InvalidOpenPgpKey::Password)?;
                    return Ok(Self(Part::Subkey(Box::new(key))));
                }
                Err(error) => why = why.or(Some(error)),
            }
        }
        let mut key = key.primary_key;
        if !primary.may_sign || !is_usable(&key, key.secret_params()) {
            return Err(why.unwrap_or(InvalidOpenPgpKey::NoSigningPart));
        }
        unlock(key.secret_params(), password)?;
        key.remove_password(&passphrase(password)).map_err(|_| InvalidOpenPgpKey::Password)?;
        Ok(Self(Part::Primary(Box::new(key))))
    }

    /// The armored signature of a commit's text.
    pub(super) fn sign(&self, commit: &[u8]) -> Result<String, pgp::errors::Error> {
        match &self.0 {
            Part::Primary(key) => sign_with(&**key, commit),
            Part::Subkey(key) => sign_with(&**key, commit),
        }
    }
}

impl fmt::Debug for OpenPgpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fingerprint = match &self.0 {
            Part::Primary(key) => key.fingerprint(),
            Part::Subkey(key) => key.fingerprint(),
        };
        write!(f, "OpenPgpKey({fingerprint})")
    }
}

impl Standing {
    fn check(&self, now: Timestamp) -> Result<(), InvalidOpenPgpKey> {
        if self.is_revoked {
            return Err(InvalidOpenPgpKey::Revoked);
        }
        match self.expires {
            Some(at) if at <= now => Err(InvalidOpenPgpKey::Expired(at)),
            Some(_) | None => Ok(()),
        }
    }

    /// What the newest of a key's signatures on itself says.
    fn read<'a>(
        key: &impl KeyDetails,
        is_revoked: bool,
        signatures: impl Iterator<Item = &'a Signature>,
    ) -> Self {
        let newest =
            signatures.max_by_key(|signature| signature.created().map(pgp::types::Timestamp::as_secs));
        let lasts = newest.and_then(Signature::key_expiration_time).map(pgp::types::Duration::as_secs);
        let made = i64::from(key.created_at().as_secs());
        let expires = lasts.filter(|lasts| *lasts > 0).map(|lasts| made + i64::from(lasts));
        Self {
            may_sign: newest.is_some_and(|signature| signature.key_flags().sign()),
            is_revoked,
            expires: expires.and_then(|at| Timestamp::from_second(at).ok()),
        }
    }
}

fn standing_of_primary(key: &SignedSecretKey) -> Standing {
    let (details, id) = (&key.details, key.primary_key.legacy_key_id());
    let all = details.users.iter().flat_map(|user| &user.signatures).chain(&details.direct_signatures);
    // Others certify a key too; what they say of it is not what it says of itself.
    let own = all.filter(|signature| signature.issuer_key_id().contains(&&id));
    let own = own.filter(|signature| signature.typ() != Some(SignatureType::CertRevocation));
    Standing::read(&key.primary_key, !details.revocation_signatures.is_empty(), own)
}

fn standing_of_subkey(subkey: &SignedSecretSubKey) -> Standing {
    let is = |kind: SignatureType| move |signature: &&Signature| signature.typ() == Some(kind);
    let is_revoked =
        subkey.signatures.iter().any(|signature| is(SignatureType::SubkeyRevocation)(&signature));
    Standing::read(&subkey.key, is_revoked, subkey.signatures.iter().filter(is(SignatureType::SubkeyBinding)))
}

/// Whether a private half is there, of a version that everyone can check. `gpg --export-secret-subkeys` and a smart card
/// leave a stub in its place.
fn is_usable(key: &impl KeyDetails, secret: &SecretParams) -> bool {
    let is_stub = match secret {
        SecretParams::Plain(_) => false,
        SecretParams::Encrypted(encrypted) => match encrypted.string_to_key_params() {
            S2kParams::Cfb { s2k, .. } | S2kParams::MalleableCfb { s2k, .. } => {
                matches!(s2k, StringToKey::Private { .. })
            }
            S2kParams::Aead { .. } | S2kParams::LegacyCfb { .. } | S2kParams::Unprotected => false,
        },
    };
    key.version() == KeyVersion::V4 && !is_stub
}

/// Whether the passphrase may be tried: other key derivations can be made to cost gigabytes.
fn unlock(secret: &SecretParams, password: Option<&str>) -> Result<(), InvalidOpenPgpKey> {
    let SecretParams::Encrypted(encrypted) = secret else { return Ok(()) };
    match encrypted.string_to_key_params() {
        S2kParams::Cfb { s2k: StringToKey::IteratedAndSalted { .. }, .. } if password.is_some() => Ok(()),
        S2kParams::Cfb { s2k: StringToKey::IteratedAndSalted { .. }, .. } => {
            Err(InvalidOpenPgpKey::Encrypted)
        }
        _ => Err(InvalidOpenPgpKey::UnusualEncryption),
    }
}

fn passphrase(password: Option<&str>) -> Password {
    Password::from(password.unwrap_or_default())
}

fn sign_with(key: &impl SigningKey, commit: &[u8]) -> Result<String, pgp::errors::Error> {
    let mut config = SignatureConfig::v4(SignatureType::Binary, key.algorithm(), key.hash_alg());
    config.hashed_subpackets = vec![
        Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint()))?,
        Subpacket::regular(SubpacketData::SignatureCreationTime(pgp::types::Timestamp::now()))?,
    ];
    config.unhashed_subpackets = vec![Subpacket::regular(SubpacketData::IssuerKeyId(key.legacy_key_id()))?];
    // The private half is kept without its passphrase.
    let signature = config.sign(key, &Password::empty(), commit)?;
    DetachedSignature::new(signature).to_armored_string(ArmorOptions::default())
}
