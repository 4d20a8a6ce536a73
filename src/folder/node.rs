//! A YAML document as a tree that knows where in the file each of its parts stands.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::Spanned;

/// A YAML value and its place. It has no `Debug`: it may be a Secret.
pub(super) struct Node {
    spot: Spot,
    content: Content,
}

/// A piece of one line of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spot {
    /// The line, from 1.
    pub line: u64,
    /// The columns in characters, from 1. They may reach beyond the end of the line, where a value goes on below it; empty
    /// where only the line is known.
    pub columns: Range<u64>,
}

enum Content {
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

struct Entry {
    key: String,
    spot: Spot,
    value: Node,
}

/// Why a document is no YAML.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub(super) struct InvalidYaml {
    /// Where the parser stopped.
    pub(super) spot: Spot,
    /// The parser's words, without the text around.
    pub(super) problem: String,
}

/// Where a document begins in its file.
#[derive(Clone, Copy)]
pub(super) struct Origin {
    /// The number of its first line, from 1.
    pub(super) line: u64,
    /// How many characters of that line come before it.
    pub(super) indent: u64,
}

impl Origin {
    /// A spot of the document as one of the file.
    fn shift(self, spot: &mut Spot) {
        if spot.line <= 1 {
            spot.columns = spot.columns.start + self.indent..spot.columns.end + self.indent;
        }
        spot.line += self.line.saturating_sub(1);
    }
}

impl Spot {
    fn of(location: serde_saphyr::Location) -> Self {
        let (column, length) = (location.column(), location.span().len());
        Self { line: location.line(), columns: column..column + length }
    }
}

impl Node {
    /// Reads one document. One without a value gives `None`.
    pub(super) fn read(text: &str, origin: Origin) -> Result<Option<Self>, InvalidYaml> {
        let options = serde_saphyr::options! { with_snippet: false };
        let mut node: Self = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let mut spot = error.location().map(Spot::of).unwrap_or(Spot { line: 1, columns: 0..0 });
            origin.shift(&mut spot);
            InvalidYaml { spot, problem: without_place(&error) }
        })?;
        node.shift(origin);
        Ok((!node.is_null()).then_some(node))
    }

    /// The value of a key of a map.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entries().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// The keys and values of a map.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &Self)> {
        let entries = match &self.content {
            Content::Map(entries) => entries.as_slice(),
            Content::Scalar(_) | Content::List(_) => &[],
        };
        entries.iter().map(|entry| (entry.key.as_str(), &entry.value))
    }

    /// The items of the list under a key of a map.
    pub(super) fn into_items(self, key: &str) -> Vec<Self> {
        let entries = match self.content {
            Content::Map(entries) => entries,
            Content::Scalar(_) | Content::List(_) => Vec::new(),
        };
        match entries.into_iter().find(|entry| entry.key == key).map(|entry| entry.value.content) {
            Some(Content::List(items)) => items,
            Some(Content::Scalar(_) | Content::Map(_)) | None => Vec::new(),
        }
    }

    /// The text of a string.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(value) => value.as_str(),
            Content::List(_) | Content::Map(_) => None,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.content, Content::Scalar(Value::Null))
    }

    pub(super) const fn line(&self) -> u64 {
        self.spot.line
    }

    /// Where a field such as `spec.avoid[2]` stands: a scalar by itself, a list or a map by its key. Where it is not there,
    /// the nearest thing around it that is.
    pub(super) fn spot_of(&self, field: &str) -> &Spot {
        let found = self.find(field);
        if found.is_scalar { found.value } else { found.key }
    }

    /// Where the key of a field stands, or an item of a list; that of the nearest thing around it where it is not there.
    pub(super) fn key_spot_of(&self, field: &str) -> &Spot {
        self.find(field).key
    }

    fn find(&self, field: &str) -> Found<'_> {
        let (mut node, mut key) = (self, &self.spot);
        let mut is_whole = true;
        for step in field.split(['.', '[']) {
            let inner = match (&node.content, step.strip_suffix(']')) {
                (Content::Map(entries), None) => {
                    entries.iter().find(|entry| entry.key == step).map(|entry| (&entry.spot, &entry.value))
                }
                (Content::List(items), Some(index)) => index
                    .parse()
                    .ok()
                    .and_then(|index: usize| items.get(index))
                    .map(|item| (&item.spot, item)),
                (Content::Map(_) | Content::List(_) | Content::Scalar(_), _) => None,
            };
            let Some(inner) = inner else {
                is_whole = false;
                break;
            };
            (key, node) = inner;
        }
        let is_scalar = is_whole && !node.is_null() && matches!(node.content, Content::Scalar(_));
        Found { key, value: &node.spot, is_scalar }
    }

    /// The value as the Kubernetes API would be given it.
    pub(super) fn to_json(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Content::Map(entries) => Value::Object(
                entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect(),
            ),
        }
    }

    fn shift(&mut self, origin: Origin) {
        origin.shift(&mut self.spot);
        match &mut self.content {
            Content::Scalar(_) => {}
            Content::List(items) => items.iter_mut().for_each(|item| item.shift(origin)),
            Content::Map(entries) => {
                for entry in entries {
                    origin.shift(&mut entry.spot);
                    entry.value.shift(origin);
                }
            }
        }
    }
}

