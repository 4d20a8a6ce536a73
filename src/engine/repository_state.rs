//! What is known of one InfraRepository, and how a cycle moves it. No I/O: the time comes as a value.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::cycle::{Committed, Order, Report};
use super::message::{shown, updates};
use super::plan::{FileProblem, Plan, Wishes};
use super::recheck::Recheck;
use super::repository_settings::{RepositoryError, RepositorySettings, takes};
use super::revision::Revision;
use super::settings::Settings;
use super::world::Notice;
use crate::api::{
    CommittedChange, Conditions, Health, ImagePolicy, InfraRepository, InfraRepositorySpec,
    InfraRepositoryStatus, LastCommit, ObjectKey, Reason, Sites, UnresolvedSite, Written, asks_anew,
};
use crate::edit::ProblemReason;
use crate::git::CommitId;

/// The most changes and unresolved sites that a status lists, and the most commits of one push that are told of.
const MOST_LISTED: usize = 20;

/// What is known of one InfraRepository.
pub(super) struct RepositoryState {
    object: Arc<InfraRepository>,
    /// Tells what a cycle that began before a change of the spec found from what one after it did.
    revision: Revision,
    /// The first one of this object: what is older belongs to another object of its name.
    made_as: Revision,
    /// Since when it is about the same branches of the same server.
    place_since: Revision,
    settings: Result<RepositorySettings, RepositoryError>,
    health: Health,
    head: Option<String>,
    last_commit: Option<LastCommit>,
    sites: Option<Sites>,
    handled_request: Option<String>,
}

/// What another version of an object means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    /// Nothing for the work.
    Nothing,
    /// Somebody asks for a cycle.
    Asks,
    /// The spec is another.
    Spec,
    /// Another repository is meant, or another branch.
    Place,
}

impl RepositoryState {
    /// The state of an object seen for the first time.
    pub(super) fn new(object: Arc<InfraRepository>, settings: &Settings) -> Self {
        let status = object.status.clone().unwrap_or_default();
        let revision = Revision::next();
        let mut state = Self {
            settings: RepositorySettings::check(&object, settings),
            revision,
            made_as: revision,
            place_since: revision,
            health: if status.observed_generation == object.metadata.generation
                && !status.conditions.is_empty()
            {
                Health::AsBefore
            } else {
                Health::Reconciling("the first look at the repository is under way".to_owned())
            },
            head: status.head,
            last_commit: status.last_commit,
            sites: status.sites,
            handled_request: status.last_handled_request,
            object,
        };
        state.settle_without_cycle();
        state
    }

    /// Takes over a newer version of the object.
    pub(super) fn replace(&mut self, object: Arc<InfraRepository>, settings: &Settings) -> Changed {
        let is_same_spec = self.object.spec == object.spec;
        let is_same_place = place(&self.object.spec) == place(&object.spec);
        let asks_now = asks_anew(&*self.object, &*object, self.handled_request.as_deref());
        self.object = object;
        if is_same_spec {
            return if asks_now { Changed::Asks } else { Changed::Nothing };
        }
        self.revision = Revision::next();
        if !is_same_place {
            // What was found there says nothing of the place that is meant now.
            self.place_since = self.revision;
            (self.head, self.last_commit, self.sites) = (None, None, None);
        }
        self.settings = RepositorySettings::check(&self.object, settings);
        self.health =
            Health::Reconciling("the spec has changed; a look at the repository is under way".to_owned());
        self.settle_without_cycle();
        if is_same_place { Changed::Spec } else { Changed::Place }
    }

    pub(super) const fn made_as(&self) -> Revision {
        self.made_as
    }

    pub(super) const fn revision(&self) -> Revision {
        self.revision
    }

    /// The states that need no cycle.
    fn settle_without_cycle(&mut self) {
        if let Err(error) = &self.settings {
            self.health = Health::failed(error.reason(), error.to_string());
        } else if self.object.spec.suspend {
            self.health = Health::Ready(
                Reason::Suspended,
                "spec.suspend is true: nothing is read or written".to_owned(),
            );
        }
    }

