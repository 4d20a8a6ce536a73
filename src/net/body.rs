//! How much of an answer is read, and how long it may take.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::Error;
use super::connections::authority;

/// The least that must arrive in every span of [`Limits::stall`], in bytes, unless the body ends before. One byte now
/// and then keeps a connection alive, not an exchange.
const LEAST_PROGRESS: u64 = 1024;

/// The caps on one exchange.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most bytes of a body, after decompression.
    pub bytes: u64,
    /// When the exchange must be over.
    pub until: Instant,
    /// How long a server may go without sending at least a kilobyte, or the head of its answer.
    pub stall: Duration,
}

impl Limits {
    /// Limits for an exchange that begins now and may take `total`.
    #[must_use]
    pub fn new(bytes: u64, total: Duration, stall: Duration) -> Self {
        Self { bytes, until: Instant::now() + total, stall }
    }

    /// Waits for `step` as long as one step may take.
    pub(super) async fn in_time<F: Future>(&self, host: &str, step: F) -> Result<F::Output, Error> {
        self.in_window(host, Instant::now() + self.stall, step).await
    }

    async fn in_window<F: Future>(&self, host: &str, end: Instant, step: F) -> Result<F::Output, Error> {
        let host = || host.to_owned();
        timeout_at(end.min(self.until), step).await.map_err(|_| {
            if self.until <= end {
                Error::OutOfTime { host: host() }
            } else {
                Error::Stalled { host: host(), after: self.stall }
            }
        })
    }
}

/// How an answer comes along, over whatever it comes.
#[derive(Debug)]
pub struct Progress {
    host: String,
    limits: Limits,
    read: u64,
    window_end: Instant,
    read_before_window: u64,
}

impl Progress {
    /// Of an answer of this host; the clock for stalling starts now.
    #[must_use]
    pub fn new(host: String, limits: Limits) -> Self {
        Self { host, limits, read: 0, window_end: Instant::now() + limits.stall, read_before_window: 0 }
    }

    /// Waits for the next piece as long as it may take.
    ///
    /// # Errors
    /// Where it takes longer.
    pub async fn wait<F: Future>(&self, piece: F) -> Result<F::Output, Error> {
        self.limits.in_window(&self.host, self.window_end, piece).await
    }

    /// Counts a piece that came.
    ///
    /// # Errors
    /// Where it is too much.
    pub fn count(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.read += piece.len() as u64;
        if self.read > self.limits.bytes {
            return Err(Error::TooLarge { host: self.host.clone(), cap: self.limits.bytes });
        }
        if self.read - self.read_before_window >= LEAST_PROGRESS {
            self.read_before_window = self.read;
            self.window_end = Instant::now() + self.limits.stall;
        }
        Ok(())
    }
}

/// A body that is read piece by piece within its limits.
#[derive(Debug)]
pub struct Body {
    response: reqwest::Response,
    progress: Progress,
}

impl Body {
    /// Starts to read; the clock for stalling starts now.
    #[must_use]
    pub fn new(response: reqwest::Response, limits: Limits) -> Self {
        let progress = Progress::new(authority(response.url()), limits);
        Self { response, progress }
    }

    /// The next piece, or `None` at the end of the body.
    ///
    /// # Errors
    /// The first cap that is broken, or a connection that broke before the end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let piece = self.progress.wait(self.response.chunk()).await?;
        let piece = piece.map_err(|error| Error::from_exchange(&self.progress.host, &error))?;
        piece.iter().try_for_each(|piece| self.progress.count(piece))?;
        Ok(piece)
    }

    /// How many bytes came so far, after decompression.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.progress.read
    }
}

/// Reads a whole body that is small enough to be held.
///
/// # Errors
/// As [`Body::chunk`]; nothing of a broken body is given.
pub async fn read_capped(response: reqwest::Response, limits: Limits) -> Result<Vec<u8>, Error> {
    let mut body = Body::new(response, limits);
    let mut bytes = Vec::new();
    while let Some(piece) = body.chunk().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::super::{AddressGuard, ClientSettings, Connections};
    use super::*;

    /// Answers one request with a head, and then with 4096 bytes, so many at a time.
    async fn dripping_server(at_a_time: usize, pause: Duration) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4096\r\n\r\n").await.unwrap();
            for piece in [b'x'; 4096].chunks(at_a_time) {
                if stream.write_all(piece).await.is_err() {
                    return;
                }
                tokio::time::sleep(pause).await;
            }
        });
        url
    }

    async fn fetch(url: &str, bytes: u64, total: Duration, stall: Duration) -> Result<Vec<u8>, Error> {
        let connections = Connections::new(AddressGuard::new(vec!["127.0.0.0/8".parse().unwrap()]));
        let client = connections.client(&ClientSettings::default())?;
        let limits = Limits::new(bytes, total, stall);
        let response = connections.send(&client, client.get(url), &limits).await?;
        read_capped(response, limits).await
    }

    #[tokio::test]
    async fn a_byte_now_and_then_is_a_stall() {
        let url = dripping_server(1, Duration::from_millis(10)).await;
        let error =
            fetch(&url, 1 << 20, Duration::from_secs(60), Duration::from_millis(200)).await.unwrap_err();
        assert!(matches!(error, Error::Stalled { .. }), "{error}");
    }

    #[tokio::test]
    async fn the_whole_has_a_deadline() {
        let url = dripping_server(1, Duration::from_millis(10)).await;
        let error =
            fetch(&url, 1 << 20, Duration::from_millis(200), Duration::from_secs(60)).await.unwrap_err();
        assert!(matches!(error, Error::OutOfTime { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_body_beyond_its_cap_is_an_error() {
        let url = dripping_server(1000, Duration::ZERO).await;
        let error = fetch(&url, 4095, Duration::from_secs(60), Duration::from_secs(60)).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { cap: 4095, .. }), "{error}");
        let url = dripping_server(1000, Duration::ZERO).await;
        let body = fetch(&url, 4096, Duration::from_secs(60), Duration::from_secs(60)).await.unwrap();
        assert_eq!(body.len(), 4096);
    }
}
