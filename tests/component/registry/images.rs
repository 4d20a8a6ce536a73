//! What images are, read from a real registry and from one that misbehaves; and what policies choose by it.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::http::Response;
use serde_json::{Value, json};
use tagtide::api::{ImagePolicySpec, Reason};
use tagtide::engine::{LookError, Looked, choose};
use tagtide::image::{Digest, ImageName, Tag};
use tagtide::policy::compile;
use tagtide::registry::{Access, Client, Depth, Error};

use super::fault_server::{Asked, FaultServer, status, text, with};
use super::{client, image, plain_http, to_this_machine, with_password};
use crate::support::registry::{Access as Kind, PASSWORD, Registry, USER};

const LIST: &str = "GET /v2/acme/api/tags/list";

fn amd64() -> Value {
    json!({ "os": "linux", "architecture": "amd64" })
}

fn arm64() -> Value {
    json!({ "os": "linux", "architecture": "arm64", "variant": "v8" })
}

fn built(day: u32) -> Value {
    json!({ "created": format!("2026-11-{day:02}T09:30:00Z") })
}

fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

/// What one policy chooses, whose rules are these.
async fn decide(client: &Client, image: &ImageName, rules: &str) -> Result<Looked, Error> {
    decide_as(client, image, &plain_http(), rules).await
}

async fn decide_as(
    client: &Client,
    image: &ImageName,
    access: &Access,
    rules: &str,
) -> Result<Looked, Error> {
    let spec: ImagePolicySpec = serde_saphyr::from_str(&format!("{{image: {image}, {rules}}}")).unwrap();
    let policy = Arc::new(compile(&spec).unwrap());
    let scanned = choose(client, image, access, &[policy], None, &BTreeSet::new(), 10).await?;
    Ok(scanned.into_looked().remove(0))
}

fn winner(looked: &Looked) -> (&str, Option<&str>) {
    let digest = looked.digest.as_ref().unwrap_or_else(|error| panic!("{error}"));
    let winner = looked.choice.winner.as_ref();
    (winner.map_or("none", |winner| winner.tag.as_str()), digest.as_ref().map(Digest::as_str))
}

#[tokio::test]
async fn platforms_and_times_are_read_from_indexes_and_images() {
    let registry = Registry::start(Kind::Anonymous).await;
    let first = registry.push_image("acme/api", "amd", built(20)).await;
    let second = registry.push_image("acme/api", "arm", built(21)).await;
    let images = [(first.as_str(), amd64()), (second.as_str(), arm64())];
    registry.push_index("acme/api", "plain", &images, json!({})).await;
    let annotated = json!({ "org.opencontainers.image.created": "2026-11-25T00:00:00Z" });
    let digest = registry.push_index("acme/api", "annotated", &images, annotated).await;
    registry.push_image("acme/api", "zero", json!({ "created": "1970-01-01T00:00:00Z" })).await;

    let (client, image, access) = (client(), image(&registry.host(), "acme/api"), plain_http());
    let inspector = client.inspector(&image, &access).unwrap();
    for (name, time, platforms) in [
        ("amd", Some("2026-11-20T09:30:00Z"), "linux/amd64"),
        ("plain", Some("2026-11-20T09:30:00Z"), "linux/amd64 linux/arm64/v8"),
        ("annotated", Some("2026-11-25T00:00:00Z"), "linux/amd64 linux/arm64/v8"),
        ("zero", None, "linux/amd64"),
    ] {
        let (_, facts) = inspector.look(&tag(name), Depth::BuildTime).await.unwrap();
        let shown: Vec<String> = facts.platforms.iter().map(ToString::to_string).collect();
        assert_eq!(
            (facts.built.map(|built| built.to_string()).as_deref(), shown.join(" ").as_str()),
            (time, platforms),
            "{name}"
        );
    }
    assert_eq!(inspector.digest(&tag("annotated")).await.unwrap().as_str(), digest);
    let gone = inspector.look(&tag("gone"), Depth::Platforms).await.unwrap_err();
    assert_eq!(gone.reason(), Reason::ImageNotFound);
}

