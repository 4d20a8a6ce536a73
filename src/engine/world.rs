//! The world outside the engine: where Secrets come from, and where statuses and events go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::{
    ClusterImageRegistry, ClusterImageRegistryStatus, ImagePolicy, ImagePolicyStatus, InfraRepository,
    InfraRepositoryStatus, ObjectKey, Reason,
};
use crate::net::SecretText;
use crate::registry::webhook::Pushed;

/// The data of a Secret or a ConfigMap.
pub type SecretData = BTreeMap<String, Vec<u8>>;

/// Why a Secret can not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// There is none of that name.
    #[error("there is no Secret {0}")]
    Missing(ObjectKey),
    /// Who has it gives no answer now, which says nothing of the Secret.
    #[error("the Secret {key} can not be read now: {problem}")]
    NoAnswer {
        /// The Secret.
        key: ObjectKey,
        /// Why there is none.
        problem: String,
    },
    /// It can not be read.
    #[error("the Secret {key} can not be read: {problem}")]
    Unreadable {
        /// The Secret.
        key: ObjectKey,
        /// What is wrong.
        problem: String,
    },
}

impl SecretError {
    /// The word for conditions, events and metrics.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::NoAnswer { .. } => Reason::Unreachable,
            Self::Missing(_) | Self::Unreadable { .. } => Reason::SecretInvalid,
        }
    }
}

/// Why a ConfigMap can not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigMapError {
    /// There is none of that name.
    #[error("there is no ConfigMap {0}")]
    Missing(ObjectKey),
    /// The API server gives no answer now, which says nothing of the ConfigMap.
    #[error("the ConfigMap {key} can not be read now: {problem}")]
    NoAnswer {
        /// The ConfigMap.
        key: ObjectKey,
        /// Why there is none.
        problem: String,
    },
    /// It can not be read.
    #[error("the ConfigMap {key} can not be read: {problem}")]
    Unreadable {
        /// The ConfigMap.
        key: ObjectKey,
        /// What is wrong.
        problem: String,
    },
}

impl ConfigMapError {
    /// The word for conditions, events and metrics.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::NoAnswer { .. } => Reason::Unreachable,
            Self::Missing(_) | Self::Unreadable { .. } => Reason::SecretInvalid,
        }
    }
}

/// What a ServiceAccount says of who asks a registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountData {
    /// Its annotations: they name its identity in a cloud.
    pub annotations: BTreeMap<String, String>,
    /// The names of its `imagePullSecrets`.
    pub pull_secrets: Vec<String>,
}

/// Why a ServiceAccount can not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// There is none of that name.
    #[error("there is no ServiceAccount {0}")]
    Missing(ObjectKey),
    /// There is no cluster that could have one.
    #[error("the ServiceAccount {0} can not be read without a cluster; name a Secret by secretRef")]
    NoCluster(ObjectKey),
    /// The API server gives no answer now, which says nothing of the ServiceAccount.
    #[error("the ServiceAccount {key} can not be read now: {problem}")]
    NoAnswer {
        /// The ServiceAccount.
        key: ObjectKey,
        /// Why there is none.
        problem: String,
    },
    /// It can not be read.
    #[error("the ServiceAccount {key} can not be read: {problem}")]
    Unreadable {
        /// The ServiceAccount.
        key: ObjectKey,
        /// What is wrong.
        problem: String,
    },
}

impl AccountError {
    /// The word for conditions, events and metrics.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::NoAnswer { .. } => Reason::Unreachable,
            Self::Missing(_) | Self::NoCluster(_) | Self::Unreadable { .. } => Reason::SecretInvalid,
        }
    }
}

/// A status to be shown for an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Status {
    /// Of an ImagePolicy.
    Policy(ImagePolicyStatus),
    /// Of an InfraRepository.
    Repository(InfraRepositoryStatus),
    /// Of a ClusterImageRegistry.
    Registry(ClusterImageRegistryStatus),
}

impl Status {
    /// As it is written: what can not be told apart there is one.
    ///
    /// # Errors
    /// Never, as far as is known.
    pub fn value(&self) -> Result<serde_json::Value, serde_json::Error> {
        match self {
            Self::Policy(status) => serde_json::to_value(status),
            Self::Repository(status) => serde_json::to_value(status),
            Self::Registry(status) => serde_json::to_value(status),
        }
    }

