//! Many deliveries at once.

use std::time::Instant;

use futures::future::join_all;

use super::{Receiver, TOKEN, bearer};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_deliveries_of_one_image_are_a_handful_of_updates_and_one_reading_of_the_secret() {
    let mut receiver = Receiver::of_each_kind().await;
    let token = bearer(TOKEN);
    let body = r#"{"image": "r.example/shop/api:1.9.4"}"#;
    let senders = (0..50).map(async |_| {
        for _ in 0..200 {
            assert_eq!(receiver.status("/hooks/generic", &[("authorization", &token)], body).await, 202);
        }
    });
    let began = Instant::now();
    join_all(senders).await;
    // One for each half minute that it took.
    let most = 1 + usize::try_from(began.elapsed().as_secs() / 30).unwrap();
    assert!((1..=most).contains(&receiver.secrets.reads()), "{}", receiver.secrets.reads());
    // The engine took nothing meanwhile: one update waits for it, and one more place is reserved.
    let mut updates = 0;
    while let Ok(Ok(update)) = tokio::time::timeout(std::time::Duration::from_millis(300), async {
        receiver.updates.recv().await.ok_or(())
    })
    .await
    {
        updates += 1;
        drop(update);
    }
    assert!((1..=2).contains(&updates), "{updates}");
}
