//! The world as the Kubernetes API shows it.

use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, ObjectReference, Secret, ServiceAccount};
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::{ApiResource, DynamicObject, NamespaceResourceScope, Request, Status as ApiStatus};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio::time::error::Elapsed;

use super::FIELD_MANAGER;
use crate::api::{ClusterImageRegistry, ImagePolicy, InfraRepository, ObjectKey};
use crate::engine::{
    AccountData, AccountError, ConfigMapError, Kind, Notice, ObjectId, SecretData, SecretError, SecretSource,
    Status, World, WorldError,
};
use crate::net::SecretText;

/// How long a token of a ServiceAccount lives, in seconds: the least that Kubernetes gives. It is exchanged at once.
const TOKEN_SECONDS: i64 = 600;

/// How long one read of a Secret, a ConfigMap or a ServiceAccount may take.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// How long scans use what was read of one of these. The API server is asked for each object, and not for each image.
const KEPT: Duration = Duration::from_secs(10);

/// The content type of a JSON patch.
const JSON_PATCH: &str = "application/json-patch+json";

/// The longest note that the events API takes, in bytes.
const MAX_NOTE: usize = 1024;

/// The Kubernetes API, as one operator sees it.
pub struct KubeWorld {
    client: Client,
    reporter: Reporter,
    namespace: String,
    term: watch::Receiver<Instant>,
}

impl KubeWorld {
    /// The world for an operator in `namespace` that may write to Git until the moment that `term` holds.
    #[must_use]
    pub fn new(client: Client, namespace: String, instance: String, term: watch::Receiver<Instant>) -> Self {
        let reporter = Reporter { controller: "tagtide.dev/tagtide".to_owned(), instance: Some(instance) };
        Self { client, reporter, namespace, term }
    }

    fn api<K>(&self, key: &ObjectKey) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &key.namespace)
    }

    /// Where an object is that may not be what its kind says: one that can not be read has a status too.
    fn untyped(&self, object: &ObjectId) -> Api<DynamicObject> {
        let (kind, client) = (resource(object.kind), self.client.clone());
        match object.kind {
            Kind::Policy | Kind::Repository => Api::namespaced_with(client, &object.key.namespace, &kind),
            Kind::Registry => Api::all_with(client, &kind),
        }
    }

    /// The object as it is now; `None` where there is none of that name.
    async fn read<K>(&self, key: &ObjectKey) -> Result<Option<K>, Failure>
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
        K::DynamicType: Default,
    {
        answer(tokio::time::timeout(READ_TIMEOUT, self.api::<K>(key).get_opt(&key.name)).await)
    }
}

impl SecretSource for KubeWorld {
    async fn secret(&self, key: &ObjectKey) -> Result<SecretData, SecretError> {
        let secret = self.read::<Secret>(key).await.map_err(|failure| match failure {
            Failure::NoAnswer(problem) => SecretError::NoAnswer { key: key.clone(), problem },
            Failure::Refused(problem) => SecretError::Unreadable { key: key.clone(), problem },
        })?;
        let data = secret.ok_or_else(|| SecretError::Missing(key.clone()))?.data.unwrap_or_default();
        Ok(data.into_iter().map(|(name, value)| (name, value.0)).collect())
    }

    async fn config_map(&self, key: &ObjectKey) -> Result<SecretData, ConfigMapError> {
        let config_map = self.read::<ConfigMap>(key).await.map_err(|failure| match failure {
            Failure::NoAnswer(problem) => ConfigMapError::NoAnswer { key: key.clone(), problem },
            Failure::Refused(problem) => ConfigMapError::Unreadable { key: key.clone(), problem },
        })?;
        let ConfigMap { data, binary_data, .. } =
            config_map.ok_or_else(|| ConfigMapError::Missing(key.clone()))?;
        let text = data.unwrap_or_default().into_iter().map(|(name, value)| (name, value.into_bytes()));
        let binary = binary_data.unwrap_or_default().into_iter().map(|(name, value)| (name, value.0));
        Ok(text.chain(binary).collect())
    }

    async fn service_account(&self, key: &ObjectKey) -> Result<AccountData, AccountError> {
        let account = self.read::<ServiceAccount>(key).await.map_err(|failure| match failure {
            Failure::NoAnswer(problem) => AccountError::NoAnswer { key: key.clone(), problem },
            Failure::Refused(problem) => AccountError::Unreadable { key: key.clone(), problem },
        })?;
        let account = account.ok_or_else(|| AccountError::Missing(key.clone()))?;
        let pull_secrets = account.image_pull_secrets.unwrap_or_default();
        Ok(AccountData {
            annotations: account.metadata.annotations.unwrap_or_default(),
            pull_secrets: pull_secrets.into_iter().map(|reference| reference.name).collect(),
        })
    }

    async fn account_token(&self, key: &ObjectKey, audience: &str) -> Result<SecretText, String> {
        let spec = TokenRequestSpec {
            audiences: vec![audience.to_owned()],
            expiration_seconds: Some(TOKEN_SECONDS),
            bound_object_ref: None,
        };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let (accounts, params) = (self.api::<ServiceAccount>(key), PostParams::default());
        let asked = accounts.create_token_request(&key.name, &params, &request);
        match tokio::time::timeout(READ_TIMEOUT, asked).await {
            Err(_) => Err("the API server did not answer in time".to_owned()),
            Ok(Err(kube::Error::Api(status))) if status.code == 403 => {
                Err("the operator may not ask for it; allow it with cloudIdentities of its chart".to_owned())
            }
            Ok(Err(error)) => Err(error.to_string()),
            Ok(Ok(given)) => match given.status {
                Some(status) => Ok(SecretText::from(status.token)),
                None => Err("the API server gave none".to_owned()),
            },
        }
    }

