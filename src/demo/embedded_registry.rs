//! A container registry in this process's memory, for machines without a registry program.
//!
//! It knows as much of the OCI distribution specification 1.1 as pushing, listing, reading and deleting an image takes:
//! uploads in one piece or in chunks, manifests by tag and digest, and pages of tags. Anyone on this machine may use
//! it, so every body has a cap, and so have all of them together.

mod answer;
mod route;
mod store;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use store::Store;

/// A running registry that lets anyone push and pull over plain HTTP. It stops, and forgets its images, when this value
/// is dropped.
pub struct EmbeddedRegistry {
    address: SocketAddr,
    _stop: DropGuard,
}

impl EmbeddedRegistry {
    /// Starts an empty registry on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// Where no port can be opened.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let router = Router::new().fallback(answer::answer).with_state(Arc::<Mutex<Store>>::default());
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(axum::serve(listener, router).with_graceful_shutdown(stopped).into_future());
        Ok(Self { address, _stop: stop.drop_guard() })
    }

    /// The host and port, as they stand before an image's path: `127.0.0.1:40123`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }
}

/// Why a request is refused, as the specification wants it told ("Error Codes").
#[derive(Debug, PartialEq, Eq)]
struct Refused {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refused {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    fn not_found(code: &'static str, what: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, format!("{what} is not here"))
    }

    fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = json!({ "errors": [{ "code": self.code, "message": self.message }] });
        (self.status, [("content-type", "application/json")], body.to_string()).into_response()
    }
}
