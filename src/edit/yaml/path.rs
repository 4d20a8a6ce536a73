//! The path of a value, as `spec.updates.fields` writes it.

use std::collections::{BTreeMap, BTreeSet};

use super::document;
use super::tree::{self, View};

/// The paths of the scalars that begin at these bytes of the file. One is missing where a key of it can not be written in a
/// path, and where its document can not be read.
pub(in crate::edit) fn paths_to(text: &str, starts: &BTreeSet<usize>) -> BTreeMap<usize, String> {
    let mut paths = BTreeMap::new();
    for document in document::split(text) {
        let (start, end) = (document.start, document.start + document.text.len());
        let wanted: BTreeSet<_> = starts.range(start..end).map(|at| at - start).collect();
        if let (false, Ok(tree)) = (wanted.is_empty(), tree::read(document.text)) {
            let mut found = BTreeMap::new();
            collect(tree.root(), String::new(), &wanted, &mut found);
            paths.extend(found.into_iter().map(|(at, path)| (start + at, path)));
        }
    }
    paths
}

/// Collects the paths below a node. Aliases come behind their anchors, so that the first way to a scalar is that of its own
/// key.
fn collect(view: View<'_, '_>, path: String, wanted: &BTreeSet<usize>, found: &mut BTreeMap<usize, String>) {
    if let Some(scalar) = view.scalar() {
        if wanted.contains(&scalar.span.start) {
            found.entry(scalar.span.start).or_insert(path);
        }
        return;
    }
    for (key, value) in view.entries() {
        if let Some(step) = step_of(key) {
            collect(value, joined(&path, &step), wanted, found);
        }
    }
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    view.items().filter_map(name_of).for_each(|name| *names.entry(name).or_default() += 1);
    for (index, item) in view.items().enumerate() {
        // Its name, where it has one of its own, or else its place, which is another one after the next insertion.
        let step = match name_of(item).filter(|name| names.get(name) == Some(&1)) {
            Some(name) => format!("[name={name}]"),
            None => format!("[{index}]"),
        };
        collect(item, joined(&path, &step), wanted, found);
    }
}

/// The name of a list's item that a filter can hold.
fn name_of<'t>(item: View<'t, '_>) -> Option<&'t str> {
    item.text_of("name").filter(|name| !name.is_empty() && !name.contains([']', '"']))
}

fn joined(path: &str, step: &str) -> String {
    let dot = if path.is_empty() || step.starts_with('[') { "" } else { "." };
    format!("{path}{dot}{step}")
}

fn step_of(key: &str) -> Option<String> {
    match key {
        _ if key.contains('"') => None,
        _ if key.is_empty() || key.contains(['.', '[', ']']) => Some(format!("[\"{key}\"]")),
        _ => Some(key.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::field_path::FieldPath;

    fn path_to(text: &str, start: usize) -> Option<String> {
        paths_to(text, &BTreeSet::from([start])).remove(&start)
    }

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
