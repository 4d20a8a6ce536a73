//! A tenant whose registries say nothing holds up the scans of its own namespace alone.

use std::time::Duration;

use tokio::net::TcpListener;

use super::{PATIENCE, Running, is_chosen, policy, registry};
use crate::registry::fault_server::{FaultServer, page};
use crate::support::wait_until;

/// More than may be scanned at once.
const SILENT: usize = 80;

fn of_hog(policy: &str) -> String {
    policy.replace("namespace: shop", "namespace: hog")
}

#[tokio::test]
async fn a_namespace_of_silent_registries_leaves_room_for_the_scans_of_others() {
    let healthy = FaultServer::start(|_| page(&["1.0.0"])).await;
    let mut objects = registry("healthy", healthy.host(), "") + &policy("app", healthy.host(), "1s");
    let mut silent = Vec::new();
    for number in 0..SILENT {
        // It takes connections and never reads from them.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        silent.push(listener);
        objects += &registry(&format!("silent-{number}"), &host, "");
        objects += &of_hog(&policy(&format!("app-{number}"), &host, "1s"));
    }
    // One that names the other's image makes nobody wait either.
    objects += &of_hog(&policy("app", healthy.host(), "1s"));
    let running = Running::start(&objects);
    running.status_where("app", is_chosen).await;
    wait_until("some scans", PATIENCE, async || {
        let scans = healthy.asked().len();
        if scans >= 5 { Ok(()) } else { Err(scans) }
    })
    .await;
    let times: Vec<_> = healthy.asked().iter().map(|asked| asked.at).collect();
    for pair in times.windows(2) {
        assert!(pair[1] - pair[0] < Duration::from_secs(4), "it keeps its pace: {times:?}");
    }
}
