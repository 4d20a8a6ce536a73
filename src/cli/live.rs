//! Asking registries from the command line, with what a folder says of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt as _, stream};

use super::engine_args::ConnectionArgs;
use super::progress::Progress;
use crate::api::{ImagePolicy, ObjectKey};
use crate::engine::{
    self, Asked, Asker, ConfigMapError, LookError, Looked, NoWish, SecretData, SecretError, SecretSource,
    Selection, Tools, Wish, registry_of, sources_of,
};
use crate::folder::{Folder, OPERATOR_NAMESPACE};
use crate::image::{BuildTime, ImageName};
use crate::policy::{Choice, Policy};
use crate::registry::{Client, Identities, Variables};

/// How many registries are asked at once.
const SCANS_AT_ONCE: usize = 16;

/// How often a list is read in all where a policy asks for more images than one scan looks at: enough for all of them.
const MOST_ROUNDS: u32 = 5;

/// The refused tags that a choice for a plan keeps: only `explain` shows them.
const NO_REFUSED: usize = 0;

/// The registries as a folder describes them: ClusterImageRegistries and Secrets.
pub(super) struct LiveRegistries {
    folder: Arc<Folder>,
    tools: Tools,
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
type Answer = (ObjectKey, anyhow::Result<Result<Wish, NoWish>>);

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
        Self { folder, tools: Tools::new(Client::new(connections, allow_http), identities) }
    }

    /// Lets the policies choose from one list; whose it is, where there are mirrors.
    pub(super) async fn choose(
        &self,
        source: &Source,
        policies: &[Arc<Policy>],
        most_refused: usize,
    ) -> anyhow::Result<(Vec<Looked>, Option<Asked>)> {
        let registries = &self.folder.registries;
        let sources = sources_of(&source.image, |host| registry_of(registries.values(), host))?;
        let asker = source.asker.as_ref();
        let mut rounds = 1;
        loop {
            let (looked, asked) =
                engine::ask(self, &self.tools, &sources, asker, policies, most_refused).await?;
            let is_unfinished =
                looked.iter().any(|one| matches!(one.digest, Err(LookError::Unfinished { .. })));
            if !is_unfinished || rounds >= MOST_ROUNDS {
                return Ok((looked, asked));
            }
            rounds += 1;
        }
    }

    /// Asks for all these policies, each source once.
    pub(super) async fn wishes(&self, questions: Vec<Question>) -> Vec<Answer> {
        let mut groups: BTreeMap<Source, Vec<Question>> = BTreeMap::new();
        for question in questions {
            groups.entry(question.source.clone()).or_default().push(question);
        }
        let progress = Progress::towards(groups.len(), "images asked for");
        let answers = stream::iter(groups).map(async |(source, questions)| {
            let answers = self.answer(source, questions).await;
            progress.step();
            answers
        });
        answers.buffered(SCANS_AT_ONCE).concat().await
    }

    async fn answer(&self, source: Source, questions: Vec<Question>) -> Vec<Answer> {
        let policies: Vec<_> = questions.iter().map(|question| Arc::clone(&question.policy)).collect();
        let chosen = match self.choose(&source, &policies, NO_REFUSED).await {
            Ok((chosen, _)) => chosen,
            Err(error) => {
                let failed = |question: Question| (question.key, Err(anyhow::Error::msg(error.to_string())));
                return questions.into_iter().map(failed).collect();
            }
        };
        let answers = questions.into_iter().zip(chosen);
        answers.map(|(Question { key, policy, .. }, looked)| (key, wish(policy, looked))).collect()
    }
}

/// What a policy wants by its choice, with the digest where it pins one.
fn wish(policy: Arc<Policy>, looked: Looked) -> anyhow::Result<Result<Wish, NoWish>> {
    let digest = looked.digest?;
    let Choice { winner: Some(winner), reason, .. } = looked.choice else {
        return Ok(Err(NoWish { why: looked.choice.reason, image: Some(policy.image().clone()) }));
    };
    let created = winner.built.map(BuildTime::timestamp);
    let selection = Selection { tag: winner.tag, version: winner.version, digest, created, reason };
    Ok(Ok(Wish { policy, selection, withheld: None }))
}

/// Only Secrets and ConfigMaps are asked for: no engine runs here, so nothing is shown and nothing pushed.
impl SecretSource for LiveRegistries {
    async fn secret(&self, key: &ObjectKey) -> Result<SecretData, SecretError> {
        self.folder.secret(key)
    }

    async fn config_map(&self, key: &ObjectKey) -> Result<SecretData, ConfigMapError> {
        self.folder.config_map(key)
    }

    fn operator_namespace(&self) -> &str {
        OPERATOR_NAMESPACE
    }
}
