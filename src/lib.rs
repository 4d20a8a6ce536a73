//! Tagtide lifts the image tags in an infra repo with the tide of the registry: as far as each app's policy allows, and
//! no further.
//!
//! ```text
//! registry ──► policy ──► edit ──► git
//! what tags    which one  the new  commit
//! exist        wins       bytes    + push
//! ```
//!
//! `api`, `image`, `policy` and `edit` are the core: values in, values out, no I/O and no clock. `registry` and `git`
//! each speak to one outside world, over `net`. `engine` runs the flow; `receiver` hears of pushes for it; `controller` feeds
//! it from the Kubernetes API and `standalone` from a folder. `lint` looks at objects and files without running it. The
//! direction of imports is core ← adapters ← drivers ← cli; a test holds it.

// The core.
pub mod api;
pub mod image;

mod unfit;

pub mod policy;

pub mod edit;

// One outside world each.
pub mod net;

pub mod registry;

pub mod git;

// What drives them.
pub mod engine;

pub mod receiver;

pub mod controller;

pub mod folder;

pub mod lint;

pub mod standalone;

pub mod operator;

pub mod demo;

pub mod cli;

// What the fuzzer runs.
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
