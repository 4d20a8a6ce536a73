//! A registry that answers what a test tells it to, and keeps what it was asked.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Response, header};

/// What the server was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    /// The path, with the query.
    pub target: String,
    pub authorization: Option<String>,
    pub headers: HeaderMap,
    pub body: String,
    /// How often this very method and target had been asked before.
    pub nth: usize,
    pub at: Instant,
}

impl Asked {
    /// The value of a header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The name under which the server was asked.
    pub fn host(&self) -> &str {
        self.header("host")
    }
}

/// A running server, on a free port of 127.0.0.1.
pub struct FaultServer {
    host: String,
    log: Arc<Mutex<Vec<Asked>>>,
}

impl FaultServer {
    /// Starts one whose every answer comes from `answer`.
    pub async fn start(answer: impl Fn(&Asked) -> Response<Body> + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let log = Arc::<Mutex<Vec<Asked>>>::default();
        let (kept, answer) = (log.clone(), Arc::new(answer));
        let router = Router::new().fallback(async move |request: Request| {
            let asked = note(&kept, request).await;
            answer(&asked)
        });
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { host, log }
    }

    /// Starts one that nobody should talk to.
    pub async fn bystander() -> Self {
        Self::start(|_| status(200)).await
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The paths and queries that were asked for, in order.
    pub fn targets(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.target).collect()
    }
}

async fn note(log: &Mutex<Vec<Asked>>, request: Request) -> Asked {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let authorization =
        |headers: &HeaderMap| Some(headers.get(header::AUTHORIZATION)?.to_str().ok()?.to_owned());
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    let (method, target) = (head.method.to_string(), head.uri.to_string());
    let nth = log.iter().filter(|asked| asked.method == method && asked.target == target).count();
    let authorization = authorization(&head.headers);
    let body = String::from_utf8_lossy(&body).into_owned();
    let asked = Asked { method, target, authorization, headers: head.headers, body, nth, at: Instant::now() };
    log.push(asked.clone());
    asked
}

pub fn status(code: u16) -> Response<Body> {
    Response::builder().status(code).body(Body::empty()).unwrap()
}

pub fn text(code: u16, body: impl Into<String>) -> Response<Body> {
    Response::builder().status(code).body(Body::from(body.into())).unwrap()
}

pub fn with(mut response: Response<Body>, name: &'static str, value: &str) -> Response<Body> {
    response.headers_mut().insert(name, value.parse().unwrap());
    response
}

/// One page of a list.
pub fn page(tags: &[&str]) -> Response<Body> {
    text(200, serde_json::json!({ "name": "acme/api", "tags": tags }).to_string())
}

/// A page that says where the next one is.
pub fn page_before(tags: &[&str], next: &str) -> Response<Body> {
    with(page(tags), "link", &format!("<{next}>; rel=\"next\""))
}

/// The same answer, whose body comes only after a while.
pub fn late(response: Response<Body>, after: Duration) -> Response<Body> {
    let (head, body) = response.into_parts();
    let later = futures::stream::once(async move {
        tokio::time::sleep(after).await;
        to_bytes(body, 1 << 20).await.map_err(std::io::Error::other)
    });
    Response::from_parts(head, Body::from_stream(later))
}
