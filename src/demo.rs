//! `tagtide demo`: the whole flow on one machine, step by step, with parts that are real: a container registry, a Git
//! server, and either the standalone engine or the operator on a Kubernetes API server.

mod account;
mod cluster;
pub mod embedded_registry;
mod example;
pub mod git_server;
pub mod image;
mod infra_repo;
mod play;
mod process;
pub mod registry;
mod site;
mod tagtide;
mod wait;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use oci_distribution::errors::OciDistributionError;
use tokio_util::sync::CancellationToken;

use account::Account;
use git_server::GitServerError;
use infra_repo::InfraRepoError;
use process::ProgramError;
use registry::RegistryError;
use site::Site;

/// What a demo is to use.
#[derive(Clone, Debug)]
pub struct DemoSettings {
    /// The registry.
    pub registry: RegistryChoice,
    /// The folder with the programs of a Kubernetes API, to run the operator there; without it, the standalone engine
    /// runs on a folder.
    pub kubernetes: Option<PathBuf>,
    /// The folder in which everything is made and left; without it, a temporary one that is removed at the end.
    pub keep: Option<PathBuf>,
}

/// Which registry a demo uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum RegistryChoice {
    /// A real one where the program docker-registry is installed, else the embedded one
    #[default]
    Auto,
    /// The program docker-registry
    Real,
    /// A small registry within this program
    Embedded,
}

/// Why a demo failed.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Its folder can not be used.
    #[error("use {}", path.display())]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The folder to be kept has something in it.
    #[error("use {}: it is not empty; name a folder that is, or one that is not there yet", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// The registry program did not start.
    #[error("start a registry")]
    Registry(#[from] RegistryError),
    /// The embedded registry did not start.
    #[error("start the embedded registry")]
    EmbeddedRegistry(#[source] io::Error),
    /// The Git server did not start.
    #[error("start a Git server")]
    GitServer(#[from] GitServerError),
    /// The infra repo could not be made.
    #[error("make the infra repo")]
    InfraRepo(#[from] InfraRepoError),
    /// A program failed.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// An image could not be pushed.
    #[error("push {image}")]
    Push {
        /// The image.
        image: String,
        /// What the registry or its client says.
        source: Box<OciDistributionError>,
    },
    /// A part of the Kubernetes API did not start.
    #[error("start `{}`", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A program printed something else than it should.
    #[error("read what `{program}` printed")]
    Unreadable {
        /// The program.
        program: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Something did not happen in time.
    #[error("see {what} within {patience:?}; there is only: {saw}")]
    Waited {
        /// What did not happen.
        what: String,
        /// How long it was waited for.
        patience: Duration,
        /// What there was instead.
        saw: String,
    },
    /// The process was asked to stop.
    #[error("finish the demo: it was asked to stop")]
    Stopped,
}

/// Plays the demo to its end, or until `stop` is cancelled, and cleans up either way.
///
/// # Errors
/// Whatever failed first. The ends of all logs are in the account then.
pub async fn run(settings: DemoSettings, stop: CancellationToken) -> Result<(), DemoError> {
    let DemoSettings { registry, kubernetes, keep } = settings;
    let site = Site::make(keep)?;
    let mut account = Account::begin();
    let running = tagtide::Running::default();
    // Every part ends when the play is over, or dropped in the middle.
    let outcome = tokio::select! {
        outcome = play::play(&mut account, &site, registry, kubernetes, &running) => outcome,
        () = stop.cancelled() => Err(DemoError::Stopped),
    };
    running.end().await;
    if let Err(error) = &outcome
        && !matches!(error, DemoError::Stopped)
    {
        for (part, lines) in site.log_tails() {
            account.title(format_args!("\nThe end of {part}'s log"));
            account.say(lines.join("\n"));
        }
    }
    account.step("Clean up");
    let closed = site.close();
    match &closed {
        Ok(None) => account.say("everything has ended, and its folder is removed"),
        Ok(Some(folder)) => account.say(format_args!("everything has ended; {} is kept", folder.display())),
        Err(_) => account.say("everything has ended"),
    }
    outcome?;
    closed?;
    account.title(format_args!("\nDone in {:.1} s.", account.seconds()));
    account.say("Next: README.md, \"Install\", puts Tagtide into a cluster:");
    account.command("helm install tagtide charts/tagtide --namespace tagtide --create-namespace");
    Ok(())
}
