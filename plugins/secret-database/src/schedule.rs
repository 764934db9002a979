//! Schedules of rotations: the five fields of cron (minute, hour, day of month, month, day of week),
//! in UTC.
//!
//! As everywhere in cron, a day counts if day of month or day of week fits, where both are
//! restricted. Left out: seconds, years, time zones, and words such as `@daily`.

use time::{Date, Duration, OffsetDateTime, Time};

/// How far ahead is looked: a schedule that never comes (31 February) ends here.
const DAYS: usize = 5 * 366;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// A schedule. Each number is a set of bits: bit 5 of `minutes` is minute 5.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether the fields of days say more than `*`.
    days_restricted: bool,
    weekdays_restricted: bool,
}

/// Why a text is no schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoSchedule(String);

impl std::fmt::Display for NoSchedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// One field: its name, its range, and words for its numbers.
struct Field {
    name: &'static str,
    first: u32,
    last: u32,
    words: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", first: 0, last: 59, words: &[] },
    Field { name: "hour", first: 0, last: 23, words: &[] },
    Field { name: "day of month", first: 1, last: 31, words: &[] },
    Field { name: "month", first: 1, last: 12, words: &MONTHS },
    // Sunday is 0 and 7.
    Field { name: "day of week", first: 0, last: 7, words: &WEEKDAYS },
];

impl Schedule {
    /// Reads the five fields.
    pub fn parse(text: &str) -> Result<Self, NoSchedule> {
        let parts: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = parts.as_slice() else {
            let count = parts.len();
            return Err(NoSchedule(format!("expected exactly 5 fields, found {count}")));
        };
        let [of_minute, of_hour, of_day, of_month, of_weekday] = &FIELDS;
        let mut weekday_bits = of_weekday.parse(weekdays)?;
        weekday_bits |= (weekday_bits >> 7) & 1;
        Ok(Self {
            minutes: of_minute.parse(minutes)?,
            hours: of_hour.parse(hours)?,
            days: of_day.parse(days)?,
            months: of_month.parse(months)?,
            weekdays: weekday_bits,
            days_restricted: !is_star(days),
            weekdays_restricted: !is_star(weekdays),
        })
    }

    /// The first time after this one; none if there is none within five years.
    pub fn after(&self, time: OffsetDateTime) -> Option<OffsetDateTime> {
        let time = time.to_offset(time::UtcOffset::UTC) + Duration::minutes(1);
        let mut date = time.date();
        let mut earliest = (time.hour(), time.minute());
        for _ in 0..DAYS {
            if self.has_day(date)
                && let Some(at) = self.first_in_day(earliest)
            {
                return Some(date.with_time(at).assume_utc());
            }
            earliest = (0, 0);
            date = date.next_day()?;
        }
        None
    }

    fn has_day(&self, date: Date) -> bool {
        let in_month = has(self.months, u32::from(u8::from(date.month())));
        let day = has(self.days, u32::from(date.day()));
        let weekday = has(self.weekdays, u32::from(date.weekday().number_days_from_sunday()));
        let fits = match (self.days_restricted, self.weekdays_restricted) {
            (true, true) => day || weekday,
            _ => day && weekday,
        };
        in_month && fits
    }

    fn first_in_day(&self, (hour, minute): (u8, u8)) -> Option<Time> {
        let from = |bits: u64, first: u8| (first..64).find(|n| has(bits, u32::from(*n)));
        let this = has(self.hours, u32::from(hour)).then(|| from(self.minutes, minute)).flatten();
        let (hour, minute) = match this {
            Some(minute) => (hour, minute),
            None => (from(self.hours, hour + 1)?, from(self.minutes, 0)?),
        };
        Time::from_hms(hour, minute, 0).ok()
    }
}

fn has(bits: u64, number: u32) -> bool {
    number < 64 && bits >> number & 1 == 1
}

fn is_star(field: &str) -> bool {
    field.split(',').any(|part| part == "*" || part == "?")
}

impl Field {
    fn parse(&self, text: &str) -> Result<u64, NoSchedule> {
        text.split(',').try_fold(0, |bits, part| Ok(bits | self.part(part)?))
    }

