//! One document's scalars, aliases and comments, with their places in the text.

use std::borrow::Cow;
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag, options};

/// What a document holds, in the order of the text.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Reading<'a> {
    /// Scalars and aliases that have bytes of their own; a missing value has none.
    pub(super) nodes: Vec<Node<'a>>,
    /// The comments.
    pub(super) comments: Vec<Comment<'a>>,
    /// Whether SOPS vouches for the document: a top-level `sops` mapping holds a `mac` over its values.
    pub(super) is_encrypted: bool,
}

/// A scalar or an alias.
#[derive(Debug, PartialEq)]
pub(super) struct Node<'a> {
    pub(super) kind: Kind<'a>,
    /// Whether it is a mapping's key.
    pub(super) is_key: bool,
    /// Its bytes in the document, quotes included, anchor and tag not.
    pub(super) span: Range<usize>,
    /// The document's lines, from 1, on which it begins and ends.
    pub(super) lines: (usize, usize),
}

#[derive(Debug, PartialEq)]
pub(super) enum Kind<'a> {
    Alias,
    Scalar {
        value: Cow<'a, str>,
        style: ScalarStyle,
        /// Whether a tag such as `!!int` says that it is no string.
        is_typed: bool,
    },
}

/// A comment.
#[derive(Debug, PartialEq)]
pub(super) struct Comment<'a> {
    /// The comment with its `#`, without the line end.
    pub(super) text: &'a str,
    /// Where it begins in the document, in bytes.
    pub(super) start: usize,
    /// The document's line, from 1.
    pub(super) line: usize,
}

/// The events of a text. Aliases stay aliases, and nesting is capped at 255 levels by the parser.
pub(super) fn events(text: &str) -> Parser<'_, StrInput<'_>> {
    // A file has at most as many comments as bytes, and its size is capped.
    let comments = text.len();
    // YAML has keys of up to 1024 characters (1.2.2, 7.4), JSON of any length.
    let is_flow = text.trim_start_matches('\u{feff}').trim_start().starts_with(['{', '[']);
    let longest_key = if is_flow { text.len() } else { 1024 };
    Parser::new_from_str_with_options(
        text,
        options! { max_buffered_comment_events: comments, simple_key_max_lookahead: longest_key },
    )
}

/// Reads one document.
pub(super) fn read(text: &str) -> Result<Reading<'_>, ScanError> {
    let mut reading = Reading::default();
    let mut nesting = Nesting::default();
    for next in events(text) {
        let (event, span) = next?;
        match event {
            Event::Comment(..) => reading.comments.extend(comment(text, &span)),
            Event::Scalar(value, style, _, tag) => {
                let is_key = nesting.enter_scalar(&value);
                let kind = Kind::Scalar { value, style, is_typed: tag.as_deref().is_some_and(is_other_type) };
                reading.nodes.extend(node(kind, is_key, &span));
            }
            Event::Alias(_) => {
                let is_key = nesting.enter_alias();
                reading.nodes.extend(node(Kind::Alias, is_key, &span));
            }
            Event::MappingStart(..) => nesting.open_mapping(),
            Event::SequenceStart(..) => nesting.open_sequence(),
            Event::MappingEnd | Event::SequenceEnd => nesting.close(),
            _ => {}
        }
    }
    reading.is_encrypted = nesting.has_sops_mac;
    Ok(reading)
}

fn comment<'a>(text: &'a str, span: &Span) -> Option<Comment<'a>> {
    Some(Comment { text: span.slice(text)?, start: span.byte_range()?.start, line: span.start.line() })
}

pub(super) fn node<'a>(kind: Kind<'a>, is_key: bool, span: &Span) -> Option<Node<'a>> {
    let range = span.byte_range()?;
    (!range.is_empty()).then_some(Node {
        kind,
        is_key,
        span: range,
        lines: (span.start.line(), span.end.line()),
    })
}

/// Whether a plain scalar means nothing (YAML 1.2.2, 10.2.1.1).
pub(super) fn is_null(plain: &str) -> bool {
    plain == "~" || plain.eq_ignore_ascii_case("null")
}

/// Tags of YAML's own types but `!!str`. A tag of the user's, such as `!Ref`, says nothing about the type.
pub(super) fn is_other_type(tag: &Tag) -> bool {
    tag.suffix_in_namespace("tag:yaml.org,2002:").is_some_and(|name| name != "str")
}

/// Where in the document the reader is: which nodes are keys, and whether it is within the `sops` mapping.
#[derive(Default)]
struct Nesting {
    open: Vec<Collection>,
    /// Whether the last node was the key `sops` of the top-level mapping.
    is_behind_sops: bool,
    has_sops_mac: bool,
}

