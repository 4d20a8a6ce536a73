//! Which token server a registry may name.
//!
//! A hostile or careless registry that names any host it likes would be sent the credentials that are meant for it
//! (CVE-2026-33540), or have the operator call addresses inside the cluster.

use reqwest::Url;

use super::Error;

/// Registries whose token server is known to be elsewhere.
const KNOWN_ELSEWHERE: [(&str, &str); 2] =
    [("registry-1.docker.io", "auth.docker.io"), ("registry.gitlab.com", "gitlab.com")];

/// Reads the realm of a challenge of `registry`, and refuses it unless it is safe to ask there.
///
/// It must be HTTPS, or HTTP where the registry itself is spoken to over HTTP, without a user, and on the registry's
/// own host and port, or on one of `allowed`.
pub(super) fn trusted(realm: &str, registry: &Url, allowed: &[String]) -> Result<Url, Error> {
    let host = || authority(registry);
    let Ok(url) = Url::parse(realm) else {
        return Err(Error::RealmRefused {
            host: host(),
            realm: "an address that is no URL".to_owned(),
            problem: "so no token can be had",
        });
    };
    let refused = |problem| Err(Error::RealmRefused { host: host(), realm: origin(&url), problem });
    match url.scheme() {
        "https" => {}
        "http" if registry.scheme() == "http" => {}
        _ => return refused("which is not HTTPS"),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refused("with a user in the address, which is not sent");
    }
    let is_own = authority(&url) == authority(registry);
    let is_known = KNOWN_ELSEWHERE.iter().any(|(from, to)| {
        registry.host_str() == Some(from) && url.host_str() == Some(to) && url.port().is_none()
    });
    let is_allowed = || allowed.iter().any(|host| names(host, &url));
    if is_own || is_known || is_allowed() {
        Ok(url)
    } else {
        refused(
            "which is not its own host; if it is right, add it to `allowedRealms` of the ClusterImageRegistry",
        )
    }
}

/// Scheme, host and port, for a message: the path and the query may hold more than should be shown.
pub(super) fn origin(url: &Url) -> String {
    format!("{}://{}", url.scheme(), authority(url))
}

/// The host, with its port where that is not the scheme's own.
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Whether `allowed` (`host` or `host:port`) is where the URL leads. Read as a URL itself, so that letter case and the
/// scheme's own port make no difference.
fn names(allowed: &str, url: &Url) -> bool {
    read_allowed(url.scheme(), allowed).is_some_and(|allowed| authority(&allowed) == authority(url))
}

fn read_allowed(scheme: &str, allowed: &str) -> Option<Url> {
    Url::parse(&format!("{scheme}://{allowed}")).ok().filter(|url| url.path() == "/")
}

/// Whether an entry of `allowedRealms` is a host with an optional port. No realm lies on anything else.
#[must_use]
pub fn is_realm_host(allowed: &str) -> bool {
    read_allowed("https", allowed).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_trusted(registry: &str, realm: &str, allowed: &[&str]) -> bool {
        let allowed: Vec<String> = allowed.iter().map(|&host| host.to_owned()).collect();
        trusted(realm, &registry.parse().unwrap(), &allowed).is_ok()
    }

    #[test]
    fn trusts_the_registrys_own_host_and_the_known_ones() {
        for (registry, realm) in [
            ("https://ghcr.io", "https://ghcr.io/token"),
            ("https://ghcr.io", "https://GHCR.io:443/token"),
            ("https://r.acme.example:5000", "https://r.acme.example:5000/auth"),
            ("https://registry-1.docker.io", "https://auth.docker.io/token"),
            ("https://registry.gitlab.com", "https://gitlab.com/jwt/auth"),
            ("http://localhost:5000", "http://localhost:5000/auth"),
        ] {
            assert!(is_trusted(registry, realm, &[]), "{registry} {realm}");
        }
    }

    #[test]
    fn refuses_other_hosts_ports_schemes_and_users() {
        for (registry, realm) in [
            ("https://ghcr.io", "https://evil.example/token"),
            ("https://ghcr.io", "https://ghcr.io.evil.example/token"),
            ("https://ghcr.io", "https://evil.example\\@ghcr.io/token"),
            ("https://ghcr.io", "https://ghcr.io@evil.example/token"),
            ("https://ghcr.io", "https://user:pass@ghcr.io/token"),
            ("https://ghcr.io", "https://ghcr.io:8443/token"),
            ("https://ghcr.io", "http://ghcr.io/token"),
            ("https://ghcr.io", "http://169.254.169.254/latest"),
            ("https://ghcr.io", "file:///etc/passwd"),
            ("https://ghcr.io", "/token"),
            ("https://ghcr.io", ""),
            ("https://ghcr.io", "https://auth.docker.io/token"),
            ("https://registry-1.docker.io", "https://auth.docker.io:8443/token"),
            ("http://localhost:5000", "http://localhost:5001/auth"),
        ] {
            assert!(!is_trusted(registry, realm, &[]), "{registry} {realm}");
        }
    }

    #[test]
    fn trusts_what_is_allowed_with_its_port() {
        let allowed = ["auth.acme.example", "other.example:8443"];
        assert!(is_trusted("https://r.acme.example", "https://auth.acme.example/t", &allowed));
        assert!(is_trusted("https://r.acme.example", "https://other.example:8443/t", &allowed));
        assert!(!is_trusted("https://r.acme.example", "https://other.example/t", &allowed));
        assert!(!is_trusted("https://r.acme.example", "http://auth.acme.example/t", &allowed));
    }

    #[test]
    fn what_is_no_host_allows_nothing() {
        for (allowed, is_host) in [
            ("auth.acme.example", true),
            ("Auth.acme.example:8443", true),
            ("[::1]:8443", true),
            ("https://auth.acme.example", false),
            ("auth.acme.example/token", false),
            ("auth.acme.example:port", false),
            ("*.acme.example:", true),
            ("", false),
        ] {
            assert_eq!(is_realm_host(allowed), is_host, "{allowed}");
        }
    }

    #[test]
    fn the_error_shows_no_more_than_the_origin() {
        let error = trusted("https://evil.example/a?token=s3cret", &"https://ghcr.io".parse().unwrap(), &[])
            .unwrap_err();
        let text = error.to_string();
        assert!(text.contains("https://evil.example,") && !text.contains("s3cret"), "{text}");
    }
}
