//! The webhooks of all ClusterImageRegistries, as whoever takes deliveries sees them.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::access::AccessError;
use super::world::SecretSource;
use crate::api::{ClusterImageRegistry, ObjectKey, SecretRef, Webhook, WebhookKind};
use crate::engine::sources::host_of;
use crate::registry::webhook::ProofToken;

/// The key of a Secret that holds what a webhook's sender proves itself with.
const TOKEN_KEY: &str = "token";

/// One webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The registry of whose images it speaks.
    pub host: String,
    /// Who may call, and how that is proven.
    pub webhook: Webhook,
}

/// The webhooks by the names of their objects. A clone is the same table; the engine writes it.
#[derive(Clone, Debug, Default)]
pub struct Hooks(Arc<RwLock<BTreeMap<String, Arc<Hook>>>>);

impl Hooks {
    /// The webhook of that name. Two answers are the same [`Arc`] as long as nothing has changed.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Hook>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Takes over what a ClusterImageRegistry says now.
    pub fn set(&self, name: &str, registry: &ClusterImageRegistry) {
        let hook = registry.spec.webhook.clone();
        let hook = hook.map(|webhook| Hook { host: host_of(registry).into_owned(), webhook });
        let known = self.get(name);
        if known.as_deref() == hook.as_ref() {
            return;
        }
        let mut hooks = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match hook {
            Some(hook) => drop(hooks.insert(name.to_owned(), Arc::new(hook))),
            None => drop(hooks.remove(name)),
        }
    }

    /// The ClusterImageRegistry of that name is gone.
    pub fn remove(&self, name: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

/// Checks that a webhook says who may call, and that its token can be used.
///
/// # Errors
/// The first thing that is wrong.
pub(super) async fn check_webhook<S: SecretSource>(source: &S, webhook: &Webhook) -> Result<(), AccessError> {
    match secret_of_webhook(webhook)? {
        None => Ok(()),
        Some(reference) => webhook_token(source, reference, webhook.kind).await.map(drop),
    }
}

/// The Secret that says who may call; `None` where an identity token does.
///
/// # Errors
/// `AccessError::WebhookOfNobody`, where neither does or both do.
pub(super) const fn secret_of_webhook(webhook: &Webhook) -> Result<Option<&SecretRef>, AccessError> {
    match (&webhook.secret_ref, &webhook.oidc, webhook.kind) {
        (None, Some(_), WebhookKind::ArtifactRegistry) => Ok(None),
        (None, _, _) | (_, Some(_), _) | (_, _, WebhookKind::ArtifactRegistry) => {
            Err(AccessError::WebhookOfNobody)
        }
        (Some(reference), None, _) => Ok(Some(reference)),
    }
}

/// Reads what a webhook's sender proves itself with from a Secret of the operator's namespace.
///
/// # Errors
/// Where the Secret can not be read, has no such key, or holds a token by which senders of this kind prove nothing.
pub async fn webhook_token<S: SecretSource>(
    source: &S,
    reference: &SecretRef,
    kind: WebhookKind,
) -> Result<ProofToken, AccessError> {
    let key = ObjectKey::new(source.operator_namespace(), &reference.name);
    let data = source.secret(&key).await?;
    let place = format!("spec.webhook.secretRef: the Secret {key}");
    match data.get(TOKEN_KEY) {
        Some(token) => {
            ProofToken::new(token, kind).map_err(|source| AccessError::WebhookToken { place, source })
        }
        None => Err(AccessError::NoKey { place, lacks: TOKEN_KEY }),
    }
}
