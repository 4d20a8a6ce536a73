//! The whole operator on a real API server: a fleet of policies, each with an image of its own, scanned once a minute.

use std::fmt;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use crate::RANGE;
use crate::operator;
use crate::process_cost::{cpu_seconds, peak_mib, reset_peak};
use crate::server::Server;
use crate::support::control_plane::ControlPlane;
use crate::support::process::free_address;
use crate::support::workspace;

const TAGS: usize = 2_000;

/// What a steady fleet must keep to; and it must write no status.
const MOST_MIB: f64 = 48.0;

/// A tenth of the 8.8 ms that Flux's image-reflector-controller takes for a scan of so many tags.
const MOST_CPU_MS: f64 = 0.88;

/// What the fleet took while nothing changed, after each policy had chosen once.
pub struct Fleet {
    policies: usize,
    over: Duration,
    scans: u64,
    cpu_seconds: f64,
    peak_mib: f64,
    /// Requests to the API server for objects of Tagtide and for events, and those among them that wrote a status.
    requests: u64,
    status_writes: u64,
}

impl Fleet {
    /// Lets the operator choose for so many policies, and watches it for so long afterwards.
    pub async fn watch(policies: usize, over: Duration) -> Self {
        let server = Server::start(TAGS, Duration::from_millis(20)).await;
        let (plane, folder, listen) = (operator::plane().await, workspace::folder("fleet"), free_address());
        plane.apply(&objects(&server.host(), policies)).await;
        let process = operator::start(&plane, folder.path(), "fleet", listen);
        operator::wait_for("the first choices", async || {
            let (_, written) = api_requests(&plane).await;
            (written >= policies as u64).then_some(())
        })
        .await;
        let (requests, written) = settled(&plane).await;
        let (scans, cpu) = (scans(listen).await, cpu_seconds(&process));
        reset_peak(&process);
        tokio::time::sleep(over).await;
        let (requests_after, written_after) = api_requests(&plane).await;
        Self {
            policies,
            over,
            scans: self::scans(listen).await - scans,
            cpu_seconds: cpu_seconds(&process) - cpu,
            peak_mib: peak_mib(&process),
            requests: requests_after - requests,
            status_writes: written_after - written,
        }
    }
}

fn objects(host: &str, policies: usize) -> String {
    let mut objects = format!(
        "{{apiVersion: tagtide.dev/v1alpha1, kind: ClusterImageRegistry, metadata: {{name: bench}}, spec: {{host: '{host}', insecure: true}}}}\n"
    );
    for number in 0..policies {
        let _ = write!(
            objects,
            "---\n{{apiVersion: tagtide.dev/v1alpha1, kind: ImagePolicy, metadata: {{name: app-{number:03}, namespace: shop}}, \
             spec: {{image: '{host}/acme/app-{number}', interval: 1m, select: {{semver: {{range: '{RANGE}'}}}}}}}}\n"
        );
    }
    objects
}

/// Waits until a second passes without a status written.
async fn settled(plane: &ControlPlane) -> (u64, u64) {
    let mut before = api_requests(plane).await;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = api_requests(plane).await;
        if now.1 == before.1 {
            return now;
        }
        before = now;
    }
}

/// Requests for objects of Tagtide and for events that the API server has answered, and those that wrote a status. A
/// watch counts when it ends.
async fn api_requests(plane: &ControlPlane) -> (u64, u64) {
    let metrics = plane.kubectl(&["get", "--raw", "/metrics"]).await.success();
    let ours = |line: &&str| {
        line.starts_with("apiserver_request_total{")
            && (line.contains("group=\"tagtide.dev\"") || line.contains("resource=\"events\""))
    };
    let lines = || metrics.lines().filter(ours);
    (sum(lines()), sum(lines().filter(|line| line.contains("subresource=\"status\""))))
}

/// The scans that ended well so far.
async fn scans(listen: SocketAddr) -> u64 {
    let metrics = reqwest::get(format!("http://{listen}/metrics")).await.expect("metrics");
    let metrics = metrics.text().await.expect("metrics");
    sum(metrics.lines().filter(|line| line.starts_with("tagtide_scans_total{")))
}

/// The sum of metrics, a line each.
fn sum<'a>(lines: impl Iterator<Item = &'a str>) -> u64 {
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

impl fmt::Display for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| the operator, nothing changes | scans | CPU ms a scan | MiB | API requests | status writes | goal |"
        )?;
        writeln!(f, "| --- | ---: | ---: | ---: | ---: | ---: | --- |")?;
        let cpu_ms = self.cpu_seconds * 1000.0 / self.scans as f64;
        let is_met = cpu_ms <= MOST_CPU_MS && self.peak_mib <= MOST_MIB && self.status_writes == 0;
        writeln!(
            f,
            "| {} policies, as many images × {TAGS} tags, interval 1 min, over {} s | {} | {:.2} | {:.0} | {} | {} | {}≤ {MOST_CPU_MS} ms, ≤ {MOST_MIB} MiB, 0 status writes |",
            self.policies,
            self.over.as_secs(),
            self.scans,
            cpu_ms,
            self.peak_mib,
            self.requests,
            self.status_writes,
            if is_met { "" } else { "**missed**: " },
        )
    }
}