#[tokio::test]
async fn what_has_a_digest_is_read_once_and_what_a_tag_names_is_asked_each_time() {
    let registry = Registry::start(Kind::Anonymous).await;
    registry.push_image("acme/api", "1.0.0", built(20)).await;
    let reads =
        || registry.requests("GET /v2/acme/api/manifests/") + registry.requests("GET /v2/acme/api/blobs/");
    let (client, image, access) = (client(), image(&registry.host(), "acme/api"), plain_http());
    let inspector = client.inspector(&image, &access).unwrap();
    let before = inspector.look(&tag("1.0.0"), Depth::BuildTime).await.unwrap();
    let asked = reads();
    assert_eq!(inspector.look(&tag("1.0.0"), Depth::BuildTime).await.unwrap(), before);
    assert_eq!(reads(), asked, "its digest is known");
    registry.push_image("acme/api", "1.0.0", built(21)).await;
    let after = inspector.look(&tag("1.0.0"), Depth::BuildTime).await.unwrap();
    assert_ne!(after.0, before.0);
    assert!(after.1.built > before.1.built);
}

#[tokio::test]
async fn the_best_tag_that_exists_for_the_platforms_is_chosen_with_what_was_looked_at() {
    let registry = Registry::start(Kind::Anonymous).await;
    let amd = registry.push_image("acme/api", "1.2.0", built(20)).await;
    let both = registry
        .push_index("acme/api", "1.1.0", &[(amd.as_str(), amd64()), (amd.as_str(), arm64())], json!({}))
        .await;
    let (client, image) = (client(), image(&registry.host(), "acme/api"));
    let rules = "select: {semver: {range: 1.x}}, platforms: [linux/amd64, linux/arm64], pin: Digest";
    let looked = decide(&client, &image, rules).await.unwrap();
    assert_eq!(winner(&looked), ("1.1.0", Some(both.as_str())));
    assert_eq!(looked.choice.refused[0].rule.as_str(), "PlatformMissing");

    let complete = [(amd.as_str(), amd64()), (amd.as_str(), arm64())];
    let moved = registry.push_index("acme/api", "1.2.0", &complete, json!({ "a": "b" })).await;
    let looked = decide(&client, &image, rules).await.unwrap();
    assert_eq!(winner(&looked), ("1.2.0", Some(moved.as_str())), "the index came after its first image");
    let looked =
        decide(&client, &image, "select: {semver: {range: 1.x}}, platforms: [linux/s390x]").await.unwrap();
    assert_eq!(winner(&looked).0, "none");
}

#[tokio::test]
async fn a_followed_tag_needs_no_list_and_moves_with_its_digest() {
    let registry = Registry::start(Kind::Password).await;
    let (client, image) = (client(), image(&registry.host(), "acme/api"));
    let access = with_password(USER, PASSWORD);
    let mut digests = Vec::new();
    for day in [20, 21] {
        let digest = registry.push_image("acme/api", "stable", built(day)).await;
        let looked = decide_as(&client, &image, &access, "select: {follow: {tag: stable}}").await.unwrap();
        assert_eq!(winner(&looked), ("stable", Some(digest.as_str())));
        digests.push(digest);
    }
    assert_ne!(digests[0], digests[1]);
    assert_eq!(registry.requests(LIST), 0);
    let looked = decide_as(&client, &image, &access, "select: {follow: {tag: gone}}").await.unwrap();
    let error = looked.digest.unwrap_err();
    assert_eq!(error.reason(), Reason::ImageNotFound);
    assert!(error.to_string().contains("has no acme/api:gone"), "{error}");
}

