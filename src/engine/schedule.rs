//! When something is to be done next. Pure, but for the monotonic clock and the jitter.

use std::time::Duration;

use tokio::time::Instant;

/// The first pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// The longest pause after failures, where the interval is not longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// The least time between the starts of two runs that are asked for on mere news. Somebody may tell the same thing for
/// hours, and each run costs the server something.
const NEWS_PAUSE: Duration = Duration::from_secs(5);

/// How work ended, as far as the next time depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// Well: again after the interval.
    Steady,
    /// Not well: sooner at first, then ever later; never before the server wants.
    AfterFailure(Option<Duration>),
}

/// A place in the order of what is due: first what somebody waits for, then what is due longest.
pub(super) type Turn = (bool, Option<Instant>);

/// The schedule of one thing that is done again and again, never twice at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Slot {
    due: Option<Instant>,
    /// When the last run began.
    began: Option<Instant>,
    is_running: bool,
    failures: u32,
    /// Asked for while it ran.
    asked: Option<Instant>,
    /// Somebody waits for it: it goes before what is due by itself.
    is_urgent: bool,
    /// The server does not want to be asked before.
    not_before: Option<Instant>,
    /// It was asked for and did not begin since; neither an interval nor a pause after a failure asks.
    is_wanted: bool,
}

impl Slot {
    /// When it is due; `None` while it runs or is not wanted at all.
    pub(super) fn due(&self) -> Option<Instant> {
        let due = self.due.filter(|_| !self.is_running)?;
        Some(self.not_before.map_or(due, |not_before| due.max(not_before)))
    }

    pub(super) const fn is_running(&self) -> bool {
        self.is_running
    }

    /// Whether it never ran.
    pub(super) const fn is_new(&self) -> bool {
        self.began.is_none()
    }

    /// Whether all that was asked for has been done, well or not.
    pub(super) const fn is_at_rest(&self) -> bool {
        !self.is_running && !self.is_wanted
    }

    /// Asks for it at a moment, or earlier where it is due earlier. While it runs, once more afterwards.
    pub(super) fn ask(&mut self, at: Instant) {
        let wish = if self.is_running { &mut self.asked } else { &mut self.due };
        *wish = Some(wish.map_or(at, |known| known.min(at)));
        self.is_wanted = true;
    }

    /// Asks for it at a moment, whatever the server wanted before: another one may be asked now.
    pub(super) fn ask_anew(&mut self, at: Instant) {
        self.not_before = None;
        self.ask(at);
    }

    /// Holds it back until a moment, where that is later: the server does not want to be asked before.
    pub(super) fn hold_back(&mut self, until: Instant) {
        self.not_before = self.not_before.max(Some(until));
    }

    /// Asks for it now, and before everything that nobody waits for.
    pub(super) fn ask_urgently(&mut self) {
        self.ask(Instant::now());
        self.is_urgent = true;
    }

    /// Asks for it soon because of news that anybody may bring any number of times: at once, but never sooner after the last
    /// run than [`NEWS_PAUSE`].
    pub(super) fn ask_on_news(&mut self) {
        let now = Instant::now();
        self.ask(self.began.map_or(now, |began| now.max(began + NEWS_PAUSE)));
        self.is_urgent = true;
    }

    /// Asks for it once more after a pause, as long as somebody waits for it.
    pub(super) fn look_again(&mut self, pause: Duration) {
        self.ask(Instant::now() + pause);
        self.is_urgent = true;
    }

    /// Its place among those that are due.
    pub(super) fn turn(&self) -> Turn {
        (!self.is_urgent, self.due)
    }

    /// Notes that it runs.
    pub(super) fn start(&mut self) {
        self.is_running = true;
        self.began = Some(Instant::now());
        // What is asked for from now on is another run.
        (self.is_urgent, self.is_wanted) = (false, false);
        self.due = None;
    }

    /// Notes that it is not wanted until asked for.
    pub(super) fn rest(&mut self) {
        (self.due, self.is_wanted) = (None, false);
    }

