//! A fault at each step of the way to a commit: it is an error with the right name, nothing half done stays, and the next try
//! does all of it once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use futures::{FutureExt as _, stream};
use tagtide::api::Reason;
use tagtide::git::{Error, Published};

use super::faulty_server::{Spoil, answer, asks_for_pack, broken, is_push};
use super::{InfraRepo, Scene, draft, git};

/// The requests of one commit, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    ReadFeatures,
    Refs,
    Pack,
    WriteFeatures,
    Push,
}

const STAGES: [Stage; 5] = [Stage::ReadFeatures, Stage::Refs, Stage::Pack, Stage::WriteFeatures, Stage::Push];

async fn stage(request: Request) -> (Stage, Request) {
    if is_push(&request) {
        return (Stage::Push, request);
    }
    if request.method() == Method::GET {
        let is_read = request.uri().query().is_some_and(|query| query.contains("git-upload-pack"));
        return (if is_read { Stage::ReadFeatures } else { Stage::WriteFeatures }, request);
    }
    let (asks, request) = asks_for_pack(request).await;
    (if asks { Stage::Pack } else { Stage::Refs }, request)
}

/// The first request of a stage is answered by `fault`; everything else is answered by Git.
fn once_at(at: Stage, fault: fn() -> Response) -> impl Spoil {
    let is_first = Arc::new(AtomicBool::new(true));
    move |request: Request, next: Next| {
        let is_first = Arc::clone(&is_first);
        async move {
            let (stage, request) = stage(request).await;
            if stage == at && is_first.swap(false, Ordering::Relaxed) {
                fault()
            } else {
                next.run(request).await
            }
        }
        .boxed()
    }
}

async fn commit(scene: &Scene) -> Result<Published, Error> {
    let head = scene.branch.bring_up_to_date().await?;
    scene.branch.publish(draft(head, "a.yaml", "2")).await
}

#[tokio::test]
async fn a_fault_at_any_stage_is_told_and_the_next_try_makes_the_one_commit() {
    let faults: [(fn() -> Response, Reason); 4] = [
        (|| answer(500, "disk full"), Reason::ServerError),
        (|| answer(502, "<html>bad gateway"), Reason::ServerError),
        (|| answer(503, ""), Reason::ServerError),
        (broken, Reason::Unreachable),
    ];
    for at in STAGES {
        for (fault, reason) in faults {
            let repo = InfraRepo::new();
            repo.seed(&[("a.yaml", "1")]);
            let mut scene = Scene::over(repo, once_at(at, fault)).await;
            scene.seen.see(&scene.repo);
            let error = commit(&scene).await.unwrap_err();
            assert_eq!(error.reason(), reason, "{at:?}: {error}");
            assert!(!error.to_string().contains('<'), "{at:?}: {error}");
            assert_eq!(scene.repo.commits("main").len(), 1, "{at:?}");
            let published = commit(&scene).await.unwrap();
            assert!(matches!(published, Published::Taken(_)), "{at:?}: {published:?}");
            assert_eq!(
                (scene.repo.commits("main").len(), scene.repo.read("main", "a.yaml").as_str()),
                (2, "2")
            );
            scene.check();
        }
    }
}

/// Answers arrive in small pieces with pauses between them: some 50 kB a second.
fn slowly(request: Request, next: Next) -> futures::future::BoxFuture<'static, Response> {
    async move {
        let (head, body) = next.run(request).await.into_parts();
        let whole = to_bytes(body, 64 << 20).await.unwrap();
        let pieces = stream::unfold(whole, |mut rest: Bytes| async move {
            if rest.is_empty() {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            let piece = rest.split_to(rest.len().min(512));
            Some((Ok::<_, std::io::Error>(piece), rest))
        });
        Response::from_parts(head, Body::from_stream(pieces))
    }
    .boxed()
}

