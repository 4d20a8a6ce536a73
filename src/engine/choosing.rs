//! What the policies of one image choose: from its tag list, and from what its images are where a policy asks for that.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use crate::api::{Pin, Reason};
use crate::image::{Digest, ImageFacts, ImageName, Tag, TagRef};
use crate::policy::{Choice, Chooser, Contest, Facts, MOST_CANDIDATES, Need, Policy};
use crate::registry::{self, Access, Client, Depth, Inspector, ListVersion, Listed, Listing};

/// The most images that one scan looks at.
const MOST_LOOKS: usize = 512;

/// How long one scan looks at images: a slow registry must not keep others waiting for ever.
const LOOKING_TIME: Duration = Duration::from_secs(5 * 60);

/// How many images are looked at at once.
const AT_ONCE: usize = 4;

/// How many of the tags that were looked at by an earlier scan are asked about again, the longest ago first. A tag
/// seldom moves, and with `newestBuild` hundreds may compete: to ask about all each time would cost too much.
const RECHECKS: usize = 16;

/// What one policy made of a whole list.
#[derive(Debug)]
pub struct Looked {
    /// The choice; where `digest` is an error, only its counts and refusals mean something.
    pub choice: Choice,
    /// The digest of the chosen tag, for a policy that writes it.
    pub digest: Result<Option<Digest>, LookError>,
}

/// Why the images could not be looked at. The choice stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// The registry did not say what an image is.
    #[error("the image of {tag} can not be read: {error}")]
    Registry {
        /// The tag.
        tag: Tag,
        /// Why.
        error: registry::Error,
    },
    /// There are more than can be looked at.
    #[error(
        "more than {MOST_CANDIDATES} tags compete, and each of them would have to be looked at; narrow them by tags.include"
    )]
    TooMany,
    /// There is no room for what would be learned of them.
    #[error(
        "{candidates} tags compete, and each of their images would have to be remembered; there is room for {most} of all policies together, and others have it: narrow the tags by tags.include"
    )]
    NoRoom {
        /// How many images must be known.
        candidates: usize,
        /// For how many there is room.
        most: usize,
    },
    /// One scan has looked at as many as it may, or for as long.
    #[error("{known} of {candidates} images are known so far; the next scan goes on from there")]
    Unfinished {
        /// How many are known.
        known: usize,
        /// How many must be.
        candidates: usize,
    },
}

impl LookError {
    /// The word for conditions, events and metrics.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Registry { error, .. } => error.reason(),
            Self::TooMany | Self::NoRoom { .. } => Reason::TooLarge,
            Self::Unfinished { .. } => Reason::Progressing,
        }
    }
}

/// What a scan gave.
#[derive(Debug)]
pub enum Scanned {
    /// What each policy made of a whole list.
    Whole {
        /// The list, where one of the policies needs it.
        listing: Option<Listing>,
        /// By what the registry knows it again.
        version: Option<ListVersion>,
        /// The awaited tags that it lacks.
        lacking: BTreeSet<Tag>,
        /// By policy, in their order.
        looked: Vec<Looked>,
    },
    /// The list is the one that was known. The digests of what was chosen from it, for the policies that write them.
    Unchanged(ListVersion, Vec<Result<Option<Digest>, LookError>>),
}

impl Scanned {
    /// What each policy made of the list; nothing where it is unchanged.
    #[must_use]
    pub fn into_looked(self) -> Vec<Looked> {
        match self {
            Self::Whole { looked, .. } => looked,
            Self::Unchanged(..) => Vec::new(),
        }
    }

    /// The same, unless some image could not be read.
    ///
    /// # Errors
    /// Why the first of them could not.
    pub(super) fn with_all_images(self) -> Result<Self, registry::Error> {
        let read = |digest: Result<Option<Digest>, LookError>| match digest {
            Err(LookError::Registry { error, .. }) => Err(error),
            Ok(_) | Err(LookError::TooMany | LookError::NoRoom { .. } | LookError::Unfinished { .. }) => {
                Ok(digest)
            }
        };
        Ok(match self {
            Self::Whole { listing, version, lacking, looked } => {
                let looked = looked.into_iter().map(|one| Ok(Looked { digest: read(one.digest)?, ..one }));
                let looked = looked.collect::<Result<_, registry::Error>>()?;
                Self::Whole { listing, version, lacking, looked }
            }
            Self::Unchanged(version, digests) => {
                Self::Unchanged(version, digests.into_iter().map(read).collect::<Result<_, _>>()?)
            }
        })
    }
}

