//! Private registries and repositories: Secrets in, nothing of them out, and clear words where they are wrong.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::cluster::{Cluster, Plane, condition, install_crds, is};
use crate::support::control_plane::ControlPlane;
use crate::support::git_server::GitServer;
use crate::support::infra_repo::NAME;
use crate::support::invariants::Invariants;
use crate::support::registry::{Access, PASSWORD, USER};
use crate::support::ssh_server::{SshServer, keygen};

const SEMVER: &str = "select: {semver: {range: '*'}}";
const CREDENTIALS: &str = "credentials: {secretRef: {name: registry}}, select: {semver: {range: '*'}}";

/// What nobody may see: the passwords of both sides, and one that was wrong.
const GIT_PASSWORD: &str = "canary-of-the-repository";
const WRONG: &str = "canary-of-a-wrong-guess";

async fn shared(access: Access, flags: &[&str]) -> Cluster {
    let plane = ControlPlane::shared().await;
    install_crds(plane).await;
    Cluster::on(Plane::Shared(plane), access, flags).await
}

fn secret(cluster: &Cluster, name: &str, kind: &str, data: Value) -> String {
    let metadata = json!({ "namespace": cluster.namespace, "name": name });
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind, "stringData": data,
    });
    format!("---\n{secret}\n")
}

fn registry_secret(cluster: &Cluster, password: &str) -> String {
    let auth = STANDARD.encode(format!("{USER}:{password}"));
    let config = json!({ "auths": { cluster.registry.host(): { "auth": auth } } }).to_string();
    secret(cluster, "registry", "kubernetes.io/dockerconfigjson", json!({ ".dockerconfigjson": config }))
}

fn git_secret(cluster: &Cluster, password: &str) -> String {
    secret(cluster, "git", "Opaque", json!({ "username": "bot", "password": password }))
}

/// The ClusterImageRegistry once more, with the realm of its token server allowed.
async fn allow_realm(cluster: &Cluster) {
    if let Some(realm) = cluster.registry.realm() {
        let patch = json!({ "spec": { "allowedRealms": [realm] } }).to_string();
        let object = format!("imgreg/{}", cluster.namespace);
        cluster.kubectl(&["patch", &object, "--type=merge", "-p", &patch]).await;
    }
}

/// A private registry and a private repository, both named by Secrets that are not there yet.
async fn private(access: Access) -> Cluster {
    let mut cluster = shared(access, &["--allow-http"]).await;
    cluster.git = GitServer::with_auth(cluster.repo.root(), "bot", GIT_PASSWORD).await;
    cluster.registry.push("acme/api", "1.0.0").await;
    cluster.registry.push("acme/api", "1.1.0").await;
    cluster.repo.seed(&[("api.yaml", &cluster.deployment("api", "1.0.0"))]);
    allow_realm(&cluster).await;
    let infra =
        cluster.infra_yaml().replace("spec: {", "spec: {insecureCredentials: true, secretRef: {name: git}, ");
    cluster.apply(&(cluster.policy_yaml("api", CREDENTIALS) + &infra)).await;
    cluster.run_operator();
    cluster
}

#[tokio::test]
async fn secrets_for_passwords_are_told_apart_until_they_are_right_and_then_work() {
    from_missing_to_right(private(Access::Password).await).await;
}

#[tokio::test]
async fn secrets_for_tokens_are_told_apart_until_they_are_right_and_then_work() {
    from_missing_to_right(private(Access::Token).await).await;
}

async fn from_missing_to_right(cluster: Cluster) {
    let namespace = cluster.namespace.clone();
    for (object, name) in [("imgpol/api", "registry"), ("infra/infra", "git")] {
        let status = cluster.status_where(object, "missing", |s| is(s, "SecretInvalid")).await;
        let message = condition(&status, "Ready").unwrap().1;
        assert!(message.contains(&format!("there is no Secret {namespace}/{name}")), "{message}");
        assert!(condition(&status, "Stalled").is_none(), "it is tried again by itself");
    }
    cluster.apply(&secret(&cluster, "registry", "Opaque", json!({ "token": WRONG }))).await;
    cluster.apply(&secret(&cluster, "git", "Opaque", json!({ "username": WRONG }))).await;
    request_both(&cluster, "malformed").await;
    for (object, words) in [("imgpol/api", ".dockerconfigjson"), ("infra/infra", "username but not password")]
    {
        let told = |s: &Value| condition(s, "Ready").is_some_and(|(_, message)| message.contains(words));
        let status = cluster.status_where(object, "malformed", told).await;
        assert!(is(&status, "SecretInvalid"), "{status}");
    }

    cluster.kubectl(&["delete", "secret", "registry"]).await;
    cluster.apply(&(registry_secret(&cluster, WRONG) + &git_secret(&cluster, WRONG))).await;
    request_both(&cluster, "wrong").await;
    for object in ["imgpol/api", "infra/infra"] {
        cluster.status_where(object, "refused", |s| is(s, "AuthenticationFailed")).await;
    }
    assert!(cluster.bot_commits().is_empty());

    // From here on nobody helps.
    cluster.apply(&(registry_secret(&cluster, PASSWORD) + &git_secret(&cluster, GIT_PASSWORD))).await;
    cluster.branch_holds("api.yaml", "acme/api:1.1.0 #").await;
    let secrets = [PASSWORD, GIT_PASSWORD, WRONG];
    cluster.hold(&Invariants::default(), &["imgpol/api", "infra/infra"], &secrets).await;
}

