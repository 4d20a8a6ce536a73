//! The Helm chart: what it renders, what its pods and its service account may do, and that this is enough to work with.

#![expect(clippy::indexing_slicing, reason = "JSON without what is looked for ends the test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ::tagtide::api::{ClusterImageRegistry, ImagePolicy, InfraRepository};
use kube::CustomResourceExt as _;
use serde_json::{Value, json};

use crate::cluster::PATIENCE;
use crate::support::control_plane::{ControlPlane, tools};
use crate::support::git_server::GitServer;
use crate::support::infra_repo::{InfraRepo, NAME};
use crate::support::process::{Finished, Process, finish, free_address, tied};
use crate::support::registry::{Access, Registry};
use crate::support::{tagtide, wait_until, workspace};

/// The name of every release here, and so of its Deployment, service account and Lease.
const RELEASE: &str = "tagtide";

#[tokio::test]
async fn passes_helms_own_lint() {
    helm(&["lint", "--strict", &chart()], None).await.success();
}

#[tokio::test]
async fn has_the_version_of_the_crate() {
    let version = env!("CARGO_PKG_VERSION");
    let chart = helm(&["show", "chart", &chart()], None).await.success();
    for line in [format!("version: {version}"), format!("appVersion: {version}")] {
        assert!(chart.lines().any(|have| have == line), "{line}\n{chart}");
    }
    let label = format!("org.opencontainers.image.version=\"{version}\"");
    let containerfile = std::fs::read_to_string(workspace::checkout().join("Containerfile")).unwrap();
    assert!(containerfile.contains(&label), "the Containerfile has no {label}");
}

#[tokio::test]
async fn refuses_values_that_do_not_fit_the_schema() {
    for (value, complaint) in [
        ("replica=2", "additional properties 'replica' not allowed"),
        ("replicas=two", "at '/replicas': got string, want integer"),
        ("image.digest=sha256:12", "at '/image/digest': 'sha256:12' does not match"),
        ("image=null", "missing property 'image'"),
        ("log.level=loud", "at '/log/level': value must be one of"),
        ("gather=soon", "at '/gather': 'soon' does not match"),
        ("allowCidrs={localhost}", "at '/allowCidrs/0': 'localhost' does not match"),
        ("watchNamespaces={Shop}", "at '/watchNamespaces/0': 'Shop' does not match"),
        ("webhooks.ingress.enabled=true", "at '/webhooks/ingress/host': minLength"),
        ("networkPolicy.egressPorts={70000}", "at '/networkPolicy/egressPorts/0': maximum"),
        ("networkPolicy.dnsPorts={0}", "at '/networkPolicy/dnsPorts/0': minimum"),
        ("podLabels.app\\.kubernetes\\.io/name=x", "invalid propertyName 'app.kubernetes.io/name'"),
    ] {
        let refused = template(&["--set", value]).await;
        assert_ne!(refused.code, Some(0), "{value} is accepted");
        assert!(refused.stderr.contains(complaint), "{value}: {}", refused.stderr);
    }
}

#[tokio::test]
async fn has_what_the_values_ask_for_and_nothing_else() {
    const DEFAULTS: [&str; 12] = [
        "ClusterRole",
        "ClusterRole",
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "CustomResourceDefinition",
        "CustomResourceDefinition",
        "Deployment",
        "NetworkPolicy",
        "Role",
        "RoleBinding",
        "Service",
    ];
    const MONITORS: &str = "monitoring.coreos.com/v1/ServiceMonitor";
    for (flags, more, fewer) in [
        (&[][..], &[][..], &[][..]),
        (&["--set=crds.install=false"], &[], &["CustomResourceDefinition"; 3]),
        (&["--set=networkPolicy.enabled=false"], &[], &["NetworkPolicy"]),
        (&["--set=replicas=2"], &["PodDisruptionBudget"], &[]),
        (&["--set=webhooks.enabled=true"], &[], &[]),
        (
            &[
                "--set=webhooks.enabled=true,webhooks.ingress.enabled=true,webhooks.ingress.host=hooks.acme.example",
            ],
            &["Ingress"],
            &[],
        ),
        (&["--set=serviceMonitor.enabled=true"], &[], &[]),
        (&["--set=serviceMonitor.enabled=true", "--api-versions", MONITORS], &["ServiceMonitor"], &[]),
        (
            &["--set=watchNamespaces={shop,blog,shop}"],
            &["Role", "Role", "Role", "RoleBinding", "RoleBinding", "RoleBinding"],
            &[],
        ),
    ] {
        let mut wanted: Vec<&str> = DEFAULTS.into_iter().chain(["ServiceAccount"]).collect();
        wanted.extend(more);
        for kind in fewer {
            wanted.swap_remove(wanted.iter().position(|have| have == kind).unwrap());
        }
        wanted.sort_unstable();
        let objects = rendered(flags).await;
        let mut kinds: Vec<&str> = objects.iter().map(|object| object["kind"].as_str().unwrap()).collect();
        kinds.sort_unstable();
        assert_eq!(kinds, wanted, "{flags:?}");
    }
}

