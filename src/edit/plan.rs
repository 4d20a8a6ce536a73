//! The plan for one file: what every marked value becomes, as new bytes.

use std::collections::{BTreeMap, BTreeSet};

use super::apart::{self, HeldBack, InFile};
use super::choice;
use super::problem::unknown_policy;
use super::proof::Proven;
use super::stuck::Stuck;
use super::value::{Verdict, judge_site};
use super::yaml::Edit;
use super::{FileSites, Obstacle, Owner, Part, Problem, ProblemReason, Site};
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
    /// Whether a held tag is of the kind that the policy chooses from.
    pub is_akin: Box<dyn Fn(&str) -> bool + 'a>,
    /// Why nothing may be written for the policy now, where that is so.
    pub withheld: Option<&'a str>,
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

/// The policies that may write.
pub trait Policies {
    /// What the policy of this name wants.
    fn named(&self, key: &ObjectKey) -> Resolution<'_>;

    /// The policies that follow this image, chosen something or not.
    fn of_image(&self, image: &ImageName) -> &[ObjectKey];

    /// Why what this policy has in different files must stay, where it must: see [`held_back`](super::held_back).
    fn held_back(&self, policy: &ObjectKey) -> Option<&HeldBack>;

    /// A policy whose image has a name that ends in this one, which may be that of a chart of unknown origin.
    fn of_chart(&self, _name: &str) -> Option<&ObjectKey> {
        None
    }
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
    /// How many values follow a policy, whether it exists or is only named.
    pub sites: u64,
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
/// never moves without its tag. Where one of its digests is not known, its tags in the same file stay, but for whole
/// references. What belongs to tags and digests in other files stays where the policies say so.
///
/// # Errors
/// That of `read`.
pub fn plan_file<E>(
    path: &str,
    read: impl FnOnce() -> Result<Vec<u8>, E>,
    found: &FileSites,
    policies: &dyn Policies,
) -> Result<FilePlan, E> {
    let mut plan = FilePlan { problems: found.problems.clone(), ..FilePlan::default() };
    let verdicts = judge_all(&found.sites, policies, &mut plan);
    let writes = sort_out(verdicts, found, policies, &mut plan);
    if !writes.is_empty() {
        let Proven { text, writes, left } = Proven::of(path, &read()?, writes);
        plan.text = text.map(String::into_bytes);
        plan.changes = writes.into_iter().map(Write::into_change).collect();
        plan.problems.extend(left.iter().map(|(write, problem)| write.not_verified(problem)));
    }
    plan.problems.sort_by_key(|problem| problem.line);
    Ok(plan)
}

impl Owner {
    /// Who names the policy.
    const fn says(&self) -> &'static str {
        match self {
            Self::Policy(_) => "the marker names",
            Self::Rule(_) => "spec.updates.fields names",
            Self::Image(_) | Self::Chart(_) => "the image is that of",
        }
    }
}

/// A site and the policy that it follows.
#[derive(Clone, Copy)]
pub(super) struct Followed<'s> {
    pub(super) site: &'s Site,
    pub(super) policy: &'s ObjectKey,
}

/// A site and the value that it is to hold.
pub(super) struct Write<'s> {
    pub(super) followed: Followed<'s>,
    pub(super) value: String,
}

impl Write<'_> {
    pub(super) fn edit(&self) -> Edit<'_> {
        let site = self.followed.site;
        Edit { span: &site.span, style: site.style, value: &self.value }
    }

    fn into_change(self) -> Change {
        let Followed { site, policy } = self.followed;
        Change {
            line: site.line,
            policy: policy.clone(),
            part: site.part,
            from: site.value.clone(),
            to: self.value,
        }
    }

    fn not_verified(&self, problem: &str) -> Problem {
        self.followed.problem(
            ProblemReason::NotVerified,
            format!("it is left alone, since the change to {:?} could not be proven: {problem}", self.value),
        )
    }
}

