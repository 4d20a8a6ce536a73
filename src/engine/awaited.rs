//! Tags that deliveries named and that no list has shown yet. Many registries tell of a push before they list it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::image::Tag;

/// How long after a list that lacks such a tag the next one is read. After the last, the interval is left to show it.
const PAUSES: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(15), Duration::from_secs(45)];

/// The most tags of one image that are awaited at once.
const MOST_TAGS: usize = 64;

/// The awaited tags of one scan.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    tags: BTreeSet<Tag>,
    /// How many lists have lacked one of them since the last delivery.
    looks: usize,
}

impl Awaited {
    /// A delivery named this tag. All that are awaited share the lists to come: however many tags a sender makes up, after
    /// its last delivery there are as many as for one.
    pub(super) fn expect(&mut self, tag: Tag) {
        self.looks = 0;
        if self.tags.len() < MOST_TAGS {
            self.tags.insert(tag);
        }
    }

    /// What the next list should show.
    pub(super) const fn tags(&self) -> &BTreeSet<Tag> {
        &self.tags
    }

    /// Takes over what a list showed of the tags that were looked for, and what it lacks; how long to wait for the next
    /// list, where one is to be read for them.
    pub(super) fn settle(&mut self, shown: &BTreeSet<Tag>, lacking: &BTreeSet<Tag>) -> Option<Duration> {
        self.tags.retain(|tag| !shown.contains(tag));
        if lacking.is_empty() {
            return None;
        }
        let pause = PAUSES.get(self.looks).copied();
        self.looks += 1;
        if pause.is_none() {
            self.tags.retain(|tag| !lacking.contains(tag));
        }
        pause
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, advance};

    use super::super::schedule::{Pace, Slot};
    use super::*;

    fn tags(names: &[&str]) -> BTreeSet<Tag> {
        names.iter().map(|name| Tag::parse(name).unwrap()).collect()
    }

    fn awaiting(names: &[&str]) -> Awaited {
        let mut awaited = Awaited::default();
        tags(names).into_iter().for_each(|tag| awaited.expect(tag));
        awaited
    }

    /// Settles lists of which each shows none of the tags that it is asked for.
    fn pauses(awaited: &mut Awaited) -> Vec<u64> {
        let nothing = BTreeSet::new();
        let look = || {
            let lacking = awaited.tags().clone();
            awaited.settle(&nothing, &lacking).map(|pause| pause.as_secs())
        };
        std::iter::from_fn(look).collect()
    }

    #[test]
    fn a_tag_that_no_list_shows_is_looked_for_ever_later_and_then_given_up() {
        let mut awaited = awaiting(&["9.9.9"]);
        assert_eq!(pauses(&mut awaited), [5, 15, 45]);
        assert!(awaited.tags().is_empty());
    }

    #[test]
    fn a_tag_that_a_list_shows_is_awaited_no_more() {
        let mut awaited = awaiting(&["1.1.0", "1.2.0"]);
        let pause = awaited.settle(&tags(&["1.1.0"]), &tags(&["1.2.0"]));
        assert_eq!((pause, awaited.tags()), (Some(PAUSES[0]), &tags(&["1.2.0"])));
        assert_eq!(awaited.settle(&tags(&["1.2.0"]), &tags(&[])), None);
        assert!(awaited.tags().is_empty());
    }

    #[test]
    fn a_tag_that_was_named_while_a_list_was_read_waits_for_the_next_one() {
        let mut awaited = awaiting(&["1.1.0"]);
        let looked_for = awaited.tags().clone();
        awaited.expect(Tag::parse("1.2.0").unwrap());
        assert_eq!(awaited.settle(&looked_for, &tags(&[])), None);
        assert_eq!(awaited.tags(), &tags(&["1.2.0"]));
    }

    #[test]
    fn a_delivery_gives_all_that_are_awaited_their_looks_anew() {
        let mut awaited = awaiting(&["1.1.0"]);
        assert_eq!(awaited.settle(&tags(&[]), &tags(&["1.1.0"])), Some(PAUSES[0]));
        awaited.expect(Tag::parse("1.2.0").unwrap());
        assert_eq!(pauses(&mut awaited), [5, 15, 45]);
    }

    #[test]
    fn made_up_tags_share_their_looks_and_are_bounded() {
        let names: Vec<String> = (0..10_000).map(|n| format!("9.9.{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut awaited = awaiting(&names);
        assert_eq!(awaited.tags().len(), MOST_TAGS);
        assert_eq!(pauses(&mut awaited), [5, 15, 45]);
        assert!(awaited.tags().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_made_up_tags_is_the_scans_of_any_flood_and_three_more() {
        let (mut slot, mut awaited, mut scans) = (Slot::default(), Awaited::default(), Vec::new());
        // A flood of a quarter of a minute, and then two minutes without news; a tick is a tenth of a second.
        for tick in 0..1350 {
            if tick < 150 {
                awaited.expect(Tag::parse(&format!("9.9.{tick}")).unwrap());
                slot.ask_on_news();
            }
            if slot.due().is_some_and(|due| due <= Instant::now()) {
                slot.start();
                let lacking = awaited.tags().clone();
                let pause = awaited.settle(&BTreeSet::new(), &lacking);
                pause.into_iter().for_each(|pause| slot.look_again(pause));
                slot.finish(Duration::from_secs(3600), Pace::Steady);
                scans.push(tick);
            }
            advance(Duration::from_millis(100)).await;
        }
        assert_eq!(scans, [0, 50, 100, 150, 200, 350, 800]);
        assert!(awaited.tags().is_empty());
    }
}
