//! The harness itself: what the other tests take for granted.

use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use rustix::process::Signal;

use tagtide::demo::registry::RegistryServer;

use crate::support::control_plane::{ControlPlane, client_from, tools};
use crate::support::git_server::GitServer;
use crate::support::infra_repo::{InfraRepo, NAME, fleet_file, fleet_path, hermetic_git};
use crate::support::process::{Process, finish, free_address, tied};
use crate::support::registry::{Access, PASSWORD, Registry, USER};
use crate::support::{self, wait_until, workspace};

const CONFIG_MAP: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: tide}
data: {level: high}
";

fn in_namespace(yaml: &str, namespace: &str) -> String {
    yaml.replace("{name: ", &format!("{{namespace: {namespace}, name: "))
}

#[tokio::test]
async fn the_control_plane_keeps_what_is_applied() {
    let plane = ControlPlane::shared().await;
    let namespace = plane.namespace("shop").await;
    plane.apply(&in_namespace(CONFIG_MAP, &namespace)).await;
    let maps: Api<ConfigMap> = Api::namespaced(plane.client().await, &namespace);
    let map = maps.get("tide").await.unwrap();
    assert_eq!(map.data.unwrap()["level"], "high");
}

#[tokio::test]
async fn a_service_account_may_do_only_what_rbac_lets_it() {
    let plane = ControlPlane::shared().await;
    let namespace = plane.namespace("shop").await;
    plane.apply(&in_namespace(CONFIG_MAP, &namespace)).await;
    let kubeconfig = plane.service_account(&namespace, "reader").await;
    let maps: Api<ConfigMap> = Api::namespaced(client_from(&kubeconfig).await, &namespace);
    let refused = maps.get("tide").await.unwrap_err();
    assert!(matches!(&refused, kube::Error::Api(status) if status.code == 403), "{refused}");

    let kubectl = async |args: &[&str]| plane.kubectl(&[&["-n", &namespace], args].concat()).await.success();
    kubectl(&["create", "role", "read", "--verb=get", "--resource=configmaps"]).await;
    let account = format!("--serviceaccount={namespace}:reader");
    kubectl(&["create", "rolebinding", "read", "--role=read", &account]).await;
    wait_until("the role to count", Duration::from_secs(10), async || maps.get("tide").await).await;
}

#[tokio::test]
async fn a_killed_api_server_comes_back_with_its_objects() {
    let mut plane = ControlPlane::start().await;
    plane.apply(&in_namespace(CONFIG_MAP, "default")).await;
    plane.kill_api_server();
    let down = plane.kubectl(&["get", "configmap", "tide"]).await;
    assert_eq!(down.code, Some(1), "{down:?}");
    plane.restart_api_server().await;
    let level = plane.kubectl(&["get", "configmap", "tide", "-o", "jsonpath={.data.level}"]).await.success();
    assert_eq!(level, "high");
}

#[tokio::test]
async fn helm_is_among_the_tools() {
    let mut command = tied(tools().join("helm"));
    command.args(["version", "--template", "{{.Version}}"]);
    let version = finish(command).await.success();
    assert!(version.starts_with("v3."), "{version}");
}

#[tokio::test]
async fn every_registry_takes_and_lists_images() {
    for access in [Access::Anonymous, Access::Password, Access::Token] {
        let registry = Registry::start(access).await;
        let older = registry.push("acme/api", "1.9.3").await;
        let newer = registry.push("acme/api", "1.9.4").await;
        assert_ne!(older, newer, "{access:?}: each tag has content of its own");
        assert_eq!(registry.tags("acme/api").await, ["1.9.3", "1.9.4"], "{access:?}");
        registry.delete_tag("acme/api", "1.9.3");
        assert_eq!(registry.tags("acme/api").await, ["1.9.4"], "{access:?}");
        assert_eq!(registry.tokens_issued() > 0, access == Access::Token, "{access:?}");
    }
}

