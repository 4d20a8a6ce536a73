//! The Git adapter against `git http-backend`, OpenSSH and Gitea, and against a server that misbehaves.
//!
//! | what goes wrong | where it is tested |
//! | --- | --- |
//! | someone pushes between fetch and push, once and five times | `push`, `ssh`, `forge`; e2e `main_job` |
//! | they set a newer value on the same line | e2e `git_faults` |
//! | 20 policies at once on one branch, two operators | `race`; e2e `crowd` |
//! | killed before the push, after the push before the status | e2e `faults`, `main_job`, `soak` |
//! | push taken, answer lost | `push`, `ssh`; e2e `soak` |
//! | branch forced back | `fetch`; e2e `git_faults` |
//! | branch deleted, repo empty | `access`, `push`, `forge`; e2e `git_faults` |
//! | pre-receive hook or protected branch refuses | `push`, `ssh`, `forge`; e2e `git_faults` |
//! | credentials expire | `push`, `forge`; e2e `private` |
//! | host key changes | `ssh`; e2e `private` |
//! | 5xx or a broken connection at each stage | `stages` |
//! | hostile content: links, submodules, `.git`, absurd paths, huge blobs | `foreign_content` |
//! | bogus packs | `fetch`, and the fuzzer |
//! | ref names that attack | `stages`, and the fuzzer |
//! | one of a hundred files broken | e2e `git_faults` |
//! | killed at any byte of a pack, crash leftovers | `crash`, `fetch` |
//! | disk full | `crash` |
//! | packs that unfold, claim or repeat without end | `hostile_packs` beside the code |
//! | a token of a GitHub App revoked or at its end | `github_app` |
//! | every wording of a lost race | `wordings` |
//! | server upgraded, or moved to another protocol | `upgrade` |
//! | slow link | `stages` |
//! | a server that hangs holds up no other repository | e2e `git_faults` |
//! | signing key missing | `signing`; e2e `private` |
//! | a pull request is merged, closed or edited by a person; the forge's rate limit | nowhere yet: there are no pull requests |
//! | all of it at random | e2e `soak` |
//!
//! What [`Invariants`] says holds at the end of each of them, and in e2e all that `oracle` says.

mod access;
mod crash;
mod faulty_server;
mod fetch;
mod foreign_content;
mod forge;
mod github_app;
mod local;
mod openpgp;
mod parts;
mod push;
mod race;
mod signing;
mod ssh;
mod stages;
mod target;
mod upgrade;
mod ways;
mod wordings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tagtide::git::{
    Branch, BranchName, CommitId, Coverage, Draft, DraftCommit, Error, FileChange, FileEdit, GitSecret,
    Published, RemoteAccess, RepositoryUrl, Start,
};
use tagtide::net::{AddressGuard, Connections};
use tempfile::TempDir;

use crate::support::infra_repo::{InfraRepo, NAME};
use crate::support::invariants::Invariants;
use crate::support::workspace;
use faulty_server::{FaultyServer, Spoil};

/// A repository behind a server, a branch of it as Tagtide holds it, and the heads that were seen.
struct Scene {
    repo: InfraRepo,
    server: FaultyServer,
    cache: TempDir,
    branch: Branch,
    seen: Invariants,
}

impl Scene {
    /// A repository with these files, behind a server that does as it should.
    async fn with(files: &[(&str, &str)]) -> Self {
        let repo = InfraRepo::new();
        repo.seed(files);
        Self::over(repo, faulty_server::honest).await
    }

    /// A repository behind a server whose answers `spoil` makes.
    async fn over(repo: InfraRepo, spoil: impl Spoil) -> Self {
        let server = FaultyServer::start(repo.root(), spoil).await;
        let cache = workspace::folder("cache");
        let branch = open(&server.url(NAME), &mirror_in(&cache), None).unwrap();
        Self { repo, server, cache, branch, seen: Invariants::default() }
    }

    /// The head of the branch, brought here.
    async fn head(&mut self) -> CommitId {
        self.seen.see(&self.repo);
        self.branch.bring_up_to_date().await.unwrap()
    }

    /// What the branch holds at a commit, as Tagtide reads it.
    fn files(&self, commit: CommitId) -> BTreeMap<String, String> {
        files_of(&self.branch, commit).unwrap()
    }

    fn mirror(&self) -> PathBuf {
        mirror_in(&self.cache)
    }

    /// What must hold whatever happened.
    fn check(self) {
        self.seen.hold(&self.repo);
    }
}

fn mirror_in(cache: &TempDir) -> PathBuf {
    cache.path().join("git/mirror")
}

