//! What is shown of the desk's state: a status whenever it differs, a notice whenever something happened.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Resource as _;

use super::Engine;
use crate::api::{ClusterImageRegistry, ImagePolicy, InfraRepository, ObjectKey};
use crate::engine::board::{Posting, failure_notice};
use crate::engine::policy_state::PolicyState;
use crate::engine::world::{Kind, Notice, ObjectId, Status, World};

impl<W: World> Engine<W> {
    pub(super) fn show_policy(&mut self, key: &ObjectKey) {
        self.show_policy_with(key, Vec::new());
    }

    /// Shows a policy's status, and tells of what led to it.
    pub(super) fn show_policy_with(&mut self, key: &ObjectKey, notices: Vec<Notice>) {
        if let Some(state) = self.policies.get(key) {
            let id = policy_id(state.object());
            let status = state.status(Timestamp::now(), self.shown_conditions(&id));
            self.post(&id, Status::Policy(status), notices);
        }
    }

    pub(super) fn show_repository(&mut self, key: &ObjectKey) {
        self.show_repository_with(key, Vec::new());
    }

    /// Shows a repository's status, and tells of what led to it.
    pub(super) fn show_repository_with(&mut self, key: &ObjectKey, notices: Vec<Notice>) {
        if let Some(state) = self.repositories.get(key) {
            let id = repository_id(state.object());
            let status = state.status(Timestamp::now(), self.shown_conditions(&id));
            self.post(&id, Status::Repository(status), notices);
        }
    }

    pub(super) fn shown_conditions(&self, object: &ObjectId) -> &[Condition] {
        self.shown.get(object).map(Status::conditions).unwrap_or_default()
    }

    /// Posts a status that differs from the one shown last, with what is told of it besides what its difference tells.
    pub(super) fn post(&mut self, object: &ObjectId, status: Status, mut notices: Vec<Notice>) {
        let before = self.shown.get(object);
        if before == Some(&status) {
            return;
        }
        let notice = match (&status, before) {
            (Status::Policy(after), Some(Status::Policy(before))) => PolicyState::notice(Some(before), after),
            (Status::Policy(after), _) => PolicyState::notice(None, after),
            (Status::Repository(_) | Status::Registry(_), before) => {
                failure_notice(before.map(Status::conditions), status.conditions())
            }
        };
        notices.extend(notice);
        self.shown.insert(object.clone(), status.clone());
        self.board.post(Posting { object: object.clone(), status, notices });
    }

    /// Shows a status again that somebody wrote over: a person, or a process that led before.
    pub(super) fn restore(&self, object: &ObjectId, found: Option<Status>) {
        // A moment is written in whole seconds.
        let written = |status: &Status| status.value().ok();
        if let Some(status) = self.shown.get(object)
            && !self.board.is_busy(object)
            && found.as_ref().and_then(written) != written(status)
        {
            self.board.post(Posting { object: object.clone(), status: status.clone(), notices: Vec::new() });
        }
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
