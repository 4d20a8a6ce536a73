//! One question to the sources of an image, in their order: what do these policies choose?
//!
//! An answer is whole and from one source: list, digests and images. What a source can not answer is asked of the next one
//! from the start.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::access::{AccessError, access_for};
use super::asker::Asker;
use super::choosing::{Looked, Scanned, choose};
use super::reads::Reads;
use super::refusals::{Refusals, is_refusal};
use super::selection::Selection;
use super::sources::Source;
use super::turns::Turns;
use super::world::SecretSource;
use crate::api::Reason;
use crate::image::Tag;
use crate::net;
use crate::policy::Policy;
use crate::registry::{self, Access, Client, Identities, ListVersion};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// Who asks, or how, is not known.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The registry gives no answer.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// A mirror gives none, and what it says is not for others to overrule.
    #[error("{error} (it is asked as a mirror of {host})")]
    Mirror {
        /// What it mirrors.
        host: Box<str>,
        /// Why.
        error: Box<ScanError>,
    },
    /// No source gives one.
    #[error("{last}; asked before: {}", words(before))]
    NoSource {
        /// Why the last one gives none.
        last: Box<ScanError>,
        /// The others.
        before: Vec<PassedOver>,
    },
}

/// A source that did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// Its host.
    pub host: Box<str>,
    /// The word for why.
    pub reason: Reason,
    /// Why.
    pub problem: String,
    /// How long it wants to be left alone.
    pub retry_after: Option<Duration>,
}

/// Who answered, where mirrors were to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The host whose answer it is.
    pub host: Box<str>,
    /// Whether it is a mirror's.
    pub is_mirror: bool,
    /// The mirrors that were asked before it, in vain.
    pub passed_over: Vec<PassedOver>,
}

impl Asked {
    /// For a status: the hosts, and why the others were passed over.
    #[must_use]
    pub fn words(&self) -> String {
        let mut text = format!("asked of {}", self.host);
        for (index, one) in self.passed_over.iter().enumerate() {
            text.push_str(if index == 0 { ", not of " } else { " or " });
            text.push_str(&format!("{} ({})", one.host, one.reason.as_str()));
        }
        text
    }
}

/// What a mirror says that would lower a choice, while the source that could confirm it gives no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Doubt {
    /// The mirror.
    pub(super) mirror: Box<str>,
    /// The word for why nobody confirms it.
    pub(super) reason: Reason,
    /// Why nobody does.
    pub(super) problem: String,
}

/// An answer.
pub(super) struct Found {
    pub(super) scanned: Scanned,
    /// `None` where there is one source only.
    pub(super) asked: Option<Asked>,
    /// What lowers a choice in it must not be believed, for this reason.
    pub(super) doubt: Option<Doubt>,
}

/// What every inquiry asks with: the process has one.
#[derive(Clone)]
pub struct Tools {
    pub(super) client: Client,
    pub(super) identities: Identities,
    pub(super) refusals: Refusals,
    pub(super) reads: Reads,
    pub(super) turns: Turns,
}

/// What is asked, by whom and for whom.
pub(super) struct Inquiry<'a, S> {
    pub(super) secrets: &'a S,
    pub(super) tools: &'a Tools,
    /// Who asks the host itself, where the policies say it.
    pub(super) asker: Option<&'a Asker>,
    pub(super) policies: &'a [Arc<Policy>],
    /// What each policy chose before.
    pub(super) standing: &'a [Option<Selection>],
    /// The list that all of them have seen, and what each chose from it.
    pub(super) before: Option<(ListVersion, Vec<Tag>)>,
    /// The tags that a list should show.
    pub(super) awaited: &'a BTreeSet<Tag>,
    pub(super) most_refused: usize,
}

impl Tools {
    /// The tools of a process.
    #[must_use]
    pub fn new(client: Client, identities: Identities) -> Self {
        Self {
            client,
            identities,
            refusals: Refusals::default(),
            reads: Reads::default(),
            turns: Turns::default(),
        }
    }

    /// How to ask a source. `asker` is who asks the host itself, where a policy says it: no mirror hears of it.
    pub(super) async fn access<S: SecretSource>(
        &self,
        secrets: &S,
        source: &Source,
        asker: Option<&Asker>,
    ) -> Result<Access, AccessError> {
        let asker = asker.filter(|_| source.mirror_of.is_none());
        let Self { client, identities, .. } = self;
        access_for(secrets, client, identities, &source.image, asker, source.registry.as_deref()).await
    }
}

