//! The operator on a real API server, with a registry and a repository of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ::tagtide::api::{ClusterImageRegistry, ImagePolicy, InfraRepository};
use kube::CustomResourceExt as _;
use rustix::process::Signal;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::support::control_plane::ControlPlane;
use crate::support::git_server::GitServer;
use crate::support::infra_repo::{InfraRepo, NAME};
use crate::support::process::{Process, free_address};
use crate::support::registry::{Access, Registry};
use crate::support::{tagtide, wait_until};

/// How long anything may take that should take a moment.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A namespace with an operator that watches it, and what it works with.
pub struct Cluster {
    /// Ends before the folder goes that holds its log.
    operator: Option<Process>,
    pub plane: Plane,
    pub namespace: String,
    pub registry: Registry,
    pub repo: InfraRepo,
    pub git: GitServer,
    folder: tempfile::TempDir,
    flags: Vec<String>,
    pub listen: String,
}

/// The API server of a cluster.
pub enum Plane {
    /// The one of all tests.
    Shared(&'static ControlPlane),
    /// One of the test's own, which it may kill.
    Own(Box<ControlPlane>),
}

impl Plane {
    /// One of the test's own, whose CRDs are as `change` leaves them.
    pub async fn own(change: impl Fn(&mut Value)) -> Self {
        let plane = ControlPlane::start().await;
        apply_crds(&plane, change).await;
        Self::Own(Box::new(plane))
    }
}

impl std::ops::Deref for Plane {
    type Target = ControlPlane;

    fn deref(&self) -> &ControlPlane {
        match self {
            Self::Shared(plane) => plane,
            Self::Own(plane) => plane,
        }
    }
}

impl Cluster {
    /// Starts everything but the operator, which is to have these flags and may use plain HTTP.
    pub async fn start(more_flags: &[&str]) -> Self {
        let plane = ControlPlane::shared().await;
        install_crds(plane).await;
        Self::on(Plane::Shared(plane), Access::Anonymous, &[&["--allow-http"], more_flags].concat()).await
    }

    /// The same with a registry of another kind, on an API server that has the CRDs, and with these flags only.
    pub async fn on(plane: Plane, access: Access, flags: &[&str]) -> Self {
        let repo = InfraRepo::new();
        let git = GitServer::start(repo.root()).await;
        let cluster = Self {
            namespace: plane.namespace("shop").await,
            plane,
            registry: Registry::start(access).await,
            repo,
            git,
            folder: tempfile::tempdir().expect("a folder"),
            flags: flags.iter().map(ToString::to_string).collect(),
            operator: None,
            listen: free_address().to_string(),
        };
        cluster.apply(&cluster.registry_yaml()).await;
        cluster
    }

    fn registry_yaml(&self) -> String {
        let (host, namespace) = (self.registry.host(), &self.namespace);
        format!(
            "apiVersion: tagtide.dev/v1alpha1\nkind: ClusterImageRegistry\n\
             metadata: {{name: {namespace}}}\nspec: {{host: '{host}', insecure: true}}\n"
        )
    }

    /// Starts the operator, or starts it again.
    pub fn run_operator(&mut self) {
        self.operator = None;
        self.operator = Some(self.spawn_operator(self.folder.path(), &self.listen));
    }

    /// One more operator, with its cache and its log in a folder of its own.
    pub fn spawn_operator(&self, folder: &Path, listen: &str) -> Process {
        let mut args = vec![
            "run".to_owned(),
            format!("--namespace={}", self.namespace),
            format!("--watch-namespace={}", self.namespace),
            format!("--cache-dir={}", folder.join("cache").display()),
            format!("--listen={listen}"),
            "--allow-cidr=127.0.0.0/8".to_owned(),
            "--log-level=info,tagtide=debug".to_owned(),
        ];
        args.extend(self.flags.iter().cloned());
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut command = tagtide::command(&args);
        command.env("KUBECONFIG", self.plane.kubeconfig());
        tagtide::start(command, folder)
    }

    /// The running operator.
    pub fn operator(&self) -> &Process {
        self.operator.as_ref().expect("the operator runs")
    }

