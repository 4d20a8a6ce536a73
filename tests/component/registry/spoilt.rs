//! A real registry, with tokens and TLS, whose answers are spoilt on the way: nothing is lost, and nothing is made up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tagtide::api::Reason;
use tagtide::image::{Digest, ImageName, Tag};
use tagtide::registry::{Access, Client, Depth, Error};

use super::fault_server::FaultServer;
use super::{client, image, list, scan_error, with_password};
use crate::support::fault_proxy::{Fault, FaultProxy, Rule};
use crate::support::registry::{Access as Kind, PASSWORD, Registry, USER};
use crate::support::tls::{Authority, Clients, in_tls};
use crate::support::token_server::SERVICE;

const LIST: &str = "GET /v2/acme/api/tags/list";
const TAGS: [&str; 5] = ["1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0"];

/// A registry and its token server, each behind TLS and a proxy.
struct Site {
    registry: Registry,
    proxy: FaultProxy,
    tokens: FaultProxy,
    image: ImageName,
    access: Access,
    /// The digest of the last tag.
    digest: String,
}

impl Site {
    async fn start() -> Self {
        let registry = Registry::start(Kind::Token).await;
        let mut digest = String::new();
        for tag in TAGS {
            digest = registry.push("acme/api", tag).await;
        }
        let authority = Authority::new();
        let front = async |proxy: &FaultProxy| {
            let server = proxy.host().parse().unwrap();
            in_tls(&authority, &["127.0.0.1"], Clients::Any, server).await.to_string()
        };
        let realm = registry.realm().unwrap();
        let tokens = FaultProxy::before(&realm).await;
        let trusted = front(&tokens).await;
        let proxy = FaultProxy::before(&registry.host())
            .await
            .renaming(format!("http://{realm}"), format!("https://{trusted}"));
        let host = front(&proxy).await;
        let mut access = with_password(USER, PASSWORD);
        access.host.insecure = false;
        access.host.ca_pem = Some(Arc::from(authority.pem().into_bytes()));
        access.host.allowed_realms = vec![trusted];
        Self { registry, proxy, tokens, image: image(&host, "acme/api"), access, digest }
    }

    async fn tags(&self, client: &Client) -> Vec<String> {
        list(client, &self.image, &self.access).await.unwrap_or_else(|error| panic!("{error}")).0
    }

    async fn error(&self) -> Error {
        scan_error(&client(), &self.image, &self.access).await
    }

    /// What came of it, once the fault is over.
    async fn recovers(&self, name: &str) {
        self.proxy.rules([]);
        self.tokens.rules([]);
        assert_eq!(self.tags(&client()).await, TAGS, "{name}");
    }
}

fn answer(status: u16, headers: &[&str], body: &str) -> Fault {
    Fault::Answer(status, headers.iter().map(|&header| header.to_owned()).collect(), body.to_owned())
}

#[tokio::test]
async fn what_passes_at_once_is_not_noticed() {
    let site = Site::start().await;
    for (name, fault) in [
        ("500", answer(500, &[], "")),
        ("a page of a proxy", answer(502, &["content-type: text/html"], "<html>Bad Gateway</html>")),
        ("503", answer(503, &[], "")),
        ("reset", Fault::Reset),
    ] {
        for start in [LIST, "GET /v2/ "] {
            site.proxy.rules([Rule::every(start, fault.clone()).times(2)]);
            assert_eq!(site.tags(&client()).await, TAGS, "{name} at {start}");
        }
        site.proxy.rules([]);
        site.tokens.rules([Rule::every("GET /token", fault).times(2)]);
        assert_eq!(site.tags(&client()).await, TAGS, "{name} at the token server");
    }
}