impl Followed<'_> {
    fn problem(self, reason: ProblemReason, message: String) -> Problem {
        Problem { line: self.site.line, reason, message, policy: Some(self.policy.clone()) }
    }
}

/// The verdict on each site whose policy wants something; the others become problems. A value whose image no policy
/// follows is nobody's business.
fn judge_all<'s>(
    sites: &'s [Site],
    policies: &'s dyn Policies,
    plan: &mut FilePlan,
) -> Vec<(Followed<'s>, Verdict)> {
    let mut resolved: BTreeMap<&ObjectKey, Resolution<'s>> = BTreeMap::new();
    let mut verdicts = Vec::with_capacity(sites.len());
    for site in sites {
        let (policy, others) = match &site.owner {
            Owner::Policy(policy) | Owner::Rule(policy) => (policy, [].as_slice()),
            Owner::Image(image) => match policies.of_image(image) {
                [] => continue,
                [policy, others @ ..] => (policy, others),
            },
            Owner::Chart(chart) => {
                let told = policies.of_chart(&chart.name).map(|policy| Followed { site, policy });
                let problem =
                    |followed: Followed<'_>| followed.problem(ProblemReason::NoValue, chart.unknown());
                plan.problems.extend(told.map(problem));
                continue;
            }
        };
        let followed = Followed { site, policy };
        plan.sites += 1;
        match (others, &site.obstacle, resolved.entry(policy).or_insert_with(|| policies.named(policy))) {
            ([other, ..], ..) => plan.problems.push(followed.contested(other)),
            ([], Some(obstacle), _) => plan.problems.push(followed.hindered(obstacle)),
            ([], None, Resolution::Unknown { nearest }) => {
                let problem = unknown_policy(site.owner.says(), site.line, policy, nearest.as_ref());
                plan.problems.push(problem);
            }
            ([], None, Resolution::NotChosen { why }) => {
                let message = format!("the policy {policy} has chosen no tag: {why}");
                plan.problems.push(followed.problem(ProblemReason::NotChosen, message));
            }
            ([], None, Resolution::Wanted(wanted)) => match choice::meant(site, Some(wanted.image)) {
                Ok(site) => {
                    let followed = Followed { site, policy };
                    let verdict = judge_site(site, wanted);
                    plan.problems.extend(refusal(followed, &verdict, wanted));
                    verdicts.push((followed, verdict));
                }
                Err(obstacle) => plan.problems.push(followed.hindered(&obstacle)),
            },
        }
    }
    verdicts
}

impl Followed<'_> {
    fn hindered(self, obstacle: &Obstacle) -> Problem {
        self.problem(obstacle.reason, obstacle.message.clone())
    }

    fn contested(self, other: &ObjectKey) -> Problem {
        let message = format!(
            "both {} and {other} follow this image; write a marker behind the value that names the one it follows",
            self.policy
        );
        self.problem(ProblemReason::Ambiguous, message)
    }
}

fn refusal(followed: Followed<'_>, verdict: &Verdict, wanted: &Wanted<'_>) -> Option<Problem> {
    match verdict {
        Verdict::Held | Verdict::Write(_) => None,
        Verdict::Above(held) => Some(followed.problem(
            ProblemReason::Downgrade,
            format!(
                "Git holds {held}, which is above {}; set spec.downgrade to Allow to go down",
                wanted.tag
            ),
        )),
        Verdict::Foreign(held) => Some(followed.problem(
            ProblemReason::ForeignTag,
            format!(
                "Git holds {held}, which is none of the tags that the policy chooses from; write a marker that names the policy to have it replaced, or set spec.downgrade to Allow"
            ),
        )),
        Verdict::Withheld => {
            wanted.withheld.map(|why| followed.problem(ProblemReason::NoDigest, why.to_owned()))
        }
        Verdict::NoDigest => {
            let remedy = match wanted.pin {
                None if !followed.site.part.is_at_a_digest() => {
                    "set spec.pin to TagAndDigest or Digest, or to Tag to have the digest that Git holds left out"
                }
                None | Some(Pin::Tag) => "set spec.pin to TagAndDigest or Digest",
                Some(Pin::TagAndDigest | Pin::Digest) => "it is written as soon as the registry has told it",
            };
            Some(followed.problem(
                ProblemReason::NoDigest,
                format!("the digest of {}:{} is not known; {remedy}", wanted.image, wanted.tag),
            ))
        }
    }
}

