//! The operator, the API server it works on, and what it is asked for.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use kube::api::{Patch, PatchParams};
use kube::{Api, CustomResourceExt as _, Resource};
use serde::de::DeserializeOwned;
use serde_json::json;
use tagtide::api::{ClusterImageRegistry, ImagePolicy, InfraRepository};

use crate::support::control_plane::ControlPlane;
use crate::support::process::Process;
use crate::support::tagtide as program;

/// An API server that knows the kinds, with the namespace `shop`.
pub async fn plane() -> ControlPlane {
    let plane = ControlPlane::start().await;
    for crd in [ImagePolicy::crd(), InfraRepository::crd(), ClusterImageRegistry::crd()] {
        plane.apply(&serde_json::to_string(&crd).expect("a CRD is JSON")).await;
    }
    let established = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"];
    plane.kubectl(&established).await.success();
    plane.kubectl(&["create", "namespace", "shop"]).await.success();
    plane
}

/// Starts the operator with an empty cache in `folder`; its metrics are at `listen`. A Lease of its own: that of the one
/// before has to run out first.
pub fn start(plane: &ControlPlane, folder: &Path, lease: &str, listen: SocketAddr) -> Process {
    start_with(plane, folder, lease, listen, &[])
}

/// The same with more flags.
pub fn start_with(
    plane: &ControlPlane,
    folder: &Path,
    lease: &str,
    listen: SocketAddr,
    more: &[&str],
) -> Process {
    let cache = format!("--cache-dir={}", folder.join("cache").display());
    let listen = format!("--listen={listen}");
    let lease = format!("--lease-name={lease}");
    let args = [
        "run",
        "--namespace=shop",
        "--watch-namespace=shop",
        "--allow-http",
        "--allow-cidr=127.0.0.0/8",
        "--gather=10ms",
        &cache,
        &listen,
        &lease,
    ];
    let mut command = program::command(&[&args, more].concat());
    command.env("KUBECONFIG", plane.kubeconfig());
    program::start(command, folder)
}

/// Asks for a scan or a look at Git at once.
pub async fn request<K: Resource + Clone + Debug + DeserializeOwned>(api: &Api<K>, name: &str, what: &str) {
    let patch = json!({"metadata": {"annotations": {"tagtide.dev/requestedAt": what}}});
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.expect("the annotation");
}

/// Waits for a value, and looks often.
pub async fn wait_for<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(180);
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        assert!(Instant::now() < until, "waited three minutes for {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
