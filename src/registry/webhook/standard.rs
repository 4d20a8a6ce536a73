//! Signatures of the Standard Webhooks specification 1.0.0 ("Verifying webhook authenticity"), as GitLab makes them where a
//! webhook has a signing token: HMAC-SHA256 of id, time and body, with the bytes that the token has in Base64.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use reqwest::header::HeaderMap;
use ring::hmac::{self, HMAC_SHA256};

/// How a signing token begins.
const PREFIX: &[u8] = b"whsec_";

/// How long a signing key is, in bytes ("Signature scheme").
const KEY_LENGTH: std::ops::RangeInclusive<usize> = 24..=64;

/// How far the time of a delivery may be from ours, before and after. The specification leaves it open, and its own
/// libraries take five minutes.
pub(super) const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// The most signatures of one delivery that are looked at: while a key is replaced, there are two.
const MOST_SIGNATURES: usize = 8;

/// The longest id, in bytes.
const MAX_ID: usize = 256;

const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";

/// The key in a signing token. `None` where the text is no signing token, and an error where it is a spoilt one.
pub(super) fn key_in(token: &[u8]) -> Option<Result<Box<[u8]>, SpoiltToken>> {
    let encoded = token.strip_prefix(PREFIX)?;
    let key = BASE64_STANDARD.decode(encoded).ok().filter(|key| KEY_LENGTH.contains(&key.len()));
    Some(key.map(Vec::into_boxed_slice).ok_or(SpoiltToken))
}

/// A text that begins as a signing token and is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SpoiltToken;

/// What one delivery calls itself. Whoever repeats a signed one can change neither of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeliveryName<'a> {
    id: &'a str,
    timestamp: &'a str,
}

impl<'a> DeliveryName<'a> {
    /// Reads it; `None` where the headers are missing or not of the specified form.
    #[must_use]
    pub fn read(headers: &'a HeaderMap) -> Option<Self> {
        let [id, timestamp] = [ID, TIMESTAMP].map(|name| headers.get(name)?.to_str().ok());
        let (id, timestamp) = (id?, timestamp?);
        // With a full stop in it, one text could be signed as two deliveries.
        let is_id = (1..=MAX_ID).contains(&id.len()) && !id.contains('.');
        let is_time =
            (1..=12).contains(&timestamp.len()) && timestamp.bytes().all(|byte| byte.is_ascii_digit());
        (is_id && is_time).then_some(Self { id, timestamp })
    }

    fn is_near(self, now: Timestamp) -> bool {
        let Ok(then) = self.timestamp.parse::<i64>() else { return false };
        now.as_second().abs_diff(then) <= TOLERANCE.as_secs()
    }
}

