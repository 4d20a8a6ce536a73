//! Reading a part: where few files are read, few are brought, and a file that is not here never passes for an empty one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use futures::FutureExt as _;
use tagtide::api::Reason;
use tagtide::git::{Branch, CommitId, Coverage, Error, FileChange, FileFilter, GitSecret};

use super::faulty_server::{PROTOCOLS, Spoil, honest, speaking};
use super::{InfraRepo, NAME, Scene, draft, git, open_covering, set};
use crate::support::infra_repo::{fleet_file, fleet_path};
use crate::support::workspace;

/// The files in one folder.
fn below(folder: &'static str) -> Coverage {
    Coverage::Files(FileFilter::new(folder.to_owned(), move |path| path.starts_with(folder)))
}

/// A repository of which one folder is read.
struct Part {
    scene: Scene,
    folder: &'static str,
}

impl Part {
    async fn over(repo: InfraRepo, folder: &'static str, spoil: impl Spoil) -> Self {
        let mut scene = Scene::over(repo, spoil).await;
        scene.cache = workspace::folder("cache");
        scene.branch = covering(&scene, below(folder));
        Self { scene, folder }
    }

    async fn head(&mut self) -> CommitId {
        self.scene.head().await
    }

    /// How many files are here of those in the folder, and of all.
    fn count(&self, commit: CommitId) -> (usize, usize) {
        let snapshot = self.scene.branch.snapshot(commit).unwrap();
        let (mut inside, mut all) = (0, 0);
        snapshot
            .changed_files(None, &|_| true, &mut |change| {
                if let FileChange::Present { path, blob } = change {
                    match snapshot.read(blob, 1 << 20) {
                        Ok(_) => {
                            inside += usize::from(path.starts_with(self.folder));
                            all += 1;
                        }
                        Err(error) => assert_eq!(error.reason(), Reason::MirrorFailed),
                    }
                }
                Ok(())
            })
            .unwrap();
        (inside, all)
    }

    fn read(&self, commit: CommitId, path: &str) -> Result<String, Error> {
        read(&self.scene.branch, commit, path)
    }
}

fn covering(scene: &Scene, coverage: Coverage) -> Branch {
    open_covering(&scene.server.url(NAME), &scene.mirror(), GitSecret::default(), coverage).unwrap()
}

fn read(branch: &Branch, commit: CommitId, wanted: &str) -> Result<String, Error> {
    let snapshot = branch.snapshot(commit)?;
    let mut blobs = Vec::new();
    snapshot.changed_files(None, &|_| true, &mut |change| {
        if let FileChange::Present { path, blob } = change
            && path == wanted
        {
            blobs.push(blob);
        }
        Ok(())
    })?;
    Ok(String::from_utf8(snapshot.read(blobs[0], 1 << 20)?.unwrap()).unwrap())
}

fn fleet() -> InfraRepo {
    let repo = InfraRepo::new();
    repo.seed_large(1000, "registry.example.com");
    repo
}

fn file(number: usize, tag: &str) -> String {
    fleet_file(number, "registry.example.com", tag)
}

const FOLDER: &str = "apps/group-0002/";

#[tokio::test]
async fn only_the_files_that_are_read_are_brought() {
    for protocol in PROTOCOLS {
        read_a_part(protocol).await;
    }
}

async fn read_a_part(protocol: Option<&'static str>) {
    let whole = Scene::over(fleet(), speaking(protocol)).await;
    whole.branch.bring_up_to_date().await.unwrap();
    let whole = whole.server.bytes();

    let mut part = Part::over(fleet(), FOLDER, speaking(protocol)).await;
    let head = part.head().await;
    assert_eq!(part.count(head), (25, 25), "{protocol:?}");
    assert_eq!(part.read(head, &fleet_path(60)).unwrap(), file(60, "1.0.0"));
    let cold = part.scene.server.bytes();
    assert!(cold * 3 < whole, "{protocol:?}: {cold} of {whole} bytes");

    // A person changes files within and outside.
    let (one, two) = (file(60, "2.0.0"), file(900, "2.0.0"));
    part.scene.repo.push_as("Jane", &[(&fleet_path(60), &one), (&fleet_path(900), &two)]);
    let head = part.head().await;
    assert_eq!((part.read(head, &fleet_path(60)).unwrap(), part.count(head)), (one, (25, 25)));
    let error = part.read(head, &fleet_path(900)).unwrap_err();
    assert_eq!(error.reason(), Reason::MirrorFailed, "never an empty file: {error}");

    // Commits are made beside files that are not here, and after a restart what is here is not fetched again.
    set(&part.scene.branch, &fleet_path(61), &file(61, "3.0.0")).await;
    assert_eq!(part.scene.repo.read("main", &fleet_path(61)), file(61, "3.0.0"));
    assert_eq!(part.scene.repo.read("main", &fleet_path(900)), file(900, "2.0.0"));
    git(&part.scene.repo, &["fsck", "--strict"]);
    let Part { scene, folder } = part;
    let Scene { repo, server, cache, branch, seen } = scene;
    drop(branch);
    let again =
        open_covering(&server.url(NAME), &super::mirror_in(&cache), GitSecret::default(), below(FOLDER));
    let scene = Scene { repo, server, cache, branch: again.unwrap(), seen };
    let mut part = Part { scene, folder };
    let before = part.scene.server.bytes();
    let head = part.head().await;
    assert_eq!(part.count(head), (25, 25));
    assert!(part.scene.server.bytes() - before < 2000, "{protocol:?}");
    part.scene.check();
}