#[tokio::test]
async fn a_registry_with_users_refuses_a_stranger() {
    for access in [Access::Password, Access::Token] {
        let registry = Registry::start(access).await;
        let answer = reqwest::get(format!("{}/v2/", registry.url())).await.unwrap();
        assert_eq!(answer.status(), 401, "{access:?}");
        let client = reqwest::Client::new();
        let request = client.get(format!("{}/v2/", registry.url())).basic_auth(USER, Some(PASSWORD));
        let expected = if access == Access::Password { 200 } else { 401 };
        assert_eq!(request.send().await.unwrap().status(), expected, "{access:?}");
    }
}

#[tokio::test]
async fn a_killed_registry_comes_back_with_its_images() {
    let mut registry = Registry::start(Access::Anonymous).await;
    registry.push("acme/api", "1.9.3").await;
    registry.kill();
    reqwest::get(registry.url()).await.unwrap_err();
    registry.restart().await;
    assert_eq!(registry.tags("acme/api").await, ["1.9.3"]);
}

#[tokio::test]
async fn a_registry_counts_what_it_is_asked() {
    let registry = Registry::start(Access::Anonymous).await;
    registry.push("acme/api", "1.9.3").await;
    assert_eq!(registry.requests("GET /v2/acme/api/tags/list"), 0);
    for _ in 0..3 {
        registry.tags("acme/api").await;
    }
    wait_until("the log", Duration::from_secs(5), async || {
        match registry.requests("GET /v2/acme/api/tags/list") {
            3 => Ok(()),
            other => Err(format!("{other} requests")),
        }
    })
    .await;
}

#[tokio::test]
async fn the_demos_registry_answers_until_it_is_dropped() {
    let folder = workspace::folder("demo");
    let registry = RegistryServer::start(folder.path()).await.unwrap();
    let url = format!("http://{}/v2/", registry.host());
    assert_eq!(reqwest::get(&url).await.unwrap().status(), 200);
    drop(registry);
    wait_until("the port to close", Duration::from_secs(5), async || match reqwest::get(&url).await {
        Ok(answer) => Err(answer.status()),
        Err(_) => Ok(()),
    })
    .await;
}

#[tokio::test]
async fn the_demos_registry_names_a_folder_that_it_cannot_use() {
    let folder = workspace::folder("demo");
    let missing = folder.path().join("nowhere");
    let error = RegistryServer::start(&missing).await.err().unwrap().to_string();
    assert_eq!(error, format!("prepare a registry in {}", missing.display()));
}

async fn git(folder: &Path, args: &[&str]) -> crate::support::process::Finished {
    let mut command = hermetic_git(folder);
    command.args(args);
    finish(command).await
}

#[tokio::test]
async fn a_clone_can_be_changed_and_pushed_over_http() {
    let repo = InfraRepo::new();
    repo.seed(&[("README.md", "# Shop\n")]);
    let server = GitServer::start(repo.root()).await;
    let clone = workspace::folder("clone");
    git(clone.path(), &["clone", "--quiet", &server.url(NAME), "."]).await.success();
    assert_eq!(server.requests("git-receive-pack"), 0);

    // More than Git's http.postBuffer of 1 MiB, so that the body arrives in chunks of unknown number.
    let large: String = (0..300_000).map(|number| format!("{:x}\n", number * 2_654_435_761_u64)).collect();
    std::fs::write(clone.path().join("large.txt"), &large).unwrap();
    git(clone.path(), &["add", "."]).await.success();
    git(clone.path(), &["commit", "--quiet", "-m", "Add a large file\n\nTide: high"]).await.success();
    git(clone.path(), &["push", "--quiet", "origin", "main"]).await.success();

    assert!(server.requests("git-receive-pack") > 0);
    assert_eq!(repo.read("main", "large.txt"), large);
    let commits = repo.commits("main");
    let subjects: Vec<&str> = commits.iter().map(|commit| commit.subject.as_str()).collect();
    assert_eq!(subjects, ["Add a large file", "Seed"]);
    assert_eq!(commits[0].trailers, [("Tide".to_owned(), "high".to_owned())]);
}

#[tokio::test]
async fn a_git_server_with_a_user_refuses_a_stranger() {
    let repo = InfraRepo::new();
    repo.seed(&[("README.md", "# Shop\n")]);
    let server = GitServer::with_auth(repo.root(), "bot", "pass:word").await;
    let url = server.url(NAME);
    let here = repo.root();
    let refused = git(here, &["ls-remote", &url]).await;
    assert_eq!(refused.code, Some(128), "{refused:?}");
    let listed =
        git(here, &["ls-remote", &url.replace("http://", "http://bot:pass%3Aword@")]).await.success();
    assert!(listed.contains("refs/heads/main"), "{listed}");
}

