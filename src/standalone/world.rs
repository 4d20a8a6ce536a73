//! The world as a folder shows it.

use std::sync::{PoisonError, RwLock};

use super::Print;
use super::statuses::{Statuses, document};
use crate::api::ObjectKey;
use crate::engine::{
    ConfigMapError, Notice, ObjectId, SecretData, SecretError, SecretSource, Status, World, WorldError,
};
use crate::folder::{Folder, OPERATOR_NAMESPACE};

/// A folder of objects, for one engine.
pub(super) struct FolderWorld {
    folder: RwLock<Folder>,
    statuses: Statuses,
    print: Print,
}

impl FolderWorld {
    pub(super) fn new(statuses: Statuses, print: Print) -> Self {
        Self { folder: RwLock::default(), statuses, print }
    }

    /// Takes over the folder as it is now, for its Secrets and ConfigMaps.
    pub(super) fn set_folder(&self, folder: Folder) {
        *self.folder.write().unwrap_or_else(PoisonError::into_inner) = folder;
    }

    /// Whether something in the folder could not be used.
    pub(super) fn has_problems(&self) -> bool {
        !self.folder.read().unwrap_or_else(PoisonError::into_inner).problems.is_empty()
    }

    fn print(&self, object: &ObjectId, status: &Status) {
        let line = match self.print {
            Print::Nothing => return,
            Print::Json => document(object, status).to_string(),
            Print::Lines => {
                let ready = status.conditions().iter().find(|condition| condition.type_ == "Ready");
                let (word, message) =
                    ready.map_or(("", ""), |ready| (ready.reason.as_str(), ready.message.as_str()));
                format!("{} {}  {word}: {message}", object.kind.as_str(), object.key)
            }
        };
        anstream::println!("{line}");
    }
}

impl SecretSource for FolderWorld {
    async fn secret(&self, key: &ObjectKey) -> Result<SecretData, SecretError> {
        self.folder.read().unwrap_or_else(PoisonError::into_inner).secret(key)
    }

    async fn config_map(&self, key: &ObjectKey) -> Result<SecretData, ConfigMapError> {
        self.folder.read().unwrap_or_else(PoisonError::into_inner).config_map(key)
    }

    fn operator_namespace(&self) -> &str {
        OPERATOR_NAMESPACE
    }
}

impl World for FolderWorld {
    async fn show(&self, object: &ObjectId, status: &Status) -> Result<(), WorldError> {
        self.print(object, status);
        self.statuses.write(object, status).map_err(|error| WorldError(error.to_string()))
    }

    async fn tell(&self, object: &ObjectId, notice: &Notice) {
        let (kind, key, reason, message) =
            (object.kind.as_str(), &object.key, notice.reason.as_str(), &notice.message);
        if notice.is_warning {
            tracing::warn!(kind, object = %key, reason, "{message}");
        } else {
            tracing::info!(kind, object = %key, reason, "{message}");
        }
    }

    /// A folder has one engine: who starts it decides.
    fn may_write(&self) -> bool {
        true
    }
}