    /// `*`, `5`, `1-5`, and each with a step: `*/15`, `5/10`, `1-30/2`.
    fn part(&self, part: &str) -> Result<u64, NoSchedule> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (part, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if matches!(range, "*" | "?") => (self.first, self.last.min(self.usual_last())),
            Some((first, last)) => (self.number(first)?, self.number(last)?),
            None => {
                let first = self.number(range)?;
                // `5/10` goes on to the end.
                (first, if step.is_some() { self.last.min(self.usual_last()) } else { first })
            }
        };
        let step = match step.map(str::parse::<u32>) {
            None => 1,
            Some(Ok(step)) if step > 0 => step,
            Some(_) => return Err(self.wrong("a step must be a number above zero")),
        };
        if first > last {
            return Err(self.wrong("a range begins after its end"));
        }
        let step = usize::try_from(step).unwrap_or(usize::MAX);
        Ok((first..=last).step_by(step).fold(0, |bits, number| bits | 1 << number))
    }

    /// Sunday as 7 is only what somebody wrote, never what `*` means.
    fn usual_last(&self) -> u32 {
        if self.first == 0 && self.last == 7 { 6 } else { self.last }
    }

    fn number(&self, text: &str) -> Result<u32, NoSchedule> {
        let lower = text.to_ascii_lowercase();
        if let Some(at) = self.words.iter().position(|word| *word == lower) {
            return Ok(self.first + u32::try_from(at).unwrap_or_default());
        }
        let number: u32 =
            text.parse().map_err(|_| self.wrong("neither a number nor a name that is known"))?;
        match (self.first..=self.last).contains(&number) {
            true => Ok(number),
            false => Err(self.wrong("out of range")),
        }
    }

    fn wrong(&self, why: &str) -> NoSchedule {
        let Self { name, first, last, .. } = self;
        NoSchedule(format!("the {name} ({first} to {last}): {why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::format_description::well_known::Rfc3339;

    fn at(text: &str) -> OffsetDateTime {
        OffsetDateTime::parse(text, &Rfc3339).unwrap()
    }

    fn next(schedule: &str, after: &str) -> String {
        let next = Schedule::parse(schedule).unwrap().after(at(after));
        next.map_or("never".to_owned(), |next| next.format(&Rfc3339).unwrap())
    }

    #[test]
    fn the_next_time_is_found() {
        for (schedule, after, wanted) in [
            ("* * * * *", "2026-03-04T05:06:07Z", "2026-03-04T05:07:00Z"),
            ("*/15 * * * *", "2026-03-04T05:46:00Z", "2026-03-04T06:00:00Z"),
            ("0 0 * * SAT", "2026-11-25T10:00:00Z", "2026-11-28T00:00:00Z"),
            ("0 0 * * 7", "2026-11-25T10:00:00Z", "2026-11-29T00:00:00Z"),
            ("30 4 1,15 * *", "2026-11-15T04:30:00Z", "2026-12-01T04:30:00Z"),
            ("5 4 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T04:05:00Z"),
            ("59 23 31 dec *", "2026-12-31T23:59:00Z", "2027-12-31T23:59:00Z"),
            ("10-20/5 8-10 * jan-mar mon-fri", "2026-01-02T10:20:30Z", "2026-01-05T08:10:00Z"),
            ("40/10 0 * * *", "2026-01-02T00:50:00Z", "2026-01-03T00:40:00Z"),
            ("0 0 31 2 *", "2026-01-02T00:50:00Z", "never"),
            // Either of the two kinds of day will do.
            ("0 0 13 * fri", "2026-11-25T00:00:00Z", "2026-11-27T00:00:00Z"),
            ("0 0 13 * fri", "2026-12-11T00:00:00Z", "2026-12-13T00:00:00Z"),
            // In UTC, whatever the clock that asks.
            ("0 12 * * *", "2026-01-01T12:30:00+01:00", "2026-01-01T12:00:00Z"),
        ] {
            assert_eq!(next(schedule, after), wanted, "{schedule} after {after}");
        }
    }

    #[test]
    fn what_is_no_schedule_is_told_which_field_is_wrong() {
        for (schedule, wanted) in [
            ("", "expected exactly 5 fields, found 0"),
            ("* * * *", "expected exactly 5 fields, found 4"),
            ("60 * * * *", "the minute (0 to 59): out of range"),
            ("* 5-3 * * *", "the hour (0 to 23): a range begins after its end"),
            ("* * 0 * *", "the day of month (1 to 31): out of range"),
            ("* * * foo *", "the month (1 to 12): neither a number nor a name that is known"),
            ("* * * * */0", "the day of week (0 to 7): a step must be a number above zero"),
            ("* * * * 1,,2", "the day of week (0 to 7): neither a number nor a name that is known"),
        ] {
            assert_eq!(Schedule::parse(schedule).unwrap_err().to_string(), wanted, "{schedule}");
        }
    }
}
