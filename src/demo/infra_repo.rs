//! The bare infra repo of a demo, made and read with Git itself.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::example::{BRANCH, REPOSITORY};
use super::process::{ProgramError, command, finish};

/// Why the repository could not be made.
#[derive(Debug, thiserror::Error)]
pub enum InfraRepoError {
    /// A file could not be written.
    #[error("write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Git failed.
    #[error(transparent)]
    Git(#[from] ProgramError),
}

/// A bare repository with one branch.
pub(super) struct InfraRepo {
    path: PathBuf,
}

impl InfraRepo {
    /// Makes it in a folder, with one commit that has these files.
    pub(super) async fn create(folder: &Path, files: &[(&str, String)]) -> Result<Self, InfraRepoError> {
        let repo = Self { path: folder.join(REPOSITORY) };
        let mut init = command("git");
        init.args(["init", "--quiet", "--bare"]).arg(&repo.path);
        finish(init).await?;
        finish(repo.git(&["symbolic-ref", "HEAD", &format!("refs/heads/{BRANCH}")])).await?;
        let checkout = folder.join("checkout");
        for (path, text) in files {
            write(&checkout.join(path), text)?;
        }
        let work_tree = format!("--work-tree={}", checkout.display());
        finish(repo.git(&[&work_tree, "add", "--all"])).await?;
        finish(repo.git(&[&work_tree, "commit", "--quiet", "--message=Run the API at 1.0.0"])).await?;
        fs::remove_dir_all(&checkout).map_err(|source| InfraRepoError::Write { path: checkout, source })?;
        Ok(repo)
    }

    /// The commit at the head of the branch.
    pub(super) async fn head(&self) -> Result<String, ProgramError> {
        let printed = finish(self.git(&["rev-parse", "--verify", &format!("refs/heads/{BRANCH}")])).await?;
        Ok(printed.trim().to_owned())
    }

    /// A commit as `git show` tells it.
    pub(super) async fn show(&self, commit: &str, with_colour: bool) -> Result<String, ProgramError> {
        let colour = if with_colour { "--color=always" } else { "--color=never" };
        finish(self.git(&["show", colour, commit])).await
    }

    fn git(&self, args: &[&str]) -> Command {
        let mut command = command("git");
        // Neither the user's settings nor the machine's may change what is made or shown here.
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        for role in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{role}_NAME"), "You")
                .env(format!("GIT_{role}_EMAIL"), "you@example.com");
        }
        command.arg("--git-dir").arg(&self.path).args(args);
        command
    }
}

fn write(path: &Path, text: &str) -> Result<(), InfraRepoError> {
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, text));
    written.map_err(|source| InfraRepoError::Write { path: path.to_owned(), source })
}
