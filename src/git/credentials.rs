//! What a Secret for Git holds.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;

use crate::net::SecretText;

/// What a Secret for a repository over HTTP holds: who asks, and whom to trust.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GitSecret {
    login: Option<Login>,
    /// The certificates (PEM) of the key `ca.crt`, trusted besides the system's.
    pub ca_pem: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Login {
    Basic { username: String, password: SecretText },
    Bearer(SecretText),
}

/// A Secret that does not hold what is needed. Its text never holds a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGitSecret {
    /// Neither way to log in is there, nor a certificate.
    #[error("the Secret has none of the keys username and password, bearerToken, and ca.crt")]
    Empty,
    /// One of two keys is missing.
    #[error("the Secret has the key {has} but not {lacks}")]
    Half {
        /// The key that is there.
        has: &'static str,
        /// The key that is not.
        lacks: &'static str,
    },
    /// Two ways to log in.
    #[error("the Secret has both a password and a bearerToken; keep one of them")]
    Both,
    /// A value that no header can carry.
    #[error(
        "the Secret's {key} is not plain text; it may hold no control characters and no line breaks inside"
    )]
    NotText {
        /// The key.
        key: &'static str,
    },
}

impl GitSecret {
    /// Reads the data of a Secret: `username` and `password`, or `bearerToken`; `ca.crt` beside them or alone. A line
    /// break at the end of a value, which `kubectl create --from-file` leaves there, is taken off.
    ///
    /// # Errors
    /// `InvalidGitSecret` names the key that is missing or unfit.
    pub fn read(data: &BTreeMap<String, Vec<u8>>) -> Result<Self, InvalidGitSecret> {
        let username = text(data, "username")?;
        let password = text(data, "password")?;
        let bearer = text(data, "bearerToken")?;
        let ca_pem = data.get("ca.crt").cloned();
        let login = match (username, password, bearer) {
            (_, Some(_), Some(_)) => return Err(InvalidGitSecret::Both),
            (_, None, Some(token)) => Some(Login::Bearer(token.into())),
            (Some(username), Some(password), None) => {
                Some(Login::Basic { username, password: password.into() })
            }
            (Some(_), None, None) => {
                return Err(InvalidGitSecret::Half { has: "username", lacks: "password" });
            }
            (None, Some(_), None) => {
                return Err(InvalidGitSecret::Half { has: "password", lacks: "username" });
            }
            (None, None, None) if ca_pem.is_none() => return Err(InvalidGitSecret::Empty),
            (None, None, None) => None,
        };
        Ok(Self { login, ca_pem })
    }

    /// The value of the Authorization header (RFC 7617 for Basic, RFC 6750 for Bearer), marked as sensitive so that it
    /// is never printed.
    ///
    /// # Errors
    /// `InvalidGitSecret::NotText` where the token has a character that no header can carry.
    pub fn authorization(&self) -> Result<Option<HeaderValue>, InvalidGitSecret> {
        let value = match &self.login {
            None => return Ok(None),
            Some(Login::Basic { username, password }) => {
                format!("Basic {}", STANDARD.encode(format!("{username}:{}", password.expose())))
            }
            Some(Login::Bearer(token)) => format!("Bearer {}", token.expose()),
        };
        let mut header =
            HeaderValue::from_str(&value).map_err(|_| InvalidGitSecret::NotText { key: "bearerToken" })?;
        header.set_sensitive(true);
        Ok(Some(header))
    }
}

fn text(data: &BTreeMap<String, Vec<u8>>, key: &'static str) -> Result<Option<String>, InvalidGitSecret> {
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

    #[test]
    fn reads_basic_and_bearer_and_a_certificate_alone() {
        let header =
            |secret: GitSecret| secret.authorization().unwrap().map(|h| h.to_str().unwrap().to_owned());
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
            (&[("username", "a"), ("password", "hunter2"), ("bearerToken", "hunter2")], "both"),
            (&[("bearerToken", "hun\nter2")], "bearerToken"),
        ] {
            let error = read(entries).unwrap_err().to_string();
            assert!(error.contains(words) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn prints_nothing_of_its_values() {
        let secret = read(&[("username", "bot"), ("password", "hunter2")]).unwrap();
        assert!(!format!("{secret:?} {:?}", secret.authorization()).contains("hunter2"));
        assert!(!format!("{:?}", secret.authorization()).contains("Basic"));
    }
}
