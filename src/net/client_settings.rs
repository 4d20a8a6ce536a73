//! What one server is spoken to with besides the system's own settings.

use std::fmt;

use reqwest::Url;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{Error, SecretText};

/// What one server is spoken to with besides the system's own settings.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientSettings<'a> {
    /// Certificates (PEM) that are trusted besides the system's.
    pub ca_pem: Option<&'a [u8]>,
    /// Who asks, by a certificate.
    pub certificate: Option<&'a ClientCertificate>,
    /// The way there.
    pub proxy: Option<&'a Proxy>,
}

/// A certificate with its private key, for servers that ask for one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ClientCertificate {
    /// The certificate and those that lead to its authority (PEM).
    pub chain_pem: Vec<u8>,
    /// The private key (PEM): PKCS#8, PKCS#1 or SEC1.
    pub key_pem: Vec<u8>,
}

impl ClientCertificate {
    pub(super) fn read(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Error> {
        let bad = |key: &'static str, problem: String| Error::BadClientCertificate { key, problem };
        let chain = CertificateDer::pem_slice_iter(&self.chain_pem).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| bad("tls.crt", error.to_string()))?;
        if chain.is_empty() {
            return Err(bad("tls.crt", "it holds no certificate".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key_pem);
        Ok((chain, key.map_err(|error| bad("tls.key", error.to_string()))?))
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificate([redacted])")
    }
}

/// A proxy, which resolves the names of the servers behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Where it is.
    address: Url,
    /// Who asks it.
    login: Option<(String, SecretText)>,
}

/// A proxy that can not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the Secret's {key} {problem}")]
pub struct InvalidProxy {
    /// The key of the Secret.
    pub key: &'static str,
    /// What is wrong and what would be right.
    pub problem: &'static str,
}

impl Proxy {
    /// Reads where a proxy is and who asks it.
    ///
    /// # Errors
    /// `InvalidProxy` for another scheme, and for user information in the address.
    pub fn new(address: &str, login: Option<(String, SecretText)>) -> Result<Self, InvalidProxy> {
        let fail = |problem| Err(InvalidProxy { key: "address", problem });
        let Ok(mut address) = Url::parse(address) else {
            return fail("is no URL such as http://proxy.acme.example:3128");
        };
        if !address.username().is_empty() || address.password().is_some() {
            return fail("holds a user or a password; put them into the keys username and password");
        }
        if address.host_str().is_none_or(str::is_empty) {
            return fail("has no host");
        }
        match address.scheme() {
            "http" | "https" | "socks5h" => {}
            // Names are resolved by the proxy, whichever of the two is written: with the other one they would be
            // resolved here, and an address that only the proxy's network knows would not be found.
            "socks5" => address.set_scheme("socks5h").unwrap_or_default(),
            _ => return fail("has a scheme that is not one of http, https and socks5"),
        }
        Ok(Self { address, login })
    }

    pub(super) const fn address(&self) -> &Url {
        &self.address
    }

    pub(super) fn for_client(&self) -> Result<reqwest::Proxy, Error> {
        let failed = |error: reqwest::Error| Error::Setup { problem: error.without_url().to_string() };
        let proxy = reqwest::Proxy::all(self.address.clone()).map_err(failed)?;
        Ok(match &self.login {
            Some((username, password)) => proxy.basic_auth(username, password.expose()),
            None => proxy,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_read_or_refused_in_words_that_show_nothing_of_it() {
        for (address, wanted) in [
            ("http://proxy:3128", Some("http://proxy:3128/")),
            ("https://proxy", Some("https://proxy/")),
            ("socks5://proxy:1080", Some("socks5h://proxy:1080")),
            ("socks5h://proxy:1080", Some("socks5h://proxy:1080")),
            ("socks4://proxy:1080", None),
            ("http://me:hunter2@proxy", None),
            ("proxy", None),
        ] {
            match Proxy::new(address, None) {
                Ok(proxy) => assert_eq!(Some(proxy.address().as_str()), wanted),
                Err(error) => assert!(wanted.is_none() && !error.to_string().contains("hunter2"), "{error}"),
            }
        }
        let proxy = Proxy::new("http://proxy", Some(("me".into(), "hunter2".to_owned().into()))).unwrap();
        assert!(!format!("{proxy:?}").contains("hunter2"));
    }
}
