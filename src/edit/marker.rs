//! The marker: a comment whose text is a JSON object that names a policy.
//!
//! `# {"$imagepolicy": "shop:api"}`, with `:name`, `:tag` or `:digest` behind the policy's name for a part of the
//! reference; `$tagtide` is a synonym. The grammar is the one of Flux's image-automation-controller, but a comment that
//! only nearly is a marker is an error here, where Flux passes over it.

use std::fmt;

use memchr::{memchr_iter, memchr2, memrchr2};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::api::ObjectKey;

/// The keys that make a JSON object a marker.
const KEYS: [&str; 2] = ["$imagepolicy", "$tagtide"];

/// The longest name Kubernetes admits, in bytes (RFC 1123 subdomain).
const MAX_NAME_BYTES: usize = 253;

/// Which policy a value follows, and which part of the image reference the value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// The policy.
    pub policy: ObjectKey,
    /// The part of the reference.
    pub part: Part,
}

/// A part of an image reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The whole reference: `ghcr.io/acme/api:1.9.3`.
    Image,
    /// The repository: `ghcr.io/acme/api`.
    Name,
    /// The tag, with its digest where the policy pins it: `1.9.3`, `1.9.3@sha256:…`.
    Tag,
    /// The tag alone, since its digest has a field of its own beside it: `1.9.3`.
    TagBesideDigest,
    /// The tag alone, whatever the policy pins, since the field takes nothing else: `1.9.3`.
    TagAlone,
    /// The version that the tag stands for, with `+` for `_`: a chart's `1.9.3+4` has the tag `1.9.3_4`.
    Version,
    /// The digest: `sha256:…`.
    Digest,
}

impl Part {
    /// Whether the value would be wrong beside another tag.
    pub(super) const fn moves_with_tag(self) -> bool {
        match self {
            Self::Name | Self::Digest | Self::TagBesideDigest => true,
            Self::Image | Self::Tag | Self::TagAlone | Self::Version => false,
        }
    }

    /// Whether it is a digest, or has one beside it.
    pub(super) const fn is_at_a_digest(self) -> bool {
        match self {
            Self::Digest | Self::TagBesideDigest => true,
            Self::Image | Self::Name | Self::Tag | Self::TagAlone | Self::Version => false,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Image => "image",
            Self::Name => "name",
            Self::Tag | Self::TagBesideDigest | Self::TagAlone => "tag",
            Self::Version => "version",
            Self::Digest => "digest",
        })
    }
}

/// A comment that is meant as a marker and is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidMarker {
    #[error("the marker is not JSON ({problem}); write it as {{\"$imagepolicy\": \"namespace:name\"}}")]
    NotJson { problem: String },
    #[error(
        "the comment has text beside the marker's JSON; a marker's comment holds the JSON and nothing else"
    )]
    NotAlone,
    #[error("the marker's # has no space before it, so it is a part of the value; put a space there")]
    Swallowed,
    #[error("a comment has a line of its own in this format; put the marker on the line above the value")]
    OnlyAbove,
    #[error("the line has two markers; give each value a line and a marker of its own")]
    Two,
    #[error("the marker has the key {key:?}; its only key is \"$imagepolicy\" or \"$tagtide\"")]
    OtherKey { key: String },
    #[error("the marker's value is not a string; write \"namespace:name\"")]
    NotAString,
    #[error("the marker's value {value:?} {problem}")]
    Value { value: String, problem: &'static str },
}

/// Whether the bytes hold a marker's key anywhere.
pub(super) fn may_be_in(text: &[u8]) -> bool {
    keys_in(text).next().is_some()
}

/// Where the bytes hold a marker's key.
fn keys_in(text: &[u8]) -> impl Iterator<Item = usize> {
    memchr_iter(b'$', text).filter(|at| {
        let behind = text.get(*at..).unwrap_or_default();
        KEYS.iter().any(|key| behind.starts_with(key.as_bytes()))
    })
}

/// Whether a line of the text may hold a marker, as far as can be told without parsing the text.
pub(super) fn may_be_in_a_comment(text: &str) -> bool {
    let mut end_of_line = 0;
    keys_in(text.as_bytes()).any(|key| {
        // Each line is looked at once, however many keys it holds.
        if key < end_of_line {
            return false;
        }
        let (before, behind) = text.split_at_checked(key).unwrap_or_default();
        end_of_line = key + memchr2(b'\n', b'\r', behind.as_bytes()).unwrap_or(behind.len());
        let start = memrchr2(b'\n', b'\r', before.as_bytes()).map_or(0, |end| end + 1);
        text.get(start..end_of_line).is_some_and(is_marked)
    })
}

