//! The desk: keeps the state of every object, decides what is due, and hands the work out.
//!
//! One task owns all state and does no I/O. Scans and cycles run as tasks of their own and report back; a panic in one
//! of them is the failure of that one object.

mod agenda;
mod dispatch;
mod intake;
mod mirrors;
mod news;
mod once;
mod places;
mod scans;
mod settle;
mod show;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{Id, JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::access::AccessError;
use super::awaited::Awaited;
use super::board::Board;
use super::cycle::{Report, Workbench};
use super::hooks::Hooks;
use super::inquiry::{ScanError, Tools};
use super::metrics::Metrics;
use super::plan::Wishes;
use super::policy_state::PolicyState;
use super::repository_settings::RepositoryError;
use super::repository_state::RepositoryState;
use super::revision::Revision;
use super::scan::{Member, Scan, ScanKey};
use super::schedule::Slot;
use super::settings::Settings;
use super::world::{ObjectId, Status, Update, World};
use crate::api::{ClusterImageRegistry, ObjectKey};
use crate::registry;
use agenda::Agenda;
pub use once::Ended;
use scans::{KnownList, Rest};

/// How long running cycles may take to end after the process was asked to stop.
const GRACE: Duration = Duration::from_secs(25);

/// How long statuses may be shown after that. With what giving the Lease back takes, it is less than the chart gives a pod.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Nothing is due: look again after this long all the same.
const IDLE: Duration = Duration::from_secs(60);

/// The engine: feed it [`Update`]s and it keeps Git in step with the registries.
pub struct Engine<W> {
    world: Arc<W>,
    settings: Arc<Settings>,
    tools: Tools,
    metrics: Metrics,
    board: Board,
    hooks: Hooks,
    policies: BTreeMap<ObjectKey, PolicyState>,
    repositories: BTreeMap<ObjectKey, RepositoryState>,
    registries: BTreeMap<String, Arc<ClusterImageRegistry>>,
    scans: Agenda,
    /// Until when a host wants to be left alone by those who ask it in this way.
    rests: HashMap<Rest, Instant>,
    /// The lists that registries know again.
    known_lists: BTreeMap<ScanKey, KnownList>,
    /// The tags that deliveries named and that no list has shown yet.
    awaited: BTreeMap<ScanKey, Awaited>,
    cycles: BTreeMap<ObjectKey, Slot>,
    checks: BTreeMap<String, Slot>,
    benches: BTreeMap<ObjectKey, Workbench>,
    shown: HashMap<ObjectId, Status>,
    tasks: JoinSet<Done>,
    jobs: HashMap<Id, Job>,
    is_complete: bool,
    /// Whether it ends once all is done that was asked for.
    is_once: bool,
    /// When mirrors are looked for next that no object needs.
    mirrors_due: Option<Instant>,
}

/// A task that was handed out.
#[derive(Clone)]
enum Job {
    /// With those it is for, and the namespace whose turn it was.
    Scan(ScanKey, Vec<Member>, String),
    Cycle(ObjectKey, Begun),
    Check(String),
}

/// What a cycle began for.
#[derive(Clone)]
struct Begun {
    /// The version of the InfraRepository's spec: one made anew under the same name is another.
    revision: Revision,
    /// What the object asked for.
    request: Option<String>,
}

/// What a task brings back.
enum Done {
    Scan(Box<Result<Scan, ScanError>>, Duration),
    Cycle(Box<Option<Workbench>>, Box<Result<Report, RepositoryError>>, Arc<Wishes>),
    Check(Result<(), AccessError>),
}

impl<W: World> Engine<W> {
    /// Runs until `stop` is cancelled or the updates end; running cycles are let finish then, for a bounded time. `hooks`
    /// is kept to what the ClusterImageRegistries say.
    pub async fn run(
        world: Arc<W>,
        settings: Settings,
        metrics: Metrics,
        hooks: Hooks,
        updates: mpsc::Receiver<Update>,
        stop: CancellationToken,
    ) {
        let (mut engine, board_work) = Self::open(world, settings, metrics, hooks);
        engine.work(updates, &stop).await;
        engine.close(board_work).await;
    }

    /// An engine, and the work of its board, which goes on by itself.
    fn open(world: Arc<W>, settings: Settings, metrics: Metrics, hooks: Hooks) -> (Self, JoinHandle<()>) {
        let (board, board_work) = Board::open(Arc::clone(&world), metrics.clone());
        (Self::new(world, settings, metrics, board, hooks), tokio::spawn(board_work))
    }

    /// Lets running cycles finish and the last statuses be shown, for a bounded time.
    async fn close(mut self, board_work: JoinHandle<()>) {
        let end = Instant::now() + GRACE;
        self.wind_up(end).await;
        drop(self);
        let _ = tokio::time::timeout_at(end + LAST_WORDS, board_work).await;
    }

    async fn work(&mut self, mut updates: mpsc::Receiver<Update>, stop: &CancellationToken) {
        loop {
            let next = self.start_what_is_due();
            if self.is_once && self.is_done() {
                return;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                update = updates.recv() => match update {
                    Some(update) => self.take_in(update),
                    None => return,
                },
                Some(ended) = self.tasks.join_next_with_id() => self.settle(ended),
                () = sleep_until(next) => {}
            }
        }
    }

    fn new(world: Arc<W>, settings: Settings, metrics: Metrics, board: Board, hooks: Hooks) -> Self {
        let client = registry::Client::new(settings.connections.clone(), settings.allow_http);
        let variables = registry::Variables::of_this_process();
        let identities = registry::Identities::new(&settings.connections, variables);
        Self {
            world,
            settings: Arc::new(settings),
            tools: Tools::new(client, identities),
            metrics,
            board,
            hooks,
            policies: BTreeMap::new(),
            repositories: BTreeMap::new(),
            registries: BTreeMap::new(),
            scans: Agenda::default(),
            rests: HashMap::new(),
            known_lists: BTreeMap::new(),
            awaited: BTreeMap::new(),
            cycles: BTreeMap::new(),
            checks: BTreeMap::new(),
            benches: BTreeMap::new(),
            shown: HashMap::new(),
            tasks: JoinSet::new(),
            jobs: HashMap::new(),
            is_complete: false,
            is_once: false,
            mirrors_due: None,
        }
    }

    /// Lets running cycles finish; a scan that is given up loses nothing.
    async fn wind_up(&mut self, until: Instant) {
        while self.jobs.values().any(|job| matches!(job, Job::Cycle(..))) {
            match tokio::time::timeout_at(until, self.tasks.join_next_with_id()).await {
                Ok(Some(ended)) => self.settle(ended),
                Ok(None) | Err(_) => break,
            }
        }
        self.tasks.abort_all();
    }
}
