//! A bare repository of this machine, by `file://`.

use std::time::Duration;

use tagtide::api::Reason;
use tagtide::git::{Branch, Error, Published};

use super::{InfraRepo, draft, files_of, git, open, set};
use crate::support::invariants::Invariants;
use crate::support::workspace;

fn branch(repo: &InfraRepo) -> Branch {
    open(&format!("file://{}", repo.path().display()), &repo.root().join("unused"), None).unwrap()
}

#[tokio::test]
async fn a_commit_is_made_in_place_and_only_on_top_of_what_was_read() {
    let repo = InfraRepo::new();
    repo.seed(&[("a.yaml", "1"), ("b.yaml", "1")]);
    let (branch, mut seen) = (branch(&repo), Invariants::default());
    seen.see(&repo);
    let head = branch.bring_up_to_date().await.unwrap();
    assert_eq!(files_of(&branch, head).unwrap()["a.yaml"], "1");
    repo.push_as("Jane", &[("b.yaml", "hers")]);
    seen.see(&repo);
    assert_eq!(branch.publish(draft(head, "a.yaml", "2")).await.unwrap(), Published::Raced);

    let (commit, races) = set(&branch, "a.yaml", "2").await;
    assert_eq!((git(&repo, &["rev-parse", "main"]), races), (commit.to_string(), 0));
    assert_eq!((repo.read("main", "a.yaml"), repo.read("main", "b.yaml")), ("2".into(), "hers".into()));
    git(&repo, &["fsck", "--strict"]);
    assert!(!repo.root().join("unused").exists(), "no mirror is made");
    seen.hold(&repo);
}

#[tokio::test]
async fn a_lock_that_somebody_left_is_told_by_its_name_and_one_that_goes_away_is_waited_for() {
    let repo = InfraRepo::new();
    repo.seed(&[("a.yaml", "1")]);
    let (branch, mut seen) = (branch(&repo), Invariants::default());
    seen.see(&repo);
    let head = branch.bring_up_to_date().await.unwrap();
    let lock = repo.path().join("refs/heads/main.lock");
    std::fs::write(&lock, "").unwrap();
    let error = branch.publish(draft(head, "a.yaml", "2")).await.unwrap_err();
    assert_eq!(error.reason(), Reason::MirrorFailed);
    assert!(error.to_string().contains(&lock.display().to_string()), "{error}");
    let free = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        std::fs::remove_file(&lock).unwrap();
    };
    let (published, ()) = tokio::join!(branch.publish(draft(head, "a.yaml", "2")), free);
    assert!(matches!(published, Ok(Published::Taken(_))), "{published:?}");
    seen.hold(&repo);
}

#[tokio::test]
async fn what_is_no_bare_repository_with_the_branch_is_refused_and_left_alone() {
    let folder = workspace::folder("local");
    let at = |path: &std::path::Path| open(&format!("file://{}", path.display()), path, None).unwrap();
    let none = at(folder.path()).bring_up_to_date().await.unwrap_err();
    assert_eq!(none.reason(), Reason::InvalidSpec);
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none());

    let repo = InfraRepo::new();
    let error = branch(&repo).bring_up_to_date().await.unwrap_err();
    assert!(matches!(error, Error::BranchNotFound { .. }), "{error}");
    repo.seed(&[("a.yaml", "1")]);
    repo.git(repo.root(), &["clone", "--quiet", "infra.git", "checked-out"]).success();
    let error = at(&repo.root().join("checked-out")).bring_up_to_date().await.unwrap_err();
    assert!(error.to_string().contains("it has a work tree"), "{error}");
}
