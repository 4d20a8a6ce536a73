//! What is known of one ImagePolicy, and how a scan moves it. No I/O: the time comes as a value.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::asker::Asker;
use super::choosing::LookError;
use super::inquiry::Doubt;
use super::plan::{NoWish, Wish};
use super::revision::Revision;
use super::scan::{Member, ScanKey, Verdict};
use super::selection::Selection;
use super::world::Notice;
use crate::api::{
    Conditions, Downgrade, Health, ImagePolicy, ImagePolicyStatus, Reason, Refused, Scanned, Written,
    asks_anew,
};
use crate::image::{BuildTime, ImageName, Tag};
use crate::policy::{Choice, Need, Policy, compile};

/// What is known of one ImagePolicy.
pub(super) struct PolicyState {
    object: Arc<ImagePolicy>,
    /// Tells the result of a scan that began before a change of the spec from one that began after it.
    revision: Revision,
    compiled: Result<Arc<Policy>, String>,
    /// Follows from the object and what was compiled.
    scan_key: Option<ScanKey>,
    selection: Option<Selection>,
    /// Whether a whole list that this process has read agrees with the selection. One that a status remembers is kept from
    /// being lowered, but is written nowhere before: Git may have moved on meanwhile, and a digest has no order.
    is_agreed: bool,
    /// Whether a scan has ended for it since this process began, well or not.
    is_looked_at: bool,
    /// A lower choice, or none, that the next scan must confirm.
    lowering: Option<Option<Selection>>,
    scanned: Option<Scanned>,
    fingerprint: Option<u64>,
    refused: Vec<Refused>,
    written: BTreeMap<String, Written>,
    /// What a repository says of this policy's sites that it could not write, by the repository's name.
    remarks: BTreeMap<String, String>,
    /// What the last list came with, to stand behind the choice in the status; empty where there is nothing to tell.
    footnote: String,
    health: Health,
    handled_request: Option<String>,
}

/// What is told of a list beside the choices from it.
#[derive(Default)]
pub(super) struct List<'a> {
    /// Its hash, where it is not the one before.
    pub(super) fingerprint: Option<u64>,
    /// Whose it is, where mirrors were to be asked, and what is wrong with credentials that were not needed for it. Empty
    /// where there is nothing to tell.
    pub(super) footnote: String,
    /// Why it is not believed where it lowers a choice.
    pub(super) doubt: Option<&'a Doubt>,
}

/// What a change of the object asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Nothing.
    Nothing,
    /// A scan at once.
    ScanNow,
}

/// What a scan did to a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// The selection is as it was.
    No,
    /// The selection is as it was, and holds only now: the repositories must hear of it.
    Agreed,
    /// The selection is another: the repositories must hear of it.
    Yes,
    /// The list must be read again soon before it is believed.
    AskAgain,
}

impl Moved {
    /// The word for the metrics.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::No | Self::Agreed => "unchanged",
            Self::Yes => "moved",
            Self::AskAgain => "held_back",
        }
    }
}

impl PolicyState {
    /// The state of an object seen for the first time. What its status says of an earlier life of this process is taken
    /// over where it speaks of this very spec.
    pub(super) fn new(object: Arc<ImagePolicy>) -> Self {
        let status = object.status.clone().unwrap_or_default();
        let is_current = status.observed_generation == object.metadata.generation;
        let selection = status.selected.as_ref().filter(|_| is_current).and_then(Selection::read);
        let written = status.written.into_iter().map(|one| (one.repository.clone(), one)).collect();
        let compiled = compile(&object.spec).map(Arc::new).map_err(|error| error.to_string());
        let mut state = Self {
            object,
            revision: Revision::next(),
            compiled,
            scan_key: None,
            is_agreed: selection.is_none(),
            is_looked_at: false,
            selection,
            lowering: None,
            scanned: status.scanned,
            fingerprint: None,
            refused: status.refused,
            written,
            remarks: BTreeMap::new(),
            footnote: String::new(),
            health: if is_current && !status.conditions.is_empty() {
                Health::AsBefore
            } else {
                Health::Reconciling("the first scan is under way".to_owned())
            },
            handled_request: status.last_handled_request,
        };
        state.scan_key = state.make_scan_key();
        state.settle_without_scan();
        state
    }

    /// Takes over a newer version of the object.
    pub(super) fn replace(&mut self, object: Arc<ImagePolicy>) -> Asked {
        let is_same_spec = self.object.spec == object.spec;
        let asks_now = asks_anew(&*self.object, &*object, self.handled_request.as_deref());
        self.object = object;
        if is_same_spec {
            return if asks_now { Asked::ScanNow } else { Asked::Nothing };
        }
        self.revision = Revision::next();
        self.compiled = compile(&self.object.spec).map(Arc::new).map_err(|error| error.to_string());
        self.scan_key = self.make_scan_key();
        // A choice by other rules is none; what is written stays as it is until the new rules have chosen.
        (self.selection, self.is_agreed) = (None, true);
        self.lowering = None;
        self.health = Health::Reconciling("the spec has changed; a scan is under way".to_owned());
        self.settle_without_scan();
        Asked::ScanNow
    }