#[tokio::test]
async fn a_slow_link_takes_its_time_and_fails_nothing() {
    let repo = InfraRepo::new();
    // What can not be compressed, so that the link has work to do.
    let noise: String =
        (0..4_000_u64).map(|n| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    repo.seed(&[("a.yaml", "1"), ("noise.txt", &noise)]);
    let mut scene = Scene::over(repo, slowly).await;
    let started = Instant::now();
    let head = scene.head().await;
    assert!(started.elapsed() > Duration::from_millis(500), "the link is slow: {:?}", started.elapsed());
    assert_eq!(scene.files(head)["noise.txt"], noise);
    assert!(matches!(commit(&scene).await.unwrap(), Published::Taken(_)));
    scene.check();
}

/// Lists of refs begin with these lines.
fn listing_first(lines: Vec<Vec<u8>>) -> impl Spoil {
    let more: Bytes =
        lines.iter().flat_map(|line| [format!("{:04x}", line.len() + 4).as_bytes(), line].concat()).collect();
    move |request: Request, next: Next| {
        let more = more.clone();
        async move {
            let (stage, request) = stage(request).await;
            let (head, body) = next.run(request).await.into_parts();
            if stage != Stage::Refs {
                return Response::from_parts(head, body);
            }
            let real = to_bytes(body, 1 << 20).await.unwrap();
            let mut head = head;
            head.headers.remove("content-length");
            Response::from_parts(head, Body::from([more, real].concat()))
        }
        .boxed()
    }
}

#[tokio::test]
async fn refs_with_names_that_attack_are_passed_over() {
    let id = "1111111111111111111111111111111111111111";
    let mut lines: Vec<Vec<u8>> = [
        "refs/heads/../../../../../../tmp/escaped",
        "refs/heads/main/../../config",
        "../../HEAD",
        "refs/heads/-oProxyCommand=touch escaped",
        "refs/heads/main.lock",
        "refs/heads/main\0refs/heads/main",
        "refs/heads/main\x1b[31m",
        "refs/heads/main@{1}",
        "refs/heads/mai\u{300}n",
    ]
    .iter()
    .map(|name| format!("{id} {name}\n").into_bytes())
    .collect();
    lines.push([id.as_bytes(), b" refs/heads/main-\xff\xfe\n"].concat());
    lines.push([id.as_bytes(), b" refs/heads/main-", "x".repeat(60_000).as_bytes(), b"\n"].concat());
    lines.extend((0..20_000).map(|number| format!("{id} refs/heads/main-{number}\n").into_bytes()));
    let repo = InfraRepo::new();
    repo.seed(&[("a.yaml", "1")]);
    let mut scene = Scene::over(repo, listing_first(lines)).await;
    let head = scene.head().await;
    assert_eq!(head.to_string(), git(&scene.repo, &["rev-parse", "main"]));
    assert!(matches!(commit(&scene).await.unwrap(), Published::Taken(_)));
    let mut left: Vec<String> = std::fs::read_dir(scene.cache.path().join("git"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["mirror", "mirror.lock"], "nothing beside the mirror");
    let refs = git2::Repository::open(scene.mirror()).unwrap();
    let refs: Vec<String> = refs.references().unwrap().names().map(|name| name.unwrap().to_owned()).collect();
    assert_eq!(refs, ["refs/tagtide/tip"], "and no ref of theirs in it");
    scene.check();
}

#[tokio::test]
async fn a_branch_beside_ours_whose_name_is_no_text_stops_nothing() {
    use std::os::unix::ffi::OsStrExt as _;
    let repo = InfraRepo::new();
    repo.seed(&[("a.yaml", "1")]);
    let heads = repo.path().join("refs/heads");
    let id = git(&repo, &["rev-parse", "main"]);
    std::fs::write(heads.join(std::ffi::OsStr::from_bytes(b"main-\xff")), format!("{id}\n")).unwrap();
    let mut scene = Scene::over(repo, super::faulty_server::honest).await;
    assert_eq!(scene.head().await.to_string(), id);
    assert!(matches!(commit(&scene).await.unwrap(), Published::Taken(_)));
}
