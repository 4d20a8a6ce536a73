//! The values of formats in which a line stands for itself: `.env`, `.properties`, `.ini`, Dockerfiles, Makefiles, shell scripts.

use std::ops::Range;

use super::{Format, Leaf, Step};
use crate::edit::fit::is_version;
use crate::edit::{Style, kept};

/// The values of all lines. What these formats can not tell apart without running them, such as here-documents, reads as
/// lines too: it takes a marker to make a value of it.
pub(super) fn leaves(format: Format, text: &str) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive(['\n', '\r']) {
        let bare = line.trim_end_matches(['\n', '\r']);
        let skipped = bare.len() - bare.trim_start_matches([' ', '\t', '\u{feff}']).len();
        let body = bare.get(skipped..).unwrap_or_default();
        if !format.comments().iter().any(|sign| body.starts_with(sign)) {
            for found in in_line(format, body) {
                let offset = start + skipped;
                leaves.push(Leaf {
                    path: found.key.map(|key| Step::Key(key.to_owned())).into_iter().collect(),
                    value: body.get(found.value).unwrap_or_default().to_owned(),
                    span: found.span.start + offset..found.span.end + offset,
                    style: found.style,
                });
            }
        }
        start += line.len();
    }
    leaves
}

/// A value in a line.
struct Found<'a> {
    key: Option<&'a str>,
    /// The value without its quotes.
    value: Range<usize>,
    span: Range<usize>,
    style: Style,
}

fn in_line(format: Format, line: &str) -> Vec<Found<'_>> {
    match format {
        Format::Properties => property(line).into_iter().collect(),
        Format::Env => variable(line).into_iter().collect(),
        Format::Ini => {
            property(line).and_then(|found| assigned(line, found.key?, found.span)).into_iter().collect()
        }
        Format::Makefile => match definition(line) {
            Some(found) => vec![found],
            None => in_words(line),
        },
        Format::Shell | Format::Dockerfile | Format::Toml | Format::Hcl => in_words(line),
    }
}

fn in_words(line: &str) -> Vec<Found<'_>> {
    // Behind a `#` at the beginning of a word stands a comment.
    let is_comment = |word: &Range<usize>| line.get(word.clone()).is_some_and(|word| word.starts_with('#'));
    words(line)
        .into_iter()
        .take_while(|word| !is_comment(word))
        .filter_map(|word| in_word(line, word))
        .collect()
}

/// The words of a line: apart by spaces, but for those in quotes.
fn words(line: &str) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut start = None;
    let mut quote = None;
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (None, ' ' | '\t') => words.extend(start.take().map(|start| start..at)),
            (None, '"' | '\'') => {
                quote = Some(c);
                start.get_or_insert(at);
            }
            (Some(open), c) if c == open => quote = None,
            (None | Some(_), _) => {
                start.get_or_insert(at);
            }
        }
    }
    words.extend(start.map(|start| start..line.len()));
    words
}

/// `KEY=value`, or a word that is an image with a version, as in `FROM ghcr.io/acme/api:1.9.3`.
fn in_word(line: &str, word: Range<usize>) -> Option<Found<'_>> {
    let text = line.get(word.clone())?;
    if let Some((key, value)) = text.split_once('=').filter(|(key, _)| kept::is_name(key)) {
        return assigned(line, key, word.end - value.len()..word.end);
    }
    let (value, style) = quoted(line, word.clone())?;
    let is_image = is_version(line.get(value.clone())?);
    is_image.then_some(Found { key: None, value, span: word, style })
}

fn assigned<'a>(line: &str, key: &'a str, span: Range<usize>) -> Option<Found<'a>> {
    let (value, style) = quoted(line, span.clone())?;
    Some(Found { key: Some(key), value, span, style })
}

/// `KEY=value`, where the value takes all of the line up to a comment, as Docker Compose and others read it.
fn variable(line: &str) -> Option<Found<'_>> {
    let exported = line.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t']));
    let (key, value) = exported.unwrap_or(line).trim_start_matches([' ', '\t']).split_once('=')?;
    let start = line.len() - value.len();
    let is_comment = |word: &Range<usize>| value.get(word.clone()).is_some_and(|word| word.starts_with('#'));
    let value = words(value).into_iter().take_while(|word| !is_comment(word)).last();
    let end = value.map_or(start, |last| start + last.end);
    // What stands behind a space is no beginning of a value to a shell.
    let is_close = !line.get(start..end)?.starts_with([' ', '\t']);
    if !kept::is_name(key) || !is_close {
        return None;
    }
    // With quotes within it is no version, but what looks like a comment behind it may yet be a part of it.
    let as_it_is = Found { key: Some(key), value: start..end, span: start..end, style: Style::Plain };
    Some(assigned(line, key, start..end).unwrap_or(as_it_is))
}

/// `NAME = value` with any of the signs of GNU Make that set a variable (its manual, 6.5), and words such as `export` before.
fn definition(line: &str) -> Option<Found<'_>> {
    let (before, behind) = line.split_once('=')?;
    let name = before.trim_end_matches([':', '?']).trim_end_matches([' ', '\t']);
    let mut words = name.rsplit([' ', '\t']);
    let key = words.next().filter(|key| kept::is_name(key))?;
    let is_set = words.all(|word| matches!(word, "" | "export" | "override" | "private"));
    let value = behind.trim_start_matches([' ', '\t']);
    let value = value.find('#').and_then(|end| value.get(..end)).unwrap_or(value);
    let start = line.len() - behind.trim_start_matches([' ', '\t']).len();
    if is_set { assigned(line, key, start..start + value.trim_end().len()) } else { None }
}

/// The value within its quotes, if they are whole and nothing in them is escaped.
fn quoted(line: &str, span: Range<usize>) -> Option<(Range<usize>, Style)> {
    let text = line.get(span.clone())?;
    for (quote, style) in [('"', Style::DoubleQuoted), ('\'', Style::SingleQuoted)] {
        if let Some(inner) = text.strip_prefix(quote) {
            let inner = inner.strip_suffix(quote)?;
            let is_whole = !inner.contains([quote, '\\']);
            return is_whole.then_some((span.start + 1..span.end - 1, style));
        }
    }
    (!text.contains(['"', '\'', '\\'])).then_some((span, Style::Plain))
}

/// `key=value`, `key: value` or `key value` (java.util.Properties, "load"). A line that goes on in the next has none.
fn property(line: &str) -> Option<Found<'_>> {
    if line.ends_with('\\') {
        return None;
    }
    let key_end = line.find(['=', ':', ' ', '\t'])?;
    let (key, behind) = line.split_at(key_end);
    let behind = behind.trim_start_matches([' ', '\t']);
    let value = behind.strip_prefix(['=', ':']).unwrap_or(behind).trim_start_matches([' ', '\t']);
    let start = line.len() - value.len();
    let span = start..start + value.trim_end().len();
    (!key.is_empty() && !key.contains('\\')).then_some(Found {
        key: Some(key),
        value: span.clone(),
        span,
        style: Style::Plain,
    })
}
