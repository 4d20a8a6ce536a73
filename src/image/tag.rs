//! A tag that obeys the OCI grammar.

use std::fmt;

/// The longest tag the OCI distribution specification admits, in bytes.
pub const MAX_TAG_LENGTH: usize = 128;

/// An image tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}` (OCI distribution specification 1.1, "Pulling manifests").
///
/// A string that breaks the grammar never becomes a `Tag`, so a tag can be put into a URL path, a line of YAML or a
/// commit message without escaping.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Box<str>);

/// A string that is no tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{input:?} is not a tag: a tag has 1 to {MAX_TAG_LENGTH} characters of A-Z a-z 0-9 _ . - and starts with none of . -"
)]
pub struct InvalidTag {
    /// What was given, cut to a printable length.
    pub input: String,
}

impl Tag {
    /// Whether `text` obeys the tag grammar. Allocates nothing: it is asked for every tag of every list.
    #[must_use]
    pub fn is_valid(text: &str) -> bool {
        let starts_well = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
        starts_well
            && text.len() <= MAX_TAG_LENGTH
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
    }

    /// Reads a tag.
    ///
    /// # Errors
    /// `InvalidTag` where the text breaks the grammar.
    pub fn parse(text: &str) -> Result<Self, InvalidTag> {
        if Self::is_valid(text) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidTag { input: super::name::shortened(text) })
        }
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
    fn rejects_what_could_escape_into_yaml_a_path_or_a_terminal() {
        for bad in ["", ".", "-x", "a b", "a/b", "1+2", "a\nb", "é", "a:b", "\u{1b}[0m", &"a".repeat(129)] {
            assert!(Tag::parse(bad).is_err(), "{bad:?}");
        }
    }
}
