//! The command line: one file for each command, and what they share.
//!
//! Exit codes, for all commands: 0 done, 1 it could not be done, 2 bad input. `plan` and `lint` add 10, and `explain`
//! 3; scripts depend on them.

mod apply;
mod completions;
mod crds;
mod demo;
mod diff;
mod engine_args;
mod explain;
mod findings;
mod init;
mod lint;
mod live;
mod man;
mod output;
mod plan;
mod planning;
mod progress;
mod repo_files;
mod report;
mod run;
mod standalone;
mod tag_list;
mod write_back;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::api::ObjectKey;
use crate::net::Cidr;

/// Lifts the image tags in an infra repo, as far as each app's policy allows
#[derive(Parser, Debug)]
#[command(
    name = "tagtide",
    version,
    propagate_version = true,
    after_help = "\
Every command tells its exit codes and an example with --help.

Example: tagtide plan --policies policies/ --repo . --select shop/api=1.9.4"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run the operator against the Kubernetes API
    Run(run::RunArgs),
    /// Run the same engine over a folder of objects, without a cluster
    Standalone(standalone::StandaloneArgs),
    /// Show the whole flow on this machine: a registry, an infra repo, a new tag, the commit
    Demo(demo::DemoArgs),
    /// Propose policies for every image that a repo holds
    Init(init::InitArgs),
    /// Say which tag a policy chooses, and why not the others
    Explain(explain::ExplainArgs),
    /// Show what would be written to a repo, as a diff
    Plan(plan::PlanArgs),
    /// Write it: into the files of a folder, or as one commit
    Apply(apply::ApplyArgs),
    /// Find what is wrong with objects and with the files they write to
    Lint(lint::LintArgs),
    /// Print the custom resource definitions
    Crds(crds::CrdsArgs),
    /// Print completions for a shell
    Completions(completions::CompletionsArgs),
    /// Print the manual page, or write one for each command
    Man(man::ManArgs),
}

/// What a user gave can not be used. Exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct BadInput {
    message: String,
    hint: Option<String>,
}

const BAD_INPUT: u8 = 2;

impl Cli {
    /// Runs the command, and tells an error as `error: …`.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let ended = match self.command {
            Command::Run(args) => args.run(),
            Command::Standalone(args) => args.run(),
            Command::Demo(args) => args.run(),
            Command::Init(args) => args.run(),
            Command::Explain(args) => args.run(),
            Command::Plan(args) => args.run(),
            Command::Apply(args) => args.run(),
            Command::Lint(args) => args.run(),
            Command::Crds(args) => args.run(),
            Command::Completions(args) => args.run(),
            Command::Man(args) => args.run(),
        };
        ended.unwrap_or_else(|error| {
            let bad_input = error.downcast_ref::<BadInput>();
            output::error(&error);
            if let Some(hint) = bad_input.and_then(|error| error.hint.as_ref()) {
                output::hint(hint);
            }
            bad_input.map_or(ExitCode::FAILURE, |_| ExitCode::from(BAD_INPUT))
        })
    }
}

impl BadInput {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    fn with_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()) }
    }
}

/// Does the work on this thread and one beside it. Nearly all of it is waiting; more threads would spend a fifth of a scan
/// on waking each other, and a node has dozens of cores. What blocks, such as Git's objects, has threads of its own.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(work)
}

fn print_error(error: &dyn std::error::Error) {
    output::error(&error);
}

fn loopback() -> Vec<Cidr> {
    ["127.0.0.0/8", "::1/128"].iter().filter_map(|cidr| cidr.parse().ok()).collect()
}

/// `NAMESPACE/NAME` on the command line.
fn object_key(text: &str) -> Result<ObjectKey, String> {
    ObjectKey::parse(text).ok_or_else(|| "it should read NAMESPACE/NAME, such as shop/api".to_owned())
}
