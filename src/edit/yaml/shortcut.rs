//! The shape that nearly every manifest has, read without the parser and at a tenth of its cost.
//!
//! That is block mappings and sequences of scalars of one line, in ASCII. Whatever else a document holds, and whatever
//! is out of order in it, makes this `None`, and the parser has the word. Where this gives a reading it is the parser's,
//! node by node: the tests below hold the two against each other.

use std::borrow::Cow;

use granit_parser::ScalarStyle;
use memchr::{memchr, memchr_iter};

use super::reader::{Comment, Kind, Node, Reading};

/// Deeper documents are the parser's.
const MAX_DEPTH: usize = 64;

/// Longer keys are the parser's; from 1024 bytes on they are no keys (YAML 1.2.2, 7.4.2).
const MAX_KEY_BYTES: usize = 256;

/// Reads one document, where it has the shape.
pub(super) fn read(text: &str) -> Option<Reading<'_>> {
    // Without an early end, which lets many bytes be looked at in one step.
    let fits = |byte| byte == b'\n' || (b' '..=b'~').contains(&byte);
    if !text.bytes().fold(true, |all, byte| all & fits(byte)) {
        return None;
    }
    let mut document = Document::default();
    let (mut start, mut number) = (0, 1);
    // A manifest has about a key and a value in twenty bytes.
    document.reading.nodes.reserve(text.len() / 16);
    for end in memchr_iter(b'\n', text.as_bytes()).chain([text.len()]) {
        document.take(&Line { text: text.get(start..end)?, start, number })?;
        (start, number) = (end + 1, number + 1);
    }
    Some(document.reading)
}

/// A line of the document.
struct Line<'a> {
    text: &'a str,
    /// Where it begins in the document, in bytes.
    start: usize,
    /// From 1.
    number: usize,
}

/// The document as far as it was read.
#[derive(Default)]
struct Document<'a> {
    reading: Reading<'a>,
    /// The collections around the place, the innermost last, each with its column.
    open: Vec<(Collection, usize)>,
    has_start: bool,
    /// Whether the last line ended in a key, whose value may stand on the next.
    is_waiting: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Collection {
    Mapping,
    Sequence,
}

impl<'a> Document<'a> {
    fn take(&mut self, line: &Line<'a>) -> Option<()> {
        if line.text == "---" {
            let is_first = self.open.is_empty() && !self.has_start;
            self.has_start = true;
            return is_first.then_some(());
        }
        let mut rest = without_spaces(line.text);
        if rest.is_empty() || rest.starts_with('#') {
            self.comment(line, rest);
            return Some(());
        }
        let mut is_behind_dash = false;
        while let Some(behind) = rest.strip_prefix("- ") {
            self.enter(Collection::Sequence, column(line, rest), is_behind_dash)?;
            is_behind_dash = true;
            rest = without_spaces(behind);
        }
        if let Some((key, behind)) = split_key(rest) {
            self.enter(Collection::Mapping, column(line, rest), is_behind_dash)?;
            self.node(line, rest, key.len(), key, ScalarStyle::Plain, true);
            rest = without_spaces(behind);
            self.is_waiting = rest.is_empty() || rest.starts_with('#');
            if self.is_waiting {
                self.comment(line, rest);
                return Some(());
            }
        } else if !is_behind_dash {
            return None;
        }
        let behind = self.scalar(line, rest)?;
        let comment = without_spaces(behind);
        if !comment.is_empty() && (!comment.starts_with('#') || comment.len() == behind.len()) {
            return None;
        }
        self.comment(line, comment);
        Some(())
    }

    /// Goes to the collection of which an entry begins in this column.
    fn enter(&mut self, kind: Collection, column: usize, is_behind_dash: bool) -> Option<()> {
        let is_waiting = std::mem::take(&mut self.is_waiting);
        let opens = match self.open.last() {
            None => column == 0,
            Some(_) if is_behind_dash => true,
            // A sequence may stand in the column of its key.
            Some(&(around, at)) => {
                is_waiting
                    && (column > at || (column == at && kind != around && around == Collection::Mapping))
            }
        };
        if opens {
            self.open.push((kind, column));
            return (self.open.len() <= MAX_DEPTH).then_some(());
        }
        while self.open.last().is_some_and(|&(_, at)| at > column) {
            self.open.pop();
        }
        if kind == Collection::Mapping && self.open.last() == Some(&(Collection::Sequence, column)) {
            self.open.pop();
        }
        (self.open.last() == Some(&(kind, column))).then_some(())
    }

