//! A real container registry, with real images in it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use oci_distribution::client::{ClientConfig, ClientProtocol, Config};
use oci_distribution::manifest::{IMAGE_CONFIG_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE};
use oci_distribution::secrets::RegistryAuth;
use oci_distribution::{Client, Reference};
use reqwest::header::HeaderValue;
use rustix::process::Signal;
use serde_json::{Value, json};
use tagtide::demo::image::tiny_image;
use tagtide::demo::registry::{PROGRAM, configuration};
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::control_plane::tools;
use super::process::{Process, free_address, tied};
use super::token_server::{ISSUER, SERVICE, TokenServer};
use super::{wait_until, workspace};

/// The user of the registries that know one.
pub const USER: &str = "bot";
pub const PASSWORD: &str = "tide-s3cret";
/// The bcrypt hash of [`PASSWORD`], at the lowest cost.
const HTPASSWD: &str = "bot:$2b$04$ydFtiPI/MrmVcIkaco9WS.dyul7nGPnLjcD9jCRtNMbne5P0J81sS\n";

/// Who may use a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone.
    Anonymous,
    /// [`USER`], with the password in every request.
    Password,
    /// [`USER`], with tokens from a token server.
    Token,
}

/// A running registry. Killed on drop.
pub struct Registry {
    process: Process,
    program: PathBuf,
    folder: TempDir,
    address: SocketAddr,
    access: Access,
    tokens: Option<TokenServer>,
    client: Client,
    /// All that was ever pushed, as `acme/api:1.0.0`.
    pushed: Mutex<BTreeSet<String>>,
}

impl Registry {
    /// Starts an empty one.
    pub async fn start(access: Access) -> Self {
        Self::start_with(access, |_| {}).await
    }

    /// Starts the program of distribution 3, which gives at most so many tags at once.
    pub async fn start_3(page: usize) -> Self {
        let change = |config: &mut Value| config["tags"] = json!({ "maxtags": page });
        Self::start_program(tools().join("registry"), Access::Anonymous, change).await
    }

    /// Starts one that has what another one has, and fetches that when it is asked (a pull-through cache).
    pub async fn cache_of(upstream: &Self) -> Self {
        let url = upstream.url();
        Self::start_with(Access::Anonymous, |config| config["proxy"] = json!({ "remoteurl": url })).await
    }

    /// Starts an empty one for anyone, which tells this address of each push and proves itself by this token.
    pub async fn that_notifies(url: &str, token: &str) -> Self {
        let headers = json!({ "Authorization": [format!("Bearer {token}")] });
        let endpoint = json!({
            "name": "tagtide", "url": url, "headers": headers, "timeout": "2s", "threshold": 5, "backoff": "200ms",
        });
        let notifications = json!({ "endpoints": [endpoint] });
        Self::start_with(Access::Anonymous, |config| config["notifications"] = notifications).await
    }

    async fn start_with(access: Access, change: impl FnOnce(&mut Value)) -> Self {
        Self::start_program(PROGRAM.into(), access, change).await
    }

