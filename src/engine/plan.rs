//! What the policies want, set against what the files hold: the edits that make them one, and what stands in the way.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::message::Move;
use super::selection::Selection;
use crate::api::ObjectKey;
use crate::edit::{
    Change, FileSites, HeldBack, Part, Policies, Problem, ProblemReason, Resolution, Wanted, held_back,
    plan_file, unknown_policy,
};
use crate::image::{Digest, ImageName, ImageReference};
use crate::policy::Policy;

/// What one policy wants in Git.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The policy, ready to use.
    pub policy: Arc<Policy>,
    /// What it chose.
    pub selection: Selection,
    /// Why it may not be written now, where that is so.
    pub withheld: Option<String>,
}

/// Two wishes are one where the same compiled policy chose the same; one that was compiled again counts as another.
impl PartialEq for Wish {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.policy, &other.policy)
            && (&self.selection, &self.withheld) == (&other.selection, &other.withheld)
    }
}

/// What the policies want that may write to one repository; for one that wants nothing, why.
pub type Wishes = BTreeMap<ObjectKey, Result<Wish, NoWish>>;

/// Why a policy wants nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoWish {
    /// Why, as a lowercase fragment.
    pub why: String,
    /// Its image, where it can be read. Another policy of this image may not write for both.
    pub image: Option<ImageName>,
}

/// What is known of a file.
#[derive(Clone, Copy, Debug)]
pub enum Known<'a> {
    /// All that it holds.
    Sites(&'a FileSites),
    /// That it holds one marker, and that its policy is not among the wishes.
    Elsewhere {
        /// The line of the marker, from 1.
        line: u64,
        /// The policy, as namespace/name.
        policy: &'a str,
    },
}

/// A file with its new content.
#[derive(Clone, Debug)]
pub struct PlannedFile {
    /// The path, with `/`.
    pub path: String,
    /// The whole new content.
    pub content: Vec<u8>,
    /// What differs.
    pub changes: Vec<Change>,
}

/// A problem and the file it is in.
#[derive(Clone, Debug)]
pub struct FileProblem {
    /// The path, with `/`.
    pub file: String,
    /// The problem.
    pub problem: Problem,
}

/// What is to be done to a set of files.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The files that change.
    pub files: Vec<PlannedFile>,
    /// What stands in the way elsewhere: the first problems of each policy that may write, and the first of the others.
    pub problems: Vec<FileProblem>,
    /// How many problems there are of each kind, listed or not.
    pub problem_counts: BTreeMap<ProblemReason, u64>,
    /// For each policy, how many sites hold what it wants already.
    pub held: BTreeMap<ObjectKey, u64>,
    /// How many files hold at least one site.
    pub files_with_sites: u64,
    /// How many sites there are.
    pub sites: u64,
    /// The policies whose tags and digests in different files stay, each with the reason.
    pub held_back: BTreeMap<ObjectKey, HeldBack>,
}

/// Plans over files with their sites, in the order given. `read` gives the content of a file and is asked only where
/// something changes. Of the problems of each policy, and of those that concern no policy of `wishes`, at most `most` are
/// listed: a repo may hold a marker for every app of a company, and this be one team's view of it.
///
/// # Errors
/// The first error of `read`; half a plan is none.
pub fn plan<'a, E>(
    files: impl Iterator<Item = (&'a str, Known<'a>)> + Clone,
    mut read: impl FnMut(&str) -> Result<Vec<u8>, E>,
    wishes: &Wishes,
    most: usize,
) -> Result<Plan, E> {
    let writers = Writers::among(wishes);
    let sites = files.clone().filter_map(|(path, known)| match known {
        Known::Sites(found) => Some((path, found)),
        Known::Elsewhere { .. } => None,
    });
    let mut whole = Plan { held_back: held_back(sites, &writers), ..Plan::default() };
    let writers = writers.holding_back(whole.held_back.clone());
    let (mut listed, mut foreign): (BTreeMap<&ObjectKey, usize>, usize) = (BTreeMap::new(), 0);
    for (path, known) in files {
        let found = match known {
            Known::Sites(found) => found,
            Known::Elsewhere { line, policy } => {
                whole.note_elsewhere(path, line, policy, &writers.nearest, foreign < most);
                foreign += 1;
                continue;
            }
        };
        let file = plan_file(path, || read(path), found, &writers)?;
        whole.sites += file.sites;
        whole.files_with_sites += u64::from(file.sites > 0);
        for problem in file.problems {
            *whole.problem_counts.entry(problem.reason).or_default() += 1;
            let own = problem.policy.as_ref().and_then(|policy| wishes.get_key_value(policy));
            let count = own.map_or(&mut foreign, |(policy, _)| listed.entry(policy).or_default());
            if *count < most {
                *count += 1;
                whole.problems.push(FileProblem { file: path.to_owned(), problem });
            }
        }
        for held in file.held {
            *whole.held.entry(held.policy).or_default() += 1;
        }
        if let Some(content) = file.text {
            whole.files.push(PlannedFile { path: path.to_owned(), content, changes: file.changes });
        }
    }
    Ok(whole)
}

