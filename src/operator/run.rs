//! `tagtide run`: everything wired together.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use kube::{Api, Client};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::api_client;
use super::deliveries::{Deliveries, Leader, reachable};
use super::http::{Readiness, serve};
use super::leader::Candidacy;
use crate::controller::{KubeWorld, Scope, feed};
use crate::engine::{Engine, Hooks, Metrics, Settings, Update};
use crate::receiver::{self, Door, Inbox, Listener};
use crate::registry::webhook::Oidc;

/// Updates that may wait for the engine.
const WAITING_UPDATES: usize = 1024;

/// How long the API server may take to answer at the start, in one try.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// What the operator needs beyond the engine's settings.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// The operator's own namespace: its Lease, and the Secrets of cluster-scoped objects.
    pub namespace: String,
    /// Which namespaces are watched.
    pub scope: Scope,
    /// The name of the Lease.
    pub lease: String,
    /// This process among its replicas.
    pub identity: String,
    /// Where health and metrics are served.
    pub listen: SocketAddr,
    /// Where deliveries of webhooks are taken, if they are.
    pub hooks: Option<HooksSettings>,
    /// The engine's settings.
    pub engine: Settings,
}

/// Where deliveries of webhooks are taken.
#[derive(Clone, Copy, Debug)]
pub struct HooksSettings {
    /// Where this process listens for them.
    pub listen: SocketAddr,
    /// The address by which the other replicas reach this process.
    pub own: Option<IpAddr>,
}

/// Why the operator could not run, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no way to the API server.
    #[error(
        "the Kubernetes API can not be used: {0}; in a cluster the pod's service account is used, elsewhere KUBECONFIG"
    )]
    Api(String),
    /// The address is taken, or not this machine's.
    #[error("{address} can not be listened on: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The Lease can not be asked for.
    #[error("the Lease can not be used: {0}")]
    Lease(String),
    /// Another process leads now.
    #[error("another process leads now; this one ends, to begin again as a follower")]
    LostLease,
    /// A part of the process ended that never should.
    #[error("{0} ended by itself, which is a defect of Tagtide")]
    Ended(&'static str),
}

/// Runs the operator until `stop` is cancelled.
///
/// # Errors
/// Any error ends the process, for the cluster to start it again.
pub async fn run(settings: RunSettings, stop: CancellationToken) -> Result<(), RunError> {
    let client = api_client::connect().await.map_err(|error| RunError::Api(error.to_string()))?;
    let mut registry = Registry::with_prefix("tagtide");
    let metrics = Metrics::register(&mut registry);
    let delivery_metrics = receiver::Metrics::register(&mut registry);
    let leader = Gauge::<i64>::default();
    registry.register("leader", "Whether this process leads", leader.clone());
    let readiness = Readiness::default();
    let unlisted = readiness.unlisted().clone();
    registry.register("unlisted_watches", "Watches that failed and have listed nothing yet", unlisted);
    let stop_serving = CancellationToken::new();
    let address = settings.listen;
    let (address, server) = serve(address, readiness.clone(), registry, stop_serving.clone())
        .await
        .map_err(|source| RunError::Listen { address, source })?;
    let server = tokio::spawn(server);
    tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "serving health and metrics");
    let reception = match settings.hooks {
        Some(hooks) => {
            Some(Reception::open(hooks, &client, &settings, delivery_metrics, &stop_serving).await?)
        }
        None => None,
    };
    let outcome = tokio::select! {
        outcome = lead(client, settings, metrics, leader, readiness, reception, stop) => outcome,
        _ = server => Err(RunError::Ended("the HTTP server")),
    };
    stop_serving.cancel();
    outcome
}

/// Where deliveries are taken: at each replica, from the start.
struct Reception {
    deliveries: Arc<Deliveries>,
    metrics: receiver::Metrics,
    /// Where the other replicas reach it.
    reachable: Option<SocketAddr>,
    leader: Leader,
}

