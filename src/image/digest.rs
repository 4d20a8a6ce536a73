//! A content digest.

use std::fmt;

/// A digest of a manifest: `sha256:` and 64 hexadecimal digits, or `sha512:` and 128, in lower case
/// (OCI image specification, "Digests").
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(Box<str>);

/// A string that is no digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{input:?} is not a digest: it should read sha256: and 64 lower-case hexadecimal digits")]
pub struct InvalidDigest {
    /// What was given, cut to a printable length.
    pub input: String,
}

impl Digest {
    /// Reads a digest.
    ///
    /// # Errors
    /// `InvalidDigest` for another algorithm, a wrong length or a character that is not lower-case hexadecimal.
    pub fn parse(text: &str) -> Result<Self, InvalidDigest> {
        let invalid = || InvalidDigest { input: super::name::shortened(text) };
        let (algorithm, hex) = text.split_once(':').ok_or_else(invalid)?;
        let length = match algorithm {
            "sha256" => 64,
            "sha512" => 128,
            _ => return Err(invalid()),
        };
        let is_hex = hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if hex.len() == length && is_hex { Ok(Self(text.into())) } else { Err(invalid()) }
    }

    /// Whether the text is a SHA-256 digest without the algorithm before it.
    #[must_use]
    pub fn is_hex(text: &str) -> bool {
        Self::parse(&format!("sha256:{text}")).is_ok()
    }

    /// The SHA-256 digest of `bytes`.
    #[must_use]
    pub fn sha256_of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(hexadecimal("sha256:", &sha2::Sha256::digest(bytes)).into())
    }

    /// Whether this is the digest of `bytes`.
    #[must_use]
    pub fn is_of(&self, bytes: &[u8]) -> bool {
        use sha2::Digest as _;
        if self.0.starts_with("sha512:") {
            hexadecimal("sha512:", &sha2::Sha512::digest(bytes)) == *self.0
        } else {
            *self == Self::sha256_of(bytes)
        }
    }

    /// The digest with its algorithm, as registries write it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn hexadecimal(algorithm: &str, bytes: &[u8]) -> String {
    bytes.iter().fold(algorithm.to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_to_the_known_digest_of_nothing() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::sha256_of(b"").as_str(), empty);
        assert_eq!(Digest::parse(empty).unwrap().as_str(), empty);
    }

    #[test]
    fn knows_what_it_is_the_digest_of() {
        let long = "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
        for digest in [Digest::sha256_of(b"abc"), Digest::parse(long).unwrap()] {
            assert!(digest.is_of(b"abc") && !digest.is_of(b"abd"), "{digest}");
        }
    }

    #[test]
    fn rejects_other_algorithms_lengths_and_upper_case() {
        for bad in
            ["", "sha256:", "md5:00", "sha256:zz", &format!("sha256:{}", "A".repeat(64)), &"a".repeat(64)]
        {
            assert!(Digest::parse(bad).is_err(), "{bad:?}");
        }
    }
}
