//! Calendar versions as tags spell them, and their order. The parts are those of calver.org.

mod format;
mod part;
mod read;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt;

use smol_str::SmolStr;

use super::version::digits_order;

pub(super) use self::format::Format;

/// The most parts with a number: year, month or week, day, MAJOR, MINOR and MICRO.
const MOST_NUMBERS: usize = 6;

/// A version that borrows from the text it was read from, so that reading allocates nothing.
///
/// Equality and order go by the numbers in the order of the format, and then by the modifier: none is above any, as a
/// release is above its pre-releases.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calver<'a> {
    /// In the order in which they count: one more than the number, and 0 where it is not given.
    numbers: [u64; MOST_NUMBERS],
    modifier: &'a str,
    text: &'a str,
}

impl PartialEq for Calver<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Calver<'_> {}

impl PartialOrd for Calver<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Calver<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| {
            match (self.modifier.is_empty(), other.modifier.is_empty()) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) => modifier_order(self.modifier, other.modifier),
            }
        })
    }
}

impl fmt::Display for Calver<'_> {
    /// As the tag spells it, without its `v`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

/// Order of two modifiers: digits by value and below anything else, the rest by bytes, so that `rc9` is below `rc10`.
fn modifier_order(one: &str, other: &str) -> Ordering {
    let (mut left, mut right) = (one, other);
    loop {
        let order = match (next_run(&mut left), next_run(&mut right)) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => match (is_digits(a), is_digits(b)) {
                (true, true) => digits_order(a.as_bytes(), b.as_bytes()),
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

/// Takes the longest start of only digits or of none.
fn next_run<'t>(text: &mut &'t str) -> Option<&'t str> {
    let first = text.bytes().next()?.is_ascii_digit();
    let length = text.bytes().take_while(|b| b.is_ascii_digit() == first).count();
    let (run, rest) = text.split_at_checked(length)?;
    *text = rest;
    Some(run)
}

fn is_digits(run: &str) -> bool {
    run.bytes().all(|b| b.is_ascii_digit())
}

/// A [`Calver`] that outlives the text it was read from.
#[derive(Clone, Debug)]
pub(super) struct OwnedCalver {
    numbers: [u64; MOST_NUMBERS],
    modifier: SmolStr,
    text: SmolStr,
}

impl OwnedCalver {
    pub(super) fn borrow(&self) -> Calver<'_> {
        Calver { numbers: self.numbers, modifier: &self.modifier, text: &self.text }
    }
}

impl From<Calver<'_>> for OwnedCalver {
    fn from(version: Calver<'_>) -> Self {
        Self {
            numbers: version.numbers,
            modifier: SmolStr::new(version.modifier),
            text: SmolStr::new(version.text),
        }
    }
}
