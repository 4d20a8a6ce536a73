//! How fast one host is asked, and how long it is left alone.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use tokio::time::Instant;

use super::rate_limit::{Plea, plea};

/// The first pause for a host that asks for fewer requests without saying how long; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// The longest of those pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// The most hosts whose paces are kept: whoever may create an ImagePolicy can name one host after the other.
const MOST: usize = 16_384;

/// The most credentials that are known at one host: whoever may create a Secret can make up one after the other.
const MOST_CALLERS: usize = 1024;

/// The least time between two looks at all of them for those that can be forgotten.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// The paces of all hosts.
#[derive(Default)]
pub(super) struct Paces(Mutex<Hosts>);

#[derive(Default)]
struct Hosts {
    /// By their names as images have them.
    paces: HashMap<String, Arc<Pace>>,
    looked_at: Option<Instant>,
}

impl Paces {
    /// The pace of a host: one for all who ask it. Where there are too many, hosts that are not asked and want no pause are
    /// forgotten; so nobody ends the pause of one host by naming many others.
    pub(super) fn of(&self, host: &str, now: Instant) -> Arc<Pace> {
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Hosts { paces, looked_at } = &mut *hosts;
        if let Some(pace) = paces.get(host) {
            return Arc::clone(pace);
        }
        let may_look = looked_at.is_none_or(|at| now.saturating_duration_since(at) >= BETWEEN_LOOKS);
        if paces.len() >= MOST && may_look {
            *looked_at = Some(now);
            paces.retain(|_, pace| Arc::strong_count(pace) > 1 || pace.is_waited_for(now));
        }
        if paces.len() >= MOST
            && let Some(any) = paces.keys().next().cloned()
        {
            paces.remove(&any);
        }
        Arc::clone(paces.entry(host.to_owned()).or_default())
    }

    /// The pace of a host that was asked.
    pub(super) fn known(&self, host: &str) -> Option<Arc<Pace>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).paces.get(host).cloned()
    }
}

/// The pace of one host, shared by all who ask it.
#[derive(Default)]
pub(super) struct Pace {
    state: Mutex<State>,
}

/// Tells one credential from any other.
pub(super) type Caller = u64;

#[derive(Default)]
struct State {
    /// When the next request may go out, where their number is limited.
    next_turn: Option<Instant>,
    /// What the host wants of all.
    rest: Rest,
    /// What it wants of those who ask with a credential.
    callers: HashMap<Caller, Known>,
}

/// How long somebody is to leave a host alone.
#[derive(Default)]
struct Rest {
    /// The host does not want to be asked before.
    until: Option<Instant>,
    /// How often in a row it asked for fewer requests and did not say how long.
    pleas: u32,
}

/// What is known of one who asks with a credential.
#[derive(Default)]
struct Known {
    rest: Rest,
    /// The credential is good: wrong ones are free to make up.
    was_let_in: bool,
}

impl Pace {
    /// The moment at which a request may go out, when at most so many may in a second: evenly, without bursts.
    ///
    /// # Errors
    /// How long the host still wants to be left alone, by all or by this caller.
    pub(super) fn turn(
        &self,
        caller: Option<Caller>,
        per_second: Option<NonZeroU32>,
        now: Instant,
    ) -> Result<Instant, Duration> {
        let mut state = self.lock();
        let own = caller.and_then(|caller| state.callers.get(&caller)?.rest.left(now));
        if let Some(until) = state.rest.left(now).max(own) {
            return Err(until - now);
        }
        let Some(per_second) = per_second else { return Ok(now) };
        let turn = state.next_turn.map_or(now, |next| next.max(now));
        state.next_turn = Some(turn + Duration::from_secs(1) / per_second.get());
        Ok(turn)
    }

    /// Until when the host wants to be left alone by all.
    pub(super) fn left_alone_until(&self, now: Instant) -> Option<Instant> {
        self.lock().rest.left(now)
    }

    /// Whether the next request must wait, of whomever.
    fn is_waited_for(&self, now: Instant) -> bool {
        let state = self.lock();
        let of_callers = state.callers.values().any(|known| known.rest.left(now).is_some());
        of_callers || state.rest.left(now).max(state.next_turn) > Some(now)
    }

