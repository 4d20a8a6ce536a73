//! The flags of every command that speaks to registries and repositories.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::api::Interval;
use crate::engine::Settings;
use crate::git::Room;
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

    /// How much room the cache has, such as 512Mi; mirrors take at most three quarters of it, and one a quarter of that
    #[arg(long, value_name = "SIZE", default_value = "2Gi", env = "TAGTIDE_CACHE_SIZE", value_parser = bytes)]
    pub cache_size: u64,

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
            room: Room::of_cache(self.cache_size),
            gather: self.gather,
            connections: self.connections.connections(&[]),
            allow_http: self.connections.allow_http,
            allow_file: self.allow_file,
            scans_at_once: self.concurrent_scans.max(1),
            cycles_at_once: self.concurrent_repositories.max(1),
        }
    }
}

/// A quantity of Kubernetes: 2Gi, 1.5G, 500000.
fn bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 9] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
        ("", 1),
    ];
    let read = || {
        let (number, unit) = UNITS.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let is_number =
            |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        let (whole, fraction) = Some((whole, fraction)).filter(|(a, b)| is_number(a) && is_number(b))?;
        let tenths = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let part = fraction.parse::<u64>().ok()?.checked_mul(*unit)? / tenths;
        whole.parse::<u64>().ok()?.checked_mul(*unit)?.checked_add(part)
    };
    read().ok_or_else(|| "it must be a number of bytes such as 512Mi or 2Gi".to_owned())
}

/// A pause may be shorter than an interval: 0ms, 100ms, 2s.
pub(super) fn pause(text: &str) -> Result<Duration, String> {
    Interval::new(text).exact_duration().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_read_as_kubernetes_reads_it() {
        for (text, size) in [
            ("2Gi", 2 << 30),
            ("1.5Gi", 3 << 29),
            ("512Mi", 512 << 20),
            ("1k", 1000),
            ("0.25G", 250_000_000),
            ("7", 7),
        ] {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
        for text in ["", "Gi", "1.Gi", ".5Gi", "-1Gi", "+1", "1gi", "2 Gi", "99999999Ti"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
