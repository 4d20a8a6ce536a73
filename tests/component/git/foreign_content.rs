//! What a hostile author can put into a tree is neither followed nor written, and the files beside it are still served.

use git2::{ObjectType, Oid, Repository};

use super::faulty_server::honest;
use super::{InfraRepo, Scene, git, set};

/// Writes an object byte by byte, as no honest Git would.
fn object(repo: &InfraRepo, kind: ObjectType, content: &[u8]) -> Oid {
    Repository::open(repo.path()).unwrap().odb().unwrap().write(kind, content).unwrap()
}

fn blob(repo: &InfraRepo, content: &[u8]) -> Oid {
    object(repo, ObjectType::Blob, content)
}

fn tree(repo: &InfraRepo, entries: &[(&str, &str, Oid)]) -> Oid {
    let mut raw = Vec::new();
    for (mode, name, id) in entries {
        raw.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        raw.extend_from_slice(id.as_bytes());
    }
    object(repo, ObjectType::Tree, &raw)
}

/// A repository whose only commit holds these entries.
fn repository(entries: impl FnOnce(&InfraRepo) -> Vec<(&'static str, &'static str, Oid)>) -> InfraRepo {
    let repo = InfraRepo::new();
    let top = tree(&repo, &entries(&repo));
    let commit = git(&repo, &["commit-tree", "-m", "Hostile", &top.to_string()]);
    git(&repo, &["update-ref", "refs/heads/main", &commit]);
    repo
}

#[tokio::test]
async fn links_submodules_and_names_that_escape_are_left_as_they_are() {
    let target = b"/etc/passwd # {\"$imagepolicy\": \"shop:api\"}";
    let repo = repository(|repo| {
        let (link, file) = (blob(repo, target), blob(repo, b"1"));
        let folder = tree(repo, &[("100644", "config", file)]);
        vec![
            ("40000", "..", folder),
            ("40000", ".git", folder),
            ("120000", "a-link.yaml", link),
            ("100644", "file.yaml", file),
            ("160000", "module", Oid::from_str("0123456789012345678901234567890123456789").unwrap()),
            ("40000", "plain", folder),
            ("100644", "x\\y.yaml", file),
        ]
    });
    let mut scene = Scene::over(repo, honest).await;
    let head = scene.head().await;
    let seen: Vec<String> = scene.files(head).into_keys().collect();
    assert_eq!(seen, ["file.yaml", "plain/config"]);

    let before = git(&scene.repo, &["ls-tree", "main"]);
    set(&scene.branch, "file.yaml", "2").await;
    set(&scene.branch, "plain/config", "2").await;
    let after = git(&scene.repo, &["ls-tree", "main"]);
    let others = |listing: &str| -> Vec<String> {
        let lines = listing.lines().map(str::to_owned);
        lines.filter(|line| !line.ends_with("\tfile.yaml") && !line.ends_with("\tplain")).collect()
    };
    assert_eq!(others(&before), others(&after));
    assert_eq!(others(&after).len(), 5);
    assert_eq!(scene.repo.read("main", "plain/config"), "2");
    scene.check();
}

#[tokio::test]
async fn what_an_old_git_wrote_into_a_tree_stays_to_the_byte() {
    let repo = repository(|repo| {
        let file = blob(repo, b"1");
        let folder = tree(repo, &[("100664", "a.yaml", file), ("100664", "b.yaml", file)]);
        vec![("40000", "apps", folder), ("100664", "c.yaml", file)]
    });
    let mut scene = Scene::over(repo, honest).await;
    scene.head().await;
    set(&scene.branch, "apps/a.yaml", "2").await;
    // As they are in the object: `git ls-tree` shows another mode.
    let entries = |tree: &str| {
        let id = git(&scene.repo, &["rev-parse", tree]);
        let bare = Repository::open(scene.repo.path()).unwrap();
        let raw = bare.odb().unwrap().read(Oid::from_str(id.trim()).unwrap()).unwrap().data().to_vec();
        raw.windows(7).filter(|part| part == b"100664 ").count()
    };
    assert_eq!((entries("main:apps"), entries("main^{tree}")), (2, 1));
    git(&scene.repo, &["fsck", "--full"]);
    let changed = git(&scene.repo, &["diff-tree", "-r", "--name-only", "main~1", "main"]);
    assert_eq!(changed.trim(), "apps/a.yaml");
    scene.check();
}

#[tokio::test]
async fn a_path_of_a_draft_can_not_leave_the_tree() {
    let mut scene = Scene::with(&[("a.yaml", "1"), ("folder/b.yaml", "1")]).await;
    let head = scene.head().await;
    for path in ["../a.yaml", "/a.yaml", ".git/config", "a//b", "a.yaml/b", "folder/../a.yaml", ""] {
        let published = scene.branch.publish(super::draft(head, path, "2")).await;
        assert!(published.is_err(), "{path:?}: {published:?}");
    }
    assert_eq!(scene.repo.commits("main").len(), 1);
    scene.check();
}

#[tokio::test]
async fn a_tree_that_is_nested_without_end_is_read_to_a_bound() {
    let repo = repository(|repo| {
        let file = blob(repo, b"1");
        let mut folder = tree(repo, &[("100644", "deep.yaml", file)]);
        for _ in 0..2000 {
            folder = tree(repo, &[("40000", "d", folder)]);
        }
        vec![("40000", "d", folder), ("100644", "file.yaml", file)]
    });
    let mut scene = Scene::over(repo, honest).await;
    let head = scene.head().await;
    let seen: Vec<String> = scene.files(head).into_keys().collect();
    assert_eq!(seen, ["file.yaml"]);
    scene.check();
}

#[tokio::test]
async fn names_that_are_no_text_and_large_files_stop_nobody() {
    let repo = InfraRepo::new();
    repo.seed(&[("file.yaml", "1"), ("large.yaml", &"x".repeat(2 << 20)), ("with space/ü.yaml", "1")]);
    let mut scene = Scene::over(repo, honest).await;
    let head = scene.head().await;
    let snapshot = scene.branch.snapshot(head).unwrap();
    let mut sizes = Vec::new();
    snapshot
        .changed_files(None, &|_| true, &mut |change| {
            if let tagtide::git::FileChange::Present { path, blob } = change {
                sizes.push((path.to_owned(), snapshot.read(blob, 1 << 20)?.map(|text| text.len())));
            }
            Ok(())
        })
        .unwrap();
    let expected = [("file.yaml", Some(1)), ("large.yaml", None), ("with space/ü.yaml", Some(1))];
    assert_eq!(sizes, expected.map(|(path, size)| (path.to_owned(), size)));
    drop(snapshot);
    set(&scene.branch, "with space/ü.yaml", "2").await;
    assert_eq!(scene.repo.read("main", "with space/ü.yaml"), "2");
    scene.check();
}
