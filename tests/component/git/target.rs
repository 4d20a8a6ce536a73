//! Another branch is written than read.

use tagtide::git::{Branch, BranchName, Draft, Published, Start};

use super::faulty_server::{Spoil, honest};
use super::parts::without_filters;
use super::{InfraRepo, NAME, Scene, draft, git, hook, mirror_in, noise, open, set};

pub fn target() -> BranchName {
    BranchName::parse("tagtide/updates").unwrap()
}

async fn scene() -> Scene {
    let repo = InfraRepo::new();
    repo.seed(&[("a.yaml", "1"), ("b.yaml", "1")]);
    let mut scene = Scene::over(repo, honest).await;
    reopen(&mut scene);
    scene
}

fn reopen(scene: &mut Scene) {
    // The old one holds the lock of the mirror's folder.
    scene.branch = Branch::open_local(scene.repo.root(), target());
    let branch = open(&scene.server.url(NAME), &mirror_in(&scene.cache), None).unwrap();
    scene.branch = branch.publishing_to(target());
}

/// A draft with one edit of `a.yaml`, on `start`.
pub fn on(start: Start, content: &str) -> Draft {
    let edited = start.edited();
    Draft { start, vouches: true, ..draft(edited, "a.yaml", content) }
}

#[tokio::test]
async fn it_is_made_where_it_is_missing_and_both_branches_are_held_side_by_side() {
    let mut scene = scene().await;
    let base = scene.head().await;
    assert_eq!(scene.branch.bring_target(base).await.unwrap(), None);
    let published = scene.branch.publish(on(Start::New(base), "2")).await.unwrap();
    let Published::Taken(commits) = published else { panic!("{published:?}") };
    let tip = commits[0];
    assert_eq!(git(&scene.repo, &["rev-parse", "tagtide/updates", "main"]), format!("{tip}\n{base}"));

    reopen(&mut scene);
    let before = scene.server.bytes();
    for _ in 0..3 {
        assert_eq!(scene.head().await, base);
        assert_eq!(scene.branch.bring_target(base).await.unwrap(), Some(tip));
    }
    assert!(scene.server.bytes() - before < 2_500, "only lists of refs: {}", scene.server.bytes() - before);
    assert_eq!((&scene.files(base)["a.yaml"], &scene.files(tip)["a.yaml"]), (&"1".into(), &"2".into()));
    assert!(scene.branch.snapshot(tip).unwrap().is_vouched_for());
    assert!(!scene.branch.snapshot(base).unwrap().is_vouched_for());
    scene.check();
}

#[tokio::test]
async fn a_mirror_that_was_lost_brings_both_branches_again() {
    let mut scene = scene().await;
    let base = scene.head().await;
    scene.branch.publish(on(Start::New(base), "2")).await.unwrap();
    std::fs::remove_dir_all(scene.mirror()).unwrap();
    let tip = scene.branch.bring_target(base).await.unwrap().unwrap();
    assert_eq!((&scene.files(base)["a.yaml"], &scene.files(tip)["a.yaml"]), (&"1".into(), &"2".into()));
}

/// So many files that no pack of differences may hold them.
fn many(seed: u64) -> Vec<(String, String)> {
    (0..2_600).map(|number| (format!("d{:02}/f{number}.yaml", number / 100), noise(seed + number))).collect()
}

fn borrowed(files: &[(String, String)]) -> Vec<(&str, &str)> {
    files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect()
}

/// A repository whose two branches have no file in common, and many files; what each of them holds.
async fn far_apart(spoil: impl Spoil) -> (Scene, [Vec<(String, String)>; 2]) {
    let repo = InfraRepo::new();
    let files = [many(1), many(1_000_000)];
    repo.seed(&borrowed(&files[1]));
    git(&repo, &["update-ref", "refs/heads/tagtide/updates", "main"]);
    repo.seed(&borrowed(&files[0]));
    let mut scene = Scene::over(repo, spoil).await;
    reopen(&mut scene);
    (scene, files)
}

#[tokio::test]
async fn branches_that_are_far_apart_are_held_side_by_side_whatever_the_server_can_do() {
    for sends_parts in [true, false] {
        let (mut scene, files) = match sends_parts {
            true => far_apart(honest).await,
            false => far_apart(without_filters).await,
        };
        let base = scene.head().await;
        let tip = scene.branch.bring_target(base).await.unwrap().unwrap();
        for (commit, files) in [(base, &files[0]), (tip, &files[1])] {
            let held = scene.files(commit);
            assert!(held == files.iter().cloned().collect(), "{sends_parts}: {} files", held.len());
        }

        let before = scene.server.bytes();
        assert_eq!(scene.head().await, base);
        assert_eq!(scene.branch.bring_target(base).await.unwrap(), Some(tip));
        assert!(scene.server.bytes() - before < 1_000, "only lists of refs");

        // Each time the one that is read changes in all its files, the other one stays here.
        let again = many(2_000_000);
        scene.repo.push_as("Jane", &borrowed(&again));
        let base = scene.head().await;
        assert_eq!(scene.branch.bring_target(base).await.unwrap(), Some(tip));
        assert!(scene.files(base) == again.into_iter().collect());
        assert!(scene.files(tip) == files[1].iter().cloned().collect());
        scene.check();
    }
}