/// Reads the tag list, where one of the policies needs it, and lets all of them choose, in their order; unless the list is
/// the one from which all policies chose `before`, each this tag. Which of the `awaited` tags a list shows can be told only
/// where it is read.
///
/// # Errors
/// Where the list can not be had: no policy has chosen then.
pub async fn choose(
    client: &Client,
    image: &ImageName,
    access: &Access,
    policies: &[Arc<Policy>],
    before: Option<(ListVersion, Vec<Tag>)>,
    awaited: &BTreeSet<Tag>,
    most_refused: usize,
) -> Result<Scanned, registry::Error> {
    let mut round = Round::new(policies, most_refused, awaited);
    let inspector = client.inspector(image, access)?;
    if !round.needs_list() {
        let (lacking, looked) = (BTreeSet::new(), round.end(inspector).await);
        return Ok(Scanned::Whole { listing: None, version: None, lacking, looked });
    }
    let known = before.as_ref().map(|(version, _)| version);
    let listed = client.list_tags_since(image, access, known, &mut |tags| round.offer(tags)).await?;
    match (listed, before) {
        (Listed::Whole(listing, version), _) => {
            let lacking = std::mem::take(&mut round.lacking);
            let looked = round.end(inspector).await;
            Ok(Scanned::Whole { listing: Some(listing), version, lacking, looked })
        }
        (Listed::Unchanged, Some((version, chosen))) => {
            let mut looks = Looks::new(inspector);
            let mut digests = Vec::with_capacity(chosen.len());
            for (policy, tag) in policies.iter().zip(&chosen) {
                // A tag may have moved in a list that has not.
                digests.push(looks.digest_to_write(policy, tag).await);
            }
            Ok(Scanned::Unchanged(version, digests))
        }
        (Listed::Unchanged, None) => Err(registry::Error::Protocol {
            host: image.host().to_owned(),
            problem: "it says that the list has not changed, which nobody asked".to_owned(),
        }),
    }
}

/// One list, as the policies take it in.
struct Round<'p> {
    policies: &'p [Arc<Policy>],
    choosers: Vec<Chooser<'p>>,
    /// The awaited tags that were not offered so far.
    lacking: BTreeSet<Tag>,
}

impl<'p> Round<'p> {
    fn new(policies: &'p [Arc<Policy>], most_refused: usize, awaited: &BTreeSet<Tag>) -> Self {
        let choosers = policies.iter().map(|policy| policy.chooser(most_refused)).collect();
        Self { policies, choosers, lacking: awaited.clone() }
    }

    fn needs_list(&self) -> bool {
        self.policies.iter().any(|policy| policy.followed().is_none())
    }

    fn offer(&mut self, tags: &[TagRef<'_>]) {
        if !self.lacking.is_empty() {
            for tag in tags {
                self.lacking.remove(tag.as_str());
            }
        }
        for (policy, chooser) in self.policies.iter().zip(&mut self.choosers) {
            if policy.followed().is_none() {
                chooser.offer_all(tags);
            }
        }
    }

    async fn end(self, inspector: Inspector<'_>) -> Vec<Looked> {
        let mut looks = Looks::new(inspector);
        let mut looked = Vec::with_capacity(self.policies.len());
        for (policy, mut chooser) in self.policies.iter().zip(self.choosers) {
            policy.followed().iter().for_each(|tag| chooser.offer(tag.borrowed()));
            looked.push(looks.decide(policy, chooser.finish()).await);
        }
        looked
    }
}

/// The images that one scan has looked at, so that policies that share it ask once.
struct Looks<'a> {
    inspector: Inspector<'a>,
    seen: HashMap<(Tag, Depth), ImageFacts>,
    digests: HashMap<Tag, Digest>,
    left: usize,
    until: Instant,
}

/// What is known, and what is in the way of knowing more.
type Known = Result<Facts, (Facts, LookError)>;

impl<'a> Looks<'a> {
    fn new(inspector: Inspector<'a>) -> Self {
        Self {
            inspector,
            seen: HashMap::new(),
            digests: HashMap::new(),
            left: MOST_LOOKS,
            until: Instant::now() + LOOKING_TIME,
        }
    }

