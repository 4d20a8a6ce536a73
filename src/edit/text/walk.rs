//! The way through a parsed document to its leaves.

use std::ops::Range;

use super::{Leaf, Step, Unreadable};
use crate::edit::Style;

/// What was found in a document so far, and where the walk is.
pub(super) struct Walk<'a> {
    /// Without a byte order mark: no format has one (as TOML 1.0 says in "Spec"), but editors write it.
    text: &'a str,
    /// What the mark takes, in bytes.
    offset: usize,
    leaves: Vec<Leaf>,
    path: Vec<Step>,
}

impl<'a> Walk<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let bare = text.trim_start_matches('\u{feff}');
        Self { text: bare, offset: text.len() - bare.len(), leaves: Vec::new(), path: Vec::new() }
    }

    /// The text to parse. All places in it that are given to the walk are of this text.
    pub(super) const fn text(&self) -> &'a str {
        self.text
    }

    /// Why the text has no leaves, with the place.
    pub(super) fn unreadable(&self, at: usize, problem: &str) -> Unreadable {
        Unreadable { at: self.offset + at, problem: problem.to_owned() }
    }

    /// Goes down by some steps, and comes back.
    pub(super) fn within(&mut self, steps: impl IntoIterator<Item = Step>, go: impl FnOnce(&mut Self)) {
        let depth = self.path.len();
        self.path.extend(steps);
        go(self);
        self.path.truncate(depth);
    }

    /// Goes down to each item of a list.
    pub(super) fn each<T>(&mut self, items: impl IntoIterator<Item = T>, go: impl Fn(&mut Self, T)) {
        for (index, item) in items.into_iter().enumerate() {
            self.within([Step::Index(index)], |walk| go(walk, item));
        }
    }

    pub(super) fn take(&mut self, value: &str, span: Range<usize>, style: Style) {
        let span = span.start + self.offset..span.end + self.offset;
        self.leaves.push(Leaf { path: self.path.clone(), value: value.to_owned(), span, style });
    }

    /// The leaves in the order of the text; a document may have its parts in another one.
    pub(super) fn into_leaves(mut self) -> Vec<Leaf> {
        self.leaves.sort_by_key(|leaf| leaf.span.start);
        self.leaves
    }
}