fn is_marked(line: &str) -> bool {
    line.split_once('#').is_some_and(|(before, comment)| {
        let is_behind_something = !before.trim_start_matches('\u{feff}').trim().is_empty();
        may_be_in(comment.as_bytes()) && (is_behind_something || read(comment, is_behind_something).is_some())
    })
}

/// Reads a comment, given with its `#`. `None` where it is not meant as a marker: it does not name the key, or it
/// stands on a line of its own and is prose or a line of YAML that was commented out.
pub(super) fn read(comment: &str, is_behind_something: bool) -> Option<Result<Marker, InvalidMarker>> {
    let text = comment.trim_start_matches('#').trim();
    let is_object = text.starts_with('{');
    let has_key = KEYS.iter().any(|key| text.contains(key));
    let has_quoted_key = KEYS.iter().any(|key| text.contains(&format!("\"{key}\"")));
    if is_object && has_key {
        Some(read_json(text))
    } else if is_behind_something && has_quoted_key {
        Some(Err(InvalidMarker::NotAlone))
    } else {
        None
    }
}

/// What stands before the object with a marker's key on a line of any language, and the marker, whatever stands behind it.
pub(super) fn object_in(line: &str) -> Option<(&str, Result<Marker, InvalidMarker>)> {
    let key = keys_in(line.as_bytes()).next()?;
    let (before, object) = line.split_at_checked(line.get(..key)?.rfind('{')?)?;
    let entries = serde_json::Deserializer::from_str(object).into_iter::<Entries>().next()?;
    let marker = match entries {
        Ok(Entries(entries)) => read_entries(entries),
        Err(error) => Err(InvalidMarker::NotJson { problem: error.to_string() }),
    };
    Some((before, marker))
}

fn read_json(text: &str) -> Result<Marker, InvalidMarker> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Entries>();
    let Entries(entries) = match values.next() {
        Some(Ok(entries)) => entries,
        Some(Err(error)) => {
            return Err(InvalidMarker::NotJson { problem: error.to_string() });
        }
        None => {
            return Err(InvalidMarker::NotJson { problem: "there is nothing".to_owned() });
        }
    };
    let behind = text.get(values.byte_offset()..).unwrap_or_default();
    if KEYS.iter().any(|key| behind.contains(key)) {
        return Err(InvalidMarker::Two);
    }
    if !behind.trim().is_empty() {
        return Err(InvalidMarker::NotAlone);
    }
    read_entries(entries)
}

fn read_entries(entries: Vec<(String, Value)>) -> Result<Marker, InvalidMarker> {
    let mut found = None;
    for (key, value) in entries {
        if !KEYS.contains(&key.as_str()) {
            return Err(InvalidMarker::OtherKey { key });
        }
        if found.replace(value).is_some() {
            return Err(InvalidMarker::Two);
        }
    }
    match found {
        Some(Value::String(value)) => read_value(&value),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) | None => {
            Err(InvalidMarker::NotAString)
        }
    }
}

/// `namespace:name`, `namespace:name:part`.
fn read_value(value: &str) -> Result<Marker, InvalidMarker> {
    let fail = |problem| Err(InvalidMarker::Value { value: value.to_owned(), problem });
    let Some((namespace, rest)) = value.split_once(':') else {
        return fail("has no namespace; write \"namespace:name\"");
    };
    let (name, part) = match rest.split_once(':') {
        None => (rest, Part::Image),
        Some((name, "name")) => (name, Part::Name),
        Some((name, "tag")) => (name, Part::Tag),
        Some((name, "digest")) => (name, Part::Digest),
        Some(_) => {
            return fail(
                "ends in an unknown part; write :name, :tag or :digest, or nothing for the whole reference",
            );
        }
    };
    if namespace.is_empty() || name.is_empty() {
        return fail("has an empty namespace or name; write \"namespace:name\"");
    }
    if !is_kubernetes_name(namespace) || !is_kubernetes_name(name) {
        return fail("names no policy: a namespace and a name have only the characters a-z 0-9 - and .");
    }
    Ok(Marker { policy: ObjectKey::new(namespace, name), part })
}

fn is_kubernetes_name(text: &str) -> bool {
    text.len() <= MAX_NAME_BYTES
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'))
}

