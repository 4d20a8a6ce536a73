//! How fast one host is asked, and how long it is left alone.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
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

#[derive(Default)]
struct State {
    /// When the next request may go out, where their number is limited.
    next_turn: Option<Instant>,
    /// The host does not want to be asked before.
    left_alone_until: Option<Instant>,
    /// How often in a row it asked for fewer requests and did not say how long.
    pleas: u32,
}

impl Pace {
    /// The moment at which a request may go out, when at most so many may in a second: evenly, without bursts.
    ///
    /// # Errors
    /// How long the host still wants to be left alone.
    pub(super) fn turn(&self, per_second: Option<NonZeroU32>, now: Instant) -> Result<Instant, Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = state.left_alone_until.filter(|until| *until > now) {
            return Err(until - now);
        }
        let Some(per_second) = per_second else { return Ok(now) };
        let turn = state.next_turn.map_or(now, |next| next.max(now));
        state.next_turn = Some(turn + Duration::from_secs(1) / per_second.get());
        Ok(turn)
    }

    /// Until when the host wants to be left alone.
    pub(super) fn left_alone_until(&self, now: Instant) -> Option<Instant> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.left_alone_until.filter(|until| *until > now)
    }

    /// Whether the next request must wait.
    fn is_waited_for(&self, now: Instant) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        [state.left_alone_until, state.next_turn].into_iter().flatten().any(|until| until > now)
    }

    /// Takes to heart what an answer says about the number of requests.
    pub(super) fn note(&self, status: StatusCode, headers: &HeaderMap, now: Instant, date: Timestamp) {
        let plea = plea(status, headers, date);
        if plea.is_none() && !status.is_success() {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let known = state.left_alone_until.filter(|until| *until > now);
        let pause = match plea {
            None => {
                state.pleas = 0;
                return;
            }
            Some(Plea::For(pause)) => pause,
            // Of requests that were under way together each one is refused; that is one plea.
            Some(Plea::Unsaid) if known.is_some() => return,
            Some(Plea::Unsaid) => {
                let grown = FIRST_PAUSE.saturating_mul(1 << state.pleas.min(16)).min(LONGEST_PAUSE);
                state.pleas = state.pleas.saturating_add(1);
                grown
            }
        };
        state.left_alone_until = known.max(Some(now + pause));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuse(pace: &Pace, headers: &[(&'static str, &str)], now: Instant) {
        answer(pace, 429, headers, now);
    }

    fn answer(pace: &Pace, status: u16, headers: &[(&'static str, &str)], now: Instant) {
        let headers = headers.iter().map(|&(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        pace.note(StatusCode::from_u16(status).unwrap(), &headers.collect(), now, Timestamp::UNIX_EPOCH);
    }

    #[test]
    fn requests_go_out_evenly() {
        let (pace, now) = (Pace::default(), Instant::now());
        let four = NonZeroU32::new(4);
        let turns: Vec<_> = (0..5).map(|_| (pace.turn(four, now).unwrap() - now).as_millis()).collect();
        assert_eq!(turns, [0, 250, 500, 750, 1000]);
        let later = now + Duration::from_secs(60);
        assert_eq!(pace.turn(four, later), Ok(later), "what was not used is not saved up");
        assert_eq!(pace.turn(four, later), Ok(later + Duration::from_millis(250)));
        assert_eq!(pace.turn(None, later), Ok(later));
    }

    #[test]
    fn a_host_is_left_alone_as_long_as_it_asks() {
        let (pace, now) = (Pace::default(), Instant::now());
        let seconds = Duration::from_secs;
        refuse(&pace, &[("retry-after", "30")], now);
        assert_eq!(pace.turn(None, now + seconds(10)), Err(seconds(20)));
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
        assert_eq!(pace.turn(None, now + seconds(30)), Ok(now + seconds(30)));
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