enum Collection {
    Sequence,
    Mapping { is_at_key: bool, is_sops: bool },
}

impl Nesting {
    /// Takes note of a node. Returns whether it is a key, and whether it is one in the `sops` mapping.
    fn enter(&mut self) -> (bool, bool) {
        match self.open.last_mut() {
            Some(Collection::Mapping { is_at_key, is_sops }) => {
                let is_key = *is_at_key;
                *is_at_key = !is_key;
                (is_key, is_key && *is_sops)
            }
            Some(Collection::Sequence) | None => (false, false),
        }
    }

    fn enter_scalar(&mut self, value: &str) -> bool {
        let (is_key, is_in_sops) = self.enter();
        self.has_sops_mac |= is_in_sops && value == "mac";
        self.is_behind_sops = is_key && self.open.len() == 1 && value == "sops";
        is_key
    }

    fn enter_alias(&mut self) -> bool {
        self.is_behind_sops = false;
        self.enter().0
    }

    fn open_mapping(&mut self) {
        self.enter();
        self.open
            .push(Collection::Mapping { is_at_key: true, is_sops: std::mem::take(&mut self.is_behind_sops) });
    }

    fn open_sequence(&mut self) {
        self.enter();
        self.is_behind_sops = false;
        self.open.push(Collection::Sequence);
    }

    fn close(&mut self) {
        self.open.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<(&str, bool)> {
        let nodes = read(text).unwrap().nodes;
        nodes.into_iter().map(|node| (text.get(node.span).unwrap(), node.is_key)).collect()
    }

    #[test]
    fn tells_keys_from_values_in_every_notation() {
        assert_eq!(
            values("a: 1\n'b': [c, {d: e, f}]\n? g\n: h\ni:\n- &x j\n- *x\n- {? k : l, m: }\n"),
            [
                ("a", true),
                ("1", false),
                ("'b'", true),
                ("c", false),
                ("d", true),
                ("e", false),
                ("f", true),
                ("g", true),
                ("h", false),
                ("i", true),
                ("j", false),
                ("*x", false),
                ("k", true),
                ("l", false),
                ("m", true),
            ]
        );
    }

    #[test]
    fn spans_are_bytes_also_behind_wide_characters_and_a_byte_order_mark() {
        let text = "\u{feff}é: {😀: \"ü\", b: v}\r\n# ß\r\nc: x # 漢\r\n";
        assert_eq!(
            values(text).iter().map(|(value, _)| *value).collect::<Vec<_>>(),
            ["é", "😀", "\"ü\"", "b", "v", "c", "x"]
        );
        let comments = read(text).unwrap().comments;
        let comments: Vec<_> =
            comments.iter().map(|c| (c.text, c.line, text.get(c.start..c.start + 1))).collect();
        assert_eq!(comments, [("# ß", 2, Some("#")), ("# 漢", 3, Some("#"))]);
    }

    #[test]
    fn a_key_of_json_may_be_long() {
        let key = "k".repeat(5_000);
        assert_eq!(values(&format!("{{\"{key}\": \"v\"}}")).len(), 2);
        assert!(read(&format!("{key}: v\n")).is_err());
    }

    #[test]
    fn sops_is_a_top_level_mapping_with_a_mac() {
        for (text, is_encrypted) in [
            ("a: b\nsops:\n  kms: []\n  mac: ENC[x]\n", true),
            ("{\"sops\": {\"mac\": \"x\"}}", true),
            ("a: b\nsops:\n  kms:\n    mac: x\n", false),
            ("sops: x\nmac: y\n", false),
            ("sops: x\ny:\n  mac: y\n", false),
            ("a:\n  sops:\n    mac: x\n", false),
            ("sops: [{mac: x}]\n", false),
            ("sops:\n  ? {mac: x}\n  : y\n", false),
            ("x: sops\ny: {mac: z}\n", false),
        ] {
            assert_eq!(read(text).unwrap().is_encrypted, is_encrypted, "{text}");
        }
    }

    #[test]
    fn takes_deep_nesting_and_alias_bombs_as_an_error_or_in_no_time() {
        assert!(read(&"[".repeat(100_000)).is_err());
        assert!(read(&"- ".repeat(100_000)).is_err());
        let mut bomb = "a0: &a0 x\n".to_owned();
        for level in 1..50 {
            let before = level - 1;
            bomb.push_str(&format!("a{level}: &a{level} [*a{before}, *a{before}]\n"));
        }
        assert_eq!(read(&bomb).unwrap().nodes.len(), 2 + 49 * 3);
    }
}
