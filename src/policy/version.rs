//! Semantic versions as tags spell them, and their order.

use std::cmp::Ordering;
use std::fmt;

use smol_str::SmolStr;

/// How many of the three numbers are written out; more is more precise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Precision {
    /// None: `*`. Only a range has it.
    Any,
    /// `1`
    Major,
    /// `1.2`
    Minor,
    /// `1.2.3`
    Full,
}

/// What a text must have to count as a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strictness {
    /// At least two dots, which is Flux's rule: `1.2.3`, and also `1.2-rc.1`.
    TwoDots,
    /// One number is enough: `1`, `v1.2`.
    Lenient,
}

/// A version that borrows from the text it was read from, so that reading allocates nothing.
///
/// Equality and order go by precedence (Semantic Versioning 2.0.0, section 11) and then by build: a version with a build
/// is above the same without, and builds are compared like pre-releases. Precision is no part of either.
#[derive(Clone, Copy, Debug)]
pub(super) struct Version<'a> {
    pub(super) numbers: [u64; 3],
    pub(super) precision: Precision,
    pub(super) pre: &'a str,
    build: &'a str,
}

impl<'a> Version<'a> {
    /// Reads a version: an optional lower-case `v`, one to three numbers of at most 64 bits with or without leading
    /// zeros, `-` and a pre-release, `_` or `+` and a build. `_` is how Helm spells `+`, which no tag can hold.
    #[inline]
    pub(super) fn parse(text: &'a str, strictness: Strictness) -> Option<Self> {
        let text = text.strip_prefix("v").unwrap_or(text);
        let (numbers, precision, suffix) = leading_numbers(text)?;
        if suffix.is_empty() && precision == Precision::Full {
            return Some(Self { numbers, precision, pre: "", build: "" });
        }
        let (pre, behind) = match suffix.strip_prefix('-') {
            Some(rest) => leading_identifiers(rest).filter(|(pre, _)| !pre.has_padded_number)?,
            None => (Identifiers::default(), suffix),
        };
        let build = match behind.strip_prefix(['_', '+']) {
            Some(rest) => leading_identifiers(rest).filter(|(_, behind)| behind.is_empty())?.0,
            None if behind.is_empty() => Identifiers::default(),
            None => return None,
        };
        let has_two_dots = || {
            let before_build = text.len() - build.text.len();
            text.bytes().take(before_build).filter(|byte| *byte == b'.').count() >= 2
        };
        let is_strict_enough = match strictness {
            Strictness::Lenient => true,
            Strictness::TwoDots => precision == Precision::Full || has_two_dots(),
        };
        is_strict_enough.then_some(Self { numbers, precision, pre: pre.text, build: build.text })
    }

    /// Order by precedence alone, as ranges compare.
    #[inline]
    pub(super) fn precedence(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| prerelease_order(self.pre, other.pre))
    }
}

impl<'a> From<&'a semver::Version> for Version<'a> {
    fn from(version: &'a semver::Version) -> Self {
        Self {
            numbers: [version.major, version.minor, version.patch],
            precision: Precision::Full,
            pre: version.pre.as_str(),
            build: version.build.as_str(),
        }
    }
}

impl PartialEq for Version<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version<'_> {}

impl PartialOrd for Version<'_> {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version<'_> {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.precedence(other).then_with(|| match (self.build.is_empty(), other.build.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => identifier_order(self.build, other.build),
        })
    }
}

impl fmt::Display for Version<'_> {
    /// All three numbers without leading zeros, and `+` before the build.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "{major}.{minor}.{patch}")?;
        if !self.pre.is_empty() {
            write!(f, "-{}", self.pre)?;
        }
        if !self.build.is_empty() {
            write!(f, "+{}", self.build)?;
        }
        Ok(())
    }
}

/// A [`Version`] that outlives the text it was read from.
#[derive(Clone, Debug)]
pub(super) struct OwnedVersion {
    numbers: [u64; 3],
    precision: Precision,
    /// Pre-release and build; most versions have neither.
    suffixes: Option<(SmolStr, SmolStr)>,
}

