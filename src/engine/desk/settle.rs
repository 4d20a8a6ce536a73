//! What scans, cycles and checks bring back.

use std::time::Duration;

use jiff::Timestamp;
use tokio::task::{Id, JoinError};
use tokio::time::Instant;

use super::show::registry_id;
use super::{Begun, Done, Engine, IDLE, Job};
use crate::api::{ClusterImageRegistryStatus, Conditions, Health, ObjectKey, Reason};
use crate::engine::access::AccessError;
use crate::engine::choosing::LookError;
use crate::engine::cycle::{Report, Workbench};
use crate::engine::inquiry::{Asked, ScanError};
use crate::engine::plan::Wishes;
use crate::engine::policy_state::{List, Moved, PolicyState};
use crate::engine::repository_settings::RepositoryError;
use crate::engine::repository_state::{holdings, notice_of, notices_of};
use crate::engine::scan::{Member, Scan, ScanKey, Unusable};
use crate::engine::schedule::Pace;
use crate::engine::world::{Status, World};

/// How soon a list is read again that would lower a choice.
const CONFIRM_AFTER: Duration = Duration::from_secs(10);

/// How often a ClusterImageRegistry's Secrets are looked at again.
const REGISTRY_CHECK: Duration = Duration::from_secs(300);

/// Who was asked, where there was more than one to ask, and what is wrong with credentials that nobody needed: it would
/// show only once no mirror answers.
fn footnote_of(scan: &Scan) -> String {
    let asked = scan.asked.as_ref().map(Asked::words);
    let unusable = scan.unusable.as_ref().map(|unusable| match unusable {
        Unusable::Unreadable(error) => format!("its own credentials can not be used: {error}"),
        Unusable::Refused(words) => {
            format!("its credentials were refused when the host was asked last: {words}")
        }
    });
    asked.into_iter().chain(unusable).collect::<Vec<_>>().join("; ")
}

