//! One plan taken apart into the commits of a cycle.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::{Plan, PlannedFile, Wishes, Writers};
use crate::api::{Grouping, ObjectKey};
use crate::edit::{ChartSources, HeldBack, Policies, Resolution, Targets, find_sites, plan_file};
use crate::image::ImageName;

/// The most commits of one cycle; a plan of more groups stays one.
const MAX_COMMITS: usize = 100;

/// Files that several commits change may have so many bytes in all, counted once for each of these commits; a plan of more
/// stays one.
const MAX_SHARED: usize = 32 << 20;

/// The plans of a cycle's commits, in their order: each holds the edits of one group alone, on top of those before it.
/// None where the plan is one commit. `read` gives the content of a file before any of the edits.
///
/// # Errors
/// The first error of `read`.
pub(super) fn split<E>(
    plan: &Plan,
    wishes: &Wishes,
    grouping: Grouping,
    (targets, sources): (&Targets, &ChartSources),
    mut read: impl FnMut(&str) -> Result<Vec<u8>, E>,
) -> Result<Vec<Plan>, E> {
    let groups = groups(plan, wishes, grouping);
    if groups.len() < 2 || groups.len() > MAX_COMMITS {
        return Ok(Vec::new());
    }
    let writers = Writers::among(wishes).holding_back(plan.held_back.clone());
    let mut shared: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    let (mut plans, mut room) = (Vec::new(), MAX_SHARED);
    for group in &groups {
        let mut files = Vec::new();
        for file in &plan.files {
            let own = file.changes.iter().filter(|change| group.contains(&change.policy)).count();
            if own == file.changes.len() {
                files.push(file.clone());
            } else if own > 0 {
                let path = file.path.as_str();
                let text = shared.remove(path).map_or_else(|| read(path), Ok)?;
                let members = Members { group, writers: &writers };
                let Some(file) = only(&members, path, text, (targets, sources))? else {
                    return Ok(Vec::new());
                };
                let Some(left) = room.checked_sub(file.content.len()) else { return Ok(Vec::new()) };
                room = left;
                shared.insert(path, file.content.clone());
                files.push(file);
            }
        }
        plans.push(Plan { files, ..Plan::default() });
    }
    // What does not come out the same in parts is written as a whole.
    let is_same =
        |file: &PlannedFile| shared.get(file.path.as_str()).is_none_or(|text| *text == file.content);
    Ok(if plan.files.iter().all(is_same) { plans } else { Vec::new() })
}

/// The policies that share a commit, in the order of the commits.
fn groups<'a>(plan: &'a Plan, wishes: &Wishes, grouping: Grouping) -> Vec<BTreeSet<&'a ObjectKey>> {
    let policies: BTreeSet<&ObjectKey> =
        plan.files.iter().flat_map(|file| &file.changes).map(|change| &change.policy).collect();
    let mut groups: BTreeMap<String, BTreeSet<&ObjectKey>> = BTreeMap::new();
    for policy in policies {
        let image = wishes.get(policy).and_then(|wish| Some(wish.as_ref().ok()?.policy.image().to_string()));
        let name = match grouping {
            Grouping::PerCycle => String::new(),
            Grouping::PerPolicy => policy.to_string(),
            Grouping::PerImage => image.unwrap_or_default(),
        };
        groups.entry(name).or_default().insert(policy);
    }
    groups.into_values().collect()
}

/// A file with the edits of one group; `None` where they can not be made by themselves.
fn only<E>(
    members: &Members<'_>,
    path: &str,
    text: Vec<u8>,
    (targets, sources): (&Targets, &ChartSources),
) -> Result<Option<PlannedFile>, E> {
    let mut found = find_sites(path, &text, targets);
    found.resolve(sources);
    let planned = plan_file(path, || Ok(text), &found, members)?;
    let whole = |content| PlannedFile { path: path.to_owned(), content, changes: planned.changes };
    Ok(planned.text.map(whole))
}

/// The policies of one commit among all.
struct Members<'a> {
    group: &'a BTreeSet<&'a ObjectKey>,
    writers: &'a Writers<'a>,
}

