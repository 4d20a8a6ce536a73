//! `tagtide init`: policies for a repo as it is, to be reviewed.

mod draft;
mod existing;
mod findings;
mod manifest;
mod name;
mod proposal;
mod report;
mod spread;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use self::findings::Findings;
use self::manifest::Manifest;
use self::proposal::{Proposal, Wanted};
use self::report::Report;
use super::output;
use super::repo_files::Repo;
use crate::git::{RepositoryUrl, origin};

/// Propose policies for every image that a repo holds
#[derive(Args, Debug)]
#[command(after_help = "\
Finds images in Pod templates, kustomizations, chart values, OCI charts, behind markers and below comments of Renovate's, \
and guesses from the tags in use which ones are to come. Nothing in the repo is changed, no registry is asked. What is \
printed is YAML to review: an InfraRepository, and an ImagePolicy for each image and major version. What can not be \
proposed is told on standard error with file, line and reason.

Exit codes: 0 done, also where nothing was found, 2 bad input, such as a file of --out that is there already, 1 the repo \
could not be read or a file not be written.

Example: tagtide init --repo . --namespace apps --out policies/")]
pub struct InitArgs {
    /// The infra repo: a folder, a work tree (its files as they are on disk, but for ignored ones), or a bare Git repository
    #[arg(long, value_name = "PATH")]
    repo: PathBuf,

    /// The namespace of the objects
    #[arg(long, value_name = "NAMESPACE", default_value = "default", value_parser = namespace)]
    namespace: String,

    /// The name of the InfraRepository
    #[arg(long, value_name = "NAME", default_value = "infra", value_parser = object_name)]
    name: String,

    /// Where the repo is, for the InfraRepository [default: the remote `origin`, without its credentials]
    #[arg(long, value_name = "URL", value_parser = url)]
    url: Option<String>,

    /// Write each object to a file of its own in this folder instead; none that is there is overwritten
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// What is printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// What is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Commented YAML; nothing with --out
    #[default]
    Yaml,
    /// One JSON object with objects, places and what was passed over
    Json,
}

impl InitArgs {
    /// Reads the repo, and prints or writes the proposal.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let repo = super::block_on(Repo::open(&self.repo, None, None))?;
        let findings = Findings::read(&repo)?;
        let origin = origin(&self.repo);
        let wanted = Wanted {
            namespace: self.namespace,
            name: self.name,
            url: self.url.or(origin.url),
            branch: origin.branch.map(|branch| branch.as_str().to_owned()),
        };
        let proposal = Proposal::of(findings, &wanted);
        match &self.out {
            Some(folder) => manifest::write(folder, &Manifest::all(&proposal)?)?,
            None if self.output == Output::Yaml => {
                output::print_raw(manifest::stream(&Manifest::all(&proposal)?).as_bytes())?;
            }
            None => {}
        }
        if self.output == Output::Json {
            output::print_json(&Report::of(&proposal))?;
        }
        report::summarise(&proposal, &self.repo, self.out.as_deref());
        Ok(ExitCode::SUCCESS)
    }
}

/// An address that `spec.url` takes. The error does not show it: it may hold a password.
fn url(text: &str) -> Result<String, String> {
    RepositoryUrl::parse(text).map(|_| text.to_owned()).map_err(|error| error.problem)
}

fn namespace(text: &str) -> Result<String, String> {
    name::is_label(text).then(|| text.to_owned()).ok_or_else(|| {
        "a namespace has 1 to 63 characters of a-z 0-9 - and neither begins nor ends with -".to_owned()
    })
}

fn object_name(text: &str) -> Result<String, String> {
    name::is_name(text).then(|| text.to_owned()).ok_or_else(|| {
        "a name has labels of a-z 0-9 - with dots between them, such as infra or infra.prod".to_owned()
    })
}