    /// Takes to heart what an answer says about the number of requests. What it says to one who has shown a credential is
    /// meant for that one alone, until a second good one hears it at the same time: then it is meant for all.
    pub(super) fn note(
        &self,
        caller: Option<Caller>,
        status: StatusCode,
        headers: &HeaderMap,
        now: Instant,
        date: Timestamp,
    ) {
        let plea = plea(status, headers, date);
        if plea.is_none() && !status.is_success() {
            return;
        }
        let mut state = self.lock();
        if plea.is_none() {
            state.rest.pleas = 0;
        }
        // A server that fails does so for all.
        let caller = caller.filter(|_| !status.is_server_error());
        if let Some(caller) = caller {
            let known = state.known(caller, now);
            known.was_let_in |= status.is_success();
            match plea {
                Some(plea) => known.rest.take(plea, now),
                None => known.rest.pleas = 0,
            }
        }
        let held_back = |known: &&Known| known.was_let_in && known.rest.left(now).is_some();
        let is_for_all = caller.is_none() || state.callers.values().filter(held_back).count() > 1;
        if let Some(plea) = plea.filter(|_| is_for_all) {
            state.rest.take(plea, now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What is known of a caller. Where there are too many, those who need not wait are forgotten.
    fn known(&mut self, caller: Caller, now: Instant) -> &mut Known {
        if self.callers.len() >= MOST_CALLERS && !self.callers.contains_key(&caller) {
            self.callers.retain(|_, known| known.rest.left(now).is_some());
            if let Some(any) =
                self.callers.keys().next().copied().filter(|_| self.callers.len() >= MOST_CALLERS)
            {
                self.callers.remove(&any);
            }
        }
        self.callers.entry(caller).or_default()
    }
}

impl Rest {
    fn left(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| *until > now)
    }

    fn take(&mut self, plea: Plea, now: Instant) {
        let known = self.left(now);
        let pause = match plea {
            Plea::For(pause) => pause,
            // Of requests that were under way together each one is refused; that is one plea.
            Plea::Unsaid if known.is_some() => return,
            Plea::Unsaid => {
                let grown = FIRST_PAUSE.saturating_mul(1 << self.pleas.min(16)).min(LONGEST_PAUSE);
                self.pleas = self.pleas.saturating_add(1);
                grown
            }
        };
        self.until = known.max(Some(now + pause));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of one who has shown no credential.
    fn refuse(pace: &Pace, headers: &[(&'static str, &str)], now: Instant) {
        answer(pace, 429, headers, now);
    }

    fn answer(pace: &Pace, status: u16, headers: &[(&'static str, &str)], now: Instant) {
        answer_to(None, pace, status, headers, now);
    }

    fn answer_to(
        caller: Option<Caller>,
        pace: &Pace,
        status: u16,
        headers: &[(&'static str, &str)],
        now: Instant,
    ) {
        let headers = headers.iter().map(|&(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let (status, headers) = (StatusCode::from_u16(status).unwrap(), headers.collect());
        pace.note(caller, status, &headers, now, Timestamp::UNIX_EPOCH);
    }

    #[test]
    fn requests_go_out_evenly() {
        let (pace, now) = (Pace::default(), Instant::now());
        let four = NonZeroU32::new(4);
        let turns: Vec<_> = (0..5).map(|_| (pace.turn(None, four, now).unwrap() - now).as_millis()).collect();
        assert_eq!(turns, [0, 250, 500, 750, 1000]);
        let later = now + Duration::from_secs(60);
        assert_eq!(pace.turn(None, four, later), Ok(later), "what was not used is not saved up");
        assert_eq!(pace.turn(None, four, later), Ok(later + Duration::from_millis(250)));
        assert_eq!(pace.turn(None, None, later), Ok(later));
    }

    #[test]
    fn a_host_is_left_alone_as_long_as_it_asks() {
        let (pace, now) = (Pace::default(), Instant::now());
        let seconds = Duration::from_secs;
        refuse(&pace, &[("retry-after", "30")], now);
        assert_eq!(pace.turn(None, None, now + seconds(10)), Err(seconds(20)));
        assert_eq!(pace.left_alone_until(now), Some(now + seconds(30)));
        refuse(&pace, &[("retry-after", "3")], now + seconds(1));
        assert_eq!(
            pace.left_alone_until(now),
            Some(now + seconds(30)),
            "a shorter wish does not cut it short"
        );
        answer(&pace, 200, &[], now + seconds(2));
        assert_eq!(
            pace.left_alone_until(now),
            Some(now + seconds(30)),
            "nor does an answer that was under way"
        );
        assert_eq!(pace.turn(None, None, now + seconds(30)), Ok(now + seconds(30)));
    }

    #[test]
    fn who_does_not_say_how_long_is_left_alone_ever_longer() {
        let (pace, mut now) = (Pace::default(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..8 {
            refuse(&pace, &[], now);
            refuse(&pace, &[], now);
            let until = pace.left_alone_until(now).unwrap();
            pauses.push((until - now).as_secs());
            now = until;
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300]);
        answer(&pace, 200, &[], now);
        refuse(&pace, &[], now);
        assert_eq!(pace.left_alone_until(now), Some(now + FIRST_PAUSE), "forgiven");
    }

    /// Who must wait: caller 1, caller 2, and all.
    fn who_waits(pace: &Pace, now: Instant) -> [bool; 3] {
        let waits = |caller| pace.turn(Some(caller), None, now).is_err();
        [waits(1), waits(2), pace.left_alone_until(now).is_some()]
    }

    #[test]
    fn what_is_said_to_one_credential_holds_back_that_one_alone() {
        let now = Instant::now();
        let wait = [("retry-after", "30")];
        let pace = Pace::default();
        answer_to(Some(1), &pace, 429, &wait, now);
        assert_eq!(who_waits(&pace, now), [true, false, false]);
        assert_eq!(pace.turn(None, None, now), Ok(now));
        assert!(pace.is_waited_for(now));
        answer_to(Some(2), &pace, 429, &wait, now);
        assert_eq!(who_waits(&pace, now), [true, true, false], "wrong passwords are free to make up");

        let pace = Pace::default();
        (1..3).for_each(|caller| answer_to(Some(caller), &pace, 200, &[], now));
        answer_to(Some(1), &pace, 429, &wait, now);
        assert_eq!(who_waits(&pace, now), [true, false, false]);
        answer_to(Some(2), &pace, 429, &wait, now);
        assert_eq!(who_waits(&pace, now), [true, true, true], "two that are good hear it");
        let later = now + Duration::from_secs(31);
        assert_eq!(who_waits(&pace, later), [false; 3]);
        answer_to(Some(2), &pace, 429, &wait, later);
        assert_eq!(who_waits(&pace, later), [false, true, false], "not at one time");
    }

    #[test]
    fn what_is_said_to_strangers_or_by_a_server_that_fails_holds_back_all() {
        let now = Instant::now();
        for (caller, status) in [(None, 429), (None, 503), (Some(1), 503)] {
            let pace = Pace::default();
            answer_to(caller, &pace, status, &[("retry-after", "30")], now);
            assert_eq!(who_waits(&pace, now), [true; 3], "{caller:?} {status}");
        }
    }

    #[test]
    fn one_credential_is_left_ever_longer_and_forgiven_by_itself() {
        let (pace, mut now) = (Pace::default(), Instant::now());
        let mut pause = |status| {
            answer_to(Some(1), &pace, status, &[], now);
            let left = pace.turn(Some(1), None, now).err().unwrap_or_default();
            now += left;
            left.as_secs()
        };
        assert_eq!([429, 429, 429, 200, 429].map(&mut pause), [5, 10, 20, 0, 5]);
    }

    #[test]
    fn made_up_credentials_do_not_pile_up_and_end_no_pause() {
        let (pace, now) = (Pace::default(), Instant::now());
        let wait = [("retry-after", "30")];
        answer_to(Some(1), &pace, 429, &wait, now);
        (10..5000).for_each(|caller| answer_to(Some(caller), &pace, 200, &[], now));
        assert!(pace.turn(Some(1), None, now).is_err());
        (10..5000).for_each(|caller| answer_to(Some(caller), &pace, 429, &wait, now));
        assert_eq!(pace.lock().callers.len(), MOST_CALLERS);
    }

    #[test]
    fn naming_many_hosts_ends_the_pause_of_none() {
        let (paces, now) = (Paces::default(), Instant::now());
        refuse(&paces.of("ghcr.io", now), &[("retry-after", "30")], now);
        let asked = paces.of("quay.io", now);
        let mut after = (0..).map(|milliseconds| now + Duration::from_millis(milliseconds));
        for number in 0..MOST + 5000 {
            paces.of(&format!("{number}.evil.example"), after.next().unwrap());
        }
        let pause = paces.known("ghcr.io").and_then(|pace| pace.left_alone_until(now));
        assert_eq!(pause, Some(now + Duration::from_secs(30)));
        assert!(Arc::ptr_eq(&asked, &paces.of("quay.io", now)), "who is asked at this moment has one pace");
        // Also where all of them want one.
        for number in 0..MOST + 5000 {
            let now = after.next().unwrap();
            refuse(&paces.of(&format!("{number}.worse.example"), now), &[("retry-after", "21600")], now);
        }
        assert_eq!(paces.0.lock().unwrap().paces.len(), MOST);
    }

    #[test]
    fn other_failures_hold_nobody_back() {
        let (pace, now) = (Pace::default(), Instant::now());
        for status in [401, 404, 500, 503] {
            answer(&pace, status, &[], now);
        }
        assert_eq!(pace.left_alone_until(now), None);
    }
}
