//! `tagtide apply`: the plan, written.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;

use super::output::{self, FAINT, GOOD, printable};
use super::planning::{Planned, PlanningArgs};
use super::repo_files::Repo;
use super::report::{Report, summarise};
use super::write_back;
use crate::api::Author;
use crate::engine::compose;
use crate::git::{CommitId, Draft, DraftCommit, FileEdit, Published, Start, WorkTree};

/// Write it: into the files of a folder, or as one commit
#[derive(Args, Debug)]
#[command(after_help = "\
A folder without Git has its files changed in place. A bare repository gets one commit on its branch, and so does a \
work tree: there the files are changed too, and a file that is not as in the last commit stops everything. Hooks do not \
run.

Exit codes: 0 written, or nothing to write; 2 bad input; 1 it could not be written, or a registry not be asked. An \
object in the folder that can not be used is bad input: the others are written all the same.

Example: tagtide apply --policies policies/ --repo . --select shop/api=1.9.4")]
pub struct ApplyArgs {
    #[command(flatten)]
    planning: PlanningArgs,

    /// Author and committer [default: as the InfraRepository says, else tagtide <tagtide@localhost>]
    #[arg(long, value_name = "NAME <EMAIL>", value_parser = author)]
    author: Option<Author>,

    /// What is printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// What is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// One line for each change
    #[default]
    Text,
    /// One JSON object: the plan, and the commit
    Json,
}

/// What scripts read: names and shape stay.
#[derive(Serialize)]
struct Applied<'a> {
    #[serde(flatten)]
    report: Report<'a>,
    commit: Option<String>,
}

impl ApplyArgs {
    /// Plans, writes, and prints what was written.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        super::block_on(async {
            let planned = self.planning.plan().await?;
            summarise(&planned.plan, &planned.wishes);
            let commit = match planned.plan.files.as_slice() {
                [] => None,
                [..] => planned.write(self.author).await?,
            };
            match self.output {
                Output::Text => output::print(&account(&planned, commit))?,
                Output::Json => {
                    let commit = commit.map(|commit| commit.to_string());
                    output::print_json(&Applied {
                        report: Report::of(&planned.plan, &planned.wishes),
                        commit,
                    })?;
                }
            }
            Ok(planned.fault().unwrap_or(ExitCode::SUCCESS))
        })
    }
}

impl Planned {
    /// Writes the plan; the commit, where one was made.
    async fn write(&self, author: Option<Author>) -> anyhow::Result<Option<CommitId>> {
        let author = author.or_else(|| self.author.clone()).unwrap_or_default();
        let (published, name) = match &self.repo {
            Repo::Folder(root) => {
                self.write_files(root)?;
                return Ok(None);
            }
            Repo::WorkTree(root) => {
                let tree = WorkTree::open(root)?;
                for file in &self.plan.files {
                    if tree.is_changed(&file.path)? {
                        bail!("{} differs from the last commit; commit or stash it first", file.path);
                    }
                }
                self.write_files(root)?;
                let committed = tree.commit(&self.draft(tree.head(), author)?);
                (committed.context("the files are written, but not committed")?, tree.branch().clone())
            }
            Repo::Bare { branch, at } => {
                (branch.publish(self.draft(*at, author)?).await?, branch.name().clone())
            }
        };
        match published {
            Published::Taken(commits) => Ok(commits.last().copied()),
            Published::Raced => bail!("the branch {name} moved meanwhile; run the command again"),
            Published::Refused(words) => bail!("the commit was refused: {words}"),
        }
    }

    fn write_files(&self, root: &Path) -> anyhow::Result<()> {
        for file in &self.plan.files {
            let old = self.old.get(&file.path).map(Vec::as_slice).unwrap_or_default();
            write_back::replace(root, &file.path, old, &file.content)
                .map_err(|error| anyhow::anyhow!("{} can not be written: {error}", file.path))?;
        }
        Ok(())
    }

    fn draft(&self, parent: CommitId, author: Author) -> anyhow::Result<Draft> {
        let moves = self.plan.moves(&self.wishes);
        let changes = self.plan.files.iter().flat_map(|file| &file.changes);
        let namespaces: BTreeSet<_> = changes.map(|change| change.policy.namespace.as_str()).collect();
        let namespaces: Vec<_> = namespaces.into_iter().collect();
        let message = match &self.wording {
            Some(wording) => wording.compose(&moves)?,
            None => compose(&namespaces.join(", "), &moves),
        };
        let edits = self.plan.files.iter();
        Ok(Draft {
            start: Start::Tip(parent),
            commits: vec![DraftCommit {
                edits: edits
                    .map(|file| FileEdit { path: file.path.clone(), content: file.content.clone() })
                    .collect(),
                message,
            }],
            vouches: false,
            author_name: author.name,
            author_email: author.email,
            at: Timestamp::now(),
            // The key is in a Secret, which is not read here; people sign what they review.
            signer: None,
        })
    }
}

/// What was written, a line for each change.
fn account(planned: &Planned, commit: Option<CommitId>) -> String {
    let mut text = String::new();
    for file in &planned.plan.files {
        for change in &file.changes {
            let (file, from, to) = (printable(&file.path), printable(&change.from), printable(&change.to));
            text.push_str(&format!("{GOOD}wrote{GOOD:#} {file}:{}  {from} → {to}\n", change.line));
        }
    }
    match (commit, planned.plan.files.as_slice()) {
        (Some(commit), _) => text.push_str(&format!("{FAINT}as commit{FAINT:#} {commit}\n")),
        (None, []) => text.push_str("nothing to write\n"),
        (None, [..]) => {}
    }
    text
}

/// `NAME <EMAIL>`, by the rules of `spec.commit.author`.
fn author(text: &str) -> Result<Author, String> {
    let is_name =
        |name: &str| !name.is_empty() && !name.contains(|c: char| c.is_control() || "<>".contains(c));
    let is_email = |email: &str| {
        !email.is_empty()
            && !email.contains(|c: char| c.is_whitespace() || c.is_control() || "<>".contains(c))
    };
    let parts = text.strip_suffix('>').and_then(|text| text.split_once('<'));
    let parts = parts.map(|(name, email)| (name.trim(), email));
    match parts.filter(|(name, email)| is_name(name) && is_email(email)) {
        Some((name, email)) => Ok(Author { name: name.to_owned(), email: email.to_owned() }),
        None => Err("it should read NAME <EMAIL>, such as \"Ada <ada@acme.example>\"".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_author_is_a_name_and_an_address() {
        let ada = author("Ada L. <ada@acme.example>").unwrap();
        assert_eq!((ada.name.as_str(), ada.email.as_str()), ("Ada L.", "ada@acme.example"));
        for bad in
            ["Ada", "<ada@acme.example>", "Ada <>", "Ada <a b>", "Ada <a> <b>", "A\nb <a@b>", "Ada <a@b> x"]
        {
            assert!(author(bad).is_err(), "{bad:?}");
        }
    }
}
