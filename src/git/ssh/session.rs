//! One connection: dialled, its host key judged, its user let in.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use russh::Channel;
use russh::client::{self, AuthResult, Handle, Msg};
use russh::keys::{Algorithm, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate};

use super::identity::rsa_hash;
use super::known_hosts::{KnownHost, UntrustedHost, every_rsa};
use crate::git::url::SshUrl;
use crate::net::Connections;

/// How long key exchange and authentication may take together, the dialling apart.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// How long a connection may be silent, whether it works or waits for the next call. A push is answered only after the
/// server has unpacked it and run its hooks.
pub(super) const SILENCE: Duration = Duration::from_secs(if cfg!(test) { 2 } else { 120 });

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// The host key is not trusted.
    #[error(transparent)]
    Host(#[from] UntrustedHost),
    /// The server does not let the key in.
    #[error("{host} does not let the user {user} in with the key {fingerprint}")]
    Refused {
        /// The host.
        host: String,
        /// The user.
        user: String,
        /// The fingerprint of the public key.
        fingerprint: String,
    },
    /// For RSA keys the server knows SHA-1 alone, which is broken.
    #[error("{0} takes signatures of RSA keys with SHA-1 alone; use an ed25519 key")]
    Sha1Only(String),
    /// It took too long.
    #[error("{0} did not finish the SSH handshake in time")]
    OutOfTime(String),
    /// The connection broke, or the server does not speak SSH as it should.
    #[error("the SSH connection failed: {0}")]
    Failed(#[from] russh::Error),
}

/// Who asks whom, and how to know that it is the right one.
pub(super) struct Peer {
    pub(super) url: SshUrl,
    pub(super) identity: Arc<PrivateKey>,
    pub(super) known: KnownHost,
}

/// Judges the host key.
pub(super) struct Judge(KnownHost);

impl client::Handler for Judge {
    type Error = SshError;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, SshError> {
        let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
        self.0.judge(shown, now)?;
        Ok(true)
    }
}

/// Opens a channel. A server that goes on sending without doing so is not waited for.
pub(super) async fn open_channel(session: &Handle<Judge>, host: &str) -> Result<Channel<Msg>, SshError> {
    let in_time = tokio::time::timeout(HANDSHAKE, session.channel_open_session()).await;
    Ok(in_time.map_err(|_| SshError::OutOfTime(host.to_owned()))??)
}

/// Connects and logs in.
pub(super) async fn connect(
    peer: &Peer,
    connections: &Connections,
) -> Result<Handle<Judge>, super::WireError> {
    let stream = connections.dial(&peer.url.host, peer.url.port).await?;
    let handshake = async {
        let judge = Judge(peer.known.clone());
        let mut session = client::connect_stream(Arc::new(config(&peer.known)), stream, judge).await?;
        log_in(peer, &mut session).await?;
        Ok(session)
    };
    let in_time = tokio::time::timeout(HANDSHAKE, handshake).await;
    Ok(in_time.unwrap_or_else(|_| Err(SshError::OutOfTime(peer.url.host.clone())))?)
}

fn config(known: &KnownHost) -> client::Config {
    let mut config =
        client::Config { inactivity_timeout: Some(SILENCE), nodelay: true, ..Default::default() };
    let is_sha1 = |algorithm: &Algorithm| algorithm.clone().is_rsa() && !every_rsa().contains(algorithm);
    let usual: Vec<Algorithm> = config.preferred.key.iter().filter(|&one| !is_sha1(one)).cloned().collect();
    let known_types = known.key_types();
    if known.has_authority() {
        config.preferred.host_key_certificates = usual.clone().into();
    }
    // Where no key is known, whatever is shown is told to the user, or vouched for by an authority.
    config.preferred.key = if known_types.is_empty() { usual } else { known_types }.into();
    config
}

async fn log_in(peer: &Peer, session: &mut Handle<Judge>) -> Result<(), SshError> {
    let hash = if peer.identity.algorithm().is_rsa() {
        let hash = rsa_hash(session.best_supported_rsa_hash().await?);
        Some(hash.ok_or_else(|| SshError::Sha1Only(peer.url.host.clone()))?)
    } else {
        None
    };
    let key = PrivateKeyWithHashAlg::new(Arc::clone(&peer.identity), hash);
    match session.authenticate_publickey(&peer.url.user, key).await? {
        AuthResult::Success => Ok(()),
        AuthResult::Failure { .. } => Err(SshError::Refused {
            host: peer.url.host.clone(),
            user: peer.url.user.clone(),
            fingerprint: peer.identity.public_key().fingerprint(HashAlg::Sha256).to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha1_is_never_asked_for() {
        const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
        for file in [format!("h {KEY}"), format!("@cert-authority h {KEY}"), format!("other {KEY}")] {
            let preferred = config(&KnownHost::read(&file, "h", 22).unwrap()).preferred;
            assert!(!preferred.key.is_empty());
            for algorithm in preferred.key.iter().chain(preferred.host_key_certificates.iter()) {
                assert_ne!(*algorithm, Algorithm::Rsa { hash: None }, "{file}");
            }
        }
    }
}
