//! One cycle of one repository: bring the branch up to date, plan, commit, push; and again where others were faster.

mod view;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::ground::{Ground, Side, choose};
use super::index::SiteIndex;
use super::metrics::Metrics;
use super::plan::{Plan, Wishes};
use super::recheck::{Doubt, Recheck, withheld};
use super::repository_settings::{RepositoryError, RepositorySettings, Secrets};
use super::settings::Settings;
use super::signing::KeptSigner;
use super::world::World;
use crate::api::{Author, ObjectKey};
use crate::git::{
    self, Branch, BranchName, CommitId, Draft, DraftCommit, FileEdit, Published, Signer, Start,
};
use view::{View, view};

/// How long one cycle may take in all: time enough to fetch what is large over a slow line, and an end for a server that
/// goes on for ever.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// How often a lost race is run again within one cycle.
const ATTEMPTS: u32 = 6;

/// A repository opened for work, kept from cycle to cycle.
pub(super) struct Workbench {
    branch: Arc<Branch>,
    index: SiteIndex,
    /// That of the branch that is written, where it is another one.
    target_index: SiteIndex,
    settings: RepositorySettings,
    secrets: Secrets,
    signer: Option<KeptSigner>,
}

/// What a cycle shall do.
#[derive(Clone)]
pub(super) struct Order {
    pub(super) key: ObjectKey,
    pub(super) settings: RepositorySettings,
    pub(super) author: Author,
    pub(super) wishes: Arc<Wishes>,
    pub(super) recheck: Recheck,
}

/// What a cycle did and found.
#[derive(Debug)]
pub(super) struct Report {
    /// Where the branch is.
    pub(super) head: CommitId,
    /// The branch, where it is another one than is read.
    pub(super) target: Option<BranchName>,
    /// When that commit was made, as it says.
    pub(super) head_at: Timestamp,
    /// The commits that were pushed, the first one first.
    pub(super) committed: Vec<Committed>,
    /// What the branch holds now, set against what the policies want.
    pub(super) plan: Plan,
    /// The policies whose digest was kept out of Git, each with the reason.
    pub(super) doubts: BTreeMap<ObjectKey, Doubt>,
}

/// A commit that was pushed.
#[derive(Debug)]
pub(super) struct Committed {
    pub(super) id: CommitId,
    /// The whole message.
    pub(super) message: String,
    pub(super) at: Timestamp,
    /// What it changed.
    pub(super) plan: Plan,
}

/// Runs one cycle, within a time. The bench comes back whatever happened, unless it can not be trusted any more.
pub(super) async fn run<W: World>(
    world: &W,
    settings: &Settings,
    bench: Option<Workbench>,
    order: &Order,
    metrics: &Metrics,
) -> (Option<Workbench>, Result<Report, RepositoryError>) {
    let work = run_to_its_end(world, settings, bench, order, metrics);
    match tokio::time::timeout(LONGEST, work).await {
        Ok(done) => done,
        // Whether a push was taken is seen in the branch by the next one.
        Err(_) => (None, Err(RepositoryError::TooSlow(LONGEST.as_secs() / 60))),
    }
}

async fn run_to_its_end<W: World>(
    world: &W,
    settings: &Settings,
    bench: Option<Workbench>,
    order: &Order,
    metrics: &Metrics,
) -> (Option<Workbench>, Result<Report, RepositoryError>) {
    let mut bench = match ready(world, settings, bench, order).await {
        Ok(bench) => bench,
        Err(error) => return (None, Err(error)),
    };
    let outcome = match order.settings.signer(world, &mut bench.signer).await {
        Ok(signer) => bench.work_patiently(world, order, signer.as_ref(), metrics).await,
        Err(error) => Err(error),
    };
    // A server that fails says nothing against what was read.
    if let Err(RepositoryError::Git(error)) = &outcome
        && error.is_of_mirror()
    {
        bench.forget_files();
        if bench.branch.start_over_after(error).is_err() {
            return (None, outcome);
        }
    }
    (Some(bench), outcome)
}

