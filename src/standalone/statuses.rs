//! Statuses in a folder: one file for each object, kept across restarts.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::api::ObjectKey;
use crate::engine::{Kind, ObjectId, Status};
use crate::image::Digest;

/// The most characters of a namespace or a name in a file's name: a file system takes 255 in all.
const MOST_IN_NAME: usize = 100;

/// How many of them are the hash of one that is longer, and what parts it.
const HASH: usize = 17;

/// The folder with the statuses.
#[derive(Clone, Debug)]
pub struct Statuses(PathBuf);

impl Statuses {
    /// Uses a folder, and makes it where it is not there.
    ///
    /// # Errors
    /// Where it can not be made.
    pub fn open(folder: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        Ok(Self(folder.to_owned()))
    }

    /// The status that was written last for an object; none where it can not be read, as if it were new.
    pub fn read<S: DeserializeOwned>(&self, kind: Kind, key: &ObjectKey) -> Option<S> {
        let text = std::fs::read_to_string(self.path(kind, key)).ok()?;
        let value: Value = serde_json::from_str(&text).ok()?;
        serde_json::from_value(value.get("status")?.clone()).ok()
    }

    /// Writes a status, whole or not at all.
    pub(super) fn write(&self, object: &ObjectId, status: &Status) -> std::io::Result<()> {
        let path = self.path(object.kind, &object.key);
        let mut text = serde_json::to_string_pretty(&document(object, status))?;
        text.push('\n');
        let mut file = tempfile::NamedTempFile::new_in(&self.0)?;
        file.write_all(text.as_bytes())?;
        file.persist(path)?;
        Ok(())
    }

    /// Removes the status of an object that is gone.
    pub(super) fn remove(&self, kind: Kind, key: &ObjectKey) {
        // Where there is none, or it can not be removed, an old status stays: it does no harm.
        let _ = std::fs::remove_file(self.path(kind, key));
    }

    /// Names and namespaces of Kubernetes hold no slash and no dot at the start; any other character that could lead
    /// out of the folder is replaced, for the objects here were checked by nobody.
    fn path(&self, kind: Kind, key: &ObjectKey) -> PathBuf {
        self.0.join(format!("{}.{}.{}.json", kind.as_str(), safe(&key.namespace), safe(&key.name)))
    }
}

/// A text as a part of a file's name. One that is too long ends in a hash, so that no two are one.
fn safe(text: &str) -> String {
    let mut name: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    if name.len() > MOST_IN_NAME {
        let hash = Digest::sha256_of(text.as_bytes()).to_string();
        name.truncate(MOST_IN_NAME - HASH);
        name.push('-');
        name.extend(hash.chars().skip_while(|c| *c != ':').skip(1).take(HASH - 1));
    }
    name
}

/// An object with its status, as `kubectl get -o json` would show it.
pub(super) fn document(object: &ObjectId, status: &Status) -> Value {
    let status = match status {
        Status::Policy(status) => to_value(status),
        Status::Repository(status) => to_value(status),
        Status::Registry(status) => to_value(status),
    };
    json!({
        "kind": object.kind.as_str(),
        "namespace": object.key.namespace,
        "name": object.key.name,
        "status": status,
    })
}

fn to_value(status: &impl Serialize) -> Value {
    serde_json::to_value(status).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_begin_alike_have_files_of_their_own() {
        let long = "a".repeat(MOST_IN_NAME);
        assert_eq!((safe("shop.api"), safe(&long)), ("shop_api".to_owned(), long.clone()));
        let longer = [format!("{long}-1"), format!("{long}-2")].map(|name| safe(&name));
        assert_ne!(longer[0], longer[1]);
        assert!(longer.iter().all(|name| name.len() == MOST_IN_NAME));
    }
}