#[tokio::test]
async fn a_part_that_changed_is_brought_anew_and_a_whole_serves_every_part() {
    let mut part = Part::over(fleet(), FOLDER, honest).await;
    let head = part.head().await;
    assert_eq!(part.count(head), (25, 25));
    for (coverage, wanted) in [
        (below("apps/group-0003/"), (0, 25)),
        (below("nowhere/"), (0, 0)),
        (Coverage::Whole, (25, 1000)),
        (below(FOLDER), (25, 1000)),
    ] {
        part.scene.branch =
            covering_after(part.scene.branch, &part.scene.server.url(NAME), &part.scene.cache, coverage);
        assert_eq!(part.scene.branch.bring_up_to_date().await.unwrap(), head);
        assert_eq!(part.count(head), wanted);
    }
}

/// The branch opened anew; the old one holds the lock of the mirror.
fn covering_after(old: Branch, url: &str, cache: &tempfile::TempDir, coverage: Coverage) -> Branch {
    drop(old);
    open_covering(url, &super::mirror_in(cache), GitSecret::default(), coverage).unwrap()
}

/// The body of a request, as text.
async fn body_of(request: Request) -> (String, Request) {
    let (head, body) = request.into_parts();
    let bytes = to_bytes(body, 64 << 20).await.unwrap();
    (String::from_utf8_lossy(&bytes).into_owned(), Request::from_parts(head, Body::from(bytes)))
}

/// A server that says that it knows no filters, though its program does.
pub fn without_filters(request: Request, next: Next) -> futures::future::BoxFuture<'static, Response> {
    async move {
        let is_advertisement = request.uri().path().ends_with("/info/refs");
        let (body, request) = body_of(request).await;
        assert!(!body.contains("filter"), "a filter was asked for: {body}");
        let (head, answer) = next.run(request).await.into_parts();
        let answer = to_bytes(answer, 64 << 20).await.unwrap();
        if !is_advertisement {
            return Response::from_parts(head, Body::from(answer));
        }
        let text = String::from_utf8(answer.to_vec()).unwrap().replace("filter", "fiddle");
        Response::from_parts(head, Body::from(text))
    }
    .boxed()
}

#[tokio::test]
async fn a_server_without_filters_sends_the_whole_commit() {
    let mut part = Part::over(fleet(), FOLDER, without_filters).await;
    let head = part.head().await;
    assert_eq!(part.count(head), (25, 1000));
    part.scene.repo.push_as("Jane", &[(&fleet_path(900), "hers")]);
    let head = part.head().await;
    assert_eq!(part.read(head, &fleet_path(900)).unwrap(), "hers");
}

/// Whether a request asks for files by their ids.
fn asks_for_files(body: &str) -> bool {
    body.contains("command=fetch") && !body.contains("deepen")
}

#[tokio::test]
async fn a_server_that_sends_no_file_by_its_id_sends_the_whole_commit() {
    let stubborn = |request: Request, next: Next| {
        async move {
            let (body, request) = body_of(request).await;
            if asks_for_files(&body) {
                return Response::new(Body::from("0018ERR want is not valid"));
            }
            next.run(request).await
        }
        .boxed()
    };
    let mut part = Part::over(fleet(), FOLDER, stubborn).await;
    let head = part.head().await;
    assert_eq!(part.count(head), (25, 1000));
    let before = part.scene.server.requests();
    part.scene.repo.push_as("Jane", &[(&fleet_path(60), "hers")]);
    part.head().await;
    assert_eq!(part.scene.server.requests() - before, 2, "it is not tried again");
}

#[tokio::test]
async fn a_file_that_the_server_leaves_out_is_an_error_and_comes_the_next_time() {
    let forgets = Arc::new(AtomicBool::new(true));
    let forgetful = Arc::clone(&forgets);
    let spoil = move |request: Request, next: Next| {
        let forgets = forgetful.load(Ordering::Relaxed);
        async move {
            let (mut body, mut request) = body_of(request).await;
            if forgets && asks_for_files(&body) {
                let line = body.find("0032want ").unwrap();
                body.replace_range(line..line + 0x32, "");
                let length = axum::http::HeaderValue::from(body.len());
                request.headers_mut().insert("content-length", length);
                *request.body_mut() = Body::from(body);
            }
            next.run(request).await
        }
        .boxed()
    };
    let mut part = Part::over(fleet(), FOLDER, spoil).await;
    let error = part.scene.branch.bring_up_to_date().await.unwrap_err();
    assert_eq!(error.reason(), Reason::ServerError);
    assert!(error.to_string().contains("left out 1 of the files"), "{error}");
    forgets.store(false, Ordering::Relaxed);
    let head = part.head().await;
    assert_eq!(part.count(head), (25, 25));
}

#[tokio::test]
async fn a_file_that_is_lost_is_brought_again() {
    let mut part = Part::over(fleet(), FOLDER, honest).await;
    part.head().await;
    let packs = part.scene.mirror().join("objects/pack");
    let mut files: Vec<_> = std::fs::read_dir(packs).unwrap().map(|entry| entry.unwrap().path()).collect();
    // The pack of the files came last.
    files.sort_by_key(|path| std::fs::metadata(path).unwrap().modified().unwrap());
    let last = files.last().unwrap().with_extension("");
    std::fs::remove_file(last.with_extension("pack")).unwrap();
    std::fs::remove_file(last.with_extension("idx")).unwrap();

    let head = part.head().await;
    let error = part.read(head, &fleet_path(60)).unwrap_err();
    part.scene.branch.start_over_after(&error).unwrap();
    let head = part.head().await;
    assert_eq!(part.count(head), (25, 25));
    part.scene.branch.publish(draft(head, &fleet_path(60), "2")).await.unwrap();
    part.scene.check();
}
