//! The credential that a Kubernetes Secret holds for an image.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_json::Value;

use super::Credential;
use crate::image::ImageName;
use crate::net::SecretText;

const CONFIG_KEY: &str = ".dockerconfigjson";

/// The longest credential, in bytes: servers take no longer header.
const MAX_LENGTH: usize = 16 * 1024;

/// A Secret that holds no credential in a form that is known. No variant shows a value of the Secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// None of the known keys is there.
    #[error("it has neither the key .dockerconfigjson nor the keys username and password")]
    NoKnownKey,
    /// Only one half is there.
    #[error("it has the key {present} without the key {missing}")]
    HalfPair {
        /// The key that is there.
        present: &'static str,
        /// The key that is not.
        missing: &'static str,
    },
    /// A key's value cannot be used.
    #[error("its key {key} {problem}")]
    Key {
        /// The key.
        key: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The entry for the image's registry cannot be used.
    #[error("the entry {entry:?} of its key .dockerconfigjson {problem}")]
    Entry {
        /// The entry's own key.
        entry: String,
        /// What is wrong, and what would be right.
        problem: &'static str,
    },
}

/// Reads the credential for `image` from the data of a Secret.
///
/// A Docker configuration (`.dockerconfigjson`) comes first, and its entry with the longest path that leads to the image
/// is used, as the kubelet does ("Images", Kubernetes documentation). `None` where it has no entry for the image. Else
/// `username` and `password` are used for whatever image is asked for.
///
/// # Errors
/// [`CredentialError`] names the key and what is wrong with it.
pub fn credential_from_secret(
    data: &BTreeMap<String, Vec<u8>>,
    image: &ImageName,
) -> Result<Option<Credential>, CredentialError> {
    if let Some(config) = data.get(CONFIG_KEY) {
        return from_docker_config(config, image);
    }
    match (data.get("username"), data.get("password")) {
        (Some(username), Some(password)) => {
            let username = text("username", username)?;
            check_username(&username).map_err(|problem| key_error("username", problem))?;
            let password = text("password", password)?;
            check_length(username.len() + password.len())
                .map_err(|problem| key_error("password", problem))?;
            let password = SecretText::from(password);
            Ok(Some(Credential::Password { username, password }))
        }
        (Some(_), None) => Err(CredentialError::HalfPair { present: "username", missing: "password" }),
        (None, Some(_)) => Err(CredentialError::HalfPair { present: "password", missing: "username" }),
        (None, None) => Err(CredentialError::NoKnownKey),
    }
}

fn key_error(key: &'static str, problem: impl Into<String>) -> CredentialError {
    CredentialError::Key { key, problem: problem.into() }
}

fn text(key: &'static str, value: &[u8]) -> Result<String, CredentialError> {
    let text = std::str::from_utf8(value).map_err(|_| key_error(key, "is not UTF-8 text"))?;
    // `kubectl create secret --from-file` keeps the line break at the end of a file.
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(key_error(key, "is empty"));
    }
    if text.contains(char::is_control) {
        return Err(key_error(
            key,
            "has a line break or another control character; write it without, as `printf %s` does",
        ));
    }
    Ok(text.to_owned())
}

fn check_length(length: usize) -> Result<(), &'static str> {
    if length <= MAX_LENGTH { Ok(()) } else { Err("is longer than the 16 KiB that a registry could take") }
}

/// RFC 7617, section 2: the first colon ends the user's name.
fn check_username(username: &str) -> Result<(), &'static str> {
    match username {
        "" => Err("has an empty user name"),
        name if name.contains(':') => Err("has a user name with a colon, which cannot be sent"),
        _ => Ok(()),
    }
}

fn from_docker_config(config: &[u8], image: &ImageName) -> Result<Option<Credential>, CredentialError> {
    #[derive(Deserialize)]
    struct DockerConfig {
        auths: BTreeMap<String, Value>,
    }
    // The parser's own message may quote a password.
    let config: DockerConfig = serde_json::from_slice(config).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        key_error(
            CONFIG_KEY,
            format!("is no JSON object with the object `auths`, at line {line} column {column}"),
        )
    })?;
    let matching = config
        .auths
        .into_iter()
        .filter_map(|(key, entry)| Some((path_towards(&key, image)?.len(), key, entry)));
    // Of equals the first, so that it does not change from scan to scan.
    let longest = matching.reduce(|best, next| if next.0 > best.0 { next } else { best });
    let Some((_, key, entry)) = longest else {
        return Ok(None);
    };
    match from_entry(entry) {
        Ok(credential) => Ok(Some(credential)),
        Err(problem) => Err(CredentialError::Entry { entry: key, problem }),
    }
}

