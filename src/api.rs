//! The custom resources of `tagtide.dev/v1alpha1`: types, conditions and reasons, and nothing else.
//!
//! Every field's doc comment is its description in the CRD, and every rule between fields is a CEL rule on the CRD, so
//! that the API server refuses a bad object with a sentence. What is read from a folder meets the same rules in
//! [`crate::policy::compile`] and [`crate::engine`].

mod cluster_image_registry;
mod condition;
mod image_policy;
mod infra_repository;
mod interval;
mod object;
mod reason;
mod webhook;

pub use cluster_image_registry::{
    ClusterImageRegistry, ClusterImageRegistrySpec, ClusterImageRegistryStatus, Fallback, Mirror,
    RegistryLimits,
};
pub use condition::{Conditions, Health};
pub use image_policy::{
    Alphabetical, Calver, Credentials, Downgrade, Follow, ImagePolicy, ImagePolicySpec, ImagePolicyStatus,
    NewestBuild, Numerical, Order, Pin, Provider, Refused, Scanned, Select, Selected, Semver, TagFilter,
    Written,
};
pub use infra_repository::{
    Author, CommitSettings, CommittedChange, FieldPart, FieldUpdate, Grouping, InfraRepository,
    InfraRepositorySpec, InfraRepositoryStatus, LastCommit, Paths, PolicySelector, Publish, Push, Signing,
    Sites, UnresolvedSite, Updates,
};
pub use interval::{Interval, InvalidInterval};
pub use object::{ConfigMapRef, ObjectKey, SecretRef, asks_anew, requested_at};
pub use reason::Reason;
pub use webhook::{OidcCaller, Webhook, WebhookKind};

/// The API group of all kinds.
pub const GROUP: &str = "tagtide.dev";

/// The annotation whose change asks for a scan or a check of Git at once; its value is any string, usually a time.
pub const REQUESTED_AT: &str = "tagtide.dev/requestedAt";
