//! What is wrong with the places of image versions in files: what `plan` would tell, without a choice to write.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Range;

use super::objects::at;
use super::references::is_unreadable;
use super::source::Sources;
use super::{Files, Finding, Rule, Severity};
use crate::api::{ObjectKey, Pin};
use crate::edit::{FileSites, Owner, Part, Problem, ProblemReason, Site};
use crate::engine::{FileProblem, IdleGlob, Kind, Known, NoWish, Plan, Unread, Wishes, plan, takes};
use crate::folder::Folder;
use crate::image::{ImageName, ImageReference};
use crate::policy::{Policy, compile};

/// What a marker begins with.
const KEYS: [&str; 2] = ["$imagepolicy", "$tagtide"];

pub(super) fn findings(folder: &Folder, files: &Files<'_>, sources: &mut Sources<'_>) -> Vec<Finding> {
    let wishes = wishes(folder, files);
    let known = files.marked.iter().map(|(path, found)| (*path, Known::Sites(found)));
    // No policy wants anything here, so that no file changes and none is read.
    let Ok(Plan { problems, .. }) = plan(known, |_| Ok::<_, Infallible>(Vec::new()), &wishes, usize::MAX);
    let mut findings: Vec<_> =
        problems.iter().filter_map(|problem| of_problem(folder, files, sources, problem)).collect();
    let policies = Policies::among(folder, &wishes);
    for (path, found) in &files.marked {
        let path = files.path(path);
        let mut finding = |site: &Site, rule, message: &str| {
            let columns = sources.columns(&path, site.line, &site.span()).unwrap_or_default();
            Finding::new(rule, path.clone(), site.line, columns, message)
        };
        for site in &found.sites {
            match policies.meant(site) {
                Ok(site) => {
                    let Some((rule, message)) = policies.judge(site) else { continue };
                    let finding = finding(site, rule, &message);
                    // What is only unlikely is written all the same.
                    let severity =
                        if rule == Rule::NotAnImage { Severity::Warning } else { finding.severity };
                    findings.push(Finding { severity, ..finding });
                }
                Err((reason, message)) => {
                    findings.extend(Rule::of_problem(reason).map(|rule| finding(site, rule, &message)));
                }
            }
        }
    }
    findings.extend(files.unread.iter().filter_map(|file| unread_file(files, file)));
    findings.extend(idle_globs(folder, files));
    findings
}

fn idle_globs(folder: &Folder, files: &Files<'_>) -> Vec<Finding> {
    let Some(key) = files.repository.map(ObjectKey::of) else { return Vec::new() };
    let finding = |IdleGlob { field, message }: &IdleGlob| {
        at(folder, Rule::IdleGlob, Kind::Repository, &key, field, message)
    };
    files.idle_globs.iter().map(finding).collect()
}

/// The policies that count, none of which has chosen anything.
fn wishes(folder: &Folder, files: &Files<'_>) -> Wishes {
    let taken = folder
        .policies
        .iter()
        .filter(|(_, policy)| files.repository.is_none_or(|repository| takes(repository, policy)));
    taken
        .map(|(key, policy)| {
            let image = ImageName::parse(&policy.spec.image).ok();
            (key.clone(), Err(NoWish { why: String::new(), image }))
        })
        .collect()
}

fn of_problem(
    folder: &Folder,
    files: &Files<'_>,
    sources: &mut Sources<'_>,
    FileProblem { file, problem }: &FileProblem,
) -> Option<Finding> {
    let mut rule = Rule::of_problem(problem.reason)?;
    let mut message = problem.message.clone();
    let found = files.marked.get(file.as_str())?;
    if rule == Rule::UnknownPolicy
        && let Some(policy) = &problem.policy
    {
        let is_told = is_unreadable(folder, policy) || is_of_rule(found, problem, policy);
        if is_told {
            return None;
        }
        if folder.policies.contains_key(policy) {
            rule = Rule::PolicyNotTaken;
            message =
                format!("the marker names the policy {policy}, which the InfraRepository does not take");
        }
    }
    let path = files.path(file);
    let columns = marker_columns(rule, sources.line(&path, problem.line), problem.policy.as_ref());
    let columns = columns.or_else(|| {
        let site = found.sites.iter().find(|site| site.line == problem.line)?;
        sources.columns(&path, site.line, &site.span())
    });
    Some(Finding::new(rule, path, problem.line, columns.unwrap_or_default(), &message))
}

/// Whether a rule of `spec.updates.fields` names the policy: that is told of the object, once and not for every file.
fn is_of_rule(found: &FileSites, problem: &Problem, policy: &ObjectKey) -> bool {
    found.sites.iter().any(|site| site.line == problem.line && site.owner == Owner::Rule(policy.clone()))
}

