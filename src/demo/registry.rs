//! A real container registry on the loopback interface: the server program of the distribution project.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::process::{Part, command};

/// The program's name in Debian's package of the same name.
pub const PROGRAM: &str = "docker-registry";

/// How long the program may take until it accepts connections; 0.1 s is usual.
const START_TIMEOUT: Duration = Duration::from_secs(15);

/// Why the registry could not be started.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Its folder could not be prepared, or no port was free.
    #[error("prepare a registry in {}", folder.display())]
    Prepare {
        /// The folder for its storage, configuration and log.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The program could not be run.
    #[error("run `{PROGRAM}`; the Debian package docker-registry has it")]
    Spawn(#[source] io::Error),
    /// It ended at once.
    #[error("keep `{PROGRAM}` running: it ended with {status}; {} says why", log.display())]
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// The file with its output.
        log: PathBuf,
    },
    /// It never listened.
    #[error("reach `{PROGRAM}` on {address} within {START_TIMEOUT:?}")]
    Silent {
        /// Where it should listen.
        address: SocketAddr,
    },
}

/// A running registry that lets anyone push and pull over plain HTTP. It is killed when this value is dropped.
pub struct RegistryServer {
    address: SocketAddr,
    _program: Part,
}

impl RegistryServer {
    /// Starts a registry on a free port of 127.0.0.1, with its storage, configuration and log in `folder`.
    ///
    /// # Errors
    /// See [`RegistryError`]; each says what to do or where to look.
    pub async fn start(folder: &Path) -> Result<Self, RegistryError> {
        let (address, config) = prepare(folder)
            .map_err(|source| RegistryError::Prepare { folder: folder.to_path_buf(), source })?;
        let mut command = command(PROGRAM);
        command.arg("serve").arg(config);
        let mut program = Part::start(command, &log_in(folder)).map_err(RegistryError::Spawn)?;
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(address).await.is_err() {
            if let Some(status) = program.exit_status().map_err(RegistryError::Spawn)? {
                return Err(RegistryError::Ended { status, log: log_in(folder) });
            }
            if Instant::now() > deadline {
                return Err(RegistryError::Silent { address });
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(Self { address, _program: program })
    }

    /// The host and port, as they stand before an image's path: `127.0.0.1:40123`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }
}

fn log_in(folder: &Path) -> PathBuf {
    folder.join("registry.log")
}

fn prepare(folder: &Path) -> io::Result<(SocketAddr, PathBuf)> {
    let address = free_address()?;
    let config = folder.join("config.yml");
    fs::write(&config, configuration(&folder.join("storage"), address).to_string())?;
    Ok((address, config))
}

/// An address of this machine on which nothing listens at the moment.
pub(super) fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// The program's configuration (JSON, which is YAML too): images under `storage`, manifests may be deleted, no auth.
pub fn configuration(storage: &Path, address: SocketAddr) -> Value {
    json!({
        "version": "0.1",
        "log": { "level": "warn", "accesslog": { "disabled": true } },
        "storage": {
            "filesystem": { "rootdirectory": storage },
            "delete": { "enabled": true },
            "maintenance": { "uploadpurging": { "enabled": false } },
        },
        // The secret is for several processes behind one name; without one the program warns.
        "http": { "addr": address.to_string(), "secret": "one process alone" },
    })
}