impl OwnedVersion {
    #[inline]
    pub(super) fn borrow(&self) -> Version<'_> {
        let (pre, build) =
            self.suffixes.as_ref().map_or(("", ""), |(pre, build)| (pre.as_str(), build.as_str()));
        Version { numbers: self.numbers, precision: self.precision, pre, build }
    }
}

impl From<Version<'_>> for OwnedVersion {
    #[inline]
    fn from(version: Version<'_>) -> Self {
        let Version { numbers, precision, pre, build } = version;
        let has_suffix = !pre.is_empty() || !build.is_empty();
        let suffixes = has_suffix.then(|| (SmolStr::new(pre), SmolStr::new(build)));
        Self { numbers, precision, suffixes }
    }
}

/// Whether a text is the pre-release of a version: identifiers split by dots, numbers among them without leading zeros.
pub(super) fn is_prerelease(text: &str) -> bool {
    leading_identifiers(text).is_some_and(|(pre, behind)| behind.is_empty() && !pre.has_padded_number)
}

/// Order of two pre-releases, of which the empty one, a release, is the highest.
#[inline]
pub(super) fn prerelease_order(one: &str, other: &str) -> Ordering {
    match (one.is_empty(), other.is_empty()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => identifier_order(one, other),
    }
}

/// Identifiers split by dots.
#[derive(Clone, Copy, Default)]
struct Identifiers<'a> {
    text: &'a str,
    /// Whether one of them is a number with leading zeros, which a pre-release must not have and a build may.
    has_padded_number: bool,
}

