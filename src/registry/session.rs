//! One repository seen with one access: its URLs, and requests that authenticate and have some patience.

mod authorization;

use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::challenge::Challenge;
use super::client::Shared;
use super::pace::{Caller, Pace};
use super::page_size::PageSize;
use super::refusal::{Refusal, is_passing};
use super::{Access, Error, HostSettings, realm};
use crate::image::ImageName;
use crate::net::{self, Limits};

/// How often a request is sent again after a passing failure, and how long the first pause is.
const RETRIES: u32 = 2;
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// One repository at its registry, as one access sees it.
pub(super) struct Session<'a> {
    shared: &'a Shared,
    image: &'a ImageName,
    access: &'a Access,
    http: reqwest::Client,
    /// Scheme, host and port; the path is `/`.
    base: Url,
    origin: String,
    pace: Arc<Pace>,
    /// The credential as the pace knows it, where there is one.
    caller: Option<Caller>,
    /// What the host said of itself, where that may be another thing the next time.
    learned: OnceCell<Option<Challenge>>,
}

impl<'a> Session<'a> {
    pub(super) fn open(shared: &'a Shared, image: &'a ImageName, access: &'a Access) -> Result<Self, Error> {
        let scheme = match (access.host.insecure, shared.allow_plain_http) {
            (false, _) => "https",
            (true, true) => "http",
            (true, false) => {
                return Err(Error::PlainHttpNotAllowed { host: image.host().to_owned() });
            }
        };
        let base = Url::parse(&format!("{scheme}://{}/", image.api_host()))
            .map_err(|_| Error::NoUrl { image: image.as_str().to_owned() })?;
        let http = shared.pool(&access.host)?;
        let origin = realm::origin(&base);
        let pace = shared.paces.of(image.host(), Instant::now());
        let caller = access.credential.as_ref().map(|credential| shared.hasher.hash_one(credential));
        Ok(Self { shared, image, access, http, base, origin, pace, caller, learned: OnceCell::new() })
    }

    /// The registry as people name it.
    pub(super) fn host(&self) -> &str {
        self.image.host()
    }

    pub(super) fn repository(&self) -> &str {
        self.image.repository()
    }

    /// The URL of something of the repository, such as `tags/list`.
    pub(super) fn url(&self, of: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("/v2/{}/{of}", self.repository()));
        url
    }

    pub(super) fn page_size(&self) -> PageSize {
        self.shared.page_sizes.get(&self.origin).unwrap_or_default()
    }

    pub(super) fn remember_page_size(&self, size: PageSize) {
        self.shared.page_sizes.insert(self.origin.clone(), size);
    }

    /// Asks the registry, with what it is known to want to know. When it answers 401, authenticates (anew) and asks the
    /// same once more. Other statuses are the caller's to judge.
    pub(super) async fn ask(
        &self,
        method: &Method,
        url: &Url,
        accept: &HeaderValue,
        limits: &Limits,
    ) -> Result<Response, Error> {
        let headers = [(ACCEPT, accept.clone())].into_iter().collect();
        self.ask_with(method, url, &headers, limits).await
    }

    /// [`Session::ask`] with any headers.
    pub(super) async fn ask_with(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
        limits: &Limits,
    ) -> Result<Response, Error> {
        let request = |authorization: Option<&HeaderValue>| {
            let request = self.http.request(method.clone(), url.clone()).headers(headers.clone());
            authorized(request, authorization)
        };
        let first = self.known_authorization(limits).await?;
        let shows = if first.is_some() { Shows::Credential } else { Shows::Nothing };
        let response = self.send(shows, limits, || request(first.as_ref())).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let challenge = Challenge::from_headers(response.headers());
        let refusal = Refusal::read(response, limits).await;
        let second = self.authorization_for(challenge, first, refusal, limits).await?;
        let response = self.send(Shows::Credential, limits, || request(Some(&second))).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            return Err(self.unauthorized(Refusal::read(response, limits).await));
        }
        Ok(response)
    }

    /// Tells this caller from any other.
    pub(super) fn caller(&self) -> u64 {
        self.shared.hasher.hash_one(self.access)
    }

    /// Tells this question, asked by this caller, from any other.
    pub(super) fn fingerprint(&self, url: &Url) -> u64 {
        self.shared.hasher.hash_one((url.as_str(), self.access))
    }

    /// Asks a server to which the registry has sent for a blob. It is told nothing of who asks.
    pub(super) async fn ask_elsewhere(&self, url: &Url, limits: &Limits) -> Result<Response, Error> {
        let stranger = HostSettings { certificate: None, ..self.access.host.clone() };
        let http = self.shared.pool(&stranger)?;
        Ok(self.shared.connections.send(&http, http.get(url.clone()), limits).await?)
    }

    /// The error for an answer that is not the wanted one to a question about `what`.
    pub(super) fn error(&self, refusal: Refusal, what: &str) -> Error {
        refusal.into_error(self.host(), self.repository(), what)
    }

    pub(super) fn protocol_error(&self, problem: impl Into<String>) -> Error {
        Error::Protocol { host: self.host().to_owned(), problem: problem.into() }
    }

    /// Sends, and sends again after a short pause where the connection broke or the server failed for the moment.
    async fn send(
        &self,
        shows: Shows,
        limits: &Limits,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Response, Error> {
        let mut pause = FIRST_PAUSE;
        for _ in 0..RETRIES {
            match self.send_once(shows, limits, request()).await {
                Ok(response) if is_passing(&response) => {}
                Err(Error::Net(net::Error::Unreachable { .. })) => {}
                settled => return settled,
            }
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.5))).await;
            pause *= 2;
        }
        self.send_once(shows, limits, request()).await
    }

    /// Sends when it is its turn, unless the host wants to be left alone. The token server counts as the host.
    async fn send_once(
        &self,
        shows: Shows,
        limits: &Limits,
        request: RequestBuilder,
    ) -> Result<Response, Error> {
        let now = Instant::now();
        let turn = self.pace.turn(self.caller, self.access.host.requests_per_second, now);
        let turn = turn
            .map_err(|rest| Error::RateLimited { host: self.host().to_owned(), retry_after: Some(rest) })?;
        if turn >= limits.until {
            return Err(net::Error::OutOfTime { host: self.host().to_owned() }.into());
        }
        // A timer that has run out already still takes a millisecond.
        if turn > now {
            tokio::time::sleep_until(turn).await;
        }
        let response = self.shared.connections.send(&self.http, request, limits).await?;
        let caller = self.caller.filter(|_| shows == Shows::Credential);
        self.pace.note(caller, response.status(), response.headers(), Instant::now(), Timestamp::now());
        Ok(response)
    }
}

/// What a request shows of who asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shows {
    /// The credential, or a token that was given for it, where there is a credential.
    Credential,
    Nothing,
}

fn authorized(request: RequestBuilder, authorization: Option<&HeaderValue>) -> RequestBuilder {
    match authorization {
        Some(header) => request.header(AUTHORIZATION, header),
        None => request,
    }
}
