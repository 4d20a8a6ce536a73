//! The end of a run.

use super::*;

/// A world that never answers.
struct Silent;

impl SecretSource for Silent {
    async fn config_map(&self, _: &ObjectKey) -> Result<SecretData, ConfigMapError> {
        std::future::pending().await
    }

    async fn secret(&self, _: &ObjectKey) -> Result<SecretData, SecretError> {
        std::future::pending().await
    }

    fn operator_namespace(&self) -> &str {
        "tagtide"
    }
}

impl World for Silent {
    async fn show(&self, _: &ObjectId, _: &Status) -> Result<(), WorldError> {
        std::future::pending().await
    }

    async fn tell(&self, _: &ObjectId, _: &Notice) {
        std::future::pending().await
    }

    fn may_write(&self) -> bool {
        true
    }
}

#[tokio::test(start_paused = true)]
async fn work_and_statuses_that_hang_hold_the_end_up_for_half_a_minute() {
    let (sender, updates) = mpsc::channel(8);
    let repository = repository("1", "", json!({ "secretRef": { "name": "silent" } }));
    for update in [repository, policy("1", "", semver("no range")), Update::Complete] {
        sender.send(update).await.unwrap();
    }
    let (metrics, stop) = (Metrics::register(&mut Registry::default()), CancellationToken::new());
    let running = Engine::run(Arc::new(Silent), settings(), metrics, Hooks::default(), updates, stop.clone());
    let running = tokio::spawn(running);
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.cancel();
    let asked = Instant::now();
    running.await.unwrap();
    assert_eq!(asked.elapsed().as_secs(), (GRACE + LAST_WORDS).as_secs());
}
