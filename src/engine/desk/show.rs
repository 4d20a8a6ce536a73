//! What is shown of the desk's state: a status whenever it differs, a notice whenever something happened.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Resource as _;

use super::Engine;
use crate::api::{ClusterImageRegistry, ImagePolicy, InfraRepository, ObjectKey};
use crate::engine::board::{Posting, failure_notice};
use crate::engine::policy_state::PolicyState;
use crate::engine::repository_state::RepositoryState;
use crate::engine::world::{Kind, ObjectId, Status, World};

impl<W: World> Engine<W> {
    pub(super) fn show_policy(&mut self, key: &ObjectKey) {
        if let Some(state) = self.policies.get(key) {
            let id = policy_id(state.object());
            let status = state.status(Timestamp::now(), self.shown_conditions(&id));
            self.post(&id, Status::Policy(status));
        }
    }

    pub(super) fn show_repository(&mut self, key: &ObjectKey) {
        if let Some(state) = self.repositories.get(key) {
            let id = repository_id(state.object());
            let status = state.status(Timestamp::now(), self.shown_conditions(&id));
            self.post(&id, Status::Repository(status));
        }
    }

    pub(super) fn shown_conditions(&self, object: &ObjectId) -> &[Condition] {
        self.shown.get(object).map(Status::conditions).unwrap_or_default()
    }

    /// Posts a status that differs from the one shown last.
    pub(super) fn post(&mut self, object: &ObjectId, status: Status) {
        let before = self.shown.get(object);
        if before == Some(&status) {
            return;
        }
        let notice = match (&status, before) {
            (Status::Policy(after), Some(Status::Policy(before))) => PolicyState::notice(Some(before), after),
            (Status::Policy(after), _) => PolicyState::notice(None, after),
            (Status::Repository(after), Some(Status::Repository(before))) => {
                RepositoryState::notice(Some(before), after)
            }
            (Status::Repository(after), _) => RepositoryState::notice(None, after),
            (Status::Registry(after), before) => {
                let before = before.map(Status::conditions);
                failure_notice(before, &after.conditions)
            }
        };
        self.shown.insert(object.clone(), status.clone());
        self.board.post(Posting { object: object.clone(), status, notice });
    }
}

pub(super) fn policy_id(object: &ImagePolicy) -> ObjectId {
    ObjectId { kind: Kind::Policy, key: ObjectKey::of(object), uid: object.meta().uid.clone() }
}

pub(super) fn repository_id(object: &InfraRepository) -> ObjectId {
    ObjectId { kind: Kind::Repository, key: ObjectKey::of(object), uid: object.meta().uid.clone() }
}

pub(super) fn registry_id(object: &ClusterImageRegistry) -> ObjectId {
    ObjectId { kind: Kind::Registry, key: ObjectKey::of(object), uid: object.meta().uid.clone() }
}
