//! Who may read and write, what is said to those who may not, and where credentials never go.

use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::IntoResponse as _;
use futures::FutureExt as _;
use tagtide::api::Reason;
use tagtide::git::{Error, Published};

use super::faulty_server::{FaultyServer, Spoil, always, answer, honest};
use super::{InfraRepo, Scene, draft, files_of, mirror_in, open};
use crate::support::infra_repo::NAME;
use crate::support::invariants::Invariants;
use crate::support::workspace;

const BASIC: &str = "Basic Ym90OnMzY3JldA==";

/// Lets in whoever sends this header.
fn only_with(authorization: &'static str) -> impl Spoil {
    move |request: Request, next: Next| {
        async move {
            match request.headers().get(header::AUTHORIZATION) {
                Some(value) if value == authorization => next.run(request).await,
                Some(_) | None => answer(401, "a user and a password are needed"),
            }
        }
        .boxed()
    }
}

/// What comes of a look at a repository behind such a server, with these credentials.
async fn look(spoil: impl Spoil, authorization: Option<&str>) -> Result<(), Error> {
    let repo = InfraRepo::new();
    repo.seed(&[("a.yaml", "1")]);
    let seen = Invariants::from_now_on(&repo);
    let server = FaultyServer::start(repo.root(), spoil).await;
    let outcome = write(&repo, &server, authorization).await;
    seen.hold(&repo);
    outcome
}

async fn write(repo: &InfraRepo, server: &FaultyServer, authorization: Option<&str>) -> Result<(), Error> {
    let cache = workspace::folder("cache");
    let branch = open(&server.url(NAME), &mirror_in(&cache), authorization)?;
    let head = branch.bring_up_to_date().await?;
    assert_eq!(files_of(&branch, head)?["a.yaml"], "1");
    match branch.publish(draft(head, "a.yaml", "2")).await? {
        Published::Taken(_) => assert_eq!(repo.read("main", "a.yaml"), "2"),
        Published::Raced | Published::Refused(_) => panic!("it was let in"),
    }
    Ok(())
}

async fn refused(spoil: impl Spoil, authorization: Option<&str>) -> (Reason, String) {
    let error = look(spoil, authorization).await.unwrap_err();
    let text = error.to_string();
    assert!(!format!("{text} {error:?}").contains("Ym90"), "no credentials in {text}");
    (error.reason(), text)
}

#[tokio::test]
async fn a_user_with_the_right_password_or_token_reads_and_writes() {
    look(only_with(BASIC), Some(BASIC)).await.unwrap();
    look(only_with("Bearer t0ken"), Some("Bearer t0ken")).await.unwrap();
}

#[tokio::test]
async fn whoever_is_not_let_in_hears_whether_credentials_were_sent() {
    let (reason, text) = refused(only_with(BASIC), Some("Basic Ym90Ondyb25n")).await;
    assert_eq!(reason, Reason::AuthenticationFailed);
    assert!(text.contains("those of spec.secretRef were refused"), "{text}");
    let (reason, text) = refused(only_with(BASIC), None).await;
    assert_eq!(reason, Reason::AuthenticationFailed);
    assert!(text.contains("name a Secret in spec.secretRef"), "{text}");
}

#[tokio::test]
async fn a_server_that_refuses_is_quoted_and_told_apart() {
    let (reason, text) = refused(always(403, "this token may\x1b[31m not read\n"), Some(BASIC)).await;
    assert_eq!(reason, Reason::AccessDenied);
    assert!(text.ends_with("(403): this token may [31m not read"), "{text}");
    let (reason, text) = refused(always(403, "<html><b>Forbidden"), None).await;
    assert_eq!((reason, text.contains('<')), (Reason::AccessDenied, false), "{text}");
    let data = |_: Request, _: Next| {
        let mut answer = answer(403, "{\"key\": \"hunter2\"}");
        answer.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
        async { answer }.boxed()
    };
    let (reason, text) = refused(data, None).await;
    assert_eq!((reason, text.contains("hunter2")), (Reason::AccessDenied, false), "{text}");
    assert_eq!(refused(always(404, ""), None).await.0, Reason::AccessDenied);
    assert_eq!(refused(always(429, ""), None).await.0, Reason::RateLimited);
    assert_eq!(refused(always(500, "disk full"), None).await.0, Reason::ServerError);
}

#[tokio::test]
async fn credentials_never_follow_a_redirect() {
    let elsewhere = InfraRepo::new();
    elsewhere.seed(&[("a.yaml", "1")]);
    let stranger = FaultyServer::start(elsewhere.root(), honest).await;
    let target = format!("{}/info/refs?token=hunter2", stranger.url(NAME));
    let redirect = move |_: Request, _: Next| {
        let to = [(header::LOCATION, target.clone())];
        async move { (axum::http::StatusCode::TEMPORARY_REDIRECT, to).into_response() }.boxed()
    };
    let (reason, text) = refused(redirect, Some(BASIC)).await;
    assert_eq!(reason, Reason::ServerError);
    assert!(text.contains(&stranger.url(NAME)) && !text.contains("hunter2"), "{text}");
    assert_eq!((stranger.requests(), stranger.authorizations()), (0, vec![]));
}

#[tokio::test]
async fn a_branch_that_is_not_there_is_never_made() {
    let empty = Scene::over(InfraRepo::new(), honest).await;
    let other = Scene::with(&[("a.yaml", "1")]).await;
    super::git(&other.repo, &["branch", "-m", "main", "main-2"]);
    for scene in [empty, other] {
        let error = scene.branch.bring_up_to_date().await.unwrap_err();
        assert!(matches!(error, Error::BranchNotFound { .. }), "{error}");
        assert!(error.to_string().contains("no branch main;"), "{error}");
        assert_eq!(super::git(&scene.repo, &["branch", "--list", "main"]), "");
        assert!(scene.server.requests() <= 2, "a list of refs and nothing else");
        scene.check();
    }
}

#[tokio::test]
async fn a_server_that_is_no_git_server_is_told_so() {
    let (reason, text) = refused(always(200, "<!doctype html><title>Sign in</title>"), None).await;
    assert_eq!(reason, Reason::ServerError);
    assert!(text.contains("is the URL that of a Git repository?"), "{text}");
}

#[tokio::test]
async fn a_server_that_asks_for_a_pause_is_heard() {
    for status in [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE] {
        let busy = move |_: Request, _: Next| {
            async move { (status, [(header::RETRY_AFTER, "7")]).into_response() }.boxed()
        };
        let error = look(busy, None).await.unwrap_err();
        assert_eq!(
            (error.reason(), error.retry_after()),
            (Reason::RateLimited, Some(Duration::from_secs(7)))
        );
    }
    let error = look(always(503, ""), None).await.unwrap_err();
    assert_eq!((error.reason(), error.retry_after()), (Reason::ServerError, None));
}