/// The identifiers that a text begins with, and what follows them; `None` where one is empty.
#[inline]
fn leading_identifiers(text: &str) -> Option<(Identifiers<'_>, &str)> {
    let mut rest = text.as_bytes();
    let mut has_padded_number = false;
    loop {
        let identifier = rest;
        let mut is_number = true;
        while let [byte @ (b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-'), after @ ..] = rest {
            is_number &= byte.is_ascii_digit();
            rest = after;
        }
        let length = identifier.len() - rest.len();
        if length == 0 {
            return None;
        }
        has_padded_number |= is_number && length > 1 && identifier.starts_with(b"0");
        match rest {
            [b'.', after @ ..] => rest = after,
            _ => break,
        }
    }
    let (text, behind) = text.split_at_checked(text.len() - rest.len())?;
    Some((Identifiers { text, has_padded_number }, behind))
}

fn is_number(part: &[u8]) -> bool {
    part.iter().all(u8::is_ascii_digit)
}

/// Identifier by identifier: numbers by value and below text, text by bytes, and more identifiers above fewer.
fn identifier_order(one: &str, other: &str) -> Ordering {
    // As bytes: they are short, and to search them for a character costs more than to look at each.
    let [mut left, mut right] = [one, other].map(|text| text.as_bytes().split(|byte| *byte == b'.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => match (is_number(a), is_number(b)) {
                (true, true) => digits_order(a, b),
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                (false, false) => a.cmp(b),
            },
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Order of two whole numbers of any length by value.
pub(super) fn digits_order(one: &[u8], other: &[u8]) -> Ordering {
    let [one, other] = [one, other].map(|digits| {
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        digits.get(zeros..).unwrap_or_default()
    });
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

/// One to three numbers split by dots at the start of a text, and what follows them.
#[inline]
fn leading_numbers(text: &str) -> Option<([u64; 3], Precision, &str)> {
    let (major, rest) = leading_number(text.as_bytes())?;
    let (numbers, precision, rest) = match rest {
        [b'.', rest @ ..] => {
            let (minor, rest) = leading_number(rest)?;
            match rest {
                [b'.', rest @ ..] => {
                    let (patch, rest) = leading_number(rest)?;
                    ([major, minor, patch], Precision::Full, rest)
                }
                _ => ([major, minor, 0], Precision::Minor, rest),
            }
        }
        _ => ([major, 0, 0], Precision::Major, rest),
    };
    Some((numbers, precision, text.get(text.len() - rest.len()..)?))
}

/// A number of so many digits is in the range of 64 bits.
const SURE_DIGITS: usize = 19;

#[inline(always)]
fn leading_number(text: &[u8]) -> Option<(u64, &[u8])> {
    let (mut number, mut rest) = (0_u64, text);
    while let [byte @ b'0'..=b'9', after @ ..] = rest {
        number = number.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
        rest = after;
    }
    match text.len() - rest.len() {
        0 => None,
        1..=SURE_DIGITS => Some((number, rest)),
        length => Some((long_number(text.get(..length)?)?, rest)),
    }
}

/// A number that may be beyond 64 bits, or one with many leading zeros.
#[cold]
fn long_number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strict(text: &str) -> Option<String> {
        Version::parse(text, Strictness::TwoDots).map(|version| version.to_string())
    }

    fn lenient(text: &str) -> Option<String> {
        Version::parse(text, Strictness::Lenient).map(|version| version.to_string())
    }

    #[test]
    fn reads_versions_as_tags_spell_them() {
        for (text, version) in [
            ("1.2.3", "1.2.3"),
            ("v1.2.3", "1.2.3"),
            ("2025.02.03", "2025.2.3"),
            ("1.2.3-rc.1", "1.2.3-rc.1"),
            ("1.2.3-rc-1.x-y", "1.2.3-rc-1.x-y"),
            ("1.0.1_3", "1.0.1+3"),
            ("1.0.1-rc.1_b.07", "1.0.1-rc.1+b.07"),
            ("18446744073709551615.0.0", "18446744073709551615.0.0"),
            ("000000000000000000001.2.3", "1.2.3"),
            ("1.2-rc.1", "1.2.0-rc.1"),
        ] {
            assert_eq!(strict(text).as_deref(), Some(version), "{text}");
        }
    }

    #[test]
    fn a_tag_with_fewer_than_two_dots_is_a_version_only_when_lenient() {
        for (text, version) in [
            ("1", "1.0.0"),
            ("v1", "1.0.0"),
            ("1.2", "1.2.0"),
            ("1.2_3.4", "1.2.0+3.4"),
            ("1-alpine", "1.0.0-alpine"),
        ] {
            assert_eq!(strict(text), None, "{text}");
            assert_eq!(lenient(text).as_deref(), Some(version), "{text}");
        }
    }

    #[test]
    fn what_is_no_version_is_none_even_when_lenient() {
        for text in [
            "",
            "v",
            "latest",
            "V1.2.3",
            "vv1.2.3",
            "1.2.3.4",
            "1..3",
            "1.2.",
            ".1.2",
            "1.2.3-",
            "1.2.3-01",
            "1.2.3-rc..1",
            "1.2.3_",
            "1.2.3_4_5",
            "1.2.3rc1",
            "18446744073709551616.0.0",
            "1.2.3-é",
        ] {
            assert_eq!(lenient(text), None, "{text}");
        }
    }

    #[test]
    fn orders_by_precedence_and_then_by_build() {
        let ascending = [
            "0.9.9",
            "1.0.0-0",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.20251123093000123456",
            "1.0.0-rc.120251123093000123456",
            "1.0.0",
            "1.0.0_2",
            "1.0.0_10",
            "1.0.0_10.1",
            "1.0.0_a",
            "1.0.1",
            "1.10.0",
        ];
        for pair in ascending.windows(2) {
            let [low, high] =
                [pair[0], pair[1]].map(|text| Version::parse(text, Strictness::TwoDots).unwrap());
            assert_eq!(low.cmp(&high), Ordering::Less, "{pair:?}");
            assert_eq!(high.cmp(&low), Ordering::Greater, "{pair:?}");
        }
    }

    #[test]
    fn spelling_is_no_part_of_equality() {
        let read = |text| Version::parse(text, Strictness::Lenient).unwrap();
        assert_eq!(read("v1.2"), read("1.2.0"));
        assert_eq!(read("2025.02.03"), read("2025.2.3"));
        assert_eq!(read("1.0.0_03"), read("1.0.0_3"));
        assert_ne!(read("1.0.0_3"), read("1.0.0"));
    }
}
