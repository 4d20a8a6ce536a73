//! Parts of Tagtide against the real things they talk to.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "what is not as it should be ends the test"
)]

mod accounts;
mod certificates;
mod deliveries;
mod embedded_registry;
mod git;
mod harness;
mod mirrors;
mod registry;
mod scanning;
mod structure;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "each test program uses its own part of the harness")]
mod support;