    fn operator_namespace(&self) -> &str {
        &self.namespace
    }

    fn kept_for(&self) -> Duration {
        KEPT
    }
}

impl World for KubeWorld {
    async fn show(&self, object: &ObjectId, status: &Status) -> Result<(), WorldError> {
        let status = status.value().map_err(|error| WorldError(error.to_string()))?;
        write(&self.untyped(object), &self.client, object, &status).await
    }

    async fn tell(&self, object: &ObjectId, notice: &Notice) {
        let event = Event {
            type_: if notice.is_warning { EventType::Warning } else { EventType::Normal },
            reason: notice.reason.as_str().to_owned(),
            note: Some(cut(&notice.message).to_owned()),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        // A recorder that is kept takes two events with one reason for one event, and keeps the first one's text.
        let recorder = Recorder::new(self.client.clone(), self.reporter.clone());
        if let Err(error) = recorder.publish(&event, &reference(object)).await {
            tracing::debug!(kind = object.kind.as_str(), object = %object.key, %error, "the event was not sent");
        }
    }

    fn may_write(&self) -> bool {
        Instant::now() < *self.term.borrow()
    }
}

/// Why a read has failed, in words.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// The API server said nothing of the object: it was not reached, is overloaded, or does not know the operator just
    /// now.
    NoAnswer(String),
    /// It said no, and would say it again.
    Refused(String),
}

fn answer<T>(read: Result<kube::Result<T>, Elapsed>) -> Result<T, Failure> {
    match read {
        Err(_) => Err(Failure::NoAnswer("the API server did not answer in time".to_owned())),
        Ok(Ok(object)) => Ok(object),
        Ok(Err(kube::Error::Api(status)))
            if matches!(status.code, 400..=499) && !matches!(status.code, 401 | 408 | 429) =>
        {
            Err(Failure::Refused(kube::Error::Api(status).to_string()))
        }
        Ok(Err(error)) => Err(Failure::NoAnswer(error.to_string())),
    }
}

/// Writes a whole status. An object that is gone needs none, and one made anew under its name is another.
///
/// Not by server-side apply: of the status alone the API server takes no word on which object is meant. A JSON patch (RFC
/// 6902) tests it in the same step.
async fn write(
    api: &Api<DynamicObject>,
    client: &Client,
    object: &ObjectId,
    status: &serde_json::Value,
) -> Result<(), WorldError> {
    let mut steps = vec![json!({ "op": "add", "path": "/status", "value": status })];
    if let Some(uid) = &object.uid {
        steps.insert(0, json!({ "op": "test", "path": "/metadata/uid", "value": uid }));
    }
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let request = Request::new(api.resource_url());
    let request = request.patch_subresource("status", &object.key.name, &params, &Patch::Merge(steps));
    let mut request = request.map_err(|error| WorldError(error.to_string()))?;
    let kind = JSON_PATCH.parse().map_err(|_| WorldError(format!("{JSON_PATCH} is no header")))?;
    request.headers_mut().insert("content-type", kind);
    match client.request::<serde_json::Value>(request).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() || is_failed_test(&status) => Ok(()),
        Err(error) => Err(WorldError(error.to_string())),
    }
}

/// Whether the object of this name is another one. The API server says no more of a test that has failed than that the
/// request can not be carried out; of a status that does not fit the schema it says what is wrong.
fn is_failed_test(status: &ApiStatus) -> bool {
    let has_causes = status.details.as_ref().is_some_and(|details| !details.causes.is_empty());
    status.code == 422 && !has_causes
}

fn resource(kind: Kind) -> ApiResource {
    match kind {
        Kind::Policy => ApiResource::erase::<ImagePolicy>(&()),
        Kind::Repository => ApiResource::erase::<InfraRepository>(&()),
        Kind::Registry => ApiResource::erase::<ClusterImageRegistry>(&()),
    }
}

fn reference(object: &ObjectId) -> ObjectReference {
    // An event has to be in a namespace; those of cluster-scoped objects are in `default`.
    let namespace = Some(object.key.namespace.clone()).filter(|namespace| !namespace.is_empty());
    ObjectReference {
        api_version: Some(resource(object.kind).api_version),
        kind: Some(object.kind.as_str().to_owned()),
        name: Some(object.key.name.clone()),
        namespace,
        uid: object.uid.clone(),
        ..ObjectReference::default()
    }
}

fn cut(note: &str) -> &str {
    let end = (0..=MAX_NOTE.min(note.len())).rev().find(|&at| note.is_char_boundary(at)).unwrap_or(0);
    note.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[tokio::test]
    async fn an_api_server_that_gives_no_answer_is_told_from_one_that_says_no() {
        let says = |code: u16| {
            let status = Status::failure("no", "Reason").with_code(code).boxed();
            answer::<()>(Ok(Err(kube::Error::Api(status)))).unwrap_err()
        };
        for code in [400, 403, 422] {
            assert!(matches!(says(code), Failure::Refused(_)), "{code}");
        }
        for code in [401, 408, 429, 500, 503, 504] {
            assert!(matches!(says(code), Failure::NoAnswer(_)), "{code}");
        }
        let late = tokio::time::timeout(Duration::ZERO, std::future::pending::<kube::Result<()>>()).await;
        let failure = answer(late).unwrap_err();
        assert_eq!(failure, Failure::NoAnswer("the API server did not answer in time".to_owned()));
    }
}
