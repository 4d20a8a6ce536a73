//! What stands before a version in its value and stays, as in `--image=ghcr.io/acme/api:1.9.3` and `VERSION=1.9.3`: to
//! the byte, in whatever quotes and with whatever escapes it is written.

use std::ops::Range;

use super::fit::{is_name_of, is_part};
use super::splice::Splice;
use super::{Obstacle, Part, ProblemReason, Site, Style};
use crate::image::ImageReference;

/// What stays of a value, up to its last `=`; `None` where there is none.
pub(super) fn before(value: &str) -> Option<&str> {
    Some(ImageReference::split_end(value).0).filter(|before| !before.is_empty())
}

/// Whether a text is the name of a flag or of a variable: `--tag`, `VERSION`, `image.tag`.
pub(super) fn is_name(text: &str) -> bool {
    let name = text.strip_prefix("--").unwrap_or(text);
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// Whether the last word of what stands before a `=` says by its names what stands behind it: `--tag=`, `export VERSION=`,
/// `--set=image.tag=`. That of a range says nothing: `>=`.
fn ends_in_names(before: &str) -> bool {
    let word = before.rsplit([' ', '\t']).next().unwrap_or_default();
    word.strip_suffix('=').is_some_and(|names| names.split('=').all(is_name))
}

/// The name right before the last `=` of what is kept.
pub(super) fn last_name(before: &str) -> Option<&str> {
    let names = before.strip_suffix('=')?;
    names.rsplit(['=', ' ', '\t']).next().filter(|name| is_name(name))
}

/// Whether a part behind this text is the one that is meant: the value has one word, or the name says so, and no other word
/// of the value is such a part behind such a name.
fn is_meant(part: Part, before: &str) -> bool {
    let is_one_of_several = |word: &str| {
        let (names, end) = ImageReference::split_end(word);
        is_part(part, end) && last_name(names).is_some_and(|name| is_name_of(part, name))
    };
    !before.contains([' ', '\t'])
        || (last_name(before).is_some_and(|name| is_name_of(part, name))
            && !before.split([' ', '\t']).any(is_one_of_several))
}

/// Why the version at the end of a value can not be replaced by itself. A value without a `=` is replaced as a whole, and
/// one with a `=` never is. An image tells what it is, whatever stands before it; whether it is the one that is meant tells its
/// policy.
pub(super) fn obstacle(site: &Site, text: &str) -> Option<Obstacle> {
    let before = before(&site.value)?;
    let (part, behind_it) = (site.part, site.value.strip_prefix(before).unwrap_or_default());
    if !is_part(part, behind_it) || (part != Part::Image && !ends_in_names(before)) {
        let place = if part == Part::Image { "the last =" } else { "the = of a flag or a variable" };
        let message = format!(
            "{:?} has no {part} at its end, behind {place}; write one there, such as {}",
            site.value,
            example(part)
        );
        return Some(Obstacle { reason: ProblemReason::NotAnImage, message });
    }
    if part != Part::Image && !is_meant(part, before) {
        let message = format!(
            "nothing says that the end of {:?} is the {part} that is meant; write it last behind a name that does, such as {}",
            site.value,
            example(part)
        );
        return Some(Obstacle { reason: ProblemReason::NotAnImage, message });
    }
    let written = behind(text, &site.span, site.style).and_then(|span| text.get(span));
    (written != Some(behind_it)).then(|| Obstacle {
        reason: ProblemReason::NoValue,
        message: format!("the {part}, or the = before it, is written with escapes; write both as they are"),
    })
}

/// A part as it may be written at the end of a value.
pub(super) const fn example(part: Part) -> &'static str {
    match part {
        Part::Image => "ghcr.io/acme/api:1.9.3",
        Part::Name => "--repository=ghcr.io/acme/api",
        Part::Tag | Part::TagBesideDigest | Part::TagAlone | Part::Version => "--tag=1.9.3",
        Part::Digest => "--digest=sha256:…",
    }
}

/// The bytes that make a value what it is to be: those of the version alone where something stands before it, else those that
/// `write` gives. `None` where the text is not the one that the value was found in.
pub(super) fn spliced(
    text: &str,
    span: &Range<usize>,
    style: Style,
    value: &str,
    write: fn(&str, Style) -> String,
) -> Option<Splice> {
    match before(value) {
        Some(before) => {
            let version = value.strip_prefix(before)?.to_owned();
            Some(Splice { span: behind(text, span, style)?, text: version })
        }
        None => Some(Splice { span: span.clone(), text: write(value, style) }),
    }
}

/// The bytes behind the last `=` of what is written in a span, up to its closing quote.
fn behind(text: &str, span: &Range<usize>, style: Style) -> Option<Range<usize>> {
    let quote = match style {
        Style::Plain => 0,
        Style::SingleQuoted | Style::DoubleQuoted => 1,
        Style::AddedToBlock | Style::AddedToFlow => return None,
    };
    let end = span.end.checked_sub(quote)?;
    let before = before(text.get(span.start..end)?)?;
    Some(span.start + before.len()..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behind_in(text: &str, span: Range<usize>, style: Style) -> Option<&str> {
        behind(text, &span, style).and_then(|span| text.get(span))
    }

    #[test]
    fn what_stands_behind_the_last_sign_of_equality_ends_at_the_quote() {
        assert_eq!(behind_in("a=b=c # d=e", 0..5, Style::Plain), Some("c"));
        assert_eq!(behind_in("x='a=b'", 2..7, Style::SingleQuoted), Some("b"));
        assert_eq!(behind_in("x=\"a=\"", 2..6, Style::DoubleQuoted), Some(""));
        assert_eq!(behind_in("x='ab'", 2..6, Style::SingleQuoted), None);
        assert_eq!(behind_in("a=é", 0..4, Style::DoubleQuoted), None);
        assert_eq!(behind_in("a=b", 0..9, Style::Plain), None);
    }

    #[test]
    fn a_flag_or_a_variable_names_what_stands_behind_its_sign_of_equality() {
        for before in ["--tag=", "-t=", "VERSION=", "export VERSION=", "--set=image.tag=", "--a=b --c="] {
            assert!(ends_in_names(before), "{before}");
        }
        for before in
            ["", "=", ">=", "--=", "a==", "a =", "https://acme.example/?ref=", "é=", "{\"a=", "--tag"]
        {
            assert!(!ends_in_names(before), "{before}");
        }
    }

    #[test]
    fn a_name_says_which_of_several_words_is_meant() {
        for before in ["--any=", "--set=api=", "--port=80 --image-tag=", "run VERSION=", "--a=b --c.version="]
        {
            assert!(is_meant(Part::Tag, before), "{before}");
        }
        for before in ["run --port=", "--tag=1.9.3 --port=", "--tag=1.9.3 --version=", "run é="] {
            assert!(!is_meant(Part::Tag, before), "{before}");
        }
    }

    #[test]
    fn only_the_version_is_written_where_something_stands_before_it() {
        let write: fn(&str, Style) -> String = |value, _| format!("<{value}>");
        let spliced = |text, value| spliced(text, &(0..5), Style::SingleQuoted, value, write);
        assert_eq!(spliced("'a=b'", "a=c"), Some(Splice { span: 3..4, text: "c".to_owned() }));
        assert_eq!(spliced("'a=b'", "c"), Some(Splice { span: 0..5, text: "<c>".to_owned() }));
        assert_eq!(spliced("'abc'", "a=c"), None);
    }
}
