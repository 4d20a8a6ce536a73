//! The board: shows statuses and tells of notices, apart from the desk, so that a slow API server never holds up work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::metrics::Metrics;
use super::world::{Notice, ObjectId, Status, World};
use crate::api::Reason;

/// How many statuses are written at once.
const AT_ONCE: usize = 8;

/// How long the write of a status may take, and after it all notices of the object together: the Kubernetes client itself
/// waits without end.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest pause after failed writes.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Something to be shown.
#[derive(Clone, Debug)]
pub(super) struct Posting {
    pub(super) object: ObjectId,
    pub(super) status: Status,
    pub(super) notices: Vec<Notice>,
}

/// Where the desk hands its postings to.
#[derive(Clone, Debug)]
pub(super) struct Board(mpsc::UnboundedSender<Posting>);

/// What is still to be shown of one object: the newest status, and every notice.
#[derive(Default)]
struct Waiting {
    status: Option<Status>,
    notices: Vec<Notice>,
    not_before: Option<Instant>,
    failures: u32,
    is_under_way: bool,
}

impl Board {
    /// A board, and the work that must be polled for anything to appear on it. The work ends when every handle to the
    /// board is gone and all was tried once.
    pub(super) fn open<W: World>(world: Arc<W>, metrics: Metrics) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, postings) = mpsc::unbounded_channel();
        (Self(sender), work(world, metrics, postings))
    }

    pub(super) fn post(&self, posting: Posting) {
        // The work ends only after every sender; where it broke off, there is nobody left to show anything.
        let _ = self.0.send(posting);
    }
}

async fn work<W: World>(world: Arc<W>, metrics: Metrics, mut postings: mpsc::UnboundedReceiver<Posting>) {
    let mut waiting: BTreeMap<ObjectId, Waiting> = BTreeMap::new();
    let mut writes = FuturesUnordered::new();
    let mut is_open = true;
    loop {
        let now = Instant::now();
        for (object, one) in &mut waiting {
            if writes.len() >= AT_ONCE {
                break;
            }
            let is_due = one.not_before.is_none_or(|at| at <= now || !is_open);
            if is_due && !one.is_under_way && (one.status.is_some() || !one.notices.is_empty()) {
                one.is_under_way = true;
                let (status, notices) = (one.status.take(), std::mem::take(&mut one.notices));
                writes.push(write(Arc::clone(&world), object.clone(), status, notices));
            }
        }
        if !is_open && writes.is_empty() {
            return;
        }
        let next = waiting.values().filter(|one| !one.is_under_way).filter_map(|one| one.not_before).min();
        let pause = sleep_until(next.unwrap_or(now + LONGEST_PAUSE));
        tokio::select! {
            posting = postings.recv(), if is_open => match posting {
                Some(Posting { object, status, notices }) => {
                    let one = waiting.entry(object).or_default();
                    one.status = Some(status);
                    one.notices.extend(notices);
                }
                None => is_open = false,
            },
            Some((object, unshown)) = writes.next() => settle(&mut waiting, object, unshown, is_open, &metrics),
            () = pause => {}
        }
    }
}

/// Shows one object's status, then tells its notices; gives the status back where it could not be shown.
async fn write<W: World>(
    world: Arc<W>,
    object: ObjectId,
    status: Option<Status>,
    notices: Vec<Notice>,
) -> (ObjectId, Option<Status>) {
    let mut unshown = None;
    if let Some(status) = status {
        let shown = tokio::time::timeout(WRITE_TIMEOUT, world.show(&object, &status)).await;
        match shown {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(kind = object.kind.as_str(), object = %object.key, %error, "the status was not written");
                unshown = Some(status);
            }
            Err(_) => {
                tracing::warn!(kind = object.kind.as_str(), object = %object.key, "writing the status took too long");
                unshown = Some(status);
            }
        }
    }
    let telling = async {
        for notice in &notices {
            world.tell(&object, notice).await;
        }
    };
    // An event is a courtesy: where they can not be sent in time, the status still says the same.
    let _ = tokio::time::timeout(WRITE_TIMEOUT, telling).await;
    (object, unshown)
}

