//! `git http-backend` behind a layer that may spoil what comes in and what goes out.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use futures::future::BoxFuture;
use futures::{FutureExt as _, stream};
use tagtide::demo::git_server::{GitServer, router};

/// How a request is answered, with Git at hand.
pub trait Spoil: Fn(Request, Next) -> BoxFuture<'static, Response> + Clone + Send + Sync + 'static {}
impl<F: Fn(Request, Next) -> BoxFuture<'static, Response> + Clone + Send + Sync + 'static> Spoil for F {}

/// A server that knows no protocol but this one: `None` for v0, which has no name on the wire.
pub fn speaking(protocol: Option<&'static str>) -> impl Spoil {
    move |mut request: Request, next: Next| {
        request.headers_mut().remove("git-protocol");
        if let Some(protocol) = protocol {
            request.headers_mut().insert("git-protocol", HeaderValue::from_static(protocol));
        }
        next.run(request).boxed()
    }
}

/// Every protocol that is read by.
pub const PROTOCOLS: [Option<&str>; 3] = [None, Some("version=1"), Some("version=2")];

/// A running server that keeps the Authorization headers it was sent and counts the bytes that it gave.
pub struct FaultyServer {
    server: GitServer,
    notes: Arc<Notes>,
}

#[derive(Default)]
struct Notes {
    authorizations: Mutex<Vec<String>>,
    requests: AtomicU64,
    bytes: AtomicU64,
}

impl FaultyServer {
    pub async fn start(root: &Path, spoil: impl Spoil) -> Self {
        let notes = Arc::<Notes>::default();
        let kept = Arc::clone(&notes);
        let note = from_fn(move |request: Request, next: Next| note(Arc::clone(&kept), request, next));
        let router = router(root.to_path_buf(), None).layer(from_fn(spoil)).layer(note);
        Self { server: GitServer::serve(router).await.unwrap(), notes }
    }

    /// The address of the repository in `{root}/{folder}`.
    pub fn url(&self, folder: &str) -> String {
        format!("{}/{folder}", self.server.url())
    }

    pub fn requests(&self) -> u64 {
        self.notes.requests.load(Ordering::Relaxed)
    }

    /// The bytes of all answers so far.
    pub fn bytes(&self) -> u64 {
        self.notes.bytes.load(Ordering::Relaxed)
    }

    /// The credentials that came in, in order.
    pub fn authorizations(&self) -> Vec<String> {
        self.notes.authorizations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn note(notes: Arc<Notes>, request: Request, next: Next) -> Response {
    notes.requests.fetch_add(1, Ordering::Relaxed);
    if let Some(value) = request.headers().get(header::AUTHORIZATION) {
        let mut kept = notes.authorizations.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(value.to_str().unwrap().to_owned());
    }
    let (head, body) = next.run(request).await.into_parts();
    let counted = futures::StreamExt::inspect(body.into_data_stream(), move |piece| {
        let length = piece.as_ref().map_or(0, Bytes::len);
        notes.bytes.fetch_add(length as u64, Ordering::Relaxed);
    });
    Response::from_parts(head, Body::from_stream(counted))
}

/// Whether the request is a push itself, not the question before it.
pub fn is_push(request: &Request) -> bool {
    request.uri().path().ends_with("/git-receive-pack")
}

/// Whether the request asks for a pack. The question where a branch is goes to the same address, in a shorter body.
pub async fn asks_for_pack(request: Request) -> (bool, Request) {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 64 << 20).await.unwrap();
    let asks = body.windows(b"command=fetch".len()).any(|window| window == b"command=fetch");
    (asks, Request::from_parts(head, Body::from(body)))
}

/// Answers as Git does.
pub fn honest(request: Request, next: Next) -> BoxFuture<'static, Response> {
    next.run(request).boxed()
}

/// Answers everything with one status and text.
pub fn always(status: u16, text: &'static str) -> impl Spoil {
    move |_: Request, _: Next| async move { answer(status, text) }.boxed()
}

/// Answers as Git does, but for requests for packs, which get this body.
pub fn packs_as(body: impl Fn(Bytes) -> Bytes + Clone + Send + Sync + 'static) -> impl Spoil {
    move |request: Request, next: Next| {
        let body = body.clone();
        async move {
            let (asks, request) = asks_for_pack(request).await;
            let answer = next.run(request).await;
            if !asks {
                return answer;
            }
            let (head, real) = answer.into_parts();
            Response::from_parts(head, Body::from(body(to_bytes(real, 64 << 20).await.unwrap())))
        }
        .boxed()
    }
}

pub fn answer(status: u16, text: &'static str) -> Response {
    (StatusCode::from_u16(status).unwrap(), text).into_response()
}

/// An answer whose connection breaks before its first byte.
pub fn broken() -> Response {
    let cut = stream::once(async { Err::<Bytes, _>(std::io::Error::other("the answer is cut")) });
    Response::new(Body::from_stream(cut))
}
