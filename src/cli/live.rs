//! Asking registries from the command line, with what a folder says of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt as _, stream};

use super::engine_args::ConnectionArgs;
use crate::api::{ImagePolicy, ObjectKey, Pin};
use crate::engine::{Asker, SecretData, SecretError, SecretSource, Selection, Wish, access_for};
use crate::folder::{Folder, OPERATOR_NAMESPACE};
use crate::image::ImageName;
use crate::policy::{Choice, Policy};
use crate::registry::{Access, Client, Identities, Variables};

/// How many registries are asked at once.
const SCANS_AT_ONCE: usize = 16;

/// The refused tags that a choice for a plan keeps: only `explain` shows them.
const NO_REFUSED: usize = 0;

/// The registries as a folder describes them: ClusterImageRegistries and Secrets.
pub(super) struct LiveRegistries {
    folder: Arc<Folder>,
    client: Client,
    identities: Identities,
}

/// One image as one caller sees it: what is asked once, however many policies share it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Source {
    image: ImageName,
    asker: Option<Asker>,
}

/// A policy that a registry must be asked for.
pub(super) struct Question {
    pub(super) key: ObjectKey,
    pub(super) source: Source,
    pub(super) policy: Arc<Policy>,
}

/// What a policy wants after its registry was asked; an error where that could not be done.
type Answer = (ObjectKey, anyhow::Result<Result<Wish, String>>);

impl Source {
    pub(super) fn of(object: &ImagePolicy, policy: &Policy) -> Self {
        Self { image: policy.image().clone(), asker: Asker::of_policy(object) }
    }
}

impl LiveRegistries {
    pub(super) fn new(folder: Arc<Folder>, connections: &ConnectionArgs) -> Self {
        let allow_http = connections.allow_http;
        let connections = connections.connections(&[]);
        let identities = Identities::new(&connections, Variables::of_this_process());
        Self { folder, client: Client::new(connections, allow_http), identities }
    }

    /// How the source is asked.
    pub(super) async fn access(&self, source: &Source) -> anyhow::Result<Access> {
        let host = source.image.host();
        let registry = self.folder.registries.values().find(|registry| registry.spec.host == host);
        let registry = registry.map(Arc::as_ref);
        Ok(access_for(self, &self.identities, &source.image, source.asker.as_ref(), registry).await?)
    }

    /// Lets the policies choose from one list.
    pub(super) async fn choose(
        &self,
        source: &Source,
        access: &Access,
        policies: &[Arc<Policy>],
        most_refused: usize,
    ) -> anyhow::Result<Vec<Choice>> {
        let mut choosers: Vec<_> = policies.iter().map(|policy| policy.chooser(most_refused)).collect();
        let mut offer = |tag: &str| choosers.iter_mut().for_each(|chooser| chooser.offer(tag));
        self.client.list_tags(&source.image, access, &mut offer).await?;
        Ok(choosers.into_iter().map(|chooser| chooser.finish()).collect())
    }

    /// Asks for all these policies, each source once.
    pub(super) async fn wishes(&self, questions: Vec<Question>) -> Vec<Answer> {
        let mut groups: BTreeMap<Source, Vec<Question>> = BTreeMap::new();
        for question in questions {
            groups.entry(question.source.clone()).or_default().push(question);
        }
        let answers = stream::iter(groups).map(|(source, questions)| self.answer(source, questions));
        answers.buffered(SCANS_AT_ONCE).concat().await
    }

    async fn answer(&self, source: Source, questions: Vec<Question>) -> Vec<Answer> {
        let policies: Vec<_> = questions.iter().map(|question| Arc::clone(&question.policy)).collect();
        let listed = async {
            let access = self.access(&source).await?;
            let choices = self.choose(&source, &access, &policies, NO_REFUSED).await?;
            anyhow::Ok((access, choices))
        };
        let (access, choices) = match listed.await {
            Ok(listed) => listed,
            Err(error) => {
                let failed = |question: Question| (question.key, Err(anyhow::Error::msg(error.to_string())));
                return questions.into_iter().map(failed).collect();
            }
        };
        let mut answers = Vec::new();
        for (Question { key, policy, .. }, choice) in questions.into_iter().zip(choices) {
            answers.push((key, self.wish(&source, &access, policy, choice).await));
        }
        answers
    }

    /// What a policy wants by its choice, with the digest where it pins one.
    async fn wish(
        &self,
        source: &Source,
        access: &Access,
        policy: Arc<Policy>,
        choice: Choice,
    ) -> anyhow::Result<Result<Wish, String>> {
        let Choice { winner: Some(winner), reason, .. } = choice else { return Ok(Err(choice.reason)) };
        let digest = match policy.pin() {
            Some(Pin::TagAndDigest | Pin::Digest) => {
                Some(self.client.digest(&source.image, &winner.tag, access).await?)
            }
            Some(Pin::Tag) | None => None,
        };
        let selection = Selection { tag: winner.tag, version: winner.version, digest, reason };
        Ok(Ok(Wish { policy, selection }))
    }
}

/// Only Secrets are asked for: no engine runs here, so nothing is shown and nothing pushed.
impl SecretSource for LiveRegistries {
    async fn secret(&self, key: &ObjectKey) -> Result<SecretData, SecretError> {
        self.folder.secret(key)
    }

    fn operator_namespace(&self) -> &str {
        OPERATOR_NAMESPACE
    }
}
