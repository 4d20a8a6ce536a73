//! What a sender is told that asks before it delivers: Azure Event Grid, in both of its ways.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::{Receiver, TOKEN, bearer, by_token};

const ORIGIN: (&str, &str) = ("webhook-request-origin", "eventgrid.azure.net");
const VALIDATION: &str = include_str!("../../../fuzz/seeds/webhook/event-grid-validation.json");
const PUSH: &str = include_str!("../../../fuzz/seeds/webhook/event-grid-push.json");
const IS_VALIDATION: (&str, &str) = ("aeg-event-type", "SubscriptionValidation");

async fn azure() -> Receiver {
    let receiver = Receiver::start(&[("azure", "acme.azurecr.io", by_token("AzureContainerRegistry"))]).await;
    receiver.secrets.set("hook", TOKEN);
    receiver
}

async fn ask(receiver: &Receiver, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = receiver.client.request(Method::OPTIONS, receiver.url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

#[tokio::test]
async fn a_validation_event_is_answered_by_its_code_where_its_sender_proves_itself() {
    let receiver = azure().await;
    let (right, wrong) = (bearer(TOKEN), bearer("fedcba9876543210fedcba9876543210"));
    let in_path = format!("/hooks/azure/{TOKEN}");
    for (path, headers) in [
        ("/hooks/azure", vec![("authorization", right.as_str()), IS_VALIDATION]),
        (in_path.as_str(), vec![IS_VALIDATION]),
    ] {
        let answer = receiver.deliver(path, &headers, VALIDATION).await;
        // Event Grid takes no other status for consent.
        assert_eq!(
            (answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()),
            (200, "application/json")
        );
        let text: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(text, json!({ "validationResponse": "5f0a1c9e-3b7d-4c55-9f1e-2a6b8d7c4e31" }));
    }
    for (path, headers, status) in [
        ("/hooks/azure", vec![IS_VALIDATION], 401),
        ("/hooks/azure", vec![("authorization", wrong.as_str()), IS_VALIDATION], 401),
        ("/hooks/azure/fedcba9876543210", vec![IS_VALIDATION], 404),
        ("/hooks/azure/fedcba9876543210", vec![("authorization", right.as_str()), IS_VALIDATION], 404),
        // Without the header it is an event like others, of nothing that was pushed.
        (in_path.as_str(), vec![], 200),
    ] {
        let answer = receiver.deliver(path, &headers, VALIDATION).await;
        assert_eq!(answer.status(), status, "{path} {headers:?}");
        assert!(!answer.text().await.unwrap().contains("5f0a1c9e"), "{path} {headers:?}");
    }
}

#[tokio::test]
async fn who_asks_whether_it_may_deliver_is_told_so_where_it_proves_itself() {
    let receiver = azure().await;
    let (right, wrong) = (bearer(TOKEN), bearer("fedcba9876543210fedcba9876543210"));
    let in_path = format!("/hooks/azure/{TOKEN}");
    for (path, headers) in [
        ("/hooks/azure", vec![("authorization", right.as_str()), ORIGIN]),
        (in_path.as_str(), vec![ORIGIN, ("webhook-request-rate", "120")]),
    ] {
        let answer = ask(&receiver, path, &headers).await;
        assert_eq!(answer.status(), 200);
        let named =
            ["webhook-allowed-origin", "webhook-allowed-rate", "allow"].map(|name| &answer.headers()[name]);
        assert_eq!(named, ["eventgrid.azure.net", "*", "POST"]);
    }
    for (path, headers) in [
        ("/hooks/azure", vec![ORIGIN]),
        ("/hooks/azure", vec![("authorization", wrong.as_str()), ORIGIN]),
        ("/hooks/azure", vec![("authorization", right.as_str())]),
        ("/hooks/azure/fedcba9876543210", vec![ORIGIN]),
        ("/hooks/unknown", vec![ORIGIN]),
    ] {
        let answer = ask(&receiver, path, &headers).await;
        assert_eq!(answer.status(), 405, "{path} {headers:?}");
        assert!(!answer.headers().contains_key("webhook-allowed-origin"), "{path} {headers:?}");
    }
}

#[tokio::test]
async fn what_event_grid_tells_of_a_push_is_scanned() {
    let mut receiver = azure().await;
    assert_eq!(receiver.status("/hooks/azure", &[("authorization", &bearer(TOKEN))], PUSH).await, 202);
    assert_eq!(receiver.told().await, ["acme.azurecr.io/shop/api"]);
    assert_eq!(receiver.status(&format!("/hooks/azure/{TOKEN}"), &[], PUSH).await, 202);
    assert_eq!(receiver.told().await, ["acme.azurecr.io/shop/api"]);
}
