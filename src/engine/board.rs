//! The board: shows statuses and tells of notices, apart from the desk, so that a slow API server never holds up work.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::metrics::Metrics;
use super::world::{Notice, ObjectId, Status, World, WorldError};
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
pub(super) struct Board {
    postings: mpsc::UnboundedSender<Posting>,
    busy: Busy,
}

/// The objects of which something waits to be shown or is under way.
#[derive(Clone, Debug, Default)]
struct Busy(Arc<Mutex<BTreeSet<ObjectId>>>);

impl Busy {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<ObjectId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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
        let busy = Busy::default();
        (Self { postings: sender, busy: busy.clone() }, work(world, metrics, postings, busy))
    }

    /// Whether something of this object waits or is under way: what its watch brings may be older then.
    pub(super) fn is_busy(&self, object: &ObjectId) -> bool {
        self.busy.lock().contains(object)
    }

    pub(super) fn post(&self, posting: Posting) {
        // The work ends only after every sender; where it broke off, there is nobody left to show anything.
        self.busy.lock().insert(posting.object.clone());
        let _ = self.postings.send(posting);
    }
}

async fn work<W: World>(
    world: Arc<W>,
    metrics: Metrics,
    mut postings: mpsc::UnboundedReceiver<Posting>,
    busy: Busy,
) {
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
        // While all hands are full, only the end of a write makes room: what is due by then has no time of its own.
        let idle = waiting.values().filter(|one| !one.is_under_way && writes.len() < AT_ONCE);
        let next = idle.filter_map(|one| one.not_before).min();
        let pause = sleep_until(next.unwrap_or(now + LONGEST_PAUSE));
        tokio::select! {
            posting = postings.recv(), if is_open => match posting {
                Some(Posting { object, status, notices }) => {
                    busy.lock().insert(object.clone());
                    let one = waiting.entry(object).or_default();
                    one.status = Some(status);
                    one.notices.extend(notices);
                }
                None => is_open = false,
            },
            Some((object, unshown)) = writes.next() => {
                settle(&mut waiting, &object, unshown, is_open, &metrics);
                if !waiting.contains_key(&object) {
                    busy.lock().remove(&object);
                }
            }
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
        let show = async {
            // One that leads no more would write over what its successor knows better.
            if !world.may_write() {
                return Err(WorldError("this process does not hold the Lease any more".to_owned()));
            }
            world.show(&object, &status).await
        };
        match tokio::time::timeout(WRITE_TIMEOUT, show).await {
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
    object: &ObjectId,
    unshown: Option<Status>,
    is_open: bool,
    metrics: &Metrics,
) {
    let Some(one) = waiting.get_mut(object) else { return };
    one.is_under_way = false;
    match unshown {
        Some(status) if is_open => {
            one.failures += 1;
            one.not_before = Some(Instant::now() + pause(one.failures));
            // A newer status may have come in the meantime.
            one.status.get_or_insert(status);
        }
        Some(_) => {
            waiting.remove(object);
        }
        None if one.status.is_none() && one.notices.is_empty() => {
            metrics.status_written();
            waiting.remove(object);
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
    use prometheus_client::registry::Registry;

    use super::super::world::{ConfigMapError, Kind, SecretData, SecretError, SecretSource};
    use super::*;
    use crate::api::{ImagePolicyStatus, ObjectKey};

    /// A world that shows every status at once, and in which no event is ever sent.
    #[derive(Default)]
    struct WithoutEvents(Mutex<Vec<ObjectKey>>);

    /// A world that fails at first to show a status, and then gives no answer.
    #[derive(Default)]
    struct Hanging(Mutex<BTreeSet<ObjectId>>);

    /// A world that may be written from a moment on.
    struct Foreign(Mutex<Vec<ObjectKey>>, Instant);

    macro_rules! without_secrets {
        ($($world:ty)*) => {$(
            impl SecretSource for $world {
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
        )*};
    }

    without_secrets!(WithoutEvents Hanging Foreign);

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

    impl World for Hanging {
        async fn show(&self, object: &ObjectId, _: &Status) -> Result<(), WorldError> {
            if self.0.lock().unwrap().insert(object.clone()) {
                return Err(WorldError("no".to_owned()));
            }
            std::future::pending().await
        }

        async fn tell(&self, _: &ObjectId, _: &Notice) {}

        fn may_write(&self) -> bool {
            true
        }
    }

    impl World for Foreign {
        async fn show(&self, object: &ObjectId, _: &Status) -> Result<(), WorldError> {
            self.0.lock().unwrap().push(object.key.clone());
            Ok(())
        }

        async fn tell(&self, _: &ObjectId, _: &Notice) {}

        fn may_write(&self) -> bool {
            Instant::now() >= self.1
        }
    }

    fn posting(name: &str) -> Posting {
        Posting {
            object: ObjectId { kind: Kind::Policy, key: ObjectKey::new("shop", name), uid: None },
            status: Status::Policy(ImagePolicyStatus::default()),
            notices: Vec::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn events_that_hang_hold_up_a_status_once_and_not_for_each_of_them() {
        let world = Arc::new(WithoutEvents::default());
        let (board, work) = Board::open(Arc::clone(&world), Metrics::register(&mut Registry::default()));
        let notice = Notice { is_warning: false, reason: Reason::Committed, message: "pushed".to_owned() };
        for n in 0..=AT_ONCE {
            board.post(Posting { notices: vec![notice.clone(); 21], ..posting(&format!("app{n}")) });
        }
        drop(board);
        let start = Instant::now();
        work.await;
        assert_eq!(world.0.lock().unwrap().len(), AT_ONCE + 1);
        // The first eight, and then the ninth.
        assert_eq!(start.elapsed().as_secs(), 2 * WRITE_TIMEOUT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_server_that_hangs_keeps_the_board_waiting_and_not_busy() {
        let (board, work) =
            Board::open(Arc::new(Hanging::default()), Metrics::register(&mut Registry::default()));
        // More than are written at once; each failed before, so that all of them have a time to be tried again.
        (0..2 * AT_ONCE).for_each(|n| board.post(posting(&format!("app{n}"))));
        let (mut work, mut turns) = (Box::pin(work), 0);
        let counted = std::future::poll_fn(|context| {
            turns += 1;
            assert!(turns < 1000, "it spins");
            work.as_mut().poll(context)
        });
        assert!(tokio::time::timeout(WRITE_TIMEOUT * 3, counted).await.is_err());
        assert!(turns < 200, "{turns} turns");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_does_not_lead_writes_no_status_until_it_leads_again() {
        let start = Instant::now();
        let world = Arc::new(Foreign(Mutex::default(), start + Duration::from_secs(60)));
        let (board, work) = Board::open(Arc::clone(&world), Metrics::register(&mut Registry::default()));
        let work = tokio::spawn(work);
        board.post(posting("app"));
        tokio::time::sleep(Duration::from_secs(59)).await;
        assert!(world.0.lock().unwrap().is_empty() && board.is_busy(&posting("app").object));
        tokio::time::sleep(Duration::from_secs(31)).await;
        assert_eq!(world.0.lock().unwrap().len(), 1);
        assert!(!board.is_busy(&posting("app").object));
        drop(board);
        work.await.unwrap();
    }
}
