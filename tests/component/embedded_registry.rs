//! The demo's own registry, as other people's clients and Tagtide's see it.

use std::time::Duration;

use oci_distribution::client::{ClientConfig, ClientProtocol, Config, ImageLayer, PushResponse};
use oci_distribution::manifest::{IMAGE_CONFIG_MEDIA_TYPE, IMAGE_LAYER_MEDIA_TYPE};
use oci_distribution::secrets::RegistryAuth::Anonymous;
use oci_distribution::{Client, Reference};
use reqwest::{Method, StatusCode};
use tagtide::demo::embedded_registry::EmbeddedRegistry;
use tagtide::image::{ImageName, TagRef};
use tagtide::net::{AddressGuard, Connections};
use tagtide::registry::{self, Access, HostSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const REPOSITORY: &str = "acme/api";

fn client(use_monolithic_push: bool) -> Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    Client::new(ClientConfig {
        protocol: ClientProtocol::Http,
        use_monolithic_push,
        ..ClientConfig::default()
    })
}

async fn push(client: &Client, host: &str, tag: &str) -> PushResponse {
    let image = Reference::with_tag(host.to_owned(), REPOSITORY.to_owned(), tag.to_owned());
    // Larger than a chunk of the client, which is 4 MiB: two of them make one blob.
    let layer = ImageLayer::new(vec![7; 5 << 20], IMAGE_LAYER_MEDIA_TYPE.to_owned(), None);
    let config = Config::new(format!("{{\"tag\":\"{tag}\"}}"), IMAGE_CONFIG_MEDIA_TYPE.to_owned(), None);
    client.push(&image, &[layer], config, &Anonymous, None).await.unwrap()
}

async fn ask(method: Method, url: &str) -> reqwest::Response {
    reqwest::Client::new().request(method, url).send().await.unwrap()
}

#[tokio::test]
async fn takes_images_in_one_piece_and_in_chunks_and_gives_them_back() {
    let registry = EmbeddedRegistry::start().await.unwrap();
    let host = registry.host();
    for (use_monolithic_push, tag) in [(true, "1.0.0"), (false, "1.1.0")] {
        let client = client(use_monolithic_push);
        push(&client, &host, tag).await;
        let image = Reference::with_tag(host.clone(), REPOSITORY.to_owned(), tag.to_owned());
        let pulled = client.pull(&image, &Anonymous, vec![IMAGE_LAYER_MEDIA_TYPE]).await.unwrap();
        assert_eq!(pulled.layers[0].data.len(), 5 << 20, "{tag}");
        assert_eq!(pulled.config.data, format!("{{\"tag\":\"{tag}\"}}"), "{tag}");
        let digest = client.fetch_manifest_digest(&image, &Anonymous).await.unwrap();
        assert_eq!(Some(digest), pulled.digest, "{tag}");
    }
}

#[tokio::test]
async fn lists_tags_page_by_page() {
    let registry = EmbeddedRegistry::start().await.unwrap();
    let host = registry.host();
    let client = client(false);
    let all = ["1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0"];
    for tag in all.iter().rev() {
        push(&client, &host, tag).await;
    }

    let image = Reference::with_tag(host.clone(), REPOSITORY.to_owned(), "any".to_owned());
    let page = client.list_tags(&image, &Anonymous, Some(2), Some("1.1.0")).await.unwrap();
    assert_eq!(page.tags, ["1.2.0", "1.3.0"]);

    let first = ask(Method::GET, &format!("http://{host}/v2/{REPOSITORY}/tags/list?n=2")).await;
    assert_eq!(first.headers()["link"], "</v2/acme/api/tags/list?n=2&last=1.1.0>; rel=\"next\"");
    let last = ask(Method::GET, &format!("http://{host}/v2/{REPOSITORY}/tags/list?n=2&last=1.3.0")).await;
    assert!(last.headers().get("link").is_none(), "nothing follows 1.4.0");
}

