//! The Secrets and ConfigMaps of a folder.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::Place;
use super::object::Misfit;
use crate::api::ObjectKey;
use crate::engine::SecretData;

/// The objects of one kind that hold data for others. One that can not be read matters only once it is used: a folder may
/// hold encrypted ones, and overlays with one name for many. It has no `Debug`.
#[derive(Default)]
pub(super) struct Held {
    by_key: BTreeMap<ObjectKey, (Place, Result<SecretData, String>)>,
}

impl Held {
    /// The data under a name, or what is wrong with it; `None` where there is no such name.
    pub(super) fn get(&self, key: &ObjectKey) -> Option<Result<SecretData, String>> {
        let (place, data) = self.by_key.get(key)?;
        Some(data.clone().map_err(|problem| format!("{}:{}: {problem}", place.file, place.line)))
    }

    pub(super) fn add(&mut self, key: ObjectKey, place: Place, data: Result<SecretData, Misfit>) {
        match self.by_key.entry(key) {
            Entry::Vacant(vacant) => {
                vacant.insert(match data {
                    Ok(data) => (place, Ok(data)),
                    Err(misfit) => (Place { line: misfit.spot.line, ..place }, Err(misfit.message)),
                });
            }
            Entry::Occupied(mut first) => {
                let problem = first.get().0.defines_it_too();
                *first.get_mut() = (place, Err(problem));
            }
        }
    }
}
