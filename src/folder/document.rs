//! The documents of a YAML file.

/// One document and where it begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Document<'a> {
    /// The line of its first character, from 1.
    pub(super) line: u64,
    /// How many characters come before it on that line.
    pub(super) indent: u64,
    pub(super) text: &'a str,
}

/// Splits a file at `---` and `...`. At the beginning of a line these are markers in every context, even within a
/// block scalar (YAML 1.2.2, 9.1.2), so that one broken document does not take its neighbours with it.
pub(super) fn documents(text: &str) -> Vec<Document<'_>> {
    let mut documents = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut start, mut start_line, mut indent) = (0, 1, 0);
    let (mut end, mut line) = (0, 1);
    for one in text.split_inclusive('\n') {
        if is_marker(one) {
            let text = text.get(start..end).unwrap_or_default();
            documents.push(Document { line: start_line, indent, text });
            // What stands behind the marker on its line belongs to the document that it begins.
            (start, start_line, indent) = (end + MARKER_LENGTH, line, MARKER_LENGTH as u64);
        }
        end += one.len();
        line += 1;
    }
    documents.push(Document { line: start_line, indent, text: text.get(start..).unwrap_or_default() });
    documents
}

const MARKER_LENGTH: usize = 3;

fn is_marker(line: &str) -> bool {
    let behind = line.strip_prefix("---").or_else(|| line.strip_prefix("..."));
    behind.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_document_keeps_its_line() {
        let text = "a: 1\n---\nb: |\n  ---\n  x\n--- # c\r\nc: 3\r\n...\n---x: 1\n";
        let found: Vec<_> = documents(text).iter().map(|d| (d.line, d.indent, d.text)).collect();
        let wanted = [
            (1, 0, "a: 1\n"),
            (2, 3, "\nb: |\n  ---\n  x\n"),
            (6, 3, " # c\r\nc: 3\r\n"),
            (8, 3, "\n---x: 1\n"),
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_byte_order_mark_is_no_text() {
        assert_eq!(documents("\u{feff}a: 1"), [Document { line: 1, indent: 0, text: "a: 1" }]);
    }
}
