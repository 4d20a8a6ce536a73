//! An HTTP proxy in front of a real server, which spoils what it is told to spoil: the rest is the server's own.
//!
//! It speaks HTTP/1.1 by itself, so that it can also break what no library would: a body that ends early, a byte now and
//! then, a connection that is taken and never answered. The server is asked over a connection for each request.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What is done to an exchange.
#[derive(Clone, Debug)]
pub enum Fault {
    /// An answer of the proxy's own, with these headers (`name: value`).
    Answer(u16, Vec<String>, String),
    /// The server's answer, with a header put in place of its own.
    Header(&'static str, String),
    /// The server's answer, whose body ends after so many bytes, while its length says more.
    CutAfter(usize),
    /// The server's answer, whose body comes a byte at a time.
    Drip(Duration),
    /// The server's answer, in whose body a text is replaced by one of the same length.
    Replace(&'static str, &'static str),
    /// The server's list of tags in pages of this size, as `Link` leads through them.
    Pages(usize),
    /// The server is asked as if nobody had said who asks.
    Unauthorized,
    /// The request is taken, and nothing comes back.
    Silence,
    /// The connection is closed in the middle of the request.
    Reset,
}

/// One rule: which requests, and of these which.
pub struct Rule {
    /// What the method and the target begin with, such as `GET /v2/acme/api/tags/list`.
    start: &'static str,
    /// What the target has in it, besides.
    part: &'static str,
    /// The first requests that are let through, and how many are spoilt then.
    passed: usize,
    spoilt: usize,
    fault: Fault,
    seen: usize,
}

impl Rule {
    /// Every request that begins like this.
    pub const fn every(start: &'static str, fault: Fault) -> Self {
        Self { start, part: "", passed: 0, spoilt: usize::MAX, fault, seen: 0 }
    }

    /// Only those with this in their target.
    pub fn with(self, part: &'static str) -> Self {
        Self { part, ..self }
    }

    /// Only so many, from the first on.
    pub fn times(self, spoilt: usize) -> Self {
        Self { spoilt, ..self }
    }

    fn meets(&mut self, request: &str) -> bool {
        if !request.starts_with(self.start) || !request.contains(self.part) {
            return false;
        }
        self.seen += 1;
        self.seen > self.passed && self.seen - self.passed <= self.spoilt
    }
}

/// A running proxy.
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    rules: Mutex<Vec<Rule>>,
    /// What another name takes the place of in the heads of answers.
    renamed: Mutex<Option<(String, String)>>,
    /// Each request's head.
    log: Mutex<Vec<String>>,
}

impl FaultProxy {
    /// Starts one in front of a server, that spoils nothing.
    pub async fn before(server: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let server = server.parse().expect("an address");
        let shared = Arc::new(Shared {
            server,
            rules: Mutex::default(),
            renamed: Mutex::default(),
            log: Mutex::default(),
        });
        let own = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&own);
                // Whoever goes away in the middle ends the exchange.
                tokio::spawn(async move { shared.serve(stream).await.ok() });
            }
        });
        Self { address, shared }
    }

    /// The same, and what the server calls `from` in the heads of its answers is `to`.
    pub fn renaming(self, from: String, to: String) -> Self {
        *self.shared.renamed.lock().unwrap_or_else(PoisonError::into_inner) = Some((from, to));
        self
    }

    /// The rules from now on; the first that meets a request is the one.
    pub fn rules(&self, rules: impl Into<Vec<Rule>>) {
        *self.shared.rules.lock().unwrap_or_else(PoisonError::into_inner) = rules.into();
    }

    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The heads of the requests that begin like this.
    pub fn requests(&self, start: &str) -> Vec<String> {
        let log = self.shared.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter().filter(|head| head.starts_with(start)).cloned().collect()
    }
}

impl Shared {
    async fn serve(&self, mut client: TcpStream) -> std::io::Result<()> {
        let mut buffer = Vec::new();
        while let Some(request) = read_message(&mut client, &mut buffer).await? {
            let head = request.head.clone();
            self.log.lock().unwrap_or_else(PoisonError::into_inner).push(head.clone());
            let fault = {
                let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
                rules.iter_mut().find_map(|rule| rule.meets(&head).then(|| rule.fault.clone()))
            };
            match fault {
                Some(Fault::Silence) => std::future::pending().await,
                Some(Fault::Reset) => return client.set_zero_linger(),
                Some(Fault::Answer(status, headers, body)) => {
                    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
                    let length = body.len();
                    let body = if head.starts_with("HEAD ") { String::new() } else { body };
                    let text =
                        format!("HTTP/1.1 {status} x\r\n{headers}content-length: {length}\r\n\r\n{body}");
                    client.write_all(text.as_bytes()).await?;
                }
                fault => {
                    let answer = self.ask(request, fault.as_ref()).await?;
                    send(&mut client, answer, fault.as_ref(), &head).await?;
                }
            }
        }
        Ok(())
    }

