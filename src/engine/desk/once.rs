//! A run that ends: once everything that was there at the start has been done.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Engine;
use super::show::{policy_id, registry_id, repository_id};
use crate::engine::hooks::Hooks;
use crate::engine::metrics::Metrics;
use crate::engine::schedule::Slot;
use crate::engine::settings::Settings;
use crate::engine::world::{ObjectId, Status, Update, World};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All was done, and every object is `Ready`.
    Ready,
    /// All was done, and some object is not `Ready`.
    NotReady,
    /// It was stopped before.
    Stopped,
}

impl<W: World> Engine<W> {
    /// Runs until every object has had its scan, its check, and its cycle after the scans, well or not, or until `stop` is
    /// cancelled. What fails is not tried again.
    pub async fn run_once(
        world: Arc<W>,
        settings: Settings,
        metrics: Metrics,
        updates: mpsc::Receiver<Update>,
        stop: CancellationToken,
    ) -> Ended {
        let (mut engine, board_work) = Self::open(world, settings, metrics, Hooks::default());
        engine.is_once = true;
        engine.work(updates, &stop).await;
        let ended = match (engine.is_done(), engine.is_all_ready()) {
            (true, true) => Ended::Ready,
            (true, false) => Ended::NotReady,
            (false, _) => Ended::Stopped,
        };
        engine.close(board_work).await;
        ended
    }

    /// Whether nothing is under way or asked for.
    pub(super) fn is_done(&self) -> bool {
        let mut slots = self.scans.slots().chain(self.cycles.values()).chain(self.checks.values());
        self.is_complete && self.jobs.is_empty() && slots.all(Slot::is_at_rest)
    }

    /// Whether cycles wait for what the scans find, so that there is one commit for all of it.
    pub(super) fn holds_cycles_back(&self) -> bool {
        self.is_once && self.scans.slots().any(Slot::is_running)
    }

    fn is_all_ready(&self) -> bool {
        let policies = self.policies.values().map(|state| policy_id(state.object()));
        let repositories = self.repositories.values().map(|state| repository_id(state.object()));
        let registries = self.registries.values().map(|object| registry_id(object));
        policies.chain(repositories).chain(registries).all(|object| self.is_ready(&object))
    }

    fn is_ready(&self, object: &ObjectId) -> bool {
        let conditions = self.shown.get(object).map(Status::conditions).unwrap_or_default();
        conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
    }
}
