//! What a registry asks for when it answers 401: the `WWW-Authenticate` header (RFC 9110, 11.6.1).

use std::collections::BTreeSet;

use http_auth::parser::ChallengeParser;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// The longest header that is read, in bytes.
const MAX_LENGTH: usize = 4096;

/// What reads and changes nothing: `pull`, and what Azure wants to see for a list of tags.
const READING: [&str; 2] = ["pull", "metadata_read"];

/// How a registry wants to know who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User and password in every request (RFC 7617).
    Basic,
    /// A token from a token server (RFC 6750, and "Token Authentication" of the distribution project).
    Bearer(Bearer),
}

/// Where a token is to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bearer {
    /// The token server's URL, as the registry gives it: not to be trusted.
    pub(super) realm: String,
    /// The name by which the token server knows the registry.
    pub(super) service: Option<String>,
    /// What the token must be good for, as the registry gives it: not to be trusted.
    pub(super) scope: Option<String>,
}

impl Bearer {
    /// What a token is asked to be good for: reading this repository, in the words of the registry where it has its own for
    /// that. It may name others' repositories of the same token server, and would get a token for those.
    pub(super) fn scope_for(&self, repository: &str) -> String {
        let actions = self.scope.iter().flat_map(|scope| scope.split_ascii_whitespace()).flat_map(|one| {
            let actions = one
                .strip_prefix("repository:")
                .and_then(|rest| rest.strip_prefix(repository)?.strip_prefix(':'));
            actions.unwrap_or_default().split(',').filter(|action| READING.contains(action))
        });
        let actions: BTreeSet<&str> = actions.collect();
        let actions = Vec::from_iter(if actions.is_empty() { BTreeSet::from(["pull"]) } else { actions });
        format!("repository:{repository}:{}", actions.join(","))
    }
}

impl Challenge {
    /// The challenge that is answered: a bearer token where one is offered, since it is short-lived, else Basic.
    pub(super) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let offered: Vec<Self> = headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .filter(|text| text.len() <= MAX_LENGTH)
            .flat_map(|text| ChallengeParser::new(text).map_while(Result::ok))
            .filter_map(|challenge| Self::from_parsed(&challenge))
            .collect();
        let bearer = offered.iter().find(|challenge| matches!(challenge, Self::Bearer(_)));
        bearer.or(offered.first()).cloned()
    }

    fn from_parsed(challenge: &http_auth::ChallengeRef<'_>) -> Option<Self> {
        if challenge.scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !challenge.scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let parameter = |name: &str| {
            let (_, value) = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
            Some(value.to_unescaped()).filter(|text| !text.is_empty())
        };
        Some(Self::Bearer(Bearer {
            realm: parameter("realm")?,
            service: parameter("service"),
            scope: parameter("scope"),
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        Challenge::from_headers(&headers)
    }

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer(Bearer {
            realm: realm.into(),
            service: service.map(Into::into),
            scope: scope.map(Into::into),
        }))
    }

    #[test]
    fn reads_what_registries_send() {
        assert_eq!(
            read(&[
                r#"Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:acme/api:pull""#
            ]),
            bearer("https://ghcr.io/token", Some("ghcr.io"), Some("repository:acme/api:pull"))
        );
        assert_eq!(read(&[r#"bearer REALM="https://a/t""#]), bearer("https://a/t", None, None));
        assert_eq!(read(&[r#"Basic realm="Registry Realm""#]), Some(Challenge::Basic));
    }

    #[test]
    fn prefers_the_short_lived_token() {
        let both = bearer("https://a/t", None, None);
        assert_eq!(read(&[r#"Basic realm="x", Bearer realm="https://a/t""#]), both);
        assert_eq!(read(&[r#"Basic realm="x""#, r#"Bearer realm="https://a/t""#]), both);
    }

    #[test]
    fn passes_over_what_it_does_not_speak() {
        assert_eq!(read(&["Negotiate"]), None);
        assert_eq!(read(&[r#"Bearer service="no realm""#]), None);
        assert_eq!(read(&["Negotiate", "Basic"]), Some(Challenge::Basic));
        let long = format!(r#"Bearer realm="https://a/{}""#, "x".repeat(MAX_LENGTH));
        assert_eq!(read(&[&long]), None);
    }

    #[test]
    fn a_token_is_for_reading_its_own_repository_whatever_the_registry_says() {
        let own = "repository:acme/api:pull";
        for (said, asked) in [
            (None, own),
            (Some("repository:acme/api:pull"), own),
            (Some("repository:acme/api:pull,push"), own),
            (Some("repository:acme/api:*"), own),
            (Some("repository:acme/secret:pull"), own),
            (Some("repository:acme/api/sub:pull"), own),
            (Some("repository:acme/secret:pull repository:acme/api:pull registry:catalog:*"), own),
            (Some("repository:user/image:pull"), own),
            (Some("aws"), own),
            (Some("repository:acme/api:metadata_read"), "repository:acme/api:metadata_read"),
            (Some("repository:acme/api:pull,metadata_read"), "repository:acme/api:metadata_read,pull"),
        ] {
            let scope = said.map(Into::into);
            let bearer = Bearer { realm: String::new(), service: None, scope };
            assert_eq!(bearer.scope_for("acme/api"), asked, "{said:?}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(text in r#"((Basic|Bearer|realm|service|[ ,=\\"]|[!-~]){0,3}){0,20}"#) {
            read(&[&text]);
        }
    }
}
