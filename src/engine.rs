//! The flow for one image and for one repository, and the loop that runs it: the same for a cluster and for a folder.
//!
//! [`desk`](Engine::run) hears of objects and keeps their state; [`scan`] asks a registry and lets every policy of the
//! image choose; [`cycle`] brings one branch up to date, plans, commits and pushes; the board shows statuses.

mod access;
mod asker;
mod awaited;
mod board;
mod choosing;
mod cycle;
mod desk;
mod ground;
mod hooks;
mod idle_globs;
mod index;
mod inquiry;
mod message;
mod metrics;
mod plan;
mod policy_state;
mod reads;
mod recheck;
mod refusals;
mod repository_settings;
mod repository_state;
mod revision;
mod scan;
mod schedule;
mod scope;
mod selection;
mod settings;
mod signing;
mod sources;
mod split;
mod turns;
mod unread;
mod world;

pub use access::{AccessError, access_for, check_registry, policy_lacks, registry_faults, registry_lacks};
pub use asker::Asker;
pub use choosing::{LookError, Looked, Scanned, choose};
pub use desk::{Ended, Engine};
pub use hooks::{Hook, Hooks, webhook_token};
pub use idle_globs::{GlobUse, IdleGlob};
pub use index::MAX_FILE;
pub use inquiry::{Asked, PassedOver, ScanError, Tools, ask};
pub use message::{InvalidTemplate, Move, Wording, compose};
pub use metrics::Metrics;
pub use plan::{FileProblem, Known, NoWish, Plan, PlannedFile, Wish, Wishes, plan};
pub use repository_settings::{InvalidRepository, check_repository, repository_lacks, takes};
pub use scope::Scope;
pub use selection::Selection;
pub use settings::Settings;
pub use sources::{Source, host_of, registry_of, sources_of};
pub use unread::{NotRead, Unread};
pub use world::{
    AccountData, AccountError, ConfigMapError, Kind, Notice, ObjectId, SecretData, SecretError, SecretSource,
    Status, Update, World, WorldError,
};