#[tokio::test]
async fn the_port_for_webhooks_is_open_only_where_they_are_asked_for() {
    let mentions = async |flags: &[&str]| {
        let objects = rendered(flags).await;
        let names = |kind: &str| {
            let object = objects.iter().find(|object| object["kind"] == kind).unwrap();
            object.to_string().matches("hooks").count()
        };
        ["Deployment", "Service", "NetworkPolicy"].map(names)
    };
    assert_eq!(mentions(&[]).await, [0, 0, 0]);
    assert_eq!(mentions(&["--set=webhooks.enabled=true"]).await, [2, 2, 2]);
}

#[tokio::test]
async fn installs_the_definitions_of_the_types_and_keeps_them_unless_told_otherwise() {
    const KEEP: &str = "helm.sh/resource-policy";
    for (flags, policy) in [(&[][..], json!("keep")), (&["--set=crds.keep=false"], Value::Null)] {
        let objects = rendered(flags).await;
        for crd in [ImagePolicy::crd(), InfraRepository::crd(), ClusterImageRegistry::crd()] {
            let crd = serde_json::to_value(crd).unwrap();
            let same_name = |object: &&Value| object["metadata"]["name"] == crd["metadata"]["name"];
            let object = objects.iter().find(same_name).expect("the definition is in the chart");
            assert_eq!(object["spec"], crd["spec"], "run make crds");
            assert_eq!(object["metadata"]["annotations"][KEEP], policy);
        }
    }
}

