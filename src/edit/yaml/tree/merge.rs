//! Merge keys, `<<: *defaults`, of YAML 1.1, which Helm and Kustomize understand: the fields that a mapping takes over.

use super::{Item, Mapping};
use crate::edit::yaml::reader::{Kind, Node};
use granit_parser::ScalarStyle;

/// The fields that are taken over: those that stand beside each other where an image is put together. So few that a bomb of
/// merges within merges stays small.
const FIELDS: [&str; 10] =
    ["name", "newName", "newTag", "image", "registry", "repository", "tag", "version", "digest", "sha"];

/// Fields of a mapping that others take over, each once, and no value that is a collection.
pub(super) type Fields = Vec<(&'static str, Item)>;

/// What a mapping takes over by its merge keys. Of several sources the first that has a field gives it (YAML's merge type,
/// 2005). `of_anchor` gives the fields of a mapping that has an anchor.
pub(super) fn merged<'f>(
    scalars: &[Node<'_>],
    mapping: &Mapping,
    of_anchor: &dyn Fn(usize) -> &'f [(&'static str, Item)],
) -> Fields {
    let mut fields = Fields::new();
    let sources = mapping.entries.iter().filter(|(key, _)| scalars.get(*key).is_some_and(is_merge_key));
    for (_, source) in sources {
        let sources = match source {
            Item::Sequence(sources) => sources.as_slice(),
            Item::Scalar(_) | Item::Mapping(_) | Item::Alias(_) | Item::Nothing => {
                std::slice::from_ref(source)
            }
        };
        for source in sources {
            match source {
                Item::Alias(anchor) => take(of_anchor(*anchor).iter(), &mut fields),
                Item::Mapping(inner) => take(fields_of(scalars, inner).iter(), &mut fields),
                Item::Scalar(_) | Item::Sequence(_) | Item::Nothing => {}
            }
        }
    }
    fields
}

fn take<'f>(more: impl Iterator<Item = &'f (&'static str, Item)>, fields: &mut Fields) {
    for (name, item) in more {
        if !fields.iter().any(|(known, _)| known == name) {
            fields.push((name, item.leaf()));
        }
    }
}

/// The fields of a mapping, its own before those that it takes over.
pub(super) fn fields_of(scalars: &[Node<'_>], mapping: &Mapping) -> Fields {
    let own = |field: &&'static str| {
        let text = |key: &usize| scalars.get(*key).and_then(Node::text);
        let (_, item) = mapping.entries.iter().rfind(|(key, _)| text(key) == Some(*field))?;
        Some((*field, item.leaf()))
    };
    let mut fields: Fields = FIELDS.iter().filter_map(own).collect();
    take(mapping.merged.iter(), &mut fields);
    fields
}

fn is_merge_key(key: &Node<'_>) -> bool {
    match &key.kind {
        Kind::Scalar { value, style: ScalarStyle::Plain, .. } => value == "<<",
        Kind::Scalar { .. } | Kind::Alias => false,
    }
}
