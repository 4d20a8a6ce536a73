//! Git's wire protocols over any transport: list a branch, fetch a commit, push a commit.
//!
//! Protocol v2 for reading (gitprotocol-v2), v0 where a server has no other, and the v0 `receive-pack` for writing
//! (gitprotocol-pack), which is all that v2 leaves. Only pkt-lines are read here; what is in a pack is libgit2's to judge.

mod advertisement;
mod fetch;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod fuzzing;
#[cfg(test)]
mod hostile;
mod pkt;
mod push;
mod v0;

use std::time::Duration;

use bytes::Bytes;

use crate::unfit::is_unfit;
pub(super) use advertisement::{ReadFeatures, WriteFeatures};
pub(super) use fetch::{PackRequest, fetch_pack, list_branch};
pub(super) use pkt::{Chunks, PktReader};
pub(super) use push::{PushReport, PushRequest, push_pack};

/// How long one exchange may take in all.
pub(super) const WHOLE_EXCHANGE: Duration = Duration::from_secs(30 * 60);

/// The most bytes of one answer. A pack of a commit without its history is far below.
pub(super) const MAX_ANSWER: u64 = 2 << 30;

/// How Tagtide names itself to a server.
const AGENT: &str = concat!("agent=tagtide/", env!("CARGO_PKG_VERSION"));

/// The two programs on a server's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// Sends packs.
    UploadPack,
    /// Takes packs.
    ReceivePack,
}

impl Service {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }
}

/// A way to a server.
pub(super) trait Transport: Sync {
    /// The bytes of an answer.
    type Answer: Chunks + Send;

    /// Asks what the server can do.
    fn advertisement(&self, service: Service)
    -> impl Future<Output = Result<Self::Answer, WireError>> + Send;

    /// Sends one whole request and gives its answer.
    fn call(
        &self,
        service: Service,
        request: Bytes,
    ) -> impl Future<Output = Result<Self::Answer, WireError>> + Send;
}

/// What can go wrong on the wire.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// No connection, or one that broke, stalled or brought too much.
    #[error(transparent)]
    Net(#[from] crate::net::Error),
    /// No token of a GitHub App.
    #[error(transparent)]
    App(#[from] super::github_app::AppError),
    /// No SSH connection.
    #[error(transparent)]
    Ssh(#[from] super::ssh::SshError),
    /// 401.
    #[error("the server asks for credentials: {}", if *.sent { "those of spec.secretRef were refused" } else { "name a Secret in spec.secretRef" })]
    AuthenticationFailed {
        /// Whether any were sent.
        sent: bool,
    },
    /// 403.
    #[error("the server refuses this caller (403): {0}")]
    AccessDenied(String),
    /// 404.
    #[error("the server knows no such repository, or hides it from this caller (404)")]
    RepositoryNotFound,
    /// 429, or 503 with a time to wait.
    #[error("the server asks for fewer requests (status {status})")]
    RateLimited {
        /// The HTTP status.
        status: u16,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// Any other status.
    #[error("the server answers with status {status}: {text}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The start of the body, cleaned.
        text: String,
    },
    /// A redirect, which is never followed: it could lead the credentials elsewhere.
    #[error(
        "the server redirects to {to}, which is not followed; write that address into spec.url if it is right"
    )]
    Redirected {
        /// The target without query.
        to: String,
    },
    /// The answer is not made of pkt-lines.
    #[error("the answer is not Git's protocol; is the URL that of a Git repository?")]
    NotPktLine,
    /// The answer ended in the middle.
    #[error("the answer was cut short")]
    CutShort,
    /// The answer has more parts than are read.
    #[error("the answer has more than {most} {what}")]
    TooMany {
        /// How many are read.
        most: u64,
        /// Of what.
        what: &'static str,
    },
    /// The server did not send all that it was asked for.
    #[error("the server left out {files} of the files that it was asked for")]
    LeftOut {
        /// How many.
        files: usize,
    },
    /// The server said that it failed.
    #[error("the server says: {0}")]
    Server(String),
    /// The server lacks what is needed.
    #[error("the server does not speak {0}")]
    Unsupported(&'static str),
}

/// A server's words made fit for a log, a condition or a terminal: nothing that a terminal acts on, one line, at most 300
/// characters.
pub(super) fn cleaned(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let words: Vec<&str> = text.split(|c: char| is_unfit(c) || c == ' ').filter(|w| !w.is_empty()).collect();
    words.join(" ").chars().take(300).collect()
}

/// The text of a line, or the error that it is (gitprotocol-pack, "error-line").
fn checked_line(line: &[u8]) -> Result<&str, WireError> {
    match line.strip_prefix(b"ERR ") {
        Some(words) => Err(WireError::Server(cleaned(words))),
        None => pkt::text_of(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_words_turn_nothing_around_and_stay_in_one_line() {
        assert_eq!(cleaned("a\u{202e}b\u{1b}[31m\r\n c\u{2028}d".as_bytes()), "a b [31m c d");
    }
}