#[tokio::test]
async fn its_pods_pass_the_restricted_standard_and_write_to_their_volumes_only() {
    let plane = ControlPlane::shared().await;
    let namespace = plane.namespace("restricted").await;
    let level = "pod-security.kubernetes.io/enforce=restricted";
    plane.kubectl(&["label", "namespace", &namespace, level]).await.success();
    let objects = rendered(&["--set=replicas=2"]).await;
    let deployment = objects.iter().find(|object| object["kind"] == "Deployment").unwrap();
    let spec = &deployment["spec"]["template"]["spec"];
    assert_eq!(spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"], true);
    create_pod(plane, &namespace, spec).await.success();

    let mut privileged = spec.clone();
    privileged["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = true.into();
    let refused = create_pod(plane, &namespace, &privileged).await;
    assert!(refused.stderr.contains("violates PodSecurity"), "the standard is not enforced: {refused:?}");
}

#[tokio::test]
async fn may_do_what_it_needs_in_the_whole_cluster_and_no_more() {
    let plane = ControlPlane::shared().await;
    let [own, shop] = [plane.namespace("tagtide").await, plane.namespace("shop").await];
    install(plane, &own, &["--set=crds.install=false"]).await;
    let everywhere = "\
        create,patch events.k8s.io/events
        get secrets
        get serviceaccounts
        list,watch tagtide.dev/clusterimageregistries
        list,watch tagtide.dev/imagepolicies
        list,watch tagtide.dev/infrarepositories
        patch tagtide.dev/clusterimageregistries/status
        patch tagtide.dev/imagepolicies/status
        patch tagtide.dev/infrarepositories/status";
    let leading = "\
        create coordination.k8s.io/leases
        get configmaps
        get,patch coordination.k8s.io/leases named tagtide";
    assert_eq!(rights(plane, &own, &shop).await, lines(&[everywhere]));
    assert_eq!(rights(plane, &own, &own).await, lines(&[everywhere, leading]));
    uninstall(plane, &own).await;
}

#[tokio::test]
async fn may_do_nothing_in_a_namespace_that_it_does_not_watch() {
    let plane = ControlPlane::shared().await;
    let [own, shop] = [plane.namespace("tagtide").await, plane.namespace("shop").await];
    let other = plane.namespace("other").await;
    let watch = format!("--set=watchNamespaces={{{shop}}}");
    install(plane, &own, &["--set=crds.install=false", &watch]).await;
    let registries = "\
        list,watch tagtide.dev/clusterimageregistries
        patch tagtide.dev/clusterimageregistries/status";
    let watched = "\
        create,patch events.k8s.io/events
        get secrets
        get serviceaccounts
        list,watch tagtide.dev/imagepolicies
        list,watch tagtide.dev/infrarepositories
        patch tagtide.dev/imagepolicies/status
        patch tagtide.dev/infrarepositories/status";
    let leading = "\
        create coordination.k8s.io/leases
        get configmaps
        get secrets
        get serviceaccounts
        get,patch coordination.k8s.io/leases named tagtide";
    assert_eq!(rights(plane, &own, &other).await, lines(&[registries]));
    assert_eq!(rights(plane, &own, &shop).await, lines(&[registries, watched]));
    assert_eq!(rights(plane, &own, &own).await, lines(&[registries, leading]));
    let events = "create,patch events.k8s.io/events";
    assert_eq!(rights(plane, &own, "default").await, lines(&[registries, events]));
    uninstall(plane, &own).await;
}

#[tokio::test]
async fn may_make_tokens_of_service_accounts_only_where_that_is_asked_for() {
    let plane = ControlPlane::shared().await;
    let [own, shop] = [plane.namespace("tagtide").await, plane.namespace("shop").await];
    let watch = format!("--set=watchNamespaces={{{shop}}}");
    install(plane, &own, &["--set=crds.install=false", &watch]).await;
    let tokens = "create serviceaccounts/token";
    for namespace in [&own, &shop] {
        assert!(!rights(plane, &own, namespace).await.contains(tokens), "{namespace}");
    }
    uninstall(plane, &own).await;
    install(plane, &own, &["--set=crds.install=false,cloudIdentities=true", &watch]).await;
    for namespace in [&own, &shop] {
        assert!(rights(plane, &own, namespace).await.contains(tokens), "{namespace}");
    }
    assert!(!rights(plane, &own, "default").await.contains(tokens));
    uninstall(plane, &own).await;
}

#[tokio::test]
async fn the_operator_works_with_the_flags_and_the_rights_of_the_chart() {
    let plane = ControlPlane::start().await;
    let registry = Registry::start(Access::Anonymous).await;
    let repo = InfraRepo::new();
    let git = GitServer::start(repo.root()).await;
    let [own, shop] = [plane.namespace("tagtide").await, plane.namespace("shop").await];
    install(&plane, &own, &["--set=allowHttp=true,allowCidrs={127.0.0.0/8}"]).await;
    for tag in ["1.0.0", "1.1.0"] {
        registry.push("acme/api", tag).await;
    }
    let image = format!("{}/acme/api", registry.host());
    let file = format!("image: {image}:1.0.0 # {{\"$imagepolicy\": \"{shop}:api\"}}\n");
    repo.seed(&[("api.yaml", &file)]);
    plane.apply(&objects(&shop, &registry.host(), &git.url(NAME))).await;

    let folder = workspace::folder("chart");
    let operator = run_as_installed(&plane, &own, folder.path()).await;
    wait_until("the commit", PATIENCE, async || {
        let held = repo.read("main", "api.yaml");
        if held.contains("acme/api:1.1.0 #") { Ok(()) } else { Err(format!("{held}{}", operator.log())) }
    })
    .await;
    for object in ["imgpol/api", "infra/infra", "imgreg/local"] {
        let wait = ["-n", &shop, "wait", "--for=condition=Ready", object, "--timeout=30s"];
        plane.kubectl(&wait).await.success();
    }
    wait_until("the events", PATIENCE, async || {
        let get = ["-n", &shop, "get", "events.events.k8s.io", "-o", "jsonpath={.items[*].reason}"];
        let reasons = plane.kubectl(&get).await.success();
        if ["TagSelected", "Committed"].iter().all(|reason| reasons.contains(reason)) {
            Ok(())
        } else {
            Err(reasons)
        }
    })
    .await;
    assert!(!operator.log().contains("forbidden"), "{}", operator.log());
}

#[tokio::test]
async fn objects_outlive_the_release_and_the_next_one_takes_them_over() {
    let plane = ControlPlane::start().await;
    let [own, shop] = [plane.namespace("tagtide").await, plane.namespace("shop").await];
    install(&plane, &own, &[]).await;
    plane.apply(&objects(&shop, "registry.example:5000", "https://git.example.com/infra.git")).await;
    let upgrade = ["upgrade", RELEASE, &chart(), "--namespace", &own, "--set=replicas=2"];
    helm(&upgrade, Some(&plane)).await.success();
    plane.kubectl(&["-n", &own, "get", "poddisruptionbudget", RELEASE]).await.success();
    uninstall(&plane, &own).await;
    plane.kubectl(&["-n", &shop, "get", "imgpol/api", "infra/infra", "imgreg/local"]).await.success();
    install(&plane, &own, &[]).await;
}

fn chart() -> String {
    workspace::checkout().join("charts/tagtide").display().to_string()
}

/// Runs helm, with the rights of an administrator where there is a control plane.
async fn helm(args: &[&str], plane: Option<&ControlPlane>) -> Finished {
    let home = workspace::folder("helm");
    let mut command = tied(tools().join("helm"));
    command.args(args).env("HOME", home.path()).env_remove("KUBECONFIG");
    if let Some(plane) = plane {
        command.env("KUBECONFIG", plane.kubeconfig());
    }
    finish(command).await
}

async fn template(flags: &[&str]) -> Finished {
    let chart = chart();
    let mut args = vec!["template", RELEASE, &chart];
    args.extend(flags);
    helm(&args, None).await
}

/// The objects that the chart renders.
async fn rendered(flags: &[&str]) -> Vec<Value> {
    let yaml = template(flags).await.success();
    serde_saphyr::from_multiple(&yaml).expect("the chart renders YAML")
}

async fn install(plane: &ControlPlane, namespace: &str, flags: &[&str]) {
    let chart = chart();
    let mut args = vec!["install", RELEASE, &chart, "--namespace", namespace];
    args.extend(flags);
    helm(&args, Some(plane)).await.success();
}

async fn uninstall(plane: &ControlPlane, namespace: &str) {
    helm(&["uninstall", RELEASE, "--namespace", namespace], Some(plane)).await.success();
}

/// Asks the API server whether it would take such a pod.
async fn create_pod(plane: &ControlPlane, namespace: &str, spec: &Value) -> Finished {
    let folder = workspace::folder("pod");
    let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": RELEASE }, "spec": spec });
    let file = write(folder.path(), "pod.json", &pod);
    plane.kubectl(&["-n", namespace, "create", "--dry-run=server", "-f", &file]).await
}

/// All that the release's service account may do in a namespace, one line for each resource, less what Kubernetes lets
/// everyone do: ask what they may do.
async fn rights(plane: &ControlPlane, own: &str, namespace: &str) -> BTreeSet<String> {
    let folder = workspace::folder("rights");
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": { "namespace": namespace },
    });
    let file = write(folder.path(), "review.json", &review);
    let user = format!("--as={}", user(own));
    let answer =
        plane.kubectl(&["create", "--validate=false", "-o", "json", "-f", &file, &user]).await.success();
    let answer: Value = serde_json::from_str(&answer).expect("kubectl prints JSON");
    assert_eq!(answer["status"]["incomplete"], false);
    let rules = answer["status"]["resourceRules"].as_array().expect("rules");
    rules.iter().flat_map(right).filter(|right| !right.contains("/selfsubject")).collect()
}

