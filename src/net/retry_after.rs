//! When a server wants to be asked again.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// The longest wait a server may ask for: Docker Hub counts its requests per six hours.
const MAX_WAIT: Duration = Duration::from_secs(6 * 60 * 60);

/// What a server's `Retry-After` asks for: seconds or an HTTP date (RFC 9110, 10.2.3).
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(text).ok()?;
            Duration::try_from(date.timestamp().duration_since(now)).unwrap_or_default()
        }
    };
    Some(wait.min(MAX_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, value.parse().unwrap());
        retry_after(&headers, "2026-11-06T08:49:00Z".parse().unwrap())
    }

    #[test]
    fn reads_retry_after_as_seconds_and_as_a_date() {
        assert_eq!(wait("30"), Some(Duration::from_secs(30)));
        assert_eq!(wait("Fri, 06 Nov 2026 08:49:37 GMT"), Some(Duration::from_secs(37)));
        assert_eq!(wait("Thu, 05 Nov 2026 08:49:37 GMT"), Some(Duration::ZERO));
    }

    #[test]
    fn a_hostile_retry_after_holds_back_for_hours_at_most() {
        assert_eq!(wait("99999999999999"), Some(MAX_WAIT));
        assert_eq!(wait("99999999999999999999999999"), None);
        assert_eq!(wait("-1"), None);
        assert_eq!(wait("soon"), None);
    }
}