/// A JSON object's entries in order, each key as often as it stands there: a map would keep the last one in silence.
struct Entries(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor).map(Self)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Vec<(String, Value)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn marker(comment: &str) -> Marker {
        read(comment, true).unwrap().unwrap()
    }

    #[test]
    fn reads_all_four_forms_under_both_keys() {
        for (comment, part) in [
            (r#"# {"$imagepolicy": "shop:api"}"#, Part::Image),
            (r#"# {"$imagepolicy": "shop:api:name"}"#, Part::Name),
            (r#"#{"$imagepolicy":"shop:api:tag"}"#, Part::Tag),
            ("##\t{ \"$tagtide\" :\t\"shop:api:digest\" } \t", Part::Digest),
        ] {
            let policy = ObjectKey::new("shop", "api");
            assert_eq!(marker(comment), Marker { policy, part }, "{comment}");
        }
    }

    #[test]
    fn rejects_what_is_nearly_a_marker_and_says_why() {
        for (comment, problem) in [
            (r#"# {"$imagepolicy": "shop:api""#, "not JSON"),
            (r#"# {"$imagepolicy" "shop:api"}"#, "not JSON"),
            (r#"# {$imagepolicy: "shop:api"}"#, "not JSON"),
            (r#"# {'$imagepolicy': 'shop:api'}"#, "not JSON"),
            (r#"# "$imagepolicy": "shop:api""#, "nothing else"),
            (r#"# see {"$imagepolicy": "shop:api"}"#, "nothing else"),
            (r#"# {"$imagepolicy": "shop:api"} the api"#, "nothing else"),
            (r#"# {"$imagepolicy": "shop:api"} # {"$tagtide": "shop:web"}"#, "two markers"),
            (r#"# {"$imagepolicy": "shop:api", "$tagtide": "shop:api"}"#, "two markers"),
            (r#"# {"$imagepolicy": "shop:api", "$imagepolicy": "shop:web"}"#, "two markers"),
            (r#"# {"$imagepolicy": "shop:api", "why": "x"}"#, "the key \"why\""),
            (r#"# {"$imagepolicyRef": "shop:api"}"#, "the key \"$imagepolicyRef\""),
            (r#"# {"$imagepolicy": 1}"#, "not a string"),
            (r#"# {"$imagepolicy": ["shop:api"]}"#, "not a string"),
            (r#"# {"$imagepolicy": "api"}"#, "no namespace"),
            (r#"# {"$imagepolicy": "shop/api"}"#, "no namespace"),
            (r#"# {"$imagepolicy": ":api"}"#, "empty namespace"),
            (r#"# {"$imagepolicy": "shop:"}"#, "empty namespace"),
            (r#"# {"$imagepolicy": "shop:api:"}"#, "unknown part"),
            (r#"# {"$imagepolicy": "shop:api:Tag"}"#, "unknown part"),
            (r#"# {"$imagepolicy": "shop:api:tag:x"}"#, "unknown part"),
            (r#"# {"$imagepolicy": "shop: api"}"#, "a-z 0-9"),
            (r#"# {"$imagepolicy": "shop:a\nb"}"#, "a-z 0-9"),
        ] {
            let error = read(comment, true).unwrap().unwrap_err().to_string();
            assert!(error.contains(problem), "{comment}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn passes_over_comments_that_are_no_markers() {
        for comment in ["# the api", "#", "# {}", r#"# {"$openapi": "x"}"#, "# set by $imagepolicy"] {
            assert_eq!(read(comment, true), None, "{comment}");
        }
    }

    #[test]
    fn passes_over_prose_and_commented_out_yaml_on_a_line_of_its_own() {
        let comment = r#"# image: api:1.0 # {"$imagepolicy": "shop:api"}"#;
        assert_eq!(read(comment, false), None);
        assert_eq!(read(comment, true), Some(Err(InvalidMarker::NotAlone)));
        assert!(read(r#"# {"$imagepolicy": "shop:api"}"#, false).unwrap().is_ok());
    }

    #[test]
    fn finds_the_keys_in_any_bytes() {
        assert!(may_be_in(b"\xff\xfe $x $imagepolicy"));
        assert!(may_be_in(b"$$tagtide"));
        assert!(!may_be_in(b"imagepolicy $imagepolic $ $tag"));
        assert!(may_be_in_a_comment("a\nb # $tagtide"));
        assert!(!may_be_in_a_comment("# a\n$tagtide\r#"));
        assert!(may_be_in_a_comment("  # {\"$tagtide\": \"shop:api\"}"));
        assert!(!may_be_in_a_comment("\u{feff}# a: b # {\"$tagtide\": \"shop:api\"}"));
    }
    proptest! {
        #[test]
        fn a_text_is_searched_as_its_lines_would_be_one_by_one(
            parts in prop::collection::vec(prop::sample::select(vec![
                "\n", "\r", "\r\n", "a: b ", " ", "#", "{", "\"$tagtide\": \"a:b\"}", "$imagepolicy", "$", "\u{feff}", "é",
            ]), 0..24),
        ) {
            let text = parts.concat();
            prop_assert_eq!(may_be_in_a_comment(&text), text.split(['\n', '\r']).any(is_marked));
            let keys = text.match_indices("$tagtide").chain(text.match_indices("$imagepolicy")).count();
            prop_assert_eq!(keys_in(text.as_bytes()).count(), keys);
        }
    }
}
