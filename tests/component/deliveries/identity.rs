//! Identity tokens, as Pub/Sub sends them, from an issuer that the test is.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Receiver, bearer, later};
use crate::support::ssh_server::keygen;
use crate::support::workspace;

const AUDIENCE: &str = "https://tagtide.acme.example/hooks/google";
const BODY: &str = include_str!("../../../fuzz/seeds/webhook/artifact-registry-insert.json");
const EMAIL: &str = "pubsub@acme.iam.gserviceaccount.com";

fn key_pair(folder: &TempDir, name: &str) -> RsaKeyPair {
    let path = folder.path().join(name);
    keygen(&["-t", "rsa", "-b", "2048", "-m", "PEM", "-f"], &path, "");
    match PrivateKeyDer::from_pem_file(&path).unwrap() {
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()).unwrap(),
        PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap(),
        _ => panic!("no RSA key"),
    }
}

fn token(key: &RsaKeyPair, header: &Value, claims: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(header), encode(claims));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// An issuer, whose keys a test changes while it runs.
struct Issuer {
    url: String,
    keys: Arc<Mutex<Value>>,
    /// How often its keys were read.
    reads: Arc<AtomicUsize>,
}

impl Issuer {
    /// One with this key, named `one`.
    async fn with(key: &RsaKeyPair) -> Self {
        Self::called(key, None).await
    }

    /// One that says it is called so; by its address where it is to tell the truth.
    async fn called(key: &RsaKeyPair, name: Option<&str>) -> Self {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let found = json!({ "issuer": name.unwrap_or(&url), "jwks_uri": format!("{url}/certs") });
        let issuer = Self { url, keys: Arc::default(), reads: Arc::default() };
        issuer.has("one", key);
        let (keys, counter) = (Arc::clone(&issuer.keys), Arc::clone(&issuer.reads));
        let certs = async move || {
            counter.fetch_add(1, Ordering::Relaxed);
            keys.lock().unwrap().to_string()
        };
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(async move || found.to_string()))
            .route("/certs", get(certs));
        tokio::spawn(axum::serve(listener, router).into_future());
        issuer
    }

    /// From now on it signs with this key and no other.
    fn has(&self, name: &str, key: &RsaKeyPair) {
        let public: PublicKeyComponents<Vec<u8>> = key.public().into();
        let (n, e) = (URL_SAFE_NO_PAD.encode(public.n), URL_SAFE_NO_PAD.encode(public.e));
        let key = json!({ "kty": "RSA", "alg": "RS256", "use": "sig", "kid": name, "n": n, "e": e });
        *self.keys.lock().unwrap() = json!({ "keys": [key] });
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }

    /// A receiver that lets in whom this issuer vouches for.
    async fn receiver(&self) -> Receiver {
        let oidc = json!({ "issuer": self.url, "audience": AUDIENCE, "email": EMAIL });
        let webhook = json!({ "kind": "ArtifactRegistry", "oidc": oidc });
        Receiver::start(&[("google", "europe-west3-docker.pkg.dev", webhook)]).await
    }

    /// What it says of the right caller.
    fn claims(&self) -> Value {
        let now = Timestamp::now().as_second();
        json!({
            "iss": self.url, "aud": AUDIENCE, "email": EMAIL, "email_verified": true, "sub": "1", "iat": now - 10,
            "exp": now + 3600,
        })
    }

    /// A good token, signed with a key of this name.
    fn token(&self, name: &str, key: &RsaKeyPair) -> String {
        bearer(&token(key, &json!({ "alg": "RS256", "kid": name, "typ": "JWT" }), &self.claims()))
    }
}

#[tokio::test]
async fn only_a_token_of_the_right_issuer_for_the_right_audience_in_the_right_name_is_taken() {
    let folder = workspace::folder("oidc");
    let (own, foreign) = (key_pair(&folder, "own"), key_pair(&folder, "foreign"));
    let issuer = Issuer::with(&own).await;
    let mut receiver = issuer.receiver().await;
    let (now, good) = (Timestamp::now().as_second(), issuer.claims());
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let header = json!({ "alg": "RS256", "kid": "one", "typ": "JWT" });
    for (what, token) in [
        ("signed by somebody else", token(&foreign, &header, &good)),
        ("for another audience", token(&own, &header, &with("aud", "https://other.example".into()))),
        ("of another issuer", token(&own, &header, &with("iss", "https://accounts.google.com".into()))),
        (
            "of another account",
            token(&own, &header, &with("email", "eve@acme.iam.gserviceaccount.com".into())),
        ),
        ("of an account that is not verified", token(&own, &header, &with("email_verified", false.into()))),
        ("expired", token(&own, &header, &with("exp", (now - 120).into()))),
        ("not valid yet", token(&own, &header, &with("nbf", (now + 120).into()))),
        ("without an end", token(&own, &header, &with("exp", Value::Null))),
        ("with a key that is unknown", token(&own, &json!({ "alg": "RS256", "kid": "two" }), &good)),
        ("with no algorithm", token(&own, &json!({ "alg": "none", "kid": "one" }), &good)),
        ("with the public key as secret", token(&own, &json!({ "alg": "HS256", "kid": "one" }), &good)),
        ("cut short", token(&own, &header, &good)[..200].to_owned()),
        ("none at all", String::new()),
    ] {
        let answer = receiver.status("/hooks/google", &[("authorization", &bearer(&token))], BODY).await;
        assert_eq!(answer, 401, "{what}");
    }
    assert_eq!(receiver.status("/hooks/google", &[], BODY).await, 401);
    let good = bearer(&token(&own, &header, &good));
    assert_eq!(receiver.status("/hooks/google", &[("authorization", &good)], BODY).await, 202);
    assert_eq!(receiver.told().await, ["europe-west3-docker.pkg.dev/acme/shop/api"]);
    assert_eq!(issuer.reads(), 1, "unknown keys do not make everybody's keys be read again at once");
}