/// The bench of the last cycle where it still fits the spec and the Secret, else a new one.
async fn ready<W: World>(
    world: &W,
    settings: &Settings,
    bench: Option<Workbench>,
    order: &Order,
) -> Result<Workbench, RepositoryError> {
    let secrets = order.settings.read_secrets(world).await?;
    match bench {
        Some(mut bench) if bench.settings.opens_as(&order.settings) && bench.secrets == secrets => {
            if !bench.settings.looks_as(&order.settings) {
                bench.forget_files();
            }
            bench.settings = order.settings.clone();
            Ok(bench)
        }
        stale => {
            // The old one holds the lock of the mirror's folder.
            drop(stale);
            let branch = Arc::new(order.settings.open(settings, &order.key, &secrets).await?);
            let (index, target_index) = (SiteIndex::default(), SiteIndex::default());
            Ok(Workbench {
                branch,
                index,
                target_index,
                settings: order.settings.clone(),
                secrets,
                signer: None,
            })
        }
    }
}

impl Committed {
    /// The first line of its message.
    pub(super) fn subject(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }
}

impl Workbench {
    /// Works, and waits a while where work on other repositories takes up the memory.
    async fn work_patiently<W: World>(
        &mut self,
        world: &W,
        order: &Order,
        signer: Option<&Signer>,
        metrics: &Metrics,
    ) -> Result<Report, RepositoryError> {
        let mut attempt = 1;
        loop {
            match self.work(world, order, signer, metrics).await {
                Err(RepositoryError::Git(git::Error::Crowded)) if attempt < ATTEMPTS => {
                    tokio::time::sleep(pause(ATTEMPTS) * attempt).await;
                    attempt += 1;
                }
                done => return done,
            }
        }
    }

    async fn work<W: World>(
        &mut self,
        world: &W,
        order: &Order,
        signer: Option<&Signer>,
        metrics: &Metrics,
    ) -> Result<Report, RepositoryError> {
        let (mut wishes, mut doubts) = (Arc::clone(&order.wishes), BTreeMap::new());
        for attempt in 1..=ATTEMPTS {
            let (ground, view) = self.ground(&wishes).await?;
            if view.plan.files.is_empty() {
                let report = self.report(ground.side, ground.start.edited(), view, Vec::new());
                return Ok(Report { doubts, ..report });
            }
            let more = order.recheck.doubts(world, &view.plan, &wishes).await;
            if !more.is_empty() {
                wishes = withheld(&wishes, &more);
                doubts.extend(more);
                continue;
            }
            if !world.may_write() {
                return Err(RepositoryError::NotLeading);
            }
            let draft = draft(order, signer, ground, &view)?;
            let messages: Vec<String> = draft.commits.iter().map(|commit| commit.message.clone()).collect();
            let at = draft.at;
            match self.branch.publish(draft).await {
                Ok(Published::Taken(commits)) => {
                    metrics.pushed("taken");
                    let Some(&id) = commits.last() else { continue };
                    let side = self.written_side();
                    let after = match self.look(side, id, &wishes).await {
                        Ok(after) => after,
                        // The commit is on the server whatever can be seen of it here: it must be told of, or it never is.
                        Err(error) => {
                            tracing::warn!(repository = %order.key, %error, "the pushed commit can not be read yet");
                            View::after(&view, at)
                        }
                    };
                    let parts = commits.into_iter().zip(messages).zip(view.into_parts());
                    let committed = parts.map(|((id, message), plan)| Committed { id, message, at, plan });
                    let report = self.report(side, id, after, committed.collect());
                    return Ok(Report { doubts, ..report });
                }
                Ok(Published::Raced) => {
                    metrics.pushed("raced");
                    tracing::debug!(repository = %order.key, attempt, "someone pushed first; planning again");
                    tokio::time::sleep(pause(attempt)).await;
                }
                Ok(Published::Refused(words)) => {
                    metrics.pushed("refused");
                    return Err(RepositoryError::PushRefused(words));
                }
                Err(error) => {
                    metrics.pushed("failed");
                    return Err(error.into());
                }
            }
        }
        Err(RepositoryError::Raced(ATTEMPTS))
    }

