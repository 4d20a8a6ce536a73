//! One document as a tree whose leaves know their bytes.

mod merge;

use std::collections::HashMap;
use std::iter;

use granit_parser::{Event, Span, StructureStyle};

use super::reader::{self, Kind, Node};
use super::reader::{is_other_type, node};
use granit_parser::{ScalarStyle, ScanError};

/// One document. Aliases of scalars lead to the scalar that they stand for; those of collections lead nowhere, so that
/// nothing is ever expanded, but for the few fields of an image that a mapping takes over by a merge key.
#[derive(Default)]
pub(super) struct Tree<'a> {
    scalars: Vec<Node<'a>>,
    root: Item,
}

/// A node of the tree, by its place in [`Tree::scalars`] where it is a scalar.
#[derive(Default)]
enum Item {
    Scalar(usize),
    Sequence(Vec<Item>),
    Mapping(Mapping),
    /// An alias of the collection with this anchor.
    Alias(usize),
    /// A value that is not there.
    #[default]
    Nothing,
}

/// Keys that are no scalars are left out, with their values.
#[derive(Default)]
struct Mapping {
    entries: Vec<(usize, Item)>,
    /// What it takes over from other mappings where it has no such key itself.
    merged: merge::Fields,
    is_flow: bool,
}

/// A node with the tree that it is in.
#[derive(Clone, Copy)]
pub(super) struct View<'t, 'a> {
    tree: &'t Tree<'a>,
    item: &'t Item,
}

/// Reads one document.
pub(super) fn read(text: &str) -> Result<Tree<'_>, ScanError> {
    let mut growing = Growing::default();
    for next in reader::events(text) {
        let (event, span) = next?;
        growing.take(event, &span);
    }
    Ok(Tree { scalars: growing.scalars, root: growing.root })
}

/// A tree that is not whole yet.
#[derive(Default)]
struct Growing<'a> {
    scalars: Vec<Node<'a>>,
    anchors: HashMap<usize, usize>,
    /// The fields of mappings with an anchor.
    mappings: HashMap<usize, merge::Fields>,
    open: Vec<Open>,
    root: Item,
}

/// A collection whose end was not seen yet.
enum Open {
    Sequence(Vec<Item>),
    Mapping {
        mapping: Mapping,
        /// The key whose value comes next; within it, `None` for a key that is no scalar.
        key: Option<Option<usize>>,
        /// Its anchor; 0 where it has none.
        anchor: usize,
    },
}

impl<'a> Growing<'a> {
    fn take(&mut self, event: Event<'a>, span: &Span) {
        match event {
            Event::Scalar(value, style, anchor, tag) => {
                let kind = Kind::Scalar { value, style, is_typed: tag.as_deref().is_some_and(is_other_type) };
                // A value that is not there has no bytes.
                let item = node(kind, false, span).map_or(Item::Nothing, |node| {
                    self.scalars.push(node);
                    Item::Scalar(self.scalars.len() - 1)
                });
                if let (Item::Scalar(index), true) = (&item, anchor > 0) {
                    self.anchors.insert(anchor, *index);
                }
                self.put(item);
            }
            Event::Alias(anchor) => {
                let item =
                    self.anchors.get(&anchor).map_or(Item::Alias(anchor), |index| Item::Scalar(*index));
                self.put(item);
            }
            Event::SequenceStart(..) => self.open.push(Open::Sequence(Vec::new())),
            Event::MappingStart(style, anchor, _) => {
                let mapping = Mapping { is_flow: style == StructureStyle::Flow, ..Mapping::default() };
                self.open.push(Open::Mapping { mapping, key: None, anchor });
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::Sequence(items)) => self.put(Item::Sequence(items)),
                Some(Open::Mapping { mapping, anchor, .. }) => {
                    let mapping = self.merge(mapping, anchor);
                    self.put(Item::Mapping(mapping));
                }
                None => {}
            },
            _ => {}
        }
    }

    /// Gives a mapping that is whole what it takes over, and keeps what others may take over from it.
    fn merge(&mut self, mut mapping: Mapping, anchor: usize) -> Mapping {
        let of_anchor = |anchor| self.mappings.get(&anchor).map(Vec::as_slice).unwrap_or_default();
        mapping.merged = merge::merged(&self.scalars, &mapping, &of_anchor);
        if anchor > 0 {
            self.mappings.insert(anchor, merge::fields_of(&self.scalars, &mapping));
        }
        mapping
    }

    fn put(&mut self, item: Item) {
        match self.open.last_mut() {
            None => self.root = item,
            Some(Open::Sequence(items)) => items.push(item),
            Some(Open::Mapping { mapping, key, .. }) => match key.take() {
                None => {
                    *key = Some(match item {
                        Item::Scalar(index) => Some(index),
                        Item::Sequence(_) | Item::Mapping(_) | Item::Alias(_) | Item::Nothing => None,
                    });
                }
                Some(Some(key)) => mapping.entries.push((key, item)),
                Some(None) => {}
            },
        }
    }
}

