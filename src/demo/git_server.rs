//! A Git server over HTTP on the loopback interface: Git's own `git http-backend` behind axum.
//!
//! `http-backend` is a CGI program (RFC 3875): one process for each request, the request's headers in its environment,
//! bodies over its standard input and output. Both bodies are streamed, so a push or a clone of any size costs no memory.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header, request::Parts, response};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The most bytes that the head of an answer may have; `http-backend` writes a few hundred.
const HEAD_LIMIT: u64 = 16 * 1024;

/// What the server lets its clients do: push, and fetch as the large forges allow it (filters, any object by its id).
/// No garbage collection runs behind a push, since a folder may be removed right after it.
const GIT_SETTINGS: [(&str, &str); 4] = [
    ("http.receivepack", "true"),
    ("uploadpack.allowFilter", "true"),
    ("uploadpack.allowAnySHA1InWant", "true"),
    ("receive.autogc", "false"),
];

/// Request headers that `http-backend` reads, with the variables in which it looks for them.
const FORWARDED: [(&str, &str); 4] = [
    ("content-type", "CONTENT_TYPE"),
    ("content-length", "CONTENT_LENGTH"),
    ("content-encoding", "HTTP_CONTENT_ENCODING"),
    ("git-protocol", "GIT_PROTOCOL"),
];

/// Why the server could not start, or could not answer one request.
#[derive(Debug, thiserror::Error)]
pub enum GitServerError {
    /// No port could be opened.
    #[error("listen on a free port of 127.0.0.1")]
    Listen(#[source] io::Error),
    /// The CGI program could not be started.
    #[error("start `git http-backend`; it comes with the package git")]
    Spawn(#[source] io::Error),
    /// Its output broke off.
    #[error("read the answer of `git http-backend`")]
    Read(#[source] io::Error),
    /// Its output is not that of a CGI program.
    #[error("understand the answer of `git http-backend`: {found:?} where a header or an empty line belongs")]
    Head {
        /// The line that is no header; empty where the output ended before its body.
        found: String,
    },
}

/// The one user whom a server lets in. It has no `Debug`, so that the password reaches no log.
#[derive(Clone)]
pub struct BasicAuth {
    /// The name, without a colon (RFC 7617).
    pub user: String,
    /// The password or token.
    pub password: String,
}

impl BasicAuth {
    fn admits(&self, headers: &HeaderMap) -> bool {
        headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
            .is_some_and(|(_, given)| given == STANDARD.encode(format!("{}:{}", self.user, self.password)))
    }
}

/// A running server. It stops when this value is dropped.
pub struct GitServer {
    address: SocketAddr,
    _stop: DropGuard,
}

impl GitServer {
    /// Serves every repository under `root` on a free port of 127.0.0.1, to anyone or only to the user in `auth`.
    ///
    /// # Errors
    /// [`GitServerError::Listen`] where no port can be opened.
    pub async fn start(root: PathBuf, auth: Option<BasicAuth>) -> Result<Self, GitServerError> {
        Self::serve(router(root, auth)).await
    }

    /// Serves a router, which is [`router`] with layers of the caller's own around it.
    ///
    /// # Errors
    /// [`GitServerError::Listen`] where no port can be opened.
    pub async fn serve(router: Router) -> Result<Self, GitServerError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(GitServerError::Listen)?;
        let address = listener.local_addr().map_err(GitServerError::Listen)?;
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        // Small answers go out at once, as from any Git server. A socket that refuses the option works all the same.
        let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
        tokio::spawn(axum::serve(listener, router).with_graceful_shutdown(stopped).into_future());
        Ok(Self { address, _stop: stop.drop_guard() })
    }

    /// The address of the served folder, without a slash at its end: a repository's own is `{url}/{folder}`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

struct Site {
    root: PathBuf,
    auth: Option<BasicAuth>,
}

/// The service itself: every repository under `root`, for anyone or only for the user in `auth`.
pub fn router(root: PathBuf, auth: Option<BasicAuth>) -> Router {
    Router::new().fallback(answer).with_state(Arc::new(Site { root, auth }))
}

async fn answer(State(site): State<Arc<Site>>, request: Request) -> Response {
    if site.auth.as_ref().is_some_and(|auth| !auth.admits(request.headers())) {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"git\"")];
        return (StatusCode::UNAUTHORIZED, challenge, "a user and a password are needed\n").into_response();
    }
    match run_backend(&site, request).await {
        Ok(response) => response,
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "a Git request failed");
            (StatusCode::INTERNAL_SERVER_ERROR, format!("failed to {error}\n")).into_response()
        }
    }
}