#[tokio::test]
async fn what_lasts_is_told_apart_and_gives_no_tags() {
    let site = Site::start().await;
    let bystander = FaultServer::bystander().await;
    let elsewhere = format!("http://{}/v2/acme/api/tags/list", bystander.host());
    let third_fails =
        |fault| vec![Rule::every(LIST, fault).with("page=2"), Rule::every(LIST, Fault::Pages(1))];
    let every = |fault| vec![Rule::every(LIST, fault)];
    for (name, reason, rules) in [
        ("429", Reason::RateLimited, every(answer(429, &["retry-after: 30"], "<html>slow down</html>"))),
        ("503 with a wish", Reason::RateLimited, every(answer(503, &["retry-after: 30"], ""))),
        ("500", Reason::ServerError, every(answer(500, &[], ""))),
        ("reset", Reason::Unreachable, every(Fault::Reset)),
        ("cut", Reason::Unreachable, every(Fault::CutAfter(20))),
        ("cut JSON", Reason::ServerError, every(answer(200, &[], "{\"tags\":[\"9.0.0\",\"9.1"))),
        ("an empty body", Reason::ServerError, every(answer(200, &[], ""))),
        ("no list", Reason::ServerError, every(answer(200, &[], "<html>log in</html>"))),
        ("a redirect", Reason::ServerError, every(answer(307, &[&format!("location: {elsewhere}")], ""))),
        ("page 3 of 5 is cut", Reason::Unreachable, third_fails(Fault::CutAfter(5))),
        ("page 3 of 5 fails", Reason::ServerError, third_fails(answer(504, &[], ""))),
        ("page 3 of 5 is gone", Reason::ImageNotFound, third_fails(answer(404, &[], ""))),
        (
            "pages in a circle",
            Reason::ServerError,
            every(Fault::Header("link", "</v2/acme/api/tags/list?page=1>; rel=\"next\"".to_owned())),
        ),
        (
            "a link to another list",
            Reason::ServerError,
            every(Fault::Header("link", "</v2/acme/web/tags/list?page=1>; rel=\"next\"".to_owned())),
        ),
        ("a denial", Reason::AccessDenied, every(answer(403, &[], ""))),
        ("nothing there", Reason::ImageNotFound, every(answer(404, &[], ""))),
    ] {
        site.proxy.rules(rules);
        let error = site.error().await;
        assert_eq!(error.reason(), reason, "{name}: {error}");
        assert!(!error.to_string().contains("<html>"), "{name}: {error}");
        site.recovers(name).await;
    }
    assert!(bystander.asked().is_empty(), "{:?}", bystander.targets());
}

#[tokio::test]
async fn a_token_server_that_fails_or_lies_is_told_and_the_list_is_not_asked_for_without_a_token() {
    let site = Site::start().await;
    for (name, reason, fault) in [
        ("500", Reason::ServerError, answer(500, &[], "")),
        ("refused", Reason::AuthenticationFailed, answer(403, &[], "")),
        ("no token", Reason::ServerError, answer(200, &[], "{\"expires_in\":300}")),
        ("no JSON", Reason::ServerError, answer(200, &[], "<html>log in</html>")),
        ("a token for nothing", Reason::AuthenticationFailed, answer(200, &[], "{\"token\":\"t0ken\"}")),
        ("429", Reason::RateLimited, answer(429, &["retry-after: 30"], "")),
        ("cut", Reason::Unreachable, Fault::CutAfter(10)),
    ] {
        site.tokens.rules([Rule::every("GET /token", fault)]);
        let before = site.proxy.requests(LIST).len();
        let error = site.error().await;
        assert_eq!(error.reason(), reason, "{name}: {error}");
        let asked = site.proxy.requests(LIST);
        let bare = asked.iter().skip(before).filter(|head| !head.to_lowercase().contains("authorization:"));
        assert_eq!(bare.count(), 0, "{name}");
        site.recovers(name).await;
    }
}

#[tokio::test]
async fn a_realm_that_is_not_the_registrys_hears_nothing() {
    let site = Site::start().await;
    let rogue = FaultServer::bystander().await;
    for scheme in ["http", "https"] {
        let challenge = format!("Bearer realm=\"{scheme}://{}/token\",service=\"x\"", rogue.host());
        site.proxy.rules([Rule::every("GET /v2/", Fault::Header("www-authenticate", challenge))]);
        let error = site.error().await;
        assert_eq!(error.reason(), Reason::AuthenticationFailed, "{error}");
        site.recovers(scheme).await;
    }
    assert!(rogue.asked().is_empty());
    let heads = site.proxy.requests("GET");
    assert!(heads.iter().all(|head| !head.contains("Basic ")), "the password is for the token server alone");
}

