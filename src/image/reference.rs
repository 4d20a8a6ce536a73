//! A name with a tag, a digest, or both: the value of an `image:` field.

use super::{Digest, ImageName, Tag};

/// An image reference as manifests hold it: `ghcr.io/acme/api:1.9.3@sha256:…`, tag and digest each optional.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageReference {
    /// The repository.
    pub name: ImageName,
    /// The tag, where the reference has one.
    pub tag: Option<Tag>,
    /// The digest, where the reference has one.
    pub digest: Option<Digest>,
}

impl ImageReference {
    /// Reads a reference; `None` where any part breaks its grammar.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(Digest::parse(digest).ok()?)),
            None => (text, None),
        };
        // A colon before the last slash belongs to the host's port.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(Tag::parse(tag).ok()?)),
            Some(_) | None => (rest, None),
        };
        Some(Self { name: ImageName::parse(name).ok()?, tag, digest })
    }

    /// Splits a value behind its last `=`, where a reference or a part of one may follow; nothing stands before it where there is no `=`.
    #[must_use]
    pub fn split_end(value: &str) -> (&str, &str) {
        let end = value.rfind('=').map_or(0, |at| at + 1);
        value.split_at_checked(end).unwrap_or(("", value))
    }

    /// Reads the reference that a value ends in, whatever stands before it: nothing, or a name and `=`, as where Argo CD
    /// puts one image in another's place (`web=ghcr.io/acme/web:8.0.3`).
    #[must_use]
    pub fn ending(value: &str) -> Option<Self> {
        Self::parse(Self::split_end(value).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_reference_behind_the_name_that_it_replaces() {
        let read = |value| ImageReference::ending(value).map(|image| image.name.to_string());
        assert_eq!(read("web=ghcr.io/acme/web:1").as_deref(), Some("ghcr.io/acme/web"));
        assert_eq!(read("ghcr.io/acme/web").as_deref(), Some("ghcr.io/acme/web"));
        assert_eq!((read("web="), read("web=No Image"), read("")), (None, None, None));
    }

    #[test]
    fn tells_a_port_from_a_tag() {
        let reference = ImageReference::parse("localhost:5000/api").unwrap();
        assert_eq!((reference.name.host(), reference.tag), ("localhost:5000", None));
        let reference = ImageReference::parse("localhost:5000/api:1.2").unwrap();
        assert_eq!(reference.tag.unwrap().as_str(), "1.2");
    }

    #[test]
    fn reads_tag_and_digest_together() {
        let digest = Digest::sha256_of(b"x");
        let reference = ImageReference::parse(&format!("alpine:3.20@{digest}")).unwrap();
        assert_eq!((reference.tag.unwrap().as_str(), reference.digest.unwrap()), ("3.20", digest));
        assert_eq!(ImageReference::parse("alpine:3.20@sha256:00"), None);
        assert_eq!(ImageReference::parse("{{ .Values.image }}"), None);
    }
}