impl Item {
    /// The same, where it is no collection.
    const fn leaf(&self) -> Self {
        match self {
            Self::Scalar(index) => Self::Scalar(*index),
            Self::Sequence(_) | Self::Mapping(_) | Self::Alias(_) | Self::Nothing => Self::Nothing,
        }
    }
}

impl<'a> Tree<'a> {
    pub(super) const fn root(&self) -> View<'_, 'a> {
        View { tree: self, item: &self.root }
    }
}

impl<'t, 'a> View<'t, 'a> {
    /// The value of a key; the last one, where the mapping has the key several times. Where it has none, the one that it
    /// takes over by a merge key.
    pub(super) fn get(self, key: &str) -> Option<Self> {
        let own = self.entries().filter(|(name, _)| *name == key).map(|(_, value)| value).last();
        own.or_else(|| {
            let Item::Mapping(Mapping { merged, .. }) = self.item else { return None };
            let (_, item) = merged.iter().find(|(name, _)| *name == key)?;
            Some(View { tree: self.tree, item })
        })
    }

    /// The key itself.
    pub(super) fn key(self, name: &str) -> Option<&'t Node<'a>> {
        let entries = match self.item {
            Item::Mapping(mapping) => mapping.entries.as_slice(),
            Item::Scalar(_) | Item::Sequence(_) | Item::Alias(_) | Item::Nothing => &[],
        };
        let mut keys = entries.iter().filter_map(|(key, _)| self.tree.scalars.get(*key));
        keys.rfind(|key| key.text() == Some(name))
    }

    /// The value at the end of a path of keys.
    pub(super) fn at(self, path: &[&str]) -> Option<Self> {
        path.iter().try_fold(self, |view, key| view.get(key))
    }

    /// The scalar's bytes and meaning.
    pub(super) fn scalar(self) -> Option<&'t Node<'a>> {
        match self.item {
            Item::Scalar(index) => self.tree.scalars.get(*index),
            Item::Sequence(_) | Item::Mapping(_) | Item::Alias(_) | Item::Nothing => None,
        }
    }

    /// What a scalar means, without its quotes.
    pub(super) fn text(self) -> Option<&'t str> {
        self.scalar().and_then(Node::text)
    }

    /// The text of a key's value.
    pub(super) fn text_of(self, key: &str) -> Option<&'t str> {
        self.get(key).and_then(Self::text)
    }

    /// Keys and values of a mapping, in the order of the text.
    pub(super) fn entries(self) -> impl Iterator<Item = (&'t str, Self)> {
        let entries = match self.item {
            Item::Mapping(mapping) => mapping.entries.as_slice(),
            Item::Scalar(_) | Item::Sequence(_) | Item::Alias(_) | Item::Nothing => &[],
        };
        entries.iter().filter_map(move |(key, item)| {
            let key = self.tree.scalars.get(*key).and_then(Node::text)?;
            Some((key, View { tree: self.tree, item }))
        })
    }

    /// The items of a sequence.
    pub(super) fn items(self) -> impl ExactSizeIterator<Item = Self> {
        let items = match self.item {
            Item::Sequence(items) => items.as_slice(),
            Item::Scalar(_) | Item::Mapping(_) | Item::Alias(_) | Item::Nothing => &[],
        };
        items.iter().map(move |item| View { tree: self.tree, item })
    }

    /// This and all that lies below it, each before what it holds.
    pub(super) fn everything(self) -> impl Iterator<Item = Self> {
        let mut left = vec![self];
        iter::from_fn(move || {
            let view = left.pop()?;
            left.extend(view.items());
            left.extend(view.entries().map(|(_, value)| value));
            Some(view)
        })
    }

    /// Whether the mapping is written as `{a: b}`.
    pub(super) const fn is_flow(self) -> bool {
        matches!(self.item, Item::Mapping(Mapping { is_flow: true, .. }))
    }
}

