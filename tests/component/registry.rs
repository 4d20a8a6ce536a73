//! The registry client against a real registry; against one whose answers are spoilt on the way (`spoilt`: with tokens and
//! TLS, behind a proxy of the tests); and against one that misbehaves by itself: a server of the tests that answers as it is
//! told (`faults`). Most of what `changes` holds meets a real one.
//!
//! | what goes wrong | where it is tested |
//! | --- | --- |
//! | 429 with `Retry-After`, with HTML | `spoilt`, `faults`; `scanning` for the other hosts' pace |
//! | 5xx once and for good, a page of five fails | `spoilt`, `faults` |
//! | refused, reset, killed, back again | here, `spoilt`; e2e `faults` |
//! | a page of a real registry fails | `paging` |
//! | accepted, then silent | `spoilt`: at the registry and at the token server |
//! | a byte now and then | `spoilt`; `net::body` beside the code, with shorter times |
//! | cut JSON, what is no list, a bomb | `spoilt`, `faults`, and the fuzzer |
//! | links in a circle, to another host, to another list | `spoilt`, `faults` |
//! | redirect to another origin, rogue realm | `spoilt`, `faults`; here for the real token server |
//! | a token server that fails or lies | `spoilt` |
//! | 200,000 tags, in any order | `spoilt`, `faults` |
//! | names given twice, hostile names | `changes`; `spoilt`, `faults` |
//! | a challenge that names another repository | `spoilt` |
//! | suddenly empty list | e2e `faults` |
//! | started again with nothing in it | `changes` |
//! | token ends between pages | `spoilt`, `faults` |
//! | password replaced | `changes`; e2e `private` for the pull secret |
//! | authority of the certificate replaced | `changes`; `certificates` for a running engine |
//! | tag moved, tag deleted | `changes`, `images`; e2e `faults`, between the decision and the push too |
//! | a mirror fails, lags, refuses | `mirrors`; e2e `standalone` |
//! | HEAD refused, body of another digest | `spoilt`, `faults`, `images` |
//! | 403 and 404 told apart | here, `faults` |
//! | ten policies on one image | e2e `faults` |

mod changes;
mod clouds;
pub mod fault_server;
mod faults;
mod images;
mod paging;
mod spoilt;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tagtide::api::Reason;
use tagtide::demo::registry::{PROGRAM, configuration};
use tagtide::image::{ImageName, Tag, TagRef};
use tagtide::net::{AddressGuard, ClientCertificate, Connections, SecretText};
use tagtide::registry::{Access, Client, Credential, Error, HostSettings, Listing, credential_from_secret};

use crate::support::process::{Process, free_address, tied};
use crate::support::registry::{Access as Kind, PASSWORD, Registry, USER};
use crate::support::tls::{Authority, Clients, in_tls};
use crate::support::{wait_until, workspace};

/// A client that may reach this machine, and may do so over plain HTTP.
fn client() -> Client {
    Client::new(to_this_machine(), true)
}

fn to_this_machine() -> Connections {
    Connections::new(AddressGuard::new(vec!["127.0.0.0/8".parse().unwrap()]))
}

fn plain_http() -> Access {
    Access { host: HostSettings { insecure: true, ..HostSettings::default() }, credential: None }
}

fn with_password(username: &str, password: &str) -> Access {
    let password = SecretText::from(password.to_owned());
    let credential = Some(Credential::Password { username: username.to_owned(), password });
    Access { credential, ..plain_http() }
}

fn image(host: &str, repository: &str) -> ImageName {
    ImageName::parse(&format!("{host}/{repository}")).unwrap()
}