/// The path of an entry's key, where host and path lead to the image; `None` where they do not.
///
/// Keys are hosts or URLs, with a path or without, and Docker Hub goes by several names, `https://index.docker.io/v1/`
/// first of all.
fn path_towards<'k>(key: &'k str, image: &ImageName) -> Option<&'k str> {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let (host, path) = key.split_once('/').unwrap_or((key, ""));
    let path = path.trim_end_matches('/');
    let path = match path.strip_prefix("v1").or_else(|| path.strip_prefix("v2")) {
        Some("") => "",
        Some(rest) if rest.starts_with('/') => rest.trim_start_matches('/'),
        Some(_) | None => path,
    };
    let host = ImageName::known_host(host);
    let rest = image.repository().strip_prefix(path)?;
    let is_whole_part = path.is_empty() || rest.is_empty() || rest.starts_with('/');
    (host == image.host() && is_whole_part).then_some(path)
}

fn from_entry(entry: Value) -> Result<Credential, &'static str> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Entry {
        auth: String,
        username: String,
        password: String,
        identitytoken: String,
    }
    let entry: Entry = serde_json::from_value(entry)
        .map_err(|_| "is no object whose auth, username, password and identitytoken are strings")?;
    if !entry.identitytoken.is_empty() {
        check_length(entry.identitytoken.len())?;
        return Ok(Credential::IdentityToken(SecretText::from(entry.identitytoken)));
    }
    let (username, password) =
        if entry.auth.is_empty() { (entry.username, entry.password) } else { from_auth(&entry.auth)? };
    if username.is_empty() && password.is_empty() {
        return Err(
            "is empty: it should have auth, or username and password; a credential helper does not work here",
        );
    }
    check_username(&username)?;
    check_length(username.len() + password.len())?;
    Ok(Credential::Password { username, password: SecretText::from(password) })
}