impl Node<'_> {
    /// What a scalar means, without its quotes; `None` for an alias.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Alias => None,
            Kind::Scalar { value, .. } => Some(value),
        }
    }

    /// Whether a scalar is a string that is written as it is, behind `|`.
    pub(super) fn is_literal(&self) -> bool {
        matches!(self.kind, Kind::Scalar { style: ScalarStyle::Literal, is_typed: false, .. })
    }

    /// Whether a reader takes the scalar for nothing: an empty string, `~`, `null`.
    pub(super) fn is_empty(&self) -> bool {
        match &self.kind {
            Kind::Alias => false,
            Kind::Scalar { value, style, .. } => {
                value.trim().is_empty() || (*style == ScalarStyle::Plain && reader::is_null(value))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_values_by_key_in_every_notation() {
        let tree = read("a: {'b': [1, {c: x}]}\n? d\n: - \"e\"\n  - f: [g]\n? [k]\n: v\nz:\n").unwrap();
        let root = tree.root();
        let c = root.at(&["a", "b"]).unwrap().items().last().unwrap();
        assert_eq!((c.text_of("c"), c.is_flow(), root.is_flow()), (Some("x"), true, false));
        let d: Vec<_> = root.get("d").unwrap().items().collect();
        assert_eq!(d[0].text(), Some("e"));
        assert_eq!(d[1].get("f").unwrap().items().next().unwrap().text(), Some("g"));
        assert!(root.get("z").unwrap().text().is_none() && root.get("k").is_none());
        assert_eq!(root.entries().map(|(key, _)| key).collect::<Vec<_>>(), ["a", "d", "z"]);
    }

    #[test]
    fn an_alias_leads_to_its_scalar_and_never_into_a_collection() {
        let text = "a: &x v1\nb: *x\nc: &y {d: e}\nf: *y\n";
        let tree = read(text).unwrap();
        let b = tree.root().get("b").unwrap().scalar().unwrap();
        assert_eq!(text.get(b.span.clone()), Some("v1"));
        assert_eq!(tree.root().get("f").unwrap().entries().count(), 0);
    }

    #[test]
    fn a_merge_key_gives_what_a_mapping_does_not_have_itself() {
        let text = "a: &a {tag: '1', digest: x, env: [b]}\nb: &b {sha: y, digest: z, <<: *a}\n\
                    c: {<<: *b, tag: '2', sha:}\nd: {<<: [*a, *b]}\ne: {<<: {tag: '3'}, '<<': *a}\nf: {<<: *f, g: h}\n";
        let text = text.replace("f: {<<: *f", "f: &f {<<: *a");
        let tree = read(&text).unwrap();
        let of = |name| {
            let view = tree.root().get(name).unwrap();
            ["tag", "digest", "sha", "env"].map(|key| view.text_of(key))
        };
        assert_eq!(of("b"), [Some("1"), Some("z"), Some("y"), None]);
        assert_eq!(of("c"), [Some("2"), Some("z"), None, None]);
        assert_eq!(of("d"), [Some("1"), Some("x"), Some("y"), None]);
        assert_eq!(of("e"), [Some("3"), None, None, None]);
        assert_eq!(of("f"), [Some("1"), Some("x"), None, None]);
    }

    #[test]
    fn a_bomb_of_merges_is_read_in_no_time() {
        let fields = "image: a, tag: b, digest: c";
        let mut text = format!("a0: &a0 {{{fields}}}\n");
        for level in 1..10_000 {
            let before = level - 1;
            text.push_str(&format!("a{level}: &a{level} {{<<: [*a{before}, *a{before}], x: y}}\n"));
        }
        let tree = read(&text).unwrap();
        assert_eq!(tree.root().at(&["a9999", "digest"]).unwrap().text(), Some("c"));
    }

    #[test]
    fn the_last_of_several_equal_keys_counts() {
        assert_eq!(read("a: 1\na: 2\n").unwrap().root().text_of("a"), Some("2"));
    }
}
