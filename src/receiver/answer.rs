//! What becomes of a delivery, and how its sender is told.

use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// How long who comes too early is asked to wait, in seconds.
const LATER: HeaderValue = HeaderValue::from_static("5");

/// By these headers a sender is told that it may deliver, and how much (CloudEvents, "HTTP 1.1 Web Hooks for Event Delivery",
/// 4.2).
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");
const ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");

/// What becomes of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// So many images are asked for.
    Taken(usize),
    /// It speaks of nothing that was pushed here.
    Nothing,
    /// It was taken before.
    Repeated,
    /// It asks for this code to be sent back before anything is delivered.
    Validated(String),
    /// It asks whether this origin may deliver, and it may.
    Welcome(HeaderValue),
    /// It asks whether it may deliver, which is not to be asked here.
    Unasked,
    /// There is no such webhook.
    Unknown,
    /// The sender did not prove itself.
    Unproven,
    /// What it says can not be understood.
    Malformed(String),
    /// It can not be taken now.
    Busy,
    /// The leader, to which it was handed on, answered this.
    OfLeader(Reply),
}

/// An answer as HTTP has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers, without those that HTTP itself needs.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
}

impl Reply {
    /// The headers that say something of a delivery.
    const HEADERS: [HeaderName; 5] = [ALLOW, CONTENT_TYPE, RETRY_AFTER, ALLOWED_ORIGIN, ALLOWED_RATE];

    /// One that is handed on, without what concerns the connection by which it came.
    #[must_use]
    pub fn handed_on(status: StatusCode, headers: &HeaderMap, text: String) -> Self {
        let headers = Self::HEADERS.into_iter().filter_map(|name| {
            let value = headers.get(&name)?.clone();
            Some((name, value))
        });
        Self { status, headers: headers.collect(), text }
    }

    fn new(status: StatusCode, text: impl Into<String>) -> Self {
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        Self { status, headers: HeaderMap::from_iter([(CONTENT_TYPE, plain)]), text: text.into() }
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

impl Answer {
    /// The word for metrics.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Taken(_) => "taken",
            Self::Nothing => "nothing",
            Self::Repeated => "repeated",
            Self::Validated(_) | Self::Welcome(_) => "asked-first",
            Self::Unasked => "unasked",
            Self::Unknown => "unknown",
            Self::Unproven => "unproven",
            Self::Malformed(_) => "malformed",
            Self::Busy => "busy",
            Self::OfLeader(_) => "handed-on",
        }
    }

    /// The answer of HTTP. Only who has proven itself is told what is wrong.
    #[must_use]
    pub fn into_reply(self) -> Reply {
        let post = HeaderValue::from_static("POST");
        match self {
            Self::Taken(count) => Reply::new(StatusCode::ACCEPTED, format!("{count} to be scanned\n")),
            Self::Nothing => Reply::new(StatusCode::OK, "nothing that was pushed here\n"),
            Self::Repeated => Reply::new(StatusCode::OK, "taken before\n"),
            Self::Validated(code) => {
                let text = serde_json::json!({ "validationResponse": code }).to_string();
                let json = HeaderValue::from_static("application/json");
                Reply::new(StatusCode::OK, text).with(CONTENT_TYPE, json)
            }
            Self::Welcome(origin) => Reply::new(StatusCode::OK, "")
                .with(ALLOW, post)
                .with(ALLOWED_ORIGIN, origin)
                .with(ALLOWED_RATE, HeaderValue::from_static("*")),
            Self::Unasked => {
                Reply::new(StatusCode::METHOD_NOT_ALLOWED, "only deliveries are taken\n").with(ALLOW, post)
            }
            Self::Unknown => Reply::new(StatusCode::NOT_FOUND, "no such webhook\n"),
            Self::Unproven => Reply::new(StatusCode::UNAUTHORIZED, "not proven\n"),
            Self::Malformed(problem) => Reply::new(StatusCode::BAD_REQUEST, format!("{problem}\n")),
            Self::Busy => Reply::new(StatusCode::SERVICE_UNAVAILABLE, "not now\n").with(RETRY_AFTER, LATER),
            Self::OfLeader(reply) => reply,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_leader_answered_is_handed_on_without_what_is_of_its_connection() {
        let origin = HeaderValue::from_static("eventgrid.azure.net");
        let mut of_leader = Answer::Welcome(origin.clone()).into_reply();
        of_leader.headers.insert("connection", HeaderValue::from_static("close"));
        of_leader.headers.insert("set-cookie", HeaderValue::from_static("x=y"));
        let Reply { status, headers, text } = of_leader;
        let reply = Answer::OfLeader(Reply::handed_on(status, &headers, text)).into_reply();
        assert_eq!(reply, Answer::Welcome(origin).into_reply());
    }

    #[test]
    fn a_code_is_sent_back_as_json_whatever_is_in_it() {
        let reply = Answer::Validated("a\"b\n".to_owned()).into_reply();
        assert_eq!(
            (reply.status, reply.text.as_str()),
            (StatusCode::OK, r#"{"validationResponse":"a\"b\n"}"#)
        );
        assert_eq!(reply.headers[CONTENT_TYPE], "application/json");
    }
}
