//! The engine fed from a folder: the same objects as YAML, read again when they change, with their statuses printed and
//! written beside them.

mod statuses;
mod watch;
mod world;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::engine::{Ended, Engine, Hooks, Metrics, Settings};
use crate::receiver::{self, Door, Inbox, Listener};
use crate::registry::webhook::Oidc;
pub use statuses::Statuses;
use world::FolderWorld;

/// What the standalone mode needs.
#[derive(Clone, Debug)]
pub struct StandaloneSettings {
    /// The folder, or one file, with the objects.
    pub policies: PathBuf,
    /// The folder into which statuses are written.
    pub statuses: PathBuf,
    /// How statuses are printed.
    pub print: Print,
    /// Where deliveries of webhooks are taken, if they are.
    pub hooks: Option<SocketAddr>,
    /// The engine's settings.
    pub engine: Settings,
}

/// How each change of a status is printed to standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Print {
    /// One line for people.
    Lines,
    /// One JSON object a line: kind, namespace, name and status.
    Json,
    /// Not at all.
    Nothing,
}

/// Why the standalone mode can not run.
#[derive(Debug, thiserror::Error)]
pub enum StandaloneError {
    /// The folder with the objects can not be read.
    #[error("{} can not be read: {source}", .path.display())]
    Policies {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The address for webhooks is taken, or not this machine's.
    #[error("{address} can not be listened on: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The folder for statuses can not be written.
    #[error("{} can not be written: {source}", .path.display())]
    Statuses {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Updates that may wait for the engine.
const WAITING_UPDATES: usize = 256;

/// Runs until `stop` is cancelled.
///
/// # Errors
/// Where one of the two folders can not be used at all. A bad file in the folder is reported and stops nothing.
pub async fn run(settings: StandaloneSettings, stop: CancellationToken) -> Result<(), StandaloneError> {
    let Site { world, statuses } = Site::open(&settings)?;
    let StandaloneSettings { policies, hooks: hooks_at, engine, .. } = settings;
    let (updates_in, updates) = mpsc::channel(WAITING_UPDATES);
    let hooks = Hooks::default();
    if let Some(address) = hooks_at {
        let listener = Listener::bind(address).await;
        let listener = listener.map_err(|source| StandaloneError::Listen { address, source })?;
        let (inbox, counts) = (Inbox::default(), receiver::Metrics::default());
        let oidc = Oidc::new(engine.connections.clone(), engine.allow_http);
        let door = Door::new(hooks.clone(), Arc::clone(&world), oidc, inbox.clone(), counts);
        tokio::spawn(receiver::serve(listener, Arc::new(door), stop.clone()));
        tokio::spawn(inbox.carry(updates_in.clone()));
    }
    let feeder = tokio::spawn(watch::feed(policies, Arc::clone(&world), statuses, updates_in));
    Engine::run(world, engine, metrics(), hooks, updates, stop).await;
    feeder.abort();
    Ok(())
}

/// Runs until every object of the folder has had its scan and, where something is to be written, its cycle; no longer than
/// `limit`, and what is being pushed then. Nobody delivers to it.
///
/// # Errors
/// Where one of the two folders can not be used at all. With a bad file in the folder, not all is [`Ended::Ready`].
pub async fn run_once(
    settings: StandaloneSettings,
    limit: Duration,
    stop: CancellationToken,
) -> Result<Ended, StandaloneError> {
    let Site { world, statuses } = Site::open(&settings)?;
    let StandaloneSettings { policies, engine, .. } = settings;
    let (updates_in, updates) = mpsc::channel(WAITING_UPDATES);
    let feeder = tokio::spawn(watch::feed(policies, Arc::clone(&world), statuses, updates_in));
    let timer = tokio::spawn({
        let stop = stop.clone();
        async move {
            tokio::time::sleep(limit).await;
            stop.cancel();
        }
    });
    let ended = Engine::run_once(Arc::clone(&world), engine, metrics(), updates, stop).await;
    feeder.abort();
    timer.abort();
    Ok(match ended {
        Ended::Ready if world.has_problems() => Ended::NotReady,
        Ended::Ready | Ended::NotReady | Ended::Stopped => ended,
    })
}

/// The two folders, as they are used.
struct Site {
    world: Arc<FolderWorld>,
    statuses: Statuses,
}

impl Site {
    fn open(settings: &StandaloneSettings) -> Result<Self, StandaloneError> {
        let StandaloneSettings { policies, statuses, print, .. } = settings;
        if let Err(source) = std::fs::metadata(policies) {
            return Err(StandaloneError::Policies { path: policies.clone(), source });
        }
        let statuses = Statuses::open(statuses)
            .map_err(|source| StandaloneError::Statuses { path: statuses.clone(), source })?;
        Ok(Self { world: Arc::new(FolderWorld::new(statuses.clone(), *print)), statuses })
    }
}

fn metrics() -> Metrics {
    Metrics::register(&mut Registry::with_prefix("tagtide"))
}
