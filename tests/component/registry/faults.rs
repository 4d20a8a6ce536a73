//! A registry that misbehaves never makes half a list look whole, and never learns what is not meant for it.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::Response;
use tagtide::api::Reason;
use tagtide::image::{Digest, ImageName, Tag, TagRef};
use tagtide::net::SecretText;
use tagtide::registry::{Access, Client, Credential, Error, ListVersion, Listed};

use super::fault_server::{Asked, FaultServer, page, page_before, status, text, with};
use super::{client, image, list, plain_http, scan_error, with_password};
use crate::support::registry::{PASSWORD, USER};

const LIST: &str = "/v2/acme/api/tags/list";
const FIRST_PAGE: &str = "/v2/acme/api/tags/list?n=1000";

/// Page `number` of five, two tags each.
fn page_of_five(number: u32) -> Response<Body> {
    let (first, second) = (format!("{number}.0"), format!("{number}.1"));
    match number {
        5 => page(&[&first, &second]),
        _ => page_before(&[&first, &second], &format!("{LIST}?n=2&page={}", number + 1)),
    }
}

fn asked_page(asked: &Asked) -> u32 {
    asked.target.rsplit_once("page=").map_or(1, |(_, number)| number.parse().unwrap())
}

fn api_of(server: &FaultServer) -> ImageName {
    image(server.host(), "acme/api")
}

async fn error_of(server: &FaultServer) -> Error {
    scan_error(&client(), &api_of(server), &plain_http()).await
}

#[tokio::test]
async fn follows_all_pages() {
    let server = FaultServer::start(|asked| page_of_five(asked_page(asked))).await;
    let (tags, listing) = list(&client(), &api_of(&server), &plain_http()).await.unwrap();
    assert_eq!((tags.len(), listing.pages), (10, 5));
    assert_eq!(server.targets().len(), 5);
}

#[tokio::test]
async fn a_failed_page_fails_the_scan() {
    let server = FaultServer::start(|asked| match asked_page(asked) {
        3 => text(502, "<html><body>Bad Gateway, try later</body></html>"),
        number => page_of_five(number),
    })
    .await;
    let error = error_of(&server).await;
    assert_eq!(error.reason(), Reason::ServerError);
    assert!(error.to_string().ends_with("answered with status 502"), "no foreign HTML: {error}");
    assert_eq!(server.targets().len(), 5, "two pages, and the third one three times");
}

#[tokio::test]
async fn a_passing_failure_is_asked_again() {
    let server = FaultServer::start(|asked| match (asked_page(asked), asked.nth) {
        (3, 0 | 1) => status(503),
        (number, _) => page_of_five(number),
    })
    .await;
    let (tags, _) = list(&client(), &api_of(&server), &plain_http()).await.unwrap();
    assert_eq!(tags.len(), 10);
}

#[tokio::test]
async fn pages_that_lead_in_a_circle_are_an_error() {
    let circle = FaultServer::start(|asked| match asked_page(asked) {
        1 => page_before(&["1"], &format!("{LIST}?page=2")),
        2 => page_before(&["2"], &format!("{LIST}?page=3")),
        _ => page_before(&["3"], &format!("{LIST}?page=2")),
    })
    .await;
    let useless_cursor = FaultServer::start(|asked| {
        // Always the same page, with a link that is always new.
        page_before(&["1"], &format!("{LIST}?last={}", "1".repeat(asked.target.len())))
    })
    .await;
    for server in [circle, useless_cursor] {
        let error = error_of(&server).await;
        assert_eq!(error.reason(), Reason::ServerError);
        assert!(error.to_string().contains("lead back"), "{error}");
        assert!(server.targets().len() <= 3, "{:?}", server.targets());
    }
}

