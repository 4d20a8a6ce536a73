//! The Git adapter against a real forge, over HTTP and SSH.

use reqwest::Method;
use serde_json::json;
use tagtide::api::Reason;
use tagtide::git::{
    Branch, BranchName, Coverage, Error, FileChange, FileFilter, GitSecret, Published, RemoteAccess,
    RepositoryUrl,
};
use tagtide::net::{AddressGuard, Connections};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::{draft, files_of, mirror_in, open_covering, open_with, secret, set};
use crate::support::gitea::{Gitea, PASSWORD, USER};
use crate::support::invariants::Invariants;
use crate::support::ssh_server::keygen;
use crate::support::workspace;

/// The one that the tests share, each with a repository of its own. It ends with the program.
async fn gitea() -> &'static Gitea {
    static SHARED: OnceCell<Gitea> = OnceCell::const_new();
    SHARED.get_or_init(Gitea::start).await
}

/// A repository of its own on the forge, with two files where it is not to be empty, and a cache for its mirror.
async fn scene(repo: &str, is_empty: bool) -> (&'static Gitea, TempDir) {
    let gitea = gitea().await;
    gitea.create_repo(repo).await;
    if !is_empty {
        gitea.commit_file(repo, "a.yaml", "1").await;
        gitea.commit_file(repo, "hers.yaml", "1").await;
    }
    (gitea, workspace::folder("cache"))
}

fn with_password(gitea: &Gitea, repo: &str, cache: &TempDir, password: &str) -> Branch {
    let secret = secret(&[("username", USER), ("password", password)]);
    open_with(&gitea.url(repo), &mirror_in(cache), secret).unwrap()
}

#[tokio::test]
async fn a_branch_is_read_and_written_with_a_password_and_with_a_token() {
    let (gitea, cache) = scene("http", false).await;
    for (number, password) in [PASSWORD.to_owned(), gitea.new_token("http").await].into_iter().enumerate() {
        let branch = with_password(gitea, "http", &cache, &password);
        let head = branch.bring_up_to_date().await.unwrap();
        assert_eq!(files_of(&branch, head).unwrap()["hers.yaml"], "1");
        let (commit, races) = set(&branch, "a.yaml", &format!("{number}{number}")).await;
        assert_eq!((gitea.git("http", &["rev-parse", "main"]), races), (commit.to_string(), 0));
    }
    let bearer = secret(&[("bearerToken", &gitea.new_token("bearer").await)]);
    let branch = open_with(&gitea.url("http"), &mirror_in(&cache), bearer).unwrap();
    branch.bring_up_to_date().await.unwrap();
    set(&branch, "a.yaml", "bearer").await;
    drop(branch);
    gitea.git("http", &["fsck", "--strict"]);
    let wrong = with_password(gitea, "http", &cache, "wrong");
    let error = wrong.bring_up_to_date().await.unwrap_err();
    assert_eq!(error.reason(), Reason::AuthenticationFailed, "{error}");
    let stranger =
        open_with(&gitea.url("http"), &mirror_in(&workspace::folder("cache")), GitSecret::default());
    let error = stranger.unwrap().bring_up_to_date().await.unwrap_err();
    assert_eq!(error.reason(), Reason::AuthenticationFailed, "{error}");
}

#[tokio::test]
async fn its_own_ssh_server_is_read_and_written_too() {
    let (gitea, cache) = scene("ssh", false).await;
    let keys = workspace::folder("keys");
    let key = keys.path().join("id");
    keygen(&["-t", "ed25519", "-f"], &key, "");
    gitea.authorize(&key).await;
    let (identity, known) = (std::fs::read_to_string(&key).unwrap(), gitea.known_hosts().await);
    let secret = secret(&[("identity", &identity), ("known_hosts", &known)]);
    let branch = open_with(&gitea.ssh_url("ssh"), &mirror_in(&cache), secret).unwrap();
    let head = branch.bring_up_to_date().await.unwrap();
    assert_eq!(files_of(&branch, head).unwrap()["a.yaml"], "1");
    gitea.commit_file("ssh", "hers.yaml", "2").await;
    assert_eq!(branch.publish(draft(head, "a.yaml", "2")).await.unwrap(), Published::Raced);
    let (commit, _) = set(&branch, "a.yaml", "3").await;
    assert_eq!(gitea.git("ssh", &["rev-parse", "main"]), commit.to_string());
    assert_eq!(gitea.git("ssh", &["show", "main:hers.yaml"]), "2");
}

