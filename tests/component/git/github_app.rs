//! A GitHub App's key, traded for tokens as GitHub documents it, and a Git server that takes no other credentials.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all};
use jiff::{SignedDuration, Timestamp};
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use tagtide::api::Reason;
use tagtide::git::{Branch, Error};
use tempfile::TempDir;

use super::faulty_server::{FaultyServer, answer};
use super::{InfraRepo, mirror_in, open_with, secret, set};
use crate::support::ssh_server::keygen;
use crate::support::workspace;

const APP: &str = "123456";
const INSTALLATION: u64 = 42;

/// What GitHub knows and does.
#[derive(Default)]
struct Forge {
    /// The App's public key (DER).
    key: Vec<u8>,
    /// The tokens that the Git server takes.
    tokens: BTreeSet<String>,
    issued: usize,
    lookups: usize,
    lifetime: SignedDuration,
    /// Whether the Git server takes no token at all.
    is_closed: bool,
    /// Whether the App is installed nowhere.
    is_gone: bool,
    /// What a client did that GitHub would not understand.
    faults: Vec<String>,
}

type Shared = Arc<Mutex<Forge>>;

fn lock(forge: &Shared) -> MutexGuard<'_, Forge> {
    forge.lock().unwrap_or_else(PoisonError::into_inner)
}

fn says(status: u16, body: &Value) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (StatusCode::from_u16(status).unwrap(), kind, body.to_string()).into_response()
}

impl Forge {
    /// Whether the request is signed by the App, by the rules of GitHub's documentation.
    fn check(&self, head: &Parts) -> Result<(), String> {
        let value =
            |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if value("accept") != "application/vnd.github+json" || value("x-github-api-version") != "2022-11-28" {
            return Err("not GitHub's headers".to_owned());
        }
        if value("user-agent").is_empty() {
            return Err("no user agent".to_owned());
        }
        let token = value("authorization").strip_prefix("Bearer ").ok_or("no bearer")?;
        let (text, signature) = token.rsplit_once('.').ok_or("no signature")?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|error| error.to_string());
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.key)
            .verify(text.as_bytes(), &decode(signature)?)
            .map_err(|_| "A JSON web token could not be decoded")?;
        let (first, second) = text.split_once('.').ok_or("no claims")?;
        let parse =
            |part: &str| serde_json::from_slice::<Value>(&decode(part)?).map_err(|error| error.to_string());
        let (kind, claims) = (parse(first)?, parse(second)?);
        if kind != json!({ "alg": "RS256", "typ": "JWT" }) || claims["iss"] != APP {
            return Err(format!("{kind} {claims}"));
        }
        let (now, from, until) = (
            Timestamp::now().as_second(),
            claims["iat"].as_i64().ok_or("iat")?,
            claims["exp"].as_i64().ok_or("exp")?,
        );
        // The server's clock may be a minute behind, and more than ten minutes are refused.
        if from > now - 55 || until <= now || until > now + 600 {
            return Err(format!("iat {from} exp {until} at {now}"));
        }
        Ok(())
    }

    fn api(&mut self, head: &Parts, body: &[u8]) -> Response {
        if let Err(problem) = self.check(head) {
            let answer =
                says(401, &json!({ "message": &problem, "documentation_url": "https://docs.github.com" }));
            self.faults.push(problem);
            return answer;
        }
        let not_found = says(404, &json!({ "message": "Not Found" }));
        match (head.method.as_str(), head.uri.path()) {
            _ if self.is_gone => not_found,
            ("GET", "/api/v3/repos/acme/infra/installation") => {
                self.lookups += 1;
                says(200, &json!({ "id": INSTALLATION, "account": { "login": "acme" }, "app_id": 123_456 }))
            }
            ("POST", "/api/v3/app/installations/42/access_tokens") => {
                if serde_json::from_slice::<Value>(body).ok() != Some(json!({ "repositories": ["infra"] })) {
                    self.faults.push(String::from_utf8_lossy(body).into_owned());
                }
                self.issued += 1;
                let token = format!("ghs_t0ken{}", self.issued);
                self.tokens.insert(token.clone());
                let until = Timestamp::now() + self.lifetime;
                let permissions = json!({ "contents": "write", "metadata": "read" });
                says(
                    201,
                    &json!({ "token": token, "expires_at": until.to_string(), "permissions": permissions }),
                )
            }
            _ => not_found,
        }
    }

    fn lets_in(&self, head: &Parts) -> bool {
        let value = head
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
        let login =
            value.and_then(|value| String::from_utf8(STANDARD.decode(value).ok()?).ok()).unwrap_or_default();
        !self.is_closed
            && login.strip_prefix("x-access-token:").is_some_and(|token| self.tokens.contains(token))
    }
}