/// Asks for a look at once, instead of after the pause that failures make longer each time.
#[tokio::test]
async fn the_pull_secrets_of_a_service_account_open_a_registry() {
    let mut cluster = shared(Access::Password, &["--allow-http"]).await;
    cluster.registry.push("acme/api", "1.1.0").await;
    let credentials = "credentials: {serviceAccountName: puller}, select: {semver: {range: '*'}}";
    cluster.apply(&cluster.policy_yaml("api", credentials)).await;
    cluster.run_operator();
    let namespace = cluster.namespace.clone();
    let told = |words: String| {
        move |s: &Value| condition(s, "Ready").is_some_and(|(_, message)| message.contains(&words))
    };
    let missing = format!("there is no ServiceAccount {namespace}/puller");
    let status = cluster.status_where("imgpol/api", "missing", told(missing)).await;
    assert!(is(&status, "SecretInvalid"), "{status}");

    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "imagePullSecrets": [{ "name": "gone" }, { "name": "registry" }],
        "metadata": { "namespace": namespace, "name": "puller" },
    });
    cluster.apply(&account.to_string()).await;
    cluster.request_scans("without").await;
    cluster
        .status_where("imgpol/api", "without", told("has no pull secret with an entry for".to_owned()))
        .await;

    cluster.apply(&registry_secret(&cluster, PASSWORD)).await;
    cluster.request_scans("with").await;
    cluster.status_where("imgpol/api", "chosen", |s| s["selected"]["tag"] == "1.1.0").await;
    assert!(!cluster.operator().log().contains(PASSWORD));
}

async fn request_both(cluster: &Cluster, at: &str) {
    cluster.request_scans(at).await;
    let annotation = format!("tagtide.dev/requestedAt={at}");
    cluster.kubectl(&["annotate", "--overwrite", "infra", "--all", &annotation]).await;
}

#[tokio::test]
async fn the_secret_of_a_registry_serves_policies_that_name_none() {
    let mut cluster = shared(Access::Password, &["--allow-http"]).await;
    cluster.registry.push("acme/api", "1.0.0").await;
    cluster.apply(&(registry_secret(&cluster, PASSWORD) + &cluster.policy_yaml("api", SEMVER))).await;
    cluster.run_operator();
    cluster.status_where("imgpol/api", "refused", |s| is(s, "AuthenticationFailed")).await;
    let patch = r#"{"spec":{"credentials":{"secretRef":{"name":"registry"}}}}"#;
    let object = format!("imgreg/{}", cluster.namespace);
    cluster.kubectl(&["patch", &object, "--type=merge", "-p", patch]).await;
    cluster.status_where("imgpol/api", "chosen", |s| s["selected"]["tag"] == "1.0.0").await;
}

/// Waits until an object is stalled because the operator does not allow what it asks for; the words for it.
async fn not_allowed(cluster: &Cluster, object: &str) -> String {
    let status = cluster.status_where(object, "stalled", |s| condition(s, "Stalled").is_some()).await;
    let (reason, message) = condition(&status, "Stalled").unwrap();
    assert_eq!(reason, "NotAllowed", "{object}: {message}");
    message.to_owned()
}

#[tokio::test]
async fn plain_http_and_files_are_for_the_operator_to_allow() {
    // ClusterImageRegistries are for all: the operators of other tests would allow this one's.
    let mut cluster = Cluster::on(Plane::own(|_| {}).await, Access::Anonymous, &[]).await;
    cluster.registry.push("acme/api", "1.0.0").await;
    cluster.repo.seed(&[("api.yaml", &cluster.deployment("api", "0.9.0"))]);
    let file = format!("file://{}", cluster.repo.path().display());
    let by_file =
        cluster.infra_yaml().replace(&cluster.git.url(NAME), &file).replace("name: infra", "name: by-file");
    cluster.apply(&(cluster.infra_yaml() + &by_file + &cluster.policy_yaml("api", SEMVER))).await;
    cluster.run_operator();
    let registry = format!("imgreg/{}", cluster.namespace);
    assert!(not_allowed(&cluster, "infra/infra").await.contains("--allow-http"));
    assert!(not_allowed(&cluster, "infra/by-file").await.contains("--allow-file"));
    assert!(not_allowed(&cluster, &registry).await.contains("--allow-http"));
    assert!(not_allowed(&cluster, "imgpol/api").await.contains("--allow-http"));
    assert_eq!(cluster.registry.requests("GET /v2/acme/api/tags/list"), 0);
    assert_eq!(cluster.git.requests("info/refs"), 0);
    assert!(cluster.bot_commits().is_empty());
}

