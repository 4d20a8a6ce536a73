//! One scan: the tag list of one image, given to every policy of that image while it streams in.

use std::sync::Arc;

use super::access::{AccessError, access_for};
use super::asker::Asker;
use super::world::World;
use crate::api::{ClusterImageRegistry, ObjectKey, Pin, Reason};
use crate::image::{Digest, ImageName, Tag};
use crate::policy::{Choice, Policy};
use crate::registry::{self, Identities, ListVersion, Listed, Listing};

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
    pub(super) revision: u64,
    pub(super) policy: Arc<Policy>,
    /// What it chose from the list that is known, where it would choose the same from the same list.
    pub(super) chosen: Option<Tag>,
}

/// What a whole list gave.
#[derive(Debug)]
pub(super) struct Scan {
    /// `None` where the list is the one that was known.
    pub(super) listing: Option<Listing>,
    /// By what the registry knows the list again, where it does.
    pub(super) version: Option<ListVersion>,
    pub(super) verdicts: Vec<Verdict>,
}

/// What one policy made of the list.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) member: Member,
    /// `None` where the list is the one from which it chose before.
    pub(super) choice: Option<Choice>,
    /// The digest of the chosen tag, for a policy that pins it.
    pub(super) digest: Result<Option<Digest>, registry::Error>,
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScanError {
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Registry(#[from] registry::Error),
}

impl ScanError {
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Access(error) => error.reason(),
            Self::Registry(error) => error.reason(),
        }
    }

    /// How long the registry wants to be left alone.
    pub(super) fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            Self::Access(_) => None,
            Self::Registry(error) => error.retry_after(),
        }
    }
}

/// Scans an image for its members. Whole or nothing: with an error no member has chosen.
pub(super) async fn scan<W: World>(
    world: &W,
    client: &registry::Client,
    identities: &Identities,
    key: &ScanKey,
    registry: Option<Arc<ClusterImageRegistry>>,
    known: Option<ListVersion>,
    members: Vec<Member>,
) -> Result<Scan, ScanError> {
    let access = access_for(world, identities, &key.image, key.asker.as_ref(), registry.as_deref()).await?;
    let mut choosers: Vec<_> = members.iter().map(|member| member.policy.chooser(MOST_REFUSED)).collect();
    let mut offer = |tag: &str| choosers.iter_mut().for_each(|chooser| chooser.offer(tag));
    let known = known.filter(|_| members.iter().all(|member| member.chosen.is_some()));
    let listed = client.list_tags_since(&key.image, &access, known.as_ref(), &mut offer).await?;
    let (listing, version) = match listed {
        Listed::Whole(listing, version) => (Some(listing), version),
        Listed::Unchanged => (None, known),
    };
    let choices: Vec<Option<Choice>> =
        choosers.into_iter().map(|chooser| listing.is_some().then(|| chooser.finish())).collect();
    let mut verdicts = Vec::with_capacity(members.len());
    for (member, choice) in members.into_iter().zip(choices) {
        let tag = match &choice {
            Some(choice) => choice.winner.as_ref().map(|winner| &winner.tag),
            None => member.chosen.as_ref(),
        };
        // A tag may have moved in a list that has not.
        let digest = match (tag, member.policy.pin()) {
            (Some(tag), Some(Pin::TagAndDigest | Pin::Digest)) => {
                client.digest(&key.image, tag, &access).await.map(Some)
            }
            (Some(_) | None, _) => Ok(None),
        };
        verdicts.push(Verdict { member, choice, digest });
    }
    Ok(Scan { listing, version, verdicts })
}
