//! What the Secret of a GitHub App holds. The keys are those of Flux.

use std::collections::BTreeMap;

use reqwest::Url;
use ring::signature::RsaKeyPair;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;

use crate::git::InvalidGitSecret;
use crate::git::credentials::{lines, text};
use crate::net::SecretText;

const ID: &str = "githubAppID";
const INSTALLATION: &str = "githubAppInstallationID";
const KEY: &str = "githubAppPrivateKey";
const BASE_URL: &str = "githubAppBaseURL";

/// What the Secret of a GitHub App holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitHubApp {
    /// The App's id, or its client id.
    pub(super) id: String,
    /// The installation's id; it is looked up where the Secret names none.
    pub(super) installation: Option<String>,
    key: SecretText,
    base_url: Option<Url>,
}

/// Where the API is, and which repository of it is meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The API's address, without a slash at its end.
    pub(super) api: String,
    pub(super) owner: String,
    pub(super) repository: String,
}

impl GitHubApp {
    /// Reads the data of a Secret; `None` where it is not one of an App.
    ///
    /// # Errors
    /// `InvalidGitSecret` names the key that is missing or unfit.
    pub(in crate::git) fn read(data: &BTreeMap<String, Vec<u8>>) -> Result<Option<Self>, InvalidGitSecret> {
        if !data.contains_key(ID) && !data.contains_key(KEY) {
            return Ok(None);
        }
        let half = |has, lacks| InvalidGitSecret::Half { has, lacks };
        let unfit = |key, problem| InvalidGitSecret::App { key, problem };
        let id = text(data, ID)?.ok_or(half(KEY, ID))?;
        if id.is_empty() || id.len() > 64 || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.') {
            return Err(unfit(ID, "is no id of an App, such as 123456"));
        }
        let installation = text(data, INSTALLATION)?;
        let is_number = |id: &String| matches!(id.len(), 1..=20) && id.bytes().all(|b| b.is_ascii_digit());
        if installation.as_ref().is_some_and(|id| !is_number(id)) {
            return Err(unfit(INSTALLATION, "is no id of an installation, such as 12345678"));
        }
        let key = lines(data, KEY)?.ok_or(half(ID, KEY))?.into();
        let base_url = text(data, BASE_URL)?.map(|text| {
            let url = Url::parse(&text).ok().filter(|url| {
                let is_plain = url.query().is_none() && url.fragment().is_none();
                matches!(url.scheme(), "https" | "http")
                    && url.host_str().is_some_and(|host| !host.is_empty())
                    && url.username().is_empty()
                    && url.password().is_none()
                    && is_plain
            });
            url.ok_or(unfit(BASE_URL, "is no address of an API, such as https://github.acme.example/api/v3"))
        });
        Ok(Some(Self { id, installation, key, base_url: base_url.transpose()? }))
    }

    /// The private key, ready to sign.
    pub(super) fn key(&self) -> Result<RsaKeyPair, InvalidGitSecret> {
        let unfit = |problem| InvalidGitSecret::App { key: KEY, problem };
        let key = match PrivateKeyDer::from_pem_slice(self.key.expose().as_bytes()) {
            Ok(PrivateKeyDer::Pkcs1(key)) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
            Ok(PrivateKeyDer::Pkcs8(key)) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
            Ok(_) | Err(_) => {
                return Err(unfit("is no private key; it should begin with -----BEGIN RSA PRIVATE KEY-----"));
            }
        };
        key.map_err(|_| unfit("is no RSA key of 2048 to 4096 bits, as GitHub makes them"))
    }

    /// Where to ask for a token for the repository at `url`.
    pub(super) fn target(&self, url: &Url) -> Result<Target, InvalidGitSecret> {
        let is_name = |part: &str| {
            part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) && !part.starts_with('.')
        };
        let path = url.path().trim_matches('/');
        let Some((owner, repository)) =
            path.strip_suffix(".git").unwrap_or(path).split_once('/').filter(|(owner, repository)| {
                [owner, repository].iter().all(|part| !part.is_empty() && is_name(part))
            })
        else {
            return Err(InvalidGitSecret::NotOnGitHub);
        };
        let api = match &self.base_url {
            Some(base) if base.scheme() == "http" && url.scheme() != "http" => {
                return Err(InvalidGitSecret::App { key: BASE_URL, problem: "is not https" });
            }
            Some(base) => base.as_str().trim_end_matches('/').to_owned(),
            None => api_of(url),
        };
        Ok(Target { api, owner: owner.to_owned(), repository: repository.to_owned() })
    }
}

