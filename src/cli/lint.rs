//! `tagtide lint`: what is wrong with objects and with the files they write to.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::findings::{shown, summary};
use super::repo_files::Repo;
use super::{BadInput, object_key, output, planning};
use crate::api::{InfraRepository, ObjectKey};
use crate::edit::Targets;
use crate::engine::{Kind, Scope};
use crate::folder::Folder;
use crate::git::BranchName;
use crate::lint::{Files, Report, Severity, lint, sarif};

/// Something is to be mended.
const FOUND: u8 = 10;

/// Find what is wrong with objects and with the files they write to
#[derive(Args, Debug)]
#[command(after_help = "\
Nothing is asked over the network. Errors are what can not be used or will not be written; warnings are what works, and \
hardly as meant.

Exit codes: 0 no errors, 10 errors, or warnings with --strict, 2 bad input, 1 the repo could not be read.

Example: tagtide lint --policies policies/ --repo . --output sarif > tagtide.sarif")]
pub struct LintArgs {
    /// The folder, or one file, with the objects
    #[arg(long, value_name = "PATH")]
    policies: PathBuf,

    /// Look at the files of this infra repo too: a folder, a work tree, or a bare Git repository
    #[arg(long, value_name = "PATH")]
    repo: Option<PathBuf>,

    /// Look at the files as this InfraRepository of the folder does: with its policies, its paths and its updates. Without
    /// it, only markers are looked at, of every policy and in every file
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = object_key, requires = "repo")]
    repository: Option<ObjectKey>,

    /// The branch of a bare repository [default: the InfraRepository's, else the one that HEAD names]
    #[arg(long, value_name = "BRANCH", value_parser = BranchName::parse, requires = "repo")]
    branch: Option<BranchName>,

    /// End with 10 where there are warnings, too
    #[arg(long)]
    strict: bool,

    /// What is printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// What is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Each finding with its line, for people
    #[default]
    Text,
    /// One JSON object with findings and a summary
    Json,
    /// SARIF 2.1.0, for code hosts
    Sarif,
}

impl LintArgs {
    /// Looks, and prints what was found.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let folder = planning::load(&self.policies)?;
        let report = match &self.repo {
            None => lint(&folder, None),
            Some(path) => super::block_on(self.look(&folder, path))?,
        };
        match self.output {
            Output::Text => {
                output::print(&report.findings.iter().map(shown).collect::<String>())?;
                output::note(&summary(&report));
            }
            Output::Json => output::print_json(&report)?,
            Output::Sarif => output::print_json(&sarif(&report))?,
        }
        let worst = report.findings.iter().map(|finding| finding.severity).max();
        let least = if self.strict { Severity::Warning } else { Severity::Error };
        Ok(if worst.is_some_and(|worst| worst >= least) { ExitCode::from(FOUND) } else { ExitCode::SUCCESS })
    }

    async fn look(&self, folder: &Folder, path: &Path) -> anyhow::Result<Report> {
        let repository = self.repository.as_ref().map(|key| self.find(folder, key)).transpose()?;
        let usual_branch = repository.flatten().map(|repository| repository.spec.branch.as_str());
        let repo = Repo::open(path, self.branch.as_ref(), usual_branch).await?;
        let ways = match repository {
            // Its own mistakes are findings; nobody can say which files it means.
            Some(None) => None,
            Some(Some(repository)) => ways(folder, Some(repository)),
            None => ways(folder, None),
        };
        let Some((scope, targets)) = ways else {
            output::warning(&"the files of the repo are not looked at: the InfraRepository can not be used");
            return Ok(lint(folder, None));
        };
        let searched = repo.search(&scope, &targets)?;
        let marked = searched.marked.iter().map(|(path, file)| (path.as_str(), &file.found)).collect();
        let prefix = match &repo {
            Repo::Bare { .. } => String::new(),
            Repo::Folder(path) | Repo::WorkTree(path) => format!("{}/", path.display()),
        };
        let files = Files {
            marked,
            read: &|path| searched.read(path).ok(),
            unread: &searched.unread,
            idle_globs: &searched.idle_globs,
            searched: searched.files,
            prefix,
            repository: repository.flatten(),
        };
        Ok(lint(folder, Some(&files)))
    }

    /// The InfraRepository; `None` where it is there and can not be read.
    fn find<'f>(&self, folder: &'f Folder, key: &ObjectKey) -> Result<Option<&'f InfraRepository>, BadInput> {
        let mut objects = folder.problems.iter().filter_map(|problem| problem.object.as_ref());
        match planning::find_repository(folder, key) {
            Ok(repository) => Ok(Some(repository)),
            Err(_)
                if objects.any(|object| object.key == *key && object.kind == Kind::Repository.as_str()) =>
            {
                Ok(None)
            }
            Err(missing) => Err(missing),
        }
    }
}

/// Which files are looked at, and for what; `None` where the spec does not say.
fn ways(folder: &Folder, repository: Option<&InfraRepository>) -> Option<(Scope, Targets)> {
    let scope = planning::scope_of(folder, repository).ok()?;
    let targets = planning::targets_of(folder, repository).ok()?;
    let targets = targets.of_images(&planning::images(folder, repository));
    Some((scope, targets))
}