    /// Notes how it ended, and sets the next time. Where it does not run, what ended was begun for one that was dropped.
    pub(super) fn finish(&mut self, interval: Duration, pace: Pace) {
        if !self.is_running {
            return;
        }
        let now = Instant::now();
        self.is_running = false;
        self.not_before = None;
        let pause = match pace {
            Pace::Steady => {
                self.failures = 0;
                interval
            }
            Pace::AfterFailure(wanted) => {
                self.failures = self.failures.saturating_add(1);
                self.not_before = wanted.map(|wanted| now + wanted);
                let grown = FIRST_PAUSE.saturating_mul(1 << (self.failures - 1).min(16));
                grown.min(interval.max(LONGEST_PAUSE))
            }
        };
        // A fleet that was started in one moment must not come back in one moment.
        let regular = now + pause.mul_f64(rand::random_range(0.9..=1.0));
        self.due = Some(self.asked.take().map_or(regular, |asked| asked.min(regular)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn is_at_rest_once_all_that_was_asked_for_has_been_done() {
        let mut slot = Slot::default();
        assert!(slot.is_at_rest());
        slot.ask(Instant::now());
        assert!(!slot.is_at_rest());
        slot.start();
        assert!(!slot.is_at_rest());
        slot.ask(Instant::now());
        slot.finish(MINUTE, Pace::AfterFailure(None));
        assert!(!slot.is_at_rest(), "it was asked for while it ran");
        slot.start();
        slot.finish(MINUTE, Pace::AfterFailure(None));
        assert!(slot.is_at_rest() && slot.due().is_some(), "a failure asks for nothing");
        slot.ask(Instant::now());
        slot.rest();
        assert!(slot.is_at_rest());
    }

    fn pause_after(slot: &mut Slot, interval: Duration, pace: Pace) -> Duration {
        slot.start();
        slot.finish(interval, pace);
        slot.due().unwrap() - Instant::now()
    }

    #[tokio::test(start_paused = true)]
    async fn comes_back_after_the_interval_but_for_a_little_jitter() {
        let pause = pause_after(&mut Slot::default(), MINUTE, Pace::Steady);
        assert!(pause <= MINUTE && pause >= MINUTE.mul_f64(0.9), "{pause:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_come_back_ever_later_up_to_a_ceiling() {
        let mut slot = Slot::default();
        let pauses: Vec<u64> =
            (0..12).map(|_| pause_after(&mut slot, MINUTE, Pace::AfterFailure(None)).as_secs()).collect();
        assert!(pauses[0] <= 2 && pauses[4] >= 25 && pauses[11] <= 300 && pauses[11] >= 270, "{pauses:?}");
        assert!(pause_after(&mut slot, MINUTE, Pace::Steady) <= MINUTE);
        assert!(pause_after(&mut slot, MINUTE, Pace::AfterFailure(None)) <= FIRST_PAUSE, "forgiven");
    }

    #[tokio::test(start_paused = true)]
    async fn a_servers_wish_to_be_left_alone_beats_everything() {
        let mut slot = Slot::default();
        slot.start();
        slot.finish(MINUTE, Pace::AfterFailure(Some(10 * MINUTE)));
        slot.ask(Instant::now());
        assert_eq!(slot.due().unwrap() - Instant::now(), 10 * MINUTE);
    }

    #[tokio::test(start_paused = true)]
    async fn what_somebody_waits_for_comes_first() {
        let (mut regular, mut urgent) = (Slot::default(), Slot::default());
        regular.ask(Instant::now() - MINUTE);
        urgent.ask_urgently();
        assert!(urgent.turn() < regular.turn());
        urgent.start();
        urgent.ask_urgently();
        urgent.finish(MINUTE, Pace::Steady);
        assert!(urgent.turn() < regular.turn(), "asked for while it ran");
        urgent.start();
        urgent.finish(MINUTE, Pace::Steady);
        assert!(urgent.turn() > regular.turn(), "once is enough");
    }

    #[tokio::test(start_paused = true)]
    async fn news_is_followed_at_once_and_a_flood_of_it_at_a_bounded_pace() {
        let mut slot = Slot::default();
        slot.ask(Instant::now() + MINUTE);
        slot.ask_on_news();
        assert_eq!(slot.due().unwrap(), Instant::now(), "nothing ran just now");
        let mut runs = Vec::new();
        // A flood of a quarter of a minute, and then a minute without news.
        for tick in 0..750 {
            if tick < 150 {
                slot.ask_on_news();
            }
            if slot.due().is_some_and(|due| due <= Instant::now()) {
                slot.start();
                (0..10).filter(|_| tick < 150).for_each(|_| slot.ask_on_news());
                slot.finish(MINUTE, Pace::Steady);
                runs.push(tick);
            }
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        assert!(
            runs.starts_with(&[0, 50, 100, 150]),
            "one in five seconds, the last for the last news: {runs:?}"
        );
        assert!(runs.len() < 6, "and then none but the regular one: {runs:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_for_while_it_runs_comes_right_after() {
        let mut slot = Slot::default();
        slot.ask(Instant::now());
        slot.start();
        assert_eq!(slot.due(), None);
        slot.ask(Instant::now());
        slot.finish(MINUTE, Pace::Steady);
        assert_eq!(slot.due().unwrap(), Instant::now());
    }

    #[tokio::test(start_paused = true)]
    async fn ten_thousand_who_ask_while_it_runs_get_one_run_more() {
        let mut slot = Slot::default();
        slot.start();
        (0..10_000).for_each(|_| slot.ask_urgently());
        slot.finish(MINUTE, Pace::Steady);
        assert_eq!(slot.due().unwrap(), Instant::now());
        let pause = pause_after(&mut slot, MINUTE, Pace::Steady);
        assert!(pause >= MINUTE.mul_f64(0.9), "{pause:?}");
    }
}