#[tokio::test]
async fn a_link_to_another_host_is_asked_of_the_registry_itself() {
    let bystander = FaultServer::bystander().await;
    let elsewhere = format!("http://{}/some/prefix{LIST}?last=1.0", bystander.host());
    let server = FaultServer::start(move |asked| match asked.target.as_str() {
        FIRST_PAGE => page_before(&["1.0"], &elsewhere),
        _ => page(&["2.0"]),
    })
    .await;
    let (tags, _) = list(&client(), &api_of(&server), &plain_http()).await.unwrap();
    assert_eq!(tags, ["1.0", "2.0"]);
    assert_eq!(server.targets(), [FIRST_PAGE, "/v2/acme/api/tags/list?last=1.0"]);
    assert!(bystander.asked().is_empty());
}

#[tokio::test]
async fn a_link_to_another_list_is_an_error() {
    let server = FaultServer::start(|_| page_before(&["1.0"], "/v2/acme/web/tags/list?last=1.0")).await;
    assert_eq!(error_of(&server).await.reason(), Reason::ServerError);
    assert_eq!(server.targets(), [FIRST_PAGE]);
}

#[tokio::test]
async fn a_list_that_is_cut_is_an_error() {
    let short = FaultServer::start(|_| text(200, r#"{"name":"acme/api","tags":["1.0","2.0""#)).await;
    let error = error_of(&short).await;
    assert!(error.to_string().contains("ends in the middle"), "{error}");
    assert_eq!(error.reason(), Reason::ServerError);

    let reset = FaultServer::start(|_| {
        let pieces = [Ok(Bytes::from_static(br#"{"tags":["1.0""#)), Err(std::io::Error::other("reset"))];
        Response::new(Body::from_stream(futures::stream::iter(pieces)))
    })
    .await;
    assert_eq!(error_of(&reset).await.reason(), Reason::Unreachable);
}

#[tokio::test]
async fn what_is_no_list_is_an_error_and_null_is_an_empty_one() {
    for body in ["<html>login</html>", "", "{}", r#"{"errors":[]}"#] {
        let server = FaultServer::start(move |_| text(200, body)).await;
        assert_eq!(error_of(&server).await.reason(), Reason::ServerError, "{body:?}");
    }
    let server = FaultServer::start(|_| text(200, r#"{"name":"acme/api","tags":null}"#)).await;
    let (tags, listing) = list(&client(), &api_of(&server), &plain_http()).await.unwrap();
    assert_eq!((tags.len(), listing.pages), (0, 1));
}

#[tokio::test]
async fn hostile_names_are_counted_and_not_given() {
    let server =
        FaultServer::start(|_| page(&["1.0", "a\nb", "\u{1b}[2J", "../../x", "{{ x }}", "é", "", "2.0"]))
            .await;
    let (tags, listing) = list(&client(), &api_of(&server), &plain_http()).await.unwrap();
    assert_eq!((tags, listing.malformed), (vec!["1.0".to_owned(), "2.0".to_owned()], 6));
}

#[tokio::test]
async fn two_hundred_thousand_tags_have_one_fingerprint_in_any_order() {
    let server = FaultServer::start(|asked| {
        let mut tags: Vec<String> = (0..200_000).map(|number| format!("1.0.{number}")).collect();
        match asked.nth {
            0 => {}
            1 => tags.reverse(),
            _ => drop(tags.pop()),
        }
        page(&tags.iter().map(String::as_str).collect::<Vec<_>>())
    })
    .await;
    let client = client();
    let mut scans = Vec::new();
    for _ in 0..3 {
        scans.push(list(&client, &api_of(&server), &plain_http()).await.unwrap().1);
    }
    assert_eq!((scans[0].tags, scans[2].tags), (200_000, 199_999));
    assert_eq!(scans[0], scans[1]);
    assert_ne!(scans[1].fingerprint, scans[2].fingerprint);
}

#[tokio::test]
async fn a_bomb_is_measured_after_decompression() {
    let make = r#"(printf '{"tags":['; head -c 50000000 /dev/zero | tr '\0' ' '; printf ']}') | gzip -c"#;
    let bomb = std::process::Command::new("sh").args(["-c", make]).output().unwrap().stdout;
    assert!(bomb.len() < 100_000);
    let server = FaultServer::start(move |_| {
        let response = Response::new(Body::from(bomb.clone()));
        with(response, "content-encoding", "gzip")
    })
    .await;
    assert_eq!(error_of(&server).await.reason(), Reason::TooLarge);
}

#[tokio::test]
async fn a_rate_limit_is_obeyed_and_tells_how_long() {
    let server = FaultServer::start(|_| with(text(429, "<html>slow down</html>"), "retry-after", "30")).await;
    let error = error_of(&server).await;
    assert_eq!((error.reason(), error.retry_after()), (Reason::RateLimited, Some(Duration::from_secs(30))));
    assert_eq!(server.targets().len(), 1, "not tried again");

    let server =
        FaultServer::start(|_| with(status(503), "retry-after", "Fri, 01 Jan 2100 00:00:00 GMT")).await;
    let error = error_of(&server).await;
    assert_eq!(error.retry_after(), Some(Duration::from_secs(6 * 60 * 60)), "capped");
    assert_eq!(server.targets().len(), 1);
}

#[tokio::test]
async fn a_host_that_asks_for_a_pause_is_not_asked_before_and_others_are() {
    let busy = FaultServer::start(|asked| match asked.nth {
        0 => with(status(429), "retry-after", "2"),
        _ => page(&["1.0"]),
    })
    .await;
    let idle = FaultServer::start(|_| page(&["1.0"])).await;
    let client = client();
    let began = Instant::now();
    assert_eq!(client.left_alone_until(busy.host()), None);
    scan_error(&client, &api_of(&busy), &plain_http()).await;
    for (repository, access) in [("acme/api", with_password(USER, PASSWORD)), ("acme/web", plain_http())] {
        let error = scan_error(&client, &image(busy.host(), repository), &access).await;
        assert_eq!(error.reason(), Reason::RateLimited);
        assert!(error.retry_after().unwrap() <= Duration::from_secs(2), "{error}");
    }
    assert_eq!(busy.asked().len(), 1, "{:?}", busy.targets());
    list(&client, &api_of(&idle), &plain_http()).await.unwrap();

    let until = client.left_alone_until(busy.host()).unwrap();
    tokio::time::sleep_until(until).await;
    list(&client, &api_of(&busy), &plain_http()).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(2));
}

#[tokio::test]
async fn a_registry_that_counts_its_requests_down_is_left_alone_at_none() {
    let server = FaultServer::start(|asked| {
        let page = page_of_five(asked_page(asked));
        let left = (3 - asked_page(asked).min(3)).to_string();
        with(with(page, "ratelimit-remaining", &left), "ratelimit-reset", "60")
    })
    .await;
    let error = error_of(&server).await;
    assert_eq!(error.reason(), Reason::RateLimited, "half a list is none: {error}");
    assert_eq!(server.targets().len(), 3);
}

#[tokio::test]
async fn requests_go_out_no_faster_than_they_may() {
    let server = FaultServer::start(|asked| page_of_five(asked_page(asked))).await;
    let mut access = plain_http();
    access.host.requests_per_second = NonZeroU32::new(20);
    let client = client();
    let image = api_of(&server);
    let began = Instant::now();
    let scans = (0..4).map(|_| list(&client, &image, &access));
    futures::future::try_join_all(scans).await.unwrap();
    let times: Vec<Instant> = server.asked().iter().map(|asked| asked.at).collect();
    assert_eq!(times.len(), 20);
    assert!(times[19] - began >= Duration::from_millis(950), "{:?}", times[19] - began);
}

/// The outcome of a scan that may find the list unchanged, and the tags that it gave.
async fn list_since(
    client: &Client,
    image: &ImageName,
    access: &Access,
    known: Option<&ListVersion>,
) -> (Listed, Vec<String>) {
    let mut tags = Vec::new();
    let mut each = |some: &[TagRef<'_>]| tags.extend(some.iter().map(|tag| tag.as_str().to_owned()));
    let listed = client.list_tags_since(image, access, known, &mut each).await.unwrap();
    (listed, tags)
}

/// A registry whose list has an entity tag, `"v1"` at first and `"v2"` from the third request on.
async fn registry_with_entity_tags() -> FaultServer {
    FaultServer::start(|asked| {
        let (etag, tags): (_, &[&str]) =
            if asked.nth < 2 { ("\"v1\"", &["1.0"]) } else { ("\"v2\"", &["1.0", "2.0"]) };
        match asked.header("if-none-match") == etag {
            true => with(status(304), "etag", etag),
            false => with(page(tags), "etag", etag),
        }
    })
    .await
}

#[tokio::test]
async fn a_list_that_has_not_changed_is_not_read_again() {
    let server = registry_with_entity_tags().await;
    let (client, image) = (client(), api_of(&server));
    let (first, tags) = list_since(&client, &image, &plain_http(), None).await;
    let Listed::Whole(_, Some(known)) = first else { panic!("{first:?}") };
    assert_eq!(tags, ["1.0"]);
    let (second, tags) = list_since(&client, &image, &plain_http(), Some(&known)).await;
    assert_eq!((second, tags.len()), (Listed::Unchanged, 0));
    let (third, tags) = list_since(&client, &image, &plain_http(), Some(&known)).await;
    assert!(matches!(third, Listed::Whole(_, Some(_))) && tags == ["1.0", "2.0"], "{third:?}");
}

#[tokio::test]
async fn an_entity_tag_is_shown_only_by_who_got_it() {
    let server = registry_with_entity_tags().await;
    let (client, image) = (client(), api_of(&server));
    let (first, _) = list_since(&client, &image, &plain_http(), None).await;
    let Listed::Whole(_, known) = first else { panic!("{first:?}") };
    list_since(&client, &image, &with_password(USER, PASSWORD), known.as_ref()).await;
    assert!(server.asked().iter().all(|asked| asked.header("if-none-match").is_empty()));
}

#[tokio::test]
async fn the_entity_tag_of_a_first_page_says_nothing_of_the_others() {
    let server = FaultServer::start(|asked| with(page_of_five(asked_page(asked)), "etag", "\"v1\"")).await;
    let (listed, tags) = list_since(&client(), &api_of(&server), &plain_http(), None).await;
    assert!(matches!(listed, Listed::Whole(_, None)) && tags.len() == 10, "{listed:?}");
}

#[tokio::test]
async fn a_list_that_is_unchanged_without_a_question_is_an_error() {
    let server = FaultServer::start(|_| status(304)).await;
    assert_eq!(error_of(&server).await.reason(), Reason::ServerError);
}

#[tokio::test]
async fn a_denial_shows_what_the_registry_says() {
    let denied = r#"{"errors":[{"code":"DENIED","message":"requested access to the\n resource is denied"}]}"#;
    let server = FaultServer::start(move |_| text(403, denied)).await;
    let error = error_of(&server).await;
    assert_eq!(error.reason(), Reason::AccessDenied);
    assert!(
        error.to_string().ends_with(r#"acme/api: "requested access to the\n resource is denied""#),
        "{error}"
    );
}

#[tokio::test]
async fn smaller_pages_are_tried_and_remembered() {
    let server = FaultServer::start(|asked| match asked.target.as_str() {
        FIRST_PAGE => text(400, r#"{"errors":[{"code":"PAGINATION_NUMBER_INVALID","message":"too many"}]}"#),
        "/v2/acme/api/tags/list?n=100" => status(413),
        _ => page(&["1.0"]),
    })
    .await;
    let client = client();
    for _ in 0..2 {
        list(&client, &api_of(&server), &plain_http()).await.unwrap();
    }
    assert_eq!(server.targets(), [FIRST_PAGE, "/v2/acme/api/tags/list?n=100", LIST, LIST]);
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_carries_nothing() {
    let bystander = FaultServer::bystander().await;
    let target = format!("http://{}{LIST}?token=s3cret", bystander.host());
    let server = FaultServer::start(move |asked| match (asked.target.as_str(), &asked.authorization) {
        ("/v2/", _) | (_, None) => with(status(401), "www-authenticate", r#"Basic realm="x""#),
        _ => with(status(307), "location", &target),
    })
    .await;
    let error = scan_error(&client(), &api_of(&server), &with_password(USER, PASSWORD)).await;
    assert_eq!(error.reason(), Reason::ServerError);
    let text = error.to_string();
    assert!(text.contains("redirected to 127.0.0.1") && !text.contains("s3cret"), "{text}");
    assert!(bystander.asked().is_empty());
    assert!(
        server.asked().last().unwrap().authorization.is_some(),
        "the registry itself was sent the password"
    );
}

#[tokio::test]
async fn a_rogue_token_server_learns_nothing() {
    let bystander = FaultServer::bystander().await;
    for realm in [format!("http://{}/token", bystander.host()), format!("https://{}/token", bystander.host())]
    {
        let challenge = format!(r#"Bearer realm="{realm}",service="x""#);
        let server = FaultServer::start(move |_| with(status(401), "www-authenticate", &challenge)).await;
        for access in [with_password(USER, PASSWORD), plain_http()] {
            let error = scan_error(&client(), &api_of(&server), &access).await;
            assert_eq!(error.reason(), Reason::AuthenticationFailed);
            assert!(error.to_string().contains("allowedRealms"), "{error}");
        }
        assert!(server.asked().iter().all(|asked| asked.authorization.is_none()));
    }
    assert!(bystander.asked().is_empty());
}

/// A registry with its own token server, which numbers the tokens it gives. `admits` says which page a token opens.
async fn token_registry(admits: fn(page: u32, token: u32) -> bool) -> FaultServer {
    let given = std::sync::atomic::AtomicU32::new(0);
    let host = std::sync::Arc::new(std::sync::OnceLock::<String>::new());
    let own = host.clone();
    let server = FaultServer::start(move |asked| {
        if asked.target.starts_with("/token") {
            let number = given.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
            return text(200, format!(r#"{{"token":"t0ken-{number}","expires_in":300}}"#));
        }
        let token = asked.authorization.as_deref().and_then(|text| text.strip_prefix("Bearer t0ken-"));
        match token {
            Some(number) if admits(asked_page(asked), number.parse().unwrap()) => {
                page_of_five(asked_page(asked))
            }
            _ => {
                let challenge = format!(
                    r#"Bearer realm="http://{}/token",service="registry",scope="repository:acme/api:pull""#,
                    own.get().unwrap()
                );
                with(status(401), "www-authenticate", &challenge)
            }
        }
    })
    .await;
    host.set(server.host().to_owned()).unwrap();
    server
}

#[tokio::test]
async fn a_token_that_ends_between_pages_is_renewed_and_the_same_page_asked_again() {
    let server = token_registry(|page, token| token == if page < 3 { 1 } else { 2 }).await;
    let (tags, listing) = list(&client(), &api_of(&server), &plain_http()).await.unwrap();
    assert_eq!((tags.len(), listing.pages), (10, 5));
    tags.windows(2).for_each(|pair| assert_ne!(pair[0], pair[1], "no page twice"));
    let third = server.targets().iter().filter(|target| target.ends_with("page=3")).count();
    assert_eq!(third, 2, "{:?}", server.targets());
    let scope = "/token?scope=repository%3Aacme%2Fapi%3Apull&service=registry";
    assert_eq!(server.targets().iter().filter(|&target| target == scope).count(), 2);
}

#[tokio::test]
async fn a_token_that_opens_nothing_is_not_asked_for_again_and_again() {
    let server = token_registry(|_, _| false).await;
    assert_eq!(error_of(&server).await.reason(), Reason::AuthenticationFailed);
    assert!(server.targets().len() <= 3, "{:?}", server.targets());
}

#[tokio::test]
async fn two_credentials_never_share_a_token() {
    let server = token_registry(|_, _| true).await;
    let client = client();
    for user in ["one", "two", "one"] {
        list(&client, &api_of(&server), &with_password(user, PASSWORD)).await.unwrap();
    }
    let lists: Vec<_> = server.asked().into_iter().filter(|asked| asked.target == FIRST_PAGE).collect();
    let tokens: Vec<_> = lists.iter().filter_map(|asked| asked.authorization.as_deref()).collect();
    assert_eq!(tokens, ["Bearer t0ken-1", "Bearer t0ken-2", "Bearer t0ken-1"]);
}

#[tokio::test]
async fn an_identity_token_is_posted_to_the_token_server_only() {
    let server = token_registry(|_, _| true).await;
    let credential = Some(Credential::IdentityToken(SecretText::from("id+entity".to_owned())));
    list(&client(), &api_of(&server), &Access { credential, ..plain_http() }).await.unwrap();
    let asked = server.asked();
    let posted: Vec<_> = asked.iter().filter(|asked| asked.method == "POST").collect();
    assert_eq!(posted.len(), 1);
    assert!(
        posted[0].body.contains("grant_type=refresh_token")
            && posted[0].body.contains("refresh_token=id%2Bentity")
    );
    assert!(asked.iter().all(|asked| !asked.target.contains("entity")));
}

#[tokio::test]
async fn a_failed_token_call_is_not_followed_by_an_anonymous_scan() {
    let own = std::sync::Arc::new(std::sync::OnceLock::<String>::new());
    let host = own.clone();
    let server = FaultServer::start(move |asked| match asked.target.as_str() {
        "/v2/" => {
            let challenge = format!(r#"Bearer realm="http://{}/token""#, own.get().unwrap());
            with(status(401), "www-authenticate", &challenge)
        }
        target if target.starts_with("/token") => status(403),
        _ => page(&["public"]),
    })
    .await;
    host.set(server.host().to_owned()).unwrap();
    let error = scan_error(&client(), &api_of(&server), &with_password(USER, PASSWORD)).await;
    assert!(matches!(error, Error::TokenRefused { status: 403, .. }), "{error}");
    assert!(server.targets().iter().all(|target| !target.starts_with(LIST)), "{:?}", server.targets());
}

const MANIFEST: &str = r#"{"schemaVersion":2}"#;

#[tokio::test]
async fn a_digest_comes_from_the_body_where_head_gives_none() {
    let tag = Tag::parse("1.0").unwrap();
    for head in [405, 200] {
        let server = FaultServer::start(move |asked| match asked.method.as_str() {
            "HEAD" => status(head),
            _ => text(200, MANIFEST),
        })
        .await;
        let digest = client().digest(&api_of(&server), &tag, &plain_http()).await.unwrap();
        assert_eq!(digest, Digest::sha256_of(MANIFEST.as_bytes()), "HEAD answers {head}");
    }
}

#[tokio::test]
async fn a_digest_that_does_not_fit_the_body_is_an_error() {
    let lie = Digest::sha256_of(b"something else").to_string();
    let server = FaultServer::start(move |asked| match asked.method.as_str() {
        "HEAD" => status(405),
        _ => with(text(200, MANIFEST), "docker-content-digest", &lie),
    })
    .await;
    let tag = Tag::parse("1.0").unwrap();
    let error = client().digest(&api_of(&server), &tag, &plain_http()).await.unwrap_err();
    assert_eq!(error.reason(), Reason::ServerError);
    assert!(error.to_string().contains("but the manifest has sha256:"), "{error}");
}
