//! One scan: the tag list of one image, given to every policy of that image while it streams in.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::access::AccessError;
use super::asker::Asker;
use super::choosing::{LookError, Scanned};
use super::inquiry::{Asked, Doubt, Found, Inquiry, ScanError, Tools};
use super::revision::Revision;
use super::selection::Selection;
use super::sources::Source;
use super::world::World;
use crate::api::ObjectKey;
use crate::image::{Digest, ImageName, Tag};
use crate::policy::{Choice, Policy};
use crate::registry::{ListVersion, Listing};

/// The nearest misses that a status shows.
const MOST_REFUSED: usize = 10;

/// What is scanned once, however many policies share it: one image as one caller sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ScanKey {
    /// The image.
    pub(super) image: ImageName,
    /// Who asks, where the policies say it; `None` is what the ClusterImageRegistry says, else anonymous.
    pub(super) asker: Option<Asker>,
}

/// A policy that takes part in a scan.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) key: ObjectKey,
    /// Tells a later version of the policy from this one.
    pub(super) revision: Revision,
    pub(super) policy: Arc<Policy>,
    /// What it chose from the list that is known, where it would choose the same from the same list.
    pub(super) chosen: Option<Tag>,
    /// What it chose before, from whatever list.
    pub(super) standing: Option<Selection>,
    /// What its object asked for when the scan began.
    pub(super) request: Option<String>,
}

/// What a scan asks, and whom.
#[derive(Debug)]
pub(super) struct ScanOrder {
    pub(super) sources: Result<Vec<Source>, AccessError>,
    /// The list that all members have seen, if there is one.
    pub(super) known: Option<ListVersion>,
    /// Tags that the list should show.
    pub(super) awaited: BTreeSet<Tag>,
}

/// What a whole list gave.
#[derive(Debug)]
pub(super) struct Scan {
    /// `None` where the list is the one that was known.
    pub(super) listing: Option<Listing>,
    /// By what the registry knows the list again, where it does.
    pub(super) version: Option<ListVersion>,
    pub(super) verdicts: Vec<Verdict>,
    /// The awaited tags that the list has.
    pub(super) shown: BTreeSet<Tag>,
    /// Those that it lacks.
    pub(super) lacking: BTreeSet<Tag>,
    /// Who was asked, where there was more than one to ask.
    pub(super) asked: Option<Asked>,
    /// Why what lowers a choice must not be believed.
    pub(super) doubt: Option<Doubt>,
    /// What is wrong with the credentials for the host, where a mirror answered that has no use for them.
    pub(super) unusable: Option<Unusable>,
}

/// What is known of credentials by which nobody asked.
#[derive(Debug)]
pub(super) enum Unusable {
    /// They can not be had.
    Unreadable(AccessError),
    /// The host refused them when it was asked last, in these words.
    Refused(Box<str>),
}

/// What one policy made of the list.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) member: Member,
    /// `None` where the list is the one from which it chose before.
    pub(super) choice: Option<Choice>,
    /// The digest of the chosen tag, for a policy that writes it.
    pub(super) digest: Result<Option<Digest>, LookError>,
}

/// Scans an image for its members. Whole or nothing: with an error no member has chosen.
pub(super) async fn scan<W: World>(
    world: &W,
    tools: &Tools,
    key: &ScanKey,
    order: ScanOrder,
    members: Vec<Member>,
) -> Result<Scan, ScanError> {
    let ScanOrder { sources, known, awaited } = order;
    let policies: Vec<_> = members.iter().map(|member| Arc::clone(&member.policy)).collect();
    let standing: Vec<_> = members.iter().map(|member| member.standing.clone()).collect();
    let chosen: Option<Vec<Tag>> = members.iter().map(|member| member.chosen.clone()).collect();
    let inquiry = Inquiry {
        secrets: world,
        tools,
        asker: key.asker.as_ref(),
        policies: &policies,
        standing: &standing,
        before: known.zip(chosen),
        awaited: &awaited,
        most_refused: MOST_REFUSED,
    };
    let sources = sources?;
    let Found { scanned, asked, doubt } = inquiry.ask(&sources).await?;
    let (listing, version, lacking, answers): (_, _, _, Vec<_>) = match scanned {
        Scanned::Whole { listing, version, lacking, looked } => {
            let answers = looked.into_iter().map(|looked| (Some(looked.choice), looked.digest)).collect();
            (listing, version, lacking, answers)
        }
        Scanned::Unchanged(version, digests) => {
            let answers = digests.into_iter().map(|digest| (None, digest)).collect();
            (None, Some(version), BTreeSet::new(), answers)
        }
    };
    let shown = &awaited - &lacking;
    let unusable = match (&asked, sources.last()) {
        (Some(asked), Some(last)) if asked.is_mirror => unusable(world, tools, key, last).await,
        (Some(_) | None, _) => None,
    };
    // A list that is not believed is read anew.
    let version = version.filter(|_| doubt.is_none());
    let verdicts = members.into_iter().zip(answers);
    let verdicts = verdicts.map(|(member, (choice, digest))| Verdict { member, choice, digest }).collect();
    Ok(Scan { listing, version, verdicts, shown, lacking, asked, doubt, unusable })
}

/// What is wrong with the credentials for the host of an image, as far as that is known without asking it.
async fn unusable<W: World>(world: &W, tools: &Tools, key: &ScanKey, last: &Source) -> Option<Unusable> {
    let of_registry = || {
        let credentials = last.registry.as_ref()?.spec.credentials.clone()?;
        // Its Secret is looked at for its own status; here it counts only where it may be one that was refused.
        let counts = last.mirror_of.is_none() && !tools.refusals.is_empty();
        counts.then(|| Asker::of_operator(world.operator_namespace(), credentials))
    };
    let asker = key.asker.clone().or_else(of_registry)?;
    match asker.kept_credential(&tools.reads.of(world), &key.image).await {
        Ok(credential) => tools.refusals.of(&key.image, &credential?).map(Unusable::Refused),
        Err(error) if key.asker.is_none() || error.is_no_answer() => None,
        Err(error) => Some(Unusable::Unreadable(error)),
    }
}