/// The policies that may write, by name and by image.
pub(super) struct Writers<'a> {
    wishes: &'a Wishes,
    by_image: BTreeMap<&'a ImageName, Vec<ObjectKey>>,
    nearest: Nearest<'a>,
    held_back: BTreeMap<ObjectKey, HeldBack>,
}

impl<'a> Writers<'a> {
    pub(super) fn among(wishes: &'a Wishes) -> Self {
        let mut by_image: BTreeMap<_, Vec<ObjectKey>> = BTreeMap::new();
        for (key, wish) in wishes {
            let image = match wish {
                Ok(wish) => Some(wish.policy.image()),
                Err(none) => none.image.as_ref(),
            };
            if let Some(image) = image {
                by_image.entry(image).or_default().push(key.clone());
            }
        }
        Self { wishes, by_image, nearest: Nearest::among(wishes), held_back: BTreeMap::new() }
    }

    /// The same, with the policies whose tags and digests in different files stay, each with the reason.
    pub(super) fn holding_back(self, held_back: BTreeMap<ObjectKey, HeldBack>) -> Self {
        Self { held_back, ..self }
    }
}

impl Policies for Writers<'_> {
    fn named(&self, key: &ObjectKey) -> Resolution<'_> {
        let Some(wish) = self.wishes.get(key) else {
            return Resolution::Unknown { nearest: self.nearest.to(key) };
        };
        match wish {
            Err(none) => Resolution::NotChosen { why: none.why.clone() },
            Ok(wish) => Resolution::Wanted(wanted(wish)),
        }
    }

    fn of_image(&self, image: &ImageName) -> &[ObjectKey] {
        self.by_image.get(image).map(Vec::as_slice).unwrap_or_default()
    }

    fn held_back(&self, policy: &ObjectKey) -> Option<&HeldBack> {
        self.held_back.get(policy)
    }

    fn of_chart(&self, name: &str) -> Option<&ObjectKey> {
        let is_named = |image: &ImageName| image.repository().rsplit('/').next() == Some(name);
        self.by_image.iter().find(|(image, _)| is_named(image)).and_then(|(_, policies)| policies.first())
    }
}

/// What a wish asks of a file.
fn wanted(wish: &Wish) -> Wanted<'_> {
    Wanted {
        image: wish.policy.image(),
        tag: &wish.selection.tag,
        digest: wish.selection.digest.as_ref(),
        pin: wish.policy.pin(),
        downgrade: wish.policy.downgrade(),
        standing: Box::new(|held, chosen| wish.policy.standing(held, chosen)),
        is_akin: Box::new(|held| wish.policy.is_akin(held)),
        withheld: wish.withheld.as_deref(),
    }
}

/// Finds the policy that a misspelt name means.
struct Nearest<'a> {
    wishes: &'a Wishes,
    left: Cell<u32>,
}

impl<'a> Nearest<'a> {
    /// Comparing names is dear beside everything else here: the first unknown names are enough to tell a person.
    const MOST: u32 = 50;

    const fn among(wishes: &'a Wishes) -> Self {
        Self { wishes, left: Cell::new(Self::MOST) }
    }

    /// The policy whose name is most like this one, if it is like enough to be meant.
    fn to(&self, key: &ObjectKey) -> Option<ObjectKey> {
        const LIKE_ENOUGH: f64 = 0.8;
        self.left.set(self.left.get().checked_sub(1)?);
        let wanted = key.to_string();
        let likeness =
            |other: &ObjectKey| strsim::normalized_damerau_levenshtein(&wanted, &other.to_string());
        let best =
            self.wishes.keys().map(|other| (likeness(other), other)).max_by(|a, b| a.0.total_cmp(&b.0))?;
        (best.0 >= LIKE_ENOUGH).then(|| best.1.clone())
    }
}

