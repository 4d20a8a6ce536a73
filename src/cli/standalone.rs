//! `tagtide standalone`: the same engine over a folder.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::engine_args::{EngineArgs, pause};
use super::output;
use crate::engine::Ended;
use crate::operator::{self, LogFormat};
use crate::standalone::{self, Print, StandaloneSettings};

/// Run the same engine over a folder of objects, without a cluster
#[derive(Args, Debug)]
#[command(after_help = "\
The folder holds the same YAML as a cluster: ImagePolicy, InfraRepository, ClusterImageRegistry, and the Secrets that
they name (those of a ClusterImageRegistry in the namespace tagtide). It is read again when a file changes. Statuses are
printed, and written to the status folder, from which they are taken up again after a restart.

Whoever runs this wrote the objects too: file:// repositories and plain HTTP are allowed as the objects ask for them, and
so are loopback addresses.

With --once it ends by itself: as soon as every object has had its scan and, where something is to be written, its commit.
What fails is not tried again; run it again for that.

Exit codes: 0 asked to stop, or with --once, every object is Ready; 1 it could not run, or with --once, an object or a file
is not as it should be or the time was up; 2 bad input.

Example: tagtide standalone --policies examples/quick-start
         tagtide standalone --policies policies --once --timeout 5m")]
pub struct StandaloneArgs {
    /// The folder, or one file, with the objects
    #[arg(long, value_name = "PATH")]
    policies: PathBuf,

    /// The folder for statuses [default: .tagtide/status in the folder of the objects]
    #[arg(long, value_name = "DIR")]
    status_dir: Option<PathBuf>,

    /// Where mirrors of repositories are kept [default: .tagtide/cache in the folder of the objects]
    #[arg(long, value_name = "DIR", env = "TAGTIDE_CACHE_DIR")]
    cache_dir: Option<PathBuf>,

    /// Where deliveries of webhooks are taken, at /hooks/<name of a ClusterImageRegistry>; without it they are not
    #[arg(long, value_name = "ADDRESS", env = "TAGTIDE_HOOKS_LISTEN")]
    hooks_listen: Option<SocketAddr>,

    /// End as soon as every object has had its scan and its commit, and tell by the exit code how it went
    #[arg(long, conflicts_with = "hooks_listen")]
    once: bool,

    /// With --once: stop after this time even if something is left to be done
    #[arg(long, value_name = "TIME", default_value = "10m", requires = "once", value_parser = pause)]
    timeout: Duration,

    /// How statuses are printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,

    #[command(flatten)]
    engine: EngineArgs,

    /// How log lines look
    #[arg(long, value_enum, default_value = "text", env = "TAGTIDE_LOG_FORMAT")]
    log_format: LogFormat,

    /// What is logged: a level, or a filter such as info,tagtide=debug
    #[arg(long, value_name = "FILTER", default_value = "warn", env = "TAGTIDE_LOG_LEVEL")]
    log_level: String,
}

/// How statuses are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// One line for people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

impl StandaloneArgs {
    /// Runs until the process is asked to stop.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let Self { policies, status_dir, cache_dir, hooks_listen, once, timeout, .. } = self;
        let Self { output, engine, log_format, log_level, .. } = self;
        operator::log_to_stderr(log_format, &log_level)?;
        let beside = if policies.is_dir() { policies.clone() } else { policies.with_file_name("") };
        let beside = beside.join(".tagtide");
        let mut settings = engine.settings(cache_dir.unwrap_or_else(|| beside.join("cache")));
        settings.connections = engine.connections.connections(&super::loopback());
        settings.allow_http = true;
        settings.allow_file = true;
        let settings = StandaloneSettings {
            policies,
            statuses: status_dir.unwrap_or_else(|| beside.join("status")),
            print: match output {
                Output::Text => Print::Lines,
                Output::Json => Print::Json,
            },
            hooks: hooks_listen,
            engine: settings,
        };
        super::block_on(async {
            let stop = operator::on_signal()?;
            let ended = if once {
                standalone::run_once(settings, timeout, stop).await
            } else {
                standalone::run(settings, stop).await.map(|()| Ended::Ready)
            };
            match ended {
                Ok(Ended::Ready) => Ok(ExitCode::SUCCESS),
                Ok(Ended::NotReady) => Ok(ExitCode::FAILURE),
                Ok(Ended::Stopped) => {
                    output::error(&"it was stopped before all was done; see --timeout");
                    Ok(ExitCode::FAILURE)
                }
                Err(error) => {
                    super::print_error(&error);
                    Ok(ExitCode::from(2))
                }
            }
        })
    }
}