    /// Where the operator keeps its mirrors.
    pub fn cache_folder(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    /// Kills the operator as a power cut would.
    pub fn kill_operator(&self) {
        self.operator().signal(Signal::KILL);
    }

    pub async fn apply(&self, yaml: &str) {
        self.plane.apply(yaml).await;
    }

    /// The repository as an InfraRepository, named `infra`.
    pub fn infra_yaml(&self) -> String {
        let (namespace, url) = (&self.namespace, self.git.url(NAME));
        format!(
            "---\napiVersion: tagtide.dev/v1alpha1\nkind: InfraRepository\n\
             metadata: {{namespace: {namespace}, name: infra}}\n\
             spec: {{url: '{url}', interval: 1h, publish: {{push: {{branch: main}}}}}}\n"
        )
    }

    /// A policy for `{registry}/acme/{name}`.
    pub fn policy_yaml(&self, name: &str, rest: &str) -> String {
        let (namespace, host) = (&self.namespace, self.registry.host());
        format!(
            "---\napiVersion: tagtide.dev/v1alpha1\nkind: ImagePolicy\n\
             metadata: {{namespace: {namespace}, name: {name}}}\n\
             spec: {{image: '{host}/acme/{name}', interval: 1h, {rest}}}\n"
        )
    }

    /// A Deployment file with a marker for a policy of this namespace.
    pub fn deployment(&self, name: &str, tag: &str) -> String {
        let (namespace, host) = (&self.namespace, self.registry.host());
        format!(
            "# {name}, as its team wrote it\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  \
             template:\n    spec:\n      containers:\n        - name: app\n          \
             image: {host}/acme/{name}:{tag} # {{\"$imagepolicy\": \"{namespace}:{name}\"}}\n"
        )
    }

    pub async fn kubectl(&self, args: &[&str]) -> String {
        let mut all = vec!["-n", &self.namespace];
        all.extend(args);
        self.plane.kubectl(&all).await.success()
    }

    /// Asks for a scan of all policies of the namespace at once.
    pub async fn request_scans(&self, at: &str) {
        let annotation = format!("tagtide.dev/requestedAt={at}");
        self.kubectl(&["annotate", "--overwrite", "imgpol", "--all", &annotation]).await;
    }

    /// The status of an object.
    pub async fn status(&self, object: &str) -> Value {
        let text = self.kubectl(&["get", object, "-o", "json"]).await;
        let object: Value = serde_json::from_str(&text).expect("kubectl prints JSON");
        object["status"].clone()
    }

    /// Waits until an object's status meets a wish, and gives it.
    pub async fn status_where(&self, object: &str, what: &str, wish: impl Fn(&Value) -> bool) -> Value {
        wait_until(&format!("{object}: {what}"), PATIENCE, async || {
            let status = self.status(object).await;
            if wish(&status) { Ok(status) } else { Err(status.to_string()) }
        })
        .await
    }

    /// Waits until the branch holds a text in a file.
    pub async fn branch_holds(&self, path: &str, text: &str) {
        wait_until(&format!("{path} to hold {text}"), PATIENCE, async || {
            let held = self.repo.read("main", path);
            if held.contains(text) { Ok(()) } else { Err(held) }
        })
        .await;
    }

    /// The subjects of the bot's commits, the newest first.
    pub fn bot_commits(&self) -> Vec<String> {
        let commits = self.repo.commits("main").into_iter();
        commits.filter(|commit| commit.author == "tagtide").map(|commit| commit.subject).collect()
    }
}

/// Installs the CRDs once for all tests on a control plane.
pub async fn install_crds(plane: &ControlPlane) {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    INSTALLED
        .get_or_init(|| async {
            apply_crds(plane, |_| {}).await;
        })
        .await;
}

/// Installs the CRDs on a control plane, each as `change` leaves it.
async fn apply_crds(plane: &ControlPlane, change: impl Fn(&mut Value)) {
    for crd in [ImagePolicy::crd(), InfraRepository::crd(), ClusterImageRegistry::crd()] {
        let mut crd = serde_json::to_value(&crd).expect("a CRD is JSON");
        change(&mut crd);
        plane.apply(&crd.to_string()).await;
    }
    for plural in ["imagepolicies", "infrarepositories", "clusterimageregistries"] {
        let name = format!("crd/{plural}.tagtide.dev");
        plane.kubectl(&["wait", "--for=condition=Established", &name, "--timeout=30s"]).await.success();
    }
}

/// The reason and the message of a status' condition, where it has one of that type.
pub fn condition<'a>(status: &'a Value, kind: &str) -> Option<(&'a str, &'a str)> {
    let all = status["conditions"].as_array()?;
    let one = all.iter().find(|condition| condition["type"] == kind)?;
    Some((one["reason"].as_str()?, one["message"].as_str()?))
}

/// Whether a status' condition Ready has this reason.
pub fn is(status: &Value, reason: &str) -> bool {
    condition(status, "Ready").is_some_and(|(known, _)| known == reason)
}