#[tokio::test]
async fn a_branch_that_someone_makes_first_is_a_lost_race() {
    let mut scene = scene().await;
    let base = scene.head().await;
    let script = "[ -e made ] && exit 0; touch made\n\
        unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES\n\
        export GIT_AUTHOR_NAME=Jane GIT_AUTHOR_EMAIL=j@example.com\n\
        export GIT_COMMITTER_NAME=Jane GIT_COMMITTER_EMAIL=j@example.com\n\
        git update-ref refs/heads/tagtide/updates $(git commit-tree -p main -m hers 'main^{tree}')\n";
    hook(&scene.repo, "pre-receive", script);
    assert_eq!(scene.branch.publish(on(Start::New(base), "2")).await.unwrap(), Published::Raced);
    let hers = scene.branch.bring_target(base).await.unwrap().unwrap();
    scene.seen.see(&scene.repo);
    let published = scene.branch.publish(on(Start::Tip(hers), "2")).await.unwrap();
    assert!(matches!(published, Published::Taken(_)), "{published:?}");
    assert_eq!(git(&scene.repo, &["rev-parse", "tagtide/updates~1"]), hers.to_string());
    // And one that was deleted meanwhile is not made anew under the feet of who deleted it.
    let tip = scene.branch.bring_target(base).await.unwrap().unwrap();
    scene.seen.see(&scene.repo);
    scene.seen.hold(&scene.repo);
    git(&scene.repo, &["update-ref", "-d", "refs/heads/tagtide/updates"]);
    scene.seen.forget("tagtide/updates");
    assert_eq!(scene.branch.publish(on(Start::Tip(tip), "3")).await.unwrap(), Published::Raced);
    assert_eq!(git(&scene.repo, &["branch", "--list", "tagtide/*"]), "");
    scene.check();
}

#[tokio::test]
async fn it_goes_on_from_the_read_branch_by_a_merge_that_git_finds_sound() {
    let mut scene = scene().await;
    let base = scene.head().await;
    scene.branch.publish(on(Start::New(base), "2")).await.unwrap();
    let tip = scene.branch.bring_target(base).await.unwrap().unwrap();
    scene.repo.push_as("Jane", &[("a.yaml", "2"), ("b.yaml", "2")]);
    let base = scene.head().await;
    let over = Start::Over { tip, base, message: "Merge main\n\n".into() };
    let published = scene.branch.publish(on(over, "3")).await.unwrap();
    assert!(matches!(published, Published::Taken(_)), "{published:?}");
    git(&scene.repo, &["fsck", "--strict"]);
    let parents = git(&scene.repo, &["log", "-1", "--format=%P", "tagtide/updates~1"]);
    assert_eq!(parents, format!("{tip} {base}"));
    assert_eq!(scene.repo.read("tagtide/updates", "b.yaml"), "2");
    // Only the ancestors of the old tip may be left behind by a merge: a stale tip is a lost race.
    let over = Start::Over { tip, base, message: "Merge main\n\n".into() };
    assert_eq!(scene.branch.publish(on(over, "4")).await.unwrap(), Published::Raced);
    scene.check();
}

#[tokio::test]
async fn a_local_repository_makes_it_too() {
    let repo = InfraRepo::new();
    repo.seed(&[("a.yaml", "1")]);
    let url = format!("file://{}", repo.path().display());
    let branch = open(&url, &repo.root().join("unused"), None).unwrap().publishing_to(target());
    let base = branch.bring_up_to_date().await.unwrap();
    let published = branch.publish(on(Start::New(base), "2")).await.unwrap();
    assert!(matches!(published, Published::Taken(_)), "{published:?}");
    assert_eq!(
        (repo.read("tagtide/updates", "a.yaml"), repo.read("main", "a.yaml")),
        ("2".into(), "1".into())
    );
    assert_eq!(branch.publish(on(Start::New(base), "3")).await.unwrap(), Published::Raced);
    let same = open(&url, &repo.root().join("unused"), None).unwrap();
    set(&same, "a.yaml", "4").await;
    assert_eq!(repo.read("main", "a.yaml"), "4");
}
