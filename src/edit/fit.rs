//! How surely a value is the part of a reference that it is taken for, by its grammar and by the name that it stands behind.

use super::{Part, kept};
use crate::image::{Digest, ImageName, ImageReference, Tag};

/// How well a value fits a part, from worse to better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// It is none.
    No,
    /// Its grammar lets it be one, as it does most words: `always` is a repository and a tag.
    Maybe,
    /// It is hardly anything else.
    Sure,
}

/// How well a value fits, which stands behind a key where it has one. Where something stands before a `=` in the value, the
/// end counts, and its own name.
pub(super) fn fit(part: Part, key: Option<&str>, value: &str) -> Fit {
    let (before, end) = ImageReference::split_end(value);
    if !is_part(part, end) {
        return Fit::No;
    }
    let is_named = kept::last_name(before).or(key).is_some_and(|name| is_name_of(part, name));
    let is_sure = match part {
        Part::Image => is_version(end),
        Part::Name => end.contains('/'),
        Part::Tag | Part::TagBesideDigest | Part::TagAlone | Part::Version => is_named,
        Part::Digest => true,
    };
    if is_sure { Fit::Sure } else { Fit::Maybe }
}

/// Whether a text is the part of a reference, with nothing before it. A tag may have its digest behind it.
pub(super) fn is_part(part: Part, text: &str) -> bool {
    match part {
        Part::Image => ImageReference::parse(text).is_some(),
        Part::Name => ImageName::parse(text).is_ok(),
        Part::Tag | Part::TagBesideDigest | Part::TagAlone | Part::Version => match text.split_once('@') {
            Some((tag, digest)) => Tag::is_valid(tag) && Digest::parse(digest).is_ok(),
            None => Tag::is_valid(text),
        },
        Part::Digest => Digest::parse(text).is_ok() || Digest::is_hex(text),
    }
}

/// Whether a text is a reference with a tag or a digest. A bare name is a reference too, but so is every word; and `8080:80`
/// is a pair of ports.
pub(super) fn is_version(text: &str) -> bool {
    let is_ports = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
    !is_ports
        && ImageReference::parse(text)
            .is_some_and(|reference| reference.tag.is_some() || reference.digest.is_some())
}

/// Whether the name of a field, a flag or a variable says that such a part stands behind it: `imageTag`, `--image.tag`,
/// `API_VERSION`.
pub(super) fn is_name_of(part: Part, name: &str) -> bool {
    let ends: &[&str] = match part {
        Part::Image => &["image", "container"],
        Part::Name => &["image", "repository", "repo"],
        Part::Tag | Part::TagBesideDigest | Part::TagAlone | Part::Version => &["tag", "version", "release"],
        Part::Digest => &["digest", "sha", "sha256"],
    };
    name.split(['.', '_', '-']).any(|word| {
        let word = word.to_ascii_lowercase();
        ends.iter().any(|end| word.ends_with(end))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

    #[test]
    fn a_part_is_known_by_its_grammar() {
        let pinned = format!("1.9.3@{DIGEST}");
        for (part, text) in [
            (Part::Tag, "1.9.3"),
            (Part::TagBesideDigest, &pinned),
            (Part::Digest, DIGEST),
            (Part::Digest, DIGEST.trim_start_matches("sha256:")),
            (Part::Name, "ghcr.io/acme/api"),
            (Part::Image, "ghcr.io/acme/api:1.9.3"),
        ] {
            assert!(is_part(part, text), "{part} {text}");
        }
        for (part, text) in [
            (Part::Tag, ""),
            (Part::Tag, "1.9.3 --verbose"),
            (Part::Tag, "1.9.3@x"),
            (Part::Digest, "1.9.3"),
            (Part::Name, "ghcr.io/acme/api:1.9.3"),
            (Part::Image, ""),
        ] {
            assert!(!is_part(part, text), "{part} {text}");
        }
    }

    #[test]
    fn a_value_fits_surely_where_it_is_hardly_anything_else() {
        for (part, key, value, wanted) in [
            (Part::Image, None, "ghcr.io/acme/api:1.9.3", Fit::Sure),
            (Part::Image, Some("port"), "--image=api:1", Fit::Sure),
            (Part::Image, Some("image"), "always", Fit::Maybe),
            (Part::Image, None, "8080:80", Fit::Maybe),
            (Part::Image, None, "--image=Api:1", Fit::No),
            (Part::Name, None, "acme/api", Fit::Sure),
            (Part::Name, Some("repository"), "api", Fit::Maybe),
            (Part::Tag, Some("API_VERSION"), "main", Fit::Sure),
            (Part::Tag, Some("imageTag"), "1.9.3", Fit::Sure),
            (Part::Tag, Some("tag"), "--port=80", Fit::Maybe),
            (Part::Tag, Some("port"), "--tag=80", Fit::Sure),
            (Part::Tag, Some("stage"), "1.9.3", Fit::Maybe),
            (Part::Tag, None, "a:1", Fit::No),
            (Part::Digest, Some("port"), DIGEST, Fit::Sure),
        ] {
            assert_eq!(fit(part, key, value), wanted, "{part} {key:?} {value}");
        }
    }
}
