//! Whether a delivery comes from whom it should, where both sides know a token. Every comparison takes the same time
//! whatever is compared.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use ring::hmac::{self, HMAC_SHA256};
use ring::rand::SystemRandom;

use super::standard;
use crate::api::WebhookKind;

/// The shortest token that is accepted, in bytes: a shorter one could be guessed at the rate at which requests are taken.
const SHORTEST: usize = 16;

/// What sender and receiver both know. Its `Debug` shows nothing.
#[derive(Clone)]
pub struct ProofToken {
    text: Box<[u8]>,
    /// The key in it, where it is a signing token.
    signing_key: Option<Box<[u8]>>,
}

/// A token that proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableToken {
    /// It could be guessed.
    #[error("its key token is shorter than {SHORTEST} characters; make one with `openssl rand -hex 32`")]
    Short,
    /// It begins as a signing token of GitLab, and is none.
    #[error(
        "its key token begins with whsec_, and the rest is not 24 to 64 bytes in Base64; copy the whole signing token"
    )]
    Spoilt,
}

/// What of a delivery can prove who sent it.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// The last part of the path, behind the webhook's name.
    pub in_path: Option<&'a str>,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body, which signatures are of.
    pub body: &'a [u8],
    /// When it came.
    pub at: Timestamp,
}

/// Where a sender shows what it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofPlace {
    /// In headers.
    Headers,
    /// In the address to which it sends, as the last part of the path.
    Path,
    /// In either.
    HeadersOrPath,
}

impl ProofPlace {
    /// Where senders of this kind do.
    #[must_use]
    pub const fn of(kind: WebhookKind) -> Self {
        match kind {
            WebhookKind::DockerHub | WebhookKind::Quay => Self::Path,
            // The registry's own webhooks have headers. Event Grid asks whether it may send before it sends, and with which
            // headers it asks is not written down.
            WebhookKind::AzureContainerRegistry => Self::HeadersOrPath,
            WebhookKind::ArtifactRegistry
            | WebhookKind::Distribution
            | WebhookKind::Ecr
            | WebhookKind::Generic
            | WebhookKind::GitHub
            | WebhookKind::GitLab
            | WebhookKind::Gitea
            | WebhookKind::Harbor
            | WebhookKind::Zot => Self::Headers,
        }
    }

    /// Whether it can be in an address that has a part for it, or in one that has none.
    #[must_use]
    pub const fn fits(self, has_part: bool) -> bool {
        match self {
            Self::Headers => !has_part,
            Self::Path => has_part,
            Self::HeadersOrPath => true,
        }
    }
}

impl ProofToken {
    /// Takes a token as a Secret holds it; white space around it, such as the end of a file's line, is not part of it. Only
    /// GitLab has signing tokens.
    ///
    /// # Errors
    /// [`UnusableToken`], where it is too short or a spoilt signing token.
    pub fn new(bytes: &[u8], kind: WebhookKind) -> Result<Self, UnusableToken> {
        let text = bytes.trim_ascii();
        let signing_key = match kind {
            WebhookKind::GitLab => standard::key_in(text).transpose().map_err(|_| UnusableToken::Spoilt)?,
            _ => None,
        };
        if text.len() < SHORTEST {
            Err(UnusableToken::Short)
        } else {
            Ok(Self { text: text.into(), signing_key })
        }
    }

    /// Whether the sender knows this token, shown in the way that is the kind's own.
    #[must_use]
    pub fn is_known_by(&self, kind: WebhookKind, sender: &Sender<'_>) -> bool {
        if !ProofPlace::of(kind).fits(sender.in_path.is_some()) {
            return false;
        }
        if let Some(given) = sender.in_path {
            return self.equals(given.as_bytes());
        }
        let has_signed = |names: &[&str]| names.iter().any(|name| self.has_signed(sender, name));
        match kind {
            WebhookKind::GitHub => has_signed(&["x-hub-signature-256"]),
            WebhookKind::Gitea => {
                has_signed(&["x-gitea-signature", "x-forgejo-signature", "x-hub-signature-256"])
            }
            WebhookKind::GitLab => match &self.signing_key {
                Some(key) => standard::is_signed(key, sender.headers, sender.body, sender.at),
                None => self.is_in(sender.headers, "x-gitlab-token"),
            },
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
        hmac::verify(&key, given, hmac::sign(&key, &self.text).as_ref()).is_ok()
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
        hmac::verify(&hmac::Key::new(HMAC_SHA256, &self.text), sender.body, &signature).is_ok()
    }
}

impl fmt::Debug for ProofToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProofToken([redacted])")
    }
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
        let sender = Sender { in_path, headers: &headers, body: BODY, at: Timestamp::UNIX_EPOCH };
        ProofToken::new(TOKEN.as_bytes(), kind).unwrap().is_known_by(kind, &sender)
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
            (AzureContainerRegistry, vec!["path", "bearer", "basic", "bare"]),
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
        let sender = Sender { in_path: None, headers: &headers, body: b"another", at: Timestamp::UNIX_EPOCH };
        assert!(!ProofToken::new(TOKEN.as_bytes(), GitHub).unwrap().is_known_by(GitHub, &sender));
        // Right in one place and wrong in the other is wrong.
        let right = format!("Bearer {TOKEN}");
        assert!(!is_known(AzureContainerRegistry, Some(other), &[("authorization", &right)]));
        assert!(!is_known(AzureContainerRegistry, Some(""), &[("authorization", &right)]));
    }

    #[test]
    fn who_has_a_signing_token_signs_and_does_not_show_it() {
        use WebhookKind::*;
        let text = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let token = ProofToken::new(text.as_bytes(), GitLab).unwrap();
        let signed = headers(&[
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ]);
        let body = br#"{"test": 2432232314}"#;
        let at = Timestamp::from_second(1_614_265_400).unwrap();
        let sender = Sender { in_path: None, headers: &signed, body, at };
        assert!(token.is_known_by(GitLab, &sender));
        assert!(!ProofToken::new(TOKEN.as_bytes(), GitLab).unwrap().is_known_by(GitLab, &sender));
        let shown = headers(&[("x-gitlab-token", text)]);
        assert!(!token.is_known_by(GitLab, &Sender { headers: &shown, ..sender }));
        assert_eq!(ProofToken::new(b"whsec_0123456789abcdef", GitLab).unwrap_err(), UnusableToken::Spoilt);
        assert!(
            ProofToken::new(b"whsec_0123456789abcdef", GitHub).is_ok(),
            "elsewhere it is a text like others"
        );
    }

    #[test]
    fn a_token_is_long_enough_and_shows_nothing_of_itself() {
        let kind = WebhookKind::GitLab;
        assert_eq!(ProofToken::new(b"  short  \n        ", kind).unwrap_err(), UnusableToken::Short);
        let token = ProofToken::new(format!("{TOKEN}\n").as_bytes(), kind).unwrap();
        assert!(token.equals(TOKEN.as_bytes()));
        assert_eq!(format!("{token:?}"), "ProofToken([redacted])");
    }
}
