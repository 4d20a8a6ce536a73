//! kstatus conditions: Ready, Reconciling and Stalled.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::Reason;

/// The longest message of a condition, in bytes. The API admits 32 KiB; a status is read by people.
const MAX_MESSAGE: usize = 1024;

/// How an object is, as one value; its three conditions follow from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Nothing was found out since the process began: as the status says, which speaks of this very spec.
    AsBefore,
    /// Ready: the object is acted on and all went well.
    Ready(Reason, String),
    /// On the way, for the first time or after a change of the spec.
    Reconciling(String),
    /// Something failed; it is tried again by itself.
    Failing(Reason, String),
    /// Nothing more happens until the object, or what it refers to, changes.
    Stalled(Reason, String),
}

impl Health {
    /// The health after a failure: stalled where trying again can not help, else failing.
    #[must_use]
    pub fn failed(reason: Reason, message: impl Into<String>) -> Self {
        if reason.is_stalled() {
            Self::Stalled(reason, message.into())
        } else {
            Self::Failing(reason, message.into())
        }
    }
}

/// The conditions of an object.
///
/// kstatus (the cli-utils project, "Conditions") wants Reconciling and Stalled only where they are true, and Ready
/// always.
pub struct Conditions;

impl Conditions {
    /// The conditions for `health`, with the transition times of `before` kept where the status is the same.
    #[must_use]
    pub fn of(
        health: &Health,
        generation: Option<i64>,
        now: Timestamp,
        before: &[Condition],
    ) -> Vec<Condition> {
        let one = |kind: &str, status: &str, reason: Reason, message: &str| {
            let since = before
                .iter()
                .find(|c| c.type_ == kind && c.status == status)
                .map_or(Time(now), |c| c.last_transition_time.clone());
            Condition {
                type_: kind.to_owned(),
                status: status.to_owned(),
                reason: reason.as_str().to_owned(),
                message: capped(message),
                observed_generation: generation,
                last_transition_time: since,
            }
        };
        match health {
            Health::AsBefore => before.to_vec(),
            Health::Ready(reason, message) => vec![one("Ready", "True", *reason, message)],
            Health::Reconciling(message) => vec![
                one("Ready", "Unknown", Reason::Progressing, message),
                one("Reconciling", "True", Reason::Progressing, message),
            ],
            Health::Failing(reason, message) => vec![
                one("Ready", "False", *reason, message),
                one("Reconciling", "True", *reason, "it is tried again by itself"),
            ],
            Health::Stalled(reason, message) => {
                vec![one("Ready", "False", *reason, message), one("Stalled", "True", *reason, message)]
            }
        }
    }

    /// The reason of the condition Ready, where there is one.
    #[must_use]
    pub fn ready_reason(conditions: &[Condition]) -> Option<&str> {
        conditions.iter().find(|c| c.type_ == "Ready").map(|c| c.reason.as_str())
    }
}

fn capped(message: &str) -> String {
    if message.len() <= MAX_MESSAGE {
        return message.to_owned();
    }
    let end = (0..=MAX_MESSAGE).rev().find(|&at| message.is_char_boundary(at)).unwrap_or(0);
    format!("{}…", message.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_transition_time_until_the_status_flips() {
        let first = Timestamp::UNIX_EPOCH;
        let later = Timestamp::from_second(60).unwrap();
        let ready = |text: &str| Health::Ready(Reason::Succeeded, text.into());
        let before = Conditions::of(&ready("a"), Some(1), first, &[]);
        let same = Conditions::of(&ready("b"), Some(2), later, &before);
        assert_eq!((same[0].last_transition_time.0, same[0].message.as_str()), (first, "b"));
        let flipped =
            Conditions::of(&Health::Failing(Reason::Unreachable, "c".into()), Some(2), later, &same);
        assert_eq!((flipped[0].last_transition_time.0, flipped[0].status.as_str()), (later, "False"));
    }

    #[test]
    fn a_failure_that_needs_a_person_is_stalled() {
        let types = |health: &Health| -> Vec<String> {
            Conditions::of(health, None, Timestamp::UNIX_EPOCH, &[]).into_iter().map(|c| c.type_).collect()
        };
        assert_eq!(types(&Health::failed(Reason::InvalidSpec, "x")), ["Ready", "Stalled"]);
        assert_eq!(types(&Health::failed(Reason::Unreachable, "x")), ["Ready", "Reconciling"]);
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let message = capped(&"é".repeat(2000));
        assert!(message.len() <= MAX_MESSAGE + 3 && message.ends_with('…'));
    }
}