#[tokio::test]
async fn a_token_is_for_the_repository_that_is_asked_for_whatever_the_registry_names() {
    let site = Site::start().await;
    let realm = &site.access.host.allowed_realms[0];
    let challenge = format!(
        "www-authenticate: Bearer realm=\"https://{realm}/token\",service=\"{SERVICE}\",\
         scope=\"repository:acme/secret:pull,push repository:acme/api:pull,push\""
    );
    site.proxy.rules([Rule::every(LIST, answer(401, &[&challenge], "")).times(1)]);
    assert_eq!(site.tags(&client()).await, TAGS);
    let asked = site.tokens.requests("GET /token");
    let own = |head: &&String| head.contains("scope=repository%3Aacme%2Fapi%3Apull&service=");
    assert_eq!((asked.len(), asked.iter().filter(own).count()), (2, 2), "{asked:?}");
}

#[tokio::test]
async fn a_link_to_another_host_is_asked_of_the_registry_itself() {
    let site = Site::start().await;
    let bystander = FaultServer::bystander().await;
    let elsewhere = format!("<http://{}/v2/acme/api/tags/list?last=1.4.0>; rel=\"next\"", bystander.host());
    site.proxy.rules([Rule::every(LIST, Fault::Header("link", elsewhere)).times(1)]);
    let tags = site.tags(&client()).await;
    let twice: Vec<&str> = TAGS.iter().flat_map(|tag| [*tag; 2]).collect();
    assert_eq!(tags, twice, "this registry gives all of them as any page");
    assert_eq!(site.proxy.requests(&format!("{LIST}?last=1.4.0")).len(), 1);
    assert!(bystander.asked().is_empty(), "{:?}", bystander.targets());
}

#[tokio::test]
async fn hostile_names_are_counted_and_not_given() {
    let site = Site::start().await;
    let names = ["1.0.0", "a\nb", "\u{1b}[2J", "../../x", "{{ x }}", "é", "", "2.0.0"];
    let body = json!({ "name": "acme/api", "tags": names }).to_string();
    site.proxy.rules([Rule::every(LIST, answer(200, &["content-type: application/json"], &body))]);
    let (tags, listing) = list(&client(), &site.image, &site.access).await.unwrap();
    assert_eq!((tags, listing.malformed), (vec!["1.0.0".to_owned(), "2.0.0".to_owned()], 6));
    site.recovers("hostile names").await;
}

#[tokio::test]
async fn two_hundred_thousand_tags_are_taken_in_any_order() {
    let site = Site::start().await;
    let mut names: Vec<String> = (0..200_000).map(|number| format!("1.0.{number}")).collect();
    let mut listings = Vec::new();
    for _ in 0..2 {
        let body = json!({ "name": "acme/api", "tags": names }).to_string();
        site.proxy.rules([Rule::every(LIST, answer(200, &["content-type: application/json"], &body))]);
        listings.push(list(&client(), &site.image, &site.access).await.unwrap().1);
        names.reverse();
    }
    assert_eq!(listings[0].tags, 200_000);
    assert_eq!(listings[0], listings[1]);
    site.recovers("a long list").await;
}