fn settle(
    waiting: &mut BTreeMap<ObjectId, Waiting>,
    object: ObjectId,
    unshown: Option<Status>,
    is_open: bool,
    metrics: &Metrics,
) {
    let Some(one) = waiting.get_mut(&object) else { return };
    one.is_under_way = false;
    match unshown {
        Some(status) if is_open => {
            one.failures += 1;
            one.not_before = Some(Instant::now() + pause(one.failures));
            // A newer status may have come in the meantime.
            one.status.get_or_insert(status);
        }
        Some(_) => {
            waiting.remove(&object);
        }
        None if one.status.is_none() && one.notices.is_empty() => {
            metrics.status_written();
            waiting.remove(&object);
        }
        None => {
            metrics.status_written();
            one.failures = 0;
            one.not_before = None;
        }
    }
}

fn pause(failures: u32) -> Duration {
    let seconds = 1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX);
    Duration::from_secs(seconds).min(LONGEST_PAUSE)
}

/// The warning for an object that has just begun to fail, or fails for another reason than before.
pub(super) fn failure_notice(before: Option<&[Condition]>, after: &[Condition]) -> Option<Notice> {
    let failing = |conditions: &[Condition]| -> Option<(String, String)> {
        let ready = conditions.iter().find(|c| c.type_ == "Ready" && c.status == "False")?;
        Some((ready.reason.clone(), ready.message.clone()))
    };
    let (reason, message) = failing(after)?;
    let is_known = before.and_then(failing).is_some_and(|(known, _)| known == reason);
    let reason = Reason::parse(&reason)?;
    (!is_known).then_some(Notice { is_warning: true, reason, message })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use prometheus_client::registry::Registry;

    use super::super::world::{ConfigMapError, Kind, SecretData, SecretError, SecretSource, WorldError};
    use super::*;
    use crate::api::{ImagePolicyStatus, ObjectKey};

    /// A world that shows every status at once, and in which no event is ever sent.
    #[derive(Default)]
    struct WithoutEvents(Mutex<Vec<ObjectKey>>);

    impl SecretSource for WithoutEvents {
        async fn secret(&self, key: &ObjectKey) -> Result<SecretData, SecretError> {
            Err(SecretError::Missing(key.clone()))
        }

        async fn config_map(&self, key: &ObjectKey) -> Result<SecretData, ConfigMapError> {
            Err(ConfigMapError::Missing(key.clone()))
        }

        fn operator_namespace(&self) -> &str {
            "tagtide"
        }
    }

    impl World for WithoutEvents {
        async fn show(&self, object: &ObjectId, _: &Status) -> Result<(), WorldError> {
            self.0.lock().unwrap().push(object.key.clone());
            Ok(())
        }

        async fn tell(&self, _: &ObjectId, _: &Notice) {
            std::future::pending().await
        }

        fn may_write(&self) -> bool {
            true
        }
    }

    #[tokio::test(start_paused = true)]
    async fn events_that_hang_hold_up_a_status_once_and_not_for_each_of_them() {
        let world = Arc::new(WithoutEvents::default());
        let (board, work) = Board::open(Arc::clone(&world), Metrics::register(&mut Registry::default()));
        let notice = Notice { is_warning: false, reason: Reason::Committed, message: "pushed".to_owned() };
        for n in 0..=AT_ONCE {
            let key = ObjectKey::new("shop", format!("app{n}"));
            board.post(Posting {
                object: ObjectId { kind: Kind::Policy, key, uid: None },
                status: Status::Policy(ImagePolicyStatus::default()),
                notices: vec![notice.clone(); 21],
            });
        }
        drop(board);
        let start = Instant::now();
        work.await;
        assert_eq!(world.0.lock().unwrap().len(), AT_ONCE + 1);
        // The first eight, and then the ninth.
        assert_eq!(start.elapsed().as_secs(), 2 * WRITE_TIMEOUT.as_secs());
    }
}
