//! When a value can stand without quotes and still read as a string.

use crate::edit::Style;

/// The bytes that write `value` in the given style. A plain value that a YAML reader, of version 1.1 or 1.2, would not
/// read as this very string is put into double quotes.
///
/// The values are tags, digests and image names, without what may stand before an image; none of their grammars admits a
/// quote or a backslash, so nothing is escaped.
pub(super) fn written(value: &str, style: Style) -> String {
    match style {
        Style::Plain | Style::AddedToBlock | Style::AddedToFlow if is_plain_string(value) => value.to_owned(),
        Style::Plain | Style::DoubleQuoted | Style::AddedToBlock | Style::AddedToFlow => {
            format!("\"{value}\"")
        }
        Style::SingleQuoted => format!("'{value}'"),
    }
}

/// Whether `value`, written plain in a block or a flow collection, reads as the string it is.
pub(super) fn is_plain_string(value: &str) -> bool {
    let starts_well = value.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let is_harmless = |b: u8| b.is_ascii_alphanumeric() || b"_.-/:@+".contains(&b);
    starts_well
        && value.bytes().all(is_harmless)
        && !value.ends_with(':')
        && !is_word(value)
        && !is_number(value)
        && !is_date(value)
}

/// Booleans and nulls (YAML 1.1 types `bool` and `null`), in any case: a reader that is laxer than the specification
/// costs more than two quotes.
fn is_word(value: &str) -> bool {
    ["y", "yes", "n", "no", "true", "false", "on", "off", "null"]
        .iter()
        .any(|word| value.eq_ignore_ascii_case(word))
}

/// Integers and floats of YAML 1.1 and 1.2 and of go-yaml: decimal, `0x`, `0o`, `0b`, leading zeros, exponents,
/// sexagesimal (`12:30:45`), all of them with `_` between the digits, and go-yaml's `0b-1`.
fn is_number(value: &str) -> bool {
    if !value.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    let bare = value.replace('_', "").to_ascii_lowercase();
    let is_radix = |prefix: &str, radix: u32| {
        bare.strip_prefix(prefix)
            .is_some_and(|digits| digits.trim_start_matches(['+', '-']).chars().all(|c| c.is_digit(radix)))
    };
    is_radix("0x", 16) || is_radix("0o", 8) || is_radix("0b", 2) || is_float(&bare) || is_sexagesimal(&bare)
}

fn is_float(bare: &str) -> bool {
    let (mantissa, exponent) = match bare.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (bare, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    is_digits(whole)
        && is_digits(fraction)
        && exponent.is_none_or(|exponent| is_digits(exponent.trim_start_matches(['+', '-'])))
}

fn is_sexagesimal(bare: &str) -> bool {
    let whole = bare.split_once('.').map_or(bare, |(whole, _)| whole);
    whole.contains(':') && whole.split(':').all(is_digits)
}

/// `2024-01-02`, with one digit for month and day as well, and with a time behind a `T` (YAML 1.1 type `timestamp`).
fn is_date(value: &str) -> bool {
    let date = value.split_once(['T', 't']).map_or(value, |(date, _)| date);
    let mut parts = date.split('-');
    let mut has = |lengths: std::ops::RangeInclusive<usize>| {
        parts.next().is_some_and(|part| lengths.contains(&part.len()) && is_digits(part))
    };
    has(4..=4) && has(1..=2) && has(1..=2) && parts.next().is_none()
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_what_would_change_type() {
        for value in [
            "1.10",
            "1.",
            "1",
            "0",
            "007",
            "0123",
            "20240101",
            "1e5",
            "1E5",
            "1.5e3",
            "1e+5",
            "0x1f",
            "0X1F",
            "0o17",
            "0b101",
            "0b-1",
            "0o-7",
            "1_000",
            "1_0.5",
            "12:30:45",
            "1:30",
            "190:20:30.15",
            "true",
            "True",
            "FALSE",
            "yes",
            "No",
            "on",
            "OFF",
            "y",
            "N",
            "null",
            "Null",
            "2024-01-01",
            "2024-1-2",
            "2024-01-02T10",
            "",
            "~",
            ".inf",
            "-1",
            "=",
            "<<",
            "[::1]:5000/api:1",
            "api:",
            "@x",
            "a b",
            "a\u{e9}",
        ] {
            assert_eq!(written(value, Style::Plain), format!("\"{value}\""));
        }
    }

    #[test]
    fn leaves_strings_plain() {
        for value in [
            "1.2.3",
            "v1",
            "1.10.0",
            "1.9.4",
            "latest",
            "1-2",
            "2024-01",
            "2024-01-01-1",
            "20240101-abc",
            "e5",
            "_1",
            "1e5f",
            "0xfg",
            "sha256:0123",
            "1.9.4@sha256:abc",
            "ghcr.io/acme/api:1.10",
            "alpine:3",
            "nope",
            "yess",
            "a.b",
            "1.2.3_4",
            "localhost:5000/api:1",
        ] {
            assert_eq!(written(value, Style::Plain), value);
        }
    }

    #[test]
    fn keeps_the_quotes_that_are_there() {
        assert_eq!(written("1.2.3", Style::SingleQuoted), "'1.2.3'");
        assert_eq!(written("1.10", Style::DoubleQuoted), "\"1.10\"");
    }
}
