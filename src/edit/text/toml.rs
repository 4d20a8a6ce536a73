//! The strings of a TOML document.

use std::ops::Range;

use toml_edit::{Document, Item, TableLike, Value};

use super::walk::Walk;
use super::{Leaf, Step, Unreadable};
use crate::edit::Style;

pub(super) fn leaves(text: &str) -> Result<Vec<Leaf>, Unreadable> {
    let mut walk = Walk::of(text);
    let document = Document::parse(walk.text())
        .map_err(|error| walk.unreadable(error.span().map_or(0, |span| span.start), error.message()))?;
    walk_table(&mut walk, document.as_table());
    Ok(walk.into_leaves())
}

fn walk_table(walk: &mut Walk<'_>, table: &dyn TableLike) {
    for (key, item) in table.iter() {
        walk.within([Step::Key(key.to_owned())], |walk| walk_item(walk, item));
    }
}

fn walk_item(walk: &mut Walk<'_>, item: &Item) {
    match item {
        Item::None => {}
        Item::Value(value) => walk_value(walk, value),
        Item::Table(table) => walk_table(walk, table),
        Item::ArrayOfTables(tables) => walk.each(tables.iter(), |walk, table| walk_table(walk, table)),
    }
}

fn walk_value(walk: &mut Walk<'_>, value: &Value) {
    match value {
        Value::String(string) => {
            if let Some(span) = value.span() {
                take(walk, span, string.value());
            }
        }
        Value::Array(array) => walk.each(array.iter(), walk_value),
        Value::InlineTable(table) => walk_table(walk, table),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {}
    }
}

/// Strings in three quotes are no versions: they keep their quotes, so that they are not taken for one.
fn take(walk: &mut Walk<'_>, span: Range<usize>, string: &str) {
    let Some(written) = walk.text().get(span.clone()) else { return };
    let is_long = written.starts_with("\"\"\"") || written.starts_with("'''");
    let style = if written.starts_with('\'') { Style::SingleQuoted } else { Style::DoubleQuoted };
    walk.take(if is_long { written } else { string }, span, style);
}
