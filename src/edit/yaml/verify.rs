//! The proof that a splice did what it should and nothing else.

use std::iter::{self, Peekable};
use std::ops::Range;
use std::slice;

use granit_parser::{Event, ScalarStyle, Span};

use super::block::Block;
use super::{addition, document, quote, reader, spliced};
use crate::edit::splice::splice;
use crate::edit::{Style, kept};

/// A value that was replaced or added: its bytes in the old text, or those it was added behind, and what it must read as.
#[derive(Clone, Copy, Debug)]
pub(in crate::edit) struct Edit<'a> {
    pub(in crate::edit) span: &'a Range<usize>,
    pub(in crate::edit) style: Style,
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
    #[error("in the text from line {line} on, {problem}")]
    Text { line: u64, problem: Box<NotVerified> },
}

/// Reads both texts again: every event must be the same but for the edited scalars, which must read as the wanted
/// strings, and every event must stand on the same line as before, moved down by the lines that were added. A text in which
/// something was edited is held to the same: it must be the old one, read as YAML, but for the edited scalars.
pub(in crate::edit) fn verify(before: &str, after: &str, edits: &[Edit<'_>]) -> Result<(), NotVerified> {
    let (old, new) = (document::split(before), document::split(after));
    if old.len() != new.len() {
        return Err(NotVerified::Documents);
    }
    let mut left = edits.iter();
    for (old, new) in old.iter().zip(&new) {
        let end = old.start + old.text.len();
        let here: Vec<_> = left.clone().take_while(|edit| edit.span.start < end).copied().collect();
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
    edits: &[Edit<'_>],
) -> Result<(), NotVerified> {
    let mut edits = edits.iter().peekable();
    let mut new_events = reader::events(new.text);
    // An added entry, and the line of what it was added behind.
    let mut awaited: Option<(&Edit<'_>, usize)> = None;
    let mut added_lines = 0;
    for event in reader::events(old.text) {
        let (event, span) =
            event.map_err(|error| NotVerified::Parse { line: old.file_line(error.marker().line()) })?;
        let line = old.file_line(span.start.line());
        let mut next = || match new_events.next() {
            Some(Ok(next)) => Ok(next),
            Some(Err(_)) => Err(NotVerified::Parse { line }),
            None => Err(NotVerified::Other { line }),
        };
        let (mut new_event, mut new_span) = next()?;
        // An added entry comes next, behind a comment of that line at most, so that it lies in the mapping of the name.
        let is_behind =
            |name_line: usize| matches!(event, Event::Comment(..)) && span.start.line() == name_line;
        if let Some((edit, _)) = awaited.filter(|(_, name_line)| !is_behind(*name_line)) {
            let (value, _) = next()?;
            if !is_added(edit, &new_event, &value) {
                return Err(NotVerified::Value { line, value: edit.value.to_owned() });
            }
            added_lines += usize::from(edit.style == Style::AddedToBlock);
            awaited = None;
            (new_event, new_span) = next()?;
        }
        if span.start.line() + added_lines != new_span.start.line()
            || span.end.line() + added_lines != new_span.end.line()
        {
            return Err(NotVerified::Other { line });
        }
        let within = edits_within(&mut edits, old.start, &event, &span);
        if !within.is_empty() {
            verify_text(old, (&event, &span), &new_event, &within)?;
            continue;
        }
        // The start of a document that is one scalar has the scalar's span.
        let edit = edits.next_if(|edit| event.scalar().is_some() && is_at(edit.span, old.start, &span));
        match edit {
            Some(edit) if edit.style.is_added() => {
                awaited = Some((edit, span.end.line()));
                if event != new_event {
                    return Err(NotVerified::Other { line });
                }
            }
            Some(edit) if !reads_as(edit.value, &event, &new_event) => {
                return Err(NotVerified::Value { line, value: edit.value.to_owned() });
            }
            None if !is_same(&event, &new_event) => return Err(NotVerified::Other { line }),
            Some(_) | None => {}
        }
    }
    // Both ended in the same event, the end of the stream, so the new text has no more.
    match edits.len() + usize::from(awaited.is_some()) {
        0 => Ok(()),
        left => Err(NotVerified::Missing { left }),
    }
}

/// The next edits, as far as they lie in the text of a literal block scalar.
fn edits_within<'e>(
    edits: &mut Peekable<slice::Iter<'e, Edit<'e>>>,
    document_start: usize,
    event: &Event<'_>,
    span: &Span,
) -> Vec<Edit<'e>> {
    let text = span.byte_range().filter(|_| matches!(event, Event::Scalar(_, ScalarStyle::Literal, ..)));
    let Some(text) = text else { return Vec::new() };
    let text = document_start + text.start..document_start + text.end;
    let is_within = |edit: &&Edit<'_>| text.start <= edit.span.start && edit.span.end <= text.end;
    iter::from_fn(|| edits.next_if(is_within)).copied().collect()
}

/// Reads both texts as files of their own.
fn verify_text(
    old: &document::Document<'_>,
    (event, span): (&Event<'_>, &Span),
    new_event: &Event<'_>,
    edits: &[Edit<'_>],
) -> Result<(), NotVerified> {
    let line = old.file_line(span.start.line());
    let (Event::Scalar(before, _, old_anchor, old_tag), Event::Scalar(after, style, anchor, tag)) =
        (event, new_event)
    else {
        return Err(NotVerified::Other { line });
    };
    if *style != ScalarStyle::Literal || (old_anchor, old_tag) != (anchor, tag) {
        return Err(NotVerified::Other { line });
    }
    let block = span.byte_range().and_then(|span| Block::of(old.text, before, &span, 1));
    let inward = |edit: &Edit<'_>| {
        let place = |at: usize| block.as_ref()?.inward(at.checked_sub(old.start)?);
        Some(place(edit.span.start)?..place(edit.span.end)?)
    };
    let spans: Option<Vec<_>> = edits.iter().map(inward).collect();
    let spans = spans.ok_or(NotVerified::Missing { left: edits.len() })?;
    let edits: Vec<_> = edits.iter().zip(&spans).map(|(edit, span)| Edit { span, ..*edit }).collect();
    // Whoever reads the text may see more of it than YAML does, such as its indentation.
    let splices = edits.iter().map(|edit| spliced(before, edit.span, edit.style, edit.value));
    let wanted = splices.collect::<Option<Vec<_>>>().and_then(|splices| splice(before, &splices));
    if wanted.as_deref() != Some(after.as_ref()) {
        return Err(NotVerified::Other { line });
    }
    verify(before, after, &edits).map_err(|problem| NotVerified::Text { line, problem: Box::new(problem) })
}

/// Whether both mean the same. Where a comment stands beside its neighbours is the parser's guess, and of no meaning.
fn is_same(old: &Event<'_>, new: &Event<'_>) -> bool {
    match (old, new) {
        (Event::Comment(old, _), Event::Comment(new, _)) => old == new,
        _ => old == new,
    }
}

fn is_added(edit: &Edit<'_>, key: &Event<'_>, value: &Event<'_>) -> bool {
    let is_plain = |event: &Event<'_>, text: &str| matches!(event, Event::Scalar(value, ScalarStyle::Plain, 0, None) if value == text && quote::is_plain_string(text));
    let is_quoted =
        matches!(value, Event::Scalar(value, ScalarStyle::DoubleQuoted, 0, None) if value == edit.value);
    is_plain(key, addition::KEY) && (is_quoted || is_plain(value, edit.value))
}

fn is_at(target: &Range<usize>, document_start: usize, span: &Span) -> bool {
    span.byte_range().is_some_and(|range| {
        range.start + document_start == target.start && range.end + document_start == target.end
    })
}

/// Whether the new event is the old scalar but for its value, which is the wanted string; a plain one may have got
/// double quotes, and one that has none must be read as a string by every reader. What kept its beginning up to a `=` reads
/// as before.
fn reads_as(wanted: &str, old: &Event<'_>, new: &Event<'_>) -> bool {
    let (Event::Scalar(before, old_style, old_anchor, old_tag), Event::Scalar(value, style, anchor, tag)) =
        (old, new)
    else {
        return false;
    };
    let is_string = || {
        let kept = kept::before(value);
        quote::is_plain_string(value) || (kept.is_some() && kept == kept::before(before))
    };
    let is_style_kept = match style {
        ScalarStyle::Plain => *old_style == ScalarStyle::Plain && is_string(),
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
        verify(before, after, &[Edit { span: &(start..start + 3), style: Style::Plain, value }])
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
        let edits = [Edit { span: &span, style: Style::Plain, value: "v1" }];
        assert_eq!(verify("a: 1.0\n", "a: 1.0\n", &edits), Err(NotVerified::Missing { left: 1 }));
        let span = 40..43;
        let edits = [Edit { span: &span, style: Style::Plain, value: "v1" }];
        assert_eq!(verify("a: 1.0\n", "a: 1.0\n", &edits), Err(NotVerified::Missing { left: 1 }));
    }

    #[test]
    fn finds_every_other_difference_in_and_around_a_text() {
        let before = "a: |\n  # x\n  b: 1.0\n  c: [d]\ne: f\n";
        assert_eq!(check(before, "a: |\n  # x\n  b: v1\n  c: [d]\ne: f\n", "v1"), Ok(()));
        for after in [
            before,
            "a: |\n  # x\n  b: v2\n  c: [d]\ne: f\n",
            "a: |\n  # y\n  b: v1\n  c: [d]\ne: f\n",
            "a: |\n  # x\n  b: v1\n  c: [x]\ne: f\n",
            "a: |\n  # x\n  b: v1\n  c: [d]\ne: x\n",
            "a: |\n  # x\n  b: 'v1'\n  c: [d]\ne: f\n",
            "a: |\n  # x\n  b: v1\n  c: [d\ne: f\n",
            "a: |\n  # x\n  b: v1\n  c: [d]\n  e: f\ne: f\n",
            "a: |\n  # x\n  b: v1\n   c: [d]\ne: f\n",
            "a: >\n  # x\n  b: v1\n  c: [d]\ne: f\n",
            "a: &x |\n  # x\n  b: v1\n  c: [d]\ne: f\n",
            "a: !x |\n  # x\n  b: v1\n  c: [d]\ne: f\n",
            "a: |2\n   # x\n   b: v1\n   c: [d]\ne: f\n",
        ] {
            assert!(check(before, after, "v1").is_err(), "{after:?}");
        }
        let error = check("a: |\n  b: x1.0\n", "a: |\n  b: xv1\n", "v1").unwrap_err();
        assert_eq!(
            error.to_string(),
            "in the text from line 2 on, the new text differs in line 1, where nothing was to change"
        );
    }

    #[test]
    fn an_added_entry_lies_behind_the_name_and_nowhere_else() {
        let before = "- name: a # x\n- name: b\n";
        let check = |after: &str, style| verify(before, after, &[Edit { span: &(8..9), style, value: "v1" }]);
        assert_eq!(check("- name: a # x\n  newTag: v1\n- name: b\n", Style::AddedToBlock), Ok(()));
        assert_eq!(check("- name: a # x\n  newTag: \"v1\"\n- name: b\n", Style::AddedToBlock), Ok(()));
        for after in [
            before,
            "- name: a # x\n  newTag: v2\n- name: b\n",
            "- name: a # x\n  newtag: v1\n- name: b\n",
            "- name: a # x\n  newTag: 'v1'\n- name: b\n",
            "- name: a # y\n  newTag: v1\n- name: b\n",
            "- name: a # x\n\n  newTag: v1\n- name: b\n",
            "- name: a # x\n  newTag: v1\n- name: c\n",
            "- name: a # x\n- name: b\n  newTag: v1\n",
            "- name: a # x\n- newTag: v1\n- name: b\n",
            "- name: a # x\n  newTag: v1\n  newTag: v1\n- name: b\n",
        ] {
            assert!(check(after, Style::AddedToBlock).is_err(), "{after:?}");
        }
        assert!(check("- name: a # x\n  newTag: v1\n- name: b\n", Style::AddedToFlow).is_err());
    }
}
