//! What is told where no source gives an answer, or one must not be asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use tagtide::api::Reason;

use super::{Asking, HIGHEST, LIST, PINNED, Request, ask_past, asked_so_often, message, mirrored_by};
use crate::registry::fault_server::{FaultServer, page, status, text, with};
use crate::scanning::{Running, is_chosen, policy, registry};

#[tokio::test]
async fn a_mirror_at_an_address_that_is_not_allowed_is_told_and_not_passed_over() {
    let upstream = FaultServer::bystander().await;
    let metadata = "169.254.169.254";
    let asking = Asking::new(&[(upstream.host(), &mirrored_by(metadata)), (metadata, "")]);
    let error = asking.choose(HIGHEST, None).await.unwrap_err();
    assert_eq!(error.reason(), Reason::NotAllowed, "{error}");
    let words = format!("(it is asked as a mirror of {})", upstream.host());
    assert!(error.to_string().contains(metadata) && error.to_string().ends_with(&words), "{error}");
    assert!(upstream.asked().is_empty());
}

#[tokio::test]
async fn a_mirror_whose_list_is_too_long_is_told_and_not_passed_over() {
    let endless = |_: &Request| text(200, format!("{{\"tags\":[{}]}}", " ".repeat(50_000_000)));
    let (answer, _, upstream) = ask_past(HIGHEST, endless).await;
    let error = answer.unwrap_err();
    assert_eq!(error.reason(), Reason::TooLarge, "{error}");
    assert_eq!(upstream.requests(LIST), 0);
}

#[tokio::test]
async fn all_who_want_a_pause_are_left_alone_until_the_first_of_them_may_be_asked() {
    let pause = |seconds: &'static str| move |_: &Request| with(status(429), "retry-after", seconds);
    let (mirror, upstream) = (FaultServer::start(pause("600")).await, FaultServer::start(pause("30")).await);
    let asking = Asking::new(&[(upstream.host(), &mirrored_by(mirror.host())), (mirror.host(), "")]);
    let error = asking.choose(HIGHEST, None).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(30)), "{error}");
}

#[tokio::test]
async fn an_image_that_the_host_can_not_show_is_no_answer_and_the_mirror_is_named_too() {
    let mirror = FaultServer::start(|_| status(404)).await;
    let lists_only = FaultServer::start(|asked| match asked.target.contains("/tags/list") {
        true => page(&["1.0.0"]),
        false => status(404),
    })
    .await;
    let asking = Asking::new(&[(lists_only.host(), &mirrored_by(mirror.host())), (mirror.host(), "")]);
    let error = asking.choose(PINNED, None).await.unwrap_err().to_string();
    assert!(error.contains(lists_only.host()) && error.contains("asked before: "), "{error}");
    assert!(error.contains(mirror.host()), "{error}");
}

#[tokio::test]
async fn a_mirror_that_is_spoken_to_in_another_way_now_is_asked_at_once() {
    let (mirror, upstream) =
        (FaultServer::start(|_| page(&["1.0.0"])).await, FaultServer::start(|_| page(&["1.0.0"])).await);
    let objects = registry("upstream", upstream.host(), &mirrored_by(mirror.host()))
        + &policy("app", upstream.host(), "1h");
    let running = Running::start(&objects);
    let asked_of = |host: &str| {
        let words = format!("asked of {host}");
        move |status: &Value| message(status).contains(&words)
    };
    running.status_where("app", asked_of(upstream.host())).await;
    assert!(mirror.asked().is_empty(), "it is no server of HTTPS");

    running.write(&(objects + &registry("mirror", mirror.host(), "")));
    running.status_where("app", asked_of(mirror.host())).await;
}

#[tokio::test]
async fn an_object_whose_mirror_can_not_be_asked_is_not_ready_and_says_which() {
    let mirrors = ", mirrors: [{host: cache.example}, {host: harbor}]";
    let running = Running::start(&registry("upstream", "registry.example", mirrors));
    let status = running.registry_where("upstream", |status| status["conditions"].is_array()).await;
    assert_eq!(status["conditions"][0]["reason"], "InvalidSpec", "{status}");
    assert!(message(&status).contains("spec.mirrors[1]"), "{status}");
}

