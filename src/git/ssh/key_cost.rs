//! What it costs to unlock a private key, read before it is unlocked: the file itself says how often its password is
//! hashed and how much memory that takes, and whoever wrote the file may say years and gigabytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::der::Decode as _;
use pkcs8::pkcs5::{EncryptionScheme, pbes2};
use russh::keys::PrivateKey;
use russh::keys::ssh_key::Kdf;

use crate::git::InvalidGitSecret;

/// The most rounds of bcrypt: seconds. `ssh-keygen` makes 16 or 24, and careful people ask it for 100 or 500.
const MAX_BCRYPT_ROUNDS: u32 = 1024;
const BCRYPT: InvalidGitSecret = InvalidGitSecret::KeyCost { most: "1024 rounds of bcrypt" };

/// The most iterations of PBKDF2: a second or two. OWASP recommends up to 1,300,000.
const MAX_PBKDF2_ITERATIONS: u32 = 2_000_000;
const PBKDF2: InvalidGitSecret = InvalidGitSecret::KeyCost { most: "2000000 iterations of PBKDF2" };

/// The most that scrypt may work through, in bytes: what `openssl pkcs8 -scrypt` asks for. Several keys may be unlocked at
/// once.
const MAX_SCRYPT: u64 = 16 << 20;
const SCRYPT: InvalidGitSecret = InvalidGitSecret::KeyCost { most: "16 MiB for scrypt" };

/// Refuses a key that costs too much to unlock.
///
/// # Errors
/// `InvalidGitSecret::KeyCost` and `PuttyKey`; `NoKey` where not one private key can be told.
pub(super) fn check_cost(identity: &str) -> Result<(), InvalidGitSecret> {
    // Argon2 of any size; and `ssh-keygen` does not write it.
    if identity.trim_start().starts_with("PuTTY-User-Key-File-") {
        return Err(InvalidGitSecret::PuttyKey);
    }
    let key = content(identity).ok_or(InvalidGitSecret::NoKey)?;
    // What the armor says that it is, is not asked: each reading is judged that can be made of the bytes.
    if let Ok(key) = PrivateKey::from_bytes(&key) {
        check_openssh(key.kdf())?;
    }
    if let Ok(key) = EncryptedPrivateKeyInfoRef::from_der(&key) {
        check_pkcs8(&key.encryption_algorithm)?;
    }
    Ok(())
}

/// The bytes of the only private key. Two in one text are none: it would not be sure which one is read.
fn content(identity: &str) -> Option<Vec<u8>> {
    let is_begin = |line: &str| line.starts_with("-----BEGIN ") && line.ends_with("PRIVATE KEY-----");
    if identity.lines().filter(|line| is_begin(line)).count() != 1 {
        return None;
    }
    let lines = identity.lines().skip_while(|line| !is_begin(line)).skip(1);
    let lines = lines.take_while(|line| !line.starts_with("-----END "));
    // Among them may be headers, as of `DEK-Info`.
    let is_base64 = |line: &&str| line.chars().all(|c| c.is_ascii_alphanumeric() || "+/=".contains(c));
    STANDARD.decode(lines.filter(is_base64).collect::<String>()).ok()
}

fn check_openssh(derivation: &Kdf) -> Result<(), InvalidGitSecret> {
    match derivation {
        Kdf::None => Ok(()),
        Kdf::Bcrypt { rounds, .. } if *rounds <= MAX_BCRYPT_ROUNDS => Ok(()),
        _ => Err(BCRYPT),
    }
}

fn check_pkcs8(scheme: &EncryptionScheme) -> Result<(), InvalidGitSecret> {
    let derivation = match scheme {
        // Its count has 16 bits.
        EncryptionScheme::Pbes1(_) => return Ok(()),
        EncryptionScheme::Pbes2(parameters) => &parameters.kdf,
        _ => return Err(PBKDF2),
    };
    match derivation {
        pbes2::Kdf::Pbkdf2(wanted) if wanted.iteration_count <= MAX_PBKDF2_ITERATIONS => Ok(()),
        pbes2::Kdf::Scrypt(wanted) => {
            let factors = [wanted.block_size.into(), wanted.parallelization.into(), 128];
            let bytes = factors.into_iter().try_fold(wanted.cost_parameter, u64::checked_mul);
            if bytes.is_some_and(|bytes| bytes <= MAX_SCRYPT) { Ok(()) } else { Err(SCRYPT) }
        }
        _ => Err(PBKDF2),
    }
}

#[cfg(test)]
mod tests {
    use pkcs8::EncryptedPrivateKeyInfoOwned;
    use pkcs8::der::Encode as _;
    use pkcs8::der::asn1::OctetString;
    use pkcs8::pkcs5::pbes2::{Pbkdf2Params, Salt, ScryptParams};
    use russh::keys::Algorithm;
    use russh::keys::ssh_key::LineEnding;
    use russh::keys::ssh_key::{Cipher, private::KeypairData};

