//! Points in time and spans of it. Spans are signed nanoseconds on the wire, points are seconds
//! since 1970 that may lie before it; Go's zero time is the year 1 (wire spec 2.8).

use std::time::{Duration, SystemTime};

use prost_types::Timestamp;

use crate::WireError;

/// 0001-01-01T00:00:00Z, which Go means when it means nothing.
const GO_ZERO: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z, the last second that a timestamp may have.
const LAST: i64 = 253_402_300_799;
const NANOS: u32 = 1_000_000_000;

/// A span for the wire; what is longer than 292 years is that long.
pub fn duration_to_nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

/// A span from the wire. A negative one is refused: no field has a meaning for it.
pub fn duration_from_nanos(field: &'static str, nanos: i64) -> Result<Duration, WireError> {
    u64::try_from(nanos)
        .map(Duration::from_nanos)
        .map_err(|_| WireError::field(field, "a duration must not be negative"))
}

/// A point in time for the wire; nothing is Go's zero time.
pub fn time_to_wire(time: Option<SystemTime>) -> Timestamp {
    let Some(time) = time else { return Timestamp { seconds: GO_ZERO, nanos: 0 } };
    let (seconds, nanos) = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => (signed(after.as_secs()), after.subsec_nanos()),
        Err(before) => {
            let before = before.duration();
            match before.subsec_nanos() {
                0 => (-signed(before.as_secs()), 0),
                nanos => (-signed(before.as_secs()) - 1, NANOS - nanos),
            }
        }
    };
    Timestamp { seconds: seconds.clamp(GO_ZERO, LAST), nanos: i32::try_from(nanos).unwrap_or(0) }
}

fn signed(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

/// A point in time from the wire; Go's zero time is nothing.
pub fn time_from_wire(
    field: &'static str,
    time: &Timestamp,
) -> Result<Option<SystemTime>, WireError> {
    if (time.seconds, time.nanos) == (GO_ZERO, 0) {
        return Ok(None);
    }
    let bad = || WireError::field(field, "not a point in time");
    let nanos = u32::try_from(time.nanos).ok().filter(|nanos| *nanos < NANOS).ok_or_else(bad)?;
    if !(GO_ZERO..=LAST).contains(&time.seconds) {
        return Err(bad());
    }
    let whole = Duration::from_secs(time.seconds.unsigned_abs());
    let base = if time.seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(whole)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(whole)
    };
    base.and_then(|base| base.checked_add(Duration::from_nanos(nanos.into())))
        .map(Some)
        .ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_time_cross_both_ways() {
        let epoch = SystemTime::UNIX_EPOCH;
        for time in [
            None,
            Some(epoch),
            Some(epoch + Duration::new(1_700_000_000, 123_456_789)),
            Some(epoch - Duration::new(5, 250_000_000)),
            Some(epoch - Duration::from_secs(62_135_596_799)),
        ] {
            assert_eq!(time_from_wire("t", &time_to_wire(time)), Ok(time));
        }
    }

    #[test]
    fn the_zero_time_of_go_is_nothing() {
        assert_eq!(time_to_wire(None), Timestamp { seconds: -62_135_596_800, nanos: 0 });
    }

    #[test]
    fn hostile_timestamps_are_refused_without_panic() {
        for (seconds, nanos) in [
            (i64::MIN, 0),
            (i64::MAX, 0),
            (i64::MAX, i32::MAX),
            (0, -1),
            (0, 1_000_000_000),
            (LAST + 1, 0),
            (GO_ZERO - 1, 999_999_999),
        ] {
            let refused = time_from_wire("Lease.when", &Timestamp { seconds, nanos });
            assert!(refused.unwrap_err().to_string().contains("Lease.when"));
        }
    }

    #[test]
    fn spans_are_nanoseconds_and_saturate() {
        assert_eq!(duration_to_nanos(Duration::from_secs(3600)), 3_600_000_000_000);
        assert_eq!(duration_to_nanos(Duration::MAX), i64::MAX);
        assert_eq!(duration_from_nanos("t", 1), Ok(Duration::from_nanos(1)));
        assert!(duration_from_nanos("t", -1).is_err());
        assert!(duration_from_nanos("t", i64::MIN).is_err());
    }
}
