//! A registry in memory: any image has the same tags, in the order of their bytes, a thousand to a page.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse as _, Response};

/// Most registries give no more at once.
const PAGE: usize = 1_000;

/// A running registry, on a port of its own.
pub struct Server {
    host: String,
    store: Arc<Store>,
}

struct Store {
    pages: Vec<Page>,
    /// How long each answer takes.
    away: Duration,
    /// When the first page of each repository was asked for, by its path.
    asked: Mutex<HashMap<String, Vec<Instant>>>,
}

struct Page {
    body: Bytes,
    last: String,
}

impl Server {
    /// Starts one whose images have so many tags.
    pub async fn start(tags: usize, away: Duration) -> Self {
        let mut tags: Vec<String> = (0..tags).map(tag).collect();
        tags.sort();
        let pages = tags.chunks(PAGE).map(|tags| Page {
            body: serde_json::json!({ "name": "acme/app", "tags": tags }).to_string().into(),
            last: tags.last().cloned().unwrap_or_default(),
        });
        let store = Arc::new(Store { pages: pages.collect(), away, asked: Mutex::default() });
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let host = listener.local_addr().expect("its address").to_string();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&store));
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { host, store }
    }

    pub fn host(&self) -> String {
        self.host.clone()
    }

    /// When the list of `acme/{image}` was asked for.
    pub fn lists(&self, image: &str) -> Vec<Instant> {
        let asked = self.store.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.get(&format!("/v2/acme/{image}/tags/list")).cloned().unwrap_or_default()
    }
}

/// Most tags are releases, every fifth is a pre-release, and every tenth is no version.
fn tag(number: usize) -> String {
    let mut tag = format!("v1.{}.{}", number / 100, number % 100);
    match number % 10 {
        3 | 7 => _ = write!(tag, "-rc.{}", number % 4),
        9 => tag = format!("sha-{:07x}", number.wrapping_mul(0x9e37_79b1) & 0xfff_ffff),
        _ => {}
    }
    tag
}

#[derive(serde::Deserialize)]
struct Asked {
    last: Option<String>,
}

async fn answer(State(store): State<Arc<Store>>, uri: Uri, Query(asked): Query<Asked>) -> Response {
    if asked.last.is_none() {
        let mut asked = store.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.entry(uri.path().to_owned()).or_default().push(Instant::now());
    }
    tokio::time::sleep(store.away).await;
    if !uri.path().ends_with("/tags/list") {
        return "{}".into_response();
    }
    let before = |page: &&Page| asked.last.as_ref().is_some_and(|last| page.last <= *last);
    let number = store.pages.iter().take_while(before).count();
    let Some(page) = store.pages.get(number) else {
        return "{\"name\":\"acme/app\",\"tags\":[]}".into_response();
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    if number + 1 < store.pages.len() {
        let link = format!("<{}?n={PAGE}&last={}>; rel=\"next\"", uri.path(), page.last);
        headers.insert(header::LINK, link.parse().expect("a header"));
    }
    (headers, page.body.clone()).into_response()
}
