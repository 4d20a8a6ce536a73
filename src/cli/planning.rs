//! From a folder of objects and a repo to a plan: what `plan` and `apply` share.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::engine_args::ConnectionArgs;
use super::live::{LiveRegistries, Question, Source};
use super::repo_files::{MarkedFiles, Repo, Searched};
use super::{BadInput, object_key, output};
use crate::api::{Author, InfraRepository, ObjectKey};
use crate::edit::{Owner, Targets};
use crate::engine::{
    IdleGlob, Kind, Known, NoWish, Plan, Scope, Selection, Unread, Wish, Wishes, Wording, plan, takes,
};
use crate::folder::{Folder, FolderProblem};
use crate::git::BranchName;
use crate::image::{Digest, ImageName, Tag};
use crate::policy::{InvalidPolicy, compile};

/// A person who asks for a plan hears of every marker that leads nowhere.
const EVERY_PROBLEM: usize = usize::MAX;

/// The flags of `plan` and `apply`.
#[derive(Args, Debug)]
pub struct PlanningArgs {
    /// The folder, or one file, with the objects
    #[arg(long, value_name = "PATH")]
    policies: PathBuf,

    /// The infra repo: a folder, a work tree (its files as they are on disk, but for ignored ones), or a bare Git repository
    #[arg(long, value_name = "PATH")]
    repo: PathBuf,

    /// Take this tag for a policy instead of asking its registry; may be given for more than one. A tag that the policy
    /// would not choose itself is taken too
    #[arg(long = "select", value_name = "NAMESPACE/NAME=TAG[@DIGEST]", value_parser = Select::parse)]
    selects: Vec<Select>,

    /// Write as this InfraRepository of the folder does: only its policies, and only to its paths. Without it, every
    /// policy may write to every file
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = object_key)]
    repository: Option<ObjectKey>,

    /// The branch of a bare repository [default: the InfraRepository's, else the one that HEAD names]
    #[arg(long, value_name = "BRANCH", value_parser = BranchName::parse)]
    branch: Option<BranchName>,

    #[command(flatten)]
    connections: ConnectionArgs,
}

/// A tag given for a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Select {
    policy: ObjectKey,
    tag: Tag,
    digest: Option<Digest>,
}

/// A plan, and what was met on the way to it.
pub(super) struct Planned {
    pub(super) repo: Repo,
    /// What the files that change hold now, by path.
    pub(super) old: BTreeMap<String, Vec<u8>>,
    pub(super) wishes: Wishes,
    pub(super) plan: Plan,
    /// Who commits, where an InfraRepository says so.
    pub(super) author: Option<Author>,
    /// How the commit is worded, where an InfraRepository says so.
    pub(super) wording: Option<Wording>,
    /// Whether some object of the folder can not be used.
    pub(super) has_bad_objects: bool,
    /// Whether some registry could not be asked, or some file not be read.
    pub(super) is_partial: bool,
}

impl Select {
    fn parse(text: &str) -> Result<Self, String> {
        let (policy, reference) =
            text.split_once('=').ok_or("it should read NAMESPACE/NAME=TAG, such as shop/api=1.9.4")?;
        let (tag, digest) = match reference.split_once('@') {
            Some((tag, digest)) => (tag, Some(Digest::parse(digest).map_err(|error| error.to_string())?)),
            None => (reference, None),
        };
        let tag = Tag::parse(tag).map_err(|error| error.to_string())?;
        Ok(Self { policy: object_key(policy)?, tag, digest })
    }

    fn selection(&self) -> Selection {
        Selection {
            tag: self.tag.clone(),
            version: self.tag.to_string(),
            digest: self.digest.clone(),
            created: None,
            reason: "given on the command line".to_owned(),
        }
    }
}