#[tokio::test]
async fn pages_are_followed_and_a_token_that_ends_between_them_is_renewed() {
    let site = Site::start().await;
    site.proxy.rules([Rule::every(LIST, Fault::Pages(2))]);
    let (tags, listing) = list(&client(), &site.image, &site.access).await.unwrap();
    assert_eq!((tags.as_slice(), listing.pages), (&TAGS.map(str::to_owned)[..], 3));

    let issued = site.registry.tokens_issued();
    site.proxy.rules([
        Rule::every(LIST, Fault::Unauthorized).with("page=1").times(1),
        Rule::every(LIST, Fault::Pages(2)),
    ]);
    let (tags, listing) = list(&client(), &site.image, &site.access).await.unwrap();
    assert_eq!((tags.as_slice(), listing.pages), (&TAGS.map(str::to_owned)[..], 3));
    assert_eq!(site.registry.tokens_issued(), issued + 2, "one at first, one for the page that was refused");
    let second = site.proxy.requests(&format!("{LIST}?page=1"));
    assert_eq!(second.len(), 3, "once before, and twice now: {second:?}");
}

#[tokio::test]
async fn a_server_that_takes_a_request_and_says_nothing_or_next_to_nothing_is_not_waited_for_long() {
    let (silent, dripping, no_token) = tokio::join!(Site::start(), Site::start(), Site::start());
    silent.proxy.rules([Rule::every(LIST, Fault::Silence)]);
    dripping.proxy.rules([Rule::every(LIST, Fault::Drip(Duration::from_secs(1)))]);
    no_token.tokens.rules([Rule::every("GET /token", Fault::Silence)]);
    let began = Instant::now();
    let errors = tokio::join!(silent.error(), dripping.error(), no_token.error());
    assert!(began.elapsed() < Duration::from_secs(45), "{:?}", began.elapsed());
    for (name, site, error) in
        [("silence", &silent, errors.0), ("drops", &dripping, errors.1), ("no token", &no_token, errors.2)]
    {
        assert_eq!(error.reason(), Reason::Unreachable, "{name}: {error}");
        assert!(error.to_string().ends_with("sent too little within 30 s"), "{name}: {error}");
        site.recovers(name).await;
    }
    assert_eq!(silent.proxy.requests(LIST).len(), 2, "a server that is slow is not asked again and again");
}

#[tokio::test]
async fn a_digest_is_the_images_own_whatever_is_refused_or_spoilt() {
    const MANIFESTS: &str = "/v2/acme/api/manifests/";
    let site = Site::start().await;
    let (client, tag) = (client(), Tag::parse("1.4.0").unwrap());
    let (head, get) = ("HEAD /v2/acme/api/manifests/", "GET /v2/acme/api/manifests/");
    for (name, rules) in [
        ("as it is", vec![]),
        ("HEAD refused", vec![Rule::every(head, answer(405, &[], ""))]),
        ("HEAD without a digest", vec![Rule::every(head, answer(200, &[], ""))]),
        ("HEAD fails twice", vec![Rule::every(head, answer(502, &[], "")).times(2)]),
    ] {
        site.proxy.rules(rules);
        let digest = client.digest(&site.image, &tag, &site.access).await.unwrap();
        assert_eq!(digest.as_str(), site.digest, "{name}");
    }
    let other = Digest::sha256_of(b"other").to_string();
    let spoilt = Fault::Replace("schemaVersion", "schemaversion");
    for (name, rules) in [
        ("a body of another digest", vec![Rule::every(get, spoilt.clone())]),
        (
            "another digest in its head",
            vec![
                Rule::every(head, answer(405, &[], "")),
                Rule::every(get, Fault::Header("docker-content-digest", other)),
            ],
        ),
        ("cut", vec![Rule::every(get, Fault::CutAfter(30))]),
    ] {
        site.proxy.rules(rules);
        let fresh = super::client();
        let looked = fresh.inspector(&site.image, &site.access).unwrap().look(&tag, Depth::Platforms).await;
        let error = looked.unwrap_err();
        assert!(matches!(error.reason(), Reason::ServerError | Reason::Unreachable), "{name}: {error}");
    }
    site.proxy.rules([]);
    let (digest, _) =
        client.inspector(&site.image, &site.access).unwrap().look(&tag, Depth::Platforms).await.unwrap();
    assert_eq!(digest.as_str(), site.digest);
    assert!(!site.proxy.requests(&format!("HEAD {MANIFESTS}")).is_empty());
}