    /// The conditions in it.
    #[must_use]
    pub fn conditions(&self) -> &[Condition] {
        match self {
            Self::Policy(status) => &status.conditions,
            Self::Repository(status) => &status.conditions,
            Self::Registry(status) => &status.conditions,
        }
    }
}

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// ImagePolicy.
    Policy,
    /// InfraRepository.
    Repository,
    /// ClusterImageRegistry.
    Registry,
}

impl Kind {
    /// The kind as manifests write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Policy => "ImagePolicy",
            Self::Repository => "InfraRepository",
            Self::Registry => "ClusterImageRegistry",
        }
    }

    /// Reads what `as_str` writes; `None` for any other kind.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Policy, Self::Repository, Self::Registry].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// One object of the API: its kind, its key and its uid, as events refer to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId {
    /// The kind.
    pub kind: Kind,
    /// Namespace and name.
    pub key: ObjectKey,
    /// The uid, where the world knows uids.
    pub uid: Option<String>,
}

/// Something that people should hear of, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether it is a warning.
    pub is_warning: bool,
    /// The reason of the event.
    pub reason: Reason,
    /// What happened, in words.
    pub message: String,
}

/// Something failed in the world; the engine tries again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WorldError(pub String);

/// Where Secrets come from.
pub trait SecretSource: Send + Sync {
    /// Reads a Secret.
    fn secret(&self, key: &ObjectKey) -> impl Future<Output = Result<SecretData, SecretError>> + Send;

    /// Reads a ConfigMap: its `data` and its `binaryData`.
    fn config_map(&self, key: &ObjectKey) -> impl Future<Output = Result<SecretData, ConfigMapError>> + Send;

    /// Reads a ServiceAccount. Without a cluster there is none.
    fn service_account(
        &self,
        key: &ObjectKey,
    ) -> impl Future<Output = Result<AccountData, AccountError>> + Send {
        async { Err(AccountError::NoCluster(key.clone())) }
    }

    /// A short-lived token of a ServiceAccount for one audience, or in words why there is none.
    fn account_token(
        &self,
        key: &ObjectKey,
        _audience: &str,
    ) -> impl Future<Output = Result<SecretText, String>> + Send {
        async { Err(AccountError::NoCluster(key.clone()).to_string()) }
    }

    /// The namespace whose Secrets cluster-scoped objects refer to.
    fn operator_namespace(&self) -> &str;

    /// How long scans may use what they have read of an object, where no registry refuses it. Not at all, where reading
    /// costs nothing.
    fn kept_for(&self) -> Duration {
        Duration::ZERO
    }
}

/// What the engine needs of the world. One implementation speaks to the Kubernetes API, one to a folder.
pub trait World: SecretSource + 'static {
    /// Shows a status. Called only when it differs from the last one.
    fn show(&self, object: &ObjectId, status: &Status)
    -> impl Future<Output = Result<(), WorldError>> + Send;

    /// Tells of something, once. Losing it is no failure.
    fn tell(&self, object: &ObjectId, notice: &Notice) -> impl Future<Output = ()> + Send;

    /// Whether this process may still write, to Git and to statuses. Asked right before each push and each status: a leader
    /// that was cut off must stop.
    fn may_write(&self) -> bool;
}

/// What changed in the world that the engine acts on.
#[derive(Clone, Debug)]
pub enum Update {
    /// An ImagePolicy is new or has changed.
    Policy(Arc<ImagePolicy>),
    /// An InfraRepository is new or has changed.
    Repository(Arc<InfraRepository>),
    /// A ClusterImageRegistry is new or has changed.
    Registry(Arc<ClusterImageRegistry>),
    /// An object is gone.
    Gone(Kind, ObjectKey),
    /// An object is there but can not be understood.
    Unreadable {
        /// The object.
        object: ObjectId,
        /// Its generation, where it is known.
        generation: Option<i64>,
        /// What is wrong with it.
        problem: String,
    },
    /// Somebody says that these images were pushed: they are scanned soon.
    Pushed(BTreeSet<Pushed>),
    /// Everything that was there at the start has been given. Nothing is done before: a policy that was not seen yet
    /// would look like one that does not exist.
    Complete,
}
