//! The `Link` header with which a registry names the next page (RFC 8288).

use reqwest::Url;
use reqwest::header::{HeaderMap, LINK};

/// The longest header that is read, in bytes. Cursors are opaque and can be long.
const MAX_LENGTH: usize = 8192;

/// The next page of the list at `list`, or `None` on the last one.
///
/// Only the query of the link is taken: registries behind proxies are known to lose the port (Nexus) or a prefix of the
/// path (Artifactory), and a hostile one could point anywhere. But the path must speak of the same list.
///
/// # Errors
/// What is wrong with the link. A link that is passed over would make half a list look whole.
pub(super) fn next_page(headers: &HeaderMap, list: &Url) -> Result<Option<Url>, &'static str> {
    for value in headers.get_all(LINK) {
        let text = value.to_str().map_err(|_| "its Link header is not ASCII")?;
        if text.len() > MAX_LENGTH {
            return Err("its Link header is longer than 8 KiB");
        }
        if let Some(target) = next_target(text)? {
            return resolve(target, list).map(Some);
        }
    }
    Ok(None)
}

fn resolve(target: &str, list: &Url) -> Result<Url, &'static str> {
    let target = list.join(target).map_err(|_| "its link to the next page is no URL")?;
    if !is_same_list(target.path(), list.path()) {
        return Err("its link to the next page leads to another list");
    }
    let query = target.query().filter(|query| !query.is_empty());
    let mut next = list.clone();
    next.set_query(Some(query.ok_or("its link to the next page has no query")?));
    Ok(next)
}

/// Whether both paths name one list, where one of them may lack a prefix that a proxy adds or takes away.
fn is_same_list(target: &str, own: &str) -> bool {
    let (Some(target), Some(own)) = (repository(target), repository(own)) else {
        return false;
    };
    let ends_in = |long: &str, short: &str| {
        long.strip_suffix(short).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
    };
    ends_in(target, own) || ends_in(own, target)
}

fn repository(path: &str) -> Option<&str> {
    let path = path.strip_suffix("/tags/list")?.trim_start_matches('/');
    Some(path.strip_prefix("v2/").unwrap_or(path)).filter(|name| !name.is_empty())
}

/// The target of the first link in the header whose relation is `next`.
fn next_target(mut rest: &str) -> Result<Option<&str>, &'static str> {
    const MALFORMED: &str = "its Link header cannot be read";
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Ok(None);
        }
        let (target, after) =
            rest.strip_prefix('<').and_then(|rest| rest.split_once('>')).ok_or(MALFORMED)?;
        let (parameters, after) = split_outside_quotes(after, ',');
        if has_relation_next(parameters) {
            return Ok(Some(target.trim()));
        }
        rest = after;
    }
}

fn has_relation_next(mut parameters: &str) -> bool {
    while !parameters.is_empty() {
        let (parameter, rest) = split_outside_quotes(parameters, ';');
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        // Several relations may share one parameter, split by spaces (RFC 8288, 3.3).
        // Single quotes are none to the standard, and some write them: to pass the link over would end the list there.
        let mut relations = value.trim().trim_matches(['"', '\'']).split_ascii_whitespace();
        if name.trim().eq_ignore_ascii_case("rel")
            && relations.any(|relation| relation.eq_ignore_ascii_case("next"))
        {
            return true;
        }
        parameters = rest;
    }
    false
}

/// What stands before and after the first `separator` that is not within double quotes.
fn split_outside_quotes(text: &str, separator: char) -> (&str, &str) {
    let mut is_quoted = false;
    let is_separator = |character: char| {
        is_quoted ^= character == '"';
        character == separator && !is_quoted
    };
    text.split_once(is_separator).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn next(link: &str) -> Result<Option<String>, &'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(LINK, link.parse().unwrap());
        let list = "https://r.example:5000/v2/acme/api/tags/list?n=1000".parse().unwrap();
        Ok(next_page(&headers, &list)?.map(|url| url.to_string()))
    }

    fn page(query: &str) -> Result<Option<String>, &'static str> {
        Ok(Some(format!("https://r.example:5000/v2/acme/api/tags/list?{query}")))
    }

    #[test]
    fn reads_relative_and_absolute_links() {
        assert_eq!(next(r#"</v2/acme/api/tags/list?last=b&n=2>; rel="next""#), page("last=b&n=2"));
        assert_eq!(
            next(r#"<https://r.example:5000/v2/acme/api/tags/list?next_page=x%3D>;rel=next"#),
            page("next_page=x%3D")
        );
        assert_eq!(next(r#"<?last=b>; rel="next""#), page("last=b"));
        assert_eq!(next("<?last=b>; rel='next'"), page("last=b"));
        assert_eq!(
            next(r#"</a>; rel="prev"; title="a, <b>", <?last=c>; title="x"; REL="last NEXT""#),
            page("last=c")
        );
    }

    #[test]
    fn stays_at_its_own_origin_and_path() {
        for link in [
            "http://169.254.169.254/v2/acme/api/tags/list?last=b",
            "//evil.example/v2/acme/api/tags/list?last=b",
            "https://r.example/v2/acme/api/tags/list?last=b",
            "https://r.example/artifactory/api/docker/v2/acme/api/tags/list?last=b",
            "/v2/api/tags/list?last=b",
        ] {
            assert_eq!(next(&format!("<{link}>; rel=\"next\"")), page("last=b"), "{link}");
        }
    }

    #[test]
    fn refuses_another_list() {
        for link in [
            "/v2/acme/web/tags/list?last=b",
            "/v2/other/api/tags/list?last=b",
            "/v2/i/tags/list?last=b",
            "/v2/acme/api/manifests/x?last=b",
            "/v2/acme/api/../web/tags/list?last=b",
            "/tags/list?last=b",
            "/v2/acme/api/tags/list",
            "file:///etc/passwd?x",
            "data:x",
        ] {
            assert!(next(&format!("<{link}>; rel=\"next\"")).is_err(), "{link}");
        }
    }

    #[test]
    fn a_link_that_cannot_be_read_is_an_error_and_one_of_another_kind_is_not() {
        assert!(next("</v2/acme/api/tags/list?last=b; rel=next").is_err());
        assert!(next("next").is_err());
        assert!(next(&format!("<?{}>; rel=next", "x".repeat(MAX_LENGTH))).is_err());
        assert_eq!(next(r#"</docs>; rel="help""#), Ok(None));
        assert_eq!(next("</docs>"), Ok(None));
        assert_eq!(next(""), Ok(None));
    }

    proptest! {
        #[test]
        fn no_header_leads_away(link in r#"([<>;,="?/ ]|rel|next|http://evil|/v2/acme/api/tags/list|[!-~]){0,20}"#) {
            if let Ok(Some(url)) = next(&link) {
                prop_assert!(url.starts_with("https://r.example:5000/v2/acme/api/tags/list?"), "{}", url);
            }
        }
    }
}
