//! What a program on the server writes, as it comes.

use std::time::Duration;

use bytes::Bytes;
use russh::{ChannelMsg, ChannelReadHalf};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::session::SILENCE;
use crate::git::wire::{Chunks, MAX_ANSWER, WHOLE_EXCHANGE, WireError, cleaned};
use crate::net::Error as NetError;

/// The most bytes of the program's words for people that are kept.
const MAX_WORDS: usize = 4096;

/// The standard output of a program on the server, with its end.
pub(in crate::git) struct SshAnswer {
    host: String,
    reads: ChannelReadHalf,
    _writing: AbortOnDropHandle<()>,
    until: Instant,
    bytes: u64,
    words: Vec<u8>,
    status: Option<u32>,
}

impl SshAnswer {
    pub(super) fn new(host: String, reads: ChannelReadHalf, writing: AbortOnDropHandle<()>) -> Self {
        let until = Instant::now() + WHOLE_EXCHANGE;
        Self { host, reads, _writing: writing, until, bytes: 0, words: Vec::new(), status: None }
    }

    async fn message(&mut self) -> Result<Option<ChannelMsg>, WireError> {
        let patience: Duration = SILENCE.min(self.until.saturating_duration_since(Instant::now()));
        tokio::time::timeout(patience, self.reads.wait()).await.map_err(|_| {
            let host = self.host.clone();
            WireError::Net(NetError::Stalled { host, after: SILENCE })
        })
    }

    fn count(&mut self, data: &Bytes) -> Result<(), WireError> {
        self.bytes += data.len() as u64;
        if self.bytes > MAX_ANSWER {
            let host = self.host.clone();
            return Err(WireError::Net(NetError::TooLarge { host, cap: MAX_ANSWER }));
        }
        Ok(())
    }

    /// What the end of the channel means. Without a status the connection broke, and the reader sees half an answer.
    fn end(&self) -> Result<Option<Bytes>, WireError> {
        match self.status {
            Some(0) | None => Ok(None),
            Some(127) => {
                Err(WireError::Server(format!("git is not installed there: {}", cleaned(&self.words))))
            }
            Some(status) if self.words.is_empty() => {
                Err(WireError::Server(format!("nothing, and its program ended with the status {status}")))
            }
            Some(_) => Err(WireError::Server(cleaned(&self.words))),
        }
    }
}

impl Chunks for SshAnswer {
    async fn chunk(&mut self) -> Result<Option<Bytes>, WireError> {
        loop {
            match self.message().await? {
                Some(ChannelMsg::Data { data }) => {
                    self.count(&data)?;
                    return Ok(Some(data));
                }
                Some(ChannelMsg::ExtendedData { data, .. }) => {
                    self.count(&data)?;
                    let room = MAX_WORDS.saturating_sub(self.words.len());
                    self.words.extend(data.iter().take(room));
                }
                Some(ChannelMsg::ExitStatus { exit_status }) => self.status = Some(exit_status),
                Some(ChannelMsg::Failure) => {
                    return Err(WireError::Server("it does not run Git's programs for this user".to_owned()));
                }
                // The status follows the end of the output.
                Some(ChannelMsg::Close) | None => return self.end(),
                Some(_) => {}
            }
        }
    }
}