#[tokio::test]
async fn credentials_over_plain_http_are_for_the_object_to_allow_too() {
    let mut cluster = shared(Access::Anonymous, &["--allow-http"]).await;
    cluster.git = GitServer::with_auth(cluster.repo.root(), "bot", GIT_PASSWORD).await;
    cluster.repo.seed(&[("api.yaml", "a: 1\n")]);
    let infra = cluster.infra_yaml().replace("spec: {", "spec: {secretRef: {name: git}, ");
    cluster.apply(&(git_secret(&cluster, GIT_PASSWORD) + &infra)).await;
    cluster.run_operator();
    assert!(not_allowed(&cluster, "infra/infra").await.contains("spec.insecureCredentials"));
    assert_eq!(cluster.git.requests("info/refs"), 0);
    let patch = r#"{"spec":{"insecureCredentials":true}}"#;
    cluster.kubectl(&["patch", "infra/infra", "--type=merge", "-p", patch]).await;
    cluster.status_where("infra/infra", "well", |s| is(s, "Succeeded")).await;
}

#[tokio::test]
async fn a_repository_over_ssh_is_left_alone_while_its_host_key_is_not_the_known_one() {
    let mut cluster = shared(Access::Anonymous, &["--allow-http"]).await;
    let mut server = SshServer::start("").await;
    let identity = cluster.repo.root().join("identity");
    keygen(&["-t", "ed25519", "-f"], &identity, "");
    server.authorize(&identity);
    let identity = std::fs::read_to_string(identity).unwrap();
    let git_secret = |known_hosts: String| {
        secret(&cluster, "git", "Opaque", json!({ "identity": identity, "known_hosts": known_hosts }))
    };
    let known = git_secret(server.known("ed25519"));
    cluster.registry.push("acme/api", "1.1.0").await;
    cluster.repo.seed(&[("api.yaml", &cluster.deployment("api", "1.0.0"))]);
    let infra = cluster
        .infra_yaml()
        .replace(&cluster.git.url(NAME), &server.url(&cluster.repo.path()))
        .replace("spec: {", "spec: {secretRef: {name: git}, ");
    cluster.apply(&(known + &infra + &cluster.policy_yaml("api", SEMVER))).await;
    server.set_up_anew().await;
    let renewed = git_secret(server.known("ed25519"));
    cluster.run_operator();
    let status = cluster.status_where("infra/infra", "refused", |s| is(s, "HostKeyRejected")).await;
    let message = condition(&status, "Ready").unwrap().1;
    assert!(message.contains("is not the known one"), "{message}");
    assert!(cluster.bot_commits().is_empty());

    // From here on nobody helps.
    cluster.apply(&renewed).await;
    cluster.branch_holds("api.yaml", "acme/api:1.1.0 #").await;
    cluster.status_where("infra/infra", "well", |s| is(s, "Succeeded")).await;
    let line = identity.lines().nth(2).unwrap();
    assert!(!cluster.operator().log().contains(line), "the key is in the log");
}

#[tokio::test]
async fn a_commit_that_shall_be_signed_is_signed_or_not_made() {
    let mut cluster = shared(Access::Anonymous, &["--allow-http"]).await;
    let key = cluster.repo.root().join("key");
    keygen(&["-t", "ed25519", "-f"], &key, "");
    cluster.registry.push("acme/api", "1.1.0").await;
    cluster.repo.seed(&[("api.yaml", &cluster.deployment("api", "1.0.0"))]);
    let signing = "commit: {signing: {secretRef: {name: signing}}}, ";
    let infra = cluster.infra_yaml().replace("spec: {", &format!("spec: {{{signing}"));
    cluster.apply(&(infra + &cluster.policy_yaml("api", SEMVER))).await;
    cluster.run_operator();
    cluster.status_where("infra/infra", "missing", |s| is(s, "SecretInvalid")).await;
    cluster.apply(&secret(&cluster, "signing", "Opaque", json!({ "identity": WRONG }))).await;
    let told = |s: &Value| condition(s, "Ready").is_some_and(|(_, words)| words.contains("no private key"));
    let status = cluster.status_where("infra/infra", "unfit", told).await;
    let message = condition(&status, "Ready").unwrap().1;
    assert!(message.starts_with("spec.commit.signing: ") && !message.contains(WRONG), "{message}");
    cluster.status_where("imgpol/api", "chosen", |s| s["selected"]["tag"] == "1.1.0").await;
    assert!(cluster.bot_commits().is_empty());

    let identity = std::fs::read_to_string(&key).unwrap();
    cluster.apply(&secret(&cluster, "signing", "Opaque", json!({ "identity": identity }))).await;
    cluster.branch_holds("api.yaml", "acme/api:1.1.0 #").await;
    let allowed = cluster.repo.root().join("allowed");
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    std::fs::write(&allowed, format!("tagtide@localhost {public}")).unwrap();
    let file = format!("gpg.ssh.allowedSignersFile={}", allowed.display());
    cluster.repo.git(&cluster.repo.path(), &["-c", &file, "verify-commit", "main"]).success();
    cluster.status_where("infra/infra", "well", |s| is(s, "Succeeded")).await;
}