fn open(url: &str, mirror: &Path, authorization: Option<&str>) -> Result<Branch, Error> {
    let secret = match authorization.and_then(|header| header.split_once(' ')) {
        Some(("Bearer", token)) => secret(&[("bearerToken", token)]),
        Some((_, login)) => {
            let login = String::from_utf8(STANDARD.decode(login).unwrap()).unwrap();
            let (username, password) = login.split_once(':').unwrap();
            secret(&[("username", username), ("password", password)])
        }
        None => GitSecret::default(),
    };
    open_with(url, mirror, secret)
}

fn secret(entries: &[(&str, &str)]) -> GitSecret {
    let data = entries.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec()));
    GitSecret::read(&data.collect()).unwrap()
}

fn open_with(url: &str, mirror: &Path, secret: GitSecret) -> Result<Branch, Error> {
    open_covering(url, mirror, secret, Coverage::Whole)
}

fn open_covering(url: &str, mirror: &Path, secret: GitSecret, coverage: Coverage) -> Result<Branch, Error> {
    let connections = Connections::new(AddressGuard::new(vec!["127.0.0.0/8".parse().unwrap()]));
    let access = RemoteAccess {
        connections,
        secret,
        proxy: None,
        push_options: Vec::new(),
        mirror: mirror.to_owned(),
        room: tagtide::git::Room::default(),
        coverage,
    };
    Branch::open(&RepositoryUrl::parse(url)?, BranchName::parse("main")?, access)
}

fn files_of(branch: &Branch, commit: CommitId) -> Result<BTreeMap<String, String>, Error> {
    let snapshot = branch.snapshot(commit)?;
    let mut files = BTreeMap::new();
    snapshot.changed_files(None, &|_| true, &mut |change| {
        if let FileChange::Present { path, blob } = change {
            let content = snapshot.read(blob, 1 << 20)?.unwrap();
            files.insert(path.to_owned(), String::from_utf8(content).unwrap());
        }
        Ok(())
    })?;
    Ok(files)
}

/// The commit that sets one file to a value; its trailer says so, and no two may say the same.
fn draft(parent: CommitId, path: &str, content: &str) -> Draft {
    Draft {
        start: Start::Tip(parent),
        commits: vec![DraftCommit {
            edits: vec![FileEdit { path: path.to_owned(), content: content.as_bytes().to_vec() }],
            message: format!("Set {path}\n\nTagtide-Update: shop/{path} - {content}\n"),
        }],
        vouches: false,
        author_name: "tagtide".to_owned(),
        author_email: "tagtide@localhost".to_owned(),
        at: "2026-02-01T00:00:00Z".parse().unwrap(),
        signer: None,
    }
}

/// Sets a file as the engine does: on a lost race it looks again and tries again. The commit, and the races lost.
async fn set(branch: &Branch, path: &str, content: &str) -> (CommitId, usize) {
    for races in 0..100 {
        let head = branch.bring_up_to_date().await.unwrap();
        match branch.publish(draft(head, path, content)).await.unwrap() {
            Published::Taken(ids) => return (ids[0], races),
            Published::Raced => {}
            Published::Refused(words) => panic!("refused: {words}"),
        }
    }
    panic!("a hundred races lost");
}

/// Git in the bare repository itself.
fn git(repo: &InfraRepo, args: &[&str]) -> String {
    repo.git(&repo.path(), args).success().trim().to_owned()
}

/// Makes a shell script a hook of the repository.
fn hook(repo: &InfraRepo, name: &str, script: &str) {
    let path = repo.path().join("hooks").join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}")).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
}

/// A hook that lets a person's commit land on the branch before each of the first `times` pushes is taken.
fn foreign_commits_in_between(repo: &InfraRepo, times: u32) {
    let script = format!(
        "count=$(cat races 2>/dev/null || echo 0)\n\
         [ \"$count\" -ge {times} ] && exit 0\n\
         echo $((count + 1)) > races\n\
         unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES\n\
         export GIT_AUTHOR_NAME=Jane GIT_AUTHOR_EMAIL=jane@example.com\n\
         export GIT_COMMITTER_NAME=Jane GIT_COMMITTER_EMAIL=jane@example.com\n\
         new=$(git commit-tree -p main -m \"Jane's change $count\" 'main^{{tree}}')\n\
         git update-ref refs/heads/main \"$new\"\n"
    );
    hook(repo, "pre-receive", &script);
}

/// Text that no compression makes small, so that a pack of it comes in many pieces.
fn noise(number: u64) -> String {
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        format!("{state:016x}")
    };
    (0..32).map(|_| next()).collect()
}
