//! Mirrors that lag: what they say may raise a choice, and lowers none.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use serde_json::Value;
use tagtide::image::Digest;
use tokio::time::sleep;

use super::{asked_so_often, message, mirrored_by};
use crate::registry::fault_server::{Asked as Request, FaultServer, page, status, with};
use crate::scanning::{Running, policy, registry};

/// What a registry has now.
#[derive(Clone)]
struct Stock {
    tags: Vec<&'static str>,
    /// What each tag names.
    image: &'static str,
    /// The status of every answer, where it gives no other.
    failing: Option<u16>,
}

/// A registry that answers from a stock and tells when its list is the one that is known.
struct Shop {
    server: FaultServer,
    stock: Arc<Mutex<Stock>>,
}

impl Shop {
    async fn with(tags: &[&'static str]) -> Self {
        let stock = Arc::new(Mutex::new(Stock { tags: tags.to_vec(), image: "one", failing: None }));
        let own = Arc::clone(&stock);
        let answer = move |asked: &Request| own.lock().unwrap_or_else(PoisonError::into_inner).answer(asked);
        Self { server: FaultServer::start(answer).await, stock }
    }

    fn now(&self, change: impl FnOnce(&mut Stock)) {
        change(&mut self.stock.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Stock {
    fn answer(&self, asked: &Request) -> Response<Body> {
        let tag = format!("\"{}\"", self.tags.join(" "));
        if let Some(code) = self.failing {
            return status(code);
        }
        match asked.target.contains("/tags/list") {
            true if asked.header("if-none-match") == tag => status(304),
            true => with(page(&self.tags), "etag", &tag),
            false => with(
                status(200),
                "docker-content-digest",
                &Digest::sha256_of(self.image.as_bytes()).to_string(),
            ),
        }
    }
}

/// An engine that looks every second what `upstream` has, by way of `mirror`.
fn running(mirror: &Shop, upstream: &Shop, pin: &str) -> Running {
    let (mirror, upstream) = (mirror.server.host(), upstream.server.host());
    let policy = policy("app", upstream, "1s").replace("select:", &format!("{pin}select:"));
    Running::start(
        &(registry("upstream", upstream, &mirrored_by(mirror)) + &registry("mirror", mirror, "") + &policy),
    )
}

fn selects(tag: &str) -> impl Fn(&Value) -> bool {
    move |status: &Value| status["selected"]["tag"] == tag
}

#[tokio::test]
async fn a_mirror_lowers_a_choice_only_where_the_host_says_the_same() {
    let (mirror, upstream) = (Shop::with(&["1.0.0", "1.1.0"]).await, Shop::with(&["1.0.0", "1.1.0"]).await);
    let running = running(&mirror, &upstream, "");
    running.status_where("app", selects("1.1.0")).await;
    assert!(upstream.server.asked().is_empty());

    mirror.now(|stock| stock.tags = vec!["1.0.0"]);
    let words =
        format!("; asked of {}, not of {} (ListShrank)", upstream.server.host(), mirror.server.host());
    let kept = running.status_where("app", |status| message(status).ends_with(&words)).await;
    assert_eq!(kept["selected"]["tag"], "1.1.0");
    asked_so_often(&upstream.server, 4).await;
    assert_eq!(running.status("app")["selected"]["tag"], "1.1.0");

    upstream.now(|stock| stock.tags = vec!["1.0.0"]);
    running.status_where("app", selects("1.0.0")).await;
}

#[tokio::test]
async fn what_a_mirror_would_lower_stays_while_nobody_can_confirm_it() {
    let (mirror, upstream) = (Shop::with(&["1.0.0", "1.1.0"]).await, Shop::with(&["1.0.0", "1.1.0"]).await);
    let running = running(&mirror, &upstream, "");
    running.status_where("app", selects("1.1.0")).await;
    mirror.now(|stock| stock.tags = vec!["1.0.0"]);
    upstream.now(|stock| stock.failing = Some(404));
    let words = format!(
        "the mirror {} has only 1.0.0; 1.1.0 stays selected until the source behind it agrees",
        mirror.server.host()
    );
    let in_doubt = |status: &Value| message(status).starts_with(&words);
    running.status_where("app", in_doubt).await;
    // The next list is the same, and is doubted as the first one was; less and less often, as nobody confirms it.
    let (doubted, lists) = (upstream.server.asked().len(), mirror.server.asked().len());
    sleep(Duration::from_secs(5)).await;
    let lists = mirror.server.asked().len() - lists;
    assert!((1..=3).contains(&lists), "{lists} lists in five seconds, of which the interval is one");
    asked_so_often(&upstream.server, doubted + 2).await;
    let kept = running.status("app");
    assert!(in_doubt(&kept) && kept["selected"]["tag"] == "1.1.0", "{kept}");
    let known_again = |asked: &Request| asked.header("if-none-match") == "\"1.0.0\"";
    assert!(!mirror.server.asked().iter().any(known_again), "a list that is not believed is read anew");

    upstream.now(|stock| stock.failing = None);
    let words =
        format!("; asked of {}, not of {} (ListShrank)", upstream.server.host(), mirror.server.host());
    running.status_where("app", |status| message(status).ends_with(&words)).await;
}

#[tokio::test]
async fn a_mirror_moves_no_digest_that_the_host_does_not_move() {
    let (mirror, upstream) = (Shop::with(&["1.0.0"]).await, Shop::with(&["1.0.0"]).await);
    let running = running(&mirror, &upstream, "pin: Digest, ");
    let first = running.status_where("app", selects("1.0.0")).await;
    assert_eq!(first["selected"]["digest"], Digest::sha256_of(b"one").to_string());

    // The list of the mirror is the one that was known, and its image is another.
    mirror.now(|stock| stock.image = "stale");
    asked_so_often(&upstream.server, 4).await;
    assert_eq!(running.status("app")["selected"], first["selected"]);

    upstream.now(|stock| stock.image = "two");
    mirror.now(|stock| stock.image = "two");
    let moved = Digest::sha256_of(b"two").to_string();
    running.status_where("app", |status| status["selected"]["digest"] == moved).await;
}

#[tokio::test]
async fn a_mirror_that_answers_badly_is_asked_again_by_the_next_scan() {
    let (mirror, upstream) = (Shop::with(&["1.0.0"]).await, Shop::with(&["1.0.0"]).await);
    mirror.now(|stock| stock.failing = Some(500));
    let running = running(&mirror, &upstream, "");
    let words =
        format!("; asked of {}, not of {} (ServerError)", upstream.server.host(), mirror.server.host());
    running.status_where("app", |status| message(status).ends_with(&words)).await;
    mirror.now(|stock| stock.failing = None);
    let words = format!("; asked of {}", mirror.server.host());
    running.status_where("app", |status| message(status).ends_with(&words)).await;
}
