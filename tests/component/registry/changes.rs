//! What changes in a real registry between two looks is seen at the second one: nothing of the first is used again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tagtide::api::Reason;
use tagtide::image::Tag;
use tagtide::registry::{Access, Error};

use super::fault_server::{FaultServer, page, page_before, status, with};
use super::{client, image, list, plain_http, scan_error, with_password};
use crate::support::registry::{Access as Kind, PASSWORD, Registry, USER};
use crate::support::tls::{Authority, Clients, in_tls};

#[tokio::test]
async fn a_registry_that_comes_back_empty_has_no_image_and_no_empty_list() {
    let mut registry = Registry::start(Kind::Anonymous).await;
    registry.push("acme/api", "1.0.0").await;
    let (client, image) = (client(), image(&registry.host(), "acme/api"));
    list(&client, &image, &plain_http()).await.unwrap();

    registry.restart_empty().await;
    let error = scan_error(&client, &image, &plain_http()).await;
    assert_eq!(error.reason(), Reason::ImageNotFound, "{error}");
    let tag = Tag::parse("1.0.0").unwrap();
    let error = client.digest(&image, &tag, &plain_http()).await.unwrap_err();
    assert_eq!(error.reason(), Reason::ImageNotFound, "{error}");
}

#[tokio::test]
async fn a_tag_that_is_moved_has_its_new_digest_and_one_that_is_deleted_has_none() {
    let registry = Registry::start(Kind::Anonymous).await;
    let (client, image) = (client(), image(&registry.host(), "acme/api"));
    let tag = Tag::parse("1.0.0").unwrap();
    let mut digests = Vec::new();
    for day in ["2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"] {
        let config = serde_json::json!({ "created": day });
        let pushed = registry.push_image("acme/api", "1.0.0", config).await;
        let digest = client.digest(&image, &tag, &plain_http()).await.unwrap();
        assert_eq!(digest.as_str(), pushed);
        digests.push(pushed);
    }
    assert_ne!(digests[0], digests[1]);

    registry.push("acme/api", "1.1.0").await;
    registry.delete_tag("acme/api", "1.0.0");
    let (tags, _) = list(&client, &image, &plain_http()).await.unwrap();
    assert_eq!(tags, ["1.1.0"]);
    let gone = client.digest(&image, &tag, &plain_http()).await.unwrap_err();
    assert_eq!(gone.reason(), Reason::ImageNotFound, "{gone}");
}

#[tokio::test]
async fn a_host_that_did_not_say_what_it_wants_to_know_is_asked_again_by_the_next_scan() {
    let is_well = Arc::new(AtomicBool::new(false));
    let well = Arc::clone(&is_well);
    // Who does not say who asks is not told that there is such a repository.
    let server = FaultServer::start(move |asked| match (asked.target.as_str(), &asked.authorization) {
        ("/v2/", _) if well.load(Ordering::SeqCst) => {
            with(status(401), "www-authenticate", "Basic realm=\"x\"")
        }
        ("/v2/", _) | (_, None) => status(404),
        (_, Some(_)) => page(&["1.0.0"]),
    })
    .await;
    let (client, image, access) = (client(), image(server.host(), "acme/api"), with_password(USER, PASSWORD));
    let error = scan_error(&client, &image, &access).await;
    assert_eq!(error.reason(), Reason::ImageNotFound, "{error}");
    is_well.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        assert_eq!(list(&client, &image, &access).await.unwrap().0, ["1.0.0"]);
    }
    let asked = server.targets().iter().filter(|target| target.ends_with("/v2/")).count();
    assert_eq!(asked, 2, "once known, it is not asked for again: {:?}", server.targets());
}

#[tokio::test]
async fn a_password_that_is_replaced_opens_at_once_and_the_wrong_one_never_does() {
    for kind in [Kind::Password, Kind::Token] {
        let registry = Registry::start(kind).await;
        registry.push("acme/api", "1.0.0").await;
        let (client, image) = (client(), image(&registry.host(), "acme/api"));
        for password in ["old", PASSWORD, "old", PASSWORD] {
            let mut access = with_password(USER, password);
            access.host.allowed_realms = registry.realm().into_iter().collect();
            let listed = list(&client, &image, &access).await;
            match listed {
                Ok((tags, _)) => assert_eq!((password, tags), (PASSWORD, vec!["1.0.0".to_owned()])),
                Err(Error::CredentialsRefused { .. } | Error::TokenRefused { .. }) => {
                    assert_eq!(password, "old", "{kind:?}");
                }
                Err(error) => panic!("{kind:?}: {error}"),
            }
        }
    }
}

#[tokio::test]
async fn an_authority_that_is_replaced_is_trusted_no_longer_and_both_are_meanwhile() {
    let registry = Registry::start(Kind::Anonymous).await;
    registry.push("acme/api", "1.0.0").await;
    let (old, new) = (Authority::new(), Authority::new());
    let client = client();
    let trusting = |pem: String| {
        let mut access = Access::default();
        access.host.ca_pem = Some(Arc::from(pem.into_bytes()));
        access
    };
    let both = format!("{}{}", old.pem(), new.pem());
    for (server, other) in [(&old, &new), (&new, &old)] {
        let plain = registry.host().parse().unwrap();
        let address = in_tls(server, &["127.0.0.1"], Clients::Any, plain).await;
        let image = image(&address.to_string(), "acme/api");
        for pem in [both.clone(), server.pem()] {
            list(&client, &image, &trusting(pem)).await.unwrap();
        }
        let error = scan_error(&client, &image, &trusting(other.pem())).await;
        assert_eq!(error.reason(), Reason::Unreachable, "no connection of another trust is used: {error}");
        assert!(error.to_string().contains("certificate"), "{error}");
    }
}

#[tokio::test]
async fn a_name_that_two_pages_give_is_given_twice_and_counted_so() {
    let server = FaultServer::start(|asked| match asked.target.contains("last=") {
        true => page(&["1.1.0", "1.0.0"]),
        false => page_before(&["1.2.0", "1.1.0"], "/v2/acme/api/tags/list?n=2&last=1.1.0"),
    })
    .await;
    let (tags, listing) = list(&client(), &image(server.host(), "acme/api"), &plain_http()).await.unwrap();
    assert_eq!(tags, ["1.0.0", "1.1.0", "1.1.0", "1.2.0"]);
    assert_eq!((listing.tags, listing.pages), (4, 2));
}
