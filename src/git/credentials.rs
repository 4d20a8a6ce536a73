//! What a Secret for Git holds.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use reqwest::header::HeaderValue;

use super::InvalidOpenPgpKey;
use super::authorization::Authorization;
use super::github_app::{AppTokens, GitHubApp};
use super::ssh::{InvalidKnownHosts, SshSecret};
use crate::net::{ClientCertificate, ClientSettings, Connections, InvalidProxy, Proxy, SecretText};

/// What a Secret for a repository holds: who asks, and whom to trust.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GitSecret {
    login: Option<Login>,
    /// The certificates (PEM) of the key `ca.crt`, trusted besides the system's.
    ca_pem: Option<Vec<u8>>,
    /// The certificate of the keys `tls.crt` and `tls.key`, for servers that ask for one.
    certificate: Option<ClientCertificate>,
    /// What SSH needs.
    ssh: Option<SshSecret>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Login {
    Basic { username: String, password: SecretText },
    Bearer(SecretText),
    App(GitHubApp),
}

/// A Secret that does not hold what is needed. Its text never holds a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGitSecret {
    /// Neither way to log in is there, nor a certificate.
    #[error(
        "the Secret has none of the keys username and password, bearerToken, githubAppID and githubAppPrivateKey, tls.crt \
         and tls.key, ca.crt, and identity and known_hosts"
    )]
    Empty,
    /// One of two keys is missing.
    #[error("the Secret has the key {has} but not {lacks}")]
    Half {
        /// The key that is there.
        has: &'static str,
        /// The key that is not.
        lacks: &'static str,
    },
    /// More than one way to log in.
    #[error(
        "the Secret has more than one of a password, a bearerToken and a githubAppPrivateKey; keep one of them"
    )]
    Both,
    /// A key of a GitHub App that can not be used.
    #[error("the Secret's {key} {problem}")]
    App {
        /// The key of the Secret.
        key: &'static str,
        /// What is wrong and what would be right.
        problem: &'static str,
    },
    /// A GitHub App for an address that is none of GitHub's.
    #[error(
        "the Secret is one of a GitHub App, but spec.url is not like https://github.com/OWNER/REPOSITORY"
    )]
    NotOnGitHub,
    /// SSH's keys for an address of another kind.
    #[error("the Secret is one for SSH (it has the key identity), but spec.url does not start with ssh://")]
    NotForHttp,
    /// No keys for SSH.
    #[error(
        "spec.url starts with ssh://, which needs a Secret (spec.secretRef) with the keys identity and known_hosts"
    )]
    NotForSsh,
    /// A proxy's Secret without its address.
    #[error("the Secret has no key address, such as http://proxy.acme.example:3128")]
    NoProxyAddress,
    /// A proxy's Secret that can not be used.
    #[error(transparent)]
    Proxy(#[from] InvalidProxy),
    /// No key to sign with.
    #[error(
        "the Secret has neither the key identity, an SSH key to sign with, nor the key openpgp, an OpenPGP one"
    )]
    NoSigningKey,
    /// Two keys to sign with.
    #[error("the Secret has both identity and openpgp; keep the one to sign with")]
    TwoSigningKeys,
    /// `openpgp` can not sign.
    #[error("the Secret's openpgp: {0}")]
    OpenPgp(#[from] InvalidOpenPgpKey),
    /// `identity` is no private key.
    #[error("the Secret's identity is no private key that can be read; it should begin with -----BEGIN")]
    NoKey,
    /// `identity` is encrypted.
    #[error("the Secret's identity is encrypted; add the key password")]
    KeyIsEncrypted,
    /// `identity` can not be read with `password`.
    #[error("the Secret's identity can not be decrypted with its password, or is no private key")]
    KeyOrPassword,
    /// `identity` is in PuTTY's format.
    #[error(
        "the Secret's identity is a key in PuTTY's format, which is not read; \
         puttygen FILE -O private-openssh-new -o identity writes it in OpenSSH's"
    )]
    PuttyKey,
    /// It costs too much to decrypt `identity`: whoever wrote it decides on that, and all tenants would pay.
    #[error(
        "the Secret's identity is encrypted at a higher cost than {most}; ssh-keygen -p -a 100 -f identity encrypts it anew"
    )]
    KeyCost {
        /// The most that is paid.
        most: &'static str,
    },
    /// `identity` is too short.
    #[error("the Secret's identity is an RSA key of fewer than {least} bits; use an ed25519 key")]
    WeakKey {
        /// The fewest bits.
        least: u32,
    },
    /// `identity` is of a kind that is not used.
    #[error("the Secret's identity is a key of the kind {found}; use ed25519, ecdsa or RSA")]
    KeyType {
        /// Its kind.
        found: String,
    },
    /// `known_hosts` can not be read.
    #[error(transparent)]
    KnownHosts(#[from] InvalidKnownHosts),
    /// A value that no header can carry.
    #[error(
        "the Secret's {key} is not plain text; it may hold no control characters and no line breaks inside"
    )]
    NotText {
        /// The key.
        key: &'static str,
    },
}

