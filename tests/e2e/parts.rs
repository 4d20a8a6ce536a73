//! A repository of which one folder is looked at: no more of it is brought here, and all the rest of it stays.

use std::path::{Path, PathBuf};

use crate::cluster::{Cluster, is};
use crate::support::invariants::Invariants;

/// The mirror below this folder; it is the one that there is.
fn mirror_below(folder: &Path) -> Option<PathBuf> {
    if folder.join("objects").is_dir() {
        return Some(folder.to_owned());
    }
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).find_map(|path| mirror_below(&path))
}

#[tokio::test]
async fn only_the_files_of_the_folder_that_is_looked_at_are_brought_and_the_commit_leaves_the_rest_alone() {
    let mut cluster = Cluster::start(&[]).await;
    for tag in ["1.0.0", "1.1.0"] {
        cluster.registry.push("acme/api", tag).await;
    }
    let own = cluster.deployment("api", "1.0.0");
    let others: Vec<(String, String)> =
        (0..300).map(|n| (format!("clusters/dev/{n}.yaml"), format!("# {n}\n{own}"))).collect();
    let mut files: Vec<(&str, &str)> =
        others.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    files.push(("clusters/prod/api.yaml", &own));
    cluster.repo.seed(&files);
    let infra = cluster
        .infra_yaml()
        .replace("interval: 1h,", "interval: 1h, paths: {include: ['clusters/prod/**']},");
    cluster.apply(&(cluster.policy_yaml("api", "select: {semver: {range: '*'}}") + &infra)).await;
    cluster.run_operator();
    cluster.branch_holds("clusters/prod/api.yaml", "acme/api:1.1.0 #").await;
    let status = cluster
        .status_where("infra/infra", "committed", |s| s["lastCommit"].is_object() && is(s, "Succeeded"))
        .await;
    assert_eq!(status["sites"]["files"], 1, "{status}");

    let git = |folder: &Path, args: &[&str]| cluster.repo.git(folder, args).success();
    let changed = git(&cluster.repo.path(), &["diff-tree", "-r", "--name-only", "main~1", "main"]);
    assert_eq!(changed.trim(), "clusters/prod/api.yaml");
    assert_eq!(git(&cluster.repo.path(), &["ls-tree", "-r", "--name-only", "main"]).lines().count(), 301);
    git(&cluster.repo.path(), &["fsck", "--strict"]);

    let mirror = mirror_below(&cluster.cache_folder()).unwrap();
    let objects = git(&mirror, &["cat-file", "--batch-all-objects", "--batch-check=%(objecttype)"]);
    let files = objects.lines().filter(|kind| *kind == "blob").count();
    assert_eq!(files, 2, "the file as it was and as it is, of 301");
    cluster.hold(&Invariants::default(), &["imgpol/api", "infra/infra"], &[]).await;
}