impl Policies for Members<'_> {
    fn named(&self, key: &ObjectKey) -> Resolution<'_> {
        if self.group.contains(key) {
            self.writers.named(key)
        } else {
            Resolution::NotChosen { why: "it is in another commit".to_owned() }
        }
    }

    fn of_image(&self, image: &ImageName) -> &[ObjectKey] {
        self.writers.of_image(image)
    }

    fn held_back(&self, policy: &ObjectKey) -> Option<&HeldBack> {
        self.writers.held_back(policy)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::engine::plan::{Known, Wish, plan};
    use crate::engine::selection::Selection;
    use crate::policy::compile;

    /// Policies of these names, each for an image, that want 2.0.0.
    fn wishes(policies: &[(&str, &str)]) -> Wishes {
        let wish = |image: &str| {
            let spec = json!({ "image": image, "select": { "semver": { "range": "*" } } });
            let policy = Arc::new(compile(&serde_json::from_value(spec).unwrap()).unwrap());
            let selected = json!({ "tag": "2.0.0", "version": "2.0.0", "reason": "x" });
            let selection = Selection::read(&serde_json::from_value(selected).unwrap()).unwrap();
            Wish { policy, selection, withheld: None }
        };
        policies.iter().map(|(name, image)| (ObjectKey::new("shop", *name), Ok(wish(image)))).collect()
    }

    /// The contents of the files after each commit, where there is more than one. `spoil` changes the plan before it is
    /// taken apart.
    fn texts_of(
        files: &[(&str, &str)],
        wishes: &Wishes,
        grouping: Grouping,
        spoil: impl FnOnce(&mut Plan),
    ) -> Vec<Vec<(String, String)>> {
        let files: BTreeMap<&str, &str> = files.iter().copied().collect();
        let found: Vec<_> = files
            .iter()
            .map(|(path, text)| (*path, find_sites(path, text.as_bytes(), &Targets::default())))
            .collect();
        let read = |path: &str| Ok::<_, Infallible>(files[path].as_bytes().to_vec());
        let known = found.iter().map(|(path, found)| (*path, Known::Sites(found)));
        let Ok(mut whole) = plan(known, read, wishes, 9);
        spoil(&mut whole);
        let Ok(plans) =
            split(&whole, wishes, grouping, (&Targets::default(), &ChartSources::default()), read);
        let text = |file: &PlannedFile| (file.path.clone(), String::from_utf8(file.content.clone()).unwrap());
        plans.iter().map(|plan| plan.files.iter().map(text).collect()).collect()
    }

    fn texts(files: &[(&str, &str)], wishes: &Wishes, grouping: Grouping) -> Vec<Vec<(String, String)>> {
        texts_of(files, wishes, grouping, |_| {})
    }

    const BOTH: &str = "a: 1.0.0 # {\"$imagepolicy\": \"shop:api:tag\"}\r\nc: x  # y\nb:   '1.0.0' # {\"$imagepolicy\": \"shop:web:tag\"}";

    #[test]
    fn a_file_of_two_policies_is_edited_twice_and_nothing_else_of_it_changes() {
        let wishes = wishes(&[("api", "acme/api"), ("web", "acme/web")]);
        let parts = texts(&[("both.yaml", BOTH)], &wishes, Grouping::PerPolicy);
        let first = BOTH.replacen("1.0.0", "2.0.0", 1);
        let second = BOTH.replace("1.0.0", "2.0.0");
        let file = |text: &str| vec![("both.yaml".to_owned(), text.to_owned())];
        assert_eq!(parts, [file(&first), file(&second)]);
    }

    #[test]
    fn what_would_not_come_out_the_same_in_parts_is_one_commit() {
        let wishes = wishes(&[("api", "acme/api"), ("web", "acme/web")]);
        let other = |plan: &mut Plan| plan.files[0].content.push(b'#');
        let parts = texts_of(&[("both.yaml", BOTH)], &wishes, Grouping::PerPolicy, other);
        assert!(parts.is_empty(), "{parts:?}");
    }

    #[test]
    fn policies_of_one_image_share_a_commit() {
        let wishes = wishes(&[("api", "acme/api"), ("canary", "acme/api"), ("web", "acme/web")]);
        let marked = |name: &str| format!("a: 1.0.0 # {{\"$imagepolicy\": \"shop:{name}:tag\"}}\n");
        let (api, canary, web) = (marked("api"), marked("canary"), marked("web"));
        let files = [("a.yaml", api.as_str()), ("b.yaml", &canary), ("c.yaml", &web)];
        let paths = |grouping| -> Vec<Vec<String>> {
            let parts = texts(&files, &wishes, grouping);
            parts.into_iter().map(|files| files.into_iter().map(|(path, _)| path).collect()).collect()
        };
        assert_eq!(paths(Grouping::PerImage), [vec!["a.yaml", "b.yaml"], vec!["c.yaml"]]);
        assert_eq!(paths(Grouping::PerPolicy).len(), 3);
        assert!(paths(Grouping::PerCycle).is_empty());
        let parts = texts(&files[..2], &wishes, Grouping::PerImage);
        assert!(parts.is_empty(), "one group is one commit");
    }

    #[test]
    fn more_groups_than_a_push_should_carry_are_one_commit() {
        let names: Vec<String> = (0..=MAX_COMMITS).map(|n| format!("p-{n}")).collect();
        let policies: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "acme/api")).collect();
        let marked =
            names.iter().map(|name| format!("{name}: 1.0.0 # {{\"$imagepolicy\": \"shop:{name}:tag\"}}\n"));
        let text: String = marked.collect();
        assert!(texts(&[("a.yaml", &text)], &wishes(&policies), Grouping::PerPolicy).is_empty());
        let one_less: String = text.lines().skip(1).map(|line| format!("{line}\n")).collect();
        assert_eq!(
            texts(&[("a.yaml", &one_less)], &wishes(&policies), Grouping::PerPolicy).len(),
            MAX_COMMITS
        );
    }
}