impl InvalidGitSecret {
    /// Whether it lacks a key, whatever the others hold.
    #[must_use]
    pub const fn is_of_keys(&self) -> bool {
        matches!(self, Self::Empty | Self::Half { .. } | Self::NoProxyAddress | Self::NoSigningKey)
    }
}

impl GitSecret {
    /// Reads the data of a Secret: `username` and `password`, or `bearerToken`, or the keys of a GitHub App; `tls.crt` with
    /// `tls.key`, and `ca.crt`, beside them or alone; or, for SSH, `identity` and `known_hosts`, with the `password` of an
    /// encrypted identity. A line break at the end of a value, which `kubectl create --from-file` leaves there, is taken
    /// off.
    ///
    /// # Errors
    /// `InvalidGitSecret` names the key that is missing or unfit.
    pub fn read(data: &BTreeMap<String, Vec<u8>>) -> Result<Self, InvalidGitSecret> {
        if data.contains_key("identity") || data.contains_key("known_hosts") {
            return Ok(Self { ssh: Some(ssh_secret(data)?), ..Self::default() });
        }
        let username = text(data, "username")?;
        let password = text(data, "password")?;
        let bearer = text(data, "bearerToken")?;
        let ca_pem = data.get("ca.crt").cloned();
        let certificate = match (data.get("tls.crt"), data.get("tls.key")) {
            (Some(chain), Some(key)) => {
                Some(ClientCertificate { chain_pem: chain.clone(), key_pem: key.clone() })
            }
            (Some(_), None) => return Err(InvalidGitSecret::Half { has: "tls.crt", lacks: "tls.key" }),
            (None, Some(_)) => return Err(InvalidGitSecret::Half { has: "tls.key", lacks: "tls.crt" }),
            (None, None) => None,
        };
        let login = match (username, password, bearer, GitHubApp::read(data)?) {
            (_, Some(_), Some(_), _) | (_, Some(_), _, Some(_)) | (_, _, Some(_), Some(_)) => {
                return Err(InvalidGitSecret::Both);
            }
            (_, None, None, Some(app)) => Some(Login::App(app)),
            (_, None, Some(token), None) => Some(Login::Bearer(token.into())),
            (Some(username), Some(password), None, None) => {
                Some(Login::Basic { username, password: password.into() })
            }
            (Some(_), None, None, None) => {
                return Err(InvalidGitSecret::Half { has: "username", lacks: "password" });
            }
            (None, Some(_), None, None) => {
                return Err(InvalidGitSecret::Half { has: "password", lacks: "username" });
            }
            (None, None, None, None) if ca_pem.is_none() && certificate.is_none() => {
                return Err(InvalidGitSecret::Empty);
            }
            (None, None, None, None) => None,
        };
        Ok(Self { login, ca_pem, certificate, ssh: None })
    }

    /// What an HTTP client is set up with.
    pub(super) fn client_settings<'a>(&'a self, proxy: Option<&'a Proxy>) -> ClientSettings<'a> {
        ClientSettings { ca_pem: self.ca_pem.as_deref(), certificate: self.certificate.as_ref(), proxy }
    }

    /// What SSH needs.
    ///
    /// # Errors
    /// `InvalidGitSecret::NotForSsh` where the Secret has none of it.
    pub fn ssh(&self) -> Result<&SshSecret, InvalidGitSecret> {
        self.ssh.as_ref().ok_or(InvalidGitSecret::NotForSsh)
    }

    /// What the server at `url` is told of who asks (RFC 7617 for Basic, RFC 6750 for Bearer).
    ///
    /// # Errors
    /// `InvalidGitSecret::NotText` where the token has a character that no header can carry,
    /// `InvalidGitSecret::NotForHttp` where the Secret is one for SSH, and where the key of an App can not be used.
    pub(super) fn authorization(
        &self,
        connections: &Connections,
        client: &reqwest::Client,
        url: &Url,
    ) -> Result<Authorization, InvalidGitSecret> {
        if self.ssh.is_some() {
            return Err(InvalidGitSecret::NotForHttp);
        }
        match &self.login {
            None => Ok(Authorization::Nobody),
            Some(Login::Basic { username, password }) => {
                fixed(&format!("Basic {}", STANDARD.encode(format!("{username}:{}", password.expose()))))
            }
            Some(Login::Bearer(token)) => fixed(&format!("Bearer {}", token.expose())),
            Some(Login::App(app)) => {
                let tokens = AppTokens::new(connections.clone(), client.clone(), app, url)?;
                Ok(Authorization::App(Box::new(tokens)))
            }
        }
    }
}