    pub(super) fn object(&self) -> &InfraRepository {
        &self.object
    }

    /// The settings, unless the repository is suspended or its spec is invalid.
    pub(super) fn active_settings(&self) -> Option<&RepositorySettings> {
        self.settings.as_ref().ok().filter(|_| !self.object.spec.suspend)
    }

    /// The settings, unless the spec is invalid.
    pub(super) fn settings(&self) -> Option<&RepositorySettings> {
        self.settings.as_ref().ok()
    }

    /// Whether a policy may write here.
    pub(super) fn takes(&self, policy: &ImagePolicy) -> bool {
        takes(&self.object, policy)
    }

    /// What a cycle shall do now.
    pub(super) fn order(&self, wishes: Wishes, recheck: Recheck) -> Option<Order> {
        let settings = self.active_settings()?.clone();
        Some(Order {
            key: ObjectKey::of(&*self.object),
            settings,
            author: self.object.spec.commit.author.clone(),
            wishes: Arc::new(wishes),
            recheck,
        })
    }

    /// Takes over what a cycle pushed, where that began for the place that is meant now.
    pub(super) fn note_commits(&mut self, revision: Revision, committed: &[Committed]) {
        if let Some(committed) = committed.last().filter(|_| revision >= self.place_since) {
            self.last_commit = Some(last_commit(committed));
        }
    }

    /// Takes over what a cycle found, which began when this was asked for.
    pub(super) fn take(&mut self, report: &Report, request: Option<String>) {
        self.handled_request = request;
        self.head = Some(report.head.to_string());
        let sites = sites(&report.plan);
        let branch = report.target.as_ref().map(|target| format!(" of {target}")).unwrap_or_default();
        self.health = match sites.unresolved_total {
            0 => Health::Ready(
                Reason::Succeeded,
                format!("{}{branch} holds what the policies choose", report.head.short()),
            ),
            // The resolved ones were written: the repository is in order as far as it can be.
            n => Health::Ready(
                Reason::SitesUnresolved,
                format!("{n} of the places in the files could not be resolved: {}", summary(&sites)),
            ),
        };
        self.sites = Some(sites);
    }

    /// Takes over that a cycle failed. What was known stays.
    pub(super) fn fail(&mut self, error: &RepositoryError, request: Option<String>) {
        self.handled_request = request;
        self.health = Health::failed(error.reason(), error.to_string());
    }

    /// The status that all this amounts to, after one with these conditions.
    pub(super) fn status(&self, now: Timestamp, before: &[Condition]) -> InfraRepositoryStatus {
        let generation = self.object.metadata.generation;
        InfraRepositoryStatus {
            observed_generation: generation,
            head: self.head.clone(),
            last_commit: self.last_commit.clone(),
            sites: self.sites.clone(),
            last_handled_request: self.handled_request.clone(),
            conditions: Conditions::of(&self.health, generation, now, before),
        }
    }
}

/// Where a repository is read and written: the server and its branches.
fn place(spec: &InfraRepositorySpec) -> (&str, &str, Option<&str>) {
    let written = spec.publish.as_ref().and_then(|publish| publish.push.branch.as_deref());
    (&spec.url, &spec.branch, written)
}

/// What people should hear of the commits of one push, the first one first.
pub(super) fn notices_of(committed: &[Committed]) -> Vec<Notice> {
    let notice = |message| Notice { is_warning: false, reason: Reason::Committed, message };
    let pushed = |commit: &Committed| notice(format!("pushed {}: {}", commit.id.short(), commit.subject()));
    let mut notices: Vec<Notice> = committed.iter().take(MOST_LISTED).map(pushed).collect();
    let more = committed.len().saturating_sub(MOST_LISTED);
    if let Some(last) = committed.last().filter(|_| more > 0) {
        notices.push(notice(format!("pushed {more} more, up to {}", last.id.short())));
    }
    notices
}

/// What people should hear of a policy whose tag one of these commits has written.
pub(super) fn notice_of(written: &Written, committed: &[Committed]) -> Option<Notice> {
    let id = CommitId::parse(&written.commit)?;
    let commit = committed.iter().find(|commit| commit.id == id)?;
    let message = format!("{} is written to {} by {}", written.tag, written.repository, commit.id.short());
    Some(Notice { is_warning: false, reason: Reason::Committed, message })
}

