//! Vault's durations: `"1h30m"`, `"90"`, `"30d"`, `3600`.
//!
//! Leaves out how a duration is printed, and negative ones: no setting or rule means anything by
//! them.

use std::time::Duration;

use crate::{Kind, Value};

/// Reads a duration written as Vault and OpenBao read it: a bare number is seconds, a whole number
/// followed by `d` is days, else Go's form of number and unit pairs (`1.5h`, `1h30m`, `250ms`).
/// The empty text is zero. Surrounding spaces are ignored.
///
/// `None` where it is none of these, negative, or too long for Go's 64 bits of nanoseconds.
pub fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text.is_empty() || text == "0" {
        return Some(Duration::ZERO);
    }
    let text = text.strip_prefix('+').unwrap_or(text);
    if let Some(days) = text.strip_suffix('d') {
        return whole(days)?.checked_mul(86_400).and_then(seconds);
    }
    match whole(text) {
        Some(n) => seconds(n),
        None => pairs(text),
    }
}

impl Value {
    /// This value as a duration: a number of seconds, or a string as [`duration`] reads it.
    pub fn as_duration(&self) -> Option<Duration> {
        match &self.kind {
            Kind::Integer(n, _) => seconds(u64::try_from(*n).ok()?),
            Kind::Float(f) if *f >= 0.0 => seconds(*f as u64),
            Kind::String(text) => duration(text),
            _ => None,
        }
    }
}

fn whole(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

fn seconds(n: u64) -> Option<Duration> {
    nanoseconds(u128::from(n).checked_mul(1_000_000_000)?)
}

fn nanoseconds(n: u128) -> Option<Duration> {
    i64::try_from(n).ok().map(|n| Duration::from_nanos(n.unsigned_abs()))
}

fn pairs(mut text: &str) -> Option<Duration> {
    let mut total = 0_u128;
    while !text.is_empty() {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, rest) = text.split_at(end);
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let (unit, rest) = rest.split_at(end);
        total = total.checked_add(amount(number, scale(unit)?)?)?;
        text = rest;
    }
    nanoseconds(total)
}

fn amount(number: &str, scale: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u64>().ok() };
    let whole = u128::from(digits(whole)?).checked_mul(scale)?;
    // Digits past the nineteenth are below a nanosecond in every unit.
    let fraction = fraction.get(..fraction.len().min(19))?;
    let part = u128::from(digits(fraction)?) * scale / 10_u128.pow(fraction.len() as u32);
    whole.checked_add(part)
}

fn scale(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::duration;
    use std::time::Duration;

    #[test]
    fn every_form_of_duration_is_read() {
        for (text, millis) in [
            ("", 0),
            ("0", 0),
            ("90", 90_000),
            (" 90 ", 90_000),
            ("90s", 90_000),
            ("1h30m", 5_400_000),
            ("1.5h", 5_400_000),
            ("30d", 2_592_000_000),
            ("250ms", 250),
            (".5s", 500),
        ] {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in
            ["h", "1x", "1h30", "-1s", "1 h", ".", ".s", "d", "1.5d", "300000000000", "1h-5m"]
        {
            assert_eq!(duration(text), None, "{text:?}");
        }
    }
}
