//! The version behind an operator: `1.4.0`, `v1.4`, `1.x`, `*-0`.

use crate::policy::version::Precision;

/// The longest operand, in bytes.
const MOST_BYTES: usize = 256;

/// An operand as it stands in a range; what is left out is empty.
#[derive(Debug)]
pub(super) struct Written<'a> {
    pub(super) text: &'a str,
    major: &'a str,
    minor: &'a str,
    patch: &'a str,
    pre: &'a str,
}

/// Takes the longest operand off the start of a text: an optional `v`, one to three parts, a pre-release, a build.
///
/// A part may hold `|` here, which only becomes an error when it is read: the language finds hyphen ranges before it
/// splits at `||`, and `1.0||2.0 - 3.0` depends on it.
pub(super) fn take(text: &str) -> Option<(Written<'_>, &str)> {
    let is_part = |b: u8| b.is_ascii_digit() || matches!(b, b'x' | b'X' | b'*' | b'|');
    let (major, rest) = take_while(text.strip_prefix('v').unwrap_or(text), is_part);
    if major.is_empty() {
        return None;
    }
    let take_next = |rest| match take_after(rest, '.', is_part) {
        Some(found) => found,
        None => ("", rest),
    };
    let (minor, rest) = take_next(rest);
    let (patch, rest) = take_next(rest);
    let (pre, rest) = take_identifiers(rest, '-');
    let (_build, rest) = take_identifiers(rest, '+');
    let (text, rest) = text.split_at_checked(text.len() - rest.len())?;
    let written = Written { text, major, minor, patch, pre };
    Some((written, rest))
}

impl Written<'_> {
    /// The operand's version, zero where nothing or a wildcard is written, and how many numbers are. What follows a
    /// wildcard is not looked at. `None` where a number or the pre-release is none.
    pub(super) fn read(&self) -> Option<(semver::Version, Precision)> {
        if self.text.len() > MOST_BYTES {
            return None;
        }
        let ([major, minor, patch], precision) = if is_open(self.major) {
            ([0, 0, 0], Precision::Any)
        } else if is_open(self.minor) {
            ([number(self.major)?, 0, 0], Precision::Major)
        } else if is_open(self.patch) {
            ([number(self.major)?, number(self.minor)?, 0], Precision::Minor)
        } else {
            ([number(self.major)?, number(self.minor)?, number(self.patch)?], Precision::Full)
        };
        let mut version = semver::Version::new(major, minor, patch);
        if !self.pre.is_empty() {
            version.pre = semver::Prerelease::new(self.pre).ok()?;
        }
        Some((version, precision))
    }
}

fn is_open(part: &str) -> bool {
    matches!(part, "" | "x" | "X" | "*")
}

fn number(part: &str) -> Option<u64> {
    part.parse().ok()
}

fn take_while(text: &str, is_taken: impl Fn(u8) -> bool) -> (&str, &str) {
    let length = text.bytes().take_while(|b| is_taken(*b)).count();
    text.split_at_checked(length).unwrap_or((text, ""))
}

/// What follows a mark, where at least one byte of it is wanted.
fn take_after(text: &str, mark: char, is_taken: impl Fn(u8) -> bool) -> Option<(&str, &str)> {
    let (taken, rest) = take_while(text.strip_prefix(mark)?, is_taken);
    (!taken.is_empty()).then_some((taken, rest))
}

/// The identifiers split by dots that follow a mark, or nothing.
fn take_identifiers(text: &str, mark: char) -> (&str, &str) {
    let is_identifier = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    let Some((_, mut rest)) = take_after(text, mark, is_identifier) else {
        return ("", text);
    };
    while let Some((_, after)) = take_after(rest, '.', is_identifier) {
        rest = after;
    }
    let length = text.len() - rest.len();
    let identifiers = text.get(mark.len_utf8()..length).unwrap_or_default();
    (identifiers, rest)
}
