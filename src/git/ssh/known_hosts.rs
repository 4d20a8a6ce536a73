//! Whom to trust: the lines of a `known_hosts` file (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").
//!
//! A host on another port than 22 is trusted by its entry `[host]:port` alone; ssh(1) would also take the entry for
//! port 22.

use ring::hmac;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::known_hosts::{Entry, HostPatterns, Marker};
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey, PublicKeyOrCertificate};

/// The most bytes and lines of a file that are read.
const MAX_BYTES: usize = 1 << 20;

/// A line of `known_hosts` that can not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKnownHosts {
    /// No line with an entry.
    #[error(
        "the Secret's known_hosts has no entry; make one with ssh-keyscan, and check it against what the server's owner says"
    )]
    Empty,
    /// A line that is no entry.
    #[error(
        "line {line} of the Secret's known_hosts is no entry such as `git.example.com ssh-ed25519 AAAA…`"
    )]
    Line {
        /// Its number, from 1.
        line: usize,
    },
    /// The file is too large.
    #[error("the Secret's known_hosts is larger than {MAX_BYTES} bytes")]
    TooLarge,
}

/// A host key that is not trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UntrustedHost {
    /// No entry is for the host.
    #[error(
        "known_hosts has no entry for {host}, whose key is {shown}; add its line once you have checked the key"
    )]
    Unknown {
        /// The host, as entries name it.
        host: String,
        /// The fingerprint of its key.
        shown: String,
    },
    /// There are entries for the host, with other keys.
    #[error(
        "the host key of {host} is not the known one: known_hosts has {known}, the server shows {shown}; someone may be \
         listening in, or the server was set up anew"
    )]
    Changed {
        /// The host.
        host: String,
        /// The fingerprints that are known.
        known: String,
        /// The fingerprint of its key.
        shown: String,
    },
    /// The key is marked as revoked.
    #[error("known_hosts marks the key of {host}, {shown}, as revoked")]
    Revoked {
        /// The host.
        host: String,
        /// The fingerprint of its key.
        shown: String,
    },
    /// A certificate that its authority did not give for this.
    #[error("the certificate of {host} is not accepted: {problem}")]
    Certificate {
        /// The host.
        host: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// The keys that `known_hosts` has for one host.
#[derive(Clone, Debug)]
pub(super) struct KnownHost {
    host: String,
    keys: Vec<PublicKey>,
    authorities: Vec<PublicKey>,
    revoked: Vec<PublicKey>,
}

impl KnownHost {
    /// Reads what a file says of one host.
    ///
    /// # Errors
    /// `InvalidKnownHosts` for any line that can not be read, whichever host it is for: it could be a revocation.
    pub(super) fn read(text: &str, host: &str, port: u16) -> Result<Self, InvalidKnownHosts> {
        if text.len() > MAX_BYTES {
            return Err(InvalidKnownHosts::TooLarge);
        }
        let host = host.to_ascii_lowercase();
        let host = if port == 22 { host } else { format!("[{host}]:{port}") };
        let mut known = Self { host, keys: Vec::new(), authorities: Vec::new(), revoked: Vec::new() };
        let mut is_empty = true;
        for (index, line) in text.lines().enumerate() {
            let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            is_empty = false;
            let entry: Entry = line.parse().map_err(|_| InvalidKnownHosts::Line { line: index + 1 })?;
            if names(entry.host_patterns(), &known.host) {
                let keys = match entry.marker() {
                    None => &mut known.keys,
                    Some(Marker::CertAuthority) => &mut known.authorities,
                    Some(Marker::Revoked) => &mut known.revoked,
                };
                keys.push(entry.public_key().clone());
            }
        }
        if is_empty { Err(InvalidKnownHosts::Empty) } else { Ok(known) }
    }

    /// Judges what a server shows, at a time in seconds since 1970.
    ///
    /// # Errors
    /// `UntrustedHost` unless an entry vouches for it.
    pub(super) fn judge(&self, shown: &PublicKeyOrCertificate, now: u64) -> Result<(), UntrustedHost> {
        match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.judge_key(key),
            PublicKeyOrCertificate::Certificate(certificate) => self.judge_certificate(certificate, now),
        }
    }

    fn judge_key(&self, key: &PublicKey) -> Result<(), UntrustedHost> {
        let (host, shown) = (self.host.clone(), fingerprint(key));
        let is_among = |keys: &[PublicKey]| keys.iter().any(|known| known.key_data() == key.key_data());
        if is_among(&self.revoked) {
            return Err(UntrustedHost::Revoked { host, shown });
        }
        if is_among(&self.keys) {
            return Ok(());
        }
        if self.keys.is_empty() {
            return Err(UntrustedHost::Unknown { host, shown });
        }
        let known = self.keys.iter().map(fingerprint).collect::<Vec<_>>().join(", ");
        Err(UntrustedHost::Changed { host, known, shown })
    }

    /// PROTOCOL.certkeys: the authority, the time, the kind, and the name; no critical option is known for hosts.
    fn judge_certificate(&self, certificate: &Certificate, now: u64) -> Result<(), UntrustedHost> {
        let fail = |problem| Err(UntrustedHost::Certificate { host: self.host.clone(), problem });
        let is_revoked = |key: &PublicKey| {
            key.key_data() == certificate.public_key() || key.key_data() == certificate.signature_key()
        };
        if self.revoked.iter().any(is_revoked) {
            return fail("its key or its authority is marked as revoked");
        }
        let authorities: Vec<_> =
            self.authorities.iter().map(|key| key.fingerprint(HashAlg::Sha256)).collect();
        if certificate.validate_at(now, &authorities).is_err() {
            return fail(
                "it is not signed by an authority that known_hosts names for this host, or not valid now",
            );
        }
        if certificate.signature().algorithm() == (Algorithm::Rsa { hash: None }) {
            return fail("its authority signed it with SHA-1");
        }
        if certificate.cert_type() != CertType::Host {
            return fail("it is not for a host");
        }
        if !certificate.critical_options().is_empty() {
            return fail("it has a critical option that is not known");
        }
        // Certificates name hosts without their port. An empty list would stand for every host.
        let name = self.host.trim_start_matches('[').split(']').next().unwrap_or_default();
        if !certificate.valid_principals().iter().any(|pattern| matches(&pattern.to_ascii_lowercase(), name))
        {
            return fail("it is for other hosts");
        }
        Ok(())
    }

    /// The key types that may be asked of the server, so that it shows a key that can be judged; none where there is
    /// no entry. SHA-1 is never among them.
    pub(super) fn key_types(&self) -> Vec<Algorithm> {
        let mut types: Vec<Algorithm> = Vec::new();
        for algorithm in self.keys.iter().map(PublicKey::algorithm) {
            let usable = match algorithm {
                Algorithm::Rsa { .. } => every_rsa(),
                other => vec![other],
            };
            types.extend(usable);
        }
        types.dedup();
        types
    }

    /// Whether an authority is known, so that a certificate may be asked for.
    pub(super) fn has_authority(&self) -> bool {
        !self.authorities.is_empty()
    }
}

