//! The Secrets of a folder.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::Place;
use super::object::Misfit;
use crate::api::ObjectKey;
use crate::engine::{SecretData, SecretError};

/// The Secrets of a folder. One that can not be read matters only once it is used: a folder may hold encrypted ones, and
/// overlays with one name for many. It has no `Debug`.
#[derive(Default)]
pub(super) struct Secrets {
    by_key: BTreeMap<ObjectKey, (Place, Result<SecretData, String>)>,
}

impl Secrets {
    /// The data of a Secret, or why there is none: no such name, two of it, or data that is not what a Secret holds.
    pub(super) fn get(&self, key: &ObjectKey) -> Result<SecretData, SecretError> {
        let (place, data) = self.by_key.get(key).ok_or_else(|| SecretError::Missing(key.clone()))?;
        data.clone().map_err(|problem| SecretError::Unreadable {
            key: key.clone(),
            problem: format!("{}:{}: {problem}", place.file, place.line),
        })
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
