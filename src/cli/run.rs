//! `tagtide run`: the operator.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::engine_args::EngineArgs;
use crate::controller::Scope;
use crate::operator::{self, HooksSettings, LogFormat, RunSettings};

/// Run the operator against the Kubernetes API
#[derive(Args, Debug)]
#[command(after_help = "\
Exit codes: 0 asked to stop, 1 it could not run or lost the lease.

Example: tagtide run --namespace tagtide --cache-dir /var/cache/tagtide")]
pub struct RunArgs {
    /// The operator's own namespace: its Lease, and the Secrets of ClusterImageRegistries
    #[arg(long, env = "POD_NAMESPACE", default_value = "tagtide")]
    namespace: String,

    /// Watch this namespace only; may be given more than once
    #[arg(
        long = "watch-namespace",
        value_name = "NAMESPACE",
        env = "TAGTIDE_WATCH_NAMESPACE",
        value_delimiter = ','
    )]
    watch_namespaces: Vec<String>,

    /// The name of the Lease by which one of several replicas leads
    #[arg(long, value_name = "NAME", default_value = "tagtide", env = "TAGTIDE_LEASE_NAME")]
    lease_name: String,

    /// This process among its replicas
    #[arg(long, value_name = "NAME", env = "POD_NAME")]
    identity: Option<String>,

    /// Where /healthz, /readyz and /metrics are served
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8080", env = "TAGTIDE_LISTEN")]
    listen: SocketAddr,

    /// Where deliveries of webhooks are taken, at /hooks/<name of a ClusterImageRegistry>; without it they are not
    #[arg(long, value_name = "ADDRESS", env = "TAGTIDE_HOOKS_LISTEN")]
    hooks_listen: Option<SocketAddr>,

    /// The address by which other replicas hand deliveries on to this one, where it leads
    #[arg(long, value_name = "IP", env = "POD_IP")]
    hooks_address: Option<IpAddr>,

    /// Where mirrors of repositories are kept; it may be emptied whenever the process does not run
    #[arg(long, value_name = "DIR", default_value = "/var/cache/tagtide", env = "TAGTIDE_CACHE_DIR")]
    cache_dir: PathBuf,

    #[command(flatten)]
    engine: EngineArgs,

    /// How log lines look
    #[arg(long, value_enum, default_value_t, env = "TAGTIDE_LOG_FORMAT")]
    log_format: LogFormat,

    /// What is logged: a level, or a filter such as info,tagtide=debug
    #[arg(long, value_name = "FILTER", default_value = "info", env = "TAGTIDE_LOG_LEVEL")]
    log_level: String,
}

impl RunArgs {
    /// Runs until the process is asked to stop.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let Self {
            namespace,
            watch_namespaces,
            lease_name,
            identity,
            listen,
            hooks_listen,
            hooks_address,
            cache_dir,
            engine,
            log_format,
            log_level,
        } = self;
        operator::log_to_stderr(log_format, &log_level)?;
        let scope = match watch_namespaces.len() {
            0 => Scope::Cluster,
            _ => Scope::Namespaces(watch_namespaces.into_iter().collect()),
        };
        let identity = identity.unwrap_or_else(|| format!("tagtide-{:08x}", rand::random::<u32>()));
        let engine = engine.settings(cache_dir);
        let hooks = hooks_listen.map(|listen| HooksSettings { listen, own: hooks_address });
        let settings = RunSettings { namespace, scope, lease: lease_name, identity, listen, hooks, engine };
        super::block_on(async {
            let stop = operator::on_signal()?;
            operator::run(settings, stop).await?;
            Ok(ExitCode::SUCCESS)
        })
    }
}
