//! Reading numbers, booleans and durations from text as Go does, so that what worked with Vault
//! works here.

/// Seconds in a day, for the unit `d`.
const DAY: f64 = 86_400.0;

/// A whole number in Go's syntax with base 0: `12`, `-3`, `0x1f`, `0b11`, `0o17`, `017`, `1_000`.
/// The empty text is zero, as in Vault.
pub(crate) fn integer(text: &str) -> Option<i128> {
    if text.is_empty() {
        return Some(0);
    }
    let (negative, digits) = match text.as_bytes()[0] {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, &lower[..]),
    };
    let digits = digits.replace('_', "");
    // `from_str_radix` would accept another sign here.
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    let value = i128::from_str_radix(&digits, base).ok()?;
    Some(if negative { -value } else { value })
}

/// A JSON number that is whole: `12`, `12.0`, `1.2e1`.
pub(crate) fn whole(number: &str) -> Option<i128> {
    if let Ok(value) = number.parse() {
        return Some(value);
    }
    let value: f64 = number.parse().ok()?;
    // Beyond 2^53 a float stands for many whole numbers; which one was meant is anybody's guess.
    #[expect(clippy::cast_possible_truncation, reason = "whole, and within 2^53")]
    (value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0).then_some(value as i128)
}

/// A boolean in Go's words; the empty text is false, as in Vault.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" | "" => Some(false),
        _ => None,
    }
}

/// Why a text is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoDuration {
    /// It cannot be read.
    Unreadable,
    /// It is below zero.
    Negative,
}

/// Whole seconds from a number of seconds or Go's syntax (`1h30m`, `90s`, `1.5h`) or days (`2d`).
/// The empty text is zero.
pub(crate) fn seconds(text: &str) -> Result<u64, NoDuration> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(0);
    }
    if let Ok(seconds) = text.parse::<i64>() {
        return u64::try_from(seconds).map_err(|_| NoDuration::Negative);
    }
    let (negative, body) = match text.strip_prefix('-') {
        Some(body) => (true, body),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let total = units(body).ok_or(NoDuration::Unreadable)?;
    if negative && total >= 1.0 {
        return Err(NoDuration::Negative);
    }
    // Go's durations end at 2^63 nanoseconds.
    if total > 9_223_372_036.0 {
        return Err(NoDuration::Unreadable);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    Ok(if negative { 0 } else { total as u64 })
}

/// The sum of `1h30m…`, in seconds.
fn units(mut rest: &str) -> Option<f64> {
    if rest.is_empty() {
        return None;
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        let unit_end = rest[end..].find(|c: char| c.is_ascii_digit() || c == '.');
        let unit_end = unit_end.map_or(rest.len(), |length| end + length);
        let scale = match &rest[end..unit_end] {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            // Vault's addition, alone: `2d`, not `1d12h`.
            "d" if total == 0.0 && unit_end == rest.len() => DAY,
            _ => return None,
        };
        total += number * scale;
        rest = &rest[unit_end..];
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_read_as_go_reads_them() {
        for (text, value) in [
            ("12", Some(12)),
            ("", Some(0)),
            ("-3", Some(-3)),
            ("+3", Some(3)),
            ("0x1F", Some(31)),
            ("0b11", Some(3)),
            ("0o17", Some(15)),
            ("017", Some(15)),
            ("0", Some(0)),
            ("1_000", Some(1000)),
            ("08", None),
            ("1.5", None),
            ("12 ", None),
            ("--1", None),
            ("0x", None),
            ("0x-1", None),
            ("twelve", None),
        ] {
            assert_eq!(integer(text), value, "{text:?}");
        }
        assert_eq!(whole("1e3"), Some(1000));
        assert_eq!(whole("5.0"), Some(5));
        assert_eq!(whole("5.5"), None);
        assert_eq!(whole("1e300"), None);
        assert_eq!(whole("18446744073709551615"), Some(u64::MAX.into()));
    }

    #[test]
    fn durations_are_read_as_vault_reads_them() {
        for (text, value) in [
            ("3600", Ok(3600)),
            ("1h", Ok(3600)),
            ("1h30m", Ok(5400)),
            ("1.5h", Ok(5400)),
            ("1500ms", Ok(1)),
            ("2d", Ok(172_800)),
            ("", Ok(0)),
            ("0", Ok(0)),
            (" 10s ", Ok(10)),
            ("-5", Err(NoDuration::Negative)),
            ("-1m", Err(NoDuration::Negative)),
            ("1", Ok(1)),
            ("h", Err(NoDuration::Unreadable)),
            ("1x", Err(NoDuration::Unreadable)),
            ("1d12h", Err(NoDuration::Unreadable)),
            ("1.2.3s", Err(NoDuration::Unreadable)),
            ("9999999999h", Err(NoDuration::Unreadable)),
        ] {
            assert_eq!(seconds(text), value, "{text:?}");
        }
    }
}