#[tokio::test]
async fn a_repository_that_is_not_there_is_not_found() {
    let repo = InfraRepo::new();
    let server = GitServer::start(repo.root()).await;
    for folder in ["other.git", "../other.git", "%2e%2e/other.git"] {
        let url = server.url(&format!("{folder}/info/refs?service=git-upload-pack"));
        assert_eq!(reqwest::get(url).await.unwrap().status(), 404, "{folder}");
    }
}

#[test]
fn a_persons_push_follows_a_seed_of_many_files() {
    let repo = InfraRepo::new();
    repo.seed_large(60, "registry.example.com");
    repo.push_as("Jane", &[("docs/notes.md", "Low tide at noon.\n")]);
    assert_eq!(repo.read("main", &fleet_path(59)), fleet_file(59, "registry.example.com", "1.0.0"));
    assert_eq!(fleet_path(59), "apps/group-0002/app-00059.yaml");
    assert!(fleet_file(59, "registry.example.com", "1.0.0").contains(
        "image: registry.example.com/acme/app-00059:1.0.0 # {\"$imagepolicy\": \"shop:app-00059\"}\n"
    ));
    let authors: Vec<String> = repo.commits("main").into_iter().map(|commit| commit.author).collect();
    assert_eq!(authors, ["Jane", "Test"]);
}

#[tokio::test]
async fn the_program_runs_to_its_end_or_beside_the_test() {
    let finished = support::tagtide::run(&["--help"]).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let folder = workspace::folder("tagtide");
    let process = support::tagtide::start(support::tagtide::command(&["--help"]), folder.path());
    assert!(process.exited(Duration::from_secs(5)).await.success());
    assert_eq!(process.log(), finished.stdout);
}

#[tokio::test]
async fn a_process_is_gone_with_all_its_children_when_it_is_dropped() {
    let folder = workspace::folder("process");
    let mut command = tied("sh");
    command.args(["-c", "sleep 1000 & echo $!; wait"]);
    let process = Process::spawn("sleeper", command, folder.path());
    let child =
        wait_until("the child's id", Duration::from_secs(5), async || process.log().trim().parse::<u32>())
            .await;
    let state = Path::new("/proc").join(child.to_string());
    assert!(state.exists());
    drop(process);
    wait_until("the child to go", Duration::from_secs(5), async || {
        if state.exists() { Err("it is there") } else { Ok(()) }
    })
    .await;
}

#[test]
fn a_process_outlives_the_thread_that_started_it() {
    let folder = workspace::folder("process");
    let start = || {
        let mut command = tied("sh");
        command.args(["-c", "echo up; exec sleep 1000"]);
        let process = Process::spawn("sleeper", command, folder.path());
        while process.log().is_empty() {
            std::thread::sleep(Duration::from_millis(10));
        }
        process
    };
    let process = std::thread::scope(|scope| scope.spawn(start).join().unwrap());
    // A signal that the thread's end had sent would have arrived by now.
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(process.exit_status(), None);
}

#[tokio::test]
async fn a_process_ends_on_a_signal() {
    let folder = workspace::folder("process");
    let mut command = tied("sleep");
    command.arg("1000");
    let process = Process::spawn("sleeper", command, folder.path());
    assert_eq!(process.exit_status(), None);
    process.signal(Signal::TERM);
    let status = process.exited(Duration::from_secs(5)).await;
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(15));
}

#[test]
fn no_two_free_addresses_are_the_same() {
    let addresses: std::collections::BTreeSet<_> = (0..50).map(|_| free_address()).collect();
    assert_eq!(addresses.len(), 50);
}

#[tokio::test]
#[should_panic(expected = "waited 200ms for the tide; the last look saw: still low")]
async fn a_wait_in_vain_says_what_it_saw_last() {
    wait_until("the tide", Duration::from_millis(200), async || Err::<(), _>("still low")).await;
}
