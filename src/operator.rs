//! The operator as a process: who leads, when to stop, what is measured, and what is served over HTTP.

mod api_client;
mod deliveries;
mod http;
mod leader;
mod run;
mod shutdown;
mod telemetry;

pub use http::{Readiness, serve};
pub use run::{HooksSettings, RunError, RunSettings, run};
pub use shutdown::on_signal;
pub use telemetry::{LogFormat, log_to_stderr};
