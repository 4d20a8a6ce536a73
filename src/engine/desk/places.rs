//! Who gets the next free place: the namespaces take turns, so that a tenant whose servers hang holds nobody else up.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// The places that are free, and those who wait for one, each for a namespace.
pub(super) struct Places<'a, T> {
    free: usize,
    has_others: bool,
    queues: HashMap<&'a str, Queue<T>>,
    /// Whoever is first in each namespace, with what is at work there.
    first: BinaryHeap<Reverse<(usize, T, &'a str)>>,
}

struct Queue<T> {
    at_work: usize,
    waiting: BinaryHeap<Reverse<T>>,
}

impl<'a, T: Copy + Ord> Places<'a, T> {
    /// So many places, taken by the namespaces `at_work`. Where there are others, no namespace takes
    /// more than it leaves, so that a few of them that all hang leave something to the next.
    pub(super) fn new(
        all: usize,
        has_others: bool,
        at_work: impl IntoIterator<Item = &'a str>,
        waiting: impl IntoIterator<Item = (&'a str, T)>,
    ) -> Self {
        let mut places = Self { free: all, has_others, queues: HashMap::new(), first: BinaryHeap::new() };
        for namespace in at_work {
            places.queue(namespace).at_work += 1;
            places.free = places.free.saturating_sub(1);
        }
        for (namespace, one) in waiting {
            places.queue(namespace).waiting.push(Reverse(one));
        }
        let queues = places.queues.iter_mut();
        places.first = queues.filter_map(|(namespace, queue)| queue.first(namespace)).collect();
        places
    }

    /// Gives a place to the next one that may begin: of the namespace with the fewest at work, and there to whoever comes
    /// first. Those before it that may not begin are passed over for good.
    pub(super) fn give(&mut self, may_begin: impl Fn(T) -> bool) -> Option<(&'a str, T)> {
        while self.free > 0 {
            let Reverse((at_work, one, namespace)) = self.first.pop()?;
            if self.has_others && at_work >= self.free {
                // And so has every other one.
                return None;
            }
            let begins = may_begin(one);
            let queue = self.queue(namespace);
            queue.at_work += usize::from(begins);
            let next = queue.first(namespace);
            self.first.extend(next);
            if begins {
                self.free -= 1;
                return Some((namespace, one));
            }
        }
        None
    }

    fn queue(&mut self, namespace: &'a str) -> &mut Queue<T> {
        self.queues.entry(namespace).or_insert_with(|| Queue { at_work: 0, waiting: BinaryHeap::new() })
    }
}

impl<T: Ord> Queue<T> {
    fn first<'a>(&mut self, namespace: &'a str) -> Option<Reverse<(usize, T, &'a str)>> {
        self.waiting.pop().map(|Reverse(one)| Reverse((self.at_work, one, namespace)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who gets a place, where 4 scans of `hog` wait longer than the ones of `shop` and `zoo`.
    fn given(all: usize, at_work: &[&'static str], may_begin: impl Fn(u32) -> bool) -> Vec<String> {
        let hog = (0..4).map(|turn| ("hog", turn));
        let waiting = hog.chain([("zoo", 11), ("shop", 10), ("shop", 12)]);
        let mut places = Places::new(all, true, at_work.iter().copied(), waiting);
        std::iter::from_fn(|| places.give(&may_begin)).map(|(one, turn)| format!("{one} {turn}")).collect()
    }

    #[test]
    fn whose_namespace_has_the_fewest_at_work_comes_first_and_there_who_waits_longest() {
        assert_eq!(given(5, &[], |_| true), ["hog 0", "shop 10", "zoo 11", "hog 1"]);
        assert_eq!(given(6, &["hog", "hog"], |_| true), ["shop 10", "zoo 11", "shop 12"]);
    }

    #[test]
    fn no_namespace_has_more_than_half_of_the_places_where_there_are_others() {
        let given = given(100, &["hog"; 48], |_| true);
        assert_eq!(given, ["shop 10", "zoo 11", "shop 12", "hog 0"]);
        let mut alone = Places::new(4, false, [], (0..9).map(|turn| ("hog", turn)));
        assert_eq!(std::iter::from_fn(|| alone.give(|_| true)).count(), 4);
    }

    #[test]
    fn two_namespaces_that_all_hang_leave_places_to_a_third() {
        let waiting = (0..20).map(|turn| (if turn % 2 == 0 { "one" } else { "two" }, turn));
        let mut places = Places::new(8, true, [], waiting);
        let hanging: Vec<&str> = std::iter::from_fn(|| places.give(|_| true)).map(|(one, _)| one).collect();
        assert_eq!(hanging.len(), 6);
        let mut places = Places::new(8, true, hanging, [("one", 20), ("two", 21), ("three", 22)]);
        assert_eq!(std::iter::from_fn(|| places.give(|_| true)).collect::<Vec<_>>(), [("three", 22)]);
    }

    #[test]
    fn who_may_not_begin_is_passed_over_and_takes_no_place() {
        assert_eq!(given(2, &[], |turn| turn > 1), ["hog 2", "shop 10"]);
        assert_eq!(given(2, &["hog", "hog"], |_| true), [""; 0], "no place is free");
    }
}
