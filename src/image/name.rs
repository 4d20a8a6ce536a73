//! The name of an image: a registry host and a repository on it.

use std::borrow::Cow;
use std::fmt;

/// The host that short names such as `alpine` mean.
const DOCKER_HUB: &str = "docker.io";

/// Other names of that host, as Docker's own tools, charts and old addresses have them.
const DOCKER_HUB_ALIASES: [&str; 3] = ["index.docker.io", DOCKER_HUB_API, "registry.hub.docker.com"];

/// The host that serves Docker Hub's registry API.
const DOCKER_HUB_API: &str = "registry-1.docker.io";

/// The longest name the distribution grammar admits, in bytes.
const MAX_NAME_LENGTH: usize = 255;

/// A repository on a registry, without tag and digest: `ghcr.io/acme/api`, `localhost:5000/api`, `alpine`.
///
/// Equality, order and hash go by what the name means, not by how it is spelled: `alpine`, `library/alpine` and
/// `docker.io/library/alpine` are one image.
#[derive(Clone, Debug)]
pub struct ImageName {
    spelled: Box<str>,
    host: Box<str>,
    repository: Box<str>,
}

/// A string that is no image name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{input:?} is not an image name: {problem}")]
pub struct InvalidImageName {
    /// What was given, cut to a printable length.
    pub input: String,
    /// What is wrong and what would be right.
    pub problem: &'static str,
}

impl ImageName {
    /// Reads an image name; a tag or a digest behind it is an error.
    ///
    /// # Errors
    /// `InvalidImageName` says which part breaks the grammar.
    pub fn parse(text: &str) -> Result<Self, InvalidImageName> {
        let fail = |problem| Err(InvalidImageName { input: shortened(text), problem });
        if text.is_empty() {
            return fail("it is empty; write host/repository, such as ghcr.io/acme/api");
        }
        if text.contains("://") {
            return fail("it has a scheme; write it without, such as ghcr.io/acme/api");
        }
        if text.contains('@') {
            return fail("it has a digest; write the repository only");
        }
        let (host, path) = match text.split_once('/') {
            Some((first, rest)) if is_host(first) => (first, rest),
            Some(_) | None => (DOCKER_HUB, text),
        };
        if path.contains(':') {
            return fail("it has a tag; write the repository only");
        }
        if !is_valid_host(host) {
            return fail("its host is not a host name with an optional port");
        }
        if !path.split('/').all(is_valid_component) {
            return fail(
                "its path may hold only a-z 0-9 and single . _ - or __ between them, in parts split by /",
            );
        }
        let host = Self::known_host(host);
        let repository = if host == DOCKER_HUB && !path.contains('/') {
            format!("library/{path}")
        } else {
            path.to_owned()
        };
        if host.len() + 1 + repository.len() > MAX_NAME_LENGTH {
            return fail("it is longer than 255 characters");
        }
        Ok(Self { spelled: text.into(), host: (&*host).into(), repository: repository.into() })
    }

    /// The name as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.spelled
    }

    /// The registry's host and port as people name it: `ghcr.io`, `docker.io`, `localhost:5000`.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The name by which a host is known: in lower case, since hosts have no other (RFC 4343), and that of Docker Hub for
    /// each of the names that it has.
    #[must_use]
    pub fn known_host(host: &str) -> Cow<'_, str> {
        let host = if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(host.to_ascii_lowercase())
        } else {
            Cow::Borrowed(host)
        };
        if DOCKER_HUB_ALIASES.contains(&&*host) { Cow::Borrowed(DOCKER_HUB) } else { host }
    }

    /// The host and port that answer the registry API: Docker Hub's differs from its name.
    #[must_use]
    pub fn api_host(&self) -> &str {
        if &*self.host == DOCKER_HUB { DOCKER_HUB_API } else { &self.host }
    }

    /// The repository's path on the registry: `acme/api`, `library/alpine`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }
}