/// RSA's signature algorithms with SHA-2 (RFC 8332).
pub(super) fn every_rsa() -> Vec<Algorithm> {
    [HashAlg::Sha512, HashAlg::Sha256].map(|hash| Algorithm::Rsa { hash: Some(hash) }).to_vec()
}

fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// Whether an entry is for `host`.
fn names(patterns: &HostPatterns, host: &str) -> bool {
    match patterns {
        HostPatterns::HashedName { salt, hash } => {
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
            hmac::sign(&key, host.as_bytes()).as_ref() == hash
        }
        HostPatterns::Patterns(patterns) => {
            let lower = patterns.iter().map(|pattern| pattern.to_ascii_lowercase()).collect::<Vec<_>>();
            // A pattern behind ! that matches rules the host out, whatever the others say.
            let is_ruled_out = lower.iter().any(|p| p.strip_prefix('!').is_some_and(|p| matches(p, host)));
            !is_ruled_out && lower.iter().any(|pattern| matches(pattern, host))
        }
    }
}

/// Whether `text` matches a pattern with `*` and `?`, in time linear in both for each star.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut read) = (0, 0);
    // Where the last star stands, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while let Some(&byte) = text.get(read) {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(&wanted) if wanted == b'?' || wanted == byte => {
                at += 1;
                read += 1;
            }
            _ => match star {
                Some((position, taken)) => {
                    star = Some((position, taken + 1));
                    (at, read) = (position + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|&byte| byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const TWO: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

    fn judge(file: &str, host: &str, port: u16, key: &str) -> Result<(), UntrustedHost> {
        let key = PublicKey::from_openssh(key).unwrap();
        let shown = PublicKeyOrCertificate::PublicKey { key, hash_alg: None };
        KnownHost::read(file, host, port).unwrap().judge(&shown, 0)
    }

    #[test]
    fn an_entry_vouches_for_its_host_and_port_alone() {
        let file = format!(
            "# work\n\ngit.example.com,10.0.0.7 {ONE} comment # here\n[git.example.com]:2222\t{TWO}\n"
        );
        assert_eq!(judge(&file, "git.example.com", 22, ONE), Ok(()));
        assert_eq!(judge(&file, "GIT.example.com", 22, ONE), Ok(()));
        assert_eq!(judge(&file, "10.0.0.7", 22, ONE), Ok(()));
        assert_eq!(judge(&file, "git.example.com", 2222, TWO), Ok(()));
        assert!(matches!(judge(&file, "git.example.com", 2222, ONE), Err(UntrustedHost::Changed { .. })));
        assert!(matches!(judge(&file, "git.example.com", 2223, ONE), Err(UntrustedHost::Unknown { .. })));
        assert!(matches!(judge(&file, "other.example.com", 22, ONE), Err(UntrustedHost::Unknown { .. })));
    }

    #[test]
    fn a_changed_key_is_told_with_both_fingerprints() {
        let error = judge(&format!("h {ONE}"), "h", 22, TWO).unwrap_err().to_string();
        assert_eq!(error.matches("SHA256:").count(), 2, "{error}");
    }

    #[test]
    fn several_keys_may_be_known_and_one_of_them_revoked() {
        let both = format!("h {ONE}\nh {TWO}");
        assert_eq!(judge(&both, "h", 22, TWO), Ok(()));
        let revoked = format!("{both}\n@revoked * {TWO}");
        assert_eq!(judge(&revoked, "h", 22, ONE), Ok(()));
        assert!(matches!(judge(&revoked, "h", 22, TWO), Err(UntrustedHost::Revoked { .. })));
    }

    #[test]
    fn patterns_match_as_those_of_ssh() {
        for (patterns, host, wanted) in [
            ("*.example.com", "git.example.com", true),
            ("*.example.com", "example.com", false),
            ("git?.example.com", "git7.example.com", true),
            ("git?.example.com", "git.example.com", false),
            ("*.example.com,!bad.example.com", "bad.example.com", false),
            ("!bad.example.com", "git.example.com", false),
            ("*", "anything", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
        ] {
            let parsed = HostPatterns::Patterns(patterns.split(',').map(str::to_owned).collect());
            assert_eq!(names(&parsed, host), wanted, "{patterns} {host}");
        }
    }

    #[test]
    fn a_bad_line_is_named_by_its_number_and_never_passed_over() {
        for (file, line) in [("h ssh-ed25519", 1), ("# a\n\nh ssh-ed25519 %%%", 3), ("@trusted h x", 1)] {
            let error = KnownHost::read(file, "other", 22).unwrap_err();
            assert_eq!(error, InvalidKnownHosts::Line { line }, "{file}");
        }
        assert_eq!(KnownHost::read("# nothing\n", "h", 22).unwrap_err(), InvalidKnownHosts::Empty);
    }

    #[test]
    fn an_authority_vouches_for_no_plain_key() {
        let file = format!("@cert-authority *.example.com {ONE}");
        assert!(matches!(judge(&file, "git.example.com", 22, ONE), Err(UntrustedHost::Unknown { .. })));
        let known = KnownHost::read(&file, "git.example.com", 22).unwrap();
        assert!(known.has_authority() && known.key_types().is_empty());
    }
}
