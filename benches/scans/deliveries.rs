//! Webhooks at the whole operator: how soon a scan follows a delivery, and a flood of deliveries for one image.

use std::fmt;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use futures::future::join_all;

use crate::RANGE;
use crate::operator;
use crate::server::Server;
use crate::support::process::free_address;
use crate::support::workspace;

const IMAGES: usize = 100;
const FLOOD: usize = 10_000;
const SENDERS: usize = 50;
const TOKEN: &str = "tide-hook-0123456789abcdef";

/// For so long after a scan the next one by a delivery waits, and a moment more.
const PAUSE: Duration = Duration::from_secs(6);

const LEAST_A_SECOND: f64 = 10_000.0;
const MOST_SCANS: usize = 2;
const MOST_SECONDS: f64 = 0.3;

/// What came of them.
pub struct Deliveries {
    /// The time from a delivery to the request for the list, which 95 of 100 keep to.
    seconds_to_scan: f64,
    /// How many of the flood were taken in a second, with the senders on the same machine.
    a_second: f64,
    /// And to how many scans they led.
    scans: usize,
}

/// Who delivers.
struct Sender {
    client: reqwest::Client,
    url: String,
    host: String,
}

impl Sender {
    async fn deliver(&self, image: &str) -> bool {
        let body = serde_json::json!({ "image": format!("{}/acme/{image}", self.host) }).to_string();
        let answer = self.client.post(&self.url).bearer_auth(TOKEN).body(body).send().await;
        answer.is_ok_and(|answer| answer.status() == reqwest::StatusCode::ACCEPTED)
    }
}

impl Deliveries {
    pub async fn watch() -> Self {
        let server = Server::start(2_000, Duration::ZERO).await;
        let (plane, folder, hooks) =
            (operator::plane().await, workspace::folder("deliveries"), free_address());
        let token = format!("--from-literal=token={TOKEN}");
        plane.kubectl(&["-n", "shop", "create", "secret", "generic", "hook", &token]).await.success();
        plane.apply(&objects(&server.host())).await;
        let listen = format!("--hooks-listen={hooks}");
        let _operator = operator::start_with(&plane, folder.path(), "deliveries", free_address(), &[&listen]);
        let sender = Sender {
            client: reqwest::Client::new(),
            url: format!("http://{hooks}/hooks/bench"),
            host: server.host(),
        };
        let image = |number: usize| format!("app-{number}");
        operator::wait_for("the first scans and the webhook", async || {
            let all = (0..IMAGES).all(|number| !server.lists(&image(number)).is_empty());
            (all && sender.deliver("of-nobody").await).then_some(())
        })
        .await;
        tokio::time::sleep(PAUSE).await;

        let mut seconds = Vec::new();
        for image in (0..IMAGES).map(image) {
            let (before, began) = (server.lists(&image).len(), Instant::now());
            assert!(sender.deliver(&image).await, "a single delivery is taken");
            let asked =
                operator::wait_for("the scan", async || server.lists(&image).get(before).copied()).await;
            seconds.push((asked - began).as_secs_f64());
        }
        seconds.sort_by(f64::total_cmp);
        tokio::time::sleep(PAUSE).await;

        let flooded = image(0);
        let (before, began) = (server.lists(&flooded).len(), Instant::now());
        let senders = (0..SENDERS).map(async |_| {
            for _ in 0..FLOOD / SENDERS {
                assert!(sender.deliver(&flooded).await, "each of a flood is taken");
            }
        });
        join_all(senders).await;
        let a_second = FLOOD as f64 / began.elapsed().as_secs_f64();
        tokio::time::sleep(PAUSE).await;
        Self {
            seconds_to_scan: seconds.get(IMAGES * 95 / 100).copied().unwrap_or(f64::NAN),
            a_second,
            scans: server.lists(&flooded).len() - before,
        }
    }
}

fn objects(host: &str) -> String {
    let mut objects = format!(
        "{{apiVersion: tagtide.dev/v1alpha1, kind: ClusterImageRegistry, metadata: {{name: bench}}, \
         spec: {{host: '{host}', insecure: true, webhook: {{kind: Generic, secretRef: {{name: hook}}}}}}}}\n"
    );
    for number in 0..IMAGES {
        let _ = write!(
            objects,
            "---\n{{apiVersion: tagtide.dev/v1alpha1, kind: ImagePolicy, metadata: {{name: app-{number}, namespace: shop}}, \
             spec: {{image: '{host}/acme/app-{number}', interval: 1h, select: {{semver: {{range: '{RANGE}'}}}}}}}}\n"
        );
    }
    objects
}

impl fmt::Display for Deliveries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| webhooks | s to the scan, p95 | deliveries a second | scans by them | goal |")?;
        writeln!(f, "| --- | ---: | ---: | ---: | --- |")?;
        let is_met = self.seconds_to_scan <= MOST_SECONDS
            && self.a_second >= LEAST_A_SECOND
            && self.scans <= MOST_SCANS;
        writeln!(
            f,
            "| {IMAGES} images, one each; then {FLOOD} for one image by {SENDERS} senders | {:.3} | {:.0} | {} | \
             {}≤ {MOST_SECONDS} s, ≥ {LEAST_A_SECOND} a second, ≤ {MOST_SCANS} scans |",
            self.seconds_to_scan,
            self.a_second,
            self.scans,
            if is_met { "" } else { "**missed**: " },
        )
    }
}
