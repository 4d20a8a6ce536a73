//! Lets in who proves to be the one that a webhook is for.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use axum::http::HeaderMap;
use jiff::Timestamp;
use tokio::time::{Instant, timeout};

use super::repeats::Repeats;
use super::{Answer, Destination, Inbox, Metrics};
use crate::api::WebhookKind;
use crate::engine::{Hook, Hooks, SecretSource, webhook_token};
use crate::registry::webhook::{self, DeliveryName, Oidc, OidcError, ProofPlace, ProofToken, Sender};

/// How long a token is used before its Secret is read again.
const KEPT: Duration = Duration::from_secs(30);

/// How long a token is used where its Secret can not be read again, since the API server gives no answer.
const KEPT_UNREAD: Duration = Duration::from_secs(60 * 60);

/// The least time between two readings of one Secret: a stranger's false proofs make no load on the API server.
const LEAST_PAUSE: Duration = Duration::from_secs(1);

/// How long the reading of a Secret may take; after one without an answer, also how long strangers' false proofs cause no
/// other one, as those who are known wait for it.
const READING: Duration = Duration::from_secs(5);

/// One delivery as it came.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// The name in its path.
    pub name: String,
    /// What follows the name in its path.
    pub in_path: Option<String>,
    /// Whether it only asks if deliveries are welcome.
    pub asks_first: bool,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: bytes::Bytes,
}

/// Lets deliveries in.
pub struct Door<S> {
    hooks: Hooks,
    secrets: Arc<S>,
    oidc: Oidc,
    inbox: Inbox,
    metrics: Metrics,
    tokens: Mutex<HashMap<String, Arc<Slot>>>,
    repeats: Repeats,
}

/// The token of one webhook, which one delivery at a time may read anew.
struct Slot {
    /// The webhook of which it is; one that was changed gets another slot.
    hook: Weak<Hook>,
    token: tokio::sync::Mutex<Option<Read>>,
}

struct Read {
    token: Option<ProofToken>,
    /// When the Secret was read.
    at: Instant,
    /// When it was tried since, without an answer.
    unanswered: Option<Instant>,
}

/// What a reading of a Secret gives.
enum Reading {
    /// Its token; without one nobody is let in.
    Done(Option<ProofToken>),
    NoAnswer,
}

impl<S: SecretSource> Door<S> {
    /// A door to `inbox`.
    #[must_use]
    pub fn new(hooks: Hooks, secrets: Arc<S>, oidc: Oidc, inbox: Inbox, metrics: Metrics) -> Self {
        Self { hooks, secrets, oidc, inbox, metrics, tokens: Mutex::default(), repeats: Repeats::default() }
    }

    /// Takes a delivery in, or says why not.
    async fn take_in(&self, envelope: &Envelope) -> Answer {
        let hook = self.hooks.get(&envelope.name);
        let answer = match &hook {
            Some(hook) => self.take_for(hook, envelope).await,
            None if envelope.asks_first => Answer::Unasked,
            None => Answer::Unknown,
        };
        let kind = hook.as_ref().map(|hook| hook.webhook.kind);
        self.metrics.count(kind, &answer);
        if let (Some(kind), Answer::Malformed(problem)) = (kind, &answer) {
            tracing::warn!(webhook = envelope.name, kind = kind.as_str(), problem, "a delivery is malformed");
        }
        answer
    }

    async fn take_for(&self, hook: &Arc<Hook>, envelope: &Envelope) -> Answer {
        let kind = hook.webhook.kind;
        if envelope.asks_first {
            return self.welcome(hook, envelope).await;
        }
        if !ProofPlace::of(kind).fits(envelope.in_path.is_some()) {
            return Answer::Unknown;
        }
        if let Err(refused) = self.prove(hook, envelope).await {
            return match refused {
                // A wrong address is one that does not exist.
                Answer::Unproven if envelope.in_path.is_some() => Answer::Unknown,
                refused => refused,
            };
        }
        match webhook::validation_code(kind, &envelope.headers, &envelope.body) {
            Ok(None) => {}
            Ok(Some(code)) => return Answer::Validated(code),
            Err(error) => return Answer::Malformed(error.to_string()),
        }
        // Others have no name for a delivery, or one that nobody has signed.
        let name = DeliveryName::read(&envelope.headers).filter(|_| kind == WebhookKind::GitLab);
        if name.is_some_and(|name| self.repeats.has(&envelope.name, name)) {
            return Answer::Repeated;
        }
        let answer = self.leave_what(hook, envelope);
        if let (Some(name), Answer::Taken(_) | Answer::Nothing) = (name, &answer) {
            self.repeats.note(&envelope.name, name);
        }
        answer
    }

    /// Answers who asks whether it may deliver. Who has not proven itself is told the same as where nobody may ask, so that
    /// this tells nothing of which webhooks there are.
    async fn welcome(&self, hook: &Arc<Hook>, envelope: &Envelope) -> Answer {
        let kind = hook.webhook.kind;
        let Some(origin) = webhook::asking_origin(kind, &envelope.headers) else { return Answer::Unasked };
        if !ProofPlace::of(kind).fits(envelope.in_path.is_some()) {
            return Answer::Unasked;
        }
        match self.prove(hook, envelope).await {
            Ok(()) => Answer::Welcome(origin.clone()),
            Err(Answer::Unproven) => Answer::Unasked,
            Err(refused) => refused,
        }
    }

