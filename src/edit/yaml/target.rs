//! Which scalar a marker marks.

use std::ops::Range;

use granit_parser::ScalarStyle;
use memchr::memchr;

use super::reader::{Comment, Kind, Node, Reading, is_null};
use crate::edit::fit::{Fit, fit};
use crate::edit::{Part, ProblemReason, Style, marker};
use crate::image::Digest;

/// How SOPS begins a value that it has encrypted.
pub(in crate::edit) const SOPS_VALUE: &str = "ENC[AES256_GCM,";

/// What is said of such a value.
pub(in crate::edit) const ENCRYPTED: &str =
    "the value is encrypted with SOPS, or covered by its checksum; move it to a file that is not";

/// The scalar that a marker marks.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub(super) value: &'a str,
    pub(super) style: Style,
    /// Its bytes in the document, quotes included.
    pub(super) span: Range<usize>,
}

/// Why a marker marks nothing that a version can be written to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoTarget {
    #[error("the marker stands on a line of its own; put it behind the value, on the value's line")]
    OwnLine,
    #[error("there is no value before the marker on its line; put it directly behind a value on one line")]
    Nothing,
    #[error("the value is an alias; put the marker behind the value that it stands for")]
    Alias,
    #[error("the value is a block scalar; write it on the line of its key")]
    Block,
    #[error("the value spans several lines; write it on one line")]
    SeveralLines,
    #[error("the value is empty; write a first version, which is lifted from then on")]
    Empty,
    #[error("the value is a template; put the marker behind a value that is written out")]
    Template,
    #[error("the value has a tag that makes it something other than a string; remove the tag or write !!str")]
    Typed,
    #[error("{ENCRYPTED}")]
    Encrypted,
    #[error(
        "the marker belongs to the last value before it, {last:?}, but another on the line is rather a {part}; put that one last or on a line of its own"
    )]
    Unfit { last: String, part: Part },
}

impl NoTarget {
    pub(super) const fn reason(&self) -> ProblemReason {
        match self {
            Self::Encrypted => ProblemReason::Encrypted,
            Self::Unfit { .. } => ProblemReason::Ambiguous,
            Self::Nothing
            | Self::OwnLine
            | Self::Alias
            | Self::Block
            | Self::SeveralLines
            | Self::Empty
            | Self::Template
            | Self::Typed => ProblemReason::NoValue,
        }
    }
}

/// The text of the comment's line before the comment.
pub(super) fn line_before<'a>(text: &'a str, comment: &Comment<'_>) -> &'a str {
    let before = text.get(..comment.start).unwrap_or_default();
    let line = before.rfind(['\n', '\r']).map_or(before, |end| before.get(end + 1..).unwrap_or_default());
    line.trim_start_matches('\u{feff}')
}

/// The scalar that a marker in `comment` marks: the last value before it on its line. In a flow collection that has
/// several values on the line this is the last of them.
pub(super) fn marked<'a>(
    text: &str,
    reading: &'a Reading<'a>,
    comment: &Comment<'_>,
    part: Part,
) -> Result<Target<'a>, NoTarget> {
    let line = line_before(text, comment);
    if line.trim().is_empty() {
        return Err(NoTarget::OwnLine);
    }
    if opens_block_scalar(line) {
        return Err(NoTarget::Block);
    }
    let end = reading.nodes.partition_point(|node| node.span.start < comment.start);
    let before = reading.nodes.get(..end).unwrap_or_default();
    let last = before.last().ok_or(NoTarget::Nothing)?;
    let between = text.get(last.span.end..comment.start).unwrap_or_default();
    let is_directly_before = between.bytes().all(|b| b" \t,]}".contains(&b));
    if last.is_key || !is_directly_before {
        // A plain `{{ x }}` is a mapping in a mapping to YAML, with no value in it.
        return Err(if line.contains("{{") { NoTarget::Template } else { NoTarget::Nothing });
    }
    let target = target(last)?;
    if reading.is_encrypted || target.value.starts_with(SOPS_VALUE) {
        return Err(NoTarget::Encrypted);
    }
    let mut fits = fits(part, before).take_while(|(node, _)| node.lines.1 == comment.line);
    let last_fit = fits.next().map_or(Fit::No, |(_, fit)| fit);
    if fits.any(|(_, fit)| fit > last_fit) {
        return Err(NoTarget::Unfit { last: target.value.to_owned(), part });
    }
    Ok(target)
}

/// Whether the line ends in `|`, `>` and their indicators (YAML 1.2.2, 8.1.1): the scalar itself begins a line below.
fn opens_block_scalar(line: &str) -> bool {
    let last_word = line.trim_end().rsplit([' ', '\t']).next().unwrap_or_default();
    last_word.starts_with(['|', '>'])
        && last_word.chars().skip(1).all(|c| c == '+' || c == '-' || c.is_ascii_digit())
}

pub(super) fn target<'a>(node: &'a Node<'_>) -> Result<Target<'a>, NoTarget> {
    let (value, style) = match &node.kind {
        Kind::Alias => return Err(NoTarget::Alias),
        Kind::Scalar { is_typed: true, .. } => return Err(NoTarget::Typed),
        Kind::Scalar { value, style, .. } => (value.as_ref(), *style),
    };
    if node.lines.0 != node.lines.1 {
        return Err(NoTarget::SeveralLines);
    }
    if value.trim().is_empty() || (style == ScalarStyle::Plain && is_null(value)) {
        return Err(NoTarget::Empty);
    }
    // `${…}` is how Flux's postBuild substitution and envsubst write a variable.
    if value.contains("{{") || value.contains("${") {
        return Err(NoTarget::Template);
    }
    let style = match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted => Style::SingleQuoted,
        ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
        ScalarStyle::Literal | ScalarStyle::Folded => return Err(NoTarget::Block),
    };
    Ok(Target { value, style, span: node.span.clone() })
}

/// Whether a plain scalar holds what was meant as a marker behind it: a comment begins only behind a space.
pub(super) fn swallows_marker(node: &Node<'_>) -> bool {
    match &node.kind {
        Kind::Scalar { value, style: ScalarStyle::Plain, .. } => memchr(b'#', value.as_bytes())
            .and_then(|at| value.get(at + 1..))
            .is_some_and(|behind| marker::read(behind, true).is_some()),
        Kind::Scalar { .. } | Kind::Alias => false,
    }
}

/// Whether a value is a digest. Grafana's charts, and others like them, write it without its algorithm.
pub(super) fn is_digest(node: &Node<'_>) -> bool {
    node.text().is_some_and(|text| Digest::parse(text).is_ok() || Digest::is_hex(text))
}

/// How well each node fits a part, from the last to the first. A key fits none.
fn fits<'n, 'a>(part: Part, nodes: &'n [Node<'a>]) -> impl Iterator<Item = (&'n Node<'a>, Fit)> {
    let keys = nodes.iter().rev().skip(1).map(|node| node.text().filter(|_| node.is_key));
    nodes.iter().rev().zip(keys.chain([None])).map(move |(node, key)| match &node.kind {
        Kind::Scalar { value, .. } if !node.is_key => (node, fit(part, key, value)),
        Kind::Scalar { .. } | Kind::Alias => (node, Fit::No),
    })
}