#[tokio::test]
async fn tagtide_follows_its_pages_to_the_end() {
    let registry = EmbeddedRegistry::start().await.unwrap();
    let host = registry.host();
    // A page has 100 tags at most, whatever is asked for.
    let all: Vec<String> = (100..350).map(|minor| format!("1.{minor}.0")).collect();
    let client = reqwest::Client::new();
    for tag in &all {
        let manifest = client
            .put(format!("http://{host}/v2/{REPOSITORY}/manifests/{tag}"))
            .header("content-type", "application/vnd.oci.image.manifest.v1+json")
            .body(format!("{{\"tag\":\"{tag}\"}}"));
        assert_eq!(manifest.send().await.unwrap().status(), StatusCode::CREATED);
    }
    let guard = AddressGuard::new(vec!["127.0.0.0/8".parse().unwrap()]);
    let tagtide = registry::Client::new(Connections::new(guard), true);
    let access =
        Access { host: HostSettings { insecure: true, ..HostSettings::default() }, credential: None };
    let name = ImageName::parse(&format!("{host}/{REPOSITORY}")).unwrap();
    let mut listed = Vec::new();
    let mut each = |tags: &[TagRef<'_>]| listed.extend(tags.iter().map(|tag| tag.as_str().to_owned()));
    let listing = tagtide.list_tags(&name, &access, &mut each).await.unwrap();
    assert_eq!(listed, all);
    assert_eq!(listing.pages, 3);
}

#[tokio::test]
async fn a_deleted_image_is_listed_no_more() {
    let registry = EmbeddedRegistry::start().await.unwrap();
    let host = registry.host();
    let client = client(false);
    for tag in ["1.0.0", "1.1.0"] {
        push(&client, &host, tag).await;
    }
    let manifest = format!("http://{host}/v2/{REPOSITORY}/manifests/1.1.0");
    let head = ask(Method::HEAD, &manifest).await;
    let digest = head.headers()["docker-content-digest"].to_str().unwrap();
    assert_ne!(head.headers()["content-length"], "0", "the length of what GET gives");
    let by_digest = format!("http://{host}/v2/{REPOSITORY}/manifests/{digest}");
    assert_eq!(ask(Method::DELETE, &by_digest).await.status(), StatusCode::ACCEPTED);
    assert_eq!(ask(Method::GET, &manifest).await.status(), StatusCode::NOT_FOUND);
    let image = Reference::with_tag(host, REPOSITORY.to_owned(), "any".to_owned());
    assert_eq!(client.list_tags(&image, &Anonymous, None, None).await.unwrap().tags, ["1.0.0"]);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_in_the_specifications_words() {
    let registry = EmbeddedRegistry::start().await.unwrap();
    let base = format!("http://{}/v2/{REPOSITORY}", registry.host());
    for (method, path, status, code) in [
        (Method::GET, "/tags/list", 404, "NAME_UNKNOWN"),
        (Method::GET, "/tags/list?n=x", 400, "UNSUPPORTED"),
        (Method::GET, "/manifests/1.0.0", 404, "MANIFEST_UNKNOWN"),
        (Method::PUT, "/manifests/1.0.0", 400, "MANIFEST_INVALID"),
        (Method::PATCH, "/manifests/1.0.0", 405, "UNSUPPORTED"),
        (Method::PATCH, "/blobs/uploads/9", 404, "BLOB_UPLOAD_UNKNOWN"),
        (Method::POST, "/blobs/uploads/?digest=x", 400, "DIGEST_INVALID"),
    ] {
        let answer = ask(method, &format!("{base}{path}")).await;
        assert_eq!(answer.status(), status, "{path}");
        let body = answer.text().await.unwrap();
        assert!(body.starts_with(&format!("{{\"errors\":[{{\"code\":\"{code}\"")), "{path}: {body}");
    }
    let large = reqwest::Client::new().put(format!("{base}/manifests/1")).body(vec![b' '; 9 << 20]);
    let refused = large.send().await.map(|answer| answer.status());
    // The connection may be cut before all was sent: that is a refusal too.
    assert!(refused.is_err() || refused.is_ok_and(|status| status == StatusCode::PAYLOAD_TOO_LARGE));
}

#[tokio::test]
async fn ends_when_it_is_dropped() {
    let registry = EmbeddedRegistry::start().await.unwrap();
    // A connection that stays open tells it: the freed port may at once be another test's.
    let mut connection = TcpStream::connect(registry.host()).await.unwrap();
    let request = format!("GET /v2/ HTTP/1.1\r\nHost: {}\r\n\r\n", registry.host());
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    connection.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    drop(registry);
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(20), connection.read_to_end(&mut rest)).await;
    ended.expect("it goes on serving").unwrap();
}
