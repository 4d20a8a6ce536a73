//! One scan: the tag list of one image, given to every policy of that image while it streams in.

use std::sync::Arc;

use super::access::{AccessError, access_for};
use super::world::World;
use crate::api::{ClusterImageRegistry, ObjectKey, Pin, Reason};
use crate::image::{Digest, ImageName};
use crate::policy::{Choice, Policy};
use crate::registry::{self, Listing};

/// The nearest misses that a status shows.
const MOST_REFUSED: usize = 10;

/// What is scanned once, however many policies share it: one image as one caller sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ScanKey {
    /// The image.
    pub(super) image: ImageName,
    /// The Secret that the policies name; `None` is what the ClusterImageRegistry says, else anonymous.
    pub(super) secret: Option<ObjectKey>,
}

/// A policy that takes part in a scan.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) key: ObjectKey,
    /// Tells a later version of the policy from this one.
    pub(super) revision: u64,
    pub(super) policy: Arc<Policy>,
}

/// What a whole list gave.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) listing: Listing,
    pub(super) verdicts: Vec<Verdict>,
}

/// What one policy made of the list.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) member: Member,
    pub(super) choice: Choice,
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
    key: &ScanKey,
    registry: Option<Arc<ClusterImageRegistry>>,
    members: Vec<Member>,
) -> Result<Scan, ScanError> {
    let access = access_for(world, &key.image, key.secret.as_ref(), registry.as_deref()).await?;
    let mut choosers: Vec<_> = members.iter().map(|member| member.policy.chooser(MOST_REFUSED)).collect();
    let mut offer = |tag: &str| choosers.iter_mut().for_each(|chooser| chooser.offer(tag));
    let listing = client.list_tags(&key.image, &access, &mut offer).await?;
    let choices: Vec<Choice> = choosers.into_iter().map(|chooser| chooser.finish()).collect();
    let mut verdicts = Vec::with_capacity(members.len());
    for (member, choice) in members.into_iter().zip(choices) {
        let digest = match (&choice.winner, member.policy.pin()) {
            (Some(winner), Some(Pin::TagAndDigest | Pin::Digest)) => {
                client.digest(&key.image, &winner.tag, &access).await.map(Some)
            }
            (Some(_) | None, _) => Ok(None),
        };
        verdicts.push(Verdict { member, choice, digest });
    }
    Ok(Scan { listing, verdicts })
}
