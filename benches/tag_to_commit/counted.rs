//! A way to the Git server that counts the bytes, and what something took.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What something took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    pub seconds: f64,
    /// User and system time.
    pub cpu_seconds: f64,
    /// The most resident memory.
    pub peak_mib: f64,
    /// Bytes from the Git server, and to it.
    pub down: u64,
    pub up: u64,
    /// Requests to the Git server.
    pub requests: u64,
}

impl Cost {
    /// The mean traffic of so many rounds; the rest is one round's already.
    pub fn each_of(self, rounds: usize) -> Self {
        let rounds = rounds as u64;
        Self { down: self.down / rounds, up: self.up / rounds, requests: self.requests / rounds, ..self }
    }
}

/// Passes connections on to a server.
pub struct Passage {
    address: SocketAddr,
    down: Arc<AtomicU64>,
    up: Arc<AtomicU64>,
}

impl Passage {
    /// To the server at `http://{authority}`.
    pub async fn open(authority: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (down, up) = <(Arc<AtomicU64>, Arc<AtomicU64>)>::default();
        let this = Self { address, down: Arc::clone(&down), up: Arc::clone(&up) };
        tokio::spawn(async move {
            while let Ok((here, _)) = listener.accept().await {
                let Ok(there) = TcpStream::connect(&authority).await else { continue };
                // Neither the client nor a server would wait here.
                for side in [&here, &there] {
                    side.set_nodelay(true).expect("an open socket");
                }
                let ((here_in, here_out), (there_in, there_out)) = (here.into_split(), there.into_split());
                tokio::spawn(pass(here_in, there_out, Arc::clone(&up)));
                tokio::spawn(pass(there_in, here_out, Arc::clone(&down)));
            }
        });
        this
    }

    /// Its own address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The bytes so far, down and up.
    pub fn bytes(&self) -> (u64, u64) {
        (self.down.load(Ordering::Relaxed), self.up.load(Ordering::Relaxed))
    }
}

async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, count: Arc<AtomicU64>) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        count.fetch_add(length as u64, Ordering::Relaxed);
        if to.write_all(buffer.get(..length).unwrap_or_default()).await.is_err() {
            break;
        }
    }
    // Where the other side is gone there is nothing to close.
    to.shutdown().await.ok();
}