impl Plan {
    /// The plan for the same files once this one was carried out: nothing is left to do.
    pub(super) fn carried_out(&self) -> Self {
        let mut held = self.held.clone();
        for change in self.files.iter().flat_map(|file| &file.changes) {
            *held.entry(change.policy.clone()).or_default() += 1;
        }
        Self {
            files: Vec::new(),
            problems: self.problems.clone(),
            problem_counts: self.problem_counts.clone(),
            held,
            held_back: self.held_back.clone(),
            ..*self
        }
    }

    /// Lists a problem that planning did not meet.
    pub fn add_problem(&mut self, problem: FileProblem) {
        *self.problem_counts.entry(problem.problem.reason).or_default() += 1;
        self.problems.push(problem);
    }

    /// Counts a file with one marker for a policy that is not here, and lists it where there is room.
    fn note_elsewhere(
        &mut self,
        path: &str,
        line: u64,
        policy: &str,
        nearest: &Nearest<'_>,
        is_listed: bool,
    ) {
        self.sites += 1;
        self.files_with_sites += 1;
        *self.problem_counts.entry(ProblemReason::UnknownPolicy).or_default() += 1;
        if is_listed && let Some(policy) = ObjectKey::parse(policy) {
            let problem = unknown_policy("the marker names", line, &policy, nearest.to(&policy).as_ref());
            self.problems.push(FileProblem { file: path.to_owned(), problem });
        }
    }

    /// What the commit of this plan says of each policy that moves, in the order of their names.
    #[must_use]
    pub fn moves(&self, wishes: &Wishes) -> Vec<Move> {
        let mut moves: BTreeMap<&ObjectKey, Move> = BTreeMap::new();
        for file in &self.files {
            for change in &file.changes {
                let Some(Ok(wish)) = wishes.get(&change.policy) else { continue };
                let selection = &wish.selection;
                let one = moves.entry(&change.policy).or_insert_with(|| Move {
                    policy: change.policy.to_string(),
                    image: wish.policy.image().to_string(),
                    from: String::new(),
                    from_digest: None,
                    to: selection.tag.to_string(),
                    digest: selection.digest.as_ref().map(ToString::to_string),
                    why: selection.reason.clone(),
                    places: Vec::new(),
                });
                if one.from.is_empty() {
                    one.from = held_tag(change).unwrap_or_default();
                }
                one.from_digest = one.from_digest.take().or_else(|| held_digest(change));
                one.places.push((file.path.clone(), change.line));
            }
        }
        moves.into_values().collect()
    }
}

impl Plan {
    /// The tags that each policy's changed values held, each once, in the order of the files.
    #[must_use]
    pub fn tags_before(&self) -> BTreeMap<String, Vec<String>> {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for change in self.files.iter().flat_map(|file| &file.changes) {
            let before = all.entry(change.policy.to_string()).or_default();
            before.extend(held_tag(change).filter(|tag| !tag.is_empty() && !before.contains(tag)));
        }
        all
    }
}

/// The tag that a changed value held, where it held one.
pub(super) fn held_tag(change: &Change) -> Option<String> {
    let (_, held) = ImageReference::split_end(&change.from);
    match change.part {
        Part::Image => ImageReference::parse(held)?.tag.map(|tag| tag.to_string()),
        Part::Tag | Part::TagBesideDigest | Part::TagAlone | Part::Version => {
            held.split('@').next().map(str::to_owned)
        }
        Part::Name | Part::Digest => None,
    }
}

