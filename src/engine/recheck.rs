//! Whether tags still name the digests that are about to replace others in Git.
//!
//! Of two digests of one tag nobody can say which is the newer one. The scan that a policy has chosen by may be older than
//! the commit that brought the digest in Git; so the registry is asked once more, after the branch was read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, timeout_at};

use super::access::AccessError;
use super::asker::Asker;
use super::inquiry::{ScanError, Tools};
use super::plan::{Plan, Wish, Wishes, held_digest, held_tag};
use super::sources::Source;
use super::world::SecretSource;
use crate::api::ObjectKey;
use crate::edit::{Change, Part};
use crate::image::{Digest, ImageReference, Tag};
use crate::policy::Standing;

/// How many tags are asked about at once.
const AT_ONCE: usize = 8;

/// How long all of it may take: other policies wait for the commit. What is not asked by then is asked by the next cycle.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whom to ask for the tag of a policy.
#[derive(Clone, Debug)]
pub(super) struct Authority {
    /// The last of the sources, which is the one that is believed. `None` where there is none to ask.
    pub(super) source: Option<Source>,
    /// Who asks the host itself, where the policy says it.
    pub(super) asker: Option<Asker>,
}

/// What asks for digests anew.
#[derive(Clone)]
pub(super) struct Recheck {
    pub(super) tools: Tools,
    /// For each policy that pins a digest.
    pub(super) authorities: BTreeMap<ObjectKey, Authority>,
}

/// Why a policy may not replace the digest in Git.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Doubt {
    /// In words.
    pub(super) why: String,
    /// Whether its tag names another digest by now, which the next scan will find.
    pub(super) has_moved: bool,
}

/// A policy whose digest is about to replace another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Replacing<'a> {
    policy: &'a ObjectKey,
    tag: &'a Tag,
    digest: &'a Digest,
}

impl Recheck {
    /// Of the policies by which this plan replaces digests, those whose tag has moved on or can not be asked about.
    pub(super) async fn doubts<S: SecretSource>(
        &self,
        secrets: &S,
        plan: &Plan,
        wishes: &Wishes,
    ) -> BTreeMap<ObjectKey, Doubt> {
        let (replacing, until) = (replacing(plan, wishes), Instant::now() + PATIENCE);
        let mut doubts = BTreeMap::new();
        for some in replacing.chunks(AT_ONCE) {
            let found = join_all(some.iter().map(|one| self.doubt(secrets, one, until))).await;
            let found = some.iter().zip(found);
            doubts.extend(found.filter_map(|(one, doubt)| Some((one.policy.clone(), doubt?))));
        }
        doubts
    }

    async fn doubt<S: SecretSource>(
        &self,
        secrets: &S,
        Replacing { policy, tag, digest }: &Replacing<'_>,
        until: Instant,
    ) -> Option<Doubt> {
        let problem = match timeout_at(until, self.digest_now(secrets, policy, tag)).await {
            Ok(Ok(now)) if now == **digest => return None,
            Ok(Ok(now)) => {
                let why = format!(
                    "Git holds another digest of {tag} than {digest}, and the registry has {now} by now; the next scan decides"
                );
                return Some(Doubt { why, has_moved: true });
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", PATIENCE.as_secs()),
        };
        let why = format!(
            "Git holds another digest of {tag} than {digest}, and nobody can say whether the registry still has that one: {problem}"
        );
        Some(Doubt { why, has_moved: false })
    }

    async fn digest_now<S: SecretSource>(
        &self,
        secrets: &S,
        policy: &ObjectKey,
        tag: &Tag,
    ) -> Result<Digest, ScanError> {
        let authority = self.authorities.get(policy);
        let Some(Authority { source: Some(source), asker }) = authority else {
            return Err(AccessError::NothingToAsk.into());
        };
        let access = self.tools.access(secrets, source, asker.as_ref()).await?;
        let _turn = self.tools.turns.wait(source.host(), source.scans_at_once()).await;
        Ok(self.tools.client.digest(&source.image, tag, &access).await?)
    }
}

/// The same wishes, but for those in doubt, of which nothing is written.
pub(super) fn withheld(wishes: &Wishes, doubts: &BTreeMap<ObjectKey, Doubt>) -> Arc<Wishes> {
    let mut wishes = wishes.clone();
    for (policy, doubt) in doubts {
        if let Some(Ok(wish)) = wishes.get_mut(policy) {
            wish.withheld = Some(doubt.why.clone());
        }
    }
    Arc::new(wishes)
}

/// The policies that put their digest in the place of another one of the same tag, or of a tag that is not told beside it.
fn replacing<'a>(plan: &Plan, wishes: &'a Wishes) -> Vec<Replacing<'a>> {
    let changes = plan.files.iter().flat_map(|file| &file.changes);
    let replacing = changes.filter_map(|change| {
        let (policy, wish) = wishes.get_key_value(&change.policy)?;
        let wish = wish.as_ref().ok()?;
        let digest = wish.selection.digest.as_ref()?;
        replaces(change, wish, digest).then_some(Replacing { policy, tag: &wish.selection.tag, digest })
    });
    replacing.collect::<BTreeSet<_>>().into_iter().collect()
}

