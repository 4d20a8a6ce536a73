//! A lost race is known by where the branch is, whatever a server calls it; and the same words without a race are a refusal.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use tagtide::git::Published;

use super::faulty_server::{Spoil, is_push};
use super::{InfraRepo, Scene, draft, set};

/// What Git of many ages, Gitea, GitHub, GitLab, Bitbucket and Azure DevOps are known to say to whoever comes second, and what
/// other refusals look like.
const WORDINGS: [&str; 14] = [
    "non-fast-forward",
    "fetch first",
    "stale info",
    "failed to update ref",
    "failed to lock",
    "incorrect old value provided",
    "cannot lock ref 'refs/heads/main': is at 1111111111111111111111111111111111111111 but expected 2222222222222222222222222222222222222222",
    "cannot lock ref 'refs/heads/main': Unable to create '/srv/infra.git/refs/heads/main.lock': File exists.",
    "reference already exists",
    "remote ref updated since checkout",
    "TF401028: The reference 'refs/heads/main' has already been updated by another client",
    "Internal Server Error",
    "pre-receive hook declined",
    "",
];

/// What becomes of the next push: it is refused in these words, after a person's commit where one comes first.
type Fate = Arc<Mutex<Option<(&'static str, bool)>>>;

fn refusing(fate: &Fate, jane: impl Fn() + Clone + Send + Sync + 'static) -> impl Spoil {
    let fate = Arc::clone(fate);
    move |request: Request, next: Next| {
        let refusal =
            if is_push(&request) { fate.lock().unwrap_or_else(PoisonError::into_inner).take() } else { None };
        let Some((words, is_race)) = refusal else { return next.run(request).boxed() };
        if is_race {
            jane();
        }
        async move { refusal_in(words) }.boxed()
    }
}

/// A report in the side band, as Git's `receive-pack` writes it.
fn refusal_in(words: &str) -> Response {
    let line = |text: &[u8]| [format!("{:04x}", text.len() + 4).as_bytes(), text].concat();
    let verdict = format!("ng refs/heads/main {words}\n");
    let report = [line(b"unpack ok\n"), line(verdict.as_bytes()), b"0000".to_vec()].concat();
    [line(&[b"\x01", report.as_slice()].concat()), b"0000".to_vec()].concat().into_response()
}

async fn scene() -> (Scene, Fate) {
    let repo = InfraRepo::new();
    repo.seed(&[("a.yaml", "0"), ("hers.yaml", "0")]);
    let (fate, path) = (Fate::default(), repo.path());
    let jane = move || {
        let script = "git update-ref refs/heads/main $(git commit-tree -p main -m hers 'main^{tree}')";
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", script]).current_dir(&path);
        for role in ["AUTHOR", "COMMITTER"] {
            shell
                .env(format!("GIT_{role}_NAME"), "Jane")
                .env(format!("GIT_{role}_EMAIL"), "jane@example.com");
        }
        assert!(shell.status().unwrap().success());
    };
    let spoil = refusing(&fate, jane);
    (Scene::over(repo, spoil).await, fate)
}

#[tokio::test]
async fn every_wording_of_a_lost_race_is_one_and_the_next_try_wins() {
    let (mut scene, fate) = scene().await;
    for (number, words) in WORDINGS.into_iter().enumerate() {
        let head = scene.head().await;
        *fate.lock().unwrap() = Some((words, true));
        let content = number.to_string() + "x";
        let published = scene.branch.publish(draft(head, "a.yaml", &content)).await.unwrap();
        assert_eq!(published, Published::Raced, "{words}");
        assert_eq!(set(&scene.branch, "a.yaml", &content).await.1, 0, "{words}");
        assert_eq!(scene.repo.read("main", "a.yaml"), content);
    }
    let janes = scene.repo.commits("main").into_iter().filter(|commit| commit.author == "Jane").count();
    assert_eq!(janes, WORDINGS.len(), "all of hers are there");
    scene.check();
}

#[tokio::test]
async fn the_same_words_without_a_race_are_a_refusal_and_are_quoted() {
    let (mut scene, fate) = scene().await;
    for words in WORDINGS {
        let head = scene.head().await;
        *fate.lock().unwrap() = Some((words, false));
        let published = scene.branch.publish(draft(head, "a.yaml", "1")).await.unwrap();
        assert_eq!(published, Published::Refused(words.to_owned()));
    }
    assert_eq!(scene.repo.commits("main").len(), 1);
    scene.check();
}
