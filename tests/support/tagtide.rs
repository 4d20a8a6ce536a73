//! The program under test, as a user runs it.

use std::path::Path;
use std::process::Command;

use super::process::{Finished, Process, finish, tied};

/// A command line of the built program, away from this machine's own cluster and colours.
pub fn command(args: &[&str]) -> Command {
    let mut command = tied(env!("CARGO_BIN_EXE_tagtide"));
    command.args(args).env_remove("KUBECONFIG").env("NO_COLOR", "1");
    command
}

/// Runs it to its end.
pub async fn run(args: &[&str]) -> Finished {
    finish(command(args)).await
}

/// Starts it and lets it run; its log is `{folder}/tagtide.log`.
pub fn start(command: Command, folder: &Path) -> Process {
    Process::spawn("tagtide", command, folder)
}