#[tokio::test]
async fn the_newest_build_costs_little_once_all_are_known() {
    let registry = Registry::start(Kind::Anonymous).await;
    for day in 1..=24 {
        registry.push_image("acme/api", &format!("main-{}", 100 - day), built(day)).await;
    }
    registry.push_image("acme/api", "zzz", json!({ "created": "0001-01-01T00:00:00Z" })).await;
    let (client, image) = (client(), image(&registry.host(), "acme/api"));
    let rules = "select: {newestBuild: {}}";
    let looked = decide(&client, &image, rules).await.unwrap();
    assert_eq!(winner(&looked), ("main-76", None));
    assert_eq!(looked.choice.reason, "newest build of 25 tags");
    let counts = || {
        let of = |what: &str| registry.requests(&format!("{what} /v2/acme/api/"));
        (of("HEAD"), registry.requests("GET /v2/acme/api/manifests/"))
    };
    let (heads, gets) = counts();
    assert_eq!(winner(&decide(&client, &image, rules).await.unwrap()).0, "main-76");
    let (heads_after, gets_after) = counts();
    assert_eq!(gets_after, gets, "every digest is known");
    assert!(heads_after - heads <= 17, "{} of 25 were asked about again", heads_after - heads);

    registry.push_image("acme/api", "main-10", built(25)).await;
    assert_eq!(
        winner(&decide(&client, &image, rules).await.unwrap()).0,
        "main-10",
        "a new tag is seen at once"
    );
    registry.push_image("acme/api", "main-10", built(2)).await;
    assert_eq!(
        winner(&decide(&client, &image, rules).await.unwrap()).0,
        "main-76",
        "the best one is asked about again"
    );
    let moved = async || {
        registry.push_image("acme/api", "main-90", built(26)).await;
        for _ in 0..3 {
            if winner(&decide(&client, &image, rules).await.unwrap()).0 == "main-90" {
                return true;
            }
        }
        false
    };
    assert!(moved().await, "each tag has its turn");
}

/// A registry with one image under two tags, whose every answer may be spoilt.
async fn spoilt(
    spoil: impl Fn(&Asked) -> Option<Response<Body>> + Send + Sync + 'static,
) -> (FaultServer, ImageName) {
    let config =
        json!({ "os": "linux", "architecture": "amd64", "created": "2026-11-20T09:30:00Z" }).to_string();
    let config_digest = Digest::sha256_of(config.as_bytes());
    let kind = "application/vnd.oci.image.config.v1+json";
    let manifest = json!({ "schemaVersion": 2, "layers": [], "config": { "mediaType": kind, "digest": config_digest.as_str(), "size": config.len() } }).to_string();
    let digest = Digest::sha256_of(manifest.as_bytes()).to_string();
    let server = FaultServer::start(move |asked| {
        if let Some(spoilt) = spoil(asked) {
            return spoilt;
        }
        match (asked.method.as_str(), asked.target.split('/').nth(4)) {
            ("GET", Some("tags")) => super::fault_server::page(&["1.0.0", "1.1.0"]),
            ("HEAD", _) => with(status(200), "docker-content-digest", &digest),
            ("GET", Some("manifests")) => text(200, manifest.clone()),
            ("GET", Some("blobs")) => text(200, config.clone()),
            _ => status(404),
        }
    })
    .await;
    let image = image(server.host(), "acme/api");
    (server, image)
}

fn asks_for(asked: &Asked, what: &str) -> bool {
    asked.method == "GET" && asked.target.split('/').nth(4) == Some(what)
}

#[tokio::test]
async fn an_image_that_can_not_be_read_is_never_passed_over() {
    let rules = "select: {semver: {range: 1.x}}, platforms: [linux/amd64]";
    let (_server, image) = spoilt(|_| None).await;
    assert_eq!(winner(&decide(&client(), &image, rules).await.unwrap()).0, "1.1.0");
    for (what, answer, reason) in [
        ("manifests", 404, Reason::ImageNotFound),
        ("manifests", 403, Reason::AccessDenied),
        ("blobs", 404, Reason::ImageNotFound),
        ("blobs", 429, Reason::RateLimited),
        ("blobs", 500, Reason::ServerError),
    ] {
        let (_server, image) = spoilt(move |asked| asks_for(asked, what).then(|| status(answer))).await;
        for rules in [rules, "select: {newestBuild: {}}"] {
            let looked = decide(&client(), &image, rules).await.unwrap();
            assert_eq!(looked.choice.winner, None, "{what} {answer}");
            assert_eq!(looked.digest.unwrap_err().reason(), reason, "{what} {answer}");
        }
    }
}

