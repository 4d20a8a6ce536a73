//! What was pushed, merged until the engine takes it: ten thousand deliveries of one image are one entry.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, mpsc};

use crate::engine::Update;
use crate::registry::webhook::Pushed;

/// The most pushes that wait; more than a whole fleet has images.
const MOST_WAITING: usize = 16_384;

/// Where deliveries leave what was pushed. A clone is the same inbox.
#[derive(Clone, Default)]
pub struct Inbox(Arc<Waiting>);

/// What waits for the engine.
#[derive(Default)]
pub struct Waiting {
    pushed: Mutex<BTreeSet<Pushed>>,
    news: Notify,
}

impl Inbox {
    /// Leaves what was pushed; `false` where there is no room for it.
    #[must_use]
    pub fn leave(&self, pushed: BTreeSet<Pushed>) -> bool {
        let mut waiting = self.0.pushed.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = waiting.len() + pushed.len() <= MOST_WAITING;
        if has_room {
            waiting.extend(pushed);
            self.0.news.notify_one();
        }
        has_room
    }

    /// Carries what was left to the engine, for as long as it takes updates. While one update waits to be taken, all that
    /// comes becomes part of the next.
    pub async fn carry(self, updates: mpsc::Sender<Update>) {
        loop {
            self.0.news.notified().await;
            let Ok(place) = updates.reserve().await else { return };
            let pushed = std::mem::take(&mut *self.0.pushed.lock().unwrap_or_else(PoisonError::into_inner));
            if !pushed.is_empty() {
                place.send(Update::Pushed(pushed));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::ImageName;

    fn pushed(name: &str) -> BTreeSet<Pushed> {
        BTreeSet::from([Pushed { image: ImageName::parse(name).unwrap(), and_below: false, tag: None }])
    }

    fn taken(update: Option<Update>) -> Vec<String> {
        let Some(Update::Pushed(pushed)) = update else { panic!("{update:?}") };
        pushed.into_iter().map(|pushed| pushed.image.to_string()).collect()
    }

    #[tokio::test]
    async fn ten_thousand_of_one_image_are_one_and_what_comes_meanwhile_is_merged() {
        let (inbox, (sender, mut updates)) = (Inbox::default(), mpsc::channel(1));
        sender.send(Update::Complete).await.unwrap();
        let carrying = tokio::spawn(inbox.clone().carry(sender));
        for _ in 0..10_000 {
            assert!(inbox.leave(pushed("ghcr.io/acme/api")));
        }
        tokio::task::yield_now().await;
        assert!(inbox.leave(pushed("ghcr.io/acme/web")));
        assert!(matches!(updates.recv().await, Some(Update::Complete)));
        assert_eq!(taken(updates.recv().await), ["ghcr.io/acme/api", "ghcr.io/acme/web"]);
        assert!(inbox.leave(pushed("ghcr.io/acme/api")));
        assert_eq!(taken(updates.recv().await), ["ghcr.io/acme/api"]);
        drop(updates);
        assert!(inbox.leave(pushed("ghcr.io/acme/api")));
        carrying.await.unwrap();
    }

    #[test]
    fn an_inbox_that_nobody_empties_does_not_grow_for_ever() {
        let inbox = Inbox::default();
        let left =
            (0..MOST_WAITING + 5).filter(|n| inbox.leave(pushed(&format!("ghcr.io/acme/a{n}")))).count();
        assert_eq!(left, MOST_WAITING);
    }
}