    /// The states that need no scan.
    fn settle_without_scan(&mut self) {
        if let Err(problem) = &self.compiled {
            self.health = Health::failed(Reason::InvalidSpec, problem.clone());
        } else if self.object.spec.suspend {
            self.health = Health::Ready(
                Reason::Suspended,
                "spec.suspend is true: nothing is scanned or written".into(),
            );
        }
    }

    pub(super) fn object(&self) -> &Arc<ImagePolicy> {
        &self.object
    }

    pub(super) const fn revision(&self) -> Revision {
        self.revision
    }

    /// What to scan for this policy; `None` while it is suspended or invalid. Every scan asks every policy.
    pub(super) const fn scan_key(&self) -> Option<&ScanKey> {
        self.scan_key.as_ref()
    }

    /// Whether its first scan is still to come.
    pub(super) const fn awaits_first_scan(&self) -> bool {
        self.scan_key.is_some() && !self.is_looked_at
    }

    fn make_scan_key(&self) -> Option<ScanKey> {
        let policy = self.active_policy()?;
        Some(ScanKey { image: policy.image().clone(), asker: Asker::of_policy(&self.object) })
    }

    /// The policy, unless it is suspended or invalid.
    pub(super) fn active_policy(&self) -> Option<&Arc<Policy>> {
        self.compiled.as_ref().ok().filter(|_| !self.object.spec.suspend)
    }

    /// What the policy wants in Git, or why it wants nothing.
    pub(super) fn wish(&self) -> Result<Wish, NoWish> {
        let none = |why: &str| {
            Err(NoWish { why: why.to_owned(), image: ImageName::parse(&self.object.spec.image).ok() })
        };
        match (&self.compiled, &self.selection) {
            (Err(problem), _) => none(problem),
            (Ok(_), _) if self.object.spec.suspend => none("the policy is suspended"),
            (Ok(_), Some(selection)) if !self.is_agreed => {
                none(&format!("no scan confirms now that {} is still chosen", selection.tag))
            }
            (Ok(policy), Some(selection)) => {
                Ok(Wish { policy: Arc::clone(policy), selection: selection.clone(), withheld: None })
            }
            (Ok(_), None) => none("the policy has not chosen a tag"),
        }
    }

    /// What this policy chose, where it would choose the same from the same list.
    pub(super) fn chosen_tag(&self) -> Option<&Tag> {
        // An image may be another in a list that is the same.
        let needs_only_tags = self.active_policy()?.need() == Need::Nothing;
        let selection = self.selection.as_ref().filter(|_| needs_only_tags && self.lowering.is_none());
        selection.map(|selection| &selection.tag)
    }

    /// The choice that stands.
    pub(super) const fn selection(&self) -> Option<&Selection> {
        self.selection.as_ref()
    }

    /// Takes over what a whole list gave.
    pub(super) fn take(&mut self, verdict: Verdict, list: &List<'_>, now: Timestamp) -> Moved {
        if verdict.member.revision != self.revision {
            // The scan began under older rules; the one that follows the change is on its way.
            return Moved::No;
        }
        self.is_looked_at = true;
        self.handled_request.clone_from(&verdict.member.request);
        let policy = &verdict.member.policy;
        if let Some(choice) = &verdict.choice {
            self.note_list(policy, choice, list.fingerprint, now);
        }
        list.footnote.clone_into(&mut self.footnote);
        let digest = match verdict.digest {
            Ok(digest) => digest,
            Err(error) => return self.fail_to_look(&error),
        };
        let (chosen, reason) = match (verdict.choice, &self.selection) {
            (Some(Choice { winner, reason, .. }), _) => {
                let by_time = policy.need() == Need::BuildTimes;
                let selection = winner.map(|winner| Selection {
                    tag: winner.tag,
                    version: winner.version,
                    digest,
                    created: winner.built.filter(|_| by_time).map(BuildTime::timestamp),
                    reason: reason.clone(),
                });
                (selection, reason)
            }
            (None, Some(standing)) => {
                (Some(Selection { digest, ..standing.clone() }), standing.reason.clone())
            }
            // Only who has chosen takes part in a scan that may find the list unchanged.
            (None, None) => return Moved::No,
        };
        if let Some(doubt) = list.doubt
            && self.is_lowered_by(policy, chosen.as_ref())
        {
            return self.keep_in_doubt(chosen.as_ref(), doubt);
        }
        if self.is_lower(policy, chosen.as_ref()) {
            if !self.is_confirmed(chosen.as_ref()) {
                return self.hold_back(chosen, &reason);
            }
            if let Some(chosen) = chosen.as_ref().filter(|_| policy.need() == Need::BuildTimes)
                && policy.downgrade() == Downgrade::Never
            {
                return self.stay_above(&chosen.tag);
            }
        }
        self.lowering = None;
        self.settle(policy, chosen, reason)
    }