#[tokio::test]
async fn what_has_another_digest_or_can_not_be_read_is_an_error() {
    for (what, body, problem) in [
        ("manifests", r#"{"schemaVersion":2,"manifests":[]}"#.to_owned(), "has another digest"),
        ("blobs", r#"{"os":"linux","architecture":"arm64"}"#.to_owned(), "has another digest"),
        ("blobs", "x".repeat(5 * 1024 * 1024), "4194304"),
    ] {
        let (_server, image) =
            spoilt(move |asked| asks_for(asked, what).then(|| text(200, body.clone()))).await;
        let access = plain_http();
        let client = client();
        let error = client
            .inspector(&image, &access)
            .unwrap()
            .look(&tag("1.1.0"), Depth::Platforms)
            .await
            .unwrap_err();
        assert!(error.to_string().contains(problem), "{error}");
    }
    let broken = "{\"config\": [";
    let digest = Digest::sha256_of(broken.as_bytes()).to_string();
    let (_server, image) = spoilt(move |asked| match asked.method.as_str() {
        "HEAD" => Some(with(status(200), "docker-content-digest", &digest)),
        _ => asks_for(asked, "manifests").then(|| text(200, broken)),
    })
    .await;
    let looked = decide(&client(), &image, "select: {newestBuild: {}}").await.unwrap();
    let error = looked.digest.unwrap_err().to_string();
    assert!(error.contains("can not be read at line 1, column"), "{error}");
}

#[tokio::test]
async fn a_blob_may_be_elsewhere_and_who_asks_is_not_told_there() {
    let config =
        json!({ "os": "linux", "architecture": "amd64", "created": "2026-11-20T09:30:00Z" }).to_string();
    let storage = Arc::new(FaultServer::start(move |_| text(200, config.clone())).await);
    let target = format!("http://{}/bucket/blob?signature=x", storage.host());
    let (server, image) = spoilt(move |asked| match asked.authorization {
        None => Some(with(status(401), "www-authenticate", "Basic realm=\"x\"")),
        Some(_) => asks_for(asked, "blobs").then(|| with(status(307), "location", &target)),
    })
    .await;
    let access = with_password(USER, PASSWORD);
    let looked = decide_as(&client(), &image, &access, "select: {newestBuild: {}}").await.unwrap();
    assert_eq!(winner(&looked).0, "1.1.0");
    let asked = storage.asked();
    assert!(!asked.is_empty() && asked.iter().all(|asked| asked.authorization.is_none()), "{asked:?}");
    assert!(server.asked().iter().any(|asked| asked.authorization.is_some()));

    let circle = FaultServer::start(|asked| with(status(302), "location", &asked.target)).await;
    let target = format!("http://{}/", circle.host());
    let (_server, image) =
        spoilt(move |asked| asks_for(asked, "blobs").then(|| with(status(302), "location", &target))).await;
    let looked = decide(&client(), &image, "select: {newestBuild: {}}").await.unwrap();
    assert!(looked.digest.unwrap_err().to_string().contains("is not followed"));
    assert!(circle.asked().len() <= 6, "{}", circle.asked().len());
}

#[tokio::test]
async fn who_keeps_blobs_elsewhere_can_not_have_the_registry_asked_in_the_name_of_the_caller() {
    let registry = Arc::new(OnceLock::<String>::new());
    let known = Arc::clone(&registry);
    let storage = FaultServer::start(move |_| {
        with(status(307), "location", &format!("http://{}/v2/back", known.get().unwrap()))
    })
    .await;
    let target = format!("http://{}/", storage.host());
    let (server, image) = spoilt(move |asked| match asked.authorization {
        None => Some(with(status(401), "www-authenticate", "Basic realm=\"x\"")),
        Some(_) => asks_for(asked, "blobs").then(|| with(status(307), "location", &target)),
    })
    .await;
    registry.set(server.host().to_owned()).unwrap();
    let access = with_password(USER, PASSWORD);
    let looked = decide_as(&client(), &image, &access, "select: {newestBuild: {}}").await.unwrap();
    assert!(looked.digest.is_err());
    let back: Vec<Asked> = server.asked().into_iter().filter(|asked| asked.target == "/v2/back").collect();
    assert!(!back.is_empty() && back.iter().all(|asked| asked.authorization.is_none()), "{back:?}");
}

#[tokio::test]
async fn more_images_than_can_be_looked_at_are_an_error_or_take_several_scans() {
    let (tags, count) = (Arc::new(std::sync::Mutex::new(Vec::<String>::new())), 600);
    let listed = Arc::clone(&tags);
    let (server, image) = spoilt(move |asked| {
        let tags = listed.lock().unwrap();
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        asks_for(asked, "tags").then(|| super::fault_server::page(&tags))
    })
    .await;
    let list = |count: usize| *tags.lock().unwrap() = (0..count).map(|n| format!("t{n}")).collect();
    let (client, rules) = (client(), "select: {newestBuild: {}}");
    list(count);
    let error = decide(&client, &image, rules).await.unwrap().digest.unwrap_err();
    assert!(matches!(error, LookError::Unfinished { known: 512, candidates: 600 }), "{error}");
    assert_eq!(winner(&decide(&client, &image, rules).await.unwrap()).0, "t99");
    let heads = server.asked().iter().filter(|asked| asked.method == "HEAD").count();
    assert!(heads <= count + 17, "{heads}");

    list(2001);
    let error = decide(&client, &image, rules).await.unwrap().digest.unwrap_err();
    assert!(matches!(error, LookError::TooMany), "{error}");
    assert_eq!(error.reason(), Reason::TooLarge);
}

#[tokio::test]
async fn what_finds_no_room_is_told_and_pushes_out_nothing_that_others_use() {
    let list = |count: usize| (0..count).map(|n| format!("t{n}")).collect::<Vec<_>>();
    let registry = async |count: usize| {
        let tags = list(count);
        spoilt(move |asked| {
            let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
            asks_for(asked, "tags").then(|| super::fault_server::page(&tags))
        })
        .await
    };
    let client = Client::with_room(to_this_machine(), true, 1000);
    let rules = "select: {newestBuild: {}}";
    let ((first, own), (second, other), (third, small)) =
        tokio::join!(registry(600), registry(600), registry(300));
    let of = |server: &FaultServer, method: &str, what: &str| {
        let asked = server.asked();
        let is_it = |asked: &&Asked| asked.method == method && asked.target.contains(what);
        asked.iter().filter(is_it).count()
    };

    let error = decide(&client, &own, rules).await.unwrap().digest.unwrap_err();
    assert!(matches!(error, LookError::Unfinished { known: 512, candidates: 600 }), "{error}");
    for _ in 0..2 {
        let error = decide(&client, &other, rules).await.unwrap().digest.unwrap_err();
        assert!(matches!(error, LookError::NoRoom { candidates: 600, most: 1000 }), "{error}");
        assert_eq!(error.reason(), Reason::TooLarge);
        assert_eq!(winner(&decide(&client, &small, rules).await.unwrap()).0, "t99", "less fits");
        assert_eq!(winner(&decide(&client, &own, rules).await.unwrap()).0, "t99", "it goes on");
    }
    assert_eq!(
        of(&second, "HEAD", "manifests") + of(&second, "GET", "manifests"),
        0,
        "nothing is read in vain"
    );
    let before = (of(&first, "GET", "manifests"), of(&first, "HEAD", "manifests"));
    assert!(before.1 <= 600 + 3 * 17, "each was read once: {before:?}");
    for _ in 0..3 {
        for image in [&own, &small] {
            assert_eq!(winner(&decide(&client, image, rules).await.unwrap()).0, "t99");
        }
    }
    assert_eq!(of(&first, "GET", "manifests"), before.0);
    let heads = of(&first, "HEAD", "manifests") - before.1;
    assert!(heads <= 3 * 17, "{heads} of 600 were asked about again");
    assert!(of(&third, "GET", "manifests") <= 8, "one image under all tags is read by who asks first");
}
