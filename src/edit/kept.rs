//! What stands before an image in its value and stays, as in `--image=ghcr.io/acme/api:1.9.3`: to the byte, in whatever
//! quotes and with whatever escapes it is written.

use std::ops::Range;

use super::splice::Splice;
use super::{Obstacle, Part, ProblemReason, Site, Style};
use crate::image::ImageReference;

/// What stays of a value, up to its last `=`; `None` where there is none.
pub(super) fn before(value: &str) -> Option<&str> {
    Some(ImageReference::split_end(value).0).filter(|before| !before.is_empty())
}

/// Why the image at the end of a value can not be replaced by itself. A value without a `=` is replaced as a whole.
pub(super) fn obstacle(site: &Site, text: &str) -> Option<Obstacle> {
    let before = before(&site.value).filter(|_| site.part == Part::Image)?;
    if ImageReference::ending(&site.value).is_none() {
        let message = format!(
            "{:?} has no image at its end, behind the last =; write one there, such as ghcr.io/acme/api:1.9.3",
            site.value
        );
        return Some(Obstacle { reason: ProblemReason::NotAnImage, message });
    }
    let written = behind(text, &site.span, site.style).and_then(|span| text.get(span));
    (written != site.value.strip_prefix(before)).then(|| Obstacle {
        reason: ProblemReason::NoValue,
        message: "the image, or the = before it, is written with escapes; write both as they are".to_owned(),
    })
}

/// The bytes that make a value what it is to be: those of the image alone where something stands before it, else those that
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
            let image = value.strip_prefix(before)?.to_owned();
            Some(Splice { span: behind(text, span, style)?, text: image })
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
    fn only_the_image_is_written_where_something_stands_before_it() {
        let write: fn(&str, Style) -> String = |value, _| format!("<{value}>");
        let spliced = |text, value| spliced(text, &(0..5), Style::SingleQuoted, value, write);
        assert_eq!(spliced("'a=b'", "a=c"), Some(Splice { span: 3..4, text: "c".to_owned() }));
        assert_eq!(spliced("'a=b'", "c"), Some(Splice { span: 0..5, text: "<c>".to_owned() }));
        assert_eq!(spliced("'abc'", "a=c"), None);
    }
}
