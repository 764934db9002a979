//! How Go writes what auth methods store: durations as nanoseconds, empty lists as `null`.

use serde::{Deserialize, Deserializer};

/// Reads `null` as the default: Go writes an empty list or map so.
pub fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// For `#[serde(with = "..")]`: a duration as a whole number of nanoseconds, at most 2⁶³−1 (292
/// years). Negative ones are read as zero: nothing stored means them.
pub mod nanoseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes it.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }

    /// Reads it.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let nanoseconds = Option::<i64>::deserialize(deserializer)?.unwrap_or_default();
        Ok(Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default()))
    }
}