fn last_commit(committed: &Committed) -> LastCommit {
    let changes = committed.plan.files.iter().flat_map(|file| {
        file.changes.iter().map(|change| CommittedChange {
            file: shown(&file.path),
            line: change.line,
            policy: change.policy.to_string(),
            from: shown(&change.from),
            to: shown(&change.to),
        })
    });
    LastCommit {
        id: committed.id.to_string(),
        subject: shown(committed.subject()),
        at: Time(committed.at),
        changes: changes.take(MOST_LISTED).collect(),
    }
}

fn sites(plan: &Plan) -> Sites {
    let unresolved = plan.problems.iter().filter(|problem| is_unresolved(problem.problem.reason));
    let counts = plan.problem_counts.iter().filter(|(reason, _)| is_unresolved(**reason));
    Sites {
        files: plan.files_with_sites,
        versions: plan.sites,
        unresolved: unresolved.take(MOST_LISTED).map(unresolved_site).collect(),
        unresolved_total: counts.map(|(_, count)| count).sum(),
    }
}

/// Whether a person must look at it. A policy that has not chosen yet, or a choice below what Git holds, is a state of
/// the policy, not of the file.
const fn is_unresolved(reason: ProblemReason) -> bool {
    !matches!(reason, ProblemReason::NotChosen | ProblemReason::Downgrade)
}

fn unresolved_site(problem: &FileProblem) -> UnresolvedSite {
    UnresolvedSite {
        file: shown(&problem.file),
        line: problem.problem.line,
        why: shown(&problem.problem.message),
    }
}

fn summary(sites: &Sites) -> String {
    let first = sites.unresolved.first().map(|site| format!("{}:{}: {}", site.file, site.line, site.why));
    let more = sites.unresolved_total.saturating_sub(1);
    let more =
        if more == 0 { String::new() } else { format!("; and {more} more in status.sites.unresolved") };
    first.unwrap_or_default() + &more
}

/// What one repository holds of one policy after a cycle.
pub(super) struct Holding {
    pub(super) written: Option<Written>,
    pub(super) remark: Option<String>,
}

/// For each policy that may write to the repository: where its tag is written, and what could not be.
pub(super) fn holdings(
    repository: &str,
    wishes: &Wishes,
    report: &Report,
    before: impl Fn(&ObjectKey) -> Option<Written>,
) -> BTreeMap<ObjectKey, Holding> {
    let pushed = pushed_updates(&report.committed);
    let holding = |key: &ObjectKey, tag: &str| {
        let problem = report.plan.problems.iter().find(|p| p.problem.policy.as_ref() == Some(key));
        let remark = problem.map(unresolved_site).map(|at| format!("{}:{}: {}", at.file, at.line, at.why));
        let holds_all = remark.is_none() && report.plan.held.get(key).is_some_and(|&sites| sites > 0);
        let by = || pushed.get(&(key.to_string().as_str(), tag)).copied();
        Holding { written: holds_all.then(|| written(repository, tag, by(), report, before(key))), remark }
    };
    let chosen = wishes.iter().filter_map(|(key, wish)| Some((key, &wish.as_ref().ok()?.selection)));
    chosen.map(|(key, selection)| (key.clone(), holding(key, selection.tag.as_str()))).collect()
}

/// By policy and tag, the last of these commits that wrote it. Each message is read once, however many policies there are.
fn pushed_updates(committed: &[Committed]) -> BTreeMap<(&str, &str), &Committed> {
    committed.iter().flat_map(|commit| updates(&commit.message).map(move |update| (update, commit))).collect()
}

