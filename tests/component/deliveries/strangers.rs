//! Who may call what, and what a stranger can do.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::{Method, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::{Receiver, TOKEN, bearer, by_token, later};

const BODY: &str = r#"{"image": "r.example/shop/api"}"#;

#[tokio::test]
async fn the_whole_route_table_is_closed_to_who_has_no_proof() {
    let receiver = Receiver::of_each_kind().await;
    for (name, status) in [
        ("azurecontainerregistry", 401),
        ("distribution", 401),
        ("ecr", 401),
        ("generic", 401),
        ("github", 401),
        ("gitlab", 401),
        ("gitea", 401),
        ("harbor", 401),
        ("zot", 401),
        // Who is known by its address has no other, and a wrong one does not exist.
        ("dockerhub", 404),
        ("quay", 404),
        ("unknown", 404),
        ("..", 404),
        ("%2e%2e%2fmetrics", 404),
    ] {
        let path = format!("/hooks/{name}");
        assert_eq!(receiver.status(&path, &[], BODY).await, status, "{name}");
        let wrong = bearer("fedcba9876543210fedcba9876543210");
        assert_eq!(receiver.status(&path, &[("authorization", &wrong)], BODY).await, status, "{name}");
        assert_eq!(receiver.status(&format!("{path}/{TOKEN}x"), &[], BODY).await, 404, "{name}");
        for path in [path.clone(), format!("{path}/{TOKEN}x")] {
            let ask = receiver.client.request(Method::OPTIONS, receiver.url(&path));
            let ask = ask.header("webhook-request-origin", "evil.example").send().await.unwrap();
            let is_route = !name.contains("..") || name.contains('%');
            assert_eq!(ask.status(), if is_route { 405 } else { 404 }, "{path}");
            assert!(!ask.headers().contains_key("webhook-allowed-origin"), "{path}");
        }
    }
    // The right token in the path is a proof for those only whose way it is.
    assert_eq!(receiver.status(&format!("/hooks/github/{TOKEN}"), &[], BODY).await, 404);
    for path in ["/", "/hooks", "/hooks/", "/metrics", "/healthz", "/readyz", "/hooks/a/b/c"] {
        assert_eq!(receiver.status(path, &[], BODY).await, 404, "{path}");
    }
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH] {
        let asked = receiver.client.request(method.clone(), receiver.url("/hooks/generic")).send().await;
        assert_eq!(asked.unwrap().status(), 405, "{method}");
    }
    assert!(
        receiver.secrets.reads() <= 24,
        "a Secret is read once a second for each webhook, not for each call"
    );
}

#[tokio::test]
async fn who_proves_it_is_taken_at_its_word_about_its_own_registry() {
    let mut receiver = Receiver::of_each_kind().await;
    let path = format!("/hooks/dockerhub/{TOKEN}");
    let body = r#"{"repository": {"repo_name": "shop/api"}}"#;
    assert_eq!(receiver.status(&path, &[], body).await, StatusCode::ACCEPTED);
    assert_eq!(receiver.told().await, ["r.example/shop/api"]);
    let token = bearer(TOKEN);
    assert_eq!(receiver.status("/hooks/generic", &[("authorization", &token)], BODY).await, 202);
    assert_eq!(receiver.told().await, ["r.example/shop/api"]);
    let elsewhere = r#"{"image": "other.example/shop/api"}"#;
    let answer = receiver.deliver("/hooks/generic", &[("authorization", &token)], elsewhere).await;
    assert_eq!(answer.status(), 400);
    let text = answer.text().await.unwrap();
    assert!(text.contains("other.example/shop/api is not on r.example"), "{text}");
    let ping = r#"{"zen": "x"}"#;
    assert_eq!(receiver.status("/hooks/gitlab", &[("x-gitlab-token", TOKEN)], ping).await, 400);
}

