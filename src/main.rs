//! The program.

use std::process::ExitCode;

use clap::Parser as _;
use tagtide::cli::Cli;

fn main() -> ExitCode {
    Cli::parse().run()
}