fn replaces(change: &Change, wish: &Wish, digest: &Digest) -> bool {
    let wanted = &wish.selection.tag;
    let is_of_that_tag = held_tag(change).filter(|held| !held.is_empty()).is_none_or(|held| {
        held == wanted.as_str()
            || (Tag::is_valid(&held) && wish.policy.standing(&held, wanted.as_str()) == Standing::Alias)
    });
    let is_bare = change.part == Part::Digest && Digest::is_hex(ImageReference::split_end(&change.from).1);
    is_of_that_tag && (is_bare || held_digest(change).is_some_and(|held| held != digest.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::plan::PlannedFile;
    use crate::engine::selection::Selection;
    use crate::policy::compile;

    #[test]
    fn a_digest_is_replaced_by_another_one_of_its_tag_or_of_a_tag_that_is_not_told() {
        let (old, new) = (Digest::sha256_of(b"old"), Digest::sha256_of(b"new"));
        let spec =
            json!({ "image": "ghcr.io/acme/api", "select": { "semver": { "range": "*" } }, "pin": "Digest" });
        let policy = Arc::new(compile(&serde_json::from_value(spec).unwrap()).unwrap());
        let selected =
            json!({ "tag": "1.9.4", "version": "1.9.4", "digest": new.to_string(), "reason": "x" });
        let selection = Selection::read(&serde_json::from_value(selected).unwrap()).unwrap();
        let key = ObjectKey::new("shop", "api");
        let wishes = Wishes::from([(key.clone(), Ok(Wish { policy, selection, withheld: None }))]);
        let hex = old.to_string().replace("sha256:", "");
        for (part, from, replaces) in [
            (Part::Image, format!("ghcr.io/acme/api:1.9.4@{old}"), true),
            (Part::Image, format!("ghcr.io/acme/api:v1.9.4@{old}"), true),
            (Part::Image, format!("ghcr.io/acme/api@{old}"), true),
            (Part::Image, format!("ghcr.io/acme/api:1.9.3@{old}"), false),
            (Part::Image, "ghcr.io/acme/api:1.9.4".to_owned(), false),
            (Part::Image, format!("docker.io/acme/api:1.9.4@{new}"), false),
            (Part::Tag, format!("--tag=1.9.4@{old}"), true),
            (Part::TagBesideDigest, "1.9.3".to_owned(), false),
            (Part::Digest, format!("--digest={old}"), true),
            (Part::Digest, format!("--digest={hex}"), true),
            (Part::Digest, "none".to_owned(), false),
            (Part::Name, "docker.io/acme/api".to_owned(), false),
        ] {
            let change = Change { line: 1, policy: key.clone(), part, from, to: String::new() };
            let path = "a.yaml".to_owned();
            let file = PlannedFile { path, content: Vec::new(), changes: vec![change.clone()] };
            let plan = Plan { files: vec![file], ..Plan::default() };
            assert_eq!(replacing(&plan, &wishes).len(), usize::from(replaces), "{}", change.from);
        }
    }
}
