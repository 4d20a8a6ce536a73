//! `tagtide demo`: the whole flow on one machine.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::demo::{self, DemoSettings, RegistryChoice};
use crate::operator;

/// Show the whole flow on this machine: a registry, an infra repo, a new tag, the commit
#[derive(Args, Debug)]
#[command(after_help = "\
It needs git, and nothing else: where no registry is installed, a small one within this program is used. Everything is in
one temporary folder and on free ports of 127.0.0.1, and is gone at the end, also on Ctrl-C.

Exit codes: 0 shown to the end, 1 something failed or it was asked to stop.

Example: tagtide demo")]
pub struct DemoArgs {
    /// The registry
    #[arg(long, value_enum, default_value_t)]
    registry: RegistryChoice,

    /// Run the operator on a Kubernetes API server instead of the standalone engine on a folder
    #[arg(long, requires = "assets")]
    cluster: bool,

    /// The folder with etcd, kube-apiserver and kubectl, for --cluster
    #[arg(long, value_name = "DIR", env = "KUBEBUILDER_ASSETS")]
    assets: Option<PathBuf>,

    /// Make everything in this empty or new folder, and leave it there
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,

    /// No colours, even on a terminal; the variable NO_COLOR does the same
    #[arg(long)]
    no_color: bool,
}

impl DemoArgs {
    /// Plays the demo to its end.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let Self { registry, cluster, assets, keep, no_color } = self;
        if no_color {
            anstream::ColorChoice::Never.write_global();
        }
        let settings = DemoSettings { registry, kubernetes: assets.filter(|_| cluster), keep };
        super::block_on(async {
            let stop = operator::on_signal()?;
            demo::run(settings, stop)
                .await
                .map_err(|error| anyhow::anyhow!("failed to {:#}", anyhow::Error::new(error)))?;
            Ok(ExitCode::SUCCESS)
        })
    }
}
