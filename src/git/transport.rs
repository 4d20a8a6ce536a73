//! The ways to a server, as one.

use bytes::Bytes;

use super::http::HttpTransport;
use super::ssh::{SshAnswer, SshTransport};
use super::wire::{Chunks, PktReader, Service, Transport, WireError};
use crate::net::Body;

/// A way to a server.
pub(super) enum AnyTransport {
    Http(HttpTransport),
    Ssh(Box<SshTransport>),
}

/// An answer that came by one of them.
pub(super) enum AnyAnswer {
    Http(Body),
    Ssh(PktReader<SshAnswer>),
}

impl Transport for AnyTransport {
    type Answer = AnyAnswer;

    async fn advertisement(&self, service: Service) -> Result<AnyAnswer, WireError> {
        match self {
            Self::Http(http) => Ok(AnyAnswer::Http(http.advertisement(service).await?)),
            Self::Ssh(ssh) => Ok(AnyAnswer::Ssh(ssh.advertisement(service).await?)),
        }
    }

    async fn call(&self, service: Service, request: Bytes) -> Result<AnyAnswer, WireError> {
        match self {
            Self::Http(http) => Ok(AnyAnswer::Http(http.call(service, request).await?)),
            Self::Ssh(ssh) => Ok(AnyAnswer::Ssh(ssh.call(service, request).await?)),
        }
    }
}

impl Chunks for AnyAnswer {
    async fn chunk(&mut self) -> Result<Option<Bytes>, WireError> {
        match self {
            Self::Http(body) => Chunks::chunk(body).await,
            Self::Ssh(answer) => answer.chunk().await,
        }
    }
}
