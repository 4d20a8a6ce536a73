//! The proof that a splice did what it should and nothing else.

use std::ops::Range;

use granit_parser::{Event, ScalarStyle, Span};

use super::{document, quote, reader};

/// A value that was replaced: its old bytes in the old text, and what it must read as now.
#[derive(Clone, Copy, Debug)]
pub(in crate::edit) struct Replaced<'a> {
    pub(in crate::edit) span: &'a Range<usize>,
    pub(in crate::edit) value: &'a str,
}

/// Why a new text is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::edit) enum NotVerified {
    #[error("the new text has another number of documents")]
    Documents,
    #[error("the new text does not parse in line {line}")]
    Parse { line: u64 },
    #[error("the new text differs in line {line}, where nothing was to change")]
    Other { line: u64 },
    #[error("the value in line {line} does not read as {value:?}")]
    Value { line: u64, value: String },
    #[error("{left} of the values to change were not found")]
    Missing { left: usize },
}

/// Reads both texts again: every event must be the same but for the replaced scalars, which must read as the wanted
/// strings, and every event must stand on the same line as before.
pub(in crate::edit) fn verify(
    before: &str,
    after: &str,
    replaced: &[Replaced<'_>],
) -> Result<(), NotVerified> {
    let (old, new) = (document::split(before), document::split(after));
    if old.len() != new.len() {
        return Err(NotVerified::Documents);
    }
    let mut left = replaced.iter();
    for (old, new) in old.iter().zip(&new) {
        let end = old.start + old.text.len();
        let here: Vec<_> = left.clone().take_while(|replaced| replaced.span.start < end).copied().collect();
        left.by_ref().take(here.len()).for_each(drop);
        if old.text != new.text || !here.is_empty() {
            verify_document(old, new, &here)?;
        }
    }
    match left.len() {
        0 => Ok(()),
        left => Err(NotVerified::Missing { left }),
    }
}

fn verify_document(
    old: &document::Document<'_>,
    new: &document::Document<'_>,
    replaced: &[Replaced<'_>],
) -> Result<(), NotVerified> {
    let mut replaced = replaced.iter().peekable();
    let mut new_events = reader::events(new.text);
    for event in reader::events(old.text) {
        let (event, span) =
            event.map_err(|error| NotVerified::Parse { line: old.file_line(error.marker().line()) })?;
        let line = old.file_line(span.start.line());
        let (new_event, new_span) = match new_events.next() {
            Some(Ok(next)) => next,
            Some(Err(_)) => return Err(NotVerified::Parse { line }),
            None => return Err(NotVerified::Other { line }),
        };
        if span.start.line() != new_span.start.line() || span.end.line() != new_span.end.line() {
            return Err(NotVerified::Other { line });
        }
        // The start of a document that is one scalar has the scalar's span.
        let wanted =
            replaced.next_if(|replaced| event.scalar().is_some() && is_at(replaced.span, old.start, &span));
        match wanted {
            Some(wanted) if !reads_as(wanted.value, &event, &new_event) => {
                return Err(NotVerified::Value { line, value: wanted.value.to_owned() });
            }
            None if event != new_event => return Err(NotVerified::Other { line }),
            Some(_) | None => {}
        }
    }
    // Both ended in the same event, the end of the stream, so the new text has no more.
    match replaced.len() {
        0 => Ok(()),
        left => Err(NotVerified::Missing { left }),
    }
}

fn is_at(target: &Range<usize>, document_start: usize, span: &Span) -> bool {
    span.byte_range().is_some_and(|range| {
        range.start + document_start == target.start && range.end + document_start == target.end
    })
}

/// Whether the new event is the old scalar but for its value, which is the wanted string; a plain one may have got
/// double quotes, and one that has none must be read as a string by every reader.
fn reads_as(wanted: &str, old: &Event<'_>, new: &Event<'_>) -> bool {
    let (Event::Scalar(_, old_style, old_anchor, old_tag), Event::Scalar(value, style, anchor, tag)) =
        (old, new)
    else {
        return false;
    };
    let is_style_kept = match style {
        ScalarStyle::Plain => *old_style == ScalarStyle::Plain && quote::is_plain_string(value),
        ScalarStyle::DoubleQuoted => matches!(old_style, ScalarStyle::Plain | ScalarStyle::DoubleQuoted),
        ScalarStyle::SingleQuoted => *old_style == ScalarStyle::SingleQuoted,
        ScalarStyle::Literal | ScalarStyle::Folded => false,
    };
    value == wanted && is_style_kept && old_anchor == anchor && old_tag == tag
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Verifies `after` where the bytes `1.0` of `before` were to become `value`.
    fn check(before: &str, after: &str, value: &str) -> Result<(), NotVerified> {
        let start = before.find("1.0").unwrap();
        verify(before, after, &[Replaced { span: &(start..start + 3), value }])
    }

    #[test]
    fn passes_a_right_splice() {
        assert_eq!(check("a: 1.0 # x\nb: [c]\n", "a: 1.2.3 # x\nb: [c]\n", "1.2.3"), Ok(()));
        assert_eq!(check("---\na: 1\n---\nb: 1.0", "---\na: 1\n---\nb: \"1.10\"", "1.10"), Ok(()));
        assert_eq!(check("{{ x }}: {\n---\nb: &x 1.0", "{{ x }}: {\n---\nb: &x v1", "v1"), Ok(()));
    }

    #[test]
    fn finds_every_other_difference() {
        let before = "a: 1.0 # x\nb: [c]\n";
        for after in [
            "a: 1.10 # x\nb: [c]\n",
            "a: v2 # x\nb: [c]\n",
            "a: v1 # y\nb: [c]\n",
            "a: v1 # x\nb: [d]\n",
            "a: v1 # x\nb: ['c']\n",
            "a: v1 # x\n\nb: [c]\n",
            "a: v1 # x\nb: [c]\nc: d\n",
            "a: v1 # x\nb: [c]\n---\nc: d\n",
            "a: v1 # x\nb: [c\n",
            "a: v1 # x\n",
            "a: 'v1' # x\nb: [c]\n",
            "a: !t v1 # x\nb: [c]\n",
            "a: &t v1 # x\nb: [c]\n",
            "a: [v1] # x\nb: [c]\n",
            "a: v1\nb: [c]\n",
            "",
        ] {
            assert!(check(before, after, "v1").is_err(), "{after:?}");
        }
        assert_eq!(check(before, "a: v1 # x\nb: [c]\n", "v1"), Ok(()));
    }

    #[test]
    fn finds_a_value_that_would_change_its_type() {
        let error = check("a: 1.0\n", "a: 1.10\n", "1.10").unwrap_err();
        assert_eq!(error.to_string(), "the value in line 1 does not read as \"1.10\"");
    }

    #[test]
    fn misses_a_value_that_is_not_where_it_was_found() {
        let span = 4..7;
        let replaced = [Replaced { span: &span, value: "v1" }];
        assert_eq!(verify("a: 1.0\n", "a: 1.0\n", &replaced), Err(NotVerified::Missing { left: 1 }));
        let span = 40..43;
        let replaced = [Replaced { span: &span, value: "v1" }];
        assert_eq!(verify("a: 1.0\n", "a: 1.0\n", &replaced), Err(NotVerified::Missing { left: 1 }));
    }
}
