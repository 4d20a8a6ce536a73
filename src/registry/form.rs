//! Pairs of names and values in URLs and in bodies.

use reqwest::Url;
use reqwest::header::HeaderValue;

/// The type of a body that [`form`] makes.
pub(super) const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// The URL with the pairs in its query.
pub(super) fn with_query(url: &Url, pairs: &[(&str, &str)]) -> Url {
    let mut url = url.clone();
    url.query_pairs_mut().extend_pairs(pairs);
    url
}

/// The pairs as the body of a form for `url`, which has the syntax of a query.
pub(super) fn form(url: &Url, pairs: &[(&str, &str)]) -> String {
    let mut bare = url.clone();
    bare.set_query(None);
    with_query(&bare, pairs).query().unwrap_or_default().to_owned()
}
