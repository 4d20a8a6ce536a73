//! A real Kubernetes API: kube-apiserver over etcd, with no controllers and no nodes.
//!
//! Nothing removes what belongs to a deleted object or namespace: use names of your own, do not wait for namespaces to go.
//! Nothing fills the aggregated cluster roles (`view`, `edit`, `admin`) either: bind roles of your own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::process::{Finished, Process, finish, free_address, tied};
use super::{wait_until, workspace};

const START_TIMEOUT: Duration = Duration::from_secs(60);
const ADMIN_TOKEN: &str = "admin-token-of-a-test";

/// A running API server and its etcd. Both are killed on drop.
pub struct ControlPlane {
    api_server: Process,
    _etcd: Process,
    site: Site,
}

/// What stays when the processes are killed.
struct Site {
    folder: TempDir,
    etcd: SocketAddr,
    etcd_peer: SocketAddr,
    api_server: SocketAddr,
}

impl ControlPlane {
    /// The one that the tests of this program share. It ends with the program.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    /// One of the caller's own, to be killed and restarted at will.
    pub async fn start() -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let site = Site {
            folder: workspace::folder("control-plane"),
            etcd: free_address(),
            etcd_peer: free_address(),
            api_server: free_address(),
        };
        site.prepare();
        let etcd = Process::spawn("etcd", site.etcd_command(), site.folder.path());
        let api_server = Process::spawn("kube-apiserver", site.api_server_command(), site.folder.path());
        let plane = Self { api_server, _etcd: etcd, site };
        plane.ready().await;
        plane
    }

    /// Ends the API server as a crash would. Its objects stay in etcd.
    pub fn kill_api_server(&self) {
        self.api_server.kill();
    }

    /// Starts the API server again, at the same address with the same objects.
    pub async fn restart_api_server(&mut self) {
        self.kill_api_server();
        let command = self.site.api_server_command();
        self.api_server = Process::spawn("kube-apiserver", command, self.site.folder.path());
        self.ready().await;
    }

    /// The path of a kubeconfig that may do everything.
    pub fn kubeconfig(&self) -> PathBuf {
        self.site.folder.path().join("kubeconfig")
    }

    /// A client that may do everything. It belongs to the caller's runtime.
    pub async fn client(&self) -> kube::Client {
        client_from(&self.kubeconfig()).await
    }

    /// Runs `kubectl` as the administrator.
    pub async fn kubectl(&self, args: &[&str]) -> Finished {
        finish(self.kubectl_command(args)).await
    }

    /// Creates or changes the objects in some YAML.
    ///
    /// # Panics
    /// Where the API server refuses them.
    pub async fn apply(&self, yaml: &str) {
        let file = tempfile::NamedTempFile::new_in(self.site.folder.path()).expect("a file for objects");
        std::fs::write(file.path(), yaml).expect("the objects' file");
        self.kubectl(&["apply", "-f", &file.path().to_string_lossy()]).await.success();
    }

    /// Creates a namespace that nothing else uses, and gives its name: `shop` becomes `shop-1`, `shop-2` …
    pub async fn namespace(&self, stem: &str) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("{stem}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.kubectl(&["create", "namespace", &name]).await.success();
        name
    }

    /// Creates a service account, which may do nothing until RBAC lets it, and gives the path of a kubeconfig for it.
    pub async fn service_account(&self, namespace: &str, name: &str) -> PathBuf {
        self.kubectl(&["-n", namespace, "create", "serviceaccount", name]).await.success();
        let token = self.kubectl(&["-n", namespace, "create", "token", name]).await.success();
        self.site.write_kubeconfig(&format!("kubeconfig-{namespace}-{name}"), token.trim())
    }

    fn kubectl_command(&self, args: &[&str]) -> Command {
        let mut command = tied(tools().join("kubectl"));
        command.arg("--kubeconfig").arg(self.kubeconfig()).args(args).env("HOME", self.site.folder.path());
        command
    }

    async fn ready(&self) {
        wait_until("the API server", START_TIMEOUT, async || {
            if let Some(status) = self.api_server.exit_status() {
                panic!("kube-apiserver ended with {status}:\n{}", self.api_server.log());
            }
            match self.kubectl(&["get", "--raw", "/readyz"]).await {
                Finished { code: Some(0), .. } => Ok(()),
                Finished { stderr, .. } => Err(stderr),
            }
        })
        .await;
    }
}

impl Site {
    fn prepare(&self) {
        let key = rcgen::KeyPair::generate().expect("a key for service accounts");
        self.write("service-accounts.key", &key.serialize_pem());
        self.write("service-accounts.pub", &key.public_key_pem());
        self.write("tokens.csv", &format!("{ADMIN_TOKEN},admin,admin,\"system:masters\"\n"));
        self.write_kubeconfig("kubeconfig", ADMIN_TOKEN);
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap_or_else(|error| panic!("write {}: {error}", path.display()));
        path
    }

    /// A kubeconfig is YAML, of which JSON is a part.
    fn write_kubeconfig(&self, file: &str, token: &str) -> PathBuf {
        let named = |kind: &str, value: Value| json!([{ "name": "test", kind: value }]);
        let authority = self.folder.path().join("certificates/apiserver.crt");
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": named("cluster", json!({
                "server": format!("https://{}", self.api_server),
                "certificate-authority": authority,
            })),
            "users": named("user", json!({ "token": token })),
            "contexts": named("context", json!({ "cluster": "test", "user": "test" })),
        });
        self.write(file, &config.to_string())
    }

    fn etcd_command(&self) -> Command {
        let (client, peer) = (format!("http://{}", self.etcd), format!("http://{}", self.etcd_peer));
        let mut command = tied(tools().join("etcd"));
        command.current_dir(self.folder.path()).args([
            "--data-dir=etcd",
            "--unsafe-no-fsync",
            "--log-level=warn",
            &format!("--listen-client-urls={client}"),
            &format!("--advertise-client-urls={client}"),
            &format!("--listen-peer-urls={peer}"),
            &format!("--initial-advertise-peer-urls={peer}"),
            &format!("--initial-cluster=default={peer}"),
        ]);
        command
    }

    fn api_server_command(&self) -> Command {
        let mut command = tied(tools().join("kube-apiserver"));
        command.current_dir(self.folder.path()).args([
            "--bind-address=127.0.0.1",
            "--cert-dir=certificates",
            "--service-account-key-file=service-accounts.pub",
            "--service-account-signing-key-file=service-accounts.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--token-auth-file=tokens.csv",
            "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount",
            &format!("--etcd-servers=http://{}", self.etcd),
            &format!("--secure-port={}", self.api_server.port()),
        ]);
        command
    }
}

/// A client as whoever a kubeconfig names.
pub async fn client_from(kubeconfig: &Path) -> kube::Client {
    let file = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
    kube::Client::try_from(config.expect("a usable kubeconfig")).expect("a client")
}

/// The folder of kube-apiserver, etcd, kubectl, helm, gitea and registry: at once where they were built before, after minutes where not.
pub fn tools() -> &'static Path {
    static TOOLS: OnceLock<PathBuf> = OnceLock::new();
    TOOLS.get_or_init(|| {
        let script = workspace::checkout().join("scripts/test-tools");
        let output =
            Command::new(&script).stderr(std::process::Stdio::inherit()).output().expect("test-tools");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{} failed: its own words are above", script.display());
        PathBuf::from(printed.lines().last().expect("the folder of the tools"))
    })
}