    /// Asks the server, over a connection of its own.
    async fn ask(&self, request: Message, fault: Option<&Fault>) -> std::io::Result<Message> {
        let is_unwanted = |line: &str| {
            let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
            name == "connection"
                || name == "accept-encoding"
                || (name == "authorization" && matches!(fault, Some(Fault::Unauthorized)))
        };
        let lines: Vec<&str> = request.head.split("\r\n").filter(|line| !is_unwanted(line)).collect();
        let mut server = TcpStream::connect(self.server).await?;
        server
            .write_all(format!("{}\r\nconnection: close\r\n\r\n", lines.join("\r\n").trim_end()).as_bytes())
            .await?;
        server.write_all(&request.body).await?;
        let mut all = Vec::new();
        server.read_to_end(&mut all).await?;
        let mut answer = Message::split(&all);
        if let Some((from, to)) = &*self.renamed.lock().unwrap_or_else(PoisonError::into_inner) {
            answer.head = answer.head.replace(from, to);
        }
        Ok(answer)
    }
}

async fn send(
    client: &mut TcpStream,
    answer: Message,
    fault: Option<&Fault>,
    request: &str,
) -> std::io::Result<()> {
    let Message { head, mut body } = answer;
    let kept = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        let is_replaced = matches!(fault, Some(Fault::Header(other, _)) if name == *other);
        !is_replaced && !matches!(name.as_str(), "connection" | "content-length" | "transfer-encoding")
    };
    let mut lines: Vec<String> = head.split("\r\n").filter(kept).map(str::to_owned).collect();
    let mut length = length_of(&head).unwrap_or(body.len());
    match fault {
        Some(Fault::Header(name, value)) => lines.push(format!("{name}: {value}")),
        Some(Fault::Pages(size)) => {
            let (page, next) = page_of(&body, *size, request);
            body = page;
            length = body.len();
            lines.extend(next.map(|next| format!("Link: <{next}>; rel=\"next\"")));
        }
        Some(Fault::Replace(from, to)) => {
            let text = String::from_utf8_lossy(&body).replace(from, to);
            body = text.into_bytes();
            length = body.len();
        }
        _ => {}
    }
    lines.push(format!("content-length: {length}"));
    client.write_all(format!("{}\r\n\r\n", lines.join("\r\n")).as_bytes()).await?;
    match fault {
        Some(Fault::CutAfter(bytes)) => {
            client.write_all(&body[..(*bytes).min(body.len())]).await?;
            client.shutdown().await
        }
        Some(Fault::Drip(pause)) => {
            for byte in body {
                client.write_all(&[byte]).await?;
                tokio::time::sleep(*pause).await;
            }
            Ok(())
        }
        _ => client.write_all(&body).await,
    }
}

/// One page of a whole list, and where the next one is.
fn page_of(list: &[u8], size: usize, request: &str) -> (Vec<u8>, Option<String>) {
    let Ok(mut list) = serde_json::from_slice::<serde_json::Value>(list) else {
        return (list.to_vec(), None);
    };
    let target = request.split(' ').nth(1).unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    let last = target.split_once("page=").and_then(|(_, number)| number.parse().ok()).unwrap_or(0);
    let mut tags: Vec<String> = list["tags"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|tag| Some(tag.as_str()?.to_owned()))
        .collect();
    tags.sort();
    let next = (tags.len() > (last + 1) * size).then(|| format!("{path}?page={}", last + 1));
    let page: Vec<String> = tags.into_iter().skip(last * size).take(size).collect();
    list["tags"] = page.into();
    (list.to_string().into_bytes(), next)
}

/// A request or an answer.
struct Message {
    /// Without the empty line behind it.
    head: String,
    body: Vec<u8>,
}

impl Message {
    /// A whole answer, up to the end of its connection.
    fn split(all: &[u8]) -> Self {
        let end = end_of_head(all).unwrap_or(all.len());
        let head = String::from_utf8_lossy(&all[..end]).trim_end().to_owned();
        let body = &all[end..];
        let body = if is_chunked(&head) { unchunked(body) } else { body.to_vec() };
        Self { head, body }
    }
}

/// The next request of a connection; `None` at its end.
async fn read_message(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<Option<Message>> {
    loop {
        if let Some(end) = end_of_head(buffer) {
            let head = String::from_utf8_lossy(&buffer[..end]).trim_end().to_owned();
            let whole = end + length_of(&head).unwrap_or(0);
            if buffer.len() >= whole {
                let rest = buffer.split_off(whole);
                let body = std::mem::replace(buffer, rest).split_off(end);
                return Ok(Some(Message { head, body }));
            }
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

fn header<'h>(head: &'h str, wanted: &str) -> Option<&'h str> {
    let named = |line: &&str| line.split(':').next().is_some_and(|name| name.eq_ignore_ascii_case(wanted));
    head.split("\r\n").find(named)?.split_once(':').map(|(_, value)| value.trim())
}

fn length_of(head: &str) -> Option<usize> {
    header(head, "content-length")?.parse().ok()
}

fn is_chunked(head: &str) -> bool {
    header(head, "transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
}

/// The content of a chunked body (RFC 9112, 7.1).
fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end])
            .ok()
            .and_then(|text| usize::from_str_radix(text.trim(), 16).ok());
        let Some(size @ 1..) = size else { break };
        let Some(chunk) = rest.get(end + 2..end + 2 + size) else { break };
        whole.extend_from_slice(chunk);
        rest = rest.get(end + 2 + size + 2..).unwrap_or_default();
    }
    whole
}
