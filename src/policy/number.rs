//! Decimal numbers of any length, compared as text so that no digit is lost.

use std::cmp::Ordering;
use std::fmt;

use smol_str::SmolStr;

use super::version::digits_order;

/// A decimal number: an optional `-`, digits, and optionally a dot and more digits.
///
/// Equality and order go by value: `007`, `7` and `7.0` are equal. There is no limit to the number of digits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number<'a>(&'a str);

impl<'a> Number<'a> {
    /// Reads a number; exponents, signs other than `-`, and a missing side of the dot make it none.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let is_number = match unsigned.split_once('.') {
            Some((whole, fraction)) => is_digits(whole) && is_digits(fraction),
            None => is_digits(unsigned),
        };
        is_number.then_some(Self(text))
    }

    /// Whether it is below zero, its whole part, and its fraction without trailing zeros.
    fn parts(&self) -> (bool, &'a str, &'a str) {
        let unsigned = self.0.strip_prefix('-').unwrap_or(self.0);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let is_zero = unsigned.bytes().all(|b| matches!(b, b'0' | b'.'));
        let is_negative = unsigned.len() < self.0.len() && !is_zero;
        (is_negative, whole, fraction.trim_end_matches('0'))
    }
}

impl PartialEq for Number<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number<'_> {}

impl PartialOrd for Number<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let (is_negative, whole, fraction) = self.parts();
        let (other_is_negative, other_whole, other_fraction) = other.parts();
        let by_size = || {
            digits_order(whole.as_bytes(), other_whole.as_bytes()).then_with(|| fraction.cmp(other_fraction))
        };
        match (is_negative, other_is_negative) {
            (false, false) => by_size(),
            (true, true) => by_size().reverse(),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl fmt::Display for Number<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A [`Number`] that outlives the text it was read from.
#[derive(Clone, Debug)]
pub(super) struct OwnedNumber(SmolStr);

impl OwnedNumber {
    pub(super) fn borrow(&self) -> Number<'_> {
        Number(&self.0)
    }
}

impl From<Number<'_>> for OwnedNumber {
    fn from(number: Number<'_>) -> Self {
        Self(SmolStr::new(number.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number<'_> {
        Number::parse(text).unwrap_or_else(|| panic!("{text} is a number"))
    }

    #[test]
    fn orders_by_value_at_any_length() {
        let ascending = [
            "-20251123093000123456",
            "-10",
            "-9.5",
            "-9.25",
            "0",
            "0.05",
            "0.5",
            "1.5",
            "1.50001",
            "2",
            "10",
            "20251123093000123456",
            "20251123093000123457",
            "120251123093000123456",
        ];
        for pair in ascending.windows(2) {
            assert!(number(pair[0]) < number(pair[1]), "{pair:?}");
            assert!(number(pair[1]) > number(pair[0]), "{pair:?}");
        }
    }

    #[test]
    fn one_value_is_equal_under_all_its_spellings() {
        for (one, other) in [("7", "007"), ("7", "7.0"), ("0", "-0.00"), ("-1.50", "-01.5")] {
            assert_eq!(number(one), number(other));
        }
    }

    #[test]
    fn what_is_no_decimal_is_none() {
        for text in ["", "-", "1.", ".5", "1e5", "0x10", "1.2.3", "+1", "--1", "1_000", "inf", "NaN", "١"] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }
}
