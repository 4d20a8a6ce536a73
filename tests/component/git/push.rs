//! Writing: nobody's commit is overwritten, nothing is committed twice, and no answer is taken for another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::to_bytes;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use futures::FutureExt as _;
use tagtide::api::Reason;
use tagtide::git::{
    Branch, BranchName, CommitId, Coverage, Error, GitSecret, Published, RemoteAccess, RepositoryUrl,
};
use tagtide::net::{AddressGuard, Connections};

use super::faulty_server::{Spoil, answer, broken, honest, is_push};
use super::{InfraRepo, NAME, Scene, draft, foreign_commits_in_between, git, hook, mirror_in, open, set};
use crate::support::invariants::Invariants;
use crate::support::workspace;

fn one_file() -> InfraRepo {
    let repo = InfraRepo::new();
    repo.seed(&[("a.yaml", "1"), ("b.yaml", "1")]);
    repo
}

/// The first push is answered by `first`; everything else is answered by Git.
fn first_push(first: impl Spoil) -> impl Spoil {
    let is_first = Arc::new(AtomicBool::new(true));
    move |request: Request, next: Next| {
        if is_push(&request) && is_first.swap(false, Ordering::Relaxed) {
            first(request, next)
        } else {
            next.run(request).boxed()
        }
    }
}

/// Lets Git do its work, and answers something else.
fn done_but_answered(with: fn() -> Response) -> impl Spoil {
    move |request: Request, next: Next| {
        async move {
            drop(to_bytes(next.run(request).await.into_body(), 1 << 20).await);
            with()
        }
        .boxed()
    }
}

#[tokio::test]
async fn a_commit_arrives_whole_and_is_not_fetched_back() {
    let mut scene = Scene::over(one_file(), honest).await;
    let head = scene.head().await;
    let (commit, races) = set(&scene.branch, "a.yaml", "2").await;
    assert_eq!((scene.repo.read("main", "a.yaml").as_str(), races), ("2", 0));
    assert_eq!(git(&scene.repo, &["rev-parse", "main", "main~1"]), format!("{commit}\n{head}"));
    git(&scene.repo, &["fsck", "--strict"]);

    let before = scene.server.bytes();
    assert_eq!(scene.head().await, commit);
    assert!(scene.server.bytes() - before < 300, "only the list of refs");
    assert_eq!(scene.files(commit)["a.yaml"], "2");
    let again = scene.branch.publish(draft(commit, "a.yaml", "2")).await;
    assert!(matches!(again, Err(Error::NothingChanges)), "{again:?}");
    scene.check();
}

#[tokio::test]
async fn a_push_on_an_old_head_never_takes_a_foreign_commit_away() {
    let mut scene = Scene::over(one_file(), honest).await;
    let stale = scene.head().await;
    scene.repo.push_as("Jane", &[("b.yaml", "hers")]);
    scene.seen.see(&scene.repo);
    // The very push that a server takes for a forced update where `old` is not the parent of the commit.
    let published = scene.branch.publish(draft(stale, "a.yaml", "2")).await.unwrap();
    assert_eq!(published, Published::Raced);
    assert_eq!(scene.repo.read("main", "b.yaml"), "hers");

    // Not even when the new head is here already.
    scene.head().await;
    assert_eq!(scene.branch.publish(draft(stale, "a.yaml", "3")).await.unwrap(), Published::Raced);
    set(&scene.branch, "a.yaml", "4").await;
    assert_eq!(scene.repo.read("main", "b.yaml"), "hers");
    scene.check();
}

#[tokio::test]
async fn a_hook_that_refuses_is_quoted() {
    let mut scene = Scene::over(one_file(), honest).await;
    hook(&scene.repo, "pre-receive", "echo 'only \x1b[31mJane may push' >&2; exit 1\n");
    let head = scene.head().await;
    let published = scene.branch.publish(draft(head, "a.yaml", "2")).await.unwrap();
    let words = "pre-receive hook declined: only [31mJane may push".to_owned();
    assert_eq!(published, Published::Refused(words));
    assert_eq!(scene.repo.read("main", "a.yaml"), "1");
    assert_eq!(scene.head().await, head);
    scene.check();
}