/// Puts the held sites into the plan, and returns those to write.
fn sort_out<'s>(
    verdicts: Vec<(Followed<'s>, Verdict)>,
    found: &FileSites,
    policies: &dyn Policies,
    plan: &mut FilePlan,
) -> Vec<Write<'s>> {
    let staying = staying(&verdicts);
    let stuck = stuck(found, policies);
    let here = |Followed { site, policy }: Followed<'_>| {
        // A whole reference says which digest it is of, if it is of any.
        let is_held = |held: &&HeldBack| site.part != Part::Image || held.reason != ProblemReason::NoDigest;
        staying.get(policy).filter(is_held).cloned()
    };
    let elsewhere = |Followed { site, policy }: Followed<'_>| {
        let reason = policies.held_back(policy)?;
        InFile::of(policy, found, policies).is_apart(site.part).then(|| reason.clone())
    };
    let mut writes = Vec::new();
    for (followed, verdict) in verdicts {
        let Followed { site, policy } = followed;
        match verdict {
            Verdict::Held => plan.held.push(Held { policy: policy.clone(), line: site.line }),
            Verdict::Write(_) if site.part.is_at_a_digest() && stuck.contains_key(policy) => {
                plan.problems.extend(stuck.get(policy).map(|digest| followed.hindered(&digest.hinders())));
            }
            Verdict::Write(value) => match here(followed).or_else(|| elsewhere(followed)) {
                Some(HeldBack { reason, why }) => plan.problems.push(followed.problem(reason, why)),
                None => writes.push(Write { followed, value }),
            },
            Verdict::NoDigest | Verdict::Above(_) | Verdict::Foreign(_) | Verdict::Withheld => {}
        }
    }
    writes
}

/// A digest of each policy in this file that can not be written: no tag moves without its digest.
fn stuck<'s>(found: &'s FileSites, policies: &'s dyn Policies) -> BTreeMap<&'s ObjectKey, Stuck<'s>> {
    let stuck = found.sites.iter().filter_map(|site| Some((site, Stuck::of(site)?)));
    stuck.filter_map(|(site, digest)| Some((apart::follower(site, policies)?, digest))).collect()
}

/// The policies of which nothing in this file may move, each with the reason: one of its tags must stay, and a name or
/// a digest of it stands in the file; or a digest must stay of which no tag is known to be beside it.
fn staying<'s>(verdicts: &[(Followed<'s>, Verdict)]) -> BTreeMap<&'s ObjectKey, HeldBack> {
    let policies_with = |is_it: fn(Part) -> bool| -> BTreeSet<_> {
        let sites = verdicts.iter().filter(|(followed, _)| is_it(followed.site.part));
        sites.map(|(followed, _)| followed.policy).collect()
    };
    let with_companions = policies_with(Part::moves_with_tag);
    let with_pairs = policies_with(|part| part == Part::TagBesideDigest);
    let (mut staying, mut without_digest) = (BTreeMap::new(), BTreeMap::new());
    for (Followed { site, policy }, verdict) in verdicts {
        let all = match (verdict, site.part) {
            (Verdict::NoDigest, Part::Digest) if !with_pairs.contains(policy) => &mut without_digest,
            (Verdict::NoDigest, _) => continue,
            _ => &mut staying,
        };
        if let Some(held) = verdict.stays(&format!("line {}", site.line), "")
            && with_companions.contains(policy)
        {
            all.entry(*policy).or_insert(held);
        }
    }
    // What must not go down holds more than a digest that is not known.
    without_digest.extend(staying);
    without_digest
}