/// A rule in words: `get,patch coordination.k8s.io/leases named tagtide`.
fn right(rule: &Value) -> Vec<String> {
    let texts = |field: &str| -> Vec<String> {
        let all = rule[field].as_array().into_iter().flatten();
        let mut all: Vec<String> = all.map(|text| text.as_str().expect("a text").to_owned()).collect();
        all.sort();
        all
    };
    let (verbs, names) = (texts("verbs").join(","), texts("resourceNames").join(","));
    let named = if names.is_empty() { String::new() } else { format!(" named {names}") };
    let mut rights = Vec::new();
    for group in texts("apiGroups") {
        let group = if group.is_empty() { String::new() } else { format!("{group}/") };
        rights.extend(texts("resources").iter().map(|resource| format!("{verbs} {group}{resource}{named}")));
    }
    rights
}

fn lines(blocks: &[&str]) -> BTreeSet<String> {
    blocks.iter().flat_map(|block| block.lines()).map(|line| line.trim().to_owned()).collect()
}

fn user(namespace: &str) -> String {
    format!("system:serviceaccount:{namespace}:{RELEASE}")
}

/// Starts the program as the installed Deployment says, but for its address and its folder.
async fn run_as_installed(plane: &ControlPlane, own: &str, folder: &Path) -> Process {
    let get = ["-n", own, "get", "deployment", RELEASE, "-o", "json"];
    let deployment: Value = serde_json::from_str(&plane.kubectl(&get).await.success()).expect("JSON");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let mut args: Vec<&str> = container["args"]
        .as_array()
        .expect("arguments")
        .iter()
        .map(|arg| arg.as_str().expect("a text"))
        .collect();
    args.retain(|arg| !arg.starts_with("--listen=") && !arg.starts_with("--cache-dir="));
    let (listen, cache) = (free_address().to_string(), folder.join("cache"));
    let cache = format!("--cache-dir={}", cache.display());
    let listen = format!("--listen={listen}");
    args.extend([listen.as_str(), cache.as_str()]);
    let mut command = tagtide::command(&args);
    command
        .env("KUBECONFIG", kubeconfig_as(plane, &user(own), folder))
        .env("POD_NAMESPACE", own)
        .env("POD_NAME", "tagtide-0");
    tagtide::start(command, folder)
}

