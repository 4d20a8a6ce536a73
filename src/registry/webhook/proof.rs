//! Whether a delivery comes from whom it should, where both sides know a token. Every comparison takes the same time
//! whatever is compared.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use ring::hmac::{self, HMAC_SHA256};
use ring::rand::SystemRandom;

use crate::api::WebhookKind;

/// The shortest token that is accepted, in bytes: a shorter one could be guessed at the rate at which requests are taken.
const SHORTEST: usize = 16;

/// What sender and receiver both know. Its `Debug` shows nothing.
#[derive(Clone)]
pub struct ProofToken(Box<[u8]>);

/// A token that proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its key token is shorter than {SHORTEST} characters; make one with `openssl rand -hex 32`")]
pub struct UnusableToken;

/// What of a delivery can prove who sent it.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// The last part of the path, behind the webhook's name.
    pub in_path: Option<&'a str>,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body, which signatures are of.
    pub body: &'a [u8],
}

impl ProofToken {
    /// Takes a token as a Secret holds it; white space around it, such as the end of a file's line, is not part of it.
    ///
    /// # Errors
    /// [`UnusableToken`], where it is too short.
    pub fn new(bytes: &[u8]) -> Result<Self, UnusableToken> {
        let token = bytes.trim_ascii();
        if token.len() < SHORTEST { Err(UnusableToken) } else { Ok(Self(token.into())) }
    }

    /// Whether the sender knows this token, shown in the way that is the kind's own.
    #[must_use]
    pub fn is_known_by(&self, kind: WebhookKind, sender: &Sender<'_>) -> bool {
        if is_proven_in_path(kind) {
            return sender.in_path.is_some_and(|given| self.equals(given.as_bytes()));
        }
        let has_signed = |names: &[&str]| names.iter().any(|name| self.has_signed(sender, name));
        match kind {
            WebhookKind::GitHub => has_signed(&["x-hub-signature-256"]),
            WebhookKind::Gitea => {
                has_signed(&["x-gitea-signature", "x-forgejo-signature", "x-hub-signature-256"])
            }
            WebhookKind::GitLab => self.is_in(sender.headers, "x-gitlab-token"),
            WebhookKind::Generic => {
                has_signed(&["x-signature-256", "x-hub-signature-256"])
                    || self.is_authorization(sender.headers)
            }
            WebhookKind::AzureContainerRegistry
            | WebhookKind::Distribution
            | WebhookKind::Ecr
            | WebhookKind::Harbor
            | WebhookKind::Zot => self.is_authorization(sender.headers),
            // The first two were answered above; the last is proven by an identity token and by nothing else.
            WebhookKind::DockerHub | WebhookKind::Quay | WebhookKind::ArtifactRegistry => false,
        }
    }

    /// Equality of equally long random codes instead of the texts: the time tells nothing of where they differ, nor of how
    /// long the token is.
    fn equals(&self, given: &[u8]) -> bool {
        let Ok(key) = hmac::Key::generate(HMAC_SHA256, &SystemRandom::new()) else { return false };
        hmac::verify(&key, given, hmac::sign(&key, &self.0).as_ref()).is_ok()
    }

    fn is_in(&self, headers: &HeaderMap, name: &str) -> bool {
        headers.get(name).is_some_and(|given| self.equals(given.as_bytes()))
    }

    /// As a bearer token (RFC 6750, 2.1), as the password of any user (RFC 7617), or as the whole header, which is what
    /// Harbor makes of its "auth header".
    fn is_authorization(&self, headers: &HeaderMap) -> bool {
        let Some(given) = headers.get(AUTHORIZATION).map(|value| value.as_bytes()) else { return false };
        if let Some(token) = after_scheme(given, b"bearer ") {
            return self.equals(token);
        }
        if let Some(user_and_password) = after_scheme(given, b"basic ") {
            let decoded = BASE64_STANDARD.decode(user_and_password).unwrap_or_default();
            let password = decoded.splitn(2, |byte| *byte == b':').nth(1);
            return password.is_some_and(|password| self.equals(password));
        }
        self.equals(given)
    }

    /// A signature of the body (RFC 2104) in hexadecimal, with or without `sha256=` before it.
    fn has_signed(&self, sender: &Sender<'_>, name: &str) -> bool {
        let Some(given) = sender.headers.get(name).and_then(|value| value.to_str().ok()) else {
            return false;
        };
        let Some(signature) = from_hex(given.strip_prefix("sha256=").unwrap_or(given)) else { return false };
        hmac::verify(&hmac::Key::new(HMAC_SHA256, &self.0), sender.body, &signature).is_ok()
    }
}

impl fmt::Debug for ProofToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProofToken([redacted])")
    }
}

/// Whether senders of this kind can prove themselves only by the address to which they send.
#[must_use]
pub const fn is_proven_in_path(kind: WebhookKind) -> bool {
    matches!(kind, WebhookKind::DockerHub | WebhookKind::Quay)
}