#[tokio::test]
async fn without_a_good_secret_there_is_no_way_in_and_no_load_on_the_api_server() {
    let mut receiver = Receiver::start(&[("generic", "r.example", by_token("Generic"))]).await;
    let token = bearer(TOKEN);
    let headers = [("authorization", token.as_str())];
    for _ in 0..20 {
        let answer = receiver.deliver("/hooks/generic", &headers, BODY).await;
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers()["retry-after"], "5");
    }
    assert!(receiver.secrets.reads() <= 2, "{}", receiver.secrets.reads());
    // An empty one would be known by everybody.
    receiver.secrets.set("hook", "");
    sleep(Duration::from_millis(1100)).await;
    assert_eq!(receiver.status("/hooks/generic", &[("authorization", "Bearer ")], BODY).await, 503);

    receiver.secrets.set("hook", TOKEN);
    sleep(Duration::from_millis(1100)).await;
    assert_eq!(receiver.status("/hooks/generic", &headers, BODY).await, 202);
    receiver.told().await;

    let rotated = "fedcba9876543210fedcba9876543210";
    receiver.secrets.set("hook", rotated);
    sleep(Duration::from_millis(1100)).await;
    let headers = [("authorization", &*bearer(rotated))].map(|(name, value)| (name, value.to_owned()));
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(receiver.status("/hooks/generic", &headers, BODY).await, 202, "a new token works at once");
    receiver.hooks.remove("generic");
    assert_eq!(receiver.status("/hooks/generic", &headers, BODY).await, 404);
}

#[tokio::test]
async fn a_token_that_was_replaced_lets_nobody_in_after_half_a_minute() {
    let receiver = Receiver::of_each_kind().await;
    let old = bearer(TOKEN);
    let status = async || receiver.status("/hooks/generic", &[("authorization", &old)], BODY).await.as_u16();
    assert_eq!(status().await, 202);
    receiver.secrets.set("hook", "fedcba9876543210fedcba9876543210");
    later(Duration::from_secs(29)).await;
    assert_eq!(
        (status().await, receiver.secrets.reads()),
        (202, 1),
        "a Secret is not read for each delivery"
    );
    later(Duration::from_secs(2)).await;
    assert_eq!((status().await, receiver.secrets.reads()), (401, 2));
}

#[tokio::test]
async fn a_body_over_a_megabyte_is_refused_whether_it_says_so_or_not() {
    let receiver = Receiver::of_each_kind().await;
    let token = bearer(TOKEN);
    let headers = [("authorization", token.as_str())];
    let large = " ".repeat(1024 * 1024 + 1);
    assert_eq!(receiver.status("/hooks/generic", &headers, &large).await, 413);
    let mut stream = TcpStream::connect(receiver.address).await.unwrap();
    let head = format!(
        "POST /hooks/generic HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    for _ in 0..20 {
        // The server may have hung up already, which is as good.
        let _ = stream.write_all(chunk.as_bytes()).await;
    }
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert_eq!(receiver.status("/hooks/generic", &headers, BODY).await, 202, "others are served");
}

