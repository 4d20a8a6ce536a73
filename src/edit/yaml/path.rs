//! The path of a value, as `spec.updates.fields` writes it.

use super::document;
use super::tree::{self, View};

/// The path of the scalar that begins at this byte of the file. `None` where a key of it can not be written in a path.
pub(in crate::edit) fn path_to(text: &str, start: usize) -> Option<String> {
    let documents = document::split(text);
    let document = documents.iter().rfind(|document| document.start <= start)?;
    let tree = tree::read(document.text).ok()?;
    path_in(tree.root(), start - document.start)
}

/// The path below a node. Aliases come behind their anchors, so that the first way to a scalar is that of its own key.
fn path_in(view: View<'_, '_>, start: usize) -> Option<String> {
    if let Some(scalar) = view.scalar() {
        return (scalar.span.start == start).then(String::new);
    }
    let of_entry = |(key, value)| Some(joined(&step_of(key)?, &path_in(value, start)?));
    let of_item = |(index, item)| Some(joined(&step_at(view, index, item), &path_in(item, start)?));
    view.entries().find_map(of_entry).or_else(|| view.items().enumerate().find_map(of_item))
}

fn joined(step: &str, rest: &str) -> String {
    let dot = if rest.is_empty() || rest.starts_with('[') { "" } else { "." };
    format!("{step}{dot}{rest}")
}

fn step_of(key: &str) -> Option<String> {
    match key {
        _ if key.contains('"') => None,
        _ if key.is_empty() || key.contains(['.', '[', ']']) => Some(format!("[\"{key}\"]")),
        _ => Some(key.to_owned()),
    }
}

/// The item of a list by its name, where it has one of its own, or else by its place, which is another one after the next
/// insertion.
fn step_at(list: View<'_, '_>, index: usize, item: View<'_, '_>) -> String {
    let is_writable = |name: &&str| !name.is_empty() && !name.contains([']', '"']);
    match item.text_of("name").filter(is_writable) {
        Some(name) if list.items().filter(|item| item.text_of("name") == Some(name)).count() == 1 => {
            format!("[name={name}]")
        }
        Some(_) | None => format!("[{index}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::field_path::FieldPath;

    #[test]
    fn a_value_is_named_by_keys_names_and_places() {
        for (text, path) in [
            ("image: {tag: <}", "image.tag"),
            ("a: 1\n---\nb:\n  c: <", "b.c"),
            ("c:\n- name: x\n  image: y\n- name: z\n  image: <", "c[name=z].image"),
            ("c:\n- {name: x}\n- {name: x, image: <}", "c[1].image"),
            ("c:\n- {name: '', image: <}", "c[0].image"),
            ("c: [[1, <]]", "c[0][1]"),
            ("a.b:\n  'c]': {d: <}", "[\"a.b\"][\"c]\"].d"),
            ("- <", "[0]"),
            ("a: &x <\nb: *x", "a"),
        ] {
            let start = text.find('<').unwrap();
            assert_eq!(path_to(text, start).as_deref(), Some(path), "{text}");
            assert!(FieldPath::parse(path).is_ok(), "{path}");
        }
        assert_eq!(path_to("'a\"b': <", 7), None);
        assert_eq!(path_to("a: [", 3), None);
    }
}
