//! Where a repository is.

use std::fmt;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use reqwest::Url;

/// What stands encoded in the path of an `ssh://` address, so that it reads back as it was.
const IN_PATH: AsciiSet =
    CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?').add(b'`');

/// And in its user, where these would end it.
const IN_USER: AsciiSet = IN_PATH.add(b'/').add(b':').add(b'@').add(b'[').add(b'\\').add(b']');

/// The address of a Git repository, of an allowed kind and without user and password.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RepositoryUrl {
    /// `https://…` or `http://…`
    Http(Url),
    /// `ssh://…`
    Ssh(SshUrl),
    /// `file:///…`: a bare repository of this machine.
    Local(PathBuf),
}

/// An `ssh://` address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SshUrl {
    /// The user; `git` where the address names none.
    pub user: String,
    /// The host, an IPv6 address without its brackets.
    pub host: String,
    /// The port; 22 where the address names none.
    pub port: u16,
    /// The path as it is given to the server, with its slash.
    pub path: String,
}

/// A string that is no address of a repository.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("spec.url: {problem}")]
pub struct InvalidUrl {
    /// What is wrong and what would be right.
    pub problem: String,
}

impl RepositoryUrl {
    /// Reads an address. The error never shows the text itself, which may hold a password.
    ///
    /// # Errors
    /// `InvalidUrl` for another scheme, user information, a query, a fragment, or a path that is not absolute.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        let fail = |problem: &str| Err(InvalidUrl { problem: problem.to_owned() });
        if text.starts_with('-') {
            return fail("it begins with a dash; write a URL such as https://git.example.com/acme/infra.git");
        }
        if let Some(path) = text.strip_prefix("file://") {
            let path = Path::new(path);
            let is_plain = path.components().all(|c| !matches!(c, std::path::Component::ParentDir));
            return if path.is_absolute() && is_plain {
                Ok(Self::Local(path.to_owned()))
            } else {
                fail("a file URL names an absolute path without .., such as file:///srv/git/infra.git")
            };
        }
        let Ok(url) = Url::parse(text) else {
            if text.contains('@') && text.contains(':') {
                return fail("it is no URL; write git@host:path as ssh://git@host/path");
            }
            return fail("it is no URL; write one such as https://git.example.com/acme/infra.git");
        };
        if url.scheme() == "ssh" {
            return SshUrl::read(&url)
                .map(Self::Ssh)
                .map_err(|problem| InvalidUrl { problem: problem.to_owned() });
        }
        if !matches!(url.scheme(), "https" | "http") {
            return fail("its scheme is not one of https, ssh, http and file");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return fail("it holds a user or a password; put them into the Secret of spec.secretRef");
        }
        if url.host_str().is_none_or(str::is_empty) {
            return fail("it has no host");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return fail("it has a query or a fragment; a repository is named by its path alone");
        }
        Ok(Self::Http(url))
    }

    /// Whether everyone on the way can read what is sent.
    #[must_use]
    pub fn is_plain_http(&self) -> bool {
        match self {
            Self::Http(url) => url.scheme() == "http",
            Self::Local(_) | Self::Ssh(_) => false,
        }
    }
}

impl SshUrl {
    fn read(url: &Url) -> Result<Self, &'static str> {
        if url.password().is_some() {
            return Err("it holds a password; put what SSH needs into the Secret of spec.secretRef");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("it has a query or a fragment; a repository is named by its path alone");
        }
        let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(|text| text.into_owned());
        let user = decoded(url.username()).map_err(|_| "its user is no text")?;
        let path = decoded(url.path()).map_err(|_| "its path is no text")?;
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || path.len() < 2 {
            return Err("it has no host or no path; write ssh://git@host/path");
        }
        // What begins with a dash could be read as an option on the other side.
        if user.starts_with('-') || host.starts_with('-') || path.starts_with("/-") {
            return Err("its user, host or path begins with a dash");
        }
        if path.split('/').any(|part| matches!(part, "." | "..")) {
            return Err("its path has a part . or ..");
        }
        if [&user, &path].iter().any(|part| part.chars().any(char::is_control)) {
            return Err("it holds a control character");
        }
        // Behind /~ stands a path in a user's home (gitprotocol-pack, "SSH Transport").
        let path = path.strip_prefix('/').filter(|rest| rest.starts_with('~')).unwrap_or(&path).to_owned();
        Ok(Self {
            user: if user.is_empty() { "git".to_owned() } else { user },
            host: host.to_owned(),
            port: url.port().unwrap_or(22),
            path,
        })
    }
}

impl fmt::Display for SshUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, host, port, path } = self;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let port = if *port == 22 { String::new() } else { format!(":{port}") };
        let slash = if path.starts_with('/') { "" } else { "/" };
        let (user, path) = (utf8_percent_encode(user, &IN_USER), utf8_percent_encode(path, &IN_PATH));
        write!(f, "ssh://{user}@{host}{port}{slash}{path}")
    }
}

impl fmt::Display for RepositoryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(url) => write!(f, "{url}"),
            Self::Ssh(url) => write!(f, "{url}"),
            Self::Local(path) => write!(f, "file://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_allowed_kinds() {
        for text in [
            "https://git.example.com/acme/infra.git",
            "http://127.0.0.1:8080/infra.git",
            "file:///srv/infra.git",
            "ssh://git@git.example.com/acme/infra.git",
            "ssh://bot@[::1]:2222/~bot/infra.git",
            "ssh://a%2Fb%40c@example.com/with%20space/100%25",
        ] {
            assert_eq!(RepositoryUrl::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn rejects_what_could_leak_or_escape() {
        for (text, problem) in [
            ("", "no URL"),
            ("infra.git", "no URL"),
            ("git@example.com:acme/infra.git", "ssh://git@host/path"),
            ("ssh://git:hunter2@example.com/x", "Secret"),
            ("ssh://-oProxyCommand=x@example.com/x", "dash"),
            ("ssh://git@example.com/-x", "dash"),
            ("ssh://git@example.com/", "no path"),
            ("ssh://git@example.com/a%0ab", "control"),
            ("ssh://git@example.com/a%2F..%2Fb", ".."),
            ("ext::sh -c id", "scheme"),
            ("git://example.com/x", "scheme"),
            ("--upload-pack=x", "dash"),
            ("https://bot:hunter2@example.com/x", "Secret"),
            ("https://example.com/x?token=1", "query"),
            ("file://relative", "absolute"),
            ("file:///srv/../etc", "absolute"),
        ] {
            let error = RepositoryUrl::parse(text).unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
            assert!(!error.contains("hunter2"));
        }
    }
}
