//! The ways to a server over HTTP: client certificates and proxies.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tagtide::api::Reason;
use tagtide::git::{
    Branch, BranchName, Coverage, Error, GitSecret, RemoteAccess, RepositoryUrl, proxy_from_secret,
};
use tagtide::net::{AddressGuard, Connections};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::faulty_server::honest;
use super::{InfraRepo, NAME, Scene, secret, set};
use crate::support::tls::{Authority, Clients, in_tls};

/// A name that only the proxies know.
const HIDDEN: &str = "git.hidden.example";

/// TLS in front of a server, for clients with a certificate of the authority alone.
async fn certified(authority: &Authority, server: SocketAddr) -> SocketAddr {
    in_tls(authority, &["127.0.0.1", HIDDEN], Clients::Certified, server).await
}

/// What a proxy was told before it let something through.
type Heard = Arc<Mutex<Vec<String>>>;

fn note(heard: &Heard, what: impl Into<String>) {
    heard.lock().unwrap_or_else(PoisonError::into_inner).push(what.into());
}

fn heard(heard: &Heard) -> Vec<String> {
    heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// A proxy by CONNECT (RFC 9110, 9.3.6) that leads every name to `server`.
async fn http_proxy(server: SocketAddr, told: Heard) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut inside, _)) = listener.accept().await {
            let told = Arc::clone(&told);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(inside.read_u8().await?);
                }
                let head = String::from_utf8(head).unwrap();
                let may = head.contains(&format!("asic {}", STANDARD.encode("me:pr0xy")));
                note(&told, head);
                if !may {
                    return inside.write_all(b"HTTP/1.1 407 Who?\r\nContent-Length: 0\r\n\r\n").await;
                }
                let mut outside = TcpStream::connect(server).await?;
                inside.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
                copy_bidirectional(&mut inside, &mut outside).await.map(|_| ())
            });
        }
    });
    address
}

/// A proxy by SOCKS 5 (RFC 1928, RFC 1929) that leads every name to `server`.
async fn socks_proxy(server: SocketAddr, told: Heard) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut inside, _)) = listener.accept().await {
            let told = Arc::clone(&told);
            tokio::spawn(async move {
                inside.read_u8().await?;
                take(&mut inside).await?;
                inside.write_all(&[5, 2]).await?;
                inside.read_u8().await?;
                let (user, password) = (take(&mut inside).await?, take(&mut inside).await?);
                let may = (user.as_str(), password.as_str()) == ("me", "pr0xy");
                inside.write_all(&[1, u8::from(!may)]).await?;
                if !may {
                    return Ok(());
                }
                let mut request = [0; 4];
                inside.read_exact(&mut request).await?;
                assert_eq!(request, [5, 1, 0, 3], "a connection to a name");
                note(&told, take(&mut inside).await?);
                inside.read_u16().await?;
                let mut outside = TcpStream::connect(server).await?;
                inside.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
                copy_bidirectional(&mut inside, &mut outside).await.map(|_| ())
            });
        }
    });
    address
}

/// A text behind its length.
async fn take(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut text = vec![0; stream.read_u8().await?.into()];
    stream.read_exact(&mut text).await?;
    Ok(String::from_utf8(text).unwrap())
}

async fn scene() -> (Scene, SocketAddr) {
    let repo = InfraRepo::new();
    repo.seed(&[("a.yaml", "1")]);
    let scene = Scene::over(repo, honest).await;
    let url = scene.server.url(NAME);
    let address = url.trim_start_matches("http://").split('/').next().unwrap().parse().unwrap();
    (scene, address)
}