/// Asks the sources in their order, until one answers, for policies that have chosen nothing yet; and who answered, where
/// there was more than one to ask. `asker` is who asks the host itself, where the policies say it.
///
/// # Errors
/// Where no source gives an answer: no policy has chosen then.
pub async fn ask<S: SecretSource>(
    secrets: &S,
    tools: &Tools,
    sources: &[Source],
    asker: Option<&Asker>,
    policies: &[Arc<Policy>],
    most_refused: usize,
) -> Result<(Vec<Looked>, Option<Asked>), ScanError> {
    let inquiry = Inquiry {
        secrets,
        tools,
        asker,
        policies,
        standing: &[],
        before: None,
        awaited: &BTreeSet::new(),
        most_refused,
    };
    let Found { scanned, asked, doubt: _ } = inquiry.ask(sources).await?;
    Ok((scanned.into_looked(), asked))
}

impl<S: SecretSource> Inquiry<'_, S> {
    /// Asks the sources in their order, until one answers.
    ///
    /// A mirror may lag. So what it says may raise a choice, but not lower it, and not move the digest of a tag that was
    /// chosen: where it would, the next source is asked, and the last one is believed.
    pub(super) async fn ask(&self, sources: &[Source]) -> Result<Found, ScanError> {
        let Some((last, mirrors)) = sources.split_last() else {
            return Err(AccessError::NothingToAsk.into());
        };
        let mut passed_over: Vec<PassedOver> = Vec::new();
        let mut doubtful: Option<(Scanned, Asked)> = None;
        for mirror in mirrors {
            let failed = match self.ask_mirror(mirror).await {
                Ok(scanned) => {
                    let asked = Asked { passed_over: passed_over.clone(), ..Asked::of(mirror) };
                    if !self.lowers(&scanned) {
                        return Ok(Found { scanned, asked: Some(asked), doubt: None });
                    }
                    doubtful = doubtful.or(Some((scanned, asked)));
                    PassedOver {
                        host: mirror.host().into(),
                        reason: Reason::ListShrank,
                        problem: format!("{} would take back what was chosen before", mirror.host()),
                        retry_after: None,
                    }
                }
                Err(failure) if failure.is_final => return Err(of_mirror(mirror, failure.error)),
                Err(failure) => PassedOver::by(mirror, &failure.error),
            };
            tracing::info!(
                mirror = &*failed.host, image = %last.image, reason = failed.reason.as_str(), problem = failed.problem,
                "the mirror is passed over"
            );
            passed_over.push(failed);
        }
        let answer = match self.ask_one(last).await {
            // With something else to tell, an image that could not be read is no answer here either.
            Ok(scanned) if !passed_over.is_empty() => scanned.with_all_images().map_err(ScanError::from),
            answer => answer,
        };
        match answer {
            Ok(scanned) => {
                let asked = Asked { passed_over, ..Asked::of(last) };
                Ok(Found {
                    scanned,
                    asked: (sources.len() > 1 || asked.is_mirror).then_some(asked),
                    doubt: None,
                })
            }
            Err(error) => match doubtful {
                Some((scanned, asked)) => {
                    let (reason, problem) = (error.reason(), error.to_string());
                    let doubt = Some(Doubt { mirror: asked.host.clone(), reason, problem });
                    Ok(Found { scanned, asked: Some(asked), doubt })
                }
                None if passed_over.is_empty() => Err(of_mirror(last, error)),
                None => Err(ScanError::NoSource { last: Box::new(error), before: passed_over }),
            },
        }
    }

    async fn ask_mirror(&self, mirror: &Source) -> Result<Scanned, Failure> {
        let host = mirror.host();
        if self.tools.turns.is_silent(host, mirror.registry.as_ref()) {
            let cause = "it did not answer a moment ago".to_owned();
            let error = registry::Error::from(net::Error::Unreachable { host: host.to_owned(), cause });
            return Err(Failure { error: error.into(), is_final: false });
        }
        let scanned = self.ask_one(mirror).await.map_err(|error| {
            let is_final = !goes_on(&error);
            if let ScanError::Registry(registry::Error::Net(_)) = &error
                && !is_final
            {
                self.tools.turns.did_not_answer(host, mirror.registry.as_ref());
            }
            Failure { error, is_final }
        })?;
        scanned.with_all_images().map_err(|error| {
            let error = error.into();
            Failure { is_final: !goes_on(&error), error }
        })
    }

    async fn ask_one(&self, source: &Source) -> Result<Scanned, ScanError> {
        let (tools, began) = (self.tools, Instant::now());
        let access = match self.access(source, &tools.reads.of(self.secrets)).await {
            Err(error) if !error.is_no_answer() => {
                // Whoever mends a Secret is not told for some seconds more that it can not be used.
                self.access(source, &tools.reads.since(self.secrets, began)).await
            }
            access => access,
        }?;
        let _turn = tools.turns.wait(source.host(), source.scans_at_once()).await;
        let answer = self.choose(source, &access).await;
        if answer.as_ref().is_err_and(is_refusal) {
            // What was read a moment ago may have been replaced since.
            let anew = self.access(source, &tools.reads.since(self.secrets, began)).await;
            if let Some(anew) = anew.ok().filter(|anew| *anew != access) {
                return Ok(self.choose(source, &anew).await?);
            }
        }
        Ok(answer?)
    }

    async fn access<R: SecretSource>(&self, source: &Source, secrets: &R) -> Result<Access, AccessError> {
        self.tools.access(secrets, source, self.asker).await
    }

    async fn choose(&self, source: &Source, access: &Access) -> Result<Scanned, registry::Error> {
        let (image, before, most) = (&source.image, self.before.clone(), self.most_refused);
        let client = &self.tools.client;
        let answer = choose(client, image, access, self.policies, before, self.awaited, most).await;
        if let (None, Some(credential)) = (&source.mirror_of, &access.credential) {
            self.tools.refusals.note(image, credential, answer.as_ref().map(|_| ()));
        }
        answer
    }

    /// Whether some policy would go down by this answer, or see a tag that it has chosen under another digest.
    fn lowers(&self, scanned: &Scanned) -> bool {
        let standing = self.policies.iter().zip(self.standing);
        match scanned {
            Scanned::Whole { looked, .. } => standing.zip(looked).any(|((policy, standing), looked)| {
                let chosen = looked.choice.winner.as_ref();
                let chosen = chosen.map(|winner| (&winner.tag, winner.built.map(|built| built.timestamp())));
                let digest = looked.digest.as_ref().ok().map(Option::as_ref);
                match (standing, digest) {
                    (Some(standing), Some(digest)) => standing.is_lowered_by(policy, chosen, digest),
                    // It has nothing to lose, or chooses nothing new.
                    (None, _) | (_, None) => false,
                }
            }),
            Scanned::Unchanged(_, digests) => standing.zip(digests).any(|((policy, standing), digest)| {
                let (Some(standing), Ok(digest)) = (standing, digest) else { return false };
                standing.is_lowered_by(policy, Some((&standing.tag, standing.created)), digest.as_ref())
            }),
        }
    }
}

