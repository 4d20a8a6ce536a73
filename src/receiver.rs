//! Takes deliveries of webhooks for the engine, at `/hooks/<name of a ClusterImageRegistry>`.
//!
//! ```text
//! listener ──► route ──► proof ──► what was pushed ──► inbox ──► engine
//! caps         which     who      (registry::webhook)  merged    scans at once
//! ```
//!
//! The caller is a stranger until proven otherwise: what it can cost is bounded in bytes, time, connections, and reads of
//! Secrets. A delivery is a hint; one that is lost is made good by the interval.

mod answer;
mod door;
mod inbox;
mod listener;
mod metrics;
mod repeats;
mod route;

pub use answer::{Answer, Reply};
pub use door::{Door, Envelope};
pub use inbox::{Inbox, Waiting};
pub use listener::{Listener, serve};
pub use metrics::Metrics;
pub use route::Destination;
