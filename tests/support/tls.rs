//! TLS in front of a plain server, with certificates of an authority made for the test.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// An authority for the certificates of servers and clients.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"));
        Self(issuer.expect("an authority"))
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    pub fn issue(&self, names: &[&str]) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        let certificate = params.and_then(|params| params.signed_by(&key, &self.0));
        (certificate.expect("a certificate"), key)
    }
}

/// Who may speak to a TLS server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clients {
    /// Anyone.
    Any,
    /// Those with a certificate of the authority.
    Certified,
}

/// TLS in front of a server that is known by these names.
pub async fn in_tls(
    authority: &Authority,
    names: &[&str],
    clients: Clients,
    server: SocketAddr,
) -> SocketAddr {
    Front::start(authority, names, clients, server).await.address
}

/// TLS in front of a server, whose certificate may be replaced.
pub struct Front {
    pub address: SocketAddr,
    acceptor: Arc<Mutex<TlsAcceptor>>,
}

impl Front {
    pub async fn start(authority: &Authority, names: &[&str], clients: Clients, server: SocketAddr) -> Self {
        let acceptor = Arc::new(Mutex::new(acceptor(authority, names, clients)));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let front = Self { address: listener.local_addr().expect("its address"), acceptor: acceptor.clone() };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.lock().unwrap_or_else(PoisonError::into_inner).clone();
                tokio::spawn(async move {
                    let mut inside = acceptor.accept(stream).await?;
                    let mut outside = TcpStream::connect(server).await?;
                    copy_bidirectional(&mut inside, &mut outside).await
                });
            }
        });
        front
    }

    /// Shows a certificate of another authority from the next connection on.
    pub fn renew(&self, authority: &Authority, names: &[&str]) {
        *self.acceptor.lock().unwrap_or_else(PoisonError::into_inner) =
            acceptor(authority, names, Clients::Any);
    }
}

fn acceptor(authority: &Authority, names: &[&str], clients: Clients) -> TlsAcceptor {
    let (certificate, key) = authority.issue(names);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions");
    let builder = match clients {
        Clients::Any => builder.with_no_client_auth(),
        Clients::Certified => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from(authority.0.der().to_vec())).expect("a root");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
        }
    };
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = builder.with_single_cert(vec![certificate.der().clone()], key).expect("a configuration");
    TlsAcceptor::from(Arc::new(config))
}
