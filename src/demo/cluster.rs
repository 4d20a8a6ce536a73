//! A Kubernetes API of a demo's own, kube-apiserver over etcd, with the operator on it. There are no nodes: Tagtide needs
//! none.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::DemoError;
use super::process::{Part, ProgramError, command, finish};
use super::registry::free_address;
use super::site::Site;
use super::wait::{Look, wait_longer_for};
use crate::api::ObjectKey;

/// How long the API server may take; 5 s is usual.
const START_TIMEOUT: Duration = Duration::from_secs(40);

/// The namespace of the operator: its Lease is there.
pub(super) const OPERATOR_NAMESPACE: &str = "tagtide";

/// A running Kubernetes API. It is gone when this value is dropped.
pub(super) struct Cluster {
    kubectl: PathBuf,
    kubeconfig: PathBuf,
    _etcd: Part,
    api_server: Part,
    operator: Option<Part>,
}

impl Cluster {
    /// Starts etcd and kube-apiserver from a folder of programs, and waits until they are ready.
    pub(super) async fn start(programs: &Path, site: &Site) -> Result<Self, DemoError> {
        let folder = site.join("kubernetes");
        std::fs::create_dir(&folder).map_err(|source| DemoError::Folder { path: folder.clone(), source })?;
        let port = || free_address().map_err(|source| DemoError::Folder { path: folder.clone(), source });
        let (etcd, peer, api_server) = (port()?, port()?, port()?);
        let token = format!("{:032x}", rand::random::<u128>());
        site.write("kubernetes/tokens.csv", &format!("{token},admin,admin,\"system:masters\"\n"))?;
        let kubeconfig = kubeconfig(&format!("https://{api_server}"), &folder, &token);
        let kubeconfig = site.write("kubernetes/kubeconfig", &kubeconfig.to_string())?;
        let (etcd, peer) = (format!("http://{etcd}"), format!("http://{peer}"));
        let start = |name: &str, flags: &[String]| {
            let program = programs.join(name);
            let mut command = command(&program);
            command.current_dir(&folder).args(flags);
            Part::start(command, &site.log(name)).map_err(|source| DemoError::Start { program, source })
        };
        let mut cluster = Self {
            kubectl: programs.join("kubectl"),
            kubeconfig,
            _etcd: start("etcd", &etcd_flags(&etcd, &peer))?,
            api_server: start("kube-apiserver", &api_server_flags(&etcd, api_server.port()))?,
            operator: None,
        };
        cluster.wait_until_ready().await?;
        Ok(cluster)
    }

    async fn wait_until_ready(&mut self) -> Result<(), DemoError> {
        wait_longer_for("kube-apiserver ready", START_TIMEOUT, async || {
            if let Ok(Some(status)) = self.api_server.exit_status() {
                return Ok(Look::Not(format!("it ended with {status}")));
            }
            match self.kubectl(&["get", "--raw", "/readyz"]).await {
                Ok(_) => Ok(Look::Done(())),
                Err(error @ ProgramError::Start { .. }) => Err(error.into()),
                Err(error @ (ProgramError::Failed { .. } | ProgramError::Slow { .. })) => {
                    Ok(Look::Not(error.to_string()))
                }
            }
        })
        .await
    }

    /// Applies the custom resource definitions as this program prints them.
    pub(super) async fn install_kinds(&self, folder: &Path) -> Result<String, DemoError> {
        let mut crds = command(this_program()?);
        crds.args(["crds", "--out"]).arg(folder);
        finish(crds).await?;
        let said = self.kubectl(&["apply", "-f", &folder.to_string_lossy()]).await?;
        self.kubectl(&["wait", "--for=condition=Established", "--timeout=8s", "crd", "--all"]).await?;
        Ok(said)
    }

    /// Starts the operator: this very program, as `tagtide run`.
    pub(super) fn run_operator(&mut self, site: &Site) -> Result<(), DemoError> {
        let program = this_program()?;
        let mut command = command(&program);
        command.env("KUBECONFIG", &self.kubeconfig).args(operator_flags(site));
        let part = Part::start(command, &site.log("tagtide"));
        self.operator = Some(part.map_err(|source| DemoError::Start { program, source })?);
        Ok(())
    }

    /// Runs `kubectl` as the administrator and gives what it printed.
    pub(super) async fn kubectl(&self, args: &[&str]) -> Result<String, ProgramError> {
        let mut command: Command = command(&self.kubectl);
        command
            .env("HOME", self.kubeconfig.with_file_name(""))
            .env("KUBECONFIG", &self.kubeconfig)
            .args(args);
        finish(command).await
    }

    /// The status of an object; as if new where it has none yet.
    pub(super) async fn status<S: DeserializeOwned + Default>(
        &self,
        kind: &str,
        key: &ObjectKey,
    ) -> Result<S, DemoError> {
        let text = self.kubectl(&["-n", &key.namespace, "get", kind, &key.name, "-o", "json"]).await?;
        let unreadable = |source| DemoError::Unreadable { program: "kubectl", source };
        let object: Value = serde_json::from_str(&text).map_err(unreadable)?;
        let status = object.get("status").filter(|status| !status.is_null()).cloned();
        status.map_or_else(|| Ok(S::default()), |status| serde_json::from_value(status).map_err(unreadable))
    }
}

fn this_program() -> Result<PathBuf, DemoError> {
    std::env::current_exe().map_err(|source| DemoError::Start { program: "tagtide".into(), source })
}

fn operator_flags(site: &Site) -> Vec<String> {
    vec![
        "run".to_owned(),
        format!("--namespace={OPERATOR_NAMESPACE}"),
        format!("--cache-dir={}", site.join("cache").display()),
        "--listen=127.0.0.1:0".to_owned(),
        "--allow-http".to_owned(),
        "--allow-cidr=127.0.0.0/8".to_owned(),
        "--log-format=text".to_owned(),
    ]
}

/// The server signs its own certificate, which is its authority too. A kubeconfig is YAML, of which JSON is a part.
fn kubeconfig(server: &str, folder: &Path, token: &str) -> Value {
    let authority = folder.join("certificates/apiserver.crt");
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "demo",
        "clusters": [{
            "name": "demo",
            "cluster": { "server": server, "certificate-authority": authority },
        }],
        "users": [{ "name": "admin", "user": { "token": token } }],
        "contexts": [{ "name": "demo", "context": { "cluster": "demo", "user": "admin" } }],
    })
}

fn etcd_flags(client: &str, peer: &str) -> Vec<String> {
    vec![
        "--data-dir=etcd".to_owned(),
        // What a demo writes may be lost in a power cut.
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
    ]
}

/// The key of the server's own certificate, which it makes at its start, also signs the tokens of service accounts: there
/// are none here, but it wants a key for them.
fn api_server_flags(etcd: &str, port: u16) -> Vec<String> {
    vec![
        "--bind-address=127.0.0.1".to_owned(),
        "--cert-dir=certificates".to_owned(),
        "--service-account-key-file=certificates/apiserver.key".to_owned(),
        "--service-account-signing-key-file=certificates/apiserver.key".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        "--token-auth-file=tokens.csv".to_owned(),
        "--authorization-mode=RBAC".to_owned(),
        "--disable-admission-plugins=ServiceAccount".to_owned(),
        format!("--etcd-servers={etcd}"),
        format!("--secure-port={port}"),
    ]
}