impl Reception {
    async fn open(
        hooks: HooksSettings,
        client: &Client,
        settings: &RunSettings,
        metrics: receiver::Metrics,
        stop: &CancellationToken,
    ) -> Result<Self, RunError> {
        let failed = |source| RunError::Listen { address: hooks.listen, source };
        let listener = Listener::bind(hooks.listen).await.map_err(failed)?;
        let address = listener.address().map_err(failed)?;
        let leader =
            || Leader::new(Api::namespaced(client.clone(), &settings.namespace), settings.lease.clone());
        let deliveries = Deliveries::of_follower(leader(), metrics.clone())
            .map_err(|problem| failed(std::io::Error::other(problem)))?;
        let deliveries = Arc::new(deliveries);
        tokio::spawn(receiver::serve(listener, Arc::clone(&deliveries), stop.clone()));
        tracing::info!(%address, "taking deliveries of webhooks");
        Ok(Self { deliveries, metrics, reachable: reachable(address, hooks.own), leader: leader() })
    }

    /// This process leads: deliveries become updates of its engine.
    async fn lead(
        &self,
        identity: &str,
        hooks: Hooks,
        world: Arc<KubeWorld>,
        engine: &Settings,
        updates: mpsc::Sender<Update>,
    ) {
        let (oidc, inbox) = (Oidc::new(engine.connections.clone(), engine.allow_http), Inbox::default());
        self.deliveries.lead(Door::new(hooks, world, oidc, inbox.clone(), self.metrics.clone()));
        tokio::spawn(inbox.carry(updates));
        if let Some(address) = self.reachable {
            self.leader.announce(identity, address).await;
        }
    }
}

async fn lead(
    client: Client,
    settings: RunSettings,
    metrics: Metrics,
    leader: Gauge,
    readiness: Readiness,
    reception: Option<Reception>,
    stop: CancellationToken,
) -> Result<(), RunError> {
    if !wait_for_api(&client, &stop).await {
        return Ok(());
    }
    // A follower is ready too: ready to take over.
    readiness.set();
    let RunSettings { namespace, scope, lease, identity, engine, .. } = settings;
    let mut candidacy = Candidacy::begin(client.clone(), &namespace, &lease, &identity).await?;
    tracing::info!(lease, identity, "asking to lead");
    if !candidacy.won(&stop).await {
        candidacy.end().await;
        return Ok(());
    }
    leader.set(1);
    tracing::info!("leading");
    let (term, _looking) = candidacy.term().await;
    let world = Arc::new(KubeWorld::new(client.clone(), namespace, identity.clone(), term));
    let (updates_in, updates) = mpsc::channel::<Update>(WAITING_UPDATES);
    let hooks = Hooks::default();
    if let Some(reception) = &reception {
        reception.lead(&identity, hooks.clone(), Arc::clone(&world), &engine, updates_in.clone()).await;
    }
    let feeder = tokio::spawn(feed(client, scope, updates_in, readiness.unlisted().clone()));
    let stop_engine = stop.child_token();
    let mut running = tokio::spawn(Engine::run(world, engine, metrics, hooks, updates, stop_engine.clone()));
    let outcome = tokio::select! {
        ended = &mut running => match ended {
            Ok(()) if stop.is_cancelled() => Ok(()),
            Ok(()) | Err(_) => Err(RunError::Ended("the engine")),
        },
        () = candidacy.lost() => {
            stop_engine.cancel();
            let _ = running.await;
            Err(RunError::LostLease)
        }
    };
    leader.set(0);
    feeder.abort();
    // The Lease is given back only now that nothing is written any more.
    candidacy.end().await;
    outcome
}

/// Waits for the API server's first answer; `false` where the process was asked to stop before.
async fn wait_for_api(client: &Client, stop: &CancellationToken) -> bool {
    loop {
        let problem = match tokio::time::timeout(FIRST_ANSWER, client.apiserver_version()).await {
            Ok(Ok(_)) => return true,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        tracing::warn!(problem, "waiting for the Kubernetes API");
        tokio::select! {
            () = stop.cancelled() => return false,
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
}
