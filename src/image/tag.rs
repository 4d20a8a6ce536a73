//! A tag that obeys the OCI grammar.

use std::borrow::Borrow;
use std::fmt;

use smol_str::SmolStr;

/// The longest tag the OCI distribution specification admits, in bytes.
pub const MAX_TAG_LENGTH: usize = 128;

/// An image tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}` (OCI distribution specification 1.1, "Pulling manifests").
///
/// A string that breaks the grammar never becomes a `Tag`, so a tag can be put into a URL path, a line of YAML or a
/// commit message without escaping. One of at most 23 bytes, as nearly all are, takes no allocation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(SmolStr);

/// A tag that borrows from the list it is in, so that lists are read and chosen from without an allocation for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagRef<'a>(&'a str);

/// A string that is no tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{input:?} is not a tag: a tag has 1 to {MAX_TAG_LENGTH} characters of A-Z a-z 0-9 _ . - and starts with none of . -"
)]
pub struct InvalidTag {
    /// What was given, cut to a printable length.
    pub input: String,
}

/// Whether a tag may hold this byte. Looked up, since it is asked for every byte of every list.
#[inline]
fn is_inner(byte: u8) -> bool {
    const INNER: [bool; 256] = {
        let mut inner = [false; 256];
        let (mut rest, mut byte) = (inner.as_mut_slice(), 0_u8);
        while let Some((first, behind)) = rest.split_first_mut() {
            *first = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
            (rest, byte) = (behind, byte.wrapping_add(1));
        }
        inner
    };
    INNER.get(usize::from(byte)).is_some_and(|is_inner| *is_inner)
}

impl<'a> TagRef<'a> {
    /// The tag that the text begins with, as far as the grammar reaches, and what follows it.
    #[inline]
    pub(crate) fn leading(text: &'a str) -> Option<(Self, &'a str)> {
        let length = text.bytes().take_while(|byte| is_inner(*byte)).count();
        let (tag, rest) = text.split_at_checked(length)?;
        let is_tag = !tag.is_empty() && !tag.starts_with(['.', '-']) && length <= MAX_TAG_LENGTH;
        is_tag.then_some((Self(tag), rest))
    }

    /// Reads a tag; `None` where the text breaks the grammar.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        Self::leading(text).filter(|(_, rest)| rest.is_empty()).map(|(tag, _)| tag)
    }

    /// The tag as the registry spells it.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// The tag, to be kept.
    #[must_use]
    pub fn to_tag(self) -> Tag {
        Tag(SmolStr::new(self.0))
    }
}

impl Tag {
    /// Whether `text` obeys the tag grammar.
    #[must_use]
    pub fn is_valid(text: &str) -> bool {
        TagRef::parse(text).is_some()
    }

    /// Reads a tag.
    ///
    /// # Errors
    /// `InvalidTag` where the text breaks the grammar.
    pub fn parse(text: &str) -> Result<Self, InvalidTag> {
        let tag = TagRef::parse(text).ok_or_else(|| InvalidTag { input: super::name::shortened(text) })?;
        Ok(tag.to_tag())
    }

    /// The tag, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> TagRef<'_> {
        TagRef(&self.0)
    }

    /// The tag as the registry spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A set of tags is asked for every tag of every list, which is text.
impl Borrow<str> for Tag {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Tag {
    type Err = InvalidTag;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_the_oci_grammar_admits() {
        for good in ["1", "v1.2.3", "_x", "a-b_c.d", &"a".repeat(128)] {
            assert_eq!(Tag::parse(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn a_tag_ends_where_the_grammar_does() {
        for (text, tag, rest) in [("1.2\",\"v3", "1.2", "\",\"v3"), ("a/b", "a", "/b"), ("_é", "_", "é")] {
            assert_eq!(TagRef::leading(text).map(|(tag, rest)| (tag.as_str(), rest)), Some((tag, rest)));
        }
        for none in ["", "\"", "-a", ".", &"a".repeat(129)] {
            assert_eq!(TagRef::leading(none), None, "{none:?}");
        }
    }

    #[test]
    fn rejects_what_could_escape_into_yaml_a_path_or_a_terminal() {
        for bad in ["", ".", "-x", "a b", "a/b", "1+2", "a\nb", "é", "a:b", "\u{1b}[0m", &"a".repeat(129)] {
            assert!(Tag::parse(bad).is_err(), "{bad:?}");
        }
    }
}