fn after_scheme<'h>(header: &'h [u8], scheme: &[u8]) -> Option<&'h [u8]> {
    let (given, rest) = header.split_at_checked(scheme.len())?;
    given.eq_ignore_ascii_case(scheme).then(|| rest.trim_ascii())
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).and_then(|value| u8::try_from(value).ok())).collect();
    let digits = digits.filter(|digits| digits.len() == 64)?;
    Some(digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";
    const BODY: &[u8] = br#"{"zen":"x"}"#;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn is_known(kind: WebhookKind, in_path: Option<&str>, pairs: &[(&'static str, &str)]) -> bool {
        let headers = headers(pairs);
        let sender = Sender { in_path, headers: &headers, body: BODY };
        ProofToken::new(TOKEN.as_bytes()).unwrap().is_known_by(kind, &sender)
    }

    fn signature_by(token: &str) -> String {
        let key = hmac::Key::new(HMAC_SHA256, token.as_bytes());
        hmac::sign(&key, BODY).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn each_kind_has_its_way_of_proof_and_takes_no_other() {
        use WebhookKind::*;
        let signed = signature_by(TOKEN);
        let prefixed = format!("sha256={signed}");
        let bearer = format!("Bearer {TOKEN}");
        let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("any:{TOKEN}")));
        let ways = [
            ("path", Some(TOKEN), None),
            ("hub", None, Some(("x-hub-signature-256", prefixed.as_str()))),
            ("gitea", None, Some(("x-gitea-signature", signed.as_str()))),
            ("signature", None, Some(("x-signature-256", prefixed.as_str()))),
            ("gitlab", None, Some(("x-gitlab-token", TOKEN))),
            ("bearer", None, Some(("authorization", bearer.as_str()))),
            ("basic", None, Some(("authorization", basic.as_str()))),
            ("bare", None, Some(("authorization", TOKEN))),
            ("nothing", None, None),
        ];
        for (kind, accepted) in [
            (DockerHub, vec!["path"]),
            (Quay, vec!["path"]),
            (GitHub, vec!["hub"]),
            (Gitea, vec!["hub", "gitea"]),
            (GitLab, vec!["gitlab"]),
            (Generic, vec!["hub", "signature", "bearer", "basic", "bare"]),
            (AzureContainerRegistry, vec!["bearer", "basic", "bare"]),
            (Distribution, vec!["bearer", "basic", "bare"]),
            (Ecr, vec!["bearer", "basic", "bare"]),
            (Harbor, vec!["bearer", "basic", "bare"]),
            (Zot, vec!["bearer", "basic", "bare"]),
            (ArtifactRegistry, vec![]),
        ] {
            let taken: Vec<&str> = ways
                .iter()
                .filter(|(_, in_path, header)| is_known(kind, *in_path, header.as_slice()))
                .map(|(name, ..)| *name)
                .collect();
            assert_eq!(taken, accepted, "{kind:?}");
        }
    }

    #[test]
    fn a_proof_by_another_token_of_another_body_or_cut_short_is_none() {
        use WebhookKind::*;
        let other = "fedcba9876543210fedcba9876543210";
        let signed = signature_by(TOKEN);
        let bearer = format!("Bearer {other}");
        let cut = |text: &str, length: usize| text.chars().take(length).collect::<String>();
        assert!(!is_known(GitHub, None, &[("x-hub-signature-256", &signature_by(other))]));
        assert!(!is_known(GitHub, None, &[("x-hub-signature-256", &cut(&signed, 62))]));
        assert!(!is_known(GitHub, None, &[("x-hub-signature-256", "sha256=")]));
        assert!(!is_known(GitHub, None, &[("x-hub-signature-256", &format!("{}zz", cut(&signed, 62)))]));
        assert!(!is_known(Harbor, None, &[("authorization", &bearer)]));
        assert!(!is_known(Harbor, None, &[("authorization", "Bearer ")]));
        assert!(!is_known(Harbor, None, &[("authorization", "Basic ====")]));
        assert!(!is_known(DockerHub, Some(&cut(TOKEN, 31)), &[]));
        assert!(!is_known(DockerHub, Some(""), &[]));
        assert!(!is_known(DockerHub, Some(&format!("{TOKEN}0")), &[]));
        let headers = headers(&[("x-hub-signature-256", &format!("sha256={signed}"))]);
        let sender = Sender { in_path: None, headers: &headers, body: b"another" };
        assert!(!ProofToken::new(TOKEN.as_bytes()).unwrap().is_known_by(GitHub, &sender));
    }

    #[test]
    fn a_token_is_long_enough_and_shows_nothing_of_itself() {
        assert_eq!(ProofToken::new(b"  short  \n        ").unwrap_err(), UnusableToken);
        let token = ProofToken::new(format!("{TOKEN}\n").as_bytes()).unwrap();
        assert!(token.equals(TOKEN.as_bytes()));
        assert_eq!(format!("{token:?}"), "ProofToken([redacted])");
    }
}