/// `auth` is `user:password` in base64; Docker pads the password with zero bytes on some systems.
fn from_auth(auth: &str) -> Result<(String, String), &'static str> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let bytes = LENIENT.decode(auth.trim()).map_err(|_| "has an auth that is not base64")?;
    let text = String::from_utf8(bytes).map_err(|_| "has an auth that is not UTF-8 text")?;
    let (username, password) =
        text.split_once(':').ok_or("has an auth without the colon between user and password")?;
    Ok((username.to_owned(), password.trim_end_matches('\0').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)], image: &str) -> Result<Option<Credential>, CredentialError> {
        let data = pairs.iter().map(|&(key, value)| (key.to_owned(), value.as_bytes().to_vec())).collect();
        credential_from_secret(&data, &ImageName::parse(image).unwrap())
    }

    fn from_config(config: &str, image: &str) -> Result<Option<Credential>, CredentialError> {
        read(&[(CONFIG_KEY, config)], image)
    }

    fn password(username: &str, password: &str) -> Result<Option<Credential>, CredentialError> {
        let password = SecretText::from(password.to_owned());
        Ok(Some(Credential::Password { username: username.to_owned(), password }))
    }

    #[test]
    fn reads_a_pair_of_keys() {
        assert_eq!(read(&[("username", "bot"), ("password", "p:w")], "ghcr.io/a/b"), password("bot", "p:w"));
    }

    #[test]
    fn a_credential_that_fits_into_no_header_is_none() {
        let (long, fits) = ("s3".repeat(8192), "s3".repeat(8190));
        let auths = |entry: &str| format!(r#"{{"auths":{{"ghcr.io":{entry}}}}}"#);
        assert!(read(&[("username", "bot"), ("password", &fits)], "ghcr.io/a/b").is_ok());
        for read in [
            read(&[("username", "bot"), ("password", &long)], "ghcr.io/a/b"),
            from_config(&auths(&format!(r#"{{"username":"bot","password":"{long}"}}"#)), "ghcr.io/a/b"),
            from_config(&auths(&format!(r#"{{"identitytoken":"{long}x"}}"#)), "ghcr.io/a/b"),
        ] {
            let error = read.unwrap_err().to_string();
            assert!(error.contains("longer than the 16 KiB") && !error.contains("s3s3"), "{error}");
        }
    }

    #[test]
    fn reads_every_form_of_an_entry() {
        for (entry, expected) in [
            (r#"{"auth":"Ym90OnA6dw=="}"#, password("bot", "p:w")),
            (r#"{"auth":"Ym90OnA6dw"}"#, password("bot", "p:w")),
            (r#"{"auth":"Ym90OnB3AAA="}"#, password("bot", "pw")),
            (r#"{"username":"bot","password":"pw","email":"x"}"#, password("bot", "pw")),
            (r#"{"auth":"Ym90OnA6dw==","username":"other","password":"x"}"#, password("bot", "p:w")),
            (
                r#"{"auth":"AAAA","identitytoken":"it"}"#,
                Ok(Some(Credential::IdentityToken(SecretText::from("it".to_owned())))),
            ),
        ] {
            assert_eq!(
                from_config(&format!(r#"{{"auths":{{"ghcr.io":{entry}}}}}"#), "ghcr.io/a/b"),
                expected,
                "{entry}"
            );
        }
    }

    #[test]
    fn the_longest_path_to_the_image_wins() {
        let config = r#"{"auths":{
            "ghcr.io":{"username":"host","password":"x"},
            "https://ghcr.io/acme":{"username":"acme","password":"x"},
            "ghcr.io/acme/api/":{"username":"api","password":"x"},
            "ghcr.io:5000":{"username":"port","password":"x"},
            "ghcr.io/broken":{"username":7}
        }}"#;
        for (image, username) in [
            ("ghcr.io/acme/api", Some("api")),
            ("ghcr.io/acme/api/sub", Some("api")),
            ("ghcr.io/acme/apis", Some("acme")),
            ("ghcr.io/acmes/x", Some("host")),
            ("ghcr.io:5000/acme/api", Some("port")),
            ("quay.io/acme/api", None),
            ("alpine", None),
        ] {
            let expected = username.map_or(Ok(None), |username| password(username, "x"));
            assert_eq!(from_config(config, image), expected, "{image}");
        }
    }

    #[test]
    fn docker_hub_goes_by_all_its_names() {
        for key in [
            "https://index.docker.io/v1/",
            "index.docker.io",
            "docker.io",
            "https://registry-1.docker.io/v2",
            "registry.hub.docker.com",
            "docker.io/library",
        ] {
            let config = format!(r#"{{"auths":{{"{key}":{{"username":"hub","password":"x"}}}}}}"#);
            assert_eq!(from_config(&config, "alpine"), password("hub", "x"), "{key}");
        }
    }

    #[test]
    fn errors_name_the_key_and_show_no_value() {
        let entry =
            |entry: &str| from_config(&format!(r#"{{"auths":{{"ghcr.io":{entry}}}}}"#), "ghcr.io/a/b");
        for (outcome, part) in [
            (read(&[], "ghcr.io/a/b"), "neither"),
            (read(&[("username", "s3cret")], "ghcr.io/a/b"), "without the key password"),
            (read(&[("password", "s3cret")], "ghcr.io/a/b"), "without the key username"),
            (
                read(&[("username", "bot"), ("password", "s3\ncret")], "ghcr.io/a/b"),
                "password has a line break",
            ),
            (read(&[("username", "bot"), ("password", "")], "ghcr.io/a/b"), "password is empty"),
            (read(&[("username", "a:s3cret"), ("password", "x")], "ghcr.io/a/b"), "colon"),
            (from_config("s3cret", "ghcr.io/a/b"), ".dockerconfigjson is no JSON"),
            (from_config(r#"{"auths":"s3cret"}"#, "ghcr.io/a/b"), ".dockerconfigjson is no JSON"),
            (entry("{}"), "\"ghcr.io\""),
            (entry(r#"{"auth":"/////w=="}"#), "UTF-8"),
            (entry(r#"{"auth":"s3cret!"}"#), "base64"),
            (entry(r#"{"auth":"czNjcmV0"}"#), "colon"),
            (entry(r#"{"auth":["s3cret"]}"#), "strings"),
            (entry(r#"{"auth":"OnMzY3JldA=="}"#), "empty user name"),
        ] {
            let error = outcome.unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains("s3cret"), "{part}: {error}");
        }
    }
}
