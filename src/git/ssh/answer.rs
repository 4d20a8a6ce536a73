//! What a program on the server writes, as it comes, with the least progress that answers over HTTP must make too.

use bytes::Bytes;
use russh::{ChannelMsg, ChannelReadHalf};
use tokio_util::task::AbortOnDropHandle;

use super::session::SILENCE;
use crate::git::wire::{Chunks, MAX_ANSWER, WHOLE_EXCHANGE, WireError, cleaned};
use crate::net::{Limits, Progress};

/// The most bytes of the program's words for people that are kept.
const MAX_WORDS: usize = 4096;

/// The standard output of a program on the server, with its end.
pub(in crate::git) struct SshAnswer {
    reads: ChannelReadHalf,
    _writing: AbortOnDropHandle<()>,
    progress: Progress,
    words: Vec<u8>,
    status: Option<u32>,
}

impl SshAnswer {
    pub(super) fn new(host: String, reads: ChannelReadHalf, writing: AbortOnDropHandle<()>) -> Self {
        let progress = Progress::new(host, Limits::new(MAX_ANSWER, WHOLE_EXCHANGE, SILENCE));
        Self { reads, _writing: writing, progress, words: Vec::new(), status: None }
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
            match self.progress.wait(self.reads.wait()).await.map_err(WireError::Net)? {
                Some(ChannelMsg::Data { data }) => {
                    self.progress.count(&data).map_err(WireError::Net)?;
                    return Ok(Some(data));
                }
                Some(ChannelMsg::ExtendedData { data, .. }) => {
                    self.progress.count(&data).map_err(WireError::Net)?;
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;
    use std::time::Duration;

    use russh::keys::ssh_key::LineEnding;
    use russh::keys::{Algorithm, PrivateKey};
    use russh::server::{self, Auth, ChannelOpenHandle, Msg, Session, VerifiedPublicKey};
    use russh::{Channel, ChannelId};
    use tokio::net::TcpListener;

    use super::*;
    use crate::git::ssh::{SshSecret, SshTransport};
    use crate::git::url::SshUrl;
    use crate::git::wire::Service;
    use crate::net::{AddressGuard, Connections};

    /// Lets anyone in, and answers any command by so many pieces, one after the other.
    #[derive(Clone, Copy)]
    struct Dripping {
        pieces: u32,
        piece: &'static [u8],
        pause: Duration,
    }

    impl server::Handler for Dripping {
        type Error = russh::Error;

        async fn auth_publickey(&mut self, _: &str, _: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
            Ok(Auth::Accept)
        }

        async fn channel_open_session(
            &mut self,
            _: Channel<Msg>,
            reply: ChannelOpenHandle,
            _: &mut Session,
        ) -> Result<(), russh::Error> {
            reply.accept().await;
            Ok(())
        }

        async fn exec_request(
            &mut self,
            channel: ChannelId,
            _: &[u8],
            session: &mut Session,
        ) -> Result<(), russh::Error> {
            let (Self { pieces, piece, pause }, handle) = (*self, session.handle());
            tokio::spawn(async move {
                for _ in 0..pieces {
                    if handle.data(channel, piece).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(pause).await;
                }
                let _ = handle.exit_status_request(channel, 0).await;
                let _ = handle.close(channel).await;
            });
            Ok(())
        }
    }

    fn key() -> PrivateKey {
        PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap()
    }

    /// What comes of a call to such a server.
    async fn call(server: Dripping) -> Result<usize, WireError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let host_key = key();
        let known = host_key.public_key().to_openssh().unwrap();
        let config = Arc::new(server::Config { keys: vec![host_key], ..Default::default() });
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            server::run_stream(config, stream, server).await.unwrap().await
        });
        let secret = SshSecret {
            identity: key().to_openssh(LineEnding::LF).unwrap().to_string().into(),
            password: None,
            known_hosts: format!("[127.0.0.1]:{port} {known}\n"),
        };
        let url =
            SshUrl { user: "git".to_owned(), host: "127.0.0.1".to_owned(), port, path: "/x".to_owned() };
        let connections = Connections::new(AddressGuard::new(vec!["127.0.0.0/8".parse().unwrap()]));
        let transport = SshTransport::new(connections, &url, &secret).unwrap();
        let mut answer = transport.run(Service::ReceivePack, Bytes::new()).await?;
        let mut bytes = 0;
        while let Some(piece) = answer.chunk().await? {
            bytes += piece.len();
        }
        Ok(bytes)
    }

    #[tokio::test]
    async fn a_byte_now_and_then_is_a_stall() {
        let pause = Duration::from_millis(20);
        let error = call(Dripping { pieces: 1_000, piece: b"x", pause }).await.unwrap_err();
        assert!(error.to_string().contains("sent too little within 2 s"), "{error}");
        let fast = Dripping { pieces: 4, piece: &[b'x'; 500], pause: Duration::ZERO };
        assert_eq!(call(fast).await.unwrap(), 2_000);
    }
}
