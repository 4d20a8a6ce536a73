//! Bearer tokens.

use std::time::{Duration, Instant};

use reqwest::header::HeaderValue;
use serde::Deserialize;
use serde_json::Value;

use super::Access;
use super::kept::{Fresh, Kept};

/// How long a token is good for where the token server does not say ("Token Authentication", distribution project).
const DEFAULT_LIFETIME: Duration = Duration::from_secs(60);

/// The longest that a token is kept, whatever its server says.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest token that is taken, in bytes: servers take no longer header, and thousands of tokens are kept.
const MAX_TOKEN: usize = 16 * 1024;

/// For whom and for what a token is.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct TokenKey {
    pub(super) origin: String,
    pub(super) repository: String,
    pub(super) access: Access,
}

/// The tokens in use, as headers.
pub(super) type Tokens = Kept<TokenKey, HeaderValue>;

/// Reads a token server's answer; the error says what is wrong with it.
pub(super) fn read_token(body: &[u8], now: Instant) -> Result<Fresh<HeaderValue>, String> {
    /// Both names are in use: `token` by the distribution project, `access_token` by OAuth 2.0 (RFC 6749, 5.1).
    #[derive(Deserialize)]
    struct Answer {
        token: Option<String>,
        access_token: Option<String>,
        #[serde(default)]
        expires_in: Value,
    }
    // The parser's own message may quote the token.
    let answer: Answer = serde_json::from_slice(body).map_err(|error| {
        format!("its token is no JSON object of the right form, at column {}", error.column())
    })?;
    let token = [answer.token, answer.access_token].into_iter().flatten().find(|token| !token.is_empty());
    let token = token.ok_or("it holds neither `token` nor `access_token`")?;
    if token.len() > MAX_TOKEN {
        return Err(format!("its token is longer than {MAX_TOKEN} bytes"));
    }
    let mut header = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| "its token has characters that no header may have")?;
    header.set_sensitive(true);
    let lifetime = answer
        .expires_in
        .as_f64()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|lifetime| !lifetime.is_zero())
        .unwrap_or(DEFAULT_LIFETIME)
        .min(MAX_LIFETIME);
    Ok(Fresh::for_life(header, lifetime, now))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::super::Credential;
    use super::*;
    use crate::net::SecretText;

    fn key(repository: &str, password: &str) -> TokenKey {
        let credential =
            Credential::Password { username: "bot".into(), password: SecretText::from(password.to_owned()) };
        TokenKey {
            origin: "https://r".into(),
            repository: repository.into(),
            access: Access { credential: Some(credential), ..Access::default() },
        }
    }

    fn token(text: &str, now: Instant) -> Fresh<HeaderValue> {
        let body = format!(r#"{{"token":"{text}","expires_in":100}}"#);
        read_token(body.as_bytes(), now).unwrap()
    }

    /// The token for `key` at `now`; where it must be fetched, it is `fetched`.
    async fn get(
        tokens: &Tokens,
        key: TokenKey,
        rejected: Option<&HeaderValue>,
        now: Instant,
        fetched: &str,
    ) -> String {
        let fetch = || async { Ok::<_, ()>(token(fetched, now)) };
        let header = tokens.get(key, rejected, now, fetch).await.unwrap();
        header.to_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_token_is_kept_for_nine_tenths_of_its_life() {
        let (tokens, start) = (Tokens::default(), Instant::now());
        for (after, fetched, given) in
            [(0, "first", "first"), (89, "second", "first"), (91, "second", "second")]
        {
            let now = start + Duration::from_secs(after);
            let token = get(&tokens, key("a", "x"), None, now, fetched).await;
            assert_eq!(token, format!("Bearer {given}"), "after {after} s");
        }
    }

    #[tokio::test]
    async fn another_credential_or_repository_has_its_own_token() {
        let (tokens, now) = (Tokens::default(), Instant::now());
        for (key, fetched) in [(key("a", "x"), "first"), (key("a", "y"), "second"), (key("b", "x"), "third")]
        {
            let token = get(&tokens, key, None, now, fetched).await;
            assert_eq!(token, format!("Bearer {fetched}"));
        }
    }

    #[tokio::test]
    async fn a_rejected_token_is_renewed_once_for_all() {
        let (tokens, now) = (Tokens::default(), Instant::now());
        get(&tokens, key("a", "x"), None, now, "first").await;
        let rejected = HeaderValue::from_static("Bearer first");
        for fetched in ["second", "third"] {
            let token = get(&tokens, key("a", "x"), Some(&rejected), now, fetched).await;
            assert_eq!(token, "Bearer second");
        }
    }

    #[tokio::test]
    async fn all_who_wait_share_one_fetch() {
        let (tokens, now) = (Tokens::default(), Instant::now());
        let fetches = AtomicU32::new(0);
        let ask = || {
            tokens.get(key("a", "x"), None, now, || async {
                fetches.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(20)).await;
                Ok::<_, ()>(token("only", now))
            })
        };
        let (first, second, third) = tokio::join!(ask(), ask(), ask());
        for header in [first, second, third] {
            assert_eq!(header, Ok(HeaderValue::from_static("Bearer only")));
        }
        assert_eq!(fetches.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn tokens_that_ended_do_not_pile_up() {
        let (tokens, start) = (Tokens::default(), Instant::now());
        for password in 0..50 {
            let now = start + Duration::from_secs(60 * password);
            get(&tokens, key("a", &password.to_string()), None, now, "x").await;
        }
        assert!(tokens.len() < 5);
    }

    #[tokio::test]
    async fn tokens_of_a_whole_day_are_bounded_in_number_and_in_length() {
        let (tokens, start) = (Tokens::default(), Instant::now());
        let day = |number: u64| {
            let body = format!(r#"{{"token":"t{number}","expires_in":86400}}"#);
            async move { Ok::<_, ()>(read_token(body.as_bytes(), start + Duration::from_secs(number)).unwrap()) }
        };
        for number in 0..5000 {
            tokens.get(key(&number.to_string(), "x"), None, start, || day(number)).await.unwrap();
        }
        assert_eq!(tokens.len(), 4096);
        let last = tokens.get(key("4999", "x"), None, start, || day(0)).await.unwrap();
        assert_eq!(last, "Bearer t4999", "the one that ends first goes");

        let long = format!(r#"{{"token":"{}"}}"#, "s3cret".repeat(3000));
        let Err(error) = read_token(long.as_bytes(), start) else { panic!("it is taken") };
        assert!(error.contains("longer than") && !error.contains("s3cret"), "{error}");
    }

    #[test]
    fn reads_both_names_and_any_lifetime() {
        let now = Instant::now();
        let lifetime = |body: &str| read_token(body.as_bytes(), now).unwrap().renew_at - now;
        assert_eq!(lifetime(r#"{"access_token":"x"}"#), Duration::from_secs(54));
        assert_eq!(
            lifetime(r#"{"token":"","access_token":"x","expires_in":300,"issued_at":"?"}"#).as_secs(),
            270
        );
        assert_eq!(lifetime(r#"{"token":"x","expires_in":1e300}"#), Duration::from_secs(54));
        assert_eq!(lifetime(r#"{"token":"x","expires_in":-1}"#), Duration::from_secs(54));
        assert_eq!(lifetime(r#"{"token":"x","expires_in":99999999}"#), MAX_LIFETIME.mul_f64(0.9));
    }

    #[test]
    fn a_bad_answer_is_an_error_that_shows_no_token() {
        for body in
            ["", "{}", r#"{"token":""}"#, r#"{"token":"s3cret\n"}"#, r#""s3cret""#, r#"{"token":["s3cret"]}"#]
        {
            let Err(error) = read_token(body.as_bytes(), Instant::now()) else { panic!("{body}") };
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