impl PlanningArgs {
    /// Reads the folder and the repo, asks registries where that is needed, and plans.
    pub(super) async fn plan(&self) -> anyhow::Result<Planned> {
        let folder = Arc::new(load(&self.policies)?);
        folder.problems.iter().for_each(|problem| output::error(problem));
        let repository = self.repository.as_ref().map(|key| find_repository(&folder, key)).transpose()?;
        let selects = self.selects(&folder, repository)?;
        let scope = scope_of(&folder, repository)?;
        let wording = repository.map(|repository| wording_of(&folder, repository)).transpose()?;
        let usual_branch = repository.map(|repository| repository.spec.branch.as_str());
        let repo = Repo::open(&self.repo, self.branch.as_ref(), usual_branch).await?;
        let targets = targets_of(&folder, repository)?.of_images(&images(&folder, repository));
        let searched = repo.search(&scope, &targets)?;

        if let Some(key) = &self.repository {
            for IdleGlob { field, message } in &searched.idle_globs {
                output::warning(&folder.problem_with(Kind::Repository, key, field, message.clone()));
            }
        }

        let mut state =
            Wanting { folder: &folder, wishes: unreadable(&folder), bad_objects: folder.problems.len() };
        let questions = state.settle(&selects, repository, &Followed::of(&searched.marked));
        let Wanting { mut wishes, bad_objects, .. } = state;
        let live = LiveRegistries::new(Arc::clone(&folder), &self.connections);
        let mut is_partial = searched.unread.iter().any(Unread::is_failure);
        for (key, answer) in live.wishes(questions).await {
            let wish = answer.unwrap_or_else(|error| {
                output::error(&format!("{key}: {error}"));
                is_partial = true;
                let object = folder.policies.get(&key);
                let image = object.and_then(|object| ImageName::parse(&object.spec.image).ok());
                Err(NoWish { why: error.to_string(), image })
            });
            wishes.insert(key, wish);
        }

        let (mut plan, old) = planned(&searched, &wishes)?;
        searched.unread.iter().map(Unread::problem).for_each(|problem| plan.add_problem(problem));
        let author = repository.map(|repository| repository.spec.commit.author.clone());
        Ok(Planned { repo, old, wishes, plan, author, wording, has_bad_objects: bad_objects > 0, is_partial })
    }

    fn selects(
        &self,
        folder: &Folder,
        repository: Option<&InfraRepository>,
    ) -> Result<BTreeMap<ObjectKey, Selection>, BadInput> {
        let mut selects = BTreeMap::new();
        for select in &self.selects {
            let key = &select.policy;
            let object = folder.policies.get(key).ok_or_else(|| no_such_policy(folder, key))?;
            if !repository.is_none_or(|repository| takes(repository, object)) {
                return Err(BadInput::new(format!(
                    "--select {key}: the InfraRepository does not take this policy"
                )));
            }
            let selection = select.selection();
            if selects.insert(key.clone(), selection.clone()).is_some_and(|other| other != selection) {
                return Err(BadInput::new(format!("--select {key} is given twice, with different tags")));
            }
        }
        Ok(selects)
    }
}

/// The plan over the files, and the present text of those that change.
fn planned(searched: &Searched, wishes: &Wishes) -> anyhow::Result<(Plan, BTreeMap<String, Vec<u8>>)> {
    let mut old = BTreeMap::new();
    let read = |path: &str| {
        let text = searched.read(path)?;
        old.insert(path.to_owned(), text.clone());
        anyhow::Ok(text)
    };
    let sites = searched.marked.iter().map(|(path, file)| (path.as_str(), Known::Sites(&file.found)));
    let plan = plan(sites, read, wishes, EVERY_PROBLEM)?;
    Ok((plan, old))
}

/// The images that a place without a marker may hold.
pub(super) fn images(folder: &Folder, repository: Option<&InfraRepository>) -> Vec<ImageName> {
    let policies = folder.policies.values();
    let taken = policies.filter(|policy| repository.is_none_or(|repository| takes(repository, policy)));
    taken.filter_map(|policy| ImageName::parse(&policy.spec.image).ok()).collect()
}

/// Wishes as they become clear.
struct Wanting<'f> {
    folder: &'f Folder,
    wishes: Wishes,
    bad_objects: usize,
}

impl Wanting<'_> {
    /// Settles what each policy wants without a network. What is left must be asked for.
    fn settle(
        &mut self,
        selects: &BTreeMap<ObjectKey, Selection>,
        repository: Option<&InfraRepository>,
        followed: &Followed<'_>,
    ) -> Vec<Question> {
        let mut questions = Vec::new();
        for (key, object) in &self.folder.policies {
            if !repository.is_none_or(|repository| takes(repository, object)) {
                continue;
            }
            let none = |why: &str| {
                Err(NoWish { why: why.to_owned(), image: ImageName::parse(&object.spec.image).ok() })
            };
            let policy = match compile(&object.spec) {
                Ok(policy) => Arc::new(policy),
                Err(error) => {
                    output::error(&invalid(self.folder, key, &error));
                    self.bad_objects += 1;
                    self.wishes.insert(key.clone(), none(&error.to_string()));
                    continue;
                }
            };
            let wish = match selects.get(key) {
                Some(selection) => Ok(Wish { policy, selection: selection.clone(), withheld: None }),
                None if object.spec.suspend => none("the policy is suspended"),
                None if followed.by_name.contains(key) || followed.by_image.contains(policy.image()) => {
                    questions.push(Question {
                        key: key.clone(),
                        source: Source::of(object, &policy),
                        policy,
                    });
                    continue;
                }
                None => none("no file has a place for it"),
            };
            self.wishes.insert(key.clone(), wish);
        }
        questions
    }
}

