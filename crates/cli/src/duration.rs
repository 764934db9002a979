//! Durations as Go writes and Vault reads them, in nanoseconds.
//!
//! Leaves out days in output: Go has none.

const SECOND: i64 = 1_000_000_000;

/// Reads `90`, `90s`, `1h30m`, `2d`, `1.5h`; a bare number is seconds.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.is_empty() {
        return Some(0);
    }
    if let Ok(seconds) = text.parse::<i64>() {
        return seconds.checked_mul(SECOND);
    }
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let part = number * unit(&rest[..end])? as f64;
        // Beyond this a float no longer counts nanoseconds, and an i64 overflows.
        if part > i64::MAX as f64 / 2.0 {
            return None;
        }
        total = total.checked_add(part as i64)?;
        rest = &rest[end..];
    }
    Some(if negative { -total } else { total })
}

fn unit(name: &str) -> Option<i64> {
    Some(match name {
        "ns" => 1,
        "us" | "µs" => 1_000,
        "ms" => 1_000_000,
        "s" => SECOND,
        "m" => 60 * SECOND,
        "h" => 3600 * SECOND,
        "d" => 24 * 3600 * SECOND,
        _ => return None,
    })
}

/// Go's `Duration.String`: `1h0m0s`.
pub(crate) fn go(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    let second = SECOND as u64;
    if nanos == 0 {
        return "0s".into();
    }
    if nanos < second {
        let (unit, size) = match nanos {
            n if n < 1_000 => ("ns", 1),
            n if n < 1_000_000 => ("µs", 1_000),
            _ => ("ms", 1_000_000),
        };
        return format!("{sign}{}{unit}", decimal(nanos, size));
    }
    let minutes = nanos / (60 * second);
    let seconds = decimal(nanos % (60 * second), second);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, m) => format!("{sign}{m}m{seconds}s"),
        (h, m) => format!("{sign}{h}h{m}m{seconds}s"),
    }
}

fn decimal(value: u64, size: u64) -> String {
    let (whole, part) = (value / size, value % size);
    if part == 0 {
        return whole.to_string();
    }
    let width = size.ilog10() as usize;
    format!("{whole}.{}", format!("{part:0width$}").trim_end_matches('0'))
}

/// Seconds as people read them: `1h`, `1h30m`, `768h`.
pub(crate) fn human(seconds: i64) -> String {
    let Some(nanos) = seconds.checked_mul(SECOND) else { return seconds.to_string() };
    let mut text = go(nanos);
    if text.ends_with("m0s") {
        text.truncate(text.len() - 2);
    }
    if let Some(at) = text.find("h0m").filter(|at| *at > 0) {
        text.replace_range(at + 1..at + 3, "");
    }
    text
}

/// What the API wants for a TTL flag: nothing if unset, `system` for the server's own.
pub(crate) fn ttl(nanos: i64) -> String {
    match nanos {
        0 => String::new(),
        n if n < 0 => "system".into(),
        n => go(n),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_vault_reads_is_read() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("1h30m", 5400), ("2d", 172_800)] {
            assert_eq!(parse(text), Some(seconds * SECOND), "{text}");
        }
        assert_eq!(parse("1.5s"), Some(1_500_000_000));
        assert_eq!(parse("-1s"), Some(-SECOND));
        for text in ["x", "1x", "h", "9999999999999999999h"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn durations_print_as_go_prints_them() {
        for (nanos, text) in [
            (0, "0s"),
            (1_500_000, "1.5ms"),
            (3600 * SECOND, "1h0m0s"),
            (90 * SECOND, "1m30s"),
            (1_500_000_000, "1.5s"),
        ] {
            assert_eq!(go(nanos), text);
        }
    }

    #[test]
    fn zeros_are_left_out_for_people() {
        for (seconds, text) in [
            (0, "0s"),
            (3600, "1h"),
            (5400, "1h30m"),
            (2_764_800, "768h"),
            (60, "1m"),
            (3601, "1h1s"),
        ] {
            assert_eq!(human(seconds), text);
        }
    }
}