    async fn decide(&mut self, policy: &Policy, contest: Contest<'_>) -> Looked {
        let known = match policy.need() {
            Need::Nothing => Ok(Facts::new()),
            Need::Platforms => self.platforms(&contest).await,
            Need::BuildTimes => self.build_times(&contest).await,
        };
        match known {
            Ok(facts) => {
                let choice = contest.decide(&facts);
                let digest = self.digest(policy, &choice).await;
                Looked { choice, digest }
            }
            Err((facts, error)) => Looked { choice: contest.decide(&facts), digest: Err(error) },
        }
    }

    /// Looks at candidates from the best one down, until one fits.
    async fn platforms(&mut self, contest: &Contest<'_>) -> Known {
        let mut facts = Facts::new();
        loop {
            let unknown = contest.unknown(&facts);
            if unknown.is_empty() {
                return Ok(facts);
            }
            if let Err(error) = self.look(&unknown, Depth::Platforms, &mut facts, contest).await {
                return Err((facts, error));
            }
        }
    }

    /// Looks at every candidate that no scan has looked at, at some of the others again, and at the best one.
    async fn build_times(&mut self, contest: &Contest<'_>) -> Known {
        const DEPTH: Depth = Depth::BuildTime;
        let mut facts = Facts::new();
        if contest.candidates() > MOST_CANDIDATES {
            return Err((facts, LookError::TooMany));
        }
        let candidates = contest.unknown(&facts);
        if let Err(most) = self.inspector.make_room(&candidates) {
            return Err((facts, LookError::NoRoom { candidates: candidates.len(), most }));
        }
        let mut wanted = Vec::new();
        let mut recalled: Vec<(Reverse<u32>, Tag)> = Vec::new();
        for tag in candidates {
            match self.inspector.recall(&tag, DEPTH) {
                Some((known, age)) => {
                    facts.insert(tag.clone(), known);
                    recalled.push((Reverse(age), tag));
                }
                None => wanted.push(tag),
            }
        }
        recalled.sort();
        wanted.extend(recalled.into_iter().take(RECHECKS).map(|(_, tag)| tag));
        let mut looked = self.look(&wanted, DEPTH, &mut facts, contest).await;
        // The best one is written: it must be what its tag names now.
        while let (Ok(()), Some(best)) = (&looked, contest.newest(&facts).cloned()) {
            if self.seen.contains_key(&(best.clone(), DEPTH)) {
                return Ok(facts);
            }
            looked = self.look(&[best], DEPTH, &mut facts, contest).await;
        }
        match looked {
            Ok(()) => Ok(facts),
            Err(error) => Err((facts, error)),
        }
    }

    /// Looks at images, each once a scan, and adds what they are. After an error nothing more is asked.
    async fn look(
        &mut self,
        tags: &[Tag],
        depth: Depth,
        facts: &mut Facts,
        contest: &Contest<'_>,
    ) -> Result<(), LookError> {
        let mut ask = Vec::new();
        for tag in tags {
            match self.seen.get(&(tag.clone(), depth)) {
                Some(known) => {
                    facts.insert(tag.clone(), known.clone());
                }
                None => ask.push(tag),
            }
        }
        for some in ask.chunks(AT_ONCE) {
            let left = self.left.checked_sub(some.len()).filter(|_| Instant::now() < self.until);
            self.left = left.ok_or_else(|| LookError::Unfinished {
                known: facts.len(),
                candidates: contest.candidates(),
            })?;
            let answers = join_all(some.iter().map(|tag| self.inspector.look(tag, depth))).await;
            for (tag, answer) in some.iter().zip(answers) {
                let tag = Tag::clone(tag);
                let (digest, known) =
                    answer.map_err(|error| LookError::Registry { tag: tag.clone(), error })?;
                self.digests.insert(tag.clone(), digest);
                self.seen.insert((tag.clone(), depth), known.clone());
                facts.insert(tag, known);
            }
        }
        Ok(())
    }

    async fn digest(&mut self, policy: &Policy, choice: &Choice) -> Result<Option<Digest>, LookError> {
        let Some(winner) = &choice.winner else { return Ok(None) };
        self.digest_to_write(policy, &winner.tag).await
    }

    async fn digest_to_write(&mut self, policy: &Policy, tag: &Tag) -> Result<Option<Digest>, LookError> {
        let Some(Pin::TagAndDigest | Pin::Digest) = policy.pin() else { return Ok(None) };
        if let Some(known) = self.digests.get(tag) {
            return Ok(Some(known.clone()));
        }
        let answer = self.inspector.digest(tag).await;
        let digest = answer.map_err(|error| LookError::Registry { tag: tag.clone(), error })?;
        self.digests.insert(tag.clone(), digest.clone());
        Ok(Some(digest))
    }
}
