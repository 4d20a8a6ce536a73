//! The documents of a YAML file.

/// One document and where it begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Document<'a> {
    /// The line of its first character, from 1.
    pub(super) line: u64,
    pub(super) text: &'a str,
}

/// Splits a file at `---` and `...`. At the beginning of a line these are markers in every context, even within a
/// block scalar (YAML 1.2.2, 9.1.2), so that one broken document does not take its neighbours with it.
pub(super) fn documents(text: &str) -> Vec<Document<'_>> {
    let mut documents = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut start, mut start_line) = (0, 1);
    let (mut end, mut line) = (0, 1);
    for one in text.split_inclusive('\n') {
        if is_marker(one) {
            documents.push(Document { line: start_line, text: text.get(start..end).unwrap_or_default() });
            // What stands behind the marker on its line belongs to the document that it begins.
            (start, start_line) = (end + MARKER_LENGTH, line);
        }
        end += one.len();
        line += 1;
    }
    documents.push(Document { line: start_line, text: text.get(start..).unwrap_or_default() });
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
        let found: Vec<_> = documents(text).iter().map(|d| (d.line, d.text)).collect();
        let wanted =
            [(1, "a: 1\n"), (2, "\nb: |\n  ---\n  x\n"), (6, " # c\r\nc: 3\r\n"), (8, "\n---x: 1\n")];
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_byte_order_mark_is_no_text() {
        assert_eq!(documents("\u{feff}a: 1"), [Document { line: 1, text: "a: 1" }]);
    }
}
