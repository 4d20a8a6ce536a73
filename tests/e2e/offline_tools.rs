//! `explain`, `plan`, `apply` and their like as scripts use them: exit codes, shapes and files, on what is real.

mod apply;
mod command_line;
mod explain;
mod init;
mod lint;
mod places;
mod plan;

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::infra_repo::hermetic_git;
use crate::support::process::{Finished, finish};
use crate::support::{tagtide, workspace};

const POLICIES: &str = "\
apiVersion: tagtide.dev/v1alpha1
kind: ImagePolicy
metadata: {name: api, namespace: shop}
spec:
  image: ghcr.io/acme/api
  select:
    semver: {range: '>=1.4.0 <2.0.0'}
---
apiVersion: tagtide.dev/v1alpha1
kind: ImagePolicy
metadata: {name: web, namespace: shop}
spec:
  image: ghcr.io/acme/web
  select:
    numerical: {}
";

/// An app with two images, its lines ended as on Windows, the last one not at all.
const APP: &str = concat!(
    "# ours\r\nspec:\r\n  containers:\r\n",
    "    - image: ghcr.io/acme/api:1.9.3 # {\"$imagepolicy\": \"shop:api\"}\r\n",
    "    - image: ghcr.io/acme/web:7     # {\"$imagepolicy\": \"shop:web\"}",
);

/// A folder in which commands run, with the policies in `policies/shop.yaml`.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { folder: workspace::folder("desk") };
        desk.write("policies/shop.yaml", POLICIES);
        desk
    }

    /// With the app in a plain folder, `repo`.
    fn with_repo() -> Self {
        let desk = Self::new();
        desk.write("repo/apps/app.yaml", APP);
        desk
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the file's folder");
        fs::write(&path, content).expect("the file");
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| format!("{path}: {error}"))
    }

    /// Runs the program in the folder.
    async fn run(&self, args: &[&str]) -> Finished {
        let mut command = tagtide::command(args);
        command.current_dir(self.folder.path());
        finish(command).await
    }

    async fn explain(&self, args: &[&str]) -> Finished {
        self.run(&[&["explain", "--policies", "policies"], args].concat()).await
    }

    async fn plan(&self, args: &[&str]) -> Finished {
        self.run(&[&["plan", "--policies", "policies", "--repo", "repo"], args].concat()).await
    }

    async fn lint(&self, args: &[&str]) -> Finished {
        self.run(&[&["lint", "--policies", "policies"], args].concat()).await
    }

    async fn apply(&self, args: &[&str]) -> Finished {
        self.run(&[&["apply", "--policies", "policies", "--repo", "repo"], args].concat()).await
    }

    /// Runs Git in one of the folders, and gives what it printed.
    fn git(&self, folder: &str, args: &[&str]) -> String {
        let output = hermetic_git(&self.path(folder)).args(args).output().expect("git runs");
        Finished::from(output).success()
    }

    /// Makes `repo` a Git repository with all its files in one commit.
    fn commit_repo(&self) {
        self.git("repo", &["init", "--quiet", "--initial-branch=main"]);
        self.git("repo", &["add", "--all"]);
        self.git("repo", &["commit", "--quiet", "-m", "Seed"]);
    }

    /// Makes `bare` a bare clone of `repo`.
    fn clone_bare(&self) {
        self.git(".", &["clone", "--quiet", "--bare", "repo", "bare"]);
    }
}

/// Copies the files of a folder without Git's own.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the copy's folder");
    for entry in fs::read_dir(from).expect("the folder").filter_map(Result::ok) {
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("the copy");
        }
    }
}
