//! Starts the real parts that Tagtide works with: a Kubernetes API server, a container registry, a Git server.
//!
//! Every part is a process on a free port of 127.0.0.1 with its data in a folder of its own, so tests run side by side.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what cannot be started ends the test"
)]

pub mod control_plane;
pub mod fault_proxy;
pub mod git_server;
pub mod gitea;
pub mod infra_repo;
pub mod invariants;
pub mod process;
pub mod registry;
pub mod ssh_server;
pub mod tagtide;
pub mod tls;
pub mod token_server;
pub mod workspace;

use std::fmt::Display;
use std::time::Duration;

/// Asks `probe` again and again until it gives a value, and gives that back.
///
/// # Panics
/// After `timeout`, with `what` was waited for and what the last look saw instead.
pub async fn wait_until<T, E: Display>(
    what: &str,
    timeout: Duration,
    mut probe: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let mut last = "nothing yet".to_owned();
    let tries = async {
        loop {
            match probe().await {
                Ok(value) => return value,
                Err(error) => last = error.to_string(),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    match tokio::time::timeout(timeout, tries).await {
        Ok(value) => value,
        Err(_) => panic!("waited {timeout:?} for {what}; the last look saw: {last}"),
    }
}