    use super::*;
    use crate::git::ssh::private_key;

    fn armored(kind: &str, bytes: &[u8]) -> String {
        format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", STANDARD.encode(bytes))
    }

    /// A key of OpenSSH's whose password is hashed so often.
    fn openssh(rounds: u32) -> String {
        let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap();
        let kdf = Kdf::Bcrypt { salt: vec![7; 16], rounds: 1 };
        let key = key.encrypt_with(Cipher::Aes256Ctr, kdf, 1, "pw").unwrap();
        assert!(matches!(key.key_data(), KeypairData::Encrypted(_)));
        let mut bytes = key.to_bytes().unwrap().to_vec();
        // The length of the salt, the salt, and the rounds.
        let options = [[0, 0, 0, 16].as_slice(), &[7; 16]].concat();
        let at = bytes.windows(20).position(|window| window == options).unwrap() + 20;
        bytes[at..at + 4].copy_from_slice(&rounds.to_be_bytes());
        armored("OPENSSH PRIVATE KEY", &bytes)
    }

    fn pkcs8(kdf: pbes2::Kdf) -> String {
        let encryption = pbes2::EncryptionScheme::Aes256Cbc { iv: [0; 16] };
        let parameters = pbes2::Parameters { kdf, encryption };
        let encryption_algorithm = EncryptionScheme::Pbes2(parameters);
        let encrypted_data = OctetString::new([0; 64]).unwrap();
        let key = EncryptedPrivateKeyInfoOwned { encryption_algorithm, encrypted_data };
        armored("ENCRYPTED PRIVATE KEY", &key.to_der().unwrap())
    }

    fn pbkdf2(iterations: u32) -> String {
        pkcs8(Pbkdf2Params::hmac_sha256(iterations, &[7; 16]).unwrap().into())
    }

    fn scrypt(cost_parameter: u64, block_size: u16, parallelization: u16) -> String {
        let salt = Salt::try_from([7; 16].as_slice()).unwrap();
        pkcs8(ScryptParams { salt, cost_parameter, block_size, parallelization, key_length: None }.into())
    }

    #[test]
    fn a_key_that_costs_too_much_to_unlock_is_refused_before_it_is_tried() {
        for (identity, error) in [
            (openssh(MAX_BCRYPT_ROUNDS + 1), BCRYPT),
            (openssh(u32::MAX), BCRYPT),
            (pbkdf2(100_000_000), PBKDF2),
            (scrypt(1 << 15, 8, 1), SCRYPT),
            (scrypt(1 << 14, 8, 2), SCRYPT),
            (scrypt(1 << 63, u16::MAX, u16::MAX), SCRYPT),
            (
                "PuTTY-User-Key-File-3: ssh-ed25519\nArgon2-Memory: 1000000\n".to_owned(),
                InvalidGitSecret::PuttyKey,
            ),
        ] {
            assert_eq!(private_key(&identity, Some("pw")).err(), Some(error), "{identity}");
        }
    }

    #[test]
    fn a_key_as_the_tools_make_it_is_unlocked() {
        assert_eq!(check_cost(&openssh(MAX_BCRYPT_ROUNDS)), Ok(()));
        assert_eq!(check_cost(&pbkdf2(MAX_PBKDF2_ITERATIONS)), Ok(()));
        assert_eq!(check_cost(&scrypt(1 << 14, 8, 1)), Ok(()));
        let encrypted = openssh(1);
        assert!(private_key(&encrypted, Some("pw")).is_ok());
        // What stands around it counts for nothing, and Windows's line ends do not either.
        let text = format!("a comment\n{}more\n", encrypted.replace('\n', "\r\n"));
        assert!(private_key(&text, Some("pw")).is_ok());
    }

    #[test]
    fn a_costly_key_does_not_hide_behind_another_armor_or_another_key() {
        let dear = pbkdf2(100_000_000);
        let relabelled = dear.replace("ENCRYPTED PRIVATE KEY", "PRIVATE KEY");
        assert_eq!(private_key(&relabelled, Some("pw")).err(), Some(PBKDF2));
        let plain = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap();
        let plain = plain.to_openssh(LineEnding::LF).unwrap();
        let both = format!("{}{dear}", plain.as_str());
        assert_eq!(private_key(&both, Some("pw")).err(), Some(InvalidGitSecret::NoKey));
        let unended =
            dear.lines().filter(|line| !line.starts_with("-----END")).collect::<Vec<_>>().join("\n");
        assert_eq!(private_key(&unended, Some("pw")).err(), Some(PBKDF2));
    }
}