    fn fail_to_look(&mut self, error: &LookError) -> Moved {
        if let LookError::Unfinished { .. } = error {
            self.health = Health::Reconciling(error.to_string());
            return Moved::AskAgain;
        }
        self.health = Health::failed(error.reason(), error.to_string());
        self.doubt_digest();
        Moved::No
    }

    /// Of two digests nobody can say which is the newer one. While the registry does not say it either, the branch may hold
    /// one that somebody wrote since, and it stays until a scan agrees with the choice again.
    fn doubt_digest(&mut self) {
        let has_digest = self.selection.as_ref().is_some_and(|selection| selection.digest.is_some());
        self.is_agreed &= !has_digest;
    }

    /// Whether a choice lies below the one that stands, or is none at all.
    fn is_lower(&self, policy: &Policy, chosen: Option<&Selection>) -> bool {
        let Some(standing) = &self.selection else { return false };
        standing.is_above(policy, chosen.map(|chosen| (&chosen.tag, chosen.created)))
    }

    fn is_lowered_by(&self, policy: &Policy, chosen: Option<&Selection>) -> bool {
        let Some(standing) = &self.selection else { return false };
        let digest = chosen.and_then(|chosen| chosen.digest.as_ref());
        standing.is_lowered_by(policy, chosen.map(|chosen| (&chosen.tag, chosen.created)), digest)
    }

    /// A mirror may lag: what lowers a choice there is believed only when the source behind it says the same.
    fn keep_in_doubt(&mut self, chosen: Option<&Selection>, doubt: &Doubt) -> Moved {
        let shown = |selection: &Selection| match &selection.digest {
            Some(digest) => format!("{}@{digest}", selection.tag),
            None => selection.tag.to_string(),
        };
        let (standing, now) = (self.selection.as_ref().map(shown), chosen.map(shown));
        let message = format!(
            "the mirror {} has {}; {} stays selected until the source behind it agrees, which gives no answer: {}",
            doubt.mirror,
            now.map_or_else(|| "no tag that fits".to_owned(), |now| format!("only {now}")),
            standing.unwrap_or_default(),
            doubt.problem
        );
        self.health = Health::failed(doubt.reason, message);
        Moved::No
    }

    /// Whether the scan before has said the same.
    fn is_confirmed(&self, chosen: Option<&Selection>) -> bool {
        let before = self.lowering.as_ref();
        before.is_some_and(|before| before.as_ref().map(|s| &s.tag) == chosen.map(|s| &s.tag))
    }

    /// When an image was built does not show in its tag, so an older one is kept from Git here, where both times are
    /// known.
    fn stay_above(&mut self, older: &Tag) -> Moved {
        let standing = self.selection.as_ref().map(|s| s.tag.to_string()).unwrap_or_default();
        self.health = Health::Ready(
            Reason::Succeeded,
            format!(
                "{standing} stays selected: the newest build of the list is now {older}, which is older, and \
                 `downgrade` is Never"
            ),
        );
        self.agree()
    }

    fn agree(&mut self) -> Moved {
        if std::mem::replace(&mut self.is_agreed, true) { Moved::No } else { Moved::Agreed }
    }

    fn hold_back(&mut self, chosen: Option<Selection>, reason: &str) -> Moved {
        let standing = self.selection.as_ref().map(|s| s.tag.to_string()).unwrap_or_default();
        let what = chosen
            .as_ref()
            .map_or_else(|| format!("no tag ({reason})"), |c| format!("only {} ({reason})", c.tag));
        self.health = Health::Failing(
            Reason::ListShrank,
            format!("the list now has {what}; {standing} stays selected until a second scan agrees"),
        );
        self.lowering = Some(chosen);
        Moved::AskAgain
    }

