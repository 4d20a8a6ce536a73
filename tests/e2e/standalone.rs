//! The same engine over a folder: the objects as files, the statuses beside them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::infra_repo::InfraRepo;
use crate::support::process::Process;
use crate::support::registry::{Access, Registry};
use crate::support::{tagtide, wait_until, workspace};

const PATIENCE: Duration = Duration::from_secs(20);

struct Folder {
    process: Option<Process>,
    registry: Registry,
    repo: InfraRepo,
    folder: tempfile::TempDir,
}

impl Folder {
    /// A folder with one policy, `shop/api`, and a bare repository of this machine.
    async fn start() -> Self {
        let registry = Registry::start(Access::Anonymous).await;
        registry.push("acme/api", "1.0.0").await;
        let repo = InfraRepo::new();
        let host = registry.host();
        let marked = format!("image: {host}/acme/api:1.0.0 # {{\"$imagepolicy\": \"shop:api\"}}\n");
        repo.seed(&[("api.yaml", &marked)]);
        let this = Self { process: None, registry, repo, folder: workspace::folder("standalone") };
        this.write("registry.yaml", &format!(
            "apiVersion: tagtide.dev/v1alpha1\nkind: ClusterImageRegistry\nmetadata: {{name: local}}\nspec: {{host: '{host}', insecure: true}}\n"
        ));
        this.write("infra.yaml", &format!(
            "apiVersion: tagtide.dev/v1alpha1\nkind: InfraRepository\nmetadata: {{name: infra, namespace: shop}}\n\
             spec: {{url: 'file://{}', interval: 1h}}\n",
            this.repo.path().display()
        ));
        this.write_policy("1s", ">=1.0.0 <2.0.0");
        this
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).expect("a file of the folder");
    }

    fn write_policy(&self, interval: &str, range: &str) {
        let host = self.registry.host();
        self.write("api.yaml", &format!(
            "apiVersion: tagtide.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: api, namespace: shop}}\n\
             spec: {{image: '{host}/acme/api', interval: {interval}, select: {{semver: {{range: '{range}'}}}}}}\n"
        ));
    }

    fn run(&mut self) {
        self.process = None;
        let command = tagtide::command(&[
            "standalone",
            "--policies",
            &self.path().to_string_lossy(),
            "--log-level=info",
        ]);
        self.process = Some(tagtide::start(command, self.path()));
    }

    fn status(&self) -> Value {
        let file = self.path().join(".tagtide/status/ImagePolicy.shop.api.json");
        let text = fs::read_to_string(file).unwrap_or_default();
        serde_json::from_str::<Value>(&text).map(|object| object["status"].clone()).unwrap_or_default()
    }

    async fn status_where(&self, what: &str, wish: impl Fn(&Value) -> bool) -> Value {
        wait_until(what, PATIENCE, async || {
            let status = self.status();
            if wish(&status) { Ok(status) } else { Err(status.to_string()) }
        })
        .await
    }

    async fn branch_holds(&self, text: &str) {
        wait_until(&format!("the branch to hold {text}"), PATIENCE, async || {
            let held = self.repo.read("main", "api.yaml");
            if held.contains(text) { Ok(()) } else { Err(held) }
        })
        .await;
    }
}

#[tokio::test]
async fn a_folder_is_as_good_as_a_cluster() {
    let mut folder = Folder::start().await;
    folder.run();
    folder.status_where("the first choice", |s| s["selected"]["tag"] == "1.0.0").await;
    folder.registry.push("acme/api", "1.1.0").await;
    folder.branch_holds("acme/api:1.1.0 #").await;
    let status = folder.status_where("the commit", |s| s["written"][0]["tag"] == "1.1.0").await;
    let head = folder.repo.commits("main")[0].clone();
    assert_eq!(status["written"][0]["commit"], head.id.as_str());
    assert!(
        head.subject.starts_with("Bump ") && head.subject.ends_with("/acme/api to 1.1.0 in shop"),
        "{}",
        head.subject
    );
    let log = folder.process.as_ref().expect("it runs").log();
    assert!(
        log.contains("ImagePolicy shop/api  Succeeded: 1.1.0 is the highest of 2 tags in >=1.0.0 <2.0.0"),
        "{log}"
    );
}