/// Reads the folder of objects.
pub(super) fn load(path: &Path) -> Result<Folder, BadInput> {
    Folder::read(path).map_err(|error| BadInput::new(format!("--policies: {error}")))
}

pub(super) fn scope_of(folder: &Folder, repository: Option<&InfraRepository>) -> Result<Scope, BadInput> {
    Scope::compile(repository.and_then(|repository| repository.spec.paths.as_ref())).map_err(|error| {
        let key = repository.map_or_else(|| ObjectKey::new("", ""), ObjectKey::of);
        BadInput::new(
            folder.problem_with(Kind::Repository, &key, "spec.paths", error.to_string()).to_string(),
        )
    })
}

fn wording_of(folder: &Folder, repository: &InfraRepository) -> Result<Wording, BadInput> {
    let key = ObjectKey::of(repository);
    Wording::read(key.clone(), &repository.spec.commit).map_err(|error| {
        let field = format!("spec.commit.{}", error.field);
        BadInput::new(folder.problem_with(Kind::Repository, &key, &field, error.to_string()).to_string())
    })
}

pub(super) fn targets_of(folder: &Folder, repository: Option<&InfraRepository>) -> Result<Targets, BadInput> {
    let Some(repository) = repository else { return Ok(Targets::default()) };
    let key = ObjectKey::of(repository);
    Targets::compile(&repository.spec.updates, &key.namespace).map_err(|error| {
        let problem = folder.problem_with(Kind::Repository, &key, &error.field(), error.to_string());
        BadInput::new(problem.to_string())
    })
}

pub(super) fn find_repository<'f>(
    folder: &'f Folder,
    key: &ObjectKey,
) -> Result<&'f InfraRepository, BadInput> {
    let found = folder.repositories.get(key).map(Arc::as_ref);
    found.ok_or_else(|| missing("InfraRepository", key, folder.repositories.keys()))
}

pub(super) fn no_such_policy(folder: &Folder, key: &ObjectKey) -> BadInput {
    missing("ImagePolicy", key, folder.policies.keys())
}

fn missing<'a>(kind: &str, key: &ObjectKey, known: impl Iterator<Item = &'a ObjectKey>) -> BadInput {
    let message = format!("the folder has no {kind} {key}");
    let known: Vec<_> = known.map(ToString::to_string).collect();
    match known.as_slice() {
        [] => BadInput::with_hint(message, format!("it has no {kind} at all; is --policies right?")),
        [..] => BadInput::with_hint(message, format!("it has {}", known.join(", "))),
    }
}

/// What is wrong with a policy's spec, with its place.
pub(super) fn invalid(folder: &Folder, key: &ObjectKey, error: &InvalidPolicy) -> FolderProblem {
    folder.problem_with(Kind::Policy, key, &error.field, error.to_string())
}

/// Policies that are there but can not be read: a marker that names one is not at fault.
fn unreadable(folder: &Folder) -> Wishes {
    let policies = folder.problems.iter().filter_map(|problem| {
        let object = problem.object.as_ref().filter(|object| object.kind == Kind::Policy.as_str())?;
        let why = format!("its object can not be read: {}:{}", problem.file, problem.line);
        Some((object.key.clone(), Err(NoWish { why, image: None })))
    });
    policies.collect()
}

/// Whom the values of the files follow.
struct Followed<'f> {
    by_name: HashSet<&'f ObjectKey>,
    by_image: HashSet<&'f ImageName>,
}

impl<'f> Followed<'f> {
    fn of(files: &'f MarkedFiles) -> Self {
        let mut followed = Self { by_name: HashSet::new(), by_image: HashSet::new() };
        for site in files.values().flat_map(|file| &file.found.sites) {
            match &site.owner {
                Owner::Policy(policy) | Owner::Rule(policy) => drop(followed.by_name.insert(policy)),
                Owner::Image(image) => drop(followed.by_image.insert(image)),
                Owner::Chart(_) => {}
            }
        }
        followed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_select_names_policy_tag_and_digest() {
        let digest = Digest::sha256_of(b"x");
        let select = Select::parse(&format!("shop/api=1.9.4@{digest}")).unwrap();
        assert_eq!((select.policy.to_string(), select.tag.as_str()), ("shop/api".to_owned(), "1.9.4"));
        assert_eq!(select.digest, Some(digest));
        for bad in
            ["shop/api", "api=1", "shop/api=", "shop/api=1 2", "shop/api=1@sha256:00", "shop/api=\u{1b}[0m"]
        {
            assert!(Select::parse(bad).is_err(), "{bad}");
        }
    }
}
