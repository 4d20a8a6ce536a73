//! What an answer says about the number of requests.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::net::retry_after;

/// The longest pause that is read from a header that tells when the count starts anew.
const MAX_PAUSE: Duration = Duration::from_secs(60 * 60);

/// Numbers above this are moments (GitHub, GitLab), those below are seconds from now (the IETF's draft).
const FIRST_MOMENT: u64 = 1_000_000_000;

/// A wish to be asked less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plea {
    /// Not before this time has passed.
    For(Duration),
    /// Without a word of how long.
    Unsaid,
}

/// The wish in an answer: 429; 503 with `Retry-After`; and any answer that says that no request is left and when there
/// will be some again.
///
/// "No request left" without a time is no wish: Docker Hub says so of pulls, which the tag list and HEAD are not.
pub(super) fn plea(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Option<Plea> {
    let said = || match retry_after(headers, now).or_else(|| until_reset(headers, now)) {
        Some(pause) => Plea::For(pause),
        None => Plea::Unsaid,
    };
    match status {
        StatusCode::TOO_MANY_REQUESTS => Some(said()),
        StatusCode::SERVICE_UNAVAILABLE if headers.contains_key(RETRY_AFTER) => Some(said()),
        _ => until_reset(headers, now).map(Plea::For),
    }
}

/// How long no request is left, by `RateLimit-Remaining` and `RateLimit-Reset` ("RateLimit header fields for HTTP", IETF
/// draft, up to revision 6) or their older forms with `X-`.
fn until_reset(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    // Docker Hub adds the length of the window: `76;w=21600`.
    let number = |name: &str| {
        let text = headers.get(name)?.to_str().ok()?;
        text.split(';').next()?.trim().parse::<u64>().ok()
    };
    let one_of = |draft: &str, older: &str| number(draft).or_else(|| number(older));
    if one_of("ratelimit-remaining", "x-ratelimit-remaining")? > 0 {
        return None;
    }
    let reset = one_of("ratelimit-reset", "x-ratelimit-reset")?;
    let seconds = match reset.checked_sub(FIRST_MOMENT) {
        None => reset,
        Some(_) => reset.saturating_sub(u64::try_from(now.as_second()).unwrap_or_default()),
    };
    Some(Duration::from_secs(seconds).min(MAX_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-06T08:49:00Z";

    fn read(status: u16, headers: &[(&'static str, &str)]) -> Option<Plea> {
        let headers = headers.iter().map(|&(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        plea(StatusCode::from_u16(status).unwrap(), &headers.collect(), NOW.parse().unwrap())
    }

    const fn seconds(number: u64) -> Option<Plea> {
        Some(Plea::For(Duration::from_secs(number)))
    }

    #[test]
    fn reads_what_servers_say() {
        let in_a_minute = (NOW.parse::<Timestamp>().unwrap().as_second() + 60).to_string();
        for (status, headers, expected) in [
            (429, &[("retry-after", "30")][..], seconds(30)),
            (429, &[("ratelimit-remaining", "0"), ("ratelimit-reset", "7")], seconds(7)),
            (429, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &in_a_minute)], seconds(60)),
            (429, &[("ratelimit-remaining", "0;w=21600")], Some(Plea::Unsaid)),
            (429, &[("retry-after", "soon")], Some(Plea::Unsaid)),
            (503, &[("retry-after", "30")], seconds(30)),
            (503, &[], None),
            (200, &[("retry-after", "30")], None),
            (200, &[("ratelimit-remaining", "0"), ("ratelimit-reset", "7")], seconds(7)),
            (200, &[("ratelimit-remaining", "1"), ("ratelimit-reset", "7")], None),
            (200, &[("ratelimit-remaining", "0;w=21600"), ("ratelimit-limit", "100;w=21600")], None),
            (200, &[], None),
        ] {
            assert_eq!(read(status, headers), expected, "{status} {headers:?}");
        }
    }

    #[test]
    fn a_hostile_reset_is_bounded() {
        for reset in ["999999999", "18446744073709551615"] {
            let headers = [("ratelimit-remaining", "0"), ("ratelimit-reset", reset)];
            assert_eq!(read(200, &headers), Some(Plea::For(MAX_PAUSE)));
        }
        for reset in ["-1", "x", "", "1000000001"] {
            let headers = [("ratelimit-remaining", "0"), ("ratelimit-reset", reset)];
            assert!(matches!(read(200, &headers), None | Some(Plea::For(Duration::ZERO))), "{reset}");
        }
    }
}
