//! Two processes on one branch, each with a mirror of its own.

use std::collections::BTreeSet;

use super::{NAME, Scene, open, set};
use crate::support::workspace;

const ROUNDS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_lose_nothing_of_each_other_and_commit_once_each() {
    let mut scene = Scene::with(&[("left.yaml", "0"), ("right.yaml", "0"), ("hers.yaml", "0")]).await;
    scene.head().await;
    let cache = workspace::folder("cache");
    let other = open(&scene.server.url(NAME), &super::mirror_in(&cache), None).unwrap();
    let (left, right) = tokio::join!(write(&scene.branch, "left.yaml"), write(&other, "right.yaml"));
    let ours: BTreeSet<String> = left.iter().chain(&right).cloned().collect();
    assert_eq!(ours.len(), 2 * ROUNDS, "each push is a commit of its own");

    let landed: BTreeSet<String> = scene
        .repo
        .commits("main")
        .into_iter()
        .filter(|commit| commit.author == "tagtide")
        .map(|commit| commit.id)
        .collect();
    assert_eq!(landed, ours, "what was called taken is there, and nothing else");
    for file in ["left.yaml", "right.yaml"] {
        assert_eq!(scene.repo.read("main", file), ROUNDS.to_string(), "{file}");
    }
    scene.check();
}

async fn write(branch: &tagtide::git::Branch, file: &str) -> Vec<String> {
    let mut commits = Vec::new();
    for round in 1..=ROUNDS {
        commits.push(set(branch, file, &round.to_string()).await.0.to_string());
    }
    commits
}
