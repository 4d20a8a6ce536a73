//! The flags of every command that speaks to registries and repositories.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::api::Interval;
use crate::engine::Settings;
use crate::net::{AddressGuard, Cidr, Connections};

/// Which connections are allowed.
#[derive(Args, Clone, Debug)]
pub struct ConnectionArgs {
    /// Allow plain HTTP to registries and repositories whose objects ask for it
    #[arg(long, env = "TAGTIDE_ALLOW_HTTP")]
    pub allow_http: bool,

    /// Allow connections to this range although it is loopback, link-local or metadata, such as 127.0.0.0/8; may be
    /// given more than once
    #[arg(long = "allow-cidr", value_name = "CIDR", env = "TAGTIDE_ALLOW_CIDR", value_delimiter = ',')]
    pub allow_cidrs: Vec<Cidr>,
}

/// How the engine works.
#[derive(Args, Clone, Debug)]
pub struct EngineArgs {
    #[command(flatten)]
    pub connections: ConnectionArgs,

    /// Allow repositories of this machine, with file:// URLs
    #[arg(long, env = "TAGTIDE_ALLOW_FILE")]
    pub allow_file: bool,

    /// How long a repository waits after a choice moved, so that a burst of tags makes one commit
    #[arg(long, value_name = "TIME", default_value = "100ms", env = "TAGTIDE_GATHER", value_parser = pause)]
    pub gather: Duration,

    /// How many scans run at once, at all registries together
    #[arg(long, value_name = "N", default_value_t = 128, env = "TAGTIDE_CONCURRENT_SCANS")]
    pub concurrent_scans: usize,

    /// How many repositories are worked on at once
    #[arg(long, value_name = "N", default_value_t = 8, env = "TAGTIDE_CONCURRENT_REPOSITORIES")]
    pub concurrent_repositories: usize,
}

impl ConnectionArgs {
    /// The connections that these flags allow, and `always` besides.
    #[must_use]
    pub fn connections(&self, always: &[Cidr]) -> Connections {
        let allowed = self.allow_cidrs.iter().chain(always).copied().collect();
        Connections::new(AddressGuard::new(allowed))
    }
}

impl EngineArgs {
    /// The engine's settings, with mirrors below `cache_dir`.
    #[must_use]
    pub fn settings(&self, cache_dir: PathBuf) -> Settings {
        Settings {
            cache_dir,
            gather: self.gather,
            connections: self.connections.connections(&[]),
            allow_http: self.connections.allow_http,
            allow_file: self.allow_file,
            scans_at_once: self.concurrent_scans.max(1),
            cycles_at_once: self.concurrent_repositories.max(1),
        }
    }
}

/// A pause may be shorter than an interval: 0ms, 100ms, 2s.
pub(super) fn pause(text: &str) -> Result<Duration, String> {
    Interval::new(text).exact_duration().map_err(|error| error.to_string())
}
