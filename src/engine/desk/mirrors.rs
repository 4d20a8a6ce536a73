//! Mirrors that no object needs any more.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

use super::Engine;
use crate::engine::world::World;
use crate::git::remove_mirrors_except;

/// How often they are looked for: someone may try one branch after the other.
const PERIOD: Duration = Duration::from_secs(60);

impl<W: World> Engine<W> {
    /// Removes the mirrors of objects that are gone or follow another branch now, from time to time; `next` becomes the
    /// moment of the next time where that comes first. Those that a cycle still works on are left for then. To be called
    /// once all objects are known.
    pub(super) fn sweep_mirrors(&mut self, now: Instant, next: &mut Instant) {
        if self.mirrors_due.is_none_or(|due| due <= now) {
            let settings = &self.settings;
            let needed = self.repositories.iter();
            let needed =
                needed.filter_map(|(key, state)| Some(state.settings()?.mirror_folder(settings, key)));
            let (needed, cache): (HashSet<_>, _) = (needed.collect(), settings.mirrors());
            tokio::task::spawn_blocking(move || remove_mirrors_except(&cache, &needed));
            self.mirrors_due = Some(now + PERIOD);
        }
        *next = self.mirrors_due.map_or(*next, |due| due.min(*next));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use prometheus_client::registry::Registry;
    use serde_json::json;

    use super::*;
    use crate::api::{InfraRepository, ObjectKey};
    use crate::engine::board::Board;
    use crate::engine::cycle::tests::{Calm, settings};
    use crate::engine::hooks::Hooks;
    use crate::engine::metrics::Metrics;
    use crate::engine::world::{Kind, Update};

    #[tokio::test]
    async fn the_mirror_of_an_object_that_is_gone_is_removed_and_one_that_was_left_over_at_the_start() {
        let cache = tempfile::tempdir().unwrap();
        let (world, metrics) = (Arc::new(Calm::default()), Metrics::register(&mut Registry::default()));
        let (board, _work) = Board::open(Arc::clone(&world), metrics.clone());
        let mut engine = Engine::new(world, settings(cache.path()), metrics, board, Hooks::default());
        let object = json!({
            "metadata": { "name": "infra", "namespace": "shop" },
            "spec": { "url": "https://git.example.com/infra.git", "suspend": true },
        });
        let object: InfraRepository = serde_json::from_value(object).unwrap();
        let key = ObjectKey::of(&object);
        engine.take_in(Update::Repository(Arc::new(object)));
        let mirror = engine.repositories[&key].settings().unwrap().mirror_folder(&engine.settings, &key);
        let left_over = mirror.with_file_name("0".repeat(24));
        for dir in [&mirror, &left_over] {
            std::fs::create_dir_all(dir).unwrap();
            std::fs::write(dir.with_extension("lock"), "").unwrap();
        }
        let now = Instant::now();
        let mut next = now + PERIOD * 2;
        assert!(engine.start_what_is_due() > now && left_over.exists(), "not all objects are known yet");
        engine.take_in(Update::Complete);
        engine.sweep_mirrors(now, &mut next);
        assert_eq!(next, now + PERIOD);
        until_gone(&left_over).await;
        assert!(mirror.exists(), "a suspended one is needed again");
        engine.take_in(Update::Gone(Kind::Repository, key));
        engine.sweep_mirrors(now + PERIOD, &mut next);
        until_gone(&mirror).await;
    }

    async fn until_gone(dir: &std::path::Path) {
        for _ in 0..500 {
            if !dir.exists() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} is still there", dir.display());
    }
}