/// A repository at `/acme/infra.git`, and the API beside it, as on GitHub Enterprise Server.
struct Scene {
    repo: InfraRepo,
    server: FaultyServer,
    forge: Shared,
    keys: TempDir,
    cache: TempDir,
}

impl Scene {
    async fn new() -> Self {
        let repo = InfraRepo::new();
        repo.seed(&[("a.yaml", "1")]);
        std::os::unix::fs::symlink(".", repo.root().join("acme")).unwrap();
        let forge = Shared::default();
        lock(&forge).lifetime = SignedDuration::from_hours(1);
        let here = Arc::clone(&forge);
        let spoil = move |request: Request, next: Next| respond(Arc::clone(&here), request, next);
        let server = FaultyServer::start(repo.root(), spoil).await;
        let (keys, cache) = (workspace::folder("keys"), workspace::folder("cache"));
        let scene = Self { repo, server, forge, keys, cache };
        let key = scene.make_key("key", "PEM");
        lock(&scene.forge).key = public_key(&key);
        scene
    }

    fn make_key(&self, name: &str, format: &str) -> String {
        let path = self.keys.path().join(name);
        keygen(&["-t", "rsa", "-b", "2048", "-m", format, "-f"], &path, "");
        std::fs::read_to_string(path).unwrap()
    }

    fn key(&self) -> String {
        std::fs::read_to_string(self.keys.path().join("key")).unwrap()
    }

    fn open(&self, key: &str, more: &[(&str, &str)]) -> Result<Branch, Error> {
        let mut entries = vec![("githubAppID", APP), ("githubAppPrivateKey", key)];
        entries.extend(more);
        open_with(&self.server.url("acme/infra.git"), &mirror_in(&self.cache), secret(&entries))
    }

    fn branch(&self) -> Branch {
        self.open(&self.key(), &[("githubAppInstallationID", "42")]).unwrap()
    }

    /// What a look comes to that must fail; no secret is in its words.
    async fn refused(&self, branch: Branch) -> (Reason, String) {
        let error = branch.bring_up_to_date().await.unwrap_err();
        let text = error.to_string();
        assert!(!text.contains("ghs_t0ken") && !text.contains("eyJ") && !text.contains("MII"), "{text}");
        (error.reason(), text)
    }

    /// How many tokens were asked for, and how often an installation was looked up.
    fn asked(&self) -> (usize, usize) {
        let forge = lock(&self.forge);
        (forge.issued, forge.lookups)
    }

    fn check(&self) {
        assert_eq!(lock(&self.forge).faults, [""; 0]);
    }
}

fn respond(forge: Shared, request: Request, next: Next) -> BoxFuture<'static, Response> {
    async move {
        let (head, body) = request.into_parts();
        if head.uri.path().starts_with("/api/") {
            let body = to_bytes(body, 1 << 20).await.unwrap();
            return lock(&forge).api(&head, &body);
        }
        if lock(&forge).lets_in(&head) {
            return next.run(Request::from_parts(head, body)).await;
        }
        drop(to_bytes(body, 1 << 20).await);
        answer(401, "Bad credentials")
    }
    .boxed()
}

fn public_key(pem: &str) -> Vec<u8> {
    let pair = match PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap() {
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
        key => RsaKeyPair::from_pkcs8(key.secret_der()),
    };
    pair.unwrap().public_key().as_ref().to_vec()
}

#[tokio::test]
async fn an_app_reads_and_writes_with_one_token() {
    let scene = Scene::new().await;
    let branch = scene.branch();
    branch.bring_up_to_date().await.unwrap();
    set(&branch, "a.yaml", "2").await;
    assert_eq!(scene.repo.read("main", "a.yaml"), "2");
    assert_eq!(scene.asked(), (1, 0));
    // The signed request goes to the API alone, and the token to the Git server alone.
    let sent = scene.server.authorizations();
    assert_eq!(sent.iter().filter(|value| value.starts_with("Bearer ")).count(), 1);
    assert!(sent.len() > 3);
    scene.check();
}