impl PartialEq for ImageName {
    fn eq(&self, other: &Self) -> bool {
        (&self.host, &self.repository) == (&other.host, &other.repository)
    }
}

impl Eq for ImageName {}

impl std::hash::Hash for ImageName {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (&self.host, &self.repository).hash(state);
    }
}

impl PartialOrd for ImageName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ImageName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (&self.host, &self.repository).cmp(&(&other.host, &other.repository))
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelled)
    }
}

/// Whether the part before the first slash is a host, by the rule of the Docker command line: it has a dot or a
/// colon, or it is `localhost`.
fn is_host(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost"
}

fn is_valid_host(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (host, None),
    };
    let valid_name = name
        .strip_prefix('[')
        .and_then(|n| n.strip_suffix(']'))
        .map_or_else(|| name.split('.').all(is_valid_label), |v6| v6.parse::<std::net::Ipv6Addr>().is_ok());
    valid_name && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number > 0))
}

fn is_valid_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= 63
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_valid_component(component: &str) -> bool {
    let is_alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let edges_are_alphanumeric = component.bytes().next().is_some_and(is_alphanumeric)
        && component.bytes().next_back().is_some_and(is_alphanumeric);
    let separators_are_valid = component
        .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        .all(|separator| matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-'));
    edges_are_alphanumeric && separators_are_valid
}

/// At most 80 characters of foreign text, for a message.
pub(super) fn shortened(text: &str) -> String {
    const MOST: usize = 80;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    text.chars().take(MOST).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_names_people_write() {
        for (text, host, repository) in [
            ("alpine", "docker.io", "library/alpine"),
            ("library/alpine", "docker.io", "library/alpine"),
            ("index.docker.io/library/alpine", "docker.io", "library/alpine"),
            ("registry-1.docker.io/alpine", "docker.io", "library/alpine"),
            ("registry-1.docker.io/bitnamicharts/nginx", "docker.io", "bitnamicharts/nginx"),
            ("registry.hub.docker.com/grafana/grafana", "docker.io", "grafana/grafana"),
            ("grafana/grafana", "docker.io", "grafana/grafana"),
            ("ghcr.io/acme/api", "ghcr.io", "acme/api"),
            ("localhost/api", "localhost", "api"),
            ("localhost:5000/a/b/c", "localhost:5000", "a/b/c"),
            ("127.0.0.1:5000/api", "127.0.0.1:5000", "api"),
            ("[::1]:5000/api", "[::1]:5000", "api"),
            ("GHCR.io/acme/api", "ghcr.io", "acme/api"),
            ("Index.Docker.io/alpine", "docker.io", "library/alpine"),
            ("quay.io/a__b/c--d.e", "quay.io", "a__b/c--d.e"),
        ] {
            let name = ImageName::parse(text).unwrap();
            assert_eq!((name.host(), name.repository(), name.as_str()), (host, repository, text));
        }
    }

    #[test]
    fn one_image_is_equal_under_all_its_spellings() {
        let long = ImageName::parse("docker.io/library/alpine").unwrap();
        assert_eq!(ImageName::parse("alpine").unwrap(), long);
        assert_ne!(ImageName::parse("ghcr.io/library/alpine").unwrap(), long);
        assert_eq!(long.api_host(), "registry-1.docker.io");
    }

    #[test]
    fn rejects_with_the_reason() {
        for (text, problem) in [
            ("", "empty"),
            ("https://ghcr.io/acme/api", "scheme"),
            ("ghcr.io/acme/api:1.0", "tag"),
            ("alpine:3", "tag"),
            ("ghcr.io/acme/api@sha256:00", "digest"),
            ("ghcr.io/Acme/api", "path"),
            ("ghcr.io/acme//api", "path"),
            ("ghcr.io/../api", "path"),
            ("ghcr.io:0/api", "host"),
            ("gh_cr.io/api", "host"),
            ("-x.io/api", "host"),
        ] {
            let error = ImageName::parse(text).unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }
}