/// The digest that a changed value held, where it held one.
pub(super) fn held_digest(change: &Change) -> Option<String> {
    let (_, held) = ImageReference::split_end(&change.from);
    let digest = match change.part {
        Part::Image | Part::Tag | Part::TagBesideDigest | Part::TagAlone | Part::Version => {
            held.split_once('@')?.1
        }
        Part::Digest => held,
        Part::Name => return None,
    };
    Digest::parse(digest).ok().map(|digest| digest.to_string())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use serde_json::{Value, json};

    use super::*;
    use crate::edit::{Targets, find_sites};
    use crate::policy::compile;

    const OLD: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    const NEW: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

    /// What files become, and what stands in the way, by file and line, where `shop:api` wants 1.9.4 and its digest. `P` in a
    /// text is the start of a marker.
    fn planned(files: &[(&str, &str)], downgrade: &str) -> (BTreeMap<String, String>, Vec<String>) {
        planned_by(files, &json!({ "pin": "TagAndDigest", "downgrade": downgrade }))
    }

    /// The same with these fields of the spec; the digest is known where they pin one.
    fn planned_by(files: &[(&str, &str)], fields: &Value) -> (BTreeMap<String, String>, Vec<String>) {
        let mut spec = json!({ "image": "ghcr.io/acme/api", "select": { "semver": { "range": "<2.0.0" } } });
        spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let digest = fields["pin"].as_str().map(|_| NEW);
        let policy = Arc::new(compile(&serde_json::from_value(spec).unwrap()).unwrap());
        let selected = json!({ "tag": "1.9.4", "version": "1.9.4", "digest": digest, "reason": "x" });
        let selection = Selection::read(&serde_json::from_value(selected).unwrap()).unwrap();
        let wishes =
            Wishes::from([(ObjectKey::new("shop", "api"), Ok(Wish { policy, selection, withheld: None }))]);
        let texts = files.iter().map(|(path, text)| {
            let text = text.replace('P', "# {\"$imagepolicy\": \"shop:api").replace(';', "\"}\n");
            ((*path).to_owned(), text.replace("OLD", OLD).into_bytes())
        });
        let texts: BTreeMap<String, Vec<u8>> = texts.collect();
        let found =
            texts.iter().map(|(path, text)| (path.as_str(), find_sites(path, text, &Targets::default())));
        let found: Vec<_> = found.collect();
        let known = found.iter().map(|(path, found)| (*path, Known::Sites(found)));
        let Ok(plan) = plan(known, |path| Ok::<_, Infallible>(texts[path].clone()), &wishes, 9);
        let text = |file: PlannedFile| (file.path, String::from_utf8(file.content).unwrap());
        let problem =
            |one: &FileProblem| format!("{}:{} {}", one.file, one.problem.line, one.problem.message);
        let problems = plan.problems.iter().map(problem).collect();
        (plan.files.into_iter().map(text).collect(), problems)
    }

    #[test]
    fn a_digest_stays_where_its_tag_in_another_file_does() {
        let digest = ("digest.yaml", "digest: OLD P:digest;");
        let above = ("values.yaml", "tag: 2.0.0 P:tag;");
        let other = ("other.yaml", "tag: 1.9.3 P:tag;");
        let (files, problems) = planned(&[digest, above, other], "Never");
        assert!(files.is_empty(), "{files:?}");
        assert_eq!(problems.len(), 3, "{problems:?}");
        for (problem, file) in problems.iter().zip(["digest.yaml:1", "other.yaml:1", "values.yaml:1"]) {
            assert!(problem.starts_with(file), "{problem}");
        }
        assert!(problems[0].contains("values.yaml:1 holds 2.0.0") && problems[0].contains("spec.downgrade"));

        let (files, problems) = planned(&[digest, above, other], "Allow");
        assert_eq!((files.len(), problems.len()), (3, 0), "{problems:?}");
        let (files, problems) = planned(&[digest, other], "Never");
        assert_eq!((files.len(), problems.len()), (2, 0), "{problems:?}");
    }

    #[test]
    fn a_tag_stays_where_its_digest_stays_since_it_is_not_known() {
        let digest = ("digest.yaml", "digest: OLD P:digest;");
        let tag = ("tag.yaml", "tag: 1.9.3 P:tag;");
        let name = ("tag.yaml", "name: ghcr.io/acme/web P:name;");
        let whole = ("whole.yaml", "a: ghcr.io/acme/api:1.9.3 P;");
        let pair = ("pair.yaml", "tag: 1.9.3 P:tag;digest: OLD P:digest;a: ghcr.io/acme/api:1.9.3 P;");
        let (files, problems) = planned_by(&[digest, tag, whole], &json!({}));
        assert_eq!(files.into_keys().collect::<Vec<_>>(), ["whole.yaml"]);
        assert!(problems[0].starts_with("digest.yaml:1 the digest of"), "{problems:?}");
        assert!(problems[1].starts_with("tag.yaml:1 digest.yaml:1 holds a digest"), "{problems:?}");
        assert!(planned_by(&[digest, name], &json!({})).0.is_empty());
        // In one file too, but for what is whole.
        let (files, problems) = planned_by(&[pair], &json!({}));
        let kept = format!("digest: {OLD} #");
        assert!(files["pair.yaml"].contains("tag: 1.9.3") && files["pair.yaml"].contains(&kept), "{files:?}");
        assert!(files["pair.yaml"].contains("a: ghcr.io/acme/api:1.9.4"), "{files:?}");
        assert!(problems[0].starts_with("pair.yaml:1 line 2 holds a digest"), "{problems:?}");
        let known = json!({ "pin": "TagAndDigest" });
        assert_eq!(planned_by(&[digest, tag, whole, pair], &known).0.len(), 4);
        // A digest that is told with its tag is not that of another file.
        let told = ("told.yaml", "tag: 1.9.3@OLD P:tag;");
        assert_eq!(planned_by(&[told, tag], &json!({})).0.into_keys().collect::<Vec<_>>(), ["tag.yaml"]);
    }

    #[test]
    fn what_is_whole_in_its_file_moves_whatever_stays_in_another() {
        let digest = ("digest.yaml", "digest: OLD P:digest;");
        let whole = ("whole.yaml", "a: ghcr.io/acme/api:1.9.3 P;");
        let pair = ("pair.yaml", "tag: 1.9.3 P:tag;digest: OLD P:digest;");
        let above = ("above.yaml", "tag: 2.0.0 P:tag;");
        let above_too = ("above.yaml", "tag: 2.0.0 P:tag;digest: OLD P:digest;");
        let paths = |files: &[(&str, &str)]| planned(files, "Never").0.into_keys().collect::<Vec<_>>();
        assert_eq!(paths(&[digest, whole, pair, above]), ["pair.yaml", "whole.yaml"]);
        // Whose digest stands beside it leaves the one elsewhere to the others.
        assert_eq!(paths(&[digest, whole, pair, above_too]), ["digest.yaml", "pair.yaml", "whole.yaml"]);
        let above_whole = ("above.yaml", "a: ghcr.io/acme/api:2.0.0 P;");
        assert_eq!(paths(&[digest, above_whole]), ["digest.yaml"]);
        // A digest that holds what is wanted already asks nothing of the tags.
        let held = digest.1.replace("OLD", NEW);
        let other = ("other.yaml", "tag: 1.9.3 P:tag;");
        assert_eq!(paths(&[("digest.yaml", &held), other, above]), ["other.yaml"]);
        // Nor does a line on which another value is not the one that is meant.
        let name = ("run.sh", "A=ghcr.io/acme/api B=ghcr.io/acme/web P:name;");
        assert_eq!(paths(&[name, other, above]), ["other.yaml"]);
    }

    #[test]
    fn what_a_value_held_stands_behind_its_last_sign_of_equality() {
        let digest = Digest::sha256_of(b"x").to_string();
        let (tag, pinned) = (Some("1.9.3".to_owned()), Some(digest.clone()));
        for (part, from, held) in [
            (Part::Image, format!("--mail=a@b --image=ghcr.io/acme/api:1.9.3@{digest}"), (&tag, &pinned)),
            (Part::Image, format!("ghcr.io/acme/api:1.9.3@{digest}"), (&tag, &pinned)),
            (Part::Image, "a@b=ghcr.io/acme/api:1.9.3".to_owned(), (&tag, &None)),
            (Part::Tag, format!("--mail=a@b --tag=1.9.3@{digest}"), (&tag, &pinned)),
            (Part::TagBesideDigest, "VERSION=1.9.3".to_owned(), (&tag, &None)),
            (Part::Digest, format!("--digest={digest}"), (&None, &pinned)),
            (Part::Name, "--name=ghcr.io/acme/api".to_owned(), (&None, &None)),
        ] {
            let policy = ObjectKey::new("shop", "api");
            let change = Change { line: 1, policy, part, from, to: String::new() };
            assert_eq!((&held_tag(&change), &held_digest(&change)), held, "{}", change.from);
        }
    }
}
