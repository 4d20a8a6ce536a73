//! Lists in payloads, of which no more is kept than a delivery may tell.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};

use super::MOST_PUSHES;

/// The first [`MOST_PUSHES`] items of a list. The others are passed over as they are read: an item can be three bytes of a
/// body, and take many times as much to keep.
#[derive(Debug)]
pub(super) struct First<T>(pub(super) Vec<T>);

impl<T> Default for First<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for First<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Reader(PhantomData))
    }
}

struct Reader<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
    type Value = First<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut first = Vec::new();
        while first.len() < MOST_PUSHES {
            match list.next_element()? {
                Some(item) => first.push(item),
                None => return Ok(First(first)),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(First(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(length: usize) -> Vec<usize> {
        let list = serde_json::to_string(&(0..length).collect::<Vec<_>>()).unwrap();
        serde_json::from_str::<First<usize>>(&list).unwrap().0
    }

    #[test]
    fn of_a_list_the_first_items_are_kept_and_the_others_only_read() {
        for length in [0, 1, MOST_PUSHES - 1, MOST_PUSHES] {
            assert_eq!(kept(length), (0..length).collect::<Vec<_>>());
        }
        assert_eq!(kept(MOST_PUSHES + 1), kept(MOST_PUSHES));
        assert!(kept(400_000).capacity() < 2 * MOST_PUSHES);
        let broken = format!("[{}", "0,".repeat(MOST_PUSHES + 1));
        assert!(serde_json::from_str::<First<usize>>(&broken).unwrap_err().is_eof());
    }
}