#[tokio::test]
async fn a_key_that_an_issuer_has_changed_is_learnt_within_a_minute_and_the_old_one_forgotten() {
    let folder = workspace::folder("oidc");
    let (old, new) = (key_pair(&folder, "old"), key_pair(&folder, "new"));
    let issuer = Issuer::with(&old).await;
    let receiver = issuer.receiver().await;
    let status = async |name: &str, key: &RsaKeyPair| {
        receiver.status("/hooks/google", &[("authorization", &issuer.token(name, key))], BODY).await.as_u16()
    };
    assert_eq!((status("one", &old).await, issuer.reads()), (202, 1));
    issuer.has("two", &new);
    assert_eq!((status("two", &new).await, issuer.reads()), (401, 1), "not at once: anybody can name a key");
    assert_eq!(status("one", &old).await, 202, "what is known is used meanwhile");
    later(Duration::from_secs(61)).await;
    assert_eq!((status("two", &new).await, issuer.reads()), (202, 2));
    assert_eq!((status("one", &old).await, issuer.reads()), (401, 2));

    // A key that the issuer has taken back without another in its place is forgotten too.
    issuer.has("three", &old);
    later(Duration::from_secs(60 * 60 + 1)).await;
    assert_eq!((status("two", &new).await, issuer.reads()), (401, 3));
}

#[tokio::test]
async fn an_issuer_that_is_called_otherwise_than_the_webhook_says_is_not_believed() {
    let folder = workspace::folder("oidc");
    let own = key_pair(&folder, "own");
    let issuer = Issuer::called(&own, Some("https://accounts.google.com")).await;
    let receiver = issuer.receiver().await;
    let token = issuer.token("one", &own);
    assert_eq!(receiver.status("/hooks/google", &[("authorization", &token)], BODY).await, 503);
    assert_eq!(issuer.reads(), 0);
}

#[tokio::test]
async fn an_issuer_that_can_not_be_asked_is_no_reason_to_let_anybody_in() {
    let folder = workspace::folder("oidc");
    let own = key_pair(&folder, "own");
    let nobody = crate::support::process::free_address();
    let url = format!("http://{nobody}");
    let webhook = json!({
        "kind": "ArtifactRegistry", "oidc": { "issuer": url, "audience": AUDIENCE, "email": EMAIL },
    });
    let receiver = Receiver::start(&[("google", "europe-west3-docker.pkg.dev", webhook)]).await;
    let now = Timestamp::now().as_second();
    let claims =
        json!({ "iss": url, "aud": AUDIENCE, "email": EMAIL, "email_verified": true, "exp": now + 3600 });
    let token = bearer(&token(&own, &json!({ "alg": "RS256", "kid": "one" }), &claims));
    assert_eq!(receiver.status("/hooks/google", &[("authorization", &token)], "{}").await, 503);
}

#[tokio::test]
async fn an_issuer_that_fails_is_asked_once_a_minute_and_its_known_keys_are_used_for_a_day() {
    let folder = workspace::folder("oidc");
    let own = key_pair(&folder, "own");
    let issuer = Issuer::with(&own).await;
    let receiver = issuer.receiver().await;
    let token = issuer.token("one", &own);
    let status = async || receiver.status("/hooks/google", &[("authorization", &token)], BODY).await.as_u16();
    let break_down = || *issuer.keys.lock().unwrap() = Value::Null;
    break_down();
    assert_eq!((status().await, status().await, issuer.reads()), (503, 503, 1));
    issuer.has("one", &own);
    later(Duration::from_secs(61)).await;
    assert_eq!((status().await, issuer.reads()), (202, 2));
    break_down();
    later(Duration::from_secs(60 * 60 + 1)).await;
    assert_eq!((status().await, status().await, issuer.reads()), (202, 202, 3));
    later(Duration::from_secs(24 * 60 * 60)).await;
    assert_eq!((status().await, issuer.reads()), (503, 4));
}