    /// Looks at the branch, and at the one that is written where it is another; where the next commits go, and what the
    /// files are like there.
    async fn ground(&mut self, wishes: &Arc<Wishes>) -> Result<(Ground, View), RepositoryError> {
        let head = self.branch.bring_up_to_date().await?;
        let base = self.look(Side::Base, head, wishes).await?;
        if self.written_side() == Side::Base {
            return Ok((Ground { side: Side::Base, start: Start::Tip(head), vouches: false }, base));
        }
        let target = match self.branch.bring_target(head).await? {
            Some(tip) => Some((tip, self.look(Side::Target, tip, wishes).await?)),
            None => None,
        };
        let seen = target.as_ref().map(|(tip, view)| view.sight(*tip));
        let names = (self.branch.name(), self.branch.written());
        let ground = choose(&base.sight(head), seen.as_ref(), names);
        Ok(match (ground.side, target) {
            (Side::Target, Some((_, target))) => (ground, target),
            (Side::Target | Side::Base, _) => (ground, base),
        })
    }

    fn written_side(&self) -> Side {
        if self.branch.written() == self.branch.name() { Side::Base } else { Side::Target }
    }

    fn report(&self, side: Side, head: CommitId, view: View, committed: Vec<Committed>) -> Report {
        let target = (side == Side::Target).then(|| self.branch.written().clone());
        let doubts = BTreeMap::new();
        Report { head, target, head_at: view.at, committed, plan: view.plan, doubts }
    }

    fn forget_files(&mut self) {
        (self.index, self.target_index) = (SiteIndex::default(), SiteIndex::default());
    }

    /// Plans on one commit, in a thread of its own: libgit2 blocks.
    async fn look(
        &mut self,
        side: Side,
        commit: CommitId,
        wishes: &Arc<Wishes>,
    ) -> Result<View, RepositoryError> {
        let (branch, wishes) = (Arc::clone(&self.branch), Arc::clone(wishes));
        let kept = match side {
            Side::Base => &mut self.index,
            Side::Target => &mut self.target_index,
        };
        let mut index = std::mem::take(kept);
        let (scope, targets) = (self.settings.scope.clone(), Arc::clone(&self.settings.targets));
        let grouping = self.settings.grouping;
        let work = tokio::task::spawn_blocking(move || {
            let view = branch.look(commit, |mut snapshot| {
                index.update(&mut snapshot, &scope, &targets, &wishes)?;
                view(&snapshot, &mut index, &wishes, grouping, &targets)
            });
            (index, view)
        });
        let (index, view) = work.await.map_err(|error| RepositoryError::Interrupted(error.to_string()))?;
        *kept = index;
        Ok(view?)
    }
}

fn draft(
    order: &Order,
    signer: Option<&Signer>,
    ground: Ground,
    view: &View,
) -> Result<Draft, RepositoryError> {
    let commit = |plan: &Plan| {
        let edits = plan.files.iter();
        let edits = edits.map(|file| FileEdit { path: file.path.clone(), content: file.content.clone() });
        let message = order.settings.wording.compose(&plan.moves(&order.wishes))?;
        Ok(DraftCommit { edits: edits.collect(), message })
    };
    Ok(Draft {
        start: ground.start,
        commits: view.parts().iter().map(commit).collect::<Result<_, RepositoryError>>()?,
        vouches: ground.vouches,
        author_name: order.author.name.clone(),
        author_email: order.author.email.clone(),
        at: Timestamp::now(),
        signer: signer.cloned(),
    })
}

/// How long to wait after a lost race: longer each time, and never the same for two that race each other.
fn pause(attempt: u32) -> Duration {
    let most = 25_u64.saturating_mul(1 << attempt.min(6));
    Duration::from_millis(rand::random_range(most / 2..=most))
}

#[cfg(test)]
pub(super) mod tests;
