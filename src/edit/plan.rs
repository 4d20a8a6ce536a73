//! The plan for one file: what every marked value becomes, as new bytes.

use std::collections::{BTreeMap, BTreeSet};

use super::problem::unknown_policy;
use super::splice::{Splice, splice};
use super::value::{Verdict, judge};
use super::yaml::{self, Replaced};
use super::{FileSites, Part, Problem, ProblemReason, Site};
use crate::api::{Downgrade, ObjectKey, Pin};
use crate::image::{Digest, ImageName, Tag};
use crate::policy::Standing;

/// What the second tag is beside the first, in a policy's order.
pub type Ranking<'a> = Box<dyn Fn(&str, &str) -> Standing + 'a>;

/// What a policy wants in Git.
pub struct Wanted<'a> {
    /// The policy's image.
    pub image: &'a ImageName,
    /// The chosen tag.
    pub tag: &'a Tag,
    /// The digest of the chosen tag, where it is known.
    pub digest: Option<&'a Digest>,
    /// What is written where a marker stands.
    pub pin: Option<Pin>,
    /// Whether a higher tag in Git may be replaced.
    pub downgrade: Downgrade,
    /// What the second tag, the wanted one, is beside the first, the held one.
    pub standing: Ranking<'a>,
}

/// What the name in a marker stands for.
pub enum Resolution<'a> {
    /// There is no such policy.
    Unknown {
        /// The policy with the nearest name.
        nearest: Option<ObjectKey>,
    },
    /// The policy has chosen no tag.
    NotChosen {
        /// Why, as a lowercase fragment.
        why: String,
    },
    /// The policy wants this.
    Wanted(Wanted<'a>),
}

/// What is to be done with a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FilePlan {
    /// The file's new bytes; only where they differ from the old ones, and were read again and found right.
    pub text: Option<Vec<u8>>,
    /// What changes, in the order of the file. Empty where there is no new text.
    pub changes: Vec<Change>,
    /// What could not be acted on, by line; those that were found with the sites are among them.
    pub problems: Vec<Problem>,
    /// The values that hold what is wanted already.
    pub held: Vec<Held>,
}

/// One value that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The line, from 1.
    pub line: u64,
    /// The policy that wants it.
    pub policy: ObjectKey,
    /// The part of the reference that the value is.
    pub part: Part,
    /// What the value means now.
    pub from: String,
    /// What it will mean.
    pub to: String,
}

/// One value that holds what its policy wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The policy.
    pub policy: ObjectKey,
    /// The line, from 1.
    pub line: u64,
}

/// Plans the new bytes of a file. `found` is what [`find_sites`](super::find_sites) found in its text; `read` gives that
/// very text, and is asked only where something changes: most files of a repo hold what is wanted already.
///
/// Each site is judged by itself, so that one bad marker does not stop the others; but where a policy's tag must stay
/// because it would go down, its digests and names in the same file stay too, and its other tags beside them: a digest
/// never moves without its tag.
///
/// # Errors
/// That of `read`.
pub fn plan_file<'a, E>(
    path: &str,
    read: impl FnOnce() -> Result<Vec<u8>, E>,
    found: &FileSites,
    resolve: &dyn Fn(&ObjectKey) -> Resolution<'a>,
) -> Result<FilePlan, E> {
    let mut plan = FilePlan { problems: found.problems.clone(), ..FilePlan::default() };
    let verdicts = judge_all(&found.sites, resolve, &mut plan.problems);
    let writes = sort_out(verdicts, &mut plan);
    if !writes.is_empty() {
        match new_text(path, &read()?, &writes) {
            Ok(text) => {
                plan.text = Some(text.into_bytes());
                plan.changes = writes.into_iter().map(Write::into_change).collect();
            }
            Err(problem) => plan.problems.extend(writes.iter().map(|write| write.not_verified(&problem))),
        }
    }
    plan.problems.sort_by_key(|problem| problem.line);
    Ok(plan)
}

/// A site and the value that it is to hold.
struct Write<'a> {
    site: &'a Site,
    value: String,
}

impl Write<'_> {
    fn into_change(self) -> Change {
        Change {
            line: self.site.line,
            policy: self.site.marker.policy.clone(),
            part: self.site.marker.part,
            from: self.site.value.clone(),
            to: self.value,
        }
    }

    fn not_verified(&self, problem: &str) -> Problem {
        self.site.problem(
            ProblemReason::NotVerified,
            format!(
                "the file is left alone, since the change to {:?} could not be proven: {problem}",
                self.value
            ),
        )
    }
}

impl Site {
    fn problem(&self, reason: ProblemReason, message: String) -> Problem {
        Problem { line: self.line, reason, message, policy: Some(self.marker.policy.clone()) }
    }
}

