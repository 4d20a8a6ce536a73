//! Tagtide itself, as a demo runs it: on a folder, within this process, or on a Kubernetes API server.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::DemoError;
use super::cluster::Cluster;
use super::example::{policy, repository};
use super::site::Site;
use crate::api::{ImagePolicyStatus, InfraRepositoryStatus};
use crate::engine::{Kind, Settings};
use crate::net::{AddressGuard, Connections};
use crate::standalone::{self, Print, StandaloneSettings, Statuses};

/// How long the engine may take to finish what it is doing.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// The engine within this process. It outlives the play, so that its end can be waited for.
#[derive(Default)]
pub(super) struct Running {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Running {
    /// Ends the engine, and waits until nothing of it writes any more.
    pub(super) async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        // What takes longer than this is stuck, and ends with the process.
        let _ = tokio::time::timeout(END_TIMEOUT, self.tasks.wait()).await;
    }
}

/// A Tagtide whose statuses can be read.
pub(super) enum Tagtide {
    /// On a folder.
    Standalone(Statuses),
    /// On a Kubernetes API server.
    Cluster(Cluster),
}

impl Tagtide {
    /// Starts the standalone engine on the folder with the policies.
    pub(super) fn standalone(site: &Site, running: &Running) -> Result<Self, DemoError> {
        let statuses = site.join("status");
        let settings = StandaloneSettings {
            policies: site.join("policies"),
            statuses: statuses.clone(),
            hooks: None,
            print: Print::Nothing,
            engine: Settings {
                cache_dir: site.join("cache"),
                room: crate::git::Room::default(),
                gather: Duration::from_millis(100),
                connections: Connections::new(AddressGuard::new(loopback())),
                allow_http: true,
                allow_file: false,
                scans_at_once: 4,
                cycles_at_once: 1,
            },
        };
        let stop = running.stop.clone();
        running.tasks.spawn(async move {
            if let Err(error) = standalone::run(settings, stop).await {
                tracing::error!(%error, "Tagtide can not run");
            }
        });
        let statuses =
            Statuses::open(&statuses).map_err(|source| DemoError::Folder { path: statuses, source })?;
        Ok(Self::Standalone(statuses))
    }

    /// The status of the example's policy; as if new where there is none yet.
    pub(super) async fn policy(&self) -> Result<ImagePolicyStatus, DemoError> {
        match self {
            Self::Standalone(statuses) => Ok(statuses.read(Kind::Policy, &policy()).unwrap_or_default()),
            Self::Cluster(cluster) => cluster.status("imagepolicy", &policy()).await,
        }
    }

    /// The status of the example's repository; as if new where there is none yet.
    pub(super) async fn repository(&self) -> Result<InfraRepositoryStatus, DemoError> {
        match self {
            Self::Standalone(statuses) => {
                Ok(statuses.read(Kind::Repository, &repository()).unwrap_or_default())
            }
            Self::Cluster(cluster) => cluster.status("infrarepository", &repository()).await,
        }
    }
}

/// Whether an object is ready, and the words for it.
pub(super) fn readiness(conditions: &[Condition]) -> (bool, &str) {
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready");
    ready.map_or((false, "no status yet"), |ready| (ready.status == "True", ready.message.as_str()))
}

fn loopback() -> Vec<crate::net::Cidr> {
    "127.0.0.0/8".parse().into_iter().collect()
}