#[tokio::test]
async fn many_large_bodies_of_strangers_are_held_few_at_a_time_and_small_ones_pass_them_by() {
    let receiver = Receiver::of_each_kind().await;
    let token = bearer(TOKEN);
    let headers = [("authorization", token.as_str())];
    let head = "POST /hooks/github HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n";
    let half = " ".repeat(200 * 1024);
    let strangers = join_all((0..40).map(async |_| {
        let mut stream = TcpStream::connect(receiver.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        // What is not read any more fills the socket.
        timeout(Duration::from_secs(1), stream.write_all(half.as_bytes())).await.ok();
        stream
    }))
    .await;
    let small = timeout(Duration::from_secs(3), receiver.status("/hooks/generic", &headers, BODY)).await;
    assert_eq!(small.expect("it waits for nobody"), 202);
    let large = format!("{BODY}{}", " ".repeat(100 * 1024));
    let waits = timeout(Duration::from_secs(2), receiver.status("/hooks/generic", &headers, &large)).await;
    assert!(waits.is_err(), "there is no room: {waits:?}");
    drop(strangers);
    let large = timeout(Duration::from_secs(5), receiver.status("/hooks/generic", &headers, &large)).await;
    assert_eq!(large.expect("there is room again"), 202);
}

#[tokio::test]
async fn who_is_slow_is_hung_up_on_and_holds_nobody_else_up() {
    let receiver = Receiver::of_each_kind().await;
    let began = Instant::now();
    let slow = async |text: &'static str| {
        let mut stream = TcpStream::connect(receiver.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        timeout(Duration::from_secs(20), stream.read_to_end(&mut answer))
            .await
            .expect("it is hung up on")
            .ok();
        (String::from_utf8_lossy(&answer).into_owned(), began.elapsed())
    };
    let head = slow("POST /hooks/generic HTTP/1.1\r\nhost:");
    let body = slow("POST /hooks/generic HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{");
    let silent = slow("");
    let others = async {
        // Six hundred who say nothing take all the room for five seconds.
        let silent = join_all((0..600).map(|_| TcpStream::connect(receiver.address))).await;
        let token = bearer(TOKEN);
        let status = receiver.status("/hooks/generic", &[("authorization", &token)], BODY).await;
        drop(silent);
        (status, began.elapsed())
    };
    let (head, body, silent, others) = tokio::join!(head, body, silent, others);
    assert!(head.1 < Duration::from_secs(9), "{head:?}");
    assert!(silent.1 < Duration::from_secs(9), "{silent:?}");
    assert!(body.0.starts_with("HTTP/1.1 408") && body.1 < Duration::from_secs(14), "{body:?}");
    assert!(others.0 == 202 && others.1 < Duration::from_secs(14), "{others:?}");
}

#[tokio::test]
async fn no_more_callers_than_there_is_room_for_are_heard_at_once() {
    let receiver = Receiver::of_each_kind().await;
    let silent = join_all((0..256).map(|_| TcpStream::connect(receiver.address))).await;
    let token = bearer(TOKEN);
    let headers = [("authorization", token.as_str())];
    let waits = timeout(Duration::from_secs(2), receiver.status("/hooks/generic", &headers, BODY)).await;
    assert!(waits.is_err(), "there is no room: {waits:?}");
    drop(silent);
    let heard = timeout(Duration::from_secs(4), receiver.status("/hooks/generic", &headers, BODY)).await;
    assert_eq!(heard.expect("there is room again"), 202);
}

#[tokio::test]
async fn who_talks_for_ever_is_hung_up_on_after_two_minutes() {
    let receiver = Receiver::of_each_kind().await;
    let mut stream = TcpStream::connect(receiver.address).await.unwrap();
    let mut answered = 0;
    let mut buffer = [0; 4096];
    while answered < 60 {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.ok();
        if stream.read(&mut buffer).await.unwrap_or_default() == 0 {
            break;
        }
        answered += 1;
        later(Duration::from_secs(4)).await;
    }
    assert!((29..=31).contains(&answered), "a request each four seconds: {answered}");
}

#[tokio::test]
async fn a_head_over_thirty_two_kilobytes_is_refused() {
    let receiver = Receiver::of_each_kind().await;
    let token = bearer(TOKEN);
    for (length, status) in [(20_000, 202), (60_000, 431)] {
        let padding = "a".repeat(length);
        let headers = [("authorization", token.as_str()), ("x-padding", &padding)];
        assert_eq!(receiver.status("/hooks/generic", &headers, BODY).await, status, "{length}");
    }
}

#[tokio::test]
async fn nothing_that_a_stranger_sends_ends_the_receiver() {
    let receiver = Receiver::of_each_kind().await;
    for text in [
        "\0\0\0\0",
        "GET / HTTP/9.9\r\n\r\n",
        "POST /hooks/%ff%fe HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n",
        "POST /hooks/generic HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        "POST /hooks/generic HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n\r\n",
        "POST /hooks/generic HTTP/1.1\r\nx-hub-signature-256: \u{fffd}\r\ncontent-length: 0\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(receiver.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream.shutdown().await.ok();
        let mut answer = Vec::new();
        timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.unwrap().ok();
    }
    let long = format!("/hooks/{}", "a".repeat(60_000));
    assert!(
        receiver
            .client
            .post(receiver.url(&long))
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_client_error())
    );
    let token = bearer(TOKEN);
    assert_eq!(receiver.status("/hooks/generic", &[("authorization", &token)], BODY).await, 202);
}

#[tokio::test]
async fn who_is_known_is_let_in_though_a_stranger_calls_while_the_api_server_gives_no_answer() {
    const NEXT: &str = "00112233445566778899aabbccddeeff";
    let receiver = Receiver::of_each_kind().await;
    let tell = async |token: &str| {
        receiver.status("/hooks/harbor", &[("authorization", &bearer(token))], "{}").await.as_u16()
    };
    let known = tell(TOKEN).await;
    assert!(known != 401 && known != 503, "{known}");
    receiver.secrets.is_silent.store(true, Ordering::Relaxed);
    later(Duration::from_millis(1100)).await;
    assert_eq!(tell(NEXT).await, 503, "it may be the right one by now");
    let reads = receiver.secrets.reads();
    assert_eq!(tell(TOKEN).await, known);
    later(Duration::from_millis(1100)).await;
    assert_eq!((tell(NEXT).await, tell(TOKEN).await), (503, known));
    assert_eq!(receiver.secrets.reads(), reads, "who is known does not wait for ever new readings");

    receiver.secrets.set("hook", NEXT);
    receiver.secrets.is_silent.store(false, Ordering::Relaxed);
    later(Duration::from_secs(6)).await;
    assert_eq!((tell(NEXT).await, tell(TOKEN).await), (known, 401));
}
