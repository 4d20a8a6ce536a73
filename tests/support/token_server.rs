//! A token server as registries use it: RFC 6750 bearer tokens, got as distribution's "token authentication" specifies.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::get};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};

/// The name under which the registry knows this server, and the one by which the server knows the registry.
pub const ISSUER: &str = "test tokens";
pub const SERVICE: &str = "test registry";

const LIFETIME_SECONDS: u64 = 300;

/// A running token server: one user, who gets whatever is asked for; anyone else gets a token for nothing.
pub struct TokenServer {
    url: String,
    signer: Arc<Signer>,
}

struct Signer {
    authorization: String,
    certificate: rcgen::Certificate,
    key: EcdsaKeyPair,
    random: SystemRandom,
    issued: AtomicU64,
}

impl TokenServer {
    /// Starts the server with a fresh key, and writes the certificate that a registry must trust to `certificate`.
    pub async fn start(user: &str, password: &str, certificate: &Path) -> Self {
        let pair = rcgen::KeyPair::generate().expect("a key");
        let own = rcgen::CertificateParams::new(vec![]).and_then(|params| params.self_signed(&pair));
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pair.serialize_der(), &random);
        let signer = Arc::new(Signer {
            authorization: format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))),
            certificate: own.expect("a certificate"),
            key: key.expect("a P-256 key"),
            random,
            issued: AtomicU64::new(0),
        });
        std::fs::write(certificate, signer.certificate.pem()).expect("the certificate's file");

        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let url = format!("http://{}/token", listener.local_addr().expect("its address"));
        let router = Router::new().route("/token", get(token)).with_state(signer.clone());
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { url, signer }
    }

    /// The realm of the registry's challenge.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How many tokens were given out.
    pub fn issued(&self) -> u64 {
        self.signer.issued.load(Ordering::Relaxed)
    }
}

async fn token(
    State(signer): State<Arc<Signer>>,
    Query(asked): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response {
    let known = match headers.get(header::AUTHORIZATION) {
        None => false,
        Some(value) if value.as_bytes() == signer.authorization.as_bytes() => true,
        Some(_) => return (StatusCode::UNAUTHORIZED, "wrong user or password").into_response(),
    };
    let scopes = asked.iter().filter(|(name, _)| known && name == "scope");
    let access = scopes.flat_map(|(_, scope)| scope.split(' ')).filter_map(access).collect();
    signer.issued.fetch_add(1, Ordering::Relaxed);
    let answer = json!({ "token": signer.sign(access), "expires_in": LIFETIME_SECONDS });
    ([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}

/// `repository:acme/api:pull,push` as the claim that grants it.
fn access(scope: &str) -> Option<Value> {
    let (kind, rest) = scope.split_once(':')?;
    let (name, actions) = rest.rsplit_once(':')?;
    Some(json!({ "type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>() }))
}

impl Signer {
    fn sign(&self, access: Vec<Value>) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs();
        let head = json!({ "typ": "JWT", "alg": "ES256", "x5c": [STANDARD.encode(self.certificate.der())] });
        let claims = json!({
            "iss": ISSUER, "aud": SERVICE, "sub": "", "jti": now.to_string(),
            "nbf": now - 5, "iat": now, "exp": now + LIFETIME_SECONDS, "access": access,
        });
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&head), encode(&claims));
        let signature = self.key.sign(&self.random, signed.as_bytes()).expect("a signature");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
