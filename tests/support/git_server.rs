//! The Git server of the demo, with a count of the requests that reach it, and faults on demand.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use tagtide::demo::git_server::{BasicAuth, GitServer as Server, router};

/// A running server over the bare repositories in a folder.
pub struct GitServer {
    server: Server,
    counts: Arc<Mutex<BTreeMap<String, u64>>>,
    fault: Arc<Mutex<Option<Fault>>>,
}

/// What becomes of every request while it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is answered with this status.
    Status(u16),
    /// The connection breaks before anything is done.
    Cut,
    /// It is done, and the connection breaks before the answer.
    AnswerLost,
    /// It is taken and never answered.
    Silence,
}

impl GitServer {
    /// Serves `root` to anyone.
    pub async fn start(root: &Path) -> Self {
        Self::with(root, None).await
    }

    /// Serves `root` to one user only.
    pub async fn with_auth(root: &Path, user: &str, password: &str) -> Self {
        Self::with(root, Some(BasicAuth { user: user.to_owned(), password: password.to_owned() })).await
    }

    async fn with(root: &Path, auth: Option<BasicAuth>) -> Self {
        let counts = Arc::<Mutex<BTreeMap<String, u64>>>::default();
        let fault = Arc::<Mutex<Option<Fault>>>::default();
        let (counted, asked) = (counts.clone(), fault.clone());
        let count = from_fn(move |request: Request, next: Next| {
            *lock(&counted).entry(service(&request)).or_default() += 1;
            let fault = *lock(&asked);
            answer(fault, request, next)
        });
        let server =
            Server::serve(router(root.to_path_buf(), auth).layer(count)).await.expect("a Git server");
        Self { server, counts, fault }
    }

    /// From now on every request meets this fault, or none.
    pub fn fault(&self, fault: Option<Fault>) {
        *lock(&self.fault) = fault;
    }

    /// The address of the repository in `{root}/{folder}`.
    pub fn url(&self, folder: &str) -> String {
        format!("{}/{folder}", self.server.url())
    }

    /// How many requests came for `info/refs`, `git-upload-pack` (a list of refs or a fetch) or
    /// `git-receive-pack` (a push).
    pub fn requests(&self, service: &str) -> u64 {
        lock(&self.counts).get(service).copied().unwrap_or_default()
    }

    /// How many requests came in all.
    pub fn all_requests(&self) -> u64 {
        lock(&self.counts).values().sum()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(fault: Option<Fault>, request: Request, next: Next) -> Response {
    let broken = || {
        let cut = stream::once(async { Err::<Bytes, _>(std::io::Error::other("the answer is cut")) });
        Response::new(Body::from_stream(cut))
    };
    match fault {
        None => next.run(request).await,
        Some(Fault::Status(status)) => StatusCode::from_u16(status).expect("a status").into_response(),
        Some(Fault::Cut) => broken(),
        Some(Fault::AnswerLost) => {
            // What the answer would have been is of no interest, but the work must be finished.
            to_bytes(next.run(request).await.into_body(), usize::MAX).await.ok();
            broken()
        }
        Some(Fault::Silence) => std::future::pending().await,
    }
}

fn service(request: &Request) -> String {
    let path = request.uri().path();
    if path.ends_with("/info/refs") { "info/refs" } else { path.rsplit('/').next().unwrap_or_default() }
        .to_owned()
}