    fn leave_what(&self, hook: &Hook, envelope: &Envelope) -> Answer {
        let kind = hook.webhook.kind;
        match webhook::pushed(kind, &hook.host, &envelope.headers, &envelope.body) {
            Ok(pushed) if pushed.is_empty() => Answer::Nothing,
            Ok(pushed) => {
                let images: BTreeSet<&str> = pushed.iter().map(|pushed| pushed.image.as_str()).collect();
                let count = images.len();
                let images = images.into_iter().collect::<Vec<_>>().join(" ");
                tracing::debug!(webhook = envelope.name, images, "a delivery says that something was pushed");
                if self.inbox.leave(pushed) { Answer::Taken(count) } else { Answer::Busy }
            }
            Err(error) => Answer::Malformed(error.to_string()),
        }
    }

    async fn prove(&self, hook: &Arc<Hook>, envelope: &Envelope) -> Result<(), Answer> {
        if hook.webhook.kind == WebhookKind::ArtifactRegistry {
            let caller = hook.webhook.oidc.as_ref().ok_or(Answer::Busy)?;
            return self.oidc.check(caller, &envelope.headers).await.map_err(|error: OidcError| {
                tracing::debug!(webhook = envelope.name, %error, "a delivery is refused");
                if error.is_final() { Answer::Unproven } else { Answer::Busy }
            });
        }
        let in_path = envelope.in_path.as_deref();
        let at = Timestamp::now();
        let sender = Sender { in_path, headers: &envelope.headers, body: &envelope.body, at };
        let slot = self.slot(&envelope.name, hook);
        let mut kept = slot.token.lock().await;
        let is_known = |kept: &Option<Read>| {
            let token = kept.as_ref().and_then(|read| read.token.as_ref());
            token.map(|token| token.is_known_by(hook.webhook.kind, &sender))
        };
        let unanswered = |kept: &Option<Read>| kept.as_ref().and_then(|read| read.unanswered);
        let tried = unanswered(&kept).or(kept.as_ref().map(|read| read.at));
        let mut known = is_known(&kept);
        // Who fails by a token that may have been replaced is given another try.
        let pause = match known {
            Some(true) => KEPT,
            Some(false) if unanswered(&kept).is_some() => READING,
            Some(false) | None => LEAST_PAUSE,
        };
        if tried.is_none_or(|tried| tried.elapsed() > pause) {
            *kept = Some(match self.read(hook, &envelope.name).await {
                Reading::Done(token) => Read { token, at: Instant::now(), unanswered: None },
                Reading::NoAnswer => Read::without_answer(kept.take()),
            });
            known = is_known(&kept);
        }
        match known {
            Some(true) => Ok(()),
            Some(false) if unanswered(&kept).is_none() => Err(Answer::Unproven),
            // Whether the token is still the right one can not be told.
            Some(false) | None => Err(Answer::Busy),
        }
    }

    fn slot(&self, name: &str, hook: &Arc<Hook>) -> Arc<Slot> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let is_current = |slot: &Arc<Slot>| slot.hook.upgrade().is_some_and(|of| Arc::ptr_eq(&of, hook));
        if let Some(slot) = tokens.get(name).filter(|slot| is_current(slot)) {
            return Arc::clone(slot);
        }
        tokens.retain(|_, slot| slot.hook.strong_count() > 0);
        let slot = Arc::new(Slot { hook: Arc::downgrade(hook), token: tokio::sync::Mutex::default() });
        tokens.insert(name.to_owned(), Arc::clone(&slot));
        slot
    }

    /// Reads the token. What is wrong with the Secret is in the object's status.
    async fn read(&self, hook: &Hook, name: &str) -> Reading {
        let Some(reference) = hook.webhook.secret_ref.as_ref() else { return Reading::Done(None) };
        let token = timeout(READING, webhook_token(&*self.secrets, reference, hook.webhook.kind)).await;
        let (problem, reading) = match token {
            Ok(Ok(token)) => return Reading::Done(Some(token)),
            Ok(Err(error)) if error.is_no_answer() => (error.to_string(), Reading::NoAnswer),
            Ok(Err(error)) => (error.to_string(), Reading::Done(None)),
            Err(_) => ("its Secret could not be read in time".to_owned(), Reading::NoAnswer),
        };
        tracing::warn!(webhook = name, secret = reference.name, problem, "a webhook's token can not be read");
        reading
    }
}

impl Read {
    /// What is known after a reading without an answer: what was known before, for a while.
    fn without_answer(before: Option<Self>) -> Self {
        let now = Instant::now();
        let before = before.filter(|before| before.at.elapsed() < KEPT_UNREAD);
        let before = before.unwrap_or(Self { token: None, at: now, unanswered: None });
        Self { unanswered: Some(now), ..before }
    }
}

impl<S: SecretSource + 'static> Destination for Door<S> {
    async fn take(&self, envelope: Envelope) -> Answer {
        self.take_in(&envelope).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_token_that_can_not_be_read_again_is_good_for_an_hour_after_it_was_read() {
        let token = ProofToken::new(b"0123456789abcdef0123456789abcdef", WebhookKind::Harbor).unwrap();
        let mut read = Read { token: Some(token), at: Instant::now(), unanswered: None };
        for _ in 0..3 {
            tokio::time::advance(Duration::from_secs(19 * 60)).await;
            read = Read::without_answer(Some(read));
            assert!(read.token.is_some() && read.unanswered == Some(Instant::now()));
        }
        tokio::time::advance(Duration::from_secs(19 * 60)).await;
        assert!(Read::without_answer(Some(read)).token.is_none());
    }
}