/// The verdict on each site whose policy wants something; the others become problems.
fn judge_all<'s, 'a>(
    sites: &'s [Site],
    resolve: &dyn Fn(&ObjectKey) -> Resolution<'a>,
    problems: &mut Vec<Problem>,
) -> Vec<(&'s Site, Verdict)> {
    let mut resolved: BTreeMap<&ObjectKey, Resolution<'a>> = BTreeMap::new();
    let mut verdicts = Vec::with_capacity(sites.len());
    for site in sites {
        let policy = &site.marker.policy;
        match resolved.entry(policy).or_insert_with(|| resolve(policy)) {
            Resolution::Unknown { nearest } => {
                problems.push(unknown_policy(site.line, policy, nearest.as_ref()));
            }
            Resolution::NotChosen { why } => {
                let message = format!("the policy {policy} has chosen no tag: {why}");
                problems.push(site.problem(ProblemReason::NotChosen, message));
            }
            Resolution::Wanted(wanted) => {
                let verdict = judge(site.marker.part, &site.value, wanted);
                problems.extend(refusal(site, &verdict, wanted));
                verdicts.push((site, verdict));
            }
        }
    }
    verdicts
}

fn refusal(site: &Site, verdict: &Verdict, wanted: &Wanted<'_>) -> Option<Problem> {
    match verdict {
        Verdict::Held | Verdict::Write(_) => None,
        Verdict::Above(held) => Some(site.problem(
            ProblemReason::Downgrade,
            format!(
                "Git holds {held}, which is above {}; set spec.downgrade to Allow to go down",
                wanted.tag
            ),
        )),
        Verdict::NoDigest => {
            let remedy = match wanted.pin {
                None | Some(Pin::Tag) => "set spec.pin to TagAndDigest or Digest",
                Some(Pin::TagAndDigest | Pin::Digest) => "it is written as soon as the registry has told it",
            };
            Some(site.problem(
                ProblemReason::NoDigest,
                format!("the digest of {}:{} is not known; {remedy}", wanted.image, wanted.tag),
            ))
        }
    }
}

/// Puts the held sites into the plan, and returns those to write.
fn sort_out<'s>(verdicts: Vec<(&'s Site, Verdict)>, plan: &mut FilePlan) -> Vec<Write<'s>> {
    let staying = staying(&verdicts);
    let mut writes = Vec::new();
    for (site, verdict) in verdicts {
        match verdict {
            Verdict::Held => plan.held.push(Held { policy: site.marker.policy.clone(), line: site.line }),
            Verdict::Write(value) => match staying.get(&site.marker.policy) {
                Some(reason) => plan.problems.push(site.problem(ProblemReason::Downgrade, reason.clone())),
                None => writes.push(Write { site, value }),
            },
            Verdict::NoDigest | Verdict::Above(_) => {}
        }
    }
    writes
}

/// The policies of which nothing in this file may move, each with the reason: one of its tags must stay, and a name or
/// a digest of it stands in the file.
fn staying<'s>(verdicts: &[(&'s Site, Verdict)]) -> BTreeMap<&'s ObjectKey, String> {
    let with_companions: BTreeSet<_> = verdicts
        .iter()
        .filter(|(site, _)| matches!(site.marker.part, Part::Name | Part::Digest))
        .map(|(site, _)| &site.marker.policy)
        .collect();
    let mut staying = BTreeMap::new();
    for (site, verdict) in verdicts {
        if let (Verdict::Above(held), policy) = (verdict, &site.marker.policy)
            && with_companions.contains(policy)
        {
            staying.entry(policy).or_insert_with(|| {
                format!(
                    "line {} holds {held}, which is above the chosen tag, and tag and digest move together; set spec.downgrade to Allow to go down",
                    site.line
                )
            });
        }
    }
    staying
}

/// The file's new text, read again.
fn new_text(path: &str, text: &[u8], writes: &[Write<'_>]) -> Result<String, String> {
    if !yaml::is_yaml(path) {
        return Err("the file is of a format without markers".to_owned());
    }
    let old = std::str::from_utf8(text).map_err(|error| error.to_string())?;
    let splices: Vec<_> = writes
        .iter()
        .map(|write| Splice {
            span: write.site.span.clone(),
            text: yaml::written(&write.value, write.site.style),
        })
        .collect();
    let new = splice(old, &splices).ok_or("the values do not lie where they were found")?;
    let replaced: Vec<_> =
        writes.iter().map(|write| Replaced { span: &write.site.span, value: &write.value }).collect();
    yaml::verify(old, &new, &replaced).map_err(|error| error.to_string())?;
    Ok(new)
}
