//! The program as a whole, from `kubectl apply` to the commit.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what is not as it should be ends the test"
)]

mod builds;
mod chart;
mod cluster;
mod crds;
mod crowd;
mod demo;
mod documents;
mod faults;
mod git_faults;
mod main_job;
mod memory;
mod offline_tools;
mod operator_process;
mod oracle;
mod parts;
mod private;
mod soak;
mod standalone;
mod statuses;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "each test program uses its own part of the harness")]
mod support;
mod webhooks;
