//! The socket at which strangers call: how many at once, and for how long.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::route::{Destination, routes};

/// The most connections at once.
const MOST_CONNECTIONS: usize = 256;

/// How long the head of a request may take to come; also how long a connection is kept for the next one.
const HEAD_TIME: Duration = Duration::from_secs(5);

/// How long one connection may last, whatever comes over it.
const LIFE: Duration = Duration::from_secs(120);

/// The most that the head of a request may have, in bytes.
const MAX_HEAD: usize = 32 * 1024;

/// How long the listener waits after the system refused it a connection, as it does without free descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// A socket that listens.
pub struct Listener(TcpListener);

impl Listener {
    /// Listens at `address`.
    ///
    /// # Errors
    /// Where the address is taken, or not this machine's.
    pub async fn bind(address: SocketAddr) -> std::io::Result<Self> {
        Ok(Self(TcpListener::bind(address).await?))
    }

    /// Where it listens, which tells the port where 0 was asked for.
    ///
    /// # Errors
    /// Where the system does not say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// Serves deliveries until `stop` is cancelled. Who finds all connections taken waits in the system's queue.
pub async fn serve<D: Destination>(listener: Listener, destination: Arc<D>, stop: CancellationToken) {
    let (router, free) = (routes(destination), Arc::new(Semaphore::new(MOST_CONNECTIONS)));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&free).acquire_owned().await else { return };
        tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.0.accept() => match accepted {
                Ok((stream, _)) => {
                    let router = router.clone();
                    connections.spawn(async move {
                        let _ = timeout(LIFE, converse(stream, router)).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    sleep(PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, router: Router) {
    let mut server = Builder::new(TokioExecutor::new()).http1_only();
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(MAX_HEAD);
    // What goes wrong here is the caller's.
    let _ = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).await;
}
