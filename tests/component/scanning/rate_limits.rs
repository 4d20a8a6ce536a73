//! Who is held back by a registry that asks for fewer requests.

use std::time::Duration;

use super::{PATIENCE, Running, policy, registry};
use crate::registry::fault_server::{FaultServer, page, status, text, with};
use crate::support::wait_until;

#[tokio::test]
async fn a_tenant_whose_password_is_wrong_too_often_waits_alone() {
    let server = FaultServer::start(|asked| match (asked.target.split('?').next(), &asked.authorization) {
        (Some("/token"), Some(_)) => with(text(429, "too many failed logins"), "retry-after", "60"),
        (Some("/token"), None) => text(200, r#"{"token":"anonymous","expires_in":300}"#),
        (_, Some(_)) => page(&["1.0.0"]),
        (_, None) => {
            let challenge = format!(r#"Bearer realm="http://{}/token",service="x""#, asked.host());
            with(status(401), "www-authenticate", &challenge)
        }
    })
    .await;
    let wrong = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: wrong, namespace: shop}\n\
                 stringData: {username: bot, password: guess}\n";
    let by_wrong = |name: &str| {
        policy(name, server.host(), "1s")
            .replace("interval:", "credentials: {secretRef: {name: wrong}}, interval:")
    };
    let objects = registry("local", server.host(), "")
        + wrong
        + &by_wrong("one")
        + &policy("good", server.host(), "1s");
    let running = Running::start(&objects);
    running.status_where("one", |status| status["conditions"][0]["reason"] == "RateLimited").await;
    let told = server.asked().len();
    // One more that would ask in the same way is not even begun.
    running.write(&(objects + &by_wrong("two")));
    wait_until("some scans of the other", PATIENCE, async || {
        let asked = server.asked();
        let scans =
            asked.iter().skip(told).filter(|asked| asked.target.starts_with("/v2/acme/good/")).count();
        if scans >= 4 { Ok(()) } else { Err(scans) }
    })
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let logins = server
        .asked()
        .iter()
        .filter(|asked| asked.target.starts_with("/token") && asked.authorization.is_some())
        .count();
    assert_eq!(logins, 1, "{:?}", server.targets());
    let waiting = running.status("two");
    assert_eq!(waiting["conditions"][0]["reason"], "Progressing", "{waiting}");
}
