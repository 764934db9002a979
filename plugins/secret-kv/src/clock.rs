//! Points in time and lengths of time, written as the API writes them.
//!
//! Times are nanoseconds since 1970 in UTC, from 1678 to 2262; arithmetic stops at those ends
//! instead of failing. Deliberately absent: reading times (none arrives from outside) and time
//! zones.

use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize, Serializer};

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// Where "now" comes from; tests bring their own.
pub type Clock = fn() -> SystemTime;

/// A point in time: nanoseconds since 1970. Stored as that number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(i64);

impl Time {
    /// The time that a clock shows.
    pub fn from_system(time: SystemTime) -> Self {
        let nanos = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => {
                i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos)
            }
        };
        Self(nanos)
    }

    /// This time, and so many seconds more.
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(NANOS_PER_SECOND)))
    }

    /// The form in replies.
    pub fn stamp(self) -> Stamp {
        Stamp(Some(self))
    }
}

/// A time in a reply: RFC 3339 in UTC with as many decimals as it needs, or `""` for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(pub Option<Time>);

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Time(nanos)) = self.0 else { return Ok(()) };
        let (seconds, fraction) =
            (nanos.div_euclid(NANOS_PER_SECOND), nanos.rem_euclid(NANOS_PER_SECOND));
        let (days, second) =
            (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY));
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if fraction != 0 {
            let (mut digits, mut width) = (fraction, 9);
            while digits % 10 == 0 {
                digits /= 10;
                width -= 1;
            }
            write!(f, ".{digits:0width$}")?;
        }
        f.write_str("Z")
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar: years begin in
/// March here, so that the leap day is the last of its year, and 400 of them always have 146 097
/// days.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468; // from 0000-03-01
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

/// A length of time in whole seconds as replies show it: `0s`, `1m30s`, `720h0m0s`, `-1s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub i64);

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.0.unsigned_abs();
        if self.0 < 0 {
            f.write_str("-")?;
        }
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
    fn times_are_written_with_the_decimals_they_need() {
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_500_000_000, "1970-01-01T00:00:01.5Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (951_827_696_000_000_000, "2000-02-29T12:34:56Z"),
            (1_709_251_199_120_000_000, "2024-02-29T23:59:59.12Z"),
            (4_107_542_400_000_000_000, "2100-03-01T00:00:00Z"),
            (1_763_937_833_000_000_001, "2025-11-23T22:43:53.000000001Z"),
        ] {
            assert_eq!(Time(nanos).stamp().to_string(), text);
        }
        assert_eq!(Stamp(None).to_string(), "");
    }

    #[test]
    fn arithmetic_stops_at_the_ends_of_time() {
        assert_eq!(Time(5).plus_seconds(i64::MAX), Time(i64::MAX));
        assert_eq!(Time(5).plus_seconds(2), Time(2_000_000_005));
    }

    #[test]
    fn lengths_of_time_are_written_in_hours_minutes_and_seconds() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (90, "1m30s"),
            (3600, "1h0m0s"),
            (2_592_000, "720h0m0s"),
            (12_319, "3h25m19s"),
            (-1, "-1s"),
        ] {
            assert_eq!(Span(seconds).to_string(), text);
        }
    }
}