    async fn start_program(program: PathBuf, access: Access, change: impl FnOnce(&mut Value)) -> Self {
        // The client below may be the first user of TLS in this process; it is no matter if it is not.
        rustls::crypto::ring::default_provider().install_default().ok();
        let folder = workspace::folder("registry");
        let address = free_address();
        let mut config = configuration(&folder.path().join("storage"), address);
        config["log"]["accesslog"]["disabled"] = json!(false);
        let mut tokens = None;
        match access {
            Access::Anonymous => {}
            Access::Password => {
                let file = folder.path().join("htpasswd");
                std::fs::write(&file, HTPASSWD).expect("the password file");
                config["auth"] = json!({ "htpasswd": { "realm": "test", "path": file } });
            }
            Access::Token => {
                let trusted = folder.path().join("tokens.pem");
                let server = tokens.insert(TokenServer::start(USER, PASSWORD, &trusted).await);
                let token = json!({
                    "realm": server.url(), "service": SERVICE, "issuer": ISSUER, "rootcertbundle": trusted,
                });
                config["auth"] = json!({ "token": token });
            }
        }
        change(&mut config);
        std::fs::write(folder.path().join("config.yml"), config.to_string()).expect("the configuration");
        let process = launch(&program, &folder, address).await;
        let client = Client::new(ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() });
        Self { process, program, folder, address, access, tokens, client, pushed: Mutex::default() }
    }

    /// Ends it as a crash would; its images stay.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Has it stand still: it takes connections and answers nothing.
    pub fn pause(&self) {
        self.process.signal(Signal::STOP);
    }

    /// Has it go on.
    pub fn resume(&self) {
        self.process.signal(Signal::CONT);
    }

    /// Starts it again at the same address.
    pub async fn restart(&mut self) {
        self.kill();
        self.process = launch(&self.program, &self.folder, self.address).await;
    }

    /// Starts it again at the same address, with nothing in it.
    pub async fn restart_empty(&mut self) {
        self.kill();
        std::fs::remove_dir_all(self.folder.path().join("storage")).expect("the images");
        self.restart().await;
    }

    /// The host and port, as they stand before an image's path.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// What it has printed.
    pub fn log(&self) -> String {
        self.process.log()
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests that begin like this it has answered: `GET /v2/acme/api/tags/list`. Its log may be a moment late.
    pub fn requests(&self, start: &str) -> usize {
        self.process.log().matches(&format!("\"{start}")).count()
    }

    /// The host and port of its token server, where it has one.
    pub fn realm(&self) -> Option<String> {
        let url = self.tokens.as_ref()?.url();
        Some(url.trim_start_matches("http://").trim_end_matches("/token").to_owned())
    }

    /// How many tokens its token server has given out, those for this harness's own pushes among them.
    pub fn tokens_issued(&self) -> u64 {
        self.tokens.as_ref().map_or(0, TokenServer::issued)
    }

    /// Pushes a tiny image whose content differs from tag to tag, and gives its digest.
    pub async fn push(&self, repository: &str, tag: &str) -> String {
        self.push_image(repository, tag, json!({})).await
    }

    /// Whether a tag was ever pushed, wherever it is now.
    pub fn ever_held(&self, repository: &str, tag: &str) -> bool {
        self.lock_pushed().contains(&format!("{repository}:{tag}"))
    }

    fn lock_pushed(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.pushed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pushes an image with this configuration (the rest of it is filled in), and gives its digest.
    pub async fn push_image(&self, repository: &str, tag: &str, mut config: Value) -> String {
        let (layer, rest) = tiny_image(tag);
        let rest: Value = serde_json::from_slice(&rest.data).expect("a configuration");
        for (name, value) in rest.as_object().into_iter().flatten() {
            config.as_object_mut().expect("an object").entry(name).or_insert_with(|| value.clone());
        }
        let config = Config::new(config.to_string(), IMAGE_CONFIG_MEDIA_TYPE.to_owned(), None);
        let image = Reference::with_tag(self.host(), repository.to_owned(), tag.to_owned());
        let pushed = self.client.push(&image, &[layer], config, &self.auth(), None).await;
        pushed.unwrap_or_else(|error| panic!("push {image}: {error}"));
        self.lock_pushed().insert(format!("{repository}:{tag}"));
        let digest = self.client.fetch_manifest_digest(&image, &self.auth()).await;
        digest.unwrap_or_else(|error| panic!("read {image}: {error}"))
    }

    /// Pushes an index of images that are there, each a digest and its platform, and gives its digest.
    pub async fn push_index(
        &self,
        repository: &str,
        tag: &str,
        images: &[(&str, Value)],
        annotations: Value,
    ) -> String {
        let entry = |(digest, platform): &(&str, Value)| json!({ "mediaType": OCI_IMAGE_MEDIA_TYPE, "digest": digest, "size": 1, "platform": platform });
        let manifests: Vec<Value> = images.iter().map(entry).collect();
        let index = json!({
            "schemaVersion": 2, "mediaType": OCI_IMAGE_INDEX_MEDIA_TYPE, "manifests": manifests, "annotations": annotations,
        });
        let image = Reference::with_tag(self.host(), repository.to_owned(), tag.to_owned());
        self.client.store_auth_if_needed(&self.host(), &self.auth()).await;
        let kind = HeaderValue::from_static(OCI_IMAGE_INDEX_MEDIA_TYPE);
        let pushed = self.client.push_manifest_raw(&image, index.to_string(), kind).await;
        pushed.unwrap_or_else(|error| panic!("push {image}: {error}"));
        self.lock_pushed().insert(format!("{repository}:{tag}"));
        let digest = self.client.fetch_manifest_digest(&image, &self.auth()).await;
        digest.unwrap_or_else(|error| panic!("read {image}: {error}"))
    }

    /// Takes a tag away; the image it named stays, reachable by its digest.
    pub fn delete_tag(&self, repository: &str, tag: &str) {
        // Distribution 2 deletes by digest only, and with that every tag of the image. A tag is a folder of its storage.
        let tags = format!("storage/docker/registry/v2/repositories/{repository}/_manifests/tags");
        let folder: PathBuf = self.folder.path().join(tags).join(tag);
        std::fs::remove_dir_all(&folder).unwrap_or_else(|error| panic!("delete {repository}:{tag}: {error}"));
    }

    /// Takes a tag away as its clients do, which distribution 3 lets them.
    pub async fn untag(&self, repository: &str, tag: &str) {
        let url = format!("{}/v2/{repository}/manifests/{tag}", self.url());
        let answer = reqwest::Client::new().delete(url).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 202, "delete {repository}:{tag}");
    }

    /// The tags that the registry lists, sorted: this one gives them in the order of its disk.
    pub async fn tags(&self, repository: &str) -> Vec<String> {
        let image = Reference::with_tag(self.host(), repository.to_owned(), "any".to_owned());
        let listed = self.client.list_tags(&image, &self.auth(), None, None).await;
        let mut tags = listed.unwrap_or_else(|error| panic!("list {repository}: {error}")).tags;
        tags.sort();
        tags
    }

    fn auth(&self) -> RegistryAuth {
        match self.access {
            Access::Anonymous => RegistryAuth::Anonymous,
            Access::Password | Access::Token => RegistryAuth::Basic(USER.to_owned(), PASSWORD.to_owned()),
        }
    }
}

async fn launch(program: &Path, folder: &TempDir, address: SocketAddr) -> Process {
    let mut command = tied(program);
    command.arg("serve").arg(folder.path().join("config.yml"));
    let process = Process::spawn("registry", command, folder.path());
    wait_until("the registry", Duration::from_secs(15), async || match process.exit_status() {
        Some(status) => panic!("the registry ended with {status}:\n{}", process.log()),
        None => TcpStream::connect(address).await,
    })
    .await;
    process
}
