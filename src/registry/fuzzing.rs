//! Answers of a hostile registry, for the fuzzer.

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderValue, LINK, WWW_AUTHENTICATE};

use super::challenge::Challenge;
use super::manifest::document::{Configuration, Document};
use super::tag_list::{Item, TagListError, TagListParser};
use super::{link, realm, webhook};
use crate::fuzzing::Target;
use crate::image::Tag;

pub(crate) const TARGETS: &[Target] = &[
    Target { name: "tag-list", run: tag_list },
    Target { name: "link", run: next_page },
    Target { name: "challenge", run: challenge },
    Target { name: "image", run: image },
    Target { name: "webhook", run: webhook::fuzzing::delivery },
];

const HOST: &str = "https://r.example:5000/";
const LIST: &str = "https://r.example:5000/v2/acme/api/tags/list?n=1000";

#[derive(serde::Deserialize)]
struct Whole {
    tags: Option<Vec<String>>,
}

/// The tags, with `None` for a malformed one. Where in a string an error is depends on how the string is cut.
fn read(input: &[u8], size: usize) -> Result<Vec<Option<String>>, TagListError> {
    let mut seen = Vec::new();
    let mut parser = TagListParser::default();
    for piece in input.chunks(size) {
        let fed = parser.feed(piece, &mut |item| match item {
            Item::Tags(tags) => seen.extend(tags.iter().map(|tag| Some(tag.as_str().to_owned()))),
            Item::Malformed => seen.push(None),
        });
        fed.map_err(|error| match error {
            TagListError::Syntax(_) => TagListError::Syntax(0),
            other => other,
        })?;
    }
    parser.finish()?;
    Ok(seen)
}

/// What is read does not depend on how it is cut, and is what `serde_json` reads.
fn tag_list(input: &[u8]) {
    let seen = read(input, usize::MAX);
    assert_eq!(seen, read(input, 1));
    assert_eq!(seen, read(input, 5));
    let Ok(seen) = seen else { return };
    assert!(seen.iter().flatten().all(|tag| Tag::is_valid(tag)), "{seen:?}");
    // Of longer texts not all is looked at.
    if input.len() <= 1024 {
        let whole: Result<Whole, _> = serde_json::from_slice(input);
        let tags = whole.map(|whole| whole.tags.unwrap_or_default());
        let tags: Vec<_> =
            tags.unwrap_or_default().into_iter().map(|tag| Tag::is_valid(&tag).then_some(tag)).collect();
        assert_eq!(seen, tags);
    }
}

fn headers(name: reqwest::header::HeaderName, input: &[u8]) -> HeaderMap {
    let values = input.split(|&byte| byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok());
    values.map(|value| (name.clone(), value)).collect()
}

fn next_page(input: &[u8]) {
    let Ok(list) = Url::parse(LIST) else { return };
    if let Ok(Some(next)) = link::next_page(&headers(LINK, input), &list) {
        assert!(next.as_str().starts_with("https://r.example:5000/v2/acme/api/tags/list?"), "{next}");
    }
}

fn challenge(input: &[u8]) {
    let Ok(registry) = Url::parse(HOST) else { return };
    if let Some(Challenge::Bearer(bearer)) = Challenge::from_headers(&headers(WWW_AUTHENTICATE, input)) {
        match realm::trusted(&bearer.realm, &registry, &["tokens.example".to_owned()]) {
            Ok(url) => {
                let is_trusted = ["https://r.example:5000/", "https://tokens.example/"]
                    .iter()
                    .any(|at| url.as_str().starts_with(at));
                assert!(is_trusted, "{url}");
            }
            Err(error) => assert!(!error.to_string().contains(char::is_control), "{error}"),
        }
    }
}

/// A manifest, an index or a configuration. What they name is safe to show and to ask for.
fn image(input: &[u8]) {
    let mut platforms = Vec::new();
    if let Ok(Document::Index(index)) = Document::read(input) {
        platforms.extend(index.platforms.iter().cloned());
    }
    if let Ok(configuration) = Configuration::read(input) {
        platforms.extend(configuration.platform);
    }
    for platform in platforms {
        let shown = platform.to_string();
        assert!(shown.is_ascii() && !shown.contains(|c: char| c.is_control() || c == ' '), "{shown:?}");
        assert!((2..=3).contains(&shown.split('/').count()) && platform.is(&platform), "{shown}");
    }
}
