//! Which requests are deliveries.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::{Answer, Envelope};

/// The most that a delivery may say, in bytes.
const MAX_BODY: usize = 1024 * 1024;

/// What each delivery may say without waiting for others, in bytes; few say more. Who sends need not have proven itself:
/// a signature is of the whole body.
const SMALL: usize = 64 * 1024;

/// How many larger ones are held at once.
const MOST_LARGE: usize = 16;

/// How long a body may take to come.
const BODY_TIME: Duration = Duration::from_secs(10);

const METHODS: MethodFilter = MethodFilter::POST.or(MethodFilter::OPTIONS);

/// Where deliveries go.
pub trait Destination: Send + Sync + 'static {
    /// What becomes of a delivery.
    fn take(&self, envelope: Envelope) -> impl Future<Output = Answer> + Send;
}

/// What the requests share.
struct Shared<D> {
    destination: Arc<D>,
    large: Arc<Semaphore>,
}

impl<D> Clone for Shared<D> {
    fn clone(&self) -> Self {
        Self { destination: Arc::clone(&self.destination), large: Arc::clone(&self.large) }
    }
}

/// The whole route table: two addresses, and two methods, the second of which asks whether the first is welcome.
pub(super) fn routes<D: Destination>(destination: Arc<D>) -> Router {
    let large = Arc::new(Semaphore::new(MOST_LARGE));
    Router::new()
        .route("/hooks/{name}", on(METHODS, by_name::<D>))
        .route("/hooks/{name}/{token}", on(METHODS, by_path::<D>))
        .with_state(Shared { destination, large })
}

async fn by_name<D: Destination>(
    State(shared): State<Shared<D>>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    take(&shared, name, None, request).await
}

async fn by_path<D: Destination>(
    State(shared): State<Shared<D>>,
    Path((name, token)): Path<(String, String)>,
    request: Request,
) -> Response {
    take(&shared, name, Some(token), request).await
}

async fn take<D: Destination>(
    shared: &Shared<D>,
    name: String,
    in_path: Option<String>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    // The room for a large body is held as long as the body is.
    let (body, _room) = match timeout(BODY_TIME, read(&head.headers, body, &shared.large)).await {
        Ok(Some(read)) => read,
        Ok(None) => return (StatusCode::PAYLOAD_TOO_LARGE, "the body is too long\n").into_response(),
        Err(_) => return (StatusCode::REQUEST_TIMEOUT, "the body is too slow\n").into_response(),
    };
    let asks_first = head.method == Method::OPTIONS;
    let envelope = Envelope { name, in_path, asks_first, headers: head.headers, body };
    let reply = shared.destination.take(envelope).await.into_reply();
    (reply.status, reply.headers, reply.text).into_response()
}

/// Reads a body; `None` where it is too long or breaks off. One that says beforehand that it is too long is not read at
/// all, and one that is large waits until there is room for it.
async fn read(
    headers: &HeaderMap,
    body: Body,
    large: &Arc<Semaphore>,
) -> Option<(Bytes, Option<OwnedSemaphorePermit>)> {
    let announced = headers.get(CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MAX_BODY) {
        return None;
    }
    // Room is made beforehand: a buffer that doubles as it grows could have twice what is bounded.
    let mut whole = BytesMut::with_capacity(announced.unwrap_or(SMALL).min(SMALL));
    let (mut pieces, mut room) = (body.into_data_stream(), None);
    while let Some(piece) = pieces.next().await {
        let piece = piece.ok()?;
        let length = whole.len() + piece.len();
        if length > MAX_BODY {
            return None;
        }
        if length > SMALL && room.is_none() {
            room = Some(Arc::clone(large).acquire_owned().await.ok()?);
            whole.reserve(announced.unwrap_or(MAX_BODY).saturating_sub(whole.len()));
        }
        whole.extend_from_slice(&piece);
    }
    Some((whole.freeze(), room))
}