/// Which commit wrote the tag: one just pushed, the one known from before, else the branch's head, which either says
/// in its trailer that it did, as after a crash between push and status, or is the first in which the tag was seen.
fn written(
    repository: &str,
    tag: &str,
    pushed: Option<&Committed>,
    report: &Report,
    before: Option<Written>,
) -> Written {
    if let Some(before) = before.filter(|before| before.tag == tag && pushed.is_none()) {
        return before;
    }
    let (commit, at) = pushed.map_or((report.head, report.head_at), |commit| (commit.id, commit.at));
    Written {
        repository: repository.to_owned(),
        commit: commit.to_string(),
        tag: tag.to_owned(),
        at: Time(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> String {
        format!("{n:010x}{:030x}", 0)
    }

    fn pushed(count: usize) -> Vec<Committed> {
        let commit = |n| Committed {
            id: CommitId::parse(&id(n)).unwrap(),
            message: format!("Bump {n}\n\nBody\n"),
            at: Timestamp::UNIX_EPOCH,
            plan: Plan::default(),
        };
        (0..count).map(commit).collect()
    }

    fn told(count: usize) -> Vec<String> {
        notices_of(&pushed(count)).into_iter().map(|notice| notice.message).collect()
    }

    #[test]
    fn each_commit_of_a_push_is_told_of_in_order_and_of_many_the_first_ones() {
        assert_eq!(told(0), [""; 0]);
        assert_eq!(told(2), ["pushed 0000000000: Bump 0", "pushed 0000000001: Bump 1"]);
        assert_eq!(told(MOST_LISTED).len(), MOST_LISTED);
        let many = told(100);
        assert_eq!((many.len(), many[MOST_LISTED].as_str()), (21, "pushed 80 more, up to 0000000063"));
    }

    #[test]
    fn what_a_file_holds_is_shown_in_a_line_and_not_in_full() {
        let text = format!("a\u{202e}\n{}", "x".repeat(1 << 20));
        let shown = format!("a{}…", "x".repeat(254));
        let change = crate::edit::Change {
            line: 1,
            policy: ObjectKey::new("shop", "api"),
            part: crate::edit::Part::Tag,
            from: text.clone(),
            to: text.clone(),
        };
        let problem = crate::edit::Problem {
            line: 1,
            reason: ProblemReason::InvalidMarker,
            message: text.clone(),
            policy: Some(change.policy.clone()),
        };
        let mut committed = pushed(1);
        let file = crate::engine::plan::PlannedFile {
            path: text.clone(),
            content: Vec::new(),
            changes: vec![change],
        };
        committed[0].plan.files.push(file);
        committed[0].plan.add_problem(FileProblem { file: text, problem });
        let commit = last_commit(&committed[0]);
        let change = &commit.changes[0];
        assert_eq!([&change.file, &change.from, &change.to], [&shown; 3]);
        let site = &sites(&committed[0].plan).unresolved[0];
        assert_eq!([&site.file, &site.why], [&shown; 2]);
    }

    #[test]
    fn a_policy_is_told_of_the_commit_that_wrote_its_tag_and_of_no_other() {
        let committed = pushed(2);
        let written = |n| Written {
            repository: "infra".to_owned(),
            commit: id(n),
            tag: "1.1.0".to_owned(),
            at: Time(Timestamp::UNIX_EPOCH),
        };
        let notice = notice_of(&written(1), &committed).unwrap();
        assert_eq!(notice.message, "1.1.0 is written to infra by 0000000001");
        assert_eq!(notice_of(&written(7), &committed), None, "it was there before");
    }

    #[test]
    fn a_tag_is_written_by_the_last_commit_that_says_so() {
        let mut committed = pushed(4);
        for (commit, trailers) in committed.iter_mut().zip([
            "shop/api 1.0.0 1.1.0",
            "shop/api 1.1.0 1.0.0\nTagtide-Update: shop/web 1.0.0 1.1.0",
            "shop/api 1.0.0 1.1.0 sha256:00",
        ]) {
            commit.message += &format!("\nTagtide-Update: {trailers}\n");
        }
        let found = pushed_updates(&committed).into_iter();
        let found = found.map(|((policy, tag), commit)| format!("{policy} {tag} {}", commit.id.short()));
        assert_eq!(
            found.collect::<Vec<_>>(),
            ["shop/api 1.0.0 0000000001", "shop/api 1.1.0 0000000002", "shop/web 1.1.0 0000000001"]
        );
    }
}
