//! Git over SSH: the transport for `ssh://`. Keys and trust come from a Secret alone: no agent, no files, no program.
//!
//! One connection serves many calls; each call runs Git's program on the server in a channel of its own (gitprotocol-pack,
//! "SSH Transport").

mod answer;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod fuzzing;
mod identity;
mod key_cost;
mod known_hosts;
mod session;

use bytes::Bytes;
use russh::Channel;
use russh::client::{Handle, Msg};
use tokio::sync::Mutex;
use tokio_util::task::AbortOnDropHandle;

use super::InvalidGitSecret;
use super::url::SshUrl;
use super::wire::{PktReader, Service, Transport, WireError};
use crate::net::Connections;
use known_hosts::KnownHost;
use session::{Judge, Peer, connect, open_channel};

pub(super) use answer::SshAnswer;
pub use identity::SshSecret;
pub(super) use identity::private_key;
pub use known_hosts::{InvalidKnownHosts, UntrustedHost};
pub use session::SshError;

/// `0000`, after which Git's programs end.
const FLUSH: Bytes = Bytes::from_static(b"0000");

/// One repository on a server.
pub(super) struct SshTransport {
    connections: Connections,
    peer: Peer,
    /// The connection of the last call. It ends by itself when it is silent for long.
    session: Mutex<Option<Handle<Judge>>>,
}

impl SshTransport {
    /// The transport for `url`. Nothing is connected yet.
    ///
    /// # Errors
    /// `InvalidGitSecret` where the key or `known_hosts` can not be read.
    pub(super) fn new(
        connections: Connections,
        url: &SshUrl,
        secret: &SshSecret,
    ) -> Result<Self, InvalidGitSecret> {
        let known = KnownHost::read(&secret.known_hosts, &url.host, url.port)?;
        let peer = Peer { url: url.clone(), identity: secret.private_key()?, known };
        Ok(Self { connections, peer, session: Mutex::new(None) })
    }

    /// A channel on the connection, which is made where there is none or the old one has ended.
    async fn channel(&self) -> Result<Channel<Msg>, WireError> {
        let mut session = self.session.lock().await;
        if let Some(open) = session.as_ref().filter(|session| !session.is_closed()) {
            // A connection may end between the two; a new one tells whether that was all.
            if let Ok(channel) = open_channel(open, &self.peer.url.host).await {
                return Ok(channel);
            }
        }
        let fresh = session.insert(connect(&self.peer, &self.connections).await?);
        Ok(open_channel(fresh, &self.peer.url.host).await?)
    }

    /// Runs one of Git's programs and gives it its input.
    async fn run(&self, service: Service, input: Bytes) -> Result<SshAnswer, WireError> {
        let (reads, writes) = self.channel().await?.split();
        let failed = SshError::from;
        if service == Service::UploadPack {
            // Servers that do not take it speak v0, which is told by their first line.
            writes.set_env(false, "GIT_PROTOCOL", "version=2").await.map_err(failed)?;
        }
        let command = format!("{} {}", service.as_str(), quoted(&self.peer.url.path));
        writes.exec(false, command).await.map_err(failed)?;
        // While the server reads, it may already answer, or end.
        let writing = tokio::spawn(async move {
            let sent = writes.data_bytes(input).await;
            if sent.is_ok() {
                let _ = writes.eof().await;
            }
            // Kept until the answer is read: without it the channel would close.
            std::future::pending::<()>().await;
        });
        Ok(SshAnswer::new(self.peer.url.host.clone(), reads, AbortOnDropHandle::new(writing)))
    }
}

impl Transport for SshTransport {
    type Answer = PktReader<SshAnswer>;

    async fn advertisement(&self, service: Service) -> Result<Self::Answer, WireError> {
        Ok(PktReader::new(self.run(service, FLUSH).await?))
    }

    async fn call(&self, service: Service, request: Bytes) -> Result<Self::Answer, WireError> {
        let mut reader = PktReader::new(self.run(service, request).await?);
        // Over SSH each program begins with what it can do, which is known already.
        reader.skip_message().await?;
        Ok(reader)
    }
}

/// The path in the quotes of a shell, as git itself writes it (quote.c, `sq_quote_buf`).
fn quoted(path: &str) -> String {
    let mut text = String::from("'");
    for c in path.chars() {
        match c {
            '\'' | '!' => text.extend(['\'', '\\', c, '\'']),
            _ => text.push(c),
        }
    }
    text.push('\'');
    text
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn nothing_in_a_path_leaves_its_quotes() {
        assert_eq!(quoted("/acme/infra.git"), "'/acme/infra.git'");
        assert_eq!(quoted("/a'; rm -rf /!"), r"'/a'\''; rm -rf /'\!''");
    }
}