impl<W: World> Engine<W> {
    pub(super) fn settle(&mut self, ended: Result<(Id, Done), JoinError>) {
        let (id, done) = match ended {
            Ok((id, done)) => (id, Ok(done)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some(job) = self.jobs.remove(&id) else { return };
        match (job, done) {
            (Job::Scan(key, members, _), Ok(Done::Scan(scan, took))) => {
                self.settle_scan(&key, &members, *scan, took)
            }
            (Job::Cycle(key, begun), Ok(Done::Cycle(bench, report, wishes))) => {
                self.settle_cycle(&key, begun, *bench, *report, &wishes);
            }
            (Job::Check(name), Ok(Done::Check(result))) => self.settle_check(&name, result),
            (job, Ok(_)) => self.settle_broken(job, "a task brought back another's result"),
            (job, Err(error)) => self.settle_broken(job, &error.to_string()),
        }
    }

    fn settle_scan(
        &mut self,
        key: &ScanKey,
        members: &[Member],
        scan: Result<Scan, ScanError>,
        took: Duration,
    ) {
        let now = Timestamp::now();
        let mut ask_again = false;
        let pace = match scan {
            Ok(scan) => {
                self.metrics.scanned(took.as_secs_f64(), scan.listing.map(|listing| listing.tags));
                self.note_list(key, &scan);
                self.look_again_for_awaited(key, &scan);
                self.metrics.asked(scan.asked.as_ref());
                let list = List {
                    fingerprint: scan.listing.map(|listing| listing.fingerprint),
                    footnote: footnote_of(&scan),
                    doubt: scan.doubt.as_ref(),
                };
                let mut pace = if scan.doubt.is_some() { Pace::AfterFailure(None) } else { Pace::Steady };
                for verdict in scan.verdicts {
                    if let Err(LookError::Registry { tag, error }) = &verdict.digest {
                        tracing::warn!(image = %key.image, %tag, reason = error.reason().as_str(), %error, "an image can not be read");
                        pace = Pace::AfterFailure(error.retry_after());
                    }
                    let policy = verdict.member.key.clone();
                    let Some(state) = self.policies.get_mut(&policy) else { continue };
                    let moved = state.take(verdict, &list, now);
                    self.metrics.chose(moved.as_str());
                    ask_again |= moved == Moved::AskAgain;
                    if matches!(moved, Moved::Yes | Moved::Agreed) {
                        self.ask_for_cycles_of(&policy, Instant::now() + self.settings.gather);
                    }
                    self.show_policy(&policy);
                }
                pace
            }
            Err(error) => {
                self.metrics.scan_failed(error.reason());
                tracing::warn!(image = %key.image, reason = error.reason().as_str(), %error, "the scan failed");
                self.fail_members(members, error.reason(), &error.to_string());
                Pace::AfterFailure(error.retry_after())
            }
        };
        let interval = members.iter().map(|member| member.policy.interval()).min().unwrap_or(IDLE);
        let interval = if ask_again { interval.min(CONFIRM_AFTER) } else { interval };
        if let Pace::AfterFailure(Some(wanted)) = pace {
            self.note_rest(key, wanted);
        }
        if let Some(mut slot) = self.scans.get_mut(key) {
            slot.finish(interval, pace);
        }
    }

    fn fail_members(&mut self, members: &[Member], reason: Reason, message: &str) {
        for member in members {
            if let Some(state) = self.policies.get_mut(&member.key) {
                state.fail(member, reason, message.to_owned());
            }
            self.show_policy(&member.key);
        }
    }

    fn settle_cycle(
        &mut self,
        key: &ObjectKey,
        begun: Begun,
        bench: Option<Workbench>,
        report: Result<Report, RepositoryError>,
        wishes: &Wishes,
    ) {
        if let Ok(report) = &report {
            for committed in &report.committed {
                self.metrics.committed();
                tracing::info!(repository = %key, commit = %committed.id, subject = committed.subject(), "pushed");
            }
        }
        let Some(state) = self.repositories.get_mut(key) else {
            self.cycles.remove(key);
            return;
        };
        if begun.revision < state.made_as() {
            // What was found belongs to the object before; the one that there is now has asked for a cycle of its own.
            self.finish_cycle(key, IDLE, Pace::Steady);
            return;
        }
        if let Some(bench) = bench {
            self.benches.insert(key.clone(), bench);
        }
        let interval = state.active_settings().map_or(IDLE, |settings| settings.interval);
        let committed = report.as_ref().map(|report| report.committed.as_slice()).unwrap_or_default();
        let notices = notices_of(committed);
        state.note_commits(begun.revision, committed);
        let is_current = begun.revision == state.revision();
        let pace = match report {
            // Of the spec that holds now it says nothing; the change has asked for a cycle of its own.
            _ if !is_current => Pace::Steady,
            Ok(report) => {
                state.take(&report, begun.request);
                self.note_holdings(key, wishes, &report);
                self.ask_for_scans_of_moved(&report)
            }
            Err(error) => {
                self.metrics.failed("publish", error.reason());
                tracing::warn!(repository = %key, reason = error.reason().as_str(), %error, "the cycle failed");
                state.fail(&error, begun.request);
                Pace::AfterFailure(error.retry_after())
            }
        };
        self.finish_cycle(key, interval, pace);
        self.show_repository_with(key, notices);
    }

    /// Has the tags looked at that have moved on since they were chosen; how soon the repository is looked at again. A mirror
    /// may go on telling of the old digest, so that no scan finds the new one.
    fn ask_for_scans_of_moved(&mut self, report: &Report) -> Pace {
        for (policy, doubt) in &report.doubts {
            tracing::info!(%policy, why = doubt.why, "a digest is kept out of Git");
            let scan = self.policies.get(policy).and_then(PolicyState::scan_key).filter(|_| doubt.has_moved);
            if let Some(mut slot) = scan.and_then(|scan| self.scans.get_mut(scan)) {
                slot.ask_on_news();
            }
        }
        if report.doubts.is_empty() { Pace::Steady } else { Pace::AfterFailure(None) }
    }

    fn finish_cycle(&mut self, key: &ObjectKey, interval: Duration, pace: Pace) {
        if let Some(slot) = self.cycles.get_mut(key) {
            slot.finish(interval, pace);
        }
    }

    fn note_holdings(&mut self, key: &ObjectKey, wishes: &Wishes, report: &Report) {
        let policies = &self.policies;
        let before = |policy: &ObjectKey| policies.get(policy)?.written_in(&key.name).cloned();
        for (policy, holding) in holdings(&key.name, wishes, report, before) {
            let notice = holding.written.as_ref().and_then(|written| notice_of(written, &report.committed));
            // It may have changed since the cycle began.
            let takes = |state: &PolicyState| {
                self.repositories.get(key).is_some_and(|repository| repository.takes(state.object()))
            };
            if let Some(state) = self.policies.get_mut(&policy).filter(|state| takes(state)) {
                state.note_repository(&key.name, holding.written, holding.remark);
            }
            self.show_policy_with(&policy, notice.into_iter().collect());
        }
    }

    fn settle_check(&mut self, name: &str, result: Result<(), AccessError>) {
        let Some(registry) = self.registries.get(name).cloned() else { return };
        let (health, pace) = match result {
            Ok(()) => (Health::Ready(Reason::Succeeded, "it can be used".to_owned()), Pace::Steady),
            Err(error) => (Health::failed(error.reason(), error.to_string()), Pace::AfterFailure(None)),
        };
        let generation = registry.metadata.generation;
        let id = registry_id(&registry);
        let conditions = Conditions::of(&health, generation, Timestamp::now(), self.shown_conditions(&id));
        let status = ClusterImageRegistryStatus { observed_generation: generation, conditions };
        self.post(&id, Status::Registry(status), Vec::new());
        if let Some(slot) = self.checks.get_mut(name) {
            slot.finish(REGISTRY_CHECK, pace);
        }
    }

    /// A task that panicked: a defect, and the failure of its object alone.
    pub(super) fn settle_broken(&mut self, job: Job, problem: &str) {
        tracing::error!(problem, "a task broke off; this is a defect of Tagtide");
        let message =
            format!("the work broke off, which is a defect of Tagtide; it is tried again: {problem}");
        let slot = match job {
            Job::Scan(key, members, _) => {
                self.fail_members(&members, Reason::InternalError, &message);
                if let Some(mut slot) = self.scans.get_mut(&key) {
                    slot.finish(IDLE, Pace::AfterFailure(None));
                }
                return;
            }
            Job::Cycle(key, begun) => {
                let Some(state) = self.repositories.get_mut(&key) else {
                    self.cycles.remove(&key);
                    return;
                };
                if begun.revision == state.revision() {
                    state.fail(&RepositoryError::Interrupted(problem.to_owned()), begun.request);
                }
                self.show_repository(&key);
                self.cycles.get_mut(&key)
            }
            Job::Check(name) => self.checks.get_mut(&name),
        };
        if let Some(slot) = slot {
            slot.finish(IDLE, Pace::AfterFailure(None));
        }
    }
}
