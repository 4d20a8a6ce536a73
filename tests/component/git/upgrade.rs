//! A server that is another one from one day to the next: upgraded, moved, or put behind something else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::middleware::Next;
use futures::FutureExt as _;
use tagtide::api::Reason;

use super::faulty_server::PROTOCOLS;
use super::{InfraRepo, Scene, set};

#[tokio::test]
async fn a_server_that_speaks_another_protocol_than_before_is_asked_again() {
    for (before, after) in [(2, 0), (0, 2), (2, 1), (1, 2)] {
        let now = Arc::new(AtomicUsize::new(before));
        let spoken = Arc::clone(&now);
        let spoil = move |mut request: Request, next: Next| {
            request.headers_mut().remove("git-protocol");
            if let Some(protocol) = PROTOCOLS[spoken.load(Ordering::SeqCst)] {
                request.headers_mut().insert("git-protocol", HeaderValue::from_static(protocol));
            }
            next.run(request).boxed()
        };
        let repo = InfraRepo::new();
        repo.seed(&[("a.yaml", "1"), ("b.yaml", "1")]);
        let mut scene = Scene::over(repo, spoil).await;
        scene.head().await;
        let (commit, _) = set(&scene.branch, "a.yaml", "2").await;

        now.store(after, Ordering::SeqCst);
        // What is remembered may fail once, but is never taken for an answer.
        match scene.branch.bring_up_to_date().await {
            Ok(head) => assert_eq!(head, commit),
            Err(error) => assert_ne!(error.reason(), Reason::BranchNotFound, "{before} {after}: {error}"),
        }
        assert_eq!(scene.head().await, commit, "{before} {after}");
        scene.repo.push_as("Jane", &[("b.yaml", "hers")]);
        let head = scene.head().await;
        assert_eq!(scene.files(head)["b.yaml"], "hers");
        assert_eq!(set(&scene.branch, "a.yaml", "3").await.1, 0);
        scene.check();
    }
}
