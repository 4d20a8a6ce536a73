//! Deliveries that are signed with their id and their time, as GitLab does by a signing token.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use ring::hmac::{self, HMAC_SHA256};

use super::{Receiver, by_token};

const BODY: &str = include_str!("../../../fuzz/seeds/webhook/gitlab-pipeline.json");
const KEY: [u8; 32] = [7; 32];

/// The headers of a delivery that was signed so many seconds ago.
fn signed(id: &str, ago: i64) -> Vec<(&'static str, String)> {
    let at = Timestamp::now().as_second() - ago;
    let code = hmac::sign(&hmac::Key::new(HMAC_SHA256, &KEY), format!("{id}.{at}.{BODY}").as_bytes());
    let signature = format!("v1,{}", BASE64_STANDARD.encode(code.as_ref()));
    vec![
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", at.to_string()),
        ("webhook-signature", signature),
    ]
}

async fn deliver(receiver: &Receiver, headers: &[(&str, String)]) -> (u16, String) {
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = receiver.deliver("/hooks/gitlab", &headers, BODY).await;
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn a_signed_delivery_counts_once_however_often_it_comes() {
    let mut receiver = Receiver::start(&[("gitlab", "registry.acme.example", by_token("GitLab"))]).await;
    let token = format!("whsec_{}", BASE64_STANDARD.encode(KEY));
    receiver.secrets.set("hook", &token);
    let first = signed("4d1e6e6c-7a0f-4a3c-9f0b-5f5d3c1b2a10", 0);
    assert_eq!(deliver(&receiver, &first).await.0, 202);
    assert_eq!(receiver.told().await, ["registry.acme.example/shop/api"]);
    // Caught and sent again, with something added that is not signed.
    let mut again = first.clone();
    again[2].1 += " v1,AAAA";
    for repeated in [&first, &again] {
        assert_eq!(deliver(&receiver, repeated).await, (200, "taken before\n".to_owned()));
    }
    // GitLab's own next attempt has another time.
    assert_eq!(deliver(&receiver, &signed("4d1e6e6c-7a0f-4a3c-9f0b-5f5d3c1b2a10", 1)).await.0, 202);
    assert_eq!(receiver.told().await, ["registry.acme.example/shop/api"]);

    for (what, headers) in [
        ("an old one", signed("msg_2", 302)),
        ("one of the future", signed("msg_3", -302)),
        ("the token itself", vec![("x-gitlab-token", token)]),
        ("a signature of another id", {
            let mut other = signed("msg_4", 0);
            other[0].1 = "msg_5".to_owned();
            other
        }),
        ("nothing", vec![]),
    ] {
        assert_eq!(deliver(&receiver, &headers).await.0, 401, "{what}");
    }
}

#[tokio::test]
async fn a_delivery_that_could_not_be_taken_is_not_held_for_a_repeated_one() {
    let receiver = Receiver::start(&[("gitlab", "registry.acme.example", by_token("GitLab"))]).await;
    let headers = signed("msg_1", 0);
    assert_eq!(deliver(&receiver, &headers).await.0, 503, "there is no Secret yet");
    receiver.secrets.set("hook", &format!("whsec_{}", BASE64_STANDARD.encode(KEY)));
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(deliver(&receiver, &headers).await.0, 202);
}
