//! The registry of the distribution project, version 3: it gives a list in pages, which version 2 does not.

use tagtide::api::Reason;

use super::{client, image, list, plain_http, scan_error};
use crate::support::fault_proxy::{Fault, FaultProxy, Rule};
use crate::support::registry::Registry;

const LIST: &str = "GET /v2/acme/api/tags/list";
const TAGS: [&str; 5] = ["1.0.0", "1.1.0", "1.10.0", "1.2.0", "1.9.0"];

/// One with five tags, two to a page.
async fn paged() -> Registry {
    let registry = Registry::start_3(2).await;
    for tag in TAGS {
        registry.push("acme/api", tag).await;
    }
    registry
}

#[tokio::test]
async fn all_pages_are_one_list_whatever_size_was_asked_for() {
    let registry = paged().await;
    let (client, image) = (client(), image(&registry.host(), "acme/api"));
    let (tags, listing) = list(&client, &image, &plain_http()).await.unwrap();
    assert_eq!((tags.as_slice(), listing.pages), (&TAGS.map(str::to_owned)[..], 3));
    assert_eq!(registry.requests(&format!("{LIST}?n=1000")), 1, "more than it gives is no error");
    assert_eq!(registry.requests(LIST), 3);

    registry.push("acme/api", "2.0.0").await;
    registry.untag("acme/api", "1.0.0").await;
    let (tags, listing) = list(&client, &image, &plain_http()).await.unwrap();
    assert_eq!((tags[0].as_str(), tags[4].as_str(), listing.pages), ("1.1.0", "2.0.0", 3));
}

#[tokio::test]
async fn a_page_that_fails_fails_the_list_and_the_next_scan_has_it_whole() {
    let registry = paged().await;
    let proxy = FaultProxy::before(&registry.host()).await;
    let (client, image) = (client(), image(&proxy.host(), "acme/api"));
    for (reason, fault) in [
        (Reason::ServerError, Fault::Answer(502, Vec::new(), String::new())),
        (Reason::Unreachable, Fault::Reset),
        (Reason::Unreachable, Fault::CutAfter(3)),
    ] {
        proxy.rules([Rule::every(LIST, fault).with("last=1.2.0")]);
        let error = scan_error(&client, &image, &plain_http()).await;
        assert_eq!(error.reason(), reason, "{error}");
        proxy.rules([]);
        assert_eq!(list(&client, &image, &plain_http()).await.unwrap().0, TAGS);
    }
}

#[tokio::test]
async fn a_repository_whose_tags_are_all_gone_has_an_empty_list() {
    let registry = Registry::start_3(2).await;
    registry.push("acme/api", "1.0.0").await;
    registry.untag("acme/api", "1.0.0").await;
    let (tags, listing) = list(&client(), &image(&registry.host(), "acme/api"), &plain_http()).await.unwrap();
    assert_eq!((tags.len(), listing.pages), (0, 1));
    let error = scan_error(&client(), &image(&registry.host(), "acme/none"), &plain_http()).await;
    assert_eq!(error.reason(), Reason::ImageNotFound, "{error}");
}