/// Whether the delivery is signed with `key`, and not long ago.
pub(super) fn is_signed(key: &[u8], headers: &HeaderMap, body: &[u8], now: Timestamp) -> bool {
    let Some(name) = DeliveryName::read(headers).filter(|name| name.is_near(now)) else { return false };
    let Some(signatures) = headers.get(SIGNATURE).and_then(|value| value.to_str().ok()) else { return false };
    let mut signed = hmac::Context::with_key(&hmac::Key::new(HMAC_SHA256, key));
    for part in [name.id.as_bytes(), b".", name.timestamp.as_bytes(), b".", body] {
        signed.update(part);
    }
    let right = signed.sign();
    let given = signatures.split_ascii_whitespace().take(MOST_SIGNATURES);
    let given = given.filter_map(|one| BASE64_STANDARD.decode(one.strip_prefix("v1,")?).ok());
    // Equality of codes of both under the same key takes the same time wherever they differ.
    let code = hmac::Key::new(HMAC_SHA256, key);
    let expected = hmac::sign(&code, right.as_ref());
    given.map(|one| hmac::verify(&code, &one, expected.as_ref()).is_ok()).fold(false, |any, one| any | one)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_774_000_000;
    const BODY: &[u8] = br#"{"object_kind":"pipeline"}"#;

    fn token() -> Vec<u8> {
        [PREFIX, BASE64_STANDARD.encode([7; 32]).as_bytes()].concat()
    }

    fn signature(key: &[u8], id: &str, at: i64, body: &[u8]) -> String {
        let text = [format!("{id}.{at}.").as_bytes(), body].concat();
        let code = hmac::sign(&hmac::Key::new(HMAC_SHA256, key), &text);
        format!("v1,{}", BASE64_STANDARD.encode(code.as_ref()))
    }

    fn headers(id: &str, at: &str, signature: &str) -> HeaderMap {
        let pairs = [(ID, id), (TIMESTAMP, at), (SIGNATURE, signature)];
        pairs.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn is_good(headers: &HeaderMap, body: &[u8]) -> bool {
        let key = key_in(&token()).unwrap().unwrap();
        is_signed(&key, headers, body, Timestamp::from_second(NOW).unwrap())
    }

    #[test]
    fn the_example_of_the_specification_is_understood() {
        // Of "Webhook headers" and "Signature scheme" in version 1.0.0 of it, and of its reference libraries' tests.
        let key = key_in(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap().unwrap();
        let headers = headers(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        );
        let now = Timestamp::from_second(1_614_265_330).unwrap();
        assert!(is_signed(&key, &headers, br#"{"test": 2432232314}"#, now));
    }

    #[test]
    fn a_delivery_is_taken_for_five_minutes_by_any_of_its_signatures() {
        let key = [7; 32];
        for (offset, is_near) in [(0, true), (-300, true), (300, true), (-301, false), (301, false)] {
            let at = NOW + offset;
            let good = signature(&key, "msg_1", at, BODY);
            assert_eq!(is_good(&headers("msg_1", &at.to_string(), &good), BODY), is_near, "{offset}");
        }
        let (good, other) = (signature(&key, "msg_1", NOW, BODY), signature(&[8; 32], "msg_1", NOW, BODY));
        let now = NOW.to_string();
        assert!(is_good(&headers("msg_1", &now, &format!("{other} v1a,AAAA {good}")), BODY));
        let hidden = format!("{}{good}", format!("{other} ").repeat(MOST_SIGNATURES));
        assert!(!is_good(&headers("msg_1", &now, &hidden), BODY), "no more are looked at");
    }

    #[test]
    fn what_is_not_signed_as_it_is_was_signed_by_nobody() {
        let (key, now) = ([7; 32], NOW.to_string());
        let good = signature(&key, "msg_1", NOW, BODY);
        let bare = good.strip_prefix("v1,").unwrap();
        let cut = good.get(..good.len() - 4).unwrap();
        for (id, at, signature, body) in [
            ("msg_2", now.as_str(), good.as_str(), BODY),
            ("msg_1", &(NOW + 1).to_string(), &good, BODY),
            ("msg_1", &now, &good, b"{}"),
            ("msg_1", &now, &signature(&[8; 32], "msg_1", NOW, BODY), BODY),
            ("msg_1", &now, bare, BODY),
            ("msg_1", &now, &format!("v2,{bare}"), BODY),
            ("msg_1", &now, cut, BODY),
            ("msg_1", &now, "v1,", BODY),
            ("msg_1", &now, "", BODY),
            ("", &now, &good, BODY),
            ("msg_1", "", &good, BODY),
            ("msg_1", &format!("+{now}"), &good, BODY),
            ("msg_1", "99999999999999999999", &good, BODY),
        ] {
            assert!(!is_good(&headers(id, at, signature), body), "{id:?} {at:?} {signature:?}");
        }
        let dotted = signature_of_dotted(&key);
        assert!(!is_good(&dotted, BODY), "it could be another delivery's");
        assert!(!is_good(&HeaderMap::new(), BODY));
    }

    fn signature_of_dotted(key: &[u8]) -> HeaderMap {
        headers("a.b", &NOW.to_string(), &signature(key, "a.b", NOW, BODY))
    }

    #[test]
    fn a_signing_token_that_is_spoilt_is_told_from_one_of_another_kind() {
        assert!(key_in(&token()).unwrap().is_ok());
        assert_eq!(key_in(b"0123456789abcdef"), None);
        for spoilt in ["whsec_", "whsec_AAAA", "whsec_not base64 at all, but long enough"] {
            assert_eq!(key_in(spoilt.as_bytes()), Some(Err(SpoiltToken)), "{spoilt}");
        }
    }
}
