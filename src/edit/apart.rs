//! Tags and digests of one policy that stand in different files. A digest beside a tag that is not its own runs another
//! image than the tag says; so what belongs together is decided together, wherever it stands.

use std::collections::{BTreeMap, BTreeSet};

use super::choice;
use super::value::{Verdict, judge_site};
use super::{FileSites, Owner, Part, Policies, ProblemReason, Resolution, Site, Wanted};
use crate::api::ObjectKey;

/// Why something that another value would move with must stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldBack {
    pub(super) reason: ProblemReason,
    pub(super) why: String,
}

/// The policies whose tags and digests in different files must stay as they are, each with the reason: one of those tags
/// stays, and a digest or a name in another file would move; or a digest stays, and a tag in another file would move.
///
/// A file that holds both is decided by itself, and a whole reference is complete. Costs little where no digest and no name
/// stands without a tag in its file.
pub fn held_back<'a>(
    files: impl Iterator<Item = (&'a str, &'a FileSites)> + Clone,
    policies: &dyn Policies,
) -> BTreeMap<ObjectKey, HeldBack> {
    let mut lonely = BTreeSet::new();
    for (_, found) in files.clone() {
        for site in found.sites.iter().filter(|site| site.part.moves_with_tag()) {
            if let Some(policy) = follower(site, policies)
                && !InFile::of(policy, found, policies).has_tag
            {
                lonely.insert(policy.clone());
            }
        }
    }
    let reasons = lonely.into_iter().map(|policy| (reason(&policy, files.clone(), policies), policy));
    reasons.filter_map(|(reason, policy)| Some((policy, reason?))).collect()
}

/// Why a policy's parts in different files must stay, if they must.
fn reason<'a>(
    policy: &ObjectKey,
    files: impl Iterator<Item = (&'a str, &'a FileSites)>,
    policies: &dyn Policies,
) -> Option<HeldBack> {
    let Resolution::Wanted(wanted) = policies.named(policy) else { return None };
    let (mut tag_moves, mut companion_moves) = (false, false);
    let (mut tag_stays, mut digest_stays) = (None, None);
    for (path, found) in files {
        let in_file = InFile::of(policy, found, policies);
        for site in sites_of(policy, found, policies).filter(|site| in_file.is_apart(site.part)) {
            let is_companion = site.part.moves_with_tag();
            match verdict(site, &wanted) {
                Some(Verdict::Write(_)) if is_companion => companion_moves = true,
                Some(Verdict::Write(_)) => tag_moves = true,
                Some(verdict) => {
                    let stays = if is_companion { &mut digest_stays } else { &mut tag_stays };
                    if stays.is_none() {
                        let place = format!("{path}:{}", site.line);
                        *stays = verdict.stays(&place, ", also in different files");
                    }
                }
                None => {}
            }
        }
    }
    tag_stays.filter(|_| companion_moves).or(digest_stays.filter(|_| tag_moves || companion_moves))
}

fn verdict(site: &Site, wanted: &Wanted<'_>) -> Option<Verdict> {
    site.obstacle.is_none().then_some(())?;
    // Of the values of a line the one that would be written.
    choice::meant(site, Some(wanted.image)).ok().map(|meant| judge_site(meant, wanted))
}

/// The one policy that a site follows.
pub(super) fn follower<'s>(site: &'s Site, policies: &'s dyn Policies) -> Option<&'s ObjectKey> {
    match &site.owner {
        Owner::Policy(policy) | Owner::Rule(policy) => Some(policy),
        Owner::Image(image) => match policies.of_image(image) {
            [policy] => Some(policy),
            [] | [_, _, ..] => None,
        },
        Owner::Chart(_) => None,
    }
}

fn sites_of<'s>(
    policy: &'s ObjectKey,
    found: &'s FileSites,
    policies: &'s dyn Policies,
) -> impl Iterator<Item = &'s Site> {
    found.sites.iter().filter(move |site| follower(site, policies) == Some(policy))
}

/// Which parts of a policy's image one file holds.
#[derive(Clone, Copy, Default)]
pub(super) struct InFile {
    has_tag: bool,
    has_digest: bool,
}

impl InFile {
    pub(super) fn of(policy: &ObjectKey, found: &FileSites, policies: &dyn Policies) -> Self {
        let mut all = Self::default();
        for site in sites_of(policy, found, policies) {
            match site.part {
                Part::Image | Part::Tag | Part::TagBesideDigest | Part::TagAlone | Part::Version => {
                    all.has_tag = true;
                }
                Part::Digest => all.has_digest = true,
                Part::Name => {}
            }
        }
        all
    }

    /// Whether this part belongs to parts in other files.
    pub(super) const fn is_apart(self, part: Part) -> bool {
        match part {
            Part::Image => false,
            Part::Tag | Part::TagBesideDigest | Part::TagAlone | Part::Version => !self.has_digest,
            Part::Digest => !self.has_tag,
            Part::Name => !self.has_tag || !self.has_digest,
        }
    }
}
