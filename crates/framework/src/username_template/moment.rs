//! Go's layouts for moments: the reference moment `Mon Jan 2 15:04:05 MST 2006`, written as one
//! wants to see others. Always in UTC.

use std::fmt::Write as _;

use time::OffsetDateTime;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Longer ones before their beginnings.
const PARTS: [&str; 30] = [
    "January",
    "Jan",
    "Monday",
    "Mon",
    "MST",
    "2006",
    "-07:00:00",
    "-07:00",
    "-070000",
    "-0700",
    "-07",
    "Z07:00:00",
    "Z07:00",
    "Z070000",
    "Z0700",
    "Z07",
    "002",
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "15",
    "__2",
    "_2",
    "PM",
    "pm",
    "1",
    "2",
];
const SHORT: [&str; 3] = ["3", "4", "5"];

/// Writes a moment in a layout.
pub(super) fn format(moment: OffsetDateTime, layout: &str) -> String {
    let mut output = String::new();
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        let fraction = fraction(rest);
        if fraction > 0 {
            let nanoseconds = format!("{:09}", moment.nanosecond());
            let digits = &nanoseconds[..fraction.min(9)];
            let trims = rest.as_bytes()[1] == b'9';
            let digits = if trims { digits.trim_end_matches('0') } else { digits };
            if !(trims && digits.is_empty()) {
                output.push(first);
                output.push_str(digits);
            }
            rest = &rest[1 + fraction..];
            continue;
        }
        let part = PARTS.iter().chain(&SHORT).find(|part| starts_with(rest, part));
        match part {
            Some(part) => {
                write(&mut output, moment, part);
                rest = &rest[part.len()..];
            }
            None => {
                output.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    output
}

/// `Jan` and `Mon` are none in a word that goes on in lower case (`Janet`).
fn starts_with(rest: &str, part: &str) -> bool {
    let Some(after) = rest.strip_prefix(part) else { return false };
    part != "Jan" && part != "Mon" || !after.starts_with(|c: char| c.is_ascii_lowercase())
}

/// Digits of a second's fraction that the layout wants here (`.000`, `,999`); none if no digit is
/// to follow them.
fn fraction(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    if !matches!(bytes.first(), Some(b'.' | b',')) {
        return 0;
    }
    let Some(digit @ (b'0' | b'9')) = bytes.get(1) else { return 0 };
    let length = bytes[1..].iter().take_while(|byte| *byte == digit).count();
    let ends = bytes.get(1 + length).is_none_or(|byte| !byte.is_ascii_digit());
    if ends { length } else { 0 }
}

fn write(output: &mut String, moment: OffsetDateTime, part: &str) {
    let month = u8::from(moment.month());
    let name = MONTHS[usize::from(month - 1)];
    let day = DAYS[usize::from(moment.weekday().number_days_from_monday())];
    let hour = moment.hour();
    let twelve = match hour % 12 {
        0 => 12,
        hour => hour,
    };
    // Writing to a string cannot fail.
    let _ = match part {
        "January" => write!(output, "{name}"),
        "Jan" => write!(output, "{}", &name[..3]),
        "Monday" => write!(output, "{day}"),
        "Mon" => write!(output, "{}", &day[..3]),
        "2006" => write!(output, "{:04}", moment.year()),
        "06" => write!(output, "{:02}", moment.year().rem_euclid(100)),
        "01" => write!(output, "{month:02}"),
        "1" => write!(output, "{month}"),
        "02" => write!(output, "{:02}", moment.day()),
        "_2" => write!(output, "{:>2}", moment.day()),
        "2" => write!(output, "{}", moment.day()),
        "002" => write!(output, "{:03}", moment.ordinal()),
        "__2" => write!(output, "{:>3}", moment.ordinal()),
        "15" => write!(output, "{hour:02}"),
        "03" => write!(output, "{twelve:02}"),
        "3" => write!(output, "{twelve}"),
        "04" => write!(output, "{:02}", moment.minute()),
        "4" => write!(output, "{}", moment.minute()),
        "05" => write!(output, "{:02}", moment.second()),
        "5" => write!(output, "{}", moment.second()),
        "PM" => write!(output, "{}", if hour < 12 { "AM" } else { "PM" }),
        "pm" => write!(output, "{}", if hour < 12 { "am" } else { "pm" }),
        "MST" => write!(output, "UTC"),
        _ if part.starts_with('Z') => write!(output, "Z"),
        // Some form of `-07:00`: the offset of UTC.
        _ => write!(output, "{}", part.replace('-', "+").replace('7', "0")),
    };
}