/// What a path leads to.
struct Found<'n> {
    key: &'n Spot,
    value: &'n Spot,
    is_scalar: bool,
}

/// The parser's message without the place, which is told beside it.
fn without_place(error: &serde_saphyr::Error) -> String {
    let text = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
    let text = text.lines().next().unwrap_or_default();
    let end = text.rfind(" at line ").unwrap_or(text.len());
    text.get(..end).unwrap_or(text).to_owned()
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Content>::deserialize(deserializer)?;
        Ok(Self { spot: Spot::of(spanned.referenced), content: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Content, E> {
        Ok(Content::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Content, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Content, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Content::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content, A::Error> {
        let mut entries: Vec<Entry> = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let spot = Spot::of(key.referenced);
            entries.push(Entry { key: key.value, spot, value: map.next_value()? });
        }
        Ok(Content::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(line: u64) -> Origin {
        Origin { line, indent: 0 }
    }

    fn node(text: &str) -> Node {
        Node::read(text, at(1)).unwrap().unwrap()
    }

    fn spot(text: &str, origin: Origin, field: &str) -> (u64, Range<u64>) {
        let node = Node::read(text, origin).unwrap().unwrap();
        let Spot { line, columns } = node.spot_of(field).clone();
        (line, columns)
    }

    #[test]
    fn a_scalar_has_its_own_columns_with_its_quotes_and_a_map_those_of_its_key() {
        let text = "spec:\n  a: 'é x' # c\n  b: [1.x, \"2\"]\n  c: {d: '>=1 <2'}\n  e:\n    f: 1\n  g:\n";
        for (field, line, columns) in [
            ("spec", 1, 1..5),
            ("spec.a", 2, 6..11),
            ("spec.b", 3, 3..4),
            ("spec.b[0]", 3, 7..10),
            ("spec.b[1]", 3, 12..15),
            ("spec.c.d", 4, 10..18),
            ("spec.c.x", 4, 3..4),
            ("spec.e", 5, 3..4),
            ("spec.g", 7, 3..4),
        ] {
            assert_eq!(spot(text, at(1), field), (line, columns), "{field}");
        }
        let behind_a_marker = Origin { line: 7, indent: 3 };
        assert_eq!(spot(" {a: b}\n", behind_a_marker, "a"), (7, 9..10));
        assert_eq!(spot("\na: b\n", behind_a_marker, "a"), (8, 4..5));
    }

    #[test]
    fn a_field_has_the_line_of_its_key_and_an_item_its_own() {
        let node = node("spec:\n  tags:\n    exclude:\n    - a\n    - b\n  avoid: [x,\n    y]\n");
        for (field, line) in [
            ("spec", 1),
            ("spec.tags.exclude", 3),
            ("spec.tags.exclude[1]", 5),
            ("spec.avoid[1]", 7),
            ("spec.avoid[9]", 6),
            ("spec.select.semver", 1),
            ("nothing", 1),
        ] {
            assert_eq!(node.spot_of(field).line, line, "{field}");
        }
    }

    #[test]
    fn lines_count_on_from_the_first_one() {
        let node = Node::read("\na: 1\n", at(7)).unwrap().unwrap();
        assert_eq!(node.spot_of("a").line, 8);
    }

    #[test]
    fn scalars_have_the_types_that_the_kubernetes_api_would_see() {
        let node = node("a: 1\nb: 1.10\nc: '1'\nd: true\ne: null\nf: 1.2.3\ng: [x]\n1: z\n");
        let wanted =
            serde_json::json!({"a":1,"b":1.1,"c":"1","d":true,"e":null,"f":"1.2.3","g":["x"],"1":"z"});
        assert_eq!(node.to_json(), wanted);
    }

    #[test]
    fn what_is_no_yaml_is_told_with_its_line_and_none_of_its_text() {
        for (text, line) in
            [("a: 1\nb: [hunter2\n", 10), ("a: 1\na: 2\n", 11), ("a: *hunter2\n", 10), ("\thunter2: [", 10)]
        {
            let error = Node::read(text, at(10)).err().unwrap();
            assert!(error.spot.line >= line, "{error:?}");
            assert!(!error.problem.contains("hunter2") && !error.problem.contains('\n'), "{error:?}");
        }
        assert!(Node::read("# only a comment\n", at(1)).unwrap().is_none());
    }

    #[test]
    fn an_alias_bomb_is_an_error() {
        let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..12 {
            let before = format!("*a{},", level - 1).repeat(10);
            text.push_str(&format!("a{level}: &a{level} [{before}]\n"));
        }
        assert!(Node::read(&text, at(1)).is_err());
    }
}
