//! OpenSSH's own server, which lets one key in and runs Git's programs for it.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;

use super::process::{Finished, Process, free_address, tied};
use super::{wait_until, workspace};

/// A running server with an ed25519, an ecdsa and an RSA host key. Killed on drop.
pub struct SshServer {
    process: Option<Process>,
    folder: TempDir,
    address: SocketAddr,
    settings: String,
}

impl SshServer {
    /// Starts one; `settings` are lines of sshd_config(5) that go first, so that they win. It hands `GIT_PROTOCOL` on unless they say otherwise.
    pub async fn start(settings: &str) -> Self {
        let folder = workspace::folder("sshd");
        // Without the folder in which it would lock up strangers, sshd does not start. It is empty.
        fs::create_dir_all("/run/sshd").expect("/run/sshd");
        for kind in ["ed25519", "ecdsa", "rsa"] {
            keygen(&["-t", kind, "-f"], &folder.path().join(kind), "");
        }
        let mut server =
            Self { process: None, folder, address: free_address(), settings: settings.to_owned() };
        server.run().await;
        server
    }

    async fn run(&mut self) {
        let folder = self.folder.path().display();
        // Such lines add up instead of the first one winning.
        let protocol = if self.settings.contains("AcceptEnv") { "" } else { "AcceptEnv GIT_PROTOCOL\n" };
        // As a second-level shell, bash does not read the account's .bashrc, which may be slow and say anything.
        let config = format!(
            "{}\n{protocol}SetEnv SHLVL=1\nListenAddress {}\nHostKey {folder}/ed25519\nHostKey {folder}/ecdsa\nHostKey {folder}/rsa\n\
             AuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\nPasswordAuthentication no\nUsePAM no\n\
             PidFile none\nMaxStartups 100\nPermitRootLogin yes\n",
            self.settings, self.address
        );
        let file = self.folder.path().join("sshd_config");
        fs::write(&file, config).expect("a configuration");
        let mut command = tied("/usr/sbin/sshd");
        command.args(["-D", "-e", "-f"]).arg(file);
        self.process = Some(Process::spawn("sshd", command, self.folder.path()));
        let address = self.address;
        wait_until("sshd to listen", Duration::from_secs(20), async || TcpStream::connect(address).await)
            .await;
    }

    /// Ends it and starts it with new host keys.
    pub async fn set_up_anew(&mut self) {
        self.process = None;
        for kind in ["ed25519", "ecdsa", "rsa"] {
            let path = self.folder.path().join(kind);
            fs::remove_file(&path).expect("the old key");
            keygen(&["-t", kind, "-f"], &path, "");
        }
        self.run().await;
    }

    /// Lets a key in, beside those that were let in before.
    pub fn authorize(&self, key: &Path) {
        let file = self.folder.path().join("authorized_keys");
        let mut keys = fs::read_to_string(&file).unwrap_or_default();
        keys.push_str(&fs::read_to_string(key.with_extension("pub")).expect("the public key"));
        fs::write(&file, keys).expect("authorized_keys");
    }

    /// The address of a repository of this machine on it.
    pub fn url(&self, path: &Path) -> String {
        format!("ssh://{}@127.0.0.1:{}{}", user(), self.address.port(), path.display())
    }

    /// Its host, as lines of `known_hosts` name it.
    pub fn host(&self) -> String {
        format!("[127.0.0.1]:{}", self.address.port())
    }

    /// The line of `known_hosts` for one of its keys: `ed25519`, `ecdsa` or `rsa`.
    pub fn known(&self, kind: &str) -> String {
        format!("{} {}", self.host(), self.public_key(kind))
    }

    /// One of its public keys.
    pub fn public_key(&self, kind: &str) -> String {
        fs::read_to_string(self.folder.path().join(kind).with_extension("pub")).expect("a public key")
    }

    /// Where the private key of that kind is.
    pub fn host_key(&self, kind: &str) -> PathBuf {
        self.folder.path().join(kind)
    }
}

/// Makes a key pair in `path` and `path.pub`.
pub fn keygen(options: &[&str], path: &Path, password: &str) {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-N", password]).args(options).arg(path);
    Finished::from(command.output().expect("ssh-keygen")).success();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("a private key");
}

/// Who runs the tests, and so whom the server can let in.
fn user() -> String {
    let output = Command::new("id").arg("-un").output().expect("id");
    Finished::from(output).success().trim().to_owned()
}
