//! Takes deliveries of webhooks for the engine, at `/hooks/<name of a ClusterImageRegistry>`.
//!
//! ```text
//! listener ──► route ──► proof ──► what was pushed ──► inbox ──► engine
//! caps         which     who      (registry::webhook)  merged    scans at once
//! ```
//!
//! The caller is a stranger until proven otherwise: what it can cost is bounded in bytes, time, connections, and reads of
//! Secrets. A delivery is a hint; one that is lost is made good by the interval.

mod door;
mod inbox;
mod listener;
mod metrics;
mod route;

pub use door::{Answer, Door, Envelope};
pub use inbox::{Inbox, Waiting};
pub use listener::{Listener, serve};
pub use metrics::Metrics;
pub use route::Destination;