#[tokio::test]
async fn an_installation_is_found_by_its_repository_and_every_form_of_key_signs() {
    let scene = Scene::new().await;
    let key = scene.make_key("other", "PKCS8");
    lock(&scene.forge).key = public_key(&key);
    let branch = scene.open(&key, &[("githubAppInstallationOwner", "acme")]).unwrap();
    set(&branch, "a.yaml", "2").await;
    assert_eq!(scene.asked(), (1, 1));
    scene.check();
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let scene = Scene::new().await;
    lock(&scene.forge).lifetime = SignedDuration::from_mins(4);
    let branch = scene.branch();
    branch.bring_up_to_date().await.unwrap();
    let issued = lock(&scene.forge).issued;
    assert!(issued > 1, "one that ends within minutes is not used twice");
    lock(&scene.forge).lifetime = SignedDuration::from_hours(1);
    branch.bring_up_to_date().await.unwrap();
    branch.bring_up_to_date().await.unwrap();
    assert_eq!(lock(&scene.forge).issued, issued + 1);
    scene.check();
}

#[tokio::test]
async fn a_revoked_token_is_renewed_once_for_all_who_ask() {
    let scene = Scene::new().await;
    let branch = scene.branch();
    branch.bring_up_to_date().await.unwrap();
    lock(&scene.forge).tokens.clear();
    for looked in join_all((0..5).map(|_| branch.bring_up_to_date())).await {
        looked.unwrap();
    }
    assert_eq!(lock(&scene.forge).issued, 2);
    let head = branch.bring_up_to_date().await.unwrap();
    lock(&scene.forge).tokens.clear();
    let published = branch.publish(super::draft(head, "a.yaml", "2")).await.unwrap();
    assert!(matches!(published, tagtide::git::Published::Taken(_)), "{published:?}");
    assert_eq!(lock(&scene.forge).issued, 3);

    lock(&scene.forge).is_closed = true;
    let (reason, text) = scene.refused(branch).await;
    assert_eq!((reason, lock(&scene.forge).issued), (Reason::AuthenticationFailed, 4), "{text}");
    scene.check();
}

#[tokio::test]
async fn an_app_that_may_not_is_told_what_is_wrong() {
    let scene = Scene::new().await;
    let other = scene.make_key("other", "PEM");
    let (reason, text) = scene.refused(scene.open(&other, &[]).unwrap()).await;
    assert_eq!(reason, Reason::AuthenticationFailed);
    assert!(text.contains("A JSON web token could not be decoded"), "{text}");
    assert_eq!(std::mem::take(&mut lock(&scene.forge).faults).len(), 1);

    lock(&scene.forge).is_gone = true;
    for more in [&[("githubAppInstallationID", "42")][..], &[]] {
        let (reason, text) = scene.refused(scene.open(&scene.key(), more).unwrap()).await;
        assert_eq!(reason, Reason::AccessDenied);
        assert!(text.contains("acme/infra (status 404): Not Found; is it installed there?"), "{text}");
    }
    let elsewhere = [("githubAppBaseURL", "http://169.254.169.254/api/v3")];
    let (reason, text) = scene.refused(scene.open(&scene.key(), &elsewhere).unwrap()).await;
    assert!(reason == Reason::NotAllowed && text.contains("--allow-cidr"), "{text}");
    let error = scene.open("no key", &[]).err().unwrap();
    assert_eq!(error.reason(), Reason::SecretInvalid);
    scene.check();
}

#[tokio::test]
async fn an_api_that_leads_elsewhere_or_is_none_gets_nothing_more() {
    let stranger = Scene::new().await;
    for (status, body, wanted) in [
        (302, "", Reason::ServerError),
        (200, "<html>Sign in</html>", Reason::ServerError),
        (201, "{\"token\": 5}", Reason::ServerError),
        (503, "{\"message\": \"down\"}", Reason::ServerError),
        (429, "", Reason::RateLimited),
    ] {
        let to = stranger.server.url("api/v3/app/installations/42/access_tokens");
        let odd = move |_: Request, _: Next| {
            let to = to.clone();
            async move {
                let status = StatusCode::from_u16(status).unwrap();
                Response::builder()
                    .status(status)
                    .header(header::LOCATION, to)
                    .body(Body::from(body))
                    .unwrap()
            }
            .boxed()
        };
        let api = FaultyServer::start(Path::new("/"), odd).await;
        let scene = Scene::new().await;
        let base = api.url("api/v3");
        let branch =
            scene.open(&scene.key(), &[("githubAppInstallationID", "42"), ("githubAppBaseURL", &base)]);
        let (reason, text) = scene.refused(branch.unwrap()).await;
        assert_eq!(reason, wanted, "{status}: {text}");
        assert_eq!((scene.server.requests(), stranger.server.requests()), (0, 0), "{status}");
    }
}
