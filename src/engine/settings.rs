//! What the operator decides for the whole process.

use std::path::PathBuf;
use std::time::Duration;

use crate::git::Room;
use crate::net::Connections;

/// What the operator decides for the whole process.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where mirrors of repositories are kept. May be emptied whenever the process does not run.
    pub cache_dir: PathBuf,
    /// The room for these mirrors.
    pub room: Room,
    /// How long a repository waits after a choice moved, so that a burst of tags makes one commit.
    pub gather: Duration,
    /// Where connections come from, with the addresses that may be reached.
    pub connections: Connections,
    /// Whether objects may ask for plain HTTP.
    pub allow_http: bool,
    /// Whether `file://` repositories are allowed.
    pub allow_file: bool,
    /// How many scans run at once.
    pub scans_at_once: usize,
    /// How many repositories are worked on at once.
    pub cycles_at_once: usize,
}

impl Settings {
    /// The folder that holds a folder for each mirror.
    pub(super) fn mirrors(&self) -> PathBuf {
        self.cache_dir.join("git")
    }
}
