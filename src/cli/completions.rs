//! `tagtide completions`: what a shell needs to complete commands.

use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, output};

/// Print completions for a shell
#[derive(Args, Debug)]
#[command(after_help = "\
Exit codes: 0 printed, 2 no such shell.

Example: tagtide completions bash > /etc/bash_completion.d/tagtide")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl CompletionsArgs {
    /// Prints them.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "tagtide", &mut script);
        output::print_raw(&script)?;
        Ok(ExitCode::SUCCESS)
    }
}