#[tokio::test]
async fn someone_who_commits_in_the_browser_meanwhile_keeps_their_commit() {
    let (gitea, cache) = scene("race", false).await;
    let branch = with_password(gitea, "race", &cache, PASSWORD);
    let head = branch.bring_up_to_date().await.unwrap();
    let hers = gitea.commit_file("race", "hers.yaml", "2").await;
    let seen = Invariants::from_now_on(&gitea.path("race"));
    assert_eq!(branch.publish(draft(head, "a.yaml", "2")).await.unwrap(), Published::Raced);
    set(&branch, "a.yaml", "3").await;
    // And one that lands while the server has the push in its hands.
    let land = "[ -e once ] && exit 0; touch once\n\
        unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES\n\
        export GIT_AUTHOR_NAME=Jane GIT_AUTHOR_EMAIL=j@example.com GIT_COMMITTER_NAME=Jane GIT_COMMITTER_EMAIL=j@example.com\n\
        git update-ref refs/heads/main $(git commit-tree -p main -m hers 'main^{tree}')\n";
    gitea.hook("race", "pre-receive", land);
    let (commit, races) = set(&branch, "a.yaml", "4").await;
    assert_eq!((races, gitea.git("race", &["rev-parse", "main"])), (1, commit.to_string()));
    gitea.git("race", &["merge-base", "--is-ancestor", &hers, "main"]);
    assert_eq!(gitea.git("race", &["rev-list", "--count", "main"]), "6", "two, hers, ours, hers, ours");
    seen.hold(&gitea.path("race"));
}

#[tokio::test]
async fn a_protected_branch_and_a_hook_refuse_in_their_own_words() {
    let (gitea, cache) = scene("protected", false).await;
    let branch = with_password(gitea, "protected", &cache, PASSWORD);
    let seen = Invariants::from_now_on(&gitea.path("protected"));
    let head = branch.bring_up_to_date().await.unwrap();
    gitea.hook("protected", "pre-receive", "echo 'only on working days' >&2; exit 1\n");
    let refused = branch.publish(draft(head, "a.yaml", "2")).await.unwrap();
    assert!(
        matches!(&refused, Published::Refused(words) if words.contains("only on working days")),
        "{refused:?}"
    );
    gitea.hook("protected", "pre-receive", "exit 0\n");

    let rule = json!({ "rule_name": "main", "enable_push": false });
    gitea.api(Method::POST, &format!("repos/{USER}/protected/branch_protections"), rule).await;
    let refused = branch.publish(draft(head, "a.yaml", "2")).await.unwrap();
    assert!(
        matches!(&refused, Published::Refused(words) if words.contains("protected branch")),
        "{refused:?}"
    );
    assert_eq!(gitea.git("protected", &["rev-parse", "main"]), head.to_string());

    gitea.api(Method::DELETE, &format!("repos/{USER}/protected/branch_protections/main"), json!({})).await;
    set(&branch, "a.yaml", "2").await;
    seen.hold(&gitea.path("protected"));
}

#[tokio::test]
async fn a_branch_that_is_not_there_is_told_so_and_never_made() {
    let (gitea, cache) = scene("missing", true).await;
    let branch = with_password(gitea, "missing", &cache, PASSWORD);
    let error = branch.bring_up_to_date().await.unwrap_err();
    assert!(matches!(error, Error::BranchNotFound { .. }), "an empty repository: {error}");
    gitea.commit_file("missing", "a.yaml", "1").await;
    let head = branch.bring_up_to_date().await.unwrap();
    gitea.git("missing", &["update-ref", "-d", "refs/heads/main"]);
    assert_eq!(branch.publish(draft(head, "a.yaml", "2")).await.unwrap(), Published::Raced);
    let error = branch.bring_up_to_date().await.unwrap_err();
    assert!(matches!(error, Error::BranchNotFound { .. }), "a deleted branch: {error}");
    assert_eq!(gitea.git("missing", &["for-each-ref", "refs/heads"]), "");

    let nowhere = with_password(gitea, "no-such-repository", &workspace::folder("cache"), PASSWORD);
    let error = nowhere.bring_up_to_date().await.unwrap_err();
    assert_eq!(error.reason(), Reason::AccessDenied, "{error}");
}

