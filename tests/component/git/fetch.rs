//! Reading: what is here always becomes what the server has, and half a pack never counts.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use futures::FutureExt as _;
use tagtide::api::Reason;
use tagtide::git::{CommitId, Error, Published};

use super::faulty_server::{PROTOCOLS, Spoil, answer, asks_for_pack, honest, packs_as, speaking};
use super::parts::without_filters;
use super::{InfraRepo, NAME, Scene, draft, files_of, git, noise, open};
use crate::support::infra_repo::{fleet_file, fleet_path};

/// What must not hang may take this long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A repository of `files` files whose content is noise.
fn noisy(files: u64, seed: u64) -> Vec<(String, String)> {
    (0..files).map(|n| (format!("d{:02}/f{n}.yaml", n / 100), noise(seed * 100_000 + n))).collect()
}

fn borrowed(files: &[(String, String)]) -> Vec<(&str, &str)> {
    files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect()
}

fn as_map(files: &[(String, String)]) -> BTreeMap<String, String> {
    files.iter().cloned().collect()
}

async fn bring(scene: &Scene) -> Result<CommitId, Error> {
    tokio::time::timeout(PATIENCE, scene.branch.bring_up_to_date()).await.expect("an end of the fetch")
}

#[tokio::test]
async fn foreign_commits_are_fetched_at_the_cost_of_what_they_change() {
    for protocol in PROTOCOLS {
        pull_foreign_commits(protocol).await;
    }
}

async fn pull_foreign_commits(protocol: Option<&'static str>) {
    let repo = InfraRepo::new();
    repo.seed_large(1000, "registry.example.com");
    let mut scene = Scene::over(repo, speaking(protocol)).await;
    let head = scene.head().await;
    let files = scene.files(head);
    let file = |number, tag| fleet_file(number, "registry.example.com", tag);
    assert_eq!((files.len(), &files[&fleet_path(999)]), (1000, &file(999, "1.0.0")));

    let cold = scene.server.bytes();
    let changed: Vec<(String, String)> =
        (0..10).map(|n| (fleet_path(n * 100), file(n * 100, "2.0.0"))).collect();
    scene.repo.push_as("Jane", &borrowed(&changed));
    let head = scene.head().await;
    let files = scene.files(head);
    assert_eq!((files.len(), &files[&fleet_path(900)]), (1000, &file(900, "2.0.0")));
    assert_eq!(files[&fleet_path(901)], file(901, "1.0.0"), "what did not change is still here");
    let more = scene.server.bytes() - cold;
    assert!(more * 4 < cold, "{protocol:?}: {more} bytes after {cold} bytes");

    let before = scene.server.bytes();
    scene.head().await;
    assert!(scene.server.bytes() - before < 700, "{protocol:?}: only the list of refs");
    scene.check();
}

#[tokio::test]
async fn a_branch_that_was_forced_back_is_read_as_it_is() {
    for protocol in PROTOCOLS {
        follow_a_forced_branch(protocol).await;
    }
}

async fn follow_a_forced_branch(protocol: Option<&'static str>) {
    let repo = InfraRepo::new();
    repo.seed(&[("a.yaml", "1"), ("b.yaml", "1")]);
    let mut scene = Scene::over(repo, speaking(protocol)).await;
    scene.repo.seed(&[("a.yaml", "2")]);
    let newest = scene.branch.bring_up_to_date().await.unwrap();
    assert_eq!(scene.files(newest)["a.yaml"], "2");

    git(&scene.repo, &["update-ref", "refs/heads/main", "main~1"]);
    let ancestor = scene.head().await;
    assert_eq!(scene.files(ancestor)["a.yaml"], "1");

    // Another line of history, with nothing in common.
    let tree = git(&scene.repo, &["rev-parse", &format!("{newest}^{{tree}}")]);
    let alone = git(&scene.repo, &["commit-tree", "-m", "Begin again", &tree]);
    git(&scene.repo, &["update-ref", "refs/heads/main", &alone]);
    let other = scene.branch.bring_up_to_date().await.unwrap();
    assert_eq!((other.to_string(), scene.files(other)["a.yaml"].as_str()), (alone, "2"));
    let published = scene.branch.publish(draft(other, "b.yaml", "2")).await.unwrap();
    assert!(matches!(published, Published::Taken(_)), "{published:?}");
}

/// Fetches a commit that changes more files than a pack of differences may have; the bytes of the first fetch and of
/// the second.
async fn change_many(spoil: impl Spoil) -> (u64, u64) {
    let repo = InfraRepo::new();
    let first = noisy(12_000, 1);
    repo.seed(&borrowed(&first));
    let scene = Scene::over(repo, spoil).await;
    let head = bring(&scene).await.unwrap();
    assert!(scene.files(head) == as_map(&first), "the first commit");
    let cold = scene.server.bytes();

    let second = noisy(2_600, 2);
    scene.repo.seed(&borrowed(&second));
    let head = bring(&scene).await.unwrap();
    let mut both = as_map(&first);
    both.extend(as_map(&second));
    assert!(scene.files(head) == both, "the second commit");
    let warm = scene.server.bytes() - cold;

    scene.repo.push_as("Jane", &[("d00/f1.yaml", "hers")]);
    let head = bring(&scene).await.unwrap();
    assert_eq!(scene.files(head)["d00/f1.yaml"], "hers");
    scene.check();
    (cold, warm)
}

