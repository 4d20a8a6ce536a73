//! The strings of a TOML document.

use toml_edit::{Document, Item, TableLike, Value};

use super::{Leaf, Step, Unreadable};
use crate::edit::Style;

pub(super) fn leaves(text: &str) -> Result<Vec<Leaf>, Unreadable> {
    // A byte order mark is not TOML's (TOML 1.0, "Spec"), but editors write it.
    let bare = text.trim_start_matches('\u{feff}');
    let offset = text.len() - bare.len();
    let document = Document::parse(bare).map_err(|error| Unreadable {
        at: offset + error.span().map_or(0, |span| span.start),
        problem: error.message().to_owned(),
    })?;
    let mut walk = Walk { text: bare, offset, leaves: Vec::new(), path: Vec::new() };
    walk.table(document.as_table());
    // Tables may be written down in any order.
    walk.leaves.sort_by_key(|leaf| leaf.span.start);
    Ok(walk.leaves)
}

struct Walk<'a> {
    text: &'a str,
    offset: usize,
    leaves: Vec<Leaf>,
    path: Vec<Step>,
}

impl Walk<'_> {
    fn table(&mut self, table: &dyn TableLike) {
        for (key, item) in table.iter() {
            self.path.push(Step::Key(key.to_owned()));
            self.item(item);
            self.path.pop();
        }
    }

    fn item(&mut self, item: &Item) {
        match item {
            Item::None => {}
            Item::Value(value) => self.value(value),
            Item::Table(table) => self.table(table),
            Item::ArrayOfTables(tables) => {
                for (index, table) in tables.iter().enumerate() {
                    self.path.push(Step::Index(index));
                    self.table(table);
                    self.path.pop();
                }
            }
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::String(string) => self.leaves.extend(self.leaf(value, string.value())),
            Value::Array(array) => {
                for (index, value) in array.iter().enumerate() {
                    self.path.push(Step::Index(index));
                    self.value(value);
                    self.path.pop();
                }
            }
            Value::InlineTable(table) => self.table(table),
            Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {}
        }
    }

    /// Strings in three quotes are no versions: they keep their quotes, so that they are not taken for one.
    fn leaf(&self, value: &Value, string: &str) -> Option<Leaf> {
        let span = value.span()?;
        let written = self.text.get(span.clone())?;
        let is_long = written.starts_with("\"\"\"") || written.starts_with("'''");
        let string = if is_long { written } else { string };
        let style = if written.starts_with('\'') { Style::SingleQuoted } else { Style::DoubleQuoted };
        let span = span.start + self.offset..span.end + self.offset;
        Some(Leaf { path: self.path.clone(), value: string.to_owned(), span, style })
    }
}
