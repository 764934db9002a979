//! Durations as clients write them, in whole seconds, possibly negative: `90`, `"90"`, `"1h30m"`,
//! `"2d"`, `"-1s"`, `""`.
//!
//! The framework's `Ttl` reads the same but not below zero, and only in fields; secrets of version
//! 1 carry durations inside.

use boltwork_sdk::logical::Error;
use serde_json::Value;

/// Reads a field. The error names the field and never the value.
pub fn field(name: &str, value: &Value) -> Result<i64, Error> {
    of(value).ok_or_else(|| {
        Error::invalid(format!(
            "Field validation failed: error converting input for field {name:?}: expected a \
             duration: seconds, or a text like \"30d\" or \"1h30m\""
        ))
    })
}

/// The seconds that a JSON value stands for; `None` if it is no duration. `null` is none at all.
pub fn of(value: &Value) -> Option<i64> {
    match value {
        Value::Null => Some(0),
        Value::Number(number) => number.as_i64(),
        Value::String(text) => of_text(text),
        _ => None,
    }
}

fn of_text(text: &str) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    if let Some(days) = text.strip_suffix('d') {
        return days.parse::<i64>().ok()?.checked_mul(86_400);
    }
    let (sign, text) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let mut nanos = 0i128;
    let mut rest = text;
    while !rest.is_empty() {
        let (amount, after) = decimal(rest)?;
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        nanos = nanos.checked_add(amount.checked_mul(unit_in_nanos(unit)?)? / MILLIARDTH)?;
        rest = after;
    }
    if text.is_empty() || nanos > i128::from(i64::MAX) {
        return None;
    }
    i64::try_from(sign * (nanos / 1_000_000_000)).ok()
}

/// Decimals are read as whole numbers of this part of one.
const MILLIARDTH: i128 = 1_000_000_000;

/// A decimal number at the start, in milliardths, and what follows it.
fn decimal(text: &str) -> Option<(i128, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || whole.len() > 19 {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut part = 0;
    for place in 0..9 {
        part =
            part * 10 + fraction.as_bytes().get(place).map_or(0, |digit| i128::from(digit - b'0'));
    }
    Some((whole * MILLIARDTH + part, rest))
}

fn unit_in_nanos(unit: &str) -> Option<i128> {
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
    use serde_json::json;

    use super::*;

    #[test]
    fn durations_are_read_as_vault_reads_them() {
        for (value, seconds) in [
            (json!(90), Some(90)),
            (json!("90"), Some(90)),
            (json!("-5"), Some(-5)),
            (json!(""), Some(0)),
            (json!(null), Some(0)),
            (json!("1.5h"), Some(5400)),
            (json!("1h30m5s"), Some(5405)),
            (json!("2d"), Some(172_800)),
            (json!("-1s"), Some(-1)),
            (json!("1.5s"), Some(1)),
            (json!(".5m"), Some(30)),
            (json!("1500ms"), Some(1)),
            (json!("720h0m0s"), Some(2_592_000)),
            (json!("junk"), None),
            (json!("1.5"), None),
            (json!(1.5), None),
            (json!("1h30"), None),
            (json!("h"), None),
            (json!("."), None),
            (json!("-"), None),
            (json!("1.2.3s"), None),
            (json!("1.5d"), None),
            (json!("99999999999999999999h"), None),
            (json!("9999999999999h"), None),
            (json!("9223372036854775807d"), None),
            (json!(true), None),
            (json!([1]), None),
        ] {
            assert_eq!(of(&value), seconds, "{value}");
        }
    }

    #[test]
    fn the_error_names_the_field_and_not_the_value() {
        let text = field("after", &json!("hunter2")).unwrap_err().to_string();
        assert!(text.contains("\"after\"") && !text.contains("hunter2"), "{text}");
    }
}
