//! Points in time, as they are stored and shown: RFC 3339, and the year 1 for never.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// Where "now" comes from; tests bring their own.
pub type Clock = fn() -> SystemTime;

/// A point in time. The default is Go's zero time, which stands for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(#[serde(with = "time::serde::rfc3339")] OffsetDateTime);

impl Default for Moment {
    fn default() -> Self {
        Self(time::macros::datetime!(0001-01-01 00:00 UTC))
    }
}

impl Moment {
    /// What a clock shows.
    pub fn now(clock: Clock) -> Self {
        Self(clock().into())
    }

    /// That much later; the end of the calendar if it does not reach so far.
    pub fn after(self, duration: Duration) -> Self {
        let duration = time::Duration::try_from(duration).unwrap_or(time::Duration::MAX);
        Self(self.0.saturating_add(duration))
    }

    /// Whether it is a point in time at all.
    pub fn is_set(self) -> bool {
        self != Self::default()
    }
}

/// A length of time in whole seconds as Go writes it: `0s`, `1m30s`, `720h0m0s`.
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.0.as_secs();
        let (hours, minutes, seconds) = (total / 3600, total / 60 % 60, total % 60);
        match (hours, minutes) {
            (0, 0) => write!(f, "{seconds}s"),
            (0, _) => write!(f, "{minutes}m{seconds}s"),
            _ => write!(f, "{hours}h{minutes}m{seconds}s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_go_writes_them() {
        for text in [
            "0001-01-01T00:00:00Z",
            "2026-11-23T23:55:34.963942492Z",
            "2026-11-23T23:55:34.5Z",
            "2026-11-23T23:55:34Z",
        ] {
            let json = format!("{text:?}");
            let moment: Moment = serde_json::from_str(&json).unwrap();
            assert_eq!(serde_json::to_string(&moment).unwrap(), json);
        }
        assert!(!Moment::default().is_set());
        let now = Moment::now(SystemTime::now);
        assert!(now.after(Duration::MAX) > now);
    }

    #[test]
    fn lengths_of_time_are_written_in_hours_minutes_and_seconds() {
        for (seconds, text) in [(0, "0s"), (90, "1m30s"), (3600, "1h0m0s"), (2_764_800, "768h0m0s")]
        {
            assert_eq!(Span(Duration::from_secs(seconds)).to_string(), text);
        }
    }
}