/// All tags, sorted, and what the scan saw.
async fn list(client: &Client, image: &ImageName, access: &Access) -> Result<(Vec<String>, Listing), Error> {
    let mut tags = Vec::new();
    let mut each = |some: &[TagRef<'_>]| tags.extend(some.iter().map(|tag| tag.as_str().to_owned()));
    let listing = client.list_tags(image, access, &mut each).await?;
    assert_eq!(listing.tags, tags.len() as u64);
    tags.sort();
    Ok((tags, listing))
}

/// The error of a scan, which shows neither the password nor a token.
async fn scan_error(client: &Client, image: &ImageName, access: &Access) -> Error {
    let error = list(client, image, access).await.unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(!text.contains(PASSWORD) && !text.contains("t0ken"), "{text}");
    error
}

#[tokio::test]
async fn lists_tags_and_reads_digests_anonymously() {
    let registry = Registry::start(Kind::Anonymous).await;
    registry.push("acme/api", "1.0.0").await;
    let digest = registry.push("acme/api", "1.1.0").await;
    let (client, image, access) = (client(), image(&registry.host(), "acme/api"), plain_http());

    let (tags, listing) = list(&client, &image, &access).await.unwrap();
    assert_eq!((tags, listing.pages), (vec!["1.0.0".to_owned(), "1.1.0".to_owned()], 1));
    let tag = Tag::parse("1.1.0").unwrap();
    assert_eq!(client.digest(&image, &tag, &access).await.unwrap().as_str(), digest);

    let gone = client.digest(&image, &Tag::parse("9.9.9").unwrap(), &access).await.unwrap_err();
    assert_eq!(gone.reason(), Reason::ImageNotFound);
    assert!(gone.to_string().contains("has no acme/api:9.9.9"), "{gone}");
}

#[tokio::test]
async fn a_repository_that_is_not_there_is_told_apart() {
    let registry = Registry::start(Kind::Anonymous).await;
    let error = scan_error(&client(), &image(&registry.host(), "acme/none"), &plain_http()).await;
    assert_eq!(error.reason(), Reason::ImageNotFound);
    assert!(error.to_string().contains("has no acme/none: \"repository name not known"), "{error}");
}

#[tokio::test]
async fn a_registry_with_passwords_wants_the_right_one() {
    let registry = Registry::start(Kind::Password).await;
    registry.push("acme/api", "1.0.0").await;
    let (client, image) = (client(), image(&registry.host(), "acme/api"));

    let (tags, _) = list(&client, &image, &with_password(USER, PASSWORD)).await.unwrap();
    assert_eq!(tags, ["1.0.0"]);
    let anonymous = scan_error(&client, &image, &plain_http()).await;
    assert!(matches!(anonymous, Error::CredentialsMissing { .. }), "{anonymous}");
    let wrong = scan_error(&client, &image, &with_password(USER, "wrong")).await;
    assert!(matches!(wrong, Error::CredentialsRefused { .. }), "{wrong}");
    assert_eq!(
        (anonymous.reason(), wrong.reason()),
        (Reason::AuthenticationFailed, Reason::AuthenticationFailed)
    );
}

#[tokio::test]
async fn a_docker_configuration_opens_a_registry_with_tokens() {
    let registry = Registry::start(Kind::Token).await;
    registry.push("acme/api", "1.0.0").await;
    let digest = registry.push("acme/api", "1.1.0").await;
    let (client, image) = (client(), image(&registry.host(), "acme/api"));
    let config = json!({ "auths": { registry.host(): { "username": USER, "password": PASSWORD } } });
    let data = BTreeMap::from([(".dockerconfigjson".to_owned(), config.to_string().into_bytes())]);
    let credential = credential_from_secret(&data, &image).unwrap();
    let mut access = Access { credential, ..plain_http() };

    let issued = registry.tokens_issued();
    let refused = scan_error(&client, &image, &access).await;
    let Error::RealmRefused { realm, .. } = refused else { panic!("{refused}") };
    assert_eq!(registry.tokens_issued(), issued, "the token server is on another port and was not asked");

    access.host.allowed_realms = vec![realm.strip_prefix("http://").unwrap().to_owned()];
    let (tags, _) = list(&client, &image, &access).await.unwrap();
    assert_eq!(tags, ["1.0.0", "1.1.0"]);
    list(&client, &image, &access).await.unwrap();
    let tag = Tag::parse("1.1.0").unwrap();
    assert_eq!(client.digest(&image, &tag, &access).await.unwrap().as_str(), digest);
    assert_eq!(registry.tokens_issued(), issued + 1, "one token serves all");

    let wrong = Access { credential: with_password(USER, "wrong").credential, ..access.clone() };
    let wrong = scan_error(&client, &image, &wrong).await;
    assert!(matches!(wrong, Error::TokenRefused { status: 401, .. }), "{wrong}");
    let anonymous = scan_error(&client, &image, &Access { credential: None, ..access }).await;
    assert!(matches!(anonymous, Error::CredentialsMissing { .. }), "{anonymous}");
}

#[tokio::test]
async fn tls_trusts_the_given_certificates_and_is_never_skipped() {
    let folder = workspace::folder("tls-registry");
    let address = free_address();
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let mut config = configuration(&folder.path().join("storage"), address);
    for (name, pem) in [("certificate", certified.cert.pem()), ("key", certified.signing_key.serialize_pem())]
    {
        let file = folder.path().join(name);
        std::fs::write(&file, pem).unwrap();
        config["http"]["tls"][name] = json!(file);
    }
    let file = folder.path().join("config.yml");
    std::fs::write(&file, config.to_string()).unwrap();
    let mut command = tied(PROGRAM);
    command.arg("serve").arg(file);
    let _registry = Process::spawn("registry", command, folder.path());
    wait_until("the registry", Duration::from_secs(15), async || {
        tokio::net::TcpStream::connect(address).await
    })
    .await;

    let (client, image) = (client(), image(&address.to_string(), "acme/api"));
    let unknown = scan_error(&client, &image, &Access::default()).await;
    assert_eq!(unknown.reason(), Reason::Unreachable);
    assert!(unknown.to_string().contains("certificate"), "{unknown}");

    let mut access = Access::default();
    access.host.ca_pem = Some(Arc::from(certified.cert.pem().into_bytes()));
    let trusted = scan_error(&client, &image, &access).await;
    assert_eq!(trusted.reason(), Reason::ImageNotFound, "the empty registry itself answers: {trusted}");

    access.host.ca_pem = Some(Arc::from(b"no certificate".as_slice()));
    let broken = scan_error(&client, &image, &access).await;
    assert_eq!(broken.reason(), Reason::SecretInvalid);
    assert!(broken.to_string().contains("ca.crt holds no certificate"), "{broken}");
}

#[tokio::test]
async fn a_registry_that_asks_for_a_certificate_is_shown_one() {
    let registry = Registry::start(Kind::Anonymous).await;
    registry.push("acme/api", "1.0.0").await;
    let authority = Authority::new();
    let server = registry.host().parse().unwrap();
    let address = in_tls(&authority, &["127.0.0.1"], Clients::Certified, server).await;
    let (client, image) = (client(), image(&address.to_string(), "acme/api"));
    let (certificate, key) = authority.issue(&[]);
    let mut access = Access::default();
    access.host.ca_pem = Some(Arc::from(authority.pem().into_bytes()));
    let stranger = scan_error(&client, &image, &access).await;
    assert_eq!(stranger.reason(), Reason::Unreachable, "{stranger}");

    let (chain_pem, key_pem) = (certificate.pem().into_bytes(), key.serialize_pem().into_bytes());
    let broken = ClientCertificate { chain_pem: chain_pem.clone(), key_pem: b"no key".to_vec() };
    access.host.certificate = Some(Arc::new(broken));
    let broken = scan_error(&client, &image, &access).await;
    assert_eq!(broken.reason(), Reason::SecretInvalid, "{broken}");
    access.host.certificate = Some(Arc::new(ClientCertificate { chain_pem, key_pem }));
    let (tags, _) = list(&client, &image, &access).await.unwrap();
    assert_eq!(tags, ["1.0.0"]);
}

#[tokio::test]
async fn plain_http_needs_both_switches() {
    let registry = Registry::start(Kind::Anonymous).await;
    let image = image(&registry.host(), "acme/api");
    let only_https = scan_error(&client(), &image, &Access::default()).await;
    assert_eq!(only_https.reason(), Reason::Unreachable, "{only_https}");

    let loopback = AddressGuard::new(vec!["127.0.0.0/8".parse().unwrap()]);
    let strict = Client::new(Connections::new(loopback), false);
    let error = scan_error(&strict, &image, &plain_http()).await;
    assert_eq!(error.reason(), Reason::NotAllowed);
    let text = error.to_string();
    assert!(text.contains("insecure") && text.contains("--allow-http"), "{text}");
    assert_eq!(registry.requests("GET /v2/acme"), 0);
}

#[tokio::test]
async fn an_address_that_is_not_allowed_is_not_reached() {
    let registry = Registry::start(Kind::Anonymous).await;
    let guarded = Client::new(Connections::new(AddressGuard::default()), true);
    let port = registry.host().rsplit_once(':').unwrap().1.to_owned();
    for host in [registry.host(), format!("localhost:{port}")] {
        let error = scan_error(&guarded, &image(&host, "acme/api"), &plain_http()).await;
        assert_eq!(error.reason(), Reason::NotAllowed);
        assert!(error.to_string().contains("--allow-cidr"), "{error}");
    }
    assert_eq!(registry.requests("GET /v2/"), 0);
}

#[tokio::test]
async fn a_registry_that_is_down_is_unreachable_and_comes_back() {
    let mut registry = Registry::start(Kind::Anonymous).await;
    registry.push("acme/api", "1.0.0").await;
    let (client, image) = (client(), image(&registry.host(), "acme/api"));
    list(&client, &image, &plain_http()).await.unwrap();
    registry.kill();
    let error = scan_error(&client, &image, &plain_http()).await;
    assert_eq!(error.reason(), Reason::Unreachable);
    assert!(error.to_string().contains("refused"), "{error}");
    registry.restart().await;
    list(&client, &image, &plain_http()).await.unwrap();
}
