//! What the process serves: `/healthz`, `/readyz` and `/metrics`, and nothing else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Whether the process is ready to do its work.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    has_api: Arc<AtomicBool>,
    unlisted: Gauge,
}

impl Readiness {
    /// Says that the API server has answered.
    pub fn set(&self) {
        self.has_api.store(true, Ordering::Relaxed);
    }

    /// How many watches have failed and have listed nothing yet. While there is one, nothing is scanned or written.
    #[must_use]
    pub const fn unlisted(&self) -> &Gauge {
        &self.unlisted
    }

    /// What is missing.
    fn lacks(&self) -> Option<String> {
        if !self.has_api.load(Ordering::Relaxed) {
            return Some("the API server has not answered yet".to_owned());
        }
        let watches = self.unlisted.get();
        (watches > 0).then(|| {
            format!("{watches} of the watches have listed nothing yet, and nothing is scanned or written; the log tells why")
        })
    }
}

#[derive(Clone)]
struct Shown {
    readiness: Readiness,
    metrics: Arc<Registry>,
}

/// Serves until `stop` is cancelled. Gives the address at once, which tells the port where 0 was asked for.
///
/// # Errors
/// Where the address can not be listened on.
pub async fn serve(
    listen: SocketAddr,
    readiness: Readiness,
    metrics: Registry,
    stop: CancellationToken,
) -> std::io::Result<(SocketAddr, impl Future<Output = std::io::Result<()>> + Send)> {
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let shown = Shown { readiness, metrics: Arc::new(metrics) };
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(render))
        .with_state(shown);
    let server = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
    Ok((address, async move { server.await }))
}

async fn ready(State(shown): State<Shown>) -> impl IntoResponse {
    match shown.readiness.lacks() {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(problem) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {problem}\n")),
    }
}

async fn render(State(shown): State<Shown>) -> impl IntoResponse {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &shown.metrics) {
        Ok(()) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_leads_is_ready_once_all_is_listed() {
        let readiness = Readiness::default();
        assert!(readiness.lacks().unwrap().contains("API server"));
        readiness.set();
        assert_eq!(readiness.lacks(), None);
        readiness.unlisted().set(2);
        assert!(readiness.lacks().unwrap().starts_with("2 of the watches"));
        readiness.unlisted().set(0);
        assert_eq!(readiness.lacks(), None);
    }
}
