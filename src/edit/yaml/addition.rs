//! A `newTag` beside the name of an image that has none.

use std::ops::Range;

use super::quote::written;
use crate::edit::Style;
use crate::edit::splice::Splice;

/// The key that is added.
pub(super) const KEY: &str = "newTag";

/// A line of its own behind the line of `name`, whose key gives the indentation. `None` where the text is not the one
/// that the name was found in, or indents with tabs.
pub(super) fn to_block(text: &str, name: &Range<usize>, value: &str) -> Option<Splice> {
    let before = text.get(..name.start)?;
    let line =
        before.get(before.rfind(['\n', '\r']).map_or(0, |end| end + 1)..)?.trim_start_matches('\u{feff}');
    let indent = line.len() - line.trim_start_matches([' ', '-']).len();
    if line.get(indent..)?.starts_with('\t') {
        return None;
    }
    let behind = text.get(name.end..)?;
    let end = name.end + behind.find(['\n', '\r']).unwrap_or(behind.len());
    let line_end = line_end(text.get(end..)?).or_else(|| line_end(text.get(text.find(['\n', '\r'])?..)?));
    let line_end = line_end.unwrap_or("\n");
    let value = written(value, Style::AddedToBlock);
    Some(Splice { span: end..end, text: format!("{line_end}{:indent$}{KEY}: {value}", "") })
}

/// An entry behind that of `name`.
pub(super) fn to_flow(name: &Range<usize>, value: &str) -> Splice {
    let value = written(value, Style::AddedToFlow);
    Splice { span: name.end..name.end, text: format!(", {KEY}: {value}") }
}

fn line_end(text: &str) -> Option<&'static str> {
    ["\r\n", "\n", "\r"].into_iter().find(|end| text.starts_with(end))
}
