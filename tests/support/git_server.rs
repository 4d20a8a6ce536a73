//! The Git server of the demo, with a count of the requests that reach it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use tagtide::demo::git_server::{BasicAuth, GitServer as Server, router};

/// A running server over the bare repositories in a folder.
pub struct GitServer {
    server: Server,
    counts: Arc<Mutex<BTreeMap<String, u64>>>,
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
        let counted = counts.clone();
        let count = from_fn(move |request: Request, next: Next| {
            *lock(&counted).entry(service(&request)).or_default() += 1;
            next.run(request)
        });
        let server =
            Server::serve(router(root.to_path_buf(), auth).layer(count)).await.expect("a Git server");
        Self { server, counts }
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
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn service(request: &Request) -> String {
    let path = request.uri().path();
    if path.ends_with("/info/refs") { "info/refs" } else { path.rsplit('/').next().unwrap_or_default() }
        .to_owned()
}
