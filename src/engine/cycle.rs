//! One cycle of one repository: bring the branch up to date, plan, commit, push; and again where others were faster.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::index::{MAX_FILE, SiteIndex};
use super::message::compose;
use super::metrics::Metrics;
use super::plan::{Plan, Wishes, plan};
use super::repository_settings::{RepositoryError, RepositorySettings, Secrets};
use super::settings::Settings;
use super::world::World;
use crate::api::{Author, ObjectKey};
use crate::git::{self, Branch, CommitId, Draft, FileEdit, Published, Signer, Snapshot};

/// How many problems are kept that concern no policy of the repository; a status shows fewer.
const MOST_FOREIGN_PROBLEMS: usize = 100;

/// How often a lost race is run again within one cycle.
const ATTEMPTS: u32 = 6;

/// A repository opened for work, kept from cycle to cycle.
pub(super) struct Workbench {
    branch: Arc<Branch>,
    index: SiteIndex,
    settings: RepositorySettings,
    secrets: Secrets,
}

/// What a cycle shall do.
#[derive(Clone)]
pub(super) struct Order {
    pub(super) key: ObjectKey,
    pub(super) settings: RepositorySettings,
    pub(super) author: Author,
    pub(super) wishes: Arc<Wishes>,
}

/// What a cycle did and found.
#[derive(Debug)]
pub(super) struct Report {
    /// Where the branch is.
    pub(super) head: CommitId,
    /// The message of that commit, and its time.
    pub(super) head_message: (String, Timestamp),
    /// The commit that was pushed, where one was.
    pub(super) committed: Option<Committed>,
    /// What the branch holds now, set against what the policies want.
    pub(super) plan: Plan,
}

/// A commit that was pushed.
#[derive(Debug)]
pub(super) struct Committed {
    pub(super) id: CommitId,
    pub(super) subject: String,
    pub(super) at: Timestamp,
    /// What it changed.
    pub(super) plan: Plan,
}

/// Runs one cycle. The bench comes back whatever happened, unless it can not be trusted any more.
pub(super) async fn run<W: World>(
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
    let outcome = match order.settings.signer(world).await {
        Ok(signer) => bench.work(world, order, signer.as_ref(), metrics).await,
        Err(error) => Err(error),
    };
    if let Err(RepositoryError::Git(error)) = &outcome {
        bench.index = SiteIndex::default();
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
            if !bench.settings.scope.is_same(&order.settings.scope) {
                bench.index = SiteIndex::default();
            }
            bench.settings = order.settings.clone();
            Ok(bench)
        }
        stale => {
            // The old one holds the lock of the mirror's folder.
            drop(stale);
            let branch = Arc::new(order.settings.open(settings, &order.key, &secrets)?);
            Ok(Workbench { branch, index: SiteIndex::default(), settings: order.settings.clone(), secrets })
        }
    }
}

impl Workbench {
    async fn work<W: World>(
        &mut self,
        world: &W,
        order: &Order,
        signer: Option<&Signer>,
        metrics: &Metrics,
    ) -> Result<Report, RepositoryError> {
        for attempt in 1..=ATTEMPTS {
            let head = self.branch.bring_up_to_date().await?;
            let view = self.look(head, &order.wishes).await?;
            if view.plan.files.is_empty() {
                return Ok(Report { head, head_message: view.message, committed: None, plan: view.plan });
            }
            if !world.may_write() {
                return Err(RepositoryError::NotLeading);
            }
            let draft = draft(order, signer, head, &view.plan);
            let (subject, at) = (first_line(&draft.message), draft.at);
            match self.branch.publish(draft).await {
                Ok(Published::Taken(id)) => {
                    metrics.pushed("taken");
                    let after = self.look(id, &order.wishes).await?;
                    let committed = Some(Committed { id, subject, at, plan: view.plan });
                    return Ok(Report { head: id, head_message: after.message, committed, plan: after.plan });
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

    /// Plans on one commit, in a thread of its own: libgit2 blocks.
    async fn look(&mut self, commit: CommitId, wishes: &Arc<Wishes>) -> Result<View, RepositoryError> {
        let (branch, wishes) = (Arc::clone(&self.branch), Arc::clone(wishes));
        let (mut index, scope) = (std::mem::take(&mut self.index), self.settings.scope.clone());
        let work = tokio::task::spawn_blocking(move || {
            let view = branch.snapshot(commit).and_then(|snapshot| {
                index.update(&snapshot, &scope)?;
                view(&snapshot, &index, &wishes)
            });
            (index, view)
        });
        let (index, view) = work.await.map_err(|error| RepositoryError::Interrupted(error.to_string()))?;
        self.index = index;
        Ok(view?)
    }
}

/// One commit, set against what the policies want.
struct View {
    message: (String, Timestamp),
    plan: Plan,
}

fn view(snapshot: &Snapshot, index: &SiteIndex, wishes: &Wishes) -> Result<View, git::Error> {
    let files = index.files();
    let read = |path: &str| {
        let blob = files.get(path).map(|file| file.blob);
        let text = blob.map(|blob| snapshot.read(blob, MAX_FILE)).transpose()?;
        Ok::<_, git::Error>(text.flatten().unwrap_or_default())
    };
    let sites = files.iter().map(|(path, file)| (path.as_str(), &*file.found));
    let plan = plan(sites, read, wishes, MOST_FOREIGN_PROBLEMS)?;
    Ok(View { message: snapshot.message()?, plan })
}

fn draft(order: &Order, signer: Option<&Signer>, parent: CommitId, plan: &Plan) -> Draft {
    let edits = plan.files.iter();
    Draft {
        parent,
        edits: edits
            .map(|file| FileEdit { path: file.path.clone(), content: file.content.clone() })
            .collect(),
        message: compose(&order.key.namespace, &plan.moves(&order.wishes)),
        author_name: order.author.name.clone(),
        author_email: order.author.email.clone(),
        at: Timestamp::now(),
        signer: signer.cloned(),
    }
}

fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
}

/// How long to wait after a lost race: longer each time, and never the same for two that race each other.
fn pause(attempt: u32) -> Duration {
    let most = 25_u64.saturating_mul(1 << attempt.min(6));
    Duration::from_millis(rand::random_range(most / 2..=most))
}
