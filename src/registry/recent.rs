//! What was asked for lately, in bounded memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// A map that keeps what was used lately: of two generations, what is used moves to the younger one, and when that is
/// full the older one goes.
pub(super) struct Recent<K, V> {
    generations: Mutex<Generations<K, V>>,
    most_of_one: usize,
}

struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Eq + Hash, V: Clone> Recent<K, V> {
    /// Keeps the last `most / 2` entries that were used, and at most `most`.
    pub(super) fn new(most: usize) -> Self {
        let generations = Generations { young: HashMap::new(), old: HashMap::new() };
        Self { generations: Mutex::new(generations), most_of_one: (most / 2).max(1) }
    }

    pub(super) fn get(&self, key: &K) -> Option<V> {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = generations.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = generations.old.remove_entry(key)?;
        generations.insert(key, value.clone(), self.most_of_one);
        Some(value)
    }

    pub(super) fn insert(&self, key: K, value: V) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.old.remove(&key);
        generations.insert(key, value, self.most_of_one);
    }
}

impl<K: Eq + Hash, V> Generations<K, V> {
    fn insert(&mut self, key: K, value: V, most: usize) {
        if self.young.len() >= most && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let recent = Recent::new(8);
        for number in 0..100 {
            recent.insert(number, number);
            assert_eq!(recent.get(&0), Some(0), "it was used after {number}");
            let generations = recent.generations.lock().unwrap();
            assert!(generations.young.len() <= 4 && generations.old.len() <= 4);
        }
        assert_eq!((recent.get(&50), recent.get(&99)), (None, Some(99)));
    }

    #[test]
    fn a_key_has_its_last_value() {
        let recent = Recent::new(2);
        for value in ["a", "b", "c"] {
            recent.insert(1, value);
            recent.insert(2, value);
        }
        assert_eq!((recent.get(&1), recent.get(&2)), (Some("c"), Some("c")));
    }
}
