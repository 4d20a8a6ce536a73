//! The engine fed from the Kubernetes API: watches give it objects, statuses go back as a whole.

mod watch;
mod world;

pub use watch::{Scope, feed};
pub use world::KubeWorld;

/// The field manager of every status that Tagtide writes.
pub const FIELD_MANAGER: &str = "tagtide";
