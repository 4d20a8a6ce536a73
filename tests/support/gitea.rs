//! A real forge: Gitea over SQLite, with users, tokens and protected branches, reached over HTTP and its own SSH server.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::control_plane::tools;
use super::infra_repo::hermetic_git;
use super::process::{Finished, Process, finish, free_address, tied};
use super::{wait_until, workspace};

/// The user who owns the repositories, and may do everything.
pub const USER: &str = "bot";
pub const PASSWORD: &str = "password-of-the-bot";

/// A running forge. Killed on drop.
pub struct Gitea {
    process: Option<Process>,
    folder: TempDir,
    http: SocketAddr,
    ssh: SocketAddr,
    /// A token of [`USER`] for everything.
    token: String,
}

impl Gitea {
    /// Starts one that has a user and no repository.
    pub async fn start() -> Self {
        // The API's client may be the first user of TLS in this process; it is no matter if it is not.
        rustls::crypto::ring::default_provider().install_default().ok();
        let folder = workspace::folder("gitea");
        let mut gitea =
            Self { process: None, folder, http: free_address(), ssh: free_address(), token: String::new() };
        fs::create_dir(gitea.folder.path().join("custom")).expect("a folder for its own files");
        fs::write(gitea.settings(), gitea.settings_text()).expect("its settings");
        gitea.run(&["migrate"]).await;
        let (name, password) = (format!("--username={USER}"), format!("--password={PASSWORD}"));
        let email = format!("--email={USER}@example.com");
        let create =
            ["admin", "user", "create", &name, &password, &email, "--admin", "--must-change-password=false"];
        gitea.run(&create).await;
        gitea.token = gitea.new_token("all").await;
        let process = Process::spawn("gitea", gitea.command(&["web"]), gitea.folder.path());
        gitea.process = Some(process);
        let url = format!("http://{}/api/v1/version", gitea.http);
        wait_until("the forge", Duration::from_secs(60), async || match reqwest::get(&url).await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(answer.status().to_string()),
            Err(error) => Err(error.to_string()),
        })
        .await;
        gitea
    }

    /// One more token of [`USER`], as a person makes one in the settings.
    pub async fn new_token(&self, name: &str) -> String {
        let (user, name) = (format!("--username={USER}"), format!("--token-name={name}"));
        let words = ["admin", "user", "generate-access-token", &user, &name, "--scopes=all", "--raw"];
        let printed = self.run(&words).await;
        // Its warnings go the same way.
        printed.lines().last().expect("a token").to_owned()
    }

    /// Takes a token back.
    pub async fn revoke_token(&self, name: &str) {
        let request = self.request(Method::DELETE, &format!("users/{USER}/tokens/{name}"));
        // Tokens are managed with the password alone.
        let answer = request.basic_auth(USER, Some(PASSWORD)).send().await.expect("an answer");
        assert!(answer.status().is_success(), "revoke {name}: {}", answer.status());
    }

    /// Makes a repository of [`USER`] without a commit.
    pub async fn create_repo(&self, name: &str) {
        let body = json!({ "name": name, "default_branch": "main", "private": true });
        self.api(Method::POST, "user/repos", body).await;
    }

    /// Asks its API as [`USER`], below `/api/v1/`.
    ///
    /// # Panics
    /// Where it refuses.
    pub async fn api(&self, method: Method, path: &str, body: Value) -> Value {
        let what = format!("{method} {path}");
        let request = self.request(method, path).header("authorization", format!("token {}", self.token));
        let answer = request
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
        assert!(status.is_success(), "{what}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        reqwest::Client::new().request(method, format!("http://{}/api/v1/{path}", self.http))
    }

    /// Lets a public key in as [`USER`].
    pub async fn authorize(&self, key: &Path) {
        let public = fs::read_to_string(key.with_extension("pub")).expect("the public key");
        self.api(Method::POST, "user/keys", json!({ "title": "test", "key": public.trim() })).await;
    }

    /// Commits a file through the API, as a person does in the web editor; the commit.
    pub async fn commit_file(&self, repo: &str, path: &str, content: &str) -> String {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;
        let what = format!("repos/{USER}/{repo}/contents/{path}");
        let known = self.request(Method::GET, &what).basic_auth(USER, Some(PASSWORD)).send().await;
        let known = known.expect("an answer").text().await.unwrap_or_default();
        let known: Value = serde_json::from_str(&known).unwrap_or_default();
        let jane = json!({ "name": "Jane", "email": "jane@example.com" });
        let mut body = json!({
            "content": STANDARD.encode(content), "branch": "main", "message": format!("Jane writes {path}"),
            "author": jane, "committer": jane,
        });
        let method = match known["sha"].as_str() {
            Some(sha) => {
                body["sha"] = sha.into();
                Method::PUT
            }
            None => Method::POST,
        };
        let answer = self.api(method, &what, body).await;
        answer["commit"]["sha"].as_str().expect("a commit").to_owned()
    }

    /// The host and port, as they stand before the path of one of its images.
    pub fn host(&self) -> String {
        self.http.to_string()
    }

    /// The address of a repository over HTTP.
    pub fn url(&self, repo: &str) -> String {
        format!("http://{}/{USER}/{repo}.git", self.http)
    }

    /// The address of a repository over SSH.
    pub fn ssh_url(&self, repo: &str) -> String {
        format!("ssh://git@{}/{USER}/{repo}.git", self.ssh)
    }

    /// The line of `known_hosts` for its SSH server.
    pub async fn known_hosts(&self) -> String {
        let mut command = Command::new("ssh-keyscan");
        command.args(["-T", "10", "-p", &self.ssh.port().to_string(), "127.0.0.1"]);
        finish(command).await.success()
    }

    /// The bare repository on its disk.
    pub fn path(&self, repo: &str) -> PathBuf {
        self.folder.path().join(format!("repositories/{USER}/{repo}.git"))
    }

    /// Makes a shell script one of the repository's own hooks, which Gitea runs beside its own.
    pub fn hook(&self, repo: &str, name: &str, script: &str) {
        let folder = self.path(repo).join(format!("hooks/{name}.d"));
        fs::create_dir_all(&folder).expect("a folder for hooks");
        let path = folder.join("zz-test");
        fs::write(&path, format!("#!/bin/sh\n{script}")).expect("a hook");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a program");
    }

    /// Git in the bare repository.
    pub fn git(&self, repo: &str, args: &[&str]) -> String {
        let output = hermetic_git(&self.path(repo)).args(args).output().expect("git");
        Finished::from(output).success().trim().to_owned()
    }

    async fn run(&self, words: &[&str]) -> String {
        finish(self.command(words)).await.success()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = tied(tools().join("gitea"));
        command.args(words).arg("--config").arg(self.settings());
        command.env("GITEA_WORK_DIR", self.folder.path()).env("HOME", self.folder.path());
        command.env("GIT_CONFIG_NOSYSTEM", "1");
        command
    }

    fn settings(&self) -> PathBuf {
        self.folder.path().join("app.ini")
    }

    fn settings_text(&self) -> String {
        let program = tools().join("gitea").canonicalize().expect("gitea");
        let files = program.parent().expect("its folder").display();
        let (folder, http, ssh) = (self.folder.path().display(), self.http.port(), self.ssh.port());
        // The secrets protect sessions that nobody has; a database that outlives a power cut would take ten times as long.
        let secret = "c2VjcmV0LW9mLWEtdGVzdC1mb3JnZS0wMTIzNDU2Nzg";
        format!(
            "RUN_USER = {user}\nI_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true\nRUN_MODE = prod\nWORK_PATH = {folder}\n\
             [server]\nHTTP_ADDR = 127.0.0.1\nHTTP_PORT = {http}\nROOT_URL = http://127.0.0.1:{http}/\n\
             STATIC_ROOT_PATH = {files}\nOFFLINE_MODE = true\nLFS_START_SERVER = false\nSTART_SSH_SERVER = true\n\
             BUILTIN_SSH_SERVER_USER = git\nSSH_DOMAIN = 127.0.0.1\nSSH_LISTEN_HOST = 127.0.0.1\nSSH_PORT = {ssh}\n\
             SSH_LISTEN_PORT = {ssh}\n\
             [database]\nDB_TYPE = sqlite3\nPATH = {folder}/gitea.db?_synchronous=OFF&_=\n\
             [repository]\nROOT = {folder}/repositories\nDEFAULT_BRANCH = main\n\
             [security]\nINSTALL_LOCK = true\nSECRET_KEY = {secret}\nPASSWORD_HASH_ALGO = pbkdf2$2$32\n\
             [oauth2]\nENABLED = false\nJWT_SECRET = {secret}\n[service]\nDISABLE_REGISTRATION = true\n\
             [log]\nMODE = console\nLEVEL = Warn\n[actions]\nENABLED = false\n[cron]\nENABLED = false\n\
             [indexer]\nISSUE_INDEXER_TYPE = db\n[queue]\nTYPE = channel\n\
             [webhook]\nALLOWED_HOST_LIST = loopback\n",
            user = user(),
        )
    }
}

/// Who runs the tests, as whom it must run too.
fn user() -> String {
    let output = Command::new("id").arg("-un").output().expect("id");
    Finished::from(output).success().trim().to_owned()
}