    /// Takes the value at the beginning of `rest`, and gives what stands behind it.
    fn scalar(&mut self, line: &Line<'a>, rest: &'a str) -> Option<&'a str> {
        if let Some(behind) = rest.strip_prefix("{}").or_else(|| rest.strip_prefix("[]")) {
            return Some(behind);
        }
        for (quote, style) in [('"', ScalarStyle::DoubleQuoted), ('\'', ScalarStyle::SingleQuoted)] {
            let Some(quoted) = rest.strip_prefix(quote) else { continue };
            let (value, behind) = quoted.split_once(quote)?;
            if value.contains('\\') {
                return None;
            }
            self.node(line, rest, value.len() + 2, value, style, false);
            return Some(behind);
        }
        let value = before_comment(rest).trim_end_matches(' ');
        if !is_plain(value) {
            return None;
        }
        self.node(line, rest, value.len(), value, ScalarStyle::Plain, false);
        rest.get(value.len()..)
    }

    fn node(
        &mut self,
        line: &Line<'a>,
        rest: &str,
        length: usize,
        value: &'a str,
        style: ScalarStyle,
        is_key: bool,
    ) {
        let start = line.start + column(line, rest);
        self.reading.nodes.push(Node {
            kind: Kind::Scalar { value: Cow::Borrowed(value), style, is_typed: false },
            is_key,
            span: start..start + length,
            lines: (line.number, line.number),
        });
    }

    fn comment(&mut self, line: &Line<'a>, rest: &'a str) {
        if !rest.is_empty() {
            let start = line.start + column(line, rest);
            self.reading.comments.push(Comment { text: rest, start, line: line.number });
        }
    }
}

/// Where the rest of a line begins in it.
const fn column(line: &Line<'_>, rest: &str) -> usize {
    line.text.len() - rest.len()
}

fn without_spaces(text: &str) -> &str {
    let spaces = text.bytes().take_while(|byte| *byte == b' ').count();
    text.get(spaces..).unwrap_or_default()
}

/// A plain scalar with the spaces behind it; a comment begins with `#` behind a space.
fn before_comment(text: &str) -> &str {
    let mut before = memchr_iter(b'#', text.as_bytes()).filter_map(|at| text.get(..at));
    before.find(|before| before.ends_with(' ')).unwrap_or(text)
}

/// A key and what stands behind its colon. `sops` is none: what it means for a document is for the parser.
fn split_key(text: &str) -> Option<(&str, &str)> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'/' | b'-');
    let (key, behind) = text.split_at_checked(text.bytes().take_while(is_part).count())?;
    let behind = behind.strip_prefix(':')?;
    let is_key = !key.is_empty() && !key.starts_with('-') && key.len() <= MAX_KEY_BYTES && key != "sops";
    (is_key && (behind.is_empty() || behind.starts_with(' '))).then_some((key, behind))
}