    fn settle(&mut self, policy: &Policy, mut chosen: Option<Selection>, mut reason: String) -> Moved {
        if let (Some(before), Some(after), Some(_)) = (&self.selection, &mut chosen, policy.followed()) {
            reason = story_of(before, after).unwrap_or(reason);
            after.reason.clone_from(&reason);
        }
        let is_same = match (&self.selection, &chosen) {
            (Some(before), Some(after)) => before.is_same_image(after),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        self.health = match &chosen {
            Some(selection) => Health::Ready(Reason::Succeeded, format!("{} is the {reason}", selection.tag)),
            None => Health::Failing(Reason::NoTagMatches, reason),
        };
        self.selection = chosen;
        let agreed = self.agree();
        if is_same { agreed } else { Moved::Yes }
    }

    fn note_list(&mut self, policy: &Policy, choice: &Choice, fingerprint: Option<u64>, now: Timestamp) {
        let refused = choice.refused.iter();
        self.refused = refused
            .map(|one| Refused { tag: one.tag.to_string(), reason: one.rule.as_str().to_owned() })
            .collect();
        let Some(fingerprint) = fingerprint.filter(|_| policy.followed().is_none()) else {
            // No list was read for it.
            self.scanned = None;
            return;
        };
        let counts = (choice.tags, choice.matching);
        let is_same = match (&self.scanned, self.fingerprint) {
            (Some(_), Some(before)) => before == fingerprint,
            // After a restart the counts are all that is known of the list before.
            (Some(before), None) => (before.tags, before.matching) == counts,
            (None, _) => false,
        };
        self.fingerprint = Some(fingerprint);
        match &mut self.scanned {
            Some(scanned) if is_same => scanned.matching = choice.matching,
            _ => {
                self.scanned =
                    Some(Scanned { changed_at: Time(now), tags: choice.tags, matching: choice.matching });
            }
        }
    }

    /// Takes over that no list could be had. The choice stands.
    pub(super) fn fail(&mut self, member: &Member, reason: Reason, message: String) {
        if member.revision == self.revision {
            self.is_looked_at = true;
            self.handled_request.clone_from(&member.request);
            self.health = Health::failed(reason, message);
            self.doubt_digest();
        }
    }

    /// Takes over what a repository holds of this policy: where its tag is written, and what could not be.
    pub(super) fn note_repository(
        &mut self,
        repository: &str,
        written: Option<Written>,
        remark: Option<String>,
    ) {
        match written {
            Some(written) => {
                self.written.insert(repository.to_owned(), written);
            }
            // With a remark the repository still holds what was written last.
            None if remark.is_some() => {}
            None => {
                self.written.remove(repository);
            }
        }
        match remark {
            Some(remark) => self.remarks.insert(repository.to_owned(), remark),
            None => self.remarks.remove(repository),
        };
    }

    /// Where the policy's tag was written last in a repository.
    pub(super) fn written_in(&self, repository: &str) -> Option<&Written> {
        self.written.get(repository)
    }

    /// The repository is gone, or does not take this policy any more.
    pub(super) fn forget_repository(&mut self, repository: &str) {
        self.written.remove(repository);
        self.remarks.remove(repository);
    }

    /// The status that all this amounts to, after one with these conditions.
    pub(super) fn status(&self, now: Timestamp, before: &[Condition]) -> ImagePolicyStatus {
        let generation = self.object.metadata.generation;
        let conditions = Conditions::of(&self.health_with_remarks(), generation, now, before);
        ImagePolicyStatus {
            observed_generation: generation,
            selected: self.selection.as_ref().map(Selection::shown),
            written: self.written.values().cloned().collect(),
            scanned: self.scanned.clone(),
            refused: self.refused.clone(),
            last_handled_request: self.handled_request.clone(),
            conditions,
        }
    }

    fn health_with_remarks(&self) -> Health {
        match &self.health {
            Health::Ready(Reason::Succeeded, message) => {
                let footnote = Some(self.footnote.clone()).filter(|footnote| !footnote.is_empty());
                let remarks =
                    self.remarks.iter().map(|(repository, remark)| format!("{repository}: {remark}"));
                let parts: Vec<String> =
                    [message.clone()].into_iter().chain(footnote).chain(remarks).collect();
                Health::Ready(Reason::Succeeded, parts.join("; "))
            }
            health => health.clone(),
        }
    }

    /// What people should hear of between two statuses.
    pub(super) fn notice(before: Option<&ImagePolicyStatus>, after: &ImagePolicyStatus) -> Option<Notice> {
        let tag_of =
            |status: &ImagePolicyStatus| status.selected.as_ref().map(|s| (s.tag.clone(), s.digest.clone()));
        let selected = after.selected.as_ref();
        if let Some(selected) = selected.filter(|_| before.and_then(tag_of) != tag_of(after)) {
            let message = format!("{} is selected: {}", selected.tag, selected.reason);
            return Some(Notice { is_warning: false, reason: Reason::TagSelected, message });
        }
        super::board::failure_notice(before.map(|s| s.conditions.as_slice()), &after.conditions)
    }
}

/// How a followed tag came to its digest; `None` where there is no story.
fn story_of(before: &Selection, after: &Selection) -> Option<String> {
    let (Some(old), Some(new), true) = (&before.digest, &after.digest, before.tag == after.tag) else {
        return None;
    };
    if old == new {
        return Some(before.reason.clone());
    }
    Some(format!("tag that is followed; it moved from {old} to {new}"))
}
