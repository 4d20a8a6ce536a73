//! What is known of an image beyond its name.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::Platform;

/// What a manifest or an index, and the configuration that it names, say of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFacts {
    /// When it was built; `None` where it does not say so.
    pub built: Option<BuildTime>,
    /// The platforms that it exists for; none where that is not said.
    pub platforms: Arc<[Platform]>,
}

/// The moment at which an image was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BuildTime(Timestamp);

impl BuildTime {
    /// What a time says of a build: nothing, up to the second day of 1980. Reproducible builds set the year 1 (Go's zero
    /// time), 1970 (Unix) or 1980 (the first that a ZIP file can hold), in some time zone, to say nothing.
    #[must_use]
    pub fn of(time: Timestamp) -> Option<Self> {
        const SECOND_DAY_OF_1980: i64 = 315_619_200;
        (time.as_second() > SECOND_DAY_OF_1980).then_some(Self(time))
    }

    /// Reads a time of RFC 3339 as [`BuildTime::of`] takes it; `None` also where it is no time.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::of(text.parse().ok()?)
    }

    /// The moment itself.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        self.0
    }
}

impl fmt::Display for BuildTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_reproducible_builds_say_nothing() {
        for text in [
            "0001-01-01T00:00:00Z",
            "1970-01-01T00:00:00Z",
            "1970-01-01T00:00:01Z",
            "1980-01-01T00:00:00Z",
            "1980-01-01T00:00:01+01:00",
            "1980-01-01T12:00:00-11:00",
            "",
            "yesterday",
            "2026-01-01",
            "99999-01-01T00:00:00Z",
        ] {
            assert_eq!(BuildTime::parse(text), None, "{text}");
        }
        for (text, shown) in [
            ("2026-11-20T09:30:00Z", "2026-11-20T09:30:00Z"),
            ("2026-11-20T10:30:00.123456789+01:00", "2026-11-20T09:30:00.123456789Z"),
            ("1980-01-02T00:00:01Z", "1980-01-02T00:00:01Z"),
        ] {
            assert_eq!(BuildTime::parse(text).unwrap().to_string(), shown);
        }
    }
}
