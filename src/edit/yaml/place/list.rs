//! Lists of objects, as `kubectl get -o yaml` writes them: `kind: List`, or `DeploymentList` and its like.

use crate::edit::yaml::tree::View;

/// The objects of a document: the items of the list that it is, those of lists in it included, or else itself.
pub(super) fn objects<'t, 'a>(document: View<'t, 'a>) -> Vec<View<'t, 'a>> {
    let mut left = vec![document];
    let mut objects = Vec::new();
    while let Some(view) = left.pop() {
        if is_list(view) {
            left.extend(view.get("items").into_iter().flat_map(View::items));
        } else {
            objects.push(view);
        }
    }
    // What was put aside last was taken up first.
    objects.reverse();
    objects
}

/// Whether the view is a list and no object whose kind only sounds like one: a list has no name.
pub(super) fn is_list(view: View<'_, '_>) -> bool {
    view.get("apiVersion").is_some()
        && view.text_of("kind").is_some_and(|kind| kind.ends_with("List"))
        && view.get("items").is_some_and(|items| items.items().len() > 0)
        && view.at(&["metadata", "name"]).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::yaml::tree;

    #[test]
    fn the_items_of_lists_are_objects_and_so_is_what_is_only_named_like_a_list() {
        for (text, names) in [
            ("{apiVersion: v1, kind: Pod, n: a}", "a"),
            (
                "{apiVersion: v1, kind: List, items: [{n: a}, {apiVersion: v1, kind: PodList, items: [{n: b}, {n: c}]}, {n: d}]}",
                "abcd",
            ),
            ("{apiVersion: v1, kind: List, n: a, items: []}", "a"),
            ("{kind: List, n: a, items: [{n: b}]}", "a"),
            ("{apiVersion: x/v1, kind: AccessList, n: a, metadata: {name: x}, items: [{n: b}]}", "a"),
        ] {
            let tree = tree::read(text).unwrap();
            let found: String =
                objects(tree.root()).into_iter().filter_map(|view| view.text_of("n")).collect();
            assert_eq!(found, names, "{text}");
        }
    }
}
