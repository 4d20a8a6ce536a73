//! A bare Git repository like the one a team keeps its manifests in, made and read with Git itself.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;

use super::process::Finished;
use super::workspace;

/// The folder of the bare repository, and the last part of its address on a Git server.
pub const NAME: &str = "infra.git";
const BRANCH: &str = "main";
/// 2026-01-01T00:00:00Z. Each commit of the harness is a minute younger than the one before.
const EPOCH: u64 = 1_767_225_600;

/// A commit as `git log` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    pub id: String,
    pub author: String,
    pub email: String,
    pub subject: String,
    /// The whole message.
    pub message: String,
    /// Name and value of each trailer, in order.
    pub trailers: Vec<(String, String)>,
}

/// The repository and the folder that a Git server can serve it from. Removed on drop.
pub struct InfraRepo {
    root: TempDir,
    minutes: AtomicU64,
}

impl InfraRepo {
    /// An empty repository whose branch is to be `main`.
    pub fn new() -> Self {
        let repo = Self { root: workspace::folder("infra"), minutes: AtomicU64::new(0) };
        let branch = format!("--initial-branch={BRANCH}");
        repo.git(repo.root.path(), &["init", "--quiet", "--bare", &branch, NAME]).success();
        repo
    }

    /// The folder to serve.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// The bare repository.
    pub fn path(&self) -> PathBuf {
        self.root.path().join(NAME)
    }

    /// Commits these files to `main`, on top of what is there.
    pub fn seed(&self, files: &[(&str, &str)]) {
        self.import(files.iter().map(|(path, content)| ((*path).to_owned(), (*content).to_owned())));
    }

    /// Commits `files` files of 1.7 KB, each a Deployment and its Service, 25 to a folder: see [`fleet_path`] and [`fleet_file`].
    pub fn seed_large(&self, files: usize, registry: &str) {
        self.import((0..files).map(|number| (fleet_path(number), fleet_file(number, registry, "1.0.0"))));
    }

    /// Commits and pushes these files to `main` from a clone, as a person would: once more where someone was first.
    pub fn push_as(&self, person: &str, files: &[(&str, &str)]) {
        let is_taken = (0..20).any(|_| self.try_push_as(person, files));
        assert!(is_taken, "{person} lost twenty races");
    }

    fn try_push_as(&self, person: &str, files: &[(&str, &str)]) -> bool {
        let clone = workspace::folder("clone");
        let here = clone.path();
        self.git(here, &["clone", "--quiet", &self.path().to_string_lossy(), "."]).success();
        for (path, content) in files {
            let file = here.join(path);
            fs::create_dir_all(file.parent().expect("a folder")).expect("the file's folder");
            fs::write(&file, content).unwrap_or_else(|error| panic!("write {path}: {error}"));
        }
        self.git(here, &["add", "--all"]).success();
        let author = format!("--author={person} <{}@example.com>", person.to_lowercase());
        // Someone else may have written the very same meanwhile.
        let commit = ["commit", "--quiet", "--allow-empty", &author, "-m"];
        self.git(here, &[&commit[..], &[&format!("{person} changes files")]].concat()).success();
        self.git(here, &["push", "--quiet", "origin", &format!("HEAD:{BRANCH}")]).code == Some(0)
    }

    /// A file's content at the head of a branch.
    pub fn read(&self, branch: &str, path: &str) -> String {
        self.git(&self.path(), &["show", &format!("{branch}:{path}")]).success()
    }

    /// The commits of a branch, the newest first.
    pub fn commits(&self, branch: &str) -> Vec<Commit> {
        commits_in(&self.path(), branch)
    }

    /// Runs Git in a folder, cut off from this machine's settings, as "Test" at the harness's next minute.
    pub fn git(&self, folder: &Path, args: &[&str]) -> Finished {
        let output = self.git_command(folder, args).output();
        output.unwrap_or_else(|error| panic!("run git {args:?}: {error}")).into()
    }

    fn git_command(&self, folder: &Path, args: &[&str]) -> Command {
        let date = format!("@{} +0000", EPOCH + 60 * self.minutes.fetch_add(1, Ordering::Relaxed));
        let mut command = hermetic_git(folder);
        command.args(args).env("GIT_AUTHOR_DATE", &date).env("GIT_COMMITTER_DATE", &date);
        command
    }

    /// `git fast-import` makes one pack out of any number of files, at the speed of the disk.
    fn import(&self, files: impl Iterator<Item = (String, String)>) {
        let head = self.git(&self.path(), &["rev-parse", "--quiet", "--verify", BRANCH]);
        let seconds = EPOCH + 60 * self.minutes.fetch_add(1, Ordering::Relaxed);
        let mut order = format!(
            "commit refs/heads/{BRANCH}\ncommitter Test <test@example.com> {seconds} +0000\ndata 5\nSeed\n\n"
        );
        if head.code == Some(0) {
            writeln!(order, "from {}", head.stdout.trim()).expect("text");
        }
        for (path, content) in files {
            write!(order, "M 100644 inline {path}\ndata {}\n{content}\n", content.len()).expect("text");
        }
        let mut child = self
            .git_command(&self.path(), &["fast-import", "--quiet"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("git fast-import");
        child.stdin.take().expect("its input").write_all(order.as_bytes()).expect("the import");
        Finished::from(child.wait_with_output().expect("git fast-import")).success();
    }
}

/// The commits of a branch of a repository, the newest first.
pub fn commits_in(folder: &Path, branch: &str) -> Vec<Commit> {
    let format = "--format=%H%x1f%an%x1f%ae%x1f%s%x1f%B%x1f%(trailers:only,unfold)%x1e";
    let log = hermetic_git(folder).args(["log", "--topo-order", format, branch]).output().expect("git");
    let log = Finished::from(log).success();
    log.split('\u{1e}').map(str::trim_start).filter(|entry| !entry.is_empty()).map(commit).collect()
}

/// Git in a folder, cut off from this machine's settings and from any repository around.
pub fn hermetic_git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(folder).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Test").env(format!("GIT_{role}_EMAIL"), "test@example.com");
    }
    command
}

fn commit(entry: &str) -> Commit {
    let parts: Vec<&str> = entry.split('\u{1f}').collect();
    let [id, author, email, subject, message, trailers] = parts[..] else { panic!("a log entry: {entry:?}") };
    let trailers = trailers.lines().filter_map(|line| line.split_once(": "));
    Commit {
        id: id.to_owned(),
        author: author.to_owned(),
        email: email.to_owned(),
        subject: subject.to_owned(),
        message: message.to_owned(),
        trailers: trailers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    }
}

/// Where [`InfraRepo::seed_large`] puts the file with this number.
pub fn fleet_path(number: usize) -> String {
    format!("apps/group-{:04}/app-{number:05}.yaml", number / 25)
}

/// What that file holds. Its image is `{registry}/acme/app-{number:05}`, written for the policy `shop:app-{number:05}`.
pub fn fleet_file(number: usize, registry: &str, tag: &str) -> String {
    include_str!("infra_repo/app.yaml")
        .replace("NAME", &format!("app-{number:05}"))
        .replace("REGISTRY", registry)
        .replace("TAG", tag)
}