/// The columns of the marker on a line, or of the name in it, where that is what is at fault.
fn marker_columns(rule: Rule, line: Option<&str>, policy: Option<&ObjectKey>) -> Option<Range<u64>> {
    let is_at_fault = matches!(
        rule,
        Rule::UnknownPolicy
            | Rule::PolicyNotTaken
            | Rule::InvalidMarker
            | Rule::NoValue
            | Rule::Ambiguous
            | Rule::UnknownFormat
    );
    let line = line.filter(|_| is_at_fault)?;
    let key = KEYS.iter().filter_map(|key| line.rfind(key)).max()?;
    let (before, behind) = line.split_at_checked(key)?;
    let start = before.rfind('{').unwrap_or(key);
    let end = behind.find('}').map_or(line.trim_end().len(), |at| key + at + 1);
    let is_name = matches!(rule, Rule::UnknownPolicy | Rule::PolicyNotTaken);
    let name = policy.filter(|_| is_name).map(|policy| format!("{}:{}", policy.namespace, policy.name));
    let bytes = match name.and_then(|name| Some((behind.find(&name)?, name.len()))) {
        Some((at, length)) => key + at..key + at + length,
        None => start..end,
    };
    Some(columns_of(line, bytes))
}

/// Bytes of a line as columns.
fn columns_of(line: &str, bytes: Range<usize>) -> Range<u64> {
    let column = |at: usize| line.get(..at).unwrap_or(line).chars().count() as u64 + 1;
    column(bytes.start)..column(bytes.end)
}

fn unread_file(files: &Files<'_>, file: &Unread) -> Option<Finding> {
    let FileProblem { file, problem } = file.problem();
    let rule = Rule::of_problem(problem.reason)?;
    let finding = Finding::new(rule, files.path(&file), problem.line, 0..0, &problem.message);
    Some(Finding { severity: Severity::Warning, ..finding })
}

/// The policies that count and can be used.
struct Policies<'f> {
    by_name: BTreeMap<&'f ObjectKey, Policy>,
    by_image: BTreeMap<ImageName, Vec<&'f ObjectKey>>,
}

impl<'f> Policies<'f> {
    fn among(folder: &'f Folder, wishes: &Wishes) -> Self {
        let counted = folder.policies.iter().filter(|(key, _)| wishes.contains_key(key));
        let by_name: BTreeMap<_, _> =
            counted.filter_map(|(key, policy)| Some((key, compile(&policy.spec).ok()?))).collect();
        let mut by_image: BTreeMap<ImageName, Vec<&ObjectKey>> = BTreeMap::new();
        for (key, policy) in &by_name {
            by_image.entry(policy.image().clone()).or_default().push(key);
        }
        Self { by_name, by_image }
    }

    /// The one policy that a value follows.
    fn of(&self, site: &Site) -> Option<(&ObjectKey, &Policy)> {
        let key = match &site.owner {
            Owner::Policy(key) | Owner::Rule(key) => key,
            Owner::Image(image) => match self.by_image.get(image)?.as_slice() {
                [key] => key,
                _ => return None,
            },
            // Whose it would be, the plan tells.
            Owner::Chart(_) => return None,
        };
        self.by_name.get_key_value(key).map(|(key, policy)| (*key, policy))
    }

    /// The value that is meant where the policy's image tells it. What is known to be in the way without one, the plan has told.
    fn meant<'s>(&self, site: &'s Site) -> Result<&'s Site, (ProblemReason, String)> {
        match self.of(site).filter(|_| !site.is_hindered()) {
            Some((_, policy)) => site.meant(policy.image()),
            None => Ok(site),
        }
    }

    /// What is wrong with a value that a policy follows, and writes over.
    fn judge(&self, site: &Site) -> Option<(Rule, String)> {
        let (key, policy) = self.of(site)?;
        let is_unpinned = match policy.pin() {
            None | Some(Pin::Tag) => true,
            Some(Pin::TagAndDigest | Pin::Digest) => false,
        };
        match site.part {
            // One in the value itself goes where a policy pins the tag, and only there.
            Part::Image | Part::Tag | Part::TagAlone
                if policy.pin().is_none() && site.value.contains("@sha256:") =>
            {
                let problem = format!("the value holds a digest, and the policy {key} writes tags alone");
                Some((Rule::NoDigest, problem))
            }
            Part::Digest | Part::TagBesideDigest if is_unpinned => {
                let problem = format!("a digest stands here, and the policy {key} writes tags alone");
                Some((Rule::NoDigest, problem))
            }
            Part::Image | Part::Name => {
                let held = held_image(site);
                // What is not written is told of by the plan.
                if held.is_none() && site.is_hindered() {
                    return None;
                }
                let Some(held) = held else {
                    let problem = format!(
                        "the value {:?} is no image, and {} is written over it",
                        site.value,
                        policy.image()
                    );
                    return Some((Rule::NotAnImage, problem));
                };
                (held != *policy.image()).then(|| {
                    let problem =
                        format!("the value holds {held}, and the policy {key} follows {}", policy.image());
                    (Rule::OtherImage, problem)
                })
            }
            Part::Tag | Part::TagAlone | Part::Version | Part::Digest | Part::TagBesideDigest => None,
        }
    }
}

fn held_image(site: &Site) -> Option<ImageName> {
    match site.part {
        Part::Name => ImageName::parse(ImageReference::split_end(&site.value).1).ok(),
        _ => ImageReference::ending(&site.value).map(|reference| reference.name),
    }
}
