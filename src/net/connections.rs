//! HTTP clients that can reach only what may be reached.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;

use super::error::ResolvedToRefused;
use super::{AddressGuard, Cidr, ClientSettings, Error, Limits};

/// How long DNS, TCP and TLS may take together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an idle connection is kept for the next request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

const USER_AGENT: &str = concat!("tagtide/", env!("CARGO_PKG_VERSION"));

/// Makes the HTTP clients of the process. A clone is cheap and shares the system's certificates.
#[derive(Clone, Debug)]
pub struct Connections {
    guard: AddressGuard,
    system_roots: Arc<RootCertStore>,
    names: Names,
}

/// Names whose addresses are known without DNS.
type Names = Arc<BTreeMap<String, SocketAddr>>;

impl Connections {
    /// Reads the system's certificates once; `guard` applies to every client made from here.
    ///
    /// A machine without certificates is no error: TLS then trusts what a CA bundle brings, and nothing else.
    #[must_use]
    pub fn new(guard: AddressGuard) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self { guard, system_roots: Arc::new(roots), names: Arc::default() }
    }

    /// These connections, which may reach addresses in `ranges` besides.
    #[must_use]
    pub(crate) fn admitting(&self, ranges: impl Iterator<Item = Cidr>) -> Self {
        Self { guard: self.guard.admitting(ranges), ..self.clone() }
    }

    /// These connections, which know the addresses of some names without DNS, as `/etc/hosts` does, and trust further
    /// certificates (PEM) for every server. The guard holds for those addresses too.
    ///
    /// # Errors
    /// As [`Connections::client`].
    pub fn with_hosts(&self, names: BTreeMap<String, SocketAddr>, ca_pem: &[u8]) -> Result<Self, Error> {
        let roots = with_bundle(RootCertStore::clone(&self.system_roots), ca_pem)?;
        Ok(Self { guard: self.guard.clone(), system_roots: Arc::new(roots), names: Arc::new(names) })
    }

    /// A client with its own pool of connections.
    ///
    /// It checks names after DNS, the proxy's own where there is one; [`Connections::send`] checks hosts that are
    /// addresses. What a name means behind a proxy is the proxy's to know and to guard.
    ///
    /// # Errors
    /// A bundle without a certificate, or with one that cannot be read, is an error and never passed over; and so is a
    /// certificate without its key, and a proxy at an address that may not be reached.
    pub fn client(&self, settings: &ClientSettings<'_>) -> Result<reqwest::Client, Error> {
        let mut builder = reqwest::Client::builder();
        if let Some(proxy) = settings.proxy {
            self.check_url(proxy.address())?;
            builder = builder.proxy(proxy.for_client()?);
        } else {
            builder = builder.no_proxy();
        }
        builder
            .user_agent(USER_AGENT)
            .tls_backend_preconfigured(self.tls(settings)?)
            .dns_resolver(GuardedResolver(self.guard.clone(), Arc::clone(&self.names)))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tcp_keepalive(Duration::from_secs(60))
            .build()
            .map_err(|error| Error::Setup { problem: error.to_string() })
    }

    /// Opens a TCP connection to an address that may be reached; for other protocols than HTTP.
    ///
    /// # Errors
    /// [`Error::AddressRefused`] and [`Error::Unreachable`].
    pub async fn dial(&self, host: &str, port: u16) -> Result<TcpStream, Error> {
        let unreachable = |cause: String| Error::Unreachable { host: format!("{host}:{port}"), cause };
        let connect = async {
            let literal = host.trim_start_matches('[').trim_end_matches(']');
            let all: Vec<SocketAddr> = tokio::net::lookup_host((literal, port)).await?.collect();
            let permitted: Vec<SocketAddr> =
                all.iter().copied().filter(|address| self.guard.permits(address.ip())).collect();
            match all.first() {
                Some(address) if permitted.is_empty() => Ok(Err(address.ip())),
                Some(_) | None => TcpStream::connect(permitted.as_slice()).await.map(Ok),
            }
        };
        let in_time = tokio::time::timeout(CONNECT_TIMEOUT, connect).await;
        match in_time.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())) {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(address)) => Err(Error::AddressRefused { host: host.to_owned(), address }),
            Err(error) => Err(unreachable(error.to_string())),
        }
    }

    /// Checks a host that is an address. Names are checked when they are resolved.
    ///
    /// # Errors
    /// [`Error::AddressRefused`].
    pub fn check_url(&self, url: &Url) -> Result<(), Error> {
        let host = url.host_str().unwrap_or_default();
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        match literal.parse() {
            Ok(address) if !self.guard.permits(address) => {
                Err(Error::AddressRefused { host: authority(url), address })
            }
            // An address that may be reached, or a name.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Sends a request to an address that may be reached, and waits for the head of the answer.
    ///
    /// # Errors
    /// All of [`Error`] but those of a body. An answer with an error status is no error here.
    pub async fn send(
        &self,
        client: &reqwest::Client,
        request: reqwest::RequestBuilder,
        limits: &Limits,
    ) -> Result<reqwest::Response, Error> {
        let request =
            request.build().map_err(|error| Error::Setup { problem: error.without_url().to_string() })?;
        self.check_url(request.url())?;
        let host = authority(request.url());
        limits
            .in_time(&host, client.execute(request))
            .await?
            .map_err(|error| Error::from_exchange(&host, &error))
    }

    /// The provider is given here, so that no process-wide default must be installed first.
    fn tls(&self, settings: &ClientSettings<'_>) -> Result<ClientConfig, Error> {
        let roots = match settings.ca_pem {
            None => self.system_roots.clone(),
            Some(pem) => Arc::new(with_bundle(RootCertStore::clone(&self.system_roots), pem)?),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Setup { problem: error.to_string() })?
            .with_root_certificates(roots);
        let mut config = match settings.certificate {
            None => builder.with_no_client_auth(),
            Some(certificate) => {
                let (chain, key) = certificate.read()?;
                let unfit = |error: rustls::Error| Error::BadClientCertificate {
                    key: "tls.key",
                    problem: error.to_string(),
                };
                builder.with_client_auth_cert(chain, key).map_err(unfit)?
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// The host of a URL, with its port where that is not the scheme's own.
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn with_bundle(mut roots: RootCertStore, pem: &[u8]) -> Result<RootCertStore, Error> {
    let before = roots.len();
    for (index, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
        let bad = |problem: String| Error::BadCertificate { position: index + 1, problem };
        let certificate = certificate.map_err(|error| bad(error.to_string()))?;
        roots.add(certificate).map_err(|error| bad(error.to_string()))?;
    }
    if roots.len() == before {
        return Err(Error::NoCertificate);
    }
    Ok(roots)
}

/// The known names, then the system's resolver, less the addresses that may not be connected to.
struct GuardedResolver(AddressGuard, Names);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, known) = (self.0.clone(), self.1.get(name.as_str()).copied());
        Box::pin(async move {
            let all: Vec<SocketAddr> = match known {
                Some(address) => vec![address],
                None => tokio::net::lookup_host((name.as_str(), 0)).await?.collect(),
            };
            let (permitted, refused): (Vec<_>, Vec<_>) =
                all.into_iter().partition(|address| guard.permits(address.ip()));
            match refused.first() {
                Some(address) if permitted.is_empty() => Err(ResolvedToRefused(address.ip()).into()),
                Some(_) | None => Ok(Box::new(permitted.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Proxy;

    fn trusting(connections: &Connections, ca: &str) -> Result<reqwest::Client, Error> {
        let ca_pem = Some(ca.as_bytes());
        connections.client(&ClientSettings { ca_pem, ..ClientSettings::default() })
    }

    #[test]
    fn a_proxy_at_a_refused_address_is_refused() {
        let connections = Connections::new(AddressGuard::default());
        let proxy = Proxy::new("http://169.254.169.254:3128", None).unwrap();
        let settings = ClientSettings { proxy: Some(&proxy), ..ClientSettings::default() };
        assert!(matches!(connections.client(&settings), Err(Error::AddressRefused { .. })));
    }

    #[test]
    fn a_broken_ca_bundle_is_an_error() {
        let connections = Connections::new(AddressGuard::default());
        for empty in ["", "no certificate", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"] {
            assert!(matches!(trusting(&connections, empty), Err(Error::NoCertificate)), "{empty:?}");
        }
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let error = trusting(&connections, broken).unwrap_err();
        assert!(matches!(error, Error::BadCertificate { position: 1, .. }), "{error}");
    }

    #[test]
    fn a_host_that_is_an_address_is_checked_however_it_is_spelled() {
        let connections = Connections::new(AddressGuard::default());
        for url in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://[::1]:5000/",
            "http://[::ffff:a9fe:a9fe]/",
        ] {
            let error = connections.check_url(&url.parse().unwrap()).unwrap_err();
            assert!(error.to_string().contains("--allow-cidr"), "{url}: {error}");
        }
        assert!(connections.check_url(&"https://ghcr.io/".parse().unwrap()).is_ok());
        assert!(connections.check_url(&"https://10.0.0.1/".parse().unwrap()).is_ok());
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_a_refused_address_is_refused() {
        let connections = Connections::new(AddressGuard::default());
        let client = connections.client(&ClientSettings::default()).unwrap();
        let limits = Limits::new(1024, Duration::from_secs(5), Duration::from_secs(5));
        let error = connections.send(&client, client.get("http://localhost:9/"), &limits).await.unwrap_err();
        assert!(matches!(error, Error::AddressRefused { .. }), "{error}");
    }
}