/// Whether a text without a comment is a plain scalar in block context (YAML 1.2.2, 7.3.3), of those that need no second
/// look.
fn is_plain(text: &str) -> bool {
    let begins_well = match text.strip_prefix('-') {
        Some(behind) => behind.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-'),
        None => text.starts_with(|c: char| {
            c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '$' | '(' | '+')
        }),
    };
    let splits = |at| text.as_bytes().get(at + 1).is_none_or(|next| *next == b' ');
    begins_well && memchr(b'#', text.as_bytes()).is_none() && !memchr_iter(b':', text.as_bytes()).any(splits)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use proptest::prelude::*;

    use super::super::{document, reader};
    use super::*;

    /// Whether the shortcut reads the document; it must not read it in another way than the parser.
    fn reads(text: &str) -> bool {
        let short = read(text);
        if let Some(short) = &short {
            match reader::read(text) {
                Ok(long) => assert_eq!(short, &long, "{text}"),
                Err(error) => panic!("the parser takes no {text:?}: {error}"),
            }
        }
        short.is_some()
    }

    #[test]
    fn reads_what_most_files_hold() {
        for text in [
            include_str!("../../../tests/support/infra_repo/app.yaml").split("---\n").next().unwrap(),
            "---\n# a\na: b # c\n",
            "a:\n- b\n- c: d\n  e:\n  - f\n  g: {}\nh: []\ni:\nj: 'k: # l' # m\n",
            "- a\n- - b\n  - c\n-   d: e\n    f: \"g\"\n",
            "a: b:c d-e --f x, y [z] # # {}\nb: -1\nc: --flag\nd: a - b\ne: $(X)\n",
            "a:\n  # b\n\n    # c\n  d: e\n # f\ng:\n  h:\ni: j",
            "# nothing\n",
            "",
        ] {
            assert!(reads(text), "{text}");
        }
    }

    #[test]
    fn leaves_the_rest_to_the_parser() {
        for text in [
            "a:\tb\n",
            "a: b\r\n",
            "é: b\n",
            "a: |\n  b\n",
            "a: &b c\n",
            "a: *b\n",
            "a: !b c\n",
            "a: {b: c}\n",
            "a: b\n  c\n",
            "a: b\n  c: d\n",
            "a:\n    b: c\n  d: e\n",
            "a:\nb\n",
            "'a': b\n",
            "a : b\n",
            "a: b: c\n",
            "a: b:\n",
            "a: - b\n",
            "-\n",
            "- # b\n",
            "? a\n: b\n",
            "<<: a\n",
            "a: b#c\n",
            "a: \"b\\n\"\n",
            "a: 'b''c'\n",
            "a: 'b'#c\n",
            "a: {}#c\n",
            "a: 'b\n",
            "a: 'b': c\n",
            "%YAML 1.2\n---\na: b\n",
            "a: b\n---\n",
            "---\n---\n",
            "--- a\n",
            "...\n",
            "a: b\n- c\n",
            "- a\nb: c\n",
            " a: b\n",
            "sops: a\n",
            "a:\n  b: c\n- d\n",
            "a: @b\n",
            "a: `b\n",
            "a: %b\n",
            "a: ?\n",
            "a: -\n",
            "{{ a }}\n",
            "a: {{ b }}\n",
        ] {
            assert!(!reads(text), "{text}");
        }
    }

    #[test]
    fn reads_every_fixture_as_the_parser_does() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/edit");
        for case in
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir())
        {
            for file in fs::read_dir(case).unwrap() {
                let text = fs::read_to_string(file.unwrap().path()).unwrap();
                for document in document::split(&text) {
                    reads(document.text);
                }
            }
        }
    }

    /// One line, more often in order than not.
    fn line() -> impl Strategy<Value = String> {
        let indent =
            prop_oneof![6 => Just(0), 6 => Just(2), 4 => Just(4), 1 => Just(6), 1 => Just(1), 1 => Just(3)];
        let dashes =
            prop_oneof![6 => Just(""), 4 => Just("- "), 1 => Just("- - "), 1 => Just("-   "), 1 => Just("-")];
        let key = prop_oneof![
            12 => "[a-c]", 1 => Just("a.b/c-d".to_owned()), 1 => Just("1".to_owned()), 1 => Just("null".to_owned()),
            1 => Just("a b".to_owned()), 1 => Just("'a'".to_owned()), 1 => Just("sops".to_owned()),
        ];
        let colon =
            prop_oneof![12 => Just(":"), 6 => Just(": "), 1 => Just(":   "), 1 => Just(" : "), 1 => Just("")];
        let value = prop_oneof![
            6 => Just(String::new()),
            6 => "[a-z0-9./:-]{1,8}",
            3 => prop::sample::select(vec![
                "{}", "[]", "'a: # b'", "\"a # b\"", "a b", "-1", "--a", "---", "...", ".", "/", "$a", "(a)", "+", "a: b",
                "a:", "- a", "-", "~", "{a}", "[a", "|", ">-", "&a", "*a", "!a", "!!str a", "'a''b'", "\"a\\\"b\"", "a#b",
                "?", "? a", "a ? b", ":a", "a::b", "a, b", "a]", "a}", "@a", "`a", "%a", "=", "<<", "a\"b", "a'b", "\t",
            ]).prop_map(str::to_owned),
            1 => "[ -~]{0,6}",
        ];
        let comment = prop_oneof![
            8 => Just(""), 2 => Just(" # x"), 1 => Just("   # {\"$imagepolicy\": \"a:b\"}  "), 1 => Just("# x"), 1 => Just(" #"),
            1 => Just("  ")
        ];
        let entry = (dashes, key, colon, value.clone(), comment.clone())
            .prop_map(|(dashes, key, colon, value, comment)| format!("{dashes}{key}{colon}{value}{comment}"));
        let body = prop_oneof![
            10 => entry,
            3 => (value, comment).prop_map(|(value, comment)| format!("- {value}{comment}")),
            1 => Just("# x".to_owned()),
            1 => Just(String::new()),
            1 => prop::sample::select(vec!["---", "...", "--- a", "--- # x", "- ", "-"]).prop_map(str::to_owned),
        ];
        (indent, body).prop_map(|(indent, body)| format!("{:indent$}{body}", ""))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn says_what_the_parser_says(lines in prop::collection::vec(line(), 1..9), ends in any::<bool>()) {
            let text = lines.join("\n") + if ends { "\n" } else { "" };
            reads(&text);
        }
    }
}