#[tokio::test]
async fn a_lost_race_is_run_again_until_it_is_won() {
    for times in [1, 5] {
        let mut scene = Scene::over(one_file(), honest).await;
        scene.head().await;
        foreign_commits_in_between(&scene.repo, times);
        let (commit, races) = set(&scene.branch, "a.yaml", "2").await;
        assert_eq!(races, times as usize);
        let authors: Vec<String> = scene.repo.commits("main").into_iter().map(|c| c.author).collect();
        let janes = vec!["Jane"; times as usize];
        assert_eq!(authors, [&["tagtide"], janes.as_slice(), &["Test"]].concat());
        assert_eq!(scene.head().await, commit);
        scene.check();
    }
}

#[tokio::test]
async fn a_push_that_was_taken_counts_although_its_answer_is_lost() {
    taken_once(first_push(done_but_answered(broken))).await;
    taken_once(first_push(done_but_answered(|| answer(504, "upstream timed out")))).await;
    taken_once(first_push(done_but_answered(Response::default))).await;
}

async fn taken_once(spoil: impl Spoil) {
    let mut scene = Scene::over(one_file(), spoil).await;
    scene.head().await;
    let (commit, races) = set(&scene.branch, "a.yaml", "2").await;
    assert_eq!((scene.repo.commits("main").len(), races), (2, 0));
    assert_eq!(scene.head().await, commit);
    scene.check();
}

#[tokio::test]
async fn a_push_that_never_arrived_is_an_error_and_works_the_next_time() {
    let swallow = |_: Request, _: Next| async { broken() }.boxed();
    let mut scene = Scene::over(one_file(), first_push(swallow)).await;
    let head = scene.head().await;
    let error = scene.branch.publish(draft(head, "a.yaml", "2")).await.unwrap_err();
    assert_eq!(error.reason(), Reason::Unreachable);
    assert_eq!(scene.repo.commits("main").len(), 1);
    assert_eq!(scene.head().await, head);
    set(&scene.branch, "a.yaml", "2").await;
    assert_eq!(scene.repo.commits("main").len(), 2);
    scene.check();
}

#[tokio::test]
async fn a_push_whose_answer_is_lost_while_someone_builds_on_it_is_not_made_again() {
    let restarted = done_but_answered(|| answer(502, "the proxy was restarted"));
    let mut scene = Scene::over(one_file(), first_push(restarted)).await;
    let script = "export GIT_AUTHOR_NAME=Jane GIT_AUTHOR_EMAIL=j@example.com\n\
        export GIT_COMMITTER_NAME=Jane GIT_COMMITTER_EMAIL=j@example.com\n\
        git update-ref refs/heads/main $(git commit-tree -p main -m hers 'main^{tree}')\n";
    hook(&scene.repo, "post-receive", script);
    let head = scene.head().await;
    let published = scene.branch.publish(draft(head, "a.yaml", "2")).await.unwrap();
    let ours = git(&scene.repo, &["rev-parse", "main~1"]);
    assert_eq!(published, Published::Taken(vec![CommitId::parse(&ours).unwrap()]), "it is told of");
    let head = scene.head().await;
    assert_eq!(scene.files(head)["a.yaml"], "2", "the next plan finds it done");
    scene.check();
}

#[tokio::test]
async fn what_became_of_a_push_is_told_although_nobody_can_look_afterwards() {
    type Words = (fn() -> Response, Reason);
    let cases: [Words; 2] = [
        (|| answer(401, "expired"), Reason::AuthenticationFailed),
        (|| answer(403, "archived"), Reason::AccessDenied),
    ];
    for (said, reason) in cases {
        let is_over = Arc::new(AtomicBool::new(false));
        let spoil = move |request: Request, next: Next| {
            let is_push = is_push(&request);
            if is_over.fetch_or(is_push, Ordering::Relaxed) || is_push {
                async move { if is_push { said() } else { answer(500, "down") } }.boxed()
            } else {
                next.run(request).boxed()
            }
        };
        let mut scene = Scene::over(one_file(), spoil).await;
        let head = scene.head().await;
        let error = scene.branch.publish(draft(head, "a.yaml", "2")).await.unwrap_err();
        assert_eq!(error.reason(), reason, "{error}");
        scene.check();
    }
}