async fn run_backend(site: &Site, request: Request) -> Result<Response, GitServerError> {
    let (parts, body) = request.into_parts();
    let mut child = backend_command(site, &parts).spawn().map_err(GitServerError::Spawn)?;
    let output = child.stdout.take();
    tokio::spawn(feed(child, body));
    let mut output = BufReader::new(output.ok_or_else(|| GitServerError::Head { found: String::new() })?);
    let head = read_head(&mut output).await?;
    head.body(body_of(output)).map_err(|error| GitServerError::Head { found: error.to_string() })
}

/// The environment is built anew: a `GIT_DIR` around us, or the user's own Git settings, must not change the answer.
fn backend_command(site: &Site, parts: &Parts) -> Command {
    let mut command = Command::new("git");
    command.arg("http-backend").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_PROJECT_ROOT", &site.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default());
    for (number, (key, value)) in GIT_SETTINGS.iter().enumerate() {
        command.env(format!("GIT_CONFIG_KEY_{number}"), key).env(format!("GIT_CONFIG_VALUE_{number}"), value);
    }
    command.env("GIT_CONFIG_COUNT", GIT_SETTINGS.len().to_string());
    if let Some(auth) = &site.auth {
        command.env("REMOTE_USER", &auth.user);
    }
    for (name, variable) in FORWARDED {
        if let Some(value) = parts.headers.get(name).and_then(|value| value.to_str().ok()) {
            command.env(variable, value);
        }
    }
    command
}

/// Writes the request's body to the program and waits for its end. A program that stops reading has said all it will.
async fn feed(mut child: Child, body: Body) {
    if let Some(mut input) = child.stdin.take() {
        let mut chunks = body.into_data_stream();
        while let Some(Ok(chunk)) = chunks.next().await {
            if input.write_all(&chunk).await.is_err() {
                break;
            }
        }
    }
    match child.wait_with_output().await {
        Ok(end) if end.status.success() => {}
        Ok(end) => {
            let said = String::from_utf8_lossy(&end.stderr);
            tracing::warn!(status = %end.status, said = said.trim(), "`git http-backend` failed");
        }
        Err(error) => tracing::warn!(%error, "`git http-backend` could not be waited for"),
    }
}

/// Reads the head that a CGI program writes before its body: headers, with the status among them, and an empty line.
async fn read_head(output: &mut (impl AsyncBufRead + Unpin)) -> Result<response::Builder, GitServerError> {
    let mut lines = output.take(HEAD_LIMIT).lines();
    let mut head = Response::builder();
    loop {
        let line = lines.next_line().await.map_err(GitServerError::Read)?;
        let line = line.ok_or_else(|| GitServerError::Head { found: String::new() })?;
        if line.is_empty() {
            return Ok(head);
        }
        let Some((name, value)) = line.split_once(':').map(|(name, value)| (name, value.trim())) else {
            return Err(GitServerError::Head { found: line });
        };
        head = if name.eq_ignore_ascii_case("status") {
            head.status(value.split(' ').next().unwrap_or_default())
        } else {
            head.header(name, value)
        };
    }
}

fn body_of(output: impl AsyncBufRead + Unpin + Send + 'static) -> Body {
    Body::from_stream(stream::try_unfold(output, async |mut output| {
        let chunk = Bytes::copy_from_slice(output.fill_buf().await?);
        output.consume(chunk.len());
        io::Result::Ok((!chunk.is_empty()).then_some((chunk, output)))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth() -> BasicAuth {
        BasicAuth { user: "bot".into(), password: "s3cret".into() }
    }

    fn admits(authorization: &str) -> bool {
        auth().admits(&HeaderMap::from_iter([(header::AUTHORIZATION, authorization.parse().unwrap())]))
    }

    #[test]
    fn only_the_one_user_with_the_right_password_is_let_in() {
        let given = |text: &str| STANDARD.encode(text);
        assert!(admits(&format!("Basic {}", given("bot:s3cret"))));
        assert!(admits(&format!("basic {}", given("bot:s3cret"))), "the scheme's case does not matter");
        assert!(!admits(&format!("Basic {}", given("bot:secret"))));
        assert!(!admits(&format!("Bearer {}", given("bot:s3cret"))));
        assert!(!admits("Basic"));
        assert!(!auth().admits(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn the_head_of_a_cgi_answer_becomes_status_and_headers() {
        let mut output = "Status: 404 Not Found\r\nContent-Type: text/plain\r\n\r\nrest".as_bytes();
        let response = read_head(&mut output).await.unwrap().body(()).unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(response.headers()["content-type"], "text/plain");
        assert_eq!(output, b"rest", "the body is left to be streamed");
    }

    #[tokio::test]
    async fn an_answer_that_is_no_cgi_answer_is_an_error() {
        let endless = format!("X: {}\r\n\r\n", "a".repeat(32 * 1024));
        for output in ["no header\r\n\r\n", "Content-Type: text/plain\r\n", "", &endless] {
            let error = read_head(&mut output.as_bytes()).await.unwrap_err();
            assert!(matches!(error, GitServerError::Head { .. }), "{error}");
        }
    }
}
