//! Hyphen ranges: `1.0 - 2.0` means `>=1.0 <=2.0`.

use super::operand;
use super::parse::is_space;

/// The text with every hyphen range written as two comparators.
///
/// The space around one goes with it and a space is put behind it, as the language does: `>=0.5 1.0 - 2.0` becomes an
/// error, and `1.0 - 2.0^1.5` does not.
pub(super) fn rewritten(text: &str) -> String {
    let mut done = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(hyphen) = first_in(rest) {
        done.push_str(hyphen.before);
        done.push_str(&format!(">= {}, <= {} ", hyphen.low, hyphen.high));
        rest = hyphen.after;
    }
    done.push_str(rest);
    done
}

struct Hyphen<'a> {
    before: &'a str,
    low: &'a str,
    high: &'a str,
    after: &'a str,
}

fn first_in(text: &str) -> Option<Hyphen<'_>> {
    text.match_indices('-').find_map(|(at, _)| at_hyphen(text, at))
}

/// The hyphen range around one `-`, which has space on both sides and a version beyond each.
fn at_hyphen(text: &str, at: usize) -> Option<Hyphen<'_>> {
    let (left, right) = text.split_at_checked(at)?;
    let right = right.strip_prefix('-')?.strip_prefix(is_space)?;
    let left = left.strip_suffix(is_space)?.trim_end_matches(is_space);
    let (high, after) = operand::take(right.trim_start_matches(is_space))?;
    let (before, low) = split_before_operand(left)?;
    Some(Hyphen {
        before: before.trim_end_matches(is_space),
        low,
        high: high.text,
        after: after.trim_start_matches(is_space),
    })
}

/// The longest operand at the end of a text, and what is before it.
fn split_before_operand(text: &str) -> Option<(&str, &str)> {
    let word_at = text.rfind(is_space).map_or(0, |at| at + 1);
    (word_at..text.len())
        .filter_map(|at| text.split_at_checked(at))
        .find(|(_, tail)| operand::take(tail).is_some_and(|(_, rest)| rest.is_empty()))
}
