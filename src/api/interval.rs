//! A length of time as it is written in a spec.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A length of time in Go's notation, as Kubernetes users write it: `30s`, `5m`, `1h30m`, `1.5h`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Interval(String);

/// A string that is no length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{input:?} is not a length of time: write numbers with units ms, s, m or h, such as 30s or 1h30m")]
pub struct InvalidInterval {
    /// What was given.
    pub input: String,
}

impl Interval {
    /// Takes the text as it is; [`Interval::duration`] judges it.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The length of time, at least one second: a shorter interval would only hammer a server.
    ///
    /// # Errors
    /// `InvalidInterval` where the text is not in the notation or its sum is beyond a hundred years.
    pub fn duration(&self) -> Result<Duration, InvalidInterval> {
        Ok(self.exact_duration()?.max(Duration::from_secs(1)))
    }

    /// The length of time as it is written.
    ///
    /// # Errors
    /// As [`Interval::duration`].
    pub fn exact_duration(&self) -> Result<Duration, InvalidInterval> {
        const HUNDRED_YEARS: f64 = 100.0 * 366.0 * 86_400.0;
        let invalid = || InvalidInterval { input: self.0.chars().take(40).collect() };
        let mut rest = self.0.as_str();
        let mut seconds = 0.0_f64;
        if rest.is_empty() {
            return Err(invalid());
        }
        while !rest.is_empty() {
            let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(invalid)?;
            let (number, tail) = rest.split_at_checked(unit_at).ok_or_else(invalid)?;
            let number: f64 = number.parse().map_err(|_| invalid())?;
            let (unit, tail) = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)]
                .into_iter()
                .find_map(|(name, unit)| tail.strip_prefix(name).map(|tail| (unit, tail)))
                .ok_or_else(invalid)?;
            seconds += number * unit;
            rest = tail;
        }
        if !seconds.is_finite() || seconds > HUNDRED_YEARS {
            return Err(invalid());
        }
        Ok(Duration::from_secs_f64(seconds))
    }
}

impl JsonSchema for Interval {
    fn schema_name() -> Cow<'static, str> {
        "Interval".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // The notation is a rule of each field, which can say in words what is wrong; a pattern can not.
        json_schema!({ "type": "string", "maxLength": 40 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_gos_notation() {
        for (text, millis) in
            [("5m", 300_000), ("1h30m", 5_400_000), ("1.5h", 5_400_000), ("2500ms", 2500), ("90s", 90_000)]
        {
            assert_eq!(Interval::new(text).duration().unwrap(), Duration::from_millis(millis), "{text}");
        }
    }

    #[test]
    fn is_never_shorter_than_a_second() {
        assert_eq!(Interval::new("1ms").duration().unwrap(), Duration::from_secs(1));
    }

    #[test]
    fn rejects_what_is_no_length_of_time() {
        for text in ["", "5", "m", "5 m", "-5m", "5d", "1..5h", "9e9h", "999999999999h"] {
            assert!(Interval::new(text).duration().is_err(), "{text}");
        }
    }
}