fn open(scene: &Scene, url: &str, secret: GitSecret, proxy: Option<(&str, &str)>) -> Result<Branch, Error> {
    let proxy = proxy.map(|(address, password)| {
        let entries = [("address", address), ("username", "me"), ("password", password)];
        let data = entries.map(|(key, value)| (key.to_owned(), value.as_bytes().to_vec()));
        proxy_from_secret(&BTreeMap::from(data)).unwrap()
    });
    let access = RemoteAccess {
        connections: Connections::new(AddressGuard::new(vec!["127.0.0.0/8".parse().unwrap()])),
        secret,
        proxy,
        push_options: Vec::new(),
        mirror: scene.cache.path().join("another"),
        room: tagtide::git::Room::default(),
        coverage: Coverage::Whole,
    };
    Branch::open(&RepositoryUrl::parse(url)?, BranchName::parse("main")?, access)
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_is_shown_one() {
    let (scene, server) = scene().await;
    let authority = Authority::new();
    let url = format!("https://{}/{NAME}", certified(&authority, server).await);
    let ca = authority.pem();
    let (certificate, key) = authority.issue(&[]);
    let (stranger, strangers_key) = Authority::new().issue(&[]);

    for (secret, words) in [
        (secret(&[("ca.crt", &ca)]), "fatal alert"),
        (
            secret(&[
                ("ca.crt", &ca),
                ("tls.crt", &stranger.pem()),
                ("tls.key", &strangers_key.serialize_pem()),
            ]),
            "fatal alert",
        ),
        (secret(&[("tls.crt", &certificate.pem()), ("tls.key", &key.serialize_pem())]), "UnknownIssuer"),
    ] {
        let error = open(&scene, &url, secret, None).unwrap().bring_up_to_date().await.unwrap_err();
        assert_eq!(error.reason(), Reason::Unreachable);
        assert!(error.to_string().contains(words), "{words}: {error}");
    }
    let unfit = secret(&[("tls.crt", &certificate.pem()), ("tls.key", &strangers_key.serialize_pem())]);
    let error = open(&scene, &url, unfit, None).err().unwrap();
    assert!(error.reason() == Reason::SecretInvalid && error.to_string().contains("tls.key"), "{error}");

    let both = [("ca.crt", &*ca), ("tls.crt", &certificate.pem()), ("tls.key", &key.serialize_pem())];
    let branch = open(&scene, &url, secret(&both), None).unwrap();
    set(&branch, "a.yaml", "2").await;
    assert_eq!(scene.repo.read("main", "a.yaml"), "2");
}

#[tokio::test]
async fn a_proxy_is_asked_for_a_name_that_it_alone_knows_and_hears_no_credentials_of_the_server() {
    let (scene, server) = scene().await;
    let authority = Authority::new();
    let (certificate, key) = authority.issue(&[]);
    let told = Heard::default();
    let proxy = http_proxy(certified(&authority, server).await, Arc::clone(&told)).await;
    let (ca, chain, key) = (authority.pem(), certificate.pem(), key.serialize_pem());
    let entries = [("ca.crt", &*ca), ("tls.crt", &chain), ("tls.key", &key), ("bearerToken", "s3rver")];
    let (url, address) = (format!("https://{HIDDEN}/{NAME}"), format!("http://{proxy}"));

    let refused = open(&scene, &url, secret(&entries), Some((&address, "wrong"))).unwrap();
    let error = refused.bring_up_to_date().await.unwrap_err();
    assert_eq!(error.reason(), Reason::Unreachable, "{error}");
    assert_eq!(scene.server.requests(), 0);
    drop(refused);

    let branch = open(&scene, &url, secret(&entries), Some((&address, "pr0xy"))).unwrap();
    set(&branch, "a.yaml", "2").await;
    assert_eq!(scene.repo.read("main", "a.yaml"), "2");
    for head in heard(&told) {
        assert!(head.starts_with(&format!("CONNECT {HIDDEN}:443 ")), "{head}");
        assert!(!head.contains("s3rver"), "{head}");
    }
    assert!(scene.server.authorizations().iter().all(|value| value == "Bearer s3rver"));
}

#[tokio::test]
async fn a_socks_proxy_resolves_the_name() {
    let (scene, server) = scene().await;
    let told = Heard::default();
    let proxy = socks_proxy(server, Arc::clone(&told)).await;
    let (url, address) = (format!("http://{HIDDEN}/{NAME}"), format!("socks5://{proxy}"));
    let refused = open(&scene, &url, GitSecret::default(), Some((&address, "wrong"))).unwrap();
    assert_eq!(refused.bring_up_to_date().await.unwrap_err().reason(), Reason::Unreachable);
    drop(refused);
    let branch = open(&scene, &url, GitSecret::default(), Some((&address, "pr0xy"))).unwrap();
    set(&branch, "a.yaml", "2").await;
    assert_eq!(scene.repo.read("main", "a.yaml"), "2");
    assert!(heard(&told).iter().all(|name| name == HIDDEN));
    assert!(!heard(&told).is_empty());
}