/// The same header each time, marked as sensitive so that it is never printed.
fn fixed(value: &str) -> Result<Authorization, InvalidGitSecret> {
    let mut header =
        HeaderValue::from_str(value).map_err(|_| InvalidGitSecret::NotText { key: "bearerToken" })?;
    header.set_sensitive(true);
    Ok(Authorization::Fixed(header))
}

/// Reads the data of a Secret for a proxy: `address`, and `username` with `password` where it asks for them.
///
/// # Errors
/// `InvalidGitSecret` names the key that is missing or unfit.
pub fn proxy_from_secret(data: &BTreeMap<String, Vec<u8>>) -> Result<Proxy, InvalidGitSecret> {
    let address = text(data, "address")?.ok_or(InvalidGitSecret::NoProxyAddress)?;
    let login = match (text(data, "username")?, text(data, "password")?) {
        (Some(username), Some(password)) => Some((username, password.into())),
        (Some(_), None) => return Err(InvalidGitSecret::Half { has: "username", lacks: "password" }),
        (None, Some(_)) => return Err(InvalidGitSecret::Half { has: "password", lacks: "username" }),
        (None, None) => None,
    };
    Ok(Proxy::new(&address, login)?)
}

fn ssh_secret(data: &BTreeMap<String, Vec<u8>>) -> Result<SshSecret, InvalidGitSecret> {
    let half = |has, lacks| InvalidGitSecret::Half { has, lacks };
    Ok(SshSecret {
        identity: lines(data, "identity")?.ok_or(half("known_hosts", "identity"))?.into(),
        password: text(data, "password")?.map(SecretText::from),
        known_hosts: lines(data, "known_hosts")?.ok_or(half("identity", "known_hosts"))?,
    })
}

/// A value of several lines.
pub(super) fn lines(
    data: &BTreeMap<String, Vec<u8>>,
    key: &'static str,
) -> Result<Option<String>, InvalidGitSecret> {
    let text = data.get(key).map(|bytes| String::from_utf8(bytes.clone()));
    text.transpose().map_err(|_| InvalidGitSecret::NotText { key })
}

/// A value of one line.
pub(super) fn text(
    data: &BTreeMap<String, Vec<u8>>,
    key: &'static str,
) -> Result<Option<String>, InvalidGitSecret> {
    let Some(bytes) = data.get(key) else { return Ok(None) };
    let text = std::str::from_utf8(bytes).map_err(|_| InvalidGitSecret::NotText { key })?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.chars().any(char::is_control) {
        return Err(InvalidGitSecret::NotText { key });
    }
    Ok(Some(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entries: &[(&str, &str)]) -> Result<GitSecret, InvalidGitSecret> {
        let data =
            entries.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
        GitSecret::read(&data)
    }

    fn authorization(secret: &GitSecret) -> Result<Authorization, InvalidGitSecret> {
        let connections = Connections::new(crate::net::AddressGuard::default());
        let client = connections.client(&ClientSettings::default()).unwrap();
        secret.authorization(&connections, &client, &"https://github.com/acme/infra".parse().unwrap())
    }

    #[test]
    fn reads_basic_and_bearer_and_a_certificate_alone() {
        let header = |secret: GitSecret| match authorization(&secret).unwrap() {
            Authorization::Fixed(header) => Some(header.to_str().unwrap().to_owned()),
            Authorization::Nobody | Authorization::App(_) => None,
        };
        let basic = read(&[("username", "bot"), ("password", "pass\n")]).unwrap();
        assert_eq!(header(basic).unwrap(), "Basic Ym90OnBhc3M=");
        assert_eq!(header(read(&[("bearerToken", "abc")]).unwrap()).unwrap(), "Bearer abc");
        assert_eq!(header(read(&[("ca.crt", "PEM")]).unwrap()), None);
    }

    #[test]
    fn says_which_key_is_missing_and_never_a_value() {
        for (entries, words) in [
            (&[][..], "none of the keys"),
            (&[("username", "hunter2")], "not password"),
            (&[("password", "hunter2")], "not username"),
            (&[("username", "a"), ("password", "hunter2"), ("bearerToken", "hunter2")], "more than one of"),
            (
                &[("bearerToken", "hunter2"), ("githubAppID", "1"), ("githubAppPrivateKey", "hunter2")],
                "more than one of",
            ),
            (&[("githubAppID", "1")], "not githubAppPrivateKey"),
            (&[("bearerToken", "hun\nter2")], "bearerToken"),
        ] {
            let error = read(entries).unwrap_err().to_string();
            assert!(error.contains(words) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn prints_nothing_of_its_values() {
        let secret = read(&[("username", "bot"), ("password", "hunter2")]).unwrap();
        assert!(!format!("{secret:?}").contains("hunter2"));
        let Authorization::Fixed(header) = authorization(&secret).unwrap() else { panic!("a header") };
        assert!(!format!("{header:?}").contains("Basic"));
    }
}
