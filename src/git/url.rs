//! Where a repository is.

use std::fmt;
use std::path::{Path, PathBuf};

use reqwest::Url;

/// The address of a Git repository, of an allowed kind and without user and password.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RepositoryUrl {
    /// `https://…` or `http://…`
    Http(Url),
    /// `file:///…`: a bare repository of this machine.
    Local(PathBuf),
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
            return fail("it is no URL; write one such as https://git.example.com/acme/infra.git");
        };
        if !matches!(url.scheme(), "https" | "http") {
            return fail("its scheme is not one of https, http and file");
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
            Self::Local(_) => false,
        }
    }
}

impl fmt::Display for RepositoryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(url) => write!(f, "{url}"),
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
        ] {
            assert_eq!(RepositoryUrl::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn rejects_what_could_leak_or_escape() {
        for (text, problem) in [
            ("", "no URL"),
            ("infra.git", "no URL"),
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