#[tokio::test]
async fn many_changed_files_are_fetched_at_the_cost_of_what_they_are() {
    let (cold, warm) = change_many(honest).await;
    assert!(warm * 4 < cold * 3, "{warm} bytes after {cold} bytes");
}

#[tokio::test]
async fn where_a_server_sends_no_parts_many_changed_files_are_fetched_with_all_others() {
    let (cold, warm) = change_many(without_filters).await;
    assert!(warm >= cold, "{warm} bytes after {cold} bytes");
}

fn packs_of(mirror: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(mirror.join("objects/pack")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn a_mirror_that_was_deleted_is_fetched_again() {
    let mut scene = Scene::with(&[("a.yaml", "1")]).await;
    scene.head().await;
    std::fs::remove_dir_all(scene.cache.path().join("git")).unwrap();
    let head = scene.head().await;
    assert_eq!(scene.files(head)["a.yaml"], "1");

    std::fs::remove_dir_all(scene.mirror()).unwrap();
    let published = scene.branch.publish(draft(head, "a.yaml", "2")).await;
    assert!(matches!(published, Err(Error::Objects { .. })), "{published:?}");
    let head = scene.head().await;
    assert_eq!(super::set(&scene.branch, "a.yaml", "2").await.1, 0);
    assert_eq!(scene.files(head)["a.yaml"], "1");
    scene.check();
}

/// Spoils a stretch of the mirror's pack, in percent of its length.
fn corrupt(mirror: &Path, percent: std::ops::Range<usize>) {
    for pack in packs_of(mirror).iter().filter(|path| path.extension().unwrap() == "pack") {
        std::fs::set_permissions(pack, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        let mut bytes = std::fs::read(pack).unwrap();
        let (start, end) = (bytes.len() * percent.start / 100, bytes.len() * percent.end / 100);
        bytes[start..end].iter_mut().for_each(|byte| *byte ^= 0x5a);
        std::fs::write(pack, bytes).unwrap();
    }
}

#[tokio::test]
async fn a_mirror_that_rotted_is_fetched_again() {
    let files = noisy(300, 3);
    let mut scene = Scene::with(&borrowed(&files)).await;
    scene.head().await;
    corrupt(&scene.mirror(), 0..100);
    let head = scene.head().await;
    assert!(scene.files(head) == as_map(&files), "the commit itself was not to be read");

    // The commit and its trees are at the ends of a pack, the files between them.
    corrupt(&scene.mirror(), 40..60);
    let head = scene.head().await;
    let error = files_of(&scene.branch, head).unwrap_err();
    assert_eq!(error.reason(), Reason::MirrorFailed);
    scene.branch.start_over_after(&error).unwrap();
    let head = scene.head().await;
    assert!(scene.files(head) == as_map(&files), "a file was not to be read");
    scene.check();
}

#[tokio::test]
async fn what_a_crash_left_in_the_mirror_is_swept_and_does_no_harm() {
    let mut scene = Scene::with(&[("a.yaml", "1")]).await;
    scene.head().await;
    let packs = scene.mirror().join("objects/pack");
    let whole = packs_of(&scene.mirror()).len();
    std::fs::write(packs.join("pack_git2_0123456789abcdef"), b"half a pack").unwrap();
    let url = scene.server.url(NAME);
    let Scene { repo, server, cache, branch, seen } = scene;
    let mirror = super::mirror_in(&cache);
    let held = open(&url, &mirror, None).err().expect("one mirror, one owner");
    assert!(held.to_string().contains("--cache-dir"), "{held}");
    drop(branch);

    let branch = open(&url, &mirror, None).unwrap();
    assert_eq!(packs_of(&mirror).len(), whole);
    let scene = Scene { repo, server, cache, branch, seen };
    let before = scene.server.bytes();
    let head = bring(&scene).await.unwrap();
    assert_eq!(scene.files(head)["a.yaml"], "1");
    assert!(scene.server.bytes() - before < 2000, "what was here before the crash is not fetched again");
    scene.check();
}

/// A fetch on top of what is here, from a server whose packs come as `body` makes them.
async fn with_packs(body: impl Fn(Bytes) -> Bytes + Clone + Send + Sync + 'static) -> (Reason, String) {
    let repo = InfraRepo::new();
    let files = noisy(400, 4);
    repo.seed(&borrowed(&files));
    let scene = Scene::over(repo, packs_as(body)).await;
    let error = bring(&scene).await.unwrap_err();
    let half_packs = packs_of(&scene.mirror());
    assert!(half_packs.is_empty(), "nothing of it is kept: {half_packs:?}");
    (error.reason(), error.to_string())
}

#[tokio::test]
async fn a_pack_that_is_cut_short_is_dropped() {
    let (reason, text) = with_packs(|real| real.slice(..real.len() - 4)).await;
    assert_eq!((reason, text.as_str()), (Reason::Unreachable, "the answer was cut short"));
    let (reason, _) = with_packs(|real| real.slice(..real.len() / 2)).await;
    assert_eq!(reason, Reason::Unreachable);
    let (reason, _) = with_packs(|_| Bytes::new()).await;
    assert_eq!(reason, Reason::Unreachable);
}

#[tokio::test]
async fn garbage_for_a_pack_is_dropped_however_much_there_is() {
    let garbage = |pieces: usize| {
        let mut body = b"000dpackfile\n".to_vec();
        // Were it a pack, it would be one of a billion objects.
        for _ in 0..pieces {
            body.extend_from_slice(b"fff0\x01");
            body.extend_from_slice(&[0x55; 0xffeb]);
        }
        body.extend_from_slice(b"0000");
        Bytes::from(body)
    };
    for pieces in [1, 40] {
        let (reason, text) = with_packs(move |_| garbage(pieces)).await;
        assert_eq!(reason, Reason::MirrorFailed, "{text}");
        assert!(text.contains("wrong pack signature"), "{text}");
    }
}

#[tokio::test]
async fn a_server_that_says_it_failed_is_quoted() {
    let (reason, text) = with_packs(|_| Bytes::from_static(b"0013ERR out of disk0000")).await;
    assert_eq!((reason, text.as_str()), (Reason::ServerError, "the server says: out of disk"));
    let (reason, text) = with_packs(|_| Bytes::from_static(b"<html>Bad gateway</html>")).await;
    assert_eq!(reason, Reason::ServerError);
    assert!(text.contains("not Git's protocol"), "{text}");
}

#[tokio::test]
async fn a_failed_fetch_leaves_what_is_here_and_the_next_one_goes_on() {
    let repo = InfraRepo::new();
    repo.seed(&[("a.yaml", "1")]);
    let broken = repo.path().join("broken");
    let switch = broken.clone();
    let sometimes = move |request: Request, next: Next| {
        let switch = switch.clone();
        async move {
            let (asks, request) = asks_for_pack(request).await;
            if asks && switch.exists() { cut_by_the_proxy() } else { next.run(request).await }
        }
        .boxed()
    };
    let mut scene = Scene::over(repo, sometimes).await;
    let first = scene.head().await;
    scene.repo.push_as("Jane", &[("a.yaml", "2")]);
    std::fs::write(&broken, "").unwrap();
    let error = bring(&scene).await.unwrap_err();
    assert_eq!(error.reason(), Reason::ServerError);
    assert_eq!(scene.files(first)["a.yaml"], "1", "what was here still is");
    std::fs::remove_file(&broken).unwrap();
    let second = scene.head().await;
    assert_eq!(scene.files(second)["a.yaml"], "2");
    scene.check();
}

fn cut_by_the_proxy() -> Response {
    let mut response = answer(502, "<html>Bad gateway</html>");
    response.headers_mut().insert("content-type", HeaderValue::from_static("text/html"));
    response
}

/// The pack in an answer to a request for one: what comes over the first band (gitprotocol-pack(5), "Packfile Data").
fn pack_in(answer: &[u8]) -> Vec<u8> {
    let (mut rest, mut pack) = (answer, Vec::new());
    while let Some((length, after)) = rest.split_at_checked(4) {
        let length = usize::from_str_radix(std::str::from_utf8(length).unwrap(), 16).unwrap();
        let (line, after) = after.split_at(length.saturating_sub(4));
        if let [1, piece @ ..] = line {
            pack.extend(piece);
        }
        rest = after;
    }
    pack
}

#[tokio::test]
async fn a_file_that_comes_as_a_difference_to_what_is_here_is_put_together_from_both() {
    let answers = Arc::<Mutex<Vec<Bytes>>>::default();
    let kept = Arc::clone(&answers);
    let keep = packs_as(move |answer| {
        kept.lock().unwrap().push(answer.clone());
        answer
    });
    let long: String = (0..50).map(|number| noise(number) + "\n").collect();
    let repo = InfraRepo::new();
    repo.seed(&[("a.yaml", &long)]);
    let mut scene = Scene::over(repo, keep).await;
    scene.head().await;
    let longer = long.replacen('\n', "\nhers\n", 1);
    scene.repo.push_as("Jane", &[("a.yaml", &longer)]);
    let head = scene.head().await;
    assert_eq!(scene.files(head)["a.yaml"], longer);

    let packs: Vec<Vec<u8>> = answers.lock().unwrap().iter().map(|answer| pack_in(answer)).collect();
    assert!(
        packs.len() == 2 && packs[1].len() * 10 < packs[0].len(),
        "{:?}",
        [packs[0].len(), packs[1].len()]
    );
    // Neither Git could make anything of the second one by itself.
    let index = |number: usize| {
        let file = scene.cache.path().join(format!("{number}.pack"));
        std::fs::write(&file, &packs[number]).unwrap();
        scene.repo.git(scene.repo.root(), &["index-pack", &file.to_string_lossy()])
    };
    index(0).success();
    let alone = index(1);
    assert!(alone.stderr.contains("unresolved delta"), "{alone:?}");
    scene.check();
}