/// Why a mirror gives no answer, and whether that is the last word.
struct Failure {
    error: ScanError,
    is_final: bool,
}

impl ScanError {
    /// The word for conditions, events and metrics.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Access(error) => error.reason(),
            Self::Registry(error) => error.reason(),
            Self::Mirror { error, .. } | Self::NoSource { last: error, .. } => error.reason(),
        }
    }

    /// How long the registry wants to be left alone; of several sources, the one that wants it for the shortest time.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Access(_) => None,
            Self::Registry(error) => error.retry_after(),
            Self::Mirror { error, .. } => error.retry_after(),
            Self::NoSource { last, before } => before
                .iter()
                .map(|one| one.retry_after)
                .fold(last.retry_after(), |least, one| least.zip(one).map(|(least, one)| least.min(one))),
        }
    }
}

impl Asked {
    fn of(source: &Source) -> Self {
        Self { host: source.host().into(), is_mirror: source.mirror_of.is_some(), passed_over: Vec::new() }
    }
}

impl PassedOver {
    fn by(source: &Source, error: &ScanError) -> Self {
        let (reason, problem, retry_after) = (error.reason(), error.to_string(), error.retry_after());
        Self { host: source.host().into(), reason, problem, retry_after }
    }
}

fn words(before: &[PassedOver]) -> String {
    before.iter().map(|one| one.problem.as_str()).collect::<Vec<_>>().join("; ")
}

fn of_mirror(source: &Source, error: ScanError) -> ScanError {
    match &source.mirror_of {
        Some(host) => ScanError::Mirror { host: host.clone(), error: Box::new(error) },
        None => error,
    }
}

/// Whether the next source may be asked instead.
///
/// It may where there is no answer, none that a registry gives, or nothing there: a cache need not have everything. Who
/// is told that he may not see an image is told so by whoever runs the mirror, and a setting that can not be used is
/// someone's mistake: neither is got round.
fn goes_on(error: &ScanError) -> bool {
    use registry::Error as E;
    match error {
        ScanError::Registry(error) => match error {
            E::Net(error) => match error {
                net::Error::Unreachable { .. }
                | net::Error::Stalled { .. }
                | net::Error::OutOfTime { .. } => true,
                net::Error::NoCertificate
                | net::Error::BadCertificate { .. }
                | net::Error::BadClientCertificate { .. }
                | net::Error::Setup { .. }
                | net::Error::AddressRefused { .. }
                | net::Error::TooLarge { .. } => false,
            },
            E::NotFound { .. }
            | E::RateLimited { .. }
            | E::Server { .. }
            | E::Redirected { .. }
            | E::Protocol { .. } => true,
            E::PlainHttpNotAllowed { .. }
            | E::NoUrl { .. }
            | E::RealmRefused { .. }
            | E::CredentialsMissing { .. }
            | E::CredentialsRefused { .. }
            | E::NoCommonScheme { .. }
            | E::TokenRefused { .. }
            | E::Denied { .. }
            | E::TooLarge { .. } => false,
        },
        ScanError::Access(_) | ScanError::Mirror { .. } | ScanError::NoSource { .. } => false,
    }
}