#[tokio::test]
async fn a_token_that_is_revoked_in_mid_life_is_told_so_and_the_next_one_goes_on() {
    let (gitea, cache) = scene("revoked", false).await;
    let branch = with_password(gitea, "revoked", &cache, &gitea.new_token("mid-life").await);
    let head = branch.bring_up_to_date().await.unwrap();
    let seen = Invariants::from_now_on(&gitea.path("revoked"));
    gitea.revoke_token("mid-life").await;
    let error = branch.publish(draft(head, "a.yaml", "2")).await.unwrap_err();
    assert_eq!(error.reason(), Reason::AuthenticationFailed, "{error}");
    assert_eq!(gitea.git("revoked", &["rev-parse", "main"]), head.to_string());
    drop(branch);
    let branch = with_password(gitea, "revoked", &cache, &gitea.new_token("renewed").await);
    branch.bring_up_to_date().await.unwrap();
    set(&branch, "a.yaml", "2").await;
    seen.hold(&gitea.path("revoked"));
}

#[tokio::test]
async fn only_the_files_that_are_read_are_brought_from_it() {
    let (gitea, cache) = scene("parts", true).await;
    let coverage = Coverage::Files(FileFilter::new("one".to_owned(), |path| path == "a.yaml"));
    let secret = secret(&[("username", USER), ("password", PASSWORD)]);
    let branch = open_covering(&gitea.url("parts"), &mirror_in(&cache), secret, coverage).unwrap();
    for content in ["1", "2"] {
        gitea.commit_file("parts", "a.yaml", content).await;
        gitea.commit_file("parts", "hers.yaml", &format!("hers {content}")).await;
        let head = branch.bring_up_to_date().await.unwrap();
        let snapshot = branch.snapshot(head).unwrap();
        let mut here = Vec::new();
        let mut look = |change: FileChange<'_>| {
            if let FileChange::Present { path, blob } = change
                && let Ok(Some(text)) = snapshot.read(blob, 1 << 20)
            {
                here.push((path.to_owned(), String::from_utf8(text).unwrap()));
            }
            Ok(())
        };
        snapshot.changed_files(None, &|_| true, &mut look).unwrap();
        assert_eq!(here, [("a.yaml".to_owned(), content.to_owned())]);
    }
    set(&branch, "a.yaml", "3").await;
    assert_eq!(gitea.git("parts", &["show", "main:hers.yaml"]), "hers 2");
}

#[tokio::test]
async fn push_options_reach_the_forge() {
    let (gitea, cache) = scene("options", false).await;
    let access = RemoteAccess {
        connections: Connections::new(AddressGuard::new(vec!["127.0.0.0/8".parse().unwrap()])),
        secret: secret(&[("username", USER), ("password", PASSWORD)]),
        proxy: None,
        push_options: vec!["repo.template=true".to_owned()],
        room: tagtide::git::Room::default(),
        coverage: Coverage::Whole,
        mirror: mirror_in(&cache),
    };
    let url = RepositoryUrl::parse(&gitea.url("options")).unwrap();
    let branch = Branch::open(&url, BranchName::parse("main").unwrap(), access).unwrap();
    branch.bring_up_to_date().await.unwrap();
    set(&branch, "a.yaml", "2").await;
    let repo = gitea.api(Method::GET, &format!("repos/{USER}/options"), json!({})).await;
    assert_eq!(repo["template"], true, "{repo}");
}

#[tokio::test]
async fn it_can_do_all_that_the_wire_asks_for_and_filters_too() {
    let (gitea, _cache) = scene("features", false).await;
    let url = format!("{}/info/refs?service=git-upload-pack", gitea.url("features"));
    let request = reqwest::Client::new().get(url).header("git-protocol", "version=2");
    let answer = request.basic_auth(USER, Some(PASSWORD)).send().await.unwrap().text().await.unwrap();
    let fetch = answer.lines().find(|line| line.contains("fetch=")).unwrap_or_default();
    for feature in ["shallow", "filter"] {
        assert!(fetch.contains(feature), "{feature}: {answer}");
    }
}