#[tokio::test]
async fn credentials_that_a_mirror_has_no_use_for_are_named_where_they_can_not_be_used() {
    let (mirror, upstream) = (FaultServer::start(|_| page(&["1.0.0"])).await, FaultServer::bystander().await);
    let registries = registry("upstream", upstream.host(), &mirrored_by(mirror.host()))
        + &registry("mirror", mirror.host(), "");
    let own = "interval: 1s, credentials: {secretRef: {name: pull}}";
    let objects = registries + &policy("app", upstream.host(), "1s").replace("interval: 1s", own);
    let running = Running::start(&objects);
    let status = running.status_where("app", is_chosen).await;
    let words = format!(
        "; asked of {}; its own credentials can not be used: there is no Secret shop/pull",
        mirror.host()
    );
    assert!(message(&status).ends_with(&words), "{status}");
    assert_eq!((&status["conditions"][0]["status"], upstream.asked().len()), (&"True".into(), 0), "{status}");

    let secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: pull, namespace: shop}\nstringData: {username: bot, password: x}\n";
    running.write(&(objects + secret));
    running
        .status_where("app", |status| message(status).ends_with(&format!("; asked of {}", mirror.host())))
        .await;
    let is_named = |asked: &Request| asked.authorization.is_some();
    assert!(!mirror.asked().iter().any(is_named), "they are not shown to it either");
}

#[tokio::test]
async fn credentials_that_the_host_refused_are_named_while_a_mirror_answers_and_are_not_tried_again() {
    let has_it = Arc::new(AtomicBool::new(false));
    let mirror_has_it = Arc::clone(&has_it);
    let mirror = FaultServer::start(move |_| match mirror_has_it.load(Ordering::SeqCst) {
        true => page(&["1.0.0"]),
        false => status(404),
    })
    .await;
    let upstream = FaultServer::start(|_| with(status(401), "www-authenticate", "Basic realm=\"x\"")).await;
    let secret = |namespace: &str, password: &str| {
        format!(
            "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: pull, namespace: {namespace}}}\n\
             stringData: {{username: bot, password: {password}}}\n"
        )
    };
    let named = "credentials: {secretRef: {name: pull}}";
    // The credentials of a policy, and those of the host's own object.
    for (of_policy, of_host, namespace) in [
        (format!("interval: 1s, {named}"), String::new(), "shop"),
        ("interval: 1s".to_owned(), format!(", {named}"), "tagtide"),
    ] {
        has_it.store(false, Ordering::SeqCst);
        let objects =
            registry("upstream", upstream.host(), &format!("{}{of_host}", mirrored_by(mirror.host())))
                + &registry("mirror", mirror.host(), "")
                + &policy("app", upstream.host(), "1s").replace("interval: 1s", &of_policy);
        let running = Running::start(&(objects.clone() + &secret(namespace, "wrong-canary")));
        running
            .status_where("app", |status| status["conditions"][0]["reason"] == "AuthenticationFailed")
            .await;

        has_it.store(true, Ordering::SeqCst);
        let chosen = running.status_where("app", is_chosen).await;
        let words = format!(
            "; asked of {}; its credentials were refused when the host was asked last: ",
            mirror.host()
        );
        assert!(message(&chosen).contains(&words), "{chosen}");
        assert_eq!(chosen["conditions"][0]["status"], "True", "{chosen}");
        assert!(!message(&chosen).contains("canary"), "{chosen}");
        let (logins, scans) = (upstream.asked().len(), mirror.asked().len());
        asked_so_often(&mirror, scans + 3).await;
        assert_eq!(upstream.asked().len(), logins, "nobody logs in to find out");

        running.write(&(objects + &secret(namespace, "right")));
        let end = format!("; asked of {}", mirror.host());
        running.status_where("app", |status| message(status).ends_with(&end)).await;
    }
}