/// Where the API of a Git host is: GitHub's own, that of a host of GitHub Enterprise Cloud with data residency, and that of
/// GitHub Enterprise Server (GitHub's documentation, "Getting started with the REST API").
fn api_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    match host {
        "github.com" | "www.github.com" => "https://api.github.com".to_owned(),
        _ if host.ends_with(".ghe.com") => format!("https://api.{host}"),
        _ => format!("{}://{host}{port}/api/v3", url.scheme()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entries: &[(&str, &str)]) -> Result<Option<GitHubApp>, InvalidGitSecret> {
        let data = entries.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec()));
        GitHubApp::read(&data.collect())
    }

    fn target(base: Option<&str>, url: &str) -> Result<Target, InvalidGitSecret> {
        let mut entries = vec![(ID, "1"), (KEY, "hunter2")];
        entries.extend(base.map(|base| (BASE_URL, base)));
        read(&entries).unwrap().unwrap().target(&url.parse().unwrap())
    }

    #[test]
    fn every_key_is_checked_and_none_is_shown() {
        assert_eq!(read(&[("username", "a")]).unwrap(), None);
        let app = read(&[(ID, "Iv1.8a61f9b3a7aba766\n"), (INSTALLATION, "42\n"), (KEY, "hunter2")]);
        let app = app.unwrap().unwrap();
        assert_eq!((app.id.as_str(), app.installation.as_deref()), ("Iv1.8a61f9b3a7aba766", Some("42")));
        assert!(!format!("{app:?}").contains("hunter2"));
        for (entries, words) in [
            (&[(ID, "1")][..], "not githubAppPrivateKey"),
            (&[(KEY, "hunter2")], "not githubAppID"),
            (&[(ID, "../hunter2"), (KEY, "hunter2")], "githubAppID is no id"),
            (
                &[(ID, "1"), (KEY, "hunter2"), (INSTALLATION, "42/hunter2")],
                "githubAppInstallationID is no id",
            ),
            (
                &[(ID, "1"), (KEY, "hunter2"), (BASE_URL, "https://a:hunter2@b")],
                "githubAppBaseURL is no address",
            ),
            (&[(ID, "1"), (KEY, "hunter2"), (BASE_URL, "ftp://b")], "githubAppBaseURL is no address"),
        ] {
            let error = read(entries).unwrap_err().to_string();
            assert!(error.contains(words) && !error.contains("hunter2"), "{error}");
        }
        let error = read(&[(ID, "1"), (KEY, "hunter2")]).unwrap().unwrap().key().unwrap_err().to_string();
        assert!(
            error.contains("githubAppPrivateKey is no private key") && !error.contains("hunter2"),
            "{error}"
        );
    }

    #[test]
    fn the_api_follows_from_the_address_of_the_repository() {
        for (base, url, api) in [
            (None, "https://github.com/acme/infra.git", "https://api.github.com"),
            (None, "https://acme.ghe.com/acme/infra", "https://api.acme.ghe.com"),
            (None, "https://github.acme.example/acme/infra/", "https://github.acme.example/api/v3"),
            (None, "http://127.0.0.1:8080/acme/infra.git", "http://127.0.0.1:8080/api/v3"),
            (
                Some("https://api.acme.example/"),
                "https://git.acme.example/acme/infra",
                "https://api.acme.example",
            ),
        ] {
            let target = target(base, url).unwrap();
            let parts = (target.api.as_str(), target.owner.as_str(), target.repository.as_str());
            assert_eq!(parts, (api, "acme", "infra"), "{url}");
        }
    }

    #[test]
    fn what_is_no_repository_of_github_is_refused() {
        for url in [
            "https://github.com/infra",
            "https://github.com/a/b/c",
            "https://github.com/a/%2e%2e",
            "https://x/",
        ] {
            assert_eq!(target(None, url), Err(InvalidGitSecret::NotOnGitHub), "{url}");
        }
        let plain = target(Some("http://api.acme.example"), "https://git.acme.example/acme/infra");
        assert!(plain.unwrap_err().to_string().contains("is not https"));
    }
}