/// The administrator's kubeconfig, with the rights of another user.
fn kubeconfig_as(plane: &ControlPlane, user: &str, folder: &Path) -> PathBuf {
    let text = std::fs::read_to_string(plane.kubeconfig()).expect("a kubeconfig");
    let mut config: Value = serde_json::from_str(&text).expect("the harness writes JSON");
    config["users"][0]["user"]["as"] = user.into();
    write(folder, "kubeconfig", &config).into()
}

fn write(folder: &Path, name: &str, content: &Value) -> String {
    let path = folder.join(name);
    std::fs::write(&path, content.to_string()).expect("a file");
    path.display().to_string()
}

/// One object of each kind.
fn objects(namespace: &str, registry: &str, url: &str) -> String {
    format!(
        "---\napiVersion: tagtide.dev/v1alpha1\nkind: ImagePolicy\n\
         metadata: {{namespace: {namespace}, name: api}}\n\
         spec: {{image: '{registry}/acme/api', select: {{semver: {{range: 1.x}}}}}}\n\
         ---\napiVersion: tagtide.dev/v1alpha1\nkind: InfraRepository\n\
         metadata: {{namespace: {namespace}, name: infra}}\n\
         spec: {{url: '{url}'}}\n\
         ---\napiVersion: tagtide.dev/v1alpha1\nkind: ClusterImageRegistry\n\
         metadata: {{name: local}}\n\
         spec: {{host: '{registry}', insecure: true}}\n"
    )
}
