//! Who leads: one process of several, by a Lease.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::run::RunError;

/// How long a Lease is valid, in seconds. A leader that can not renew it stops writing before another one begins.
const DURATION: u64 = 15;

/// How much earlier the leader renews, in seconds; also the most by which clocks may differ.
const GRACE: u64 = 5;

/// How long the Lease may take to be given back at the end.
const RELEASE: Duration = Duration::from_secs(5);

/// How often the leader looks at its Lease, and how long one look may take.
const LOOK: Duration = Duration::from_secs(2);

/// How long before the Lease runs out nothing is begun any more.
const MARGIN: Duration = Duration::from_secs(2);

/// A claim to lead.
pub(super) struct Candidacy {
    leads: watch::Receiver<bool>,
    manager: JoinHandle<kube_lease_manager::Result<LeaseManager>>,
    lease: OwnLease,
}

/// The Lease as this process, which holds it or wants to, reads it.
#[derive(Clone)]
struct OwnLease {
    leases: Api<Lease>,
    name: String,
    identity: String,
}

impl Candidacy {
    /// Begins to ask for the Lease.
    pub(super) async fn begin(
        client: Client,
        namespace: &str,
        lease: &str,
        identity: &str,
    ) -> Result<Self, RunError> {
        let leases = Api::namespaced(client.clone(), namespace);
        let own = OwnLease { leases, name: lease.to_owned(), identity: identity.to_owned() };
        let manager = LeaseManagerBuilder::new(client, lease)
            .with_namespace(namespace)
            .with_identity(identity)
            .with_duration(DURATION)
            .with_grace(GRACE)
            .build()
            .await
            .map_err(|error| RunError::Lease(error.to_string()))?;
        let (leads, manager) = manager.watch().await;
        Ok(Self { leads, manager, lease: own })
    }

    /// Tells, to the one who leads, until when it may write; the work must run beside it. The manager of the Lease does
    /// not tell: while the API server can not be reached, it goes on to say that this process leads.
    pub(super) async fn term(&self) -> (watch::Receiver<Instant>, AbortOnDropHandle<()>) {
        let lease = self.lease.clone();
        let (until, term) = watch::channel(lease.runs_out().await.unwrap_or_else(Instant::now));
        let looking = tokio::spawn(async move {
            loop {
                sleep(LOOK).await;
                if let Some(moment) = lease.runs_out().await {
                    until.send_replace(moment);
                }
            }
        });
        (term, AbortOnDropHandle::new(looking))
    }

    /// Waits until this process leads; `false` where it was asked to stop before.
    pub(super) async fn won(&mut self, stop: &CancellationToken) -> bool {
        tokio::select! {
            () = stop.cancelled() => false,
            led = self.leads.wait_for(|leads| *leads) => led.is_ok(),
        }
    }

    /// Waits until this process does not lead any more.
    pub(super) async fn lost(&mut self) {
        // An error means that the manager is gone, and the Lease with it.
        let _ = self.leads.wait_for(|leads| !*leads).await;
    }

    /// Gives the Lease back, so that another process need not wait for it to run out.
    pub(super) async fn end(self) {
        drop(self.leads);
        let _ = tokio::time::timeout(RELEASE, self.manager).await;
    }
}

impl OwnLease {
    /// The moment from which this process may not write any more; `None` where the Lease can not be read now.
    async fn runs_out(&self) -> Option<Instant> {
        let began = Instant::now();
        let lease = timeout(LOOK, self.leases.get(&self.name)).await.ok()?.ok()?;
        Some(began + left(&lease, &self.identity, Timestamp::now()))
    }
}

/// How long the Lease, as it was read just now, lets `identity` write. Its time is one that this process wrote, so that
/// only its own clock counts.
fn left(lease: &Lease, identity: &str, now: Timestamp) -> Duration {
    let Some(spec) = &lease.spec else { return Duration::ZERO };
    if spec.holder_identity.as_deref() != Some(identity) {
        return Duration::ZERO;
    }
    let renewed = spec.renew_time.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    let age = Duration::try_from(now.duration_since(renewed)).unwrap_or_default();
    Duration::from_secs(DURATION).saturating_sub(MARGIN).saturating_sub(age)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::coordination::v1::LeaseSpec;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

    use super::*;

    #[test]
    fn only_the_holder_may_write_and_only_while_the_lease_lasts() {
        let renewed: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let lease = |holder: Option<&str>| Lease {
            spec: Some(LeaseSpec {
                holder_identity: holder.map(str::to_owned),
                renew_time: Some(MicroTime(renewed)),
                ..LeaseSpec::default()
            }),
            ..Lease::default()
        };
        let after =
            |holder, seconds| left(&lease(holder), "me", renewed + Duration::from_secs(seconds)).as_secs();
        assert_eq!([0, 10, 13, 60].map(|seconds| after(Some("me"), seconds)), [13, 3, 0, 0]);
        assert_eq!([after(Some("other"), 0), after(None, 0)], [0, 0]);
        assert_eq!(left(&Lease::default(), "me", renewed), Duration::ZERO);
        let before = renewed - Duration::from_secs(3600);
        assert_eq!(
            left(&lease(Some("me")), "me", before).as_secs(),
            13,
            "a clock that was put back gives no more"
        );
    }
}
