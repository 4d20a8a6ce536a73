//! Scans of registries: lists of tags, read and ranked, beside what Flux does for them.
//!
//! The registry is in this process: it pages by `n` and `last`, keeps its answers ready, and takes its time for each of them as
//! one does that is far away. What is measured runs in a process of its own: the client and the policy of Tagtide, and the
//! reference (`benches/reference-scans`), the libraries that Flux's image-reflector-controller lists and ranks with,
//! as many at once as that does by default. And the program itself: `tagtide standalone` with a policy for each image, and
//! the operator on a real API server while nothing changes, and while webhooks tell of images.
//!
//! Run it with `make bench`. It prints a table for each of these, and one of allocations. A figure that misses its goal is marked; nothing fails.

#![expect(clippy::expect_used, clippy::panic, reason = "what can not be started ends the benchmark")]

#[path = "../../tests/support/mod.rs"]
#[expect(dead_code, reason = "the benchmark uses its own part of the harness")]
mod support;

#[path = "../common/operator.rs"]
#[expect(dead_code, reason = "the fleet is left alone once it runs")]
mod operator;
#[path = "../common/process_cost.rs"]
mod process_cost;

mod allocations;
mod deliveries;
mod fleet;
mod scanner;
mod server;
mod subject;
mod table;

use std::time::Duration;

use self::allocations::Allocations;
use self::deliveries::Deliveries;
use self::fleet::Fleet;
use self::scanner::Task;
use self::server::Server;
use self::table::{Goal, Row, Table};

/// The range that every image is ranked by.
pub const RANGE: &str = ">=1.0.0";

fn main() {
    // The part that is measured is this program again.
    if let Some(task) = Task::of_this_process() {
        return scanner::run(&task);
    }
    let images = number("IMAGES", 1_000);
    let (policies, over) =
        (number("POLICIES", 500), Duration::from_secs(number("FLEET_SECONDS", 180) as u64));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut table = Table::default();
        many_images(images, &mut table).await;
        small_list(&mut table).await;
        long_list(&mut table).await;
        println!("{table}");
        println!("{}", Allocations::count().await);
        println!("{}", Deliveries::watch().await);
        println!("{}", Fleet::watch(policies, over).await);
    });
}

/// What a variable says, or else this.
fn number(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// A fleet's images, on a registry that is 20 ms away.
async fn many_images(images: usize, table: &mut Table) {
    let server = Server::start(10_000, Duration::from_millis(20)).await;
    let task = Task { host: server.host(), images, rounds: 1, at_once: 64 };
    let (ours, theirs) = (subject::tagtide(&task).await, subject::reference(&task).await);
    let goals = [Goal::Faster(10.0), Goal::LessCpu(15.0), Goal::MiB(48.0)];
    table.add(
        Row::new(format!("{images} images × 10,000 tags, 20 ms away"), ours).beside(theirs).goals(&goals),
    );
    let whole = subject::standalone(&task).await;
    table.add(
        Row::new(format!("the same, by `tagtide standalone` with {images} policies"), whole)
            .beside(theirs)
            .goals(&goals),
    );
}

/// The usual list, again and again.
async fn small_list(table: &mut Table) {
    const SCANS: usize = 500;
    let server = Server::start(2_000, Duration::ZERO).await;
    let task = Task { host: server.host(), images: 1, rounds: SCANS, at_once: 1 };
    let (ours, theirs) = (subject::tagtide(&task).await, subject::reference(&task).await);
    let row = Row::new("a scan of 2,000 tags, 2 pages".to_owned(), ours.each_of(SCANS));
    table.add(row.beside(theirs.each_of(SCANS)).goals(&[Goal::LessCpu(10.0)]));
}

/// A registry that was never tidied up: what such a list takes on top of a list of one tag.
async fn long_list(table: &mut Table) {
    let (short, long) =
        (Server::start(1, Duration::ZERO).await, Server::start(100_000, Duration::ZERO).await);
    let task = |server: &Server| Task { host: server.host(), images: 1, rounds: 1, at_once: 1 };
    let ours = subject::tagtide(&task(&long)).await.on_top_of(subject::tagtide(&task(&short)).await);
    let theirs = subject::reference(&task(&long)).await.on_top_of(subject::reference(&task(&short)).await);
    let goals = [Goal::CpuSeconds(0.02), Goal::MiB(8.0)];
    table.add(
        Row::new("100,000 tags in one image, on top of one".to_owned(), ours).beside(theirs).goals(&goals),
    );
}
