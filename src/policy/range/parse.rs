//! From the text of a range to its comparators.

use super::{Alternative, Comparator, Operator, hyphen, operand};

/// The longest range, in bytes.
const MOST_BYTES: usize = 512;

/// The most alternatives.
const MOST_ALTERNATIVES: usize = 32;

/// How much of a bad range a message repeats.
const MOST_SHOWN_CHARS: usize = 60;

/// Why a text is no range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::policy) enum InvalidRange {
    #[error("it is empty; write * for every release")]
    Empty,
    #[error("it is longer than {MOST_BYTES} bytes; write a shorter one")]
    TooLong,
    #[error("it has more than {MOST_ALTERNATIVES} alternatives; write fewer, split by ||")]
    TooManyAlternatives,
    #[error("nothing stands on one side of a comma or of ||; write versions on both, such as 1.x || 2.x")]
    NothingBeside,
    #[error("no operator is spelled {0:?}; write one of = != > >= < <= ~ ^")]
    UnknownOperator(String),
    #[error("nothing stands behind {0}; write a version, such as {0}1.4.0")]
    NothingBehind(String),
    #[error("a hyphen stands alone; write two versions and nothing else around it, such as 1.4 - 2.0")]
    LoneHyphen,
    #[error("{0:?} is no version; write one such as 1.4.0, 1.4.x or 1.4.0-rc.1")]
    NotAVersion(String),
}

/// Space as the language knows it.
pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}')
}

pub(super) fn alternatives(text: &str) -> Result<Vec<Alternative>, InvalidRange> {
    if text.len() > MOST_BYTES {
        return Err(InvalidRange::TooLong);
    }
    if text.chars().all(is_space) {
        return Err(InvalidRange::Empty);
    }
    let text = hyphen::rewritten(text);
    if text.split("||").count() > MOST_ALTERNATIVES {
        return Err(InvalidRange::TooManyAlternatives);
    }
    text.split("||").map(alternative).collect()
}

/// Comparators with a comma or space between any two.
fn alternative(text: &str) -> Result<Alternative, InvalidRange> {
    let mut comparators = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    loop {
        let (comparator, tail) = take_comparator(rest)?;
        comparators.push(comparator);
        let next = tail.trim_start_matches(is_space);
        if next.is_empty() {
            break;
        }
        rest = match next.strip_prefix(',') {
            Some(behind_comma) => behind_comma.trim_start_matches(is_space),
            None if next.len() < tail.len() => next,
            None => return Err(InvalidRange::NotAVersion(first_word(rest))),
        };
    }
    let admits_prereleases = comparators.iter().any(|comparator| !comparator.operand.pre.is_empty());
    Ok(Alternative { comparators, admits_prereleases })
}

fn take_comparator(text: &str) -> Result<(Comparator, &str), InvalidRange> {
    if text.is_empty() || text.starts_with(',') {
        return Err(InvalidRange::NothingBeside);
    }
    if first_word(text) == "-" {
        return Err(InvalidRange::LoneHyphen);
    }
    let version = text.trim_start_matches(|c| is_space(c) || matches!(c, '=' | '!' | '<' | '>' | '~' | '^'));
    let spelled = text.strip_suffix(version).unwrap_or_default();
    let spelled = spelled.trim_end_matches(is_space);
    let operator = Operator::parse(spelled)
        .ok_or_else(|| InvalidRange::UnknownOperator(spelled.chars().take(MOST_SHOWN_CHARS).collect()))?;
    if version.is_empty() || version.starts_with(',') {
        return Err(InvalidRange::NothingBehind(spelled.to_owned()));
    }
    let not_a_version = || InvalidRange::NotAVersion(first_word(version));
    let (written, rest) = operand::take(version).ok_or_else(not_a_version)?;
    let (operand, precision) = written.read().ok_or_else(not_a_version)?;
    let comparator = Comparator { operator, operand, precision };
    Ok((comparator, rest))
}

/// What stands before the next space or comma, cut to a length fit for a message.
fn first_word(text: &str) -> String {
    text.chars().take_while(|c| !is_space(*c) && *c != ',').take(MOST_SHOWN_CHARS).collect()
}

impl Operator {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "" | "=" => Some(Self::Equal),
            "!=" => Some(Self::NotEqual),
            ">" => Some(Self::Greater),
            ">=" | "=>" => Some(Self::GreaterOrEqual),
            "<" => Some(Self::Less),
            "<=" | "=<" => Some(Self::LessOrEqual),
            "~" | "~>" => Some(Self::Tilde),
            "^" => Some(Self::Caret),
            _ => None,
        }
    }
}
