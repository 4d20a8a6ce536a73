//! Which requests are deliveries.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::time::timeout;

use super::{Answer, Envelope};

/// The most that a delivery may say, in bytes.
const MAX_BODY: usize = 1024 * 1024;

/// How long a body may take to come.
const BODY_TIME: Duration = Duration::from_secs(10);

/// How long who comes too early is asked to wait, in seconds.
const LATER: &str = "5";

/// Where deliveries go.
pub trait Destination: Send + Sync + 'static {
    /// What becomes of a delivery.
    fn take(&self, envelope: Envelope) -> impl Future<Output = Answer> + Send;
}

/// The whole route table: two addresses, and one method.
pub(super) fn routes<D: Destination>(destination: Arc<D>) -> Router {
    Router::new()
        .route("/hooks/{name}", post(by_name::<D>))
        .route("/hooks/{name}/{token}", post(by_path::<D>))
        .with_state(destination)
}

async fn by_name<D: Destination>(
    State(destination): State<Arc<D>>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    take(&*destination, name, None, request).await
}

async fn by_path<D: Destination>(
    State(destination): State<Arc<D>>,
    Path((name, token)): Path<(String, String)>,
    request: Request,
) -> Response {
    take(&*destination, name, Some(token), request).await
}

async fn take<D: Destination>(
    destination: &D,
    name: String,
    in_path: Option<String>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let body = match read(&head.headers, body).await {
        Ok(body) => body,
        Err(status) => return (status, "the body is too long, or too slow\n").into_response(),
    };
    let answer = destination.take(Envelope { name, in_path, headers: head.headers, body }).await;
    let (status, text) = answer.to_http();
    match status {
        StatusCode::SERVICE_UNAVAILABLE => (status, [(RETRY_AFTER, LATER)], text).into_response(),
        _ => (status, text).into_response(),
    }
}

/// Reads a body within its caps. One that says beforehand that it is too long is not read at all.
async fn read(headers: &HeaderMap, body: Body) -> Result<bytes::Bytes, StatusCode> {
    let announced = headers.get(axum::http::header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MAX_BODY) {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    match timeout(BODY_TIME, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}