#[tokio::test]
async fn a_branch_that_is_deleted_before_the_push_is_not_made_again() {
    let mut scene = Scene::over(one_file(), honest).await;
    let head = scene.head().await;
    git(&scene.repo, &["update-ref", "-d", "refs/heads/main"]);
    scene.seen.forget("main");
    assert_eq!(scene.branch.publish(draft(head, "a.yaml", "2")).await.unwrap(), Published::Raced);
    let error = scene.branch.bring_up_to_date().await.unwrap_err();
    assert!(matches!(error, Error::BranchNotFound { .. }), "{error}");
    scene.check();
}

#[tokio::test]
async fn an_executable_file_stays_executable() {
    let mut scene = Scene::over(one_file(), honest).await;
    let repository = git2::Repository::open(scene.repo.path()).unwrap();
    let head = repository.refname_to_id("refs/heads/main").and_then(|id| repository.find_commit(id)).unwrap();
    let blob = repository.blob(b"1").unwrap();
    let mut tree = repository.treebuilder(None).unwrap();
    tree.insert("run.sh", blob, 0o100_755).unwrap();
    let tree = repository.find_tree(tree.write().unwrap()).unwrap();
    let jane = git2::Signature::new("Jane", "jane@example.com", &head.time()).unwrap();
    repository.commit(Some("refs/heads/main"), &jane, &jane, "Add a script", &tree, &[&head]).unwrap();
    scene.head().await;
    set(&scene.branch, "run.sh", "2").await;
    assert!(git(&scene.repo, &["ls-tree", "main"]).starts_with("100755 blob"));
    scene.check();
}

#[tokio::test]
async fn credentials_that_expire_before_the_push_are_told_so() {
    let expire = |_: Request, _: Next| async { answer(401, "expired") }.boxed();
    let repo = one_file();
    let seen = Invariants::from_now_on(&repo);
    let server = super::FaultyServer::start(repo.root(), first_push(expire)).await;
    let cache = workspace::folder("cache");
    let branch = open(&server.url(NAME), &mirror_in(&cache), Some("Bearer t0ken")).unwrap();
    let head = branch.bring_up_to_date().await.unwrap();
    let error = branch.publish(draft(head, "a.yaml", "2")).await.unwrap_err();
    assert_eq!(error.reason(), Reason::AuthenticationFailed);
    assert_eq!(repo.commits("main").len(), 1);
    seen.hold(&repo);
}

#[tokio::test]
async fn hooks_are_told_the_push_options_or_nothing_is_pushed() {
    let mut scene = Scene::over(one_file(), honest).await;
    hook(&scene.repo, "post-receive", "env | grep ^GIT_PUSH_OPTION | sort > told\n");
    let url = RepositoryUrl::parse(&scene.server.url(NAME)).unwrap();
    let mirror = scene.cache.path().join("with-options");
    let open = || {
        let access = RemoteAccess {
            connections: Connections::new(AddressGuard::new(vec!["127.0.0.0/8".parse().unwrap()])),
            secret: GitSecret::default(),
            proxy: None,
            push_options: vec!["ci.skip".to_owned(), "title=Two words".to_owned()],
            mirror: mirror.clone(),
            room: tagtide::git::Room::default(),
            coverage: Coverage::Whole,
        };
        Branch::open(&url, BranchName::parse("main").unwrap(), access).unwrap()
    };
    let branch = open();
    let head = scene.head().await;
    branch.bring_up_to_date().await.unwrap();
    let error = branch.publish(draft(head, "a.yaml", "2")).await.unwrap_err();
    assert!(error.to_string().contains("push options"), "{error}");
    assert_eq!(scene.repo.read("main", "a.yaml"), "1");

    git(&scene.repo, &["config", "receive.advertisePushOptions", "true"]);
    // What a server can do is asked again after it could not.
    set(&branch, "a.yaml", "2").await;
    let told = std::fs::read_to_string(scene.repo.path().join("told")).unwrap();
    let wanted = "GIT_PUSH_OPTION_0=ci.skip\nGIT_PUSH_OPTION_1=title=Two words\nGIT_PUSH_OPTION_COUNT=2\n";
    assert_eq!(told, wanted);
    scene.check();
}
