//! Smart HTTP (gitprotocol-http): the transport for `https://` and, where allowed, `http://`.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{RequestBuilder, Response, Url};

use super::authorization::Authorization;
use super::wire::{Chunks, MAX_ANSWER, Service, Transport, WHOLE_EXCHANGE, WireError, cleaned};
use crate::net::{Body, Connections, Limits, retry_after};

/// How long a server may be silent. A push is answered only after the server has unpacked it and run its hooks.
const SILENCE: Duration = Duration::from_secs(120);

/// The most bytes of an error page that are read for its words.
const MAX_ERROR_PAGE: u64 = 4096;

/// One repository on a server.
pub(super) struct HttpTransport {
    connections: Connections,
    client: reqwest::Client,
    base: String,
    authorization: Authorization,
}

impl HttpTransport {
    /// The transport for `url`.
    pub(super) fn new(
        connections: Connections,
        client: reqwest::Client,
        url: &Url,
        authorization: Authorization,
    ) -> Self {
        let base = url.as_str().trim_end_matches('/').to_owned();
        Self { connections, client, base, authorization }
    }

    /// Sends a request, and once more where the credentials were refused and there are others.
    async fn send(&self, request: RequestBuilder) -> Result<Body, WireError> {
        let again = request.try_clone().filter(|_| self.authorization.renews());
        let header = self.authorization.header(None).await?;
        match (self.send_as(request, header.as_ref()).await, again) {
            (Err(WireError::AuthenticationFailed { .. }), Some(again)) => {
                let other = self.authorization.header(header.as_ref()).await?;
                self.send_as(again, other.as_ref()).await
            }
            (outcome, _) => outcome,
        }
    }

    async fn send_as(
        &self,
        request: RequestBuilder,
        authorization: Option<&HeaderValue>,
    ) -> Result<Body, WireError> {
        let limits = Limits::new(MAX_ANSWER, WHOLE_EXCHANGE, SILENCE);
        let mut request = request.header("git-protocol", "version=2");
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        let response = self.connections.send(&self.client, request, &limits).await?;
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers(), Timestamp::now());
        match status {
            200 => Ok(Body::new(response, limits)),
            300..=399 => Err(WireError::Redirected { to: redirect_target(&response) }),
            401 => Err(WireError::AuthenticationFailed { sent: authorization.is_some() }),
            403 => Err(WireError::AccessDenied(error_words(response).await)),
            404 => Err(WireError::RepositoryNotFound),
            429 | 503 if status == 429 || retry_after.is_some() => {
                Err(WireError::RateLimited { status, retry_after })
            }
            _ => Err(WireError::Status { status, text: error_words(response).await }),
        }
    }
}

impl Transport for HttpTransport {
    type Answer = Body;

    async fn advertisement(&self, service: Service) -> Result<Body, WireError> {
        self.send(self.client.get(format!("{}/info/refs?service={}", self.base, service.as_str()))).await
    }

    async fn call(&self, service: Service, request: Bytes) -> Result<Body, WireError> {
        let name = service.as_str();
        let post = self
            .client
            .post(format!("{}/{name}", self.base))
            .header(CONTENT_TYPE, format!("application/x-{name}-request"))
            .header(ACCEPT, format!("application/x-{name}-result"))
            .body(request);
        self.send(post).await
    }
}

impl Chunks for Body {
    async fn chunk(&mut self) -> Result<Option<Bytes>, WireError> {
        Ok(Self::chunk(self).await?)
    }
}

/// Where a redirect leads, without its query, which may hold a secret.
fn redirect_target(response: &Response) -> String {
    let location =
        response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or("nowhere");
    let plain = location.split(['?', '#']).next().unwrap_or_default();
    cleaned(plain.as_bytes())
}

async fn error_words(response: Response) -> String {
    // Git's servers speak to people in plain text. Whatever else answers there is no business of who named the address.
    let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.trim_start().to_ascii_lowercase().starts_with("text/plain") {
        return String::new();
    }
    let limits = Limits::new(MAX_ERROR_PAGE, SILENCE, SILENCE);
    let mut body = Body::new(response, limits);
    let mut page = Vec::new();
    while let Ok(Some(chunk)) = body.chunk().await {
        page.extend_from_slice(&chunk);
    }
    // A page made for browsers tells a person nothing in a condition.
    if page.trim_ascii_start().starts_with(b"<") { String::new() } else { cleaned(&page) }
}
