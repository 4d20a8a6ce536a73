//! The documents of a YAML stream, told apart without parsing them.

use memchr::memchr2;

/// One document with its directives and the comments around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Document<'a> {
    /// The document's text.
    pub(super) text: &'a str,
    /// Where the text begins in the file, in bytes.
    pub(super) start: usize,
    /// The file's line, from 1, on which the text begins.
    pub(super) first_line: u64,
}

impl Document<'_> {
    /// The file's line of a line of this document, both from 1.
    pub(super) fn file_line(&self, line: usize) -> u64 {
        self.first_line + (line as u64).saturating_sub(1)
    }
}

/// Cuts the text before each `---` and behind each `...` at the beginning of a line, so that a document which does not
/// parse, such as a template, does no harm to the others. Such a line ends a document even within a quoted or block
/// scalar (YAML 1.2.2, 9.1.2, `c-forbidden`), so lines are all there is to look at.
pub(super) fn split(text: &str) -> Vec<Document<'_>> {
    let mut documents = Vec::new();
    let mut cut = Cut::default();
    let mut at = Cut { offset: 0, line: 1 };
    let mut is_after_end = false;
    // Blank lines, comments and directives before `---` belong to the document that it opens.
    let mut is_in_prefix = true;
    for line in lines(text) {
        let bare = line.trim_start_matches('\u{feff}');
        let opens = is_document_marker(bare, "---");
        if is_after_end || (opens && !is_in_prefix) {
            documents.extend(cut.to(at, text));
            cut = at;
            is_in_prefix = true;
        }
        is_in_prefix = is_in_prefix && !opens && is_prefix(bare);
        is_after_end = is_document_marker(bare, "...");
        at.offset += line.len();
        at.line += 1;
    }
    documents.extend(cut.to(at, text));
    documents
}

/// A place between two lines.
#[derive(Clone, Copy)]
struct Cut {
    offset: usize,
    line: u64,
}

impl Default for Cut {
    fn default() -> Self {
        Self { offset: 0, line: 1 }
    }
}

impl Cut {
    fn to(self, end: Self, text: &str) -> Option<Document<'_>> {
        let text = text.get(self.offset..end.offset)?;
        (!text.is_empty()).then_some(Document { text, start: self.offset, first_line: self.line })
    }
}

/// The lines with their ends. A carriage return ends one, also without a line feed behind it (YAML 1.2.2, 5.4).
fn lines(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let end = match memchr2(b'\n', b'\r', text.as_bytes()) {
            Some(at) if text.as_bytes().get(at..at + 2) == Some(b"\r\n") => at + 2,
            Some(at) => at + 1,
            None => text.len(),
        };
        let (line, rest) = text.split_at_checked(end)?;
        text = rest;
        (!line.is_empty()).then_some(line)
    })
}

fn is_document_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker)
        .is_some_and(|behind| behind.is_empty() || behind.starts_with([' ', '\t', '\n', '\r']))
}

fn is_prefix(line: &str) -> bool {
    line.starts_with('%') || line.trim().is_empty() || line.trim_start().starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<(&str, u64)> {
        split(text).into_iter().map(|document| (document.text, document.first_line)).collect()
    }

    #[test]
    fn cuts_before_starts_and_behind_ends() {
        assert_eq!(
            texts("a: 1\n---\nb: 2\n...\nc: 3\n--- d\n"),
            [("a: 1\n", 1), ("---\nb: 2\n...\n", 2), ("c: 3\n", 5), ("--- d\n", 6)]
        );
    }

    #[test]
    fn keeps_comments_and_directives_with_the_document_they_open() {
        assert_eq!(texts("# top\n%YAML 1.2\n---\na: 1\n"), [("# top\n%YAML 1.2\n---\na: 1\n", 1)]);
        assert_eq!(texts("---\n# empty\n---\na: 1\n"), [("---\n# empty\n", 1), ("---\na: 1\n", 3)]);
    }

    #[test]
    fn is_not_misled_by_what_only_looks_like_a_document_marker() {
        for text in ["a:\n ---\n", "---a: 1\n", "a: |\n  ---\n", "....\n", "-- -\n", "----\n"] {
            assert_eq!(texts(text), [(text, 1)]);
        }
    }

    #[test]
    fn counts_lines_under_every_line_end() {
        for end in ["\n", "\r\n", "\r"] {
            let text = ["a: 1", "", "---", "b: 2", "...", "---"].join(end);
            let lines: Vec<_> = split(&text).iter().map(|document| document.first_line).collect();
            assert_eq!(lines, [1, 3, 6], "{end:?}");
        }
    }

    #[test]
    fn sees_a_document_marker_behind_a_byte_order_mark() {
        assert_eq!(
            texts("\u{feff}a: 1\n\u{feff}---\nb: 2"),
            [("\u{feff}a: 1\n", 1), ("\u{feff}---\nb: 2", 2)]
        );
        assert!(split("").is_empty());
    }

    #[test]
    fn loses_no_byte() {
        for text in ["\r\r\n\n\r---\r\n\r...\r", "...\n...\n---", "\u{feff}", "\r", "a\r\nb\rc\n"] {
            let mut end = 0;
            for document in split(text) {
                assert_eq!(document.start, end, "{text:?}");
                end += document.text.len();
            }
            assert_eq!(end, text.len(), "{text:?}");
        }
    }
}