#[tokio::test]
async fn once_it_ends_when_all_is_done_and_tells_how_it_went() {
    let folder = Folder::start().await;
    let host = folder.registry.host();
    folder.registry.push("acme/api", "1.1.0").await;
    folder.registry.push("acme/web", "3.0.0").await;
    let policy = |name: &str, range: &str| {
        folder.write(&format!("{name}.yaml"), &format!(
            "apiVersion: tagtide.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: {name}, namespace: shop}}\n\
             spec: {{image: '{host}/acme/{name}', interval: 1h, select: {{semver: {{range: '{range}'}}}}}}\n"
        ));
    };
    policy("api", ">=1.0.0 <2.0.0");
    policy("web", "*");
    folder.repo.push_as(
        "dev",
        &[("web.yaml", &format!("image: {host}/acme/web:1.0.0 # {{\"$imagepolicy\": \"shop:web\"}}\n"))],
    );
    let once = async |more: &[&str]| {
        let path = folder.path().to_string_lossy().into_owned();
        tagtide::run(&[&["standalone", "--once", "--policies", &path], more].concat()).await
    };

    let ended = once(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(folder.repo.read("main", "api.yaml").contains("acme/api:1.1.0 #"));
    assert!(folder.repo.read("main", "web.yaml").contains("acme/web:3.0.0 #"));
    let bot = folder.repo.commits("main").into_iter().filter(|commit| commit.author == "tagtide").count();
    assert_eq!(bot, 1, "one commit for all that the scans found");
    assert!(ended.stdout.contains("ImagePolicy shop/web  Succeeded"), "{}", ended.stdout);
    assert_eq!(folder.status()["written"][0]["tag"], "1.1.0");

    let again = once(&[]).await;
    assert_eq!(again.code, Some(0), "where nothing is to be done: {}", again.stderr);

    policy("web", ">=9");
    folder.registry.push("acme/api", "1.2.0").await;
    let ended = once(&[]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(folder.repo.read("main", "api.yaml").contains("acme/api:1.2.0 #"), "the others are done");

    policy("web", "*");
    folder.write(
        "broken.yaml",
        "apiVersion: tagtide.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {name: x}\nspec: {y: z}\n",
    );
    assert_eq!(once(&[]).await.code, Some(1), "a file can not be used");
    fs::remove_file(folder.path().join("broken.yaml")).expect("it is there");

    // Who takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("its address");
    folder.write(
        "slow.yaml",
        &format!(
            "apiVersion: tagtide.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: slow, namespace: shop}}\n\
         spec: {{image: '{address}/acme/slow', select: {{semver: {{range: '*'}}}}}}\n"
        ),
    );
    let ended = once(&["--timeout", "2s"]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(ended.stderr.contains("--timeout"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_file_is_read_again_when_it_changes_and_a_broken_one_stops_nothing() {
    let mut folder = Folder::start().await;
    folder.registry.push("acme/api", "2.0.0").await;
    folder.run();
    folder.status_where("the first choice", |s| s["selected"]["tag"] == "1.0.0").await;
    folder.write(
        "broken.yaml",
        "apiVersion: tagtide.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {name: x}\nspec: {imagge: y}\n",
    );
    folder.write_policy("1s", ">=1.0.0");
    folder.branch_holds("acme/api:2.0.0 #").await;
    let log = folder.process.as_ref().expect("it runs").log();
    assert!(log.contains("broken.yaml:4") && log.contains("imagge"), "{log}");
}

#[tokio::test]
async fn a_restart_takes_the_statuses_up_and_commits_nothing_twice() {
    let mut folder = Folder::start().await;
    folder.run();
    folder.registry.push("acme/api", "1.2.0").await;
    folder.branch_holds("acme/api:1.2.0 #").await;
    folder.process.as_ref().expect("it runs").kill();
    folder.run();
    folder.status_where("the repaired status", |s| s["written"][0]["tag"] == "1.2.0").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let bot = folder.repo.commits("main").into_iter().filter(|commit| commit.author == "tagtide").count();
    assert_eq!(bot, 1);
}

#[tokio::test]
async fn a_tag_that_is_pushed_again_is_written_by_its_digest() {
    let mut folder = Folder::start().await;
    let host = folder.registry.host();
    folder.write("api.yaml", &format!(
        "apiVersion: tagtide.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: api, namespace: shop}}\n\
         spec: {{image: '{host}/acme/api', interval: 1s, select: {{follow: {{tag: stable}}}}, platforms: [linux/amd64]}}\n"
    ));
    let first =
        folder.registry.push_image("acme/api", "stable", json!({ "created": "2026-11-20T09:30:00Z" })).await;
    folder.run();
    folder.branch_holds(&format!("acme/api:stable@{first} #")).await;
    let second =
        folder.registry.push_image("acme/api", "stable", json!({ "created": "2026-11-21T09:30:00Z" })).await;
    folder.branch_holds(&format!("acme/api:stable@{second} #")).await;
    let message = folder.repo.commits("main")[0].message.clone();
    assert!(
        message
            .starts_with(&format!("Bump {host}/acme/api:stable to {} in shop\n", second.get(..19).unwrap())),
        "{message}"
    );
    assert!(message.contains(&format!("  {first} →\n  {second}\n")), "{message}");
    let moved = format!("it moved from {first} to {second}");
    let told = |s: &Value| s["selected"]["reason"].as_str().is_some_and(|reason| reason.contains(&moved));
    let status = folder.status_where("where it moved", told).await;
    assert_eq!(status["selected"]["digest"], second.as_str());
    assert_eq!(folder.registry.requests("GET /v2/acme/api/tags/list"), 0, "no list is read");
}

/// The objects of a registry with a mirror under the same names.
fn with_mirror(folder: &Folder, mirror: &Registry) {
    let (host, mirror) = (folder.registry.host(), mirror.host());
    folder.write(
        "registry.yaml",
        &format!(
            "apiVersion: tagtide.dev/v1alpha1\nkind: ClusterImageRegistry\nmetadata: {{name: local}}\n\
         spec: {{host: '{host}', insecure: true, mirrors: [{{host: '{mirror}'}}]}}\n---\n\
         apiVersion: tagtide.dev/v1alpha1\nkind: ClusterImageRegistry\nmetadata: {{name: mirror}}\n\
         spec: {{host: '{mirror}', insecure: true}}\n"
        ),
    );
}

fn message(status: &Value) -> &str {
    status["conditions"][0]["message"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_mirror_that_lags_lowers_nothing_and_what_the_registry_itself_takes_back_is_taken_back() {
    let mut folder = Folder::start().await;
    let mirror = Registry::start(Access::Anonymous).await;
    mirror.push("acme/api", "1.0.0").await;
    folder.registry.push("acme/api", "1.1.0").await;
    let host = folder.registry.host();
    folder.write("api.yaml", &format!(
        "apiVersion: tagtide.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: api, namespace: shop}}\n\
         spec: {{image: '{host}/acme/api', interval: 1s, downgrade: Allow, select: {{semver: {{range: '*'}}}}}}\n"
    ));
    folder.run();
    folder.branch_holds("acme/api:1.1.0 #").await;

    with_mirror(&folder, &mirror);
    let words = format!("; asked of {host}, not of {} (ListShrank)", mirror.host());
    let status = folder.status_where("who was asked", |s| message(s).contains(&words)).await;
    assert_eq!(status["selected"]["tag"], "1.1.0");

    folder.registry.kill();
    let doubted = |s: &Value| message(s).contains("has only 1.0.0; 1.1.0 stays selected until");
    let status = folder.status_where("doubt", doubted).await;
    assert_eq!(
        (&status["conditions"][0]["reason"], &status["selected"]["tag"]),
        (&json!("Unreachable"), &json!("1.1.0"))
    );
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(folder.status()["selected"]["tag"], "1.1.0", "however often the mirror says it");

    mirror.push("acme/api", "1.2.0").await;
    folder.branch_holds("acme/api:1.2.0 #").await;
    let status = folder
        .status_where("the mirror's", |s| message(s).ends_with(&format!("asked of {}", mirror.host())))
        .await;
    assert_eq!(status["selected"]["tag"], "1.2.0", "up it may go by itself");

    mirror.delete_tag("acme/api", "1.2.0");
    folder.registry.restart().await;
    folder.branch_holds("acme/api:1.1.0 #").await;
    let subjects: Vec<String> =
        folder.repo.commits("main").into_iter().map(|commit| commit.subject).collect();
    let bumps = subjects.iter().filter(|subject| subject.contains("acme/api to")).count();
    assert_eq!(bumps, 3, "1.1.0, 1.2.0 and back, when the registry itself said so: {subjects:?}");
}

#[tokio::test]
async fn a_digest_does_not_go_back_to_what_a_mirror_still_has() {
    let mut folder = Folder::start().await;
    let mirror = Registry::start(Access::Anonymous).await;
    let day = |day: u32| json!({ "created": format!("2026-11-{day}T09:30:00Z") });
    let old = mirror.push_image("acme/api", "stable", day(20)).await;
    let new = folder.registry.push_image("acme/api", "stable", day(21)).await;
    assert_ne!(old, new);
    let host = folder.registry.host();
    folder.write(
        "api.yaml",
        &format!(
            "apiVersion: tagtide.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: api, namespace: shop}}\n\
         spec: {{image: '{host}/acme/api', interval: 1s, select: {{follow: {{tag: stable}}}}}}\n"
        ),
    );
    folder.run();
    folder.branch_holds(&format!("acme/api:stable@{new} #")).await;
    with_mirror(&folder, &mirror);
    let asked = format!("; asked of {host}, not of {} (ListShrank)", mirror.host());
    folder.status_where("who was asked", |s| message(s).ends_with(&asked)).await;
    folder.registry.kill();
    folder.status_where("doubt", |s| message(s).contains(&format!("has only stable@{old}"))).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(folder.repo.read("main", "api.yaml").contains(&new));
    let newest = mirror.push_image("acme/api", "stable", day(22)).await;
    folder.registry.restart().await;
    assert_eq!(folder.registry.push_image("acme/api", "stable", day(22)).await, newest);
    folder.branch_holds(&format!("acme/api:stable@{newest} #")).await;
    let commits = folder.repo.commits("main").into_iter().filter(|commit| commit.author == "tagtide").count();
    assert_eq!(commits, 2, "never back");
}
