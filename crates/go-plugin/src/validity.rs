//! The two dates of an X.509 certificate (RFC 5280, 4.1.2.5), and nothing else of it.
//!
//! rustls hands a custom verifier the bytes only, and one pair of dates does not earn a parser
//! crate. Anything unexpected reads as "no certificate".

use time::{Date, Month, PrimitiveDateTime, Time};

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// When a certificate is valid, in seconds since 1970, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    pub not_before: i64,
    pub not_after: i64,
}

impl Validity {
    /// Reads the dates of a DER certificate.
    pub fn read(der: &[u8]) -> Option<Self> {
        let (certificate, _) = expect(der, SEQUENCE)?;
        let (body, _) = expect(certificate, SEQUENCE)?;
        let after_version = match expect(body, VERSION) {
            Some((_, rest)) => rest,
            None => body,
        };
        let (_serial, rest) = expect(after_version, INTEGER)?;
        let (_algorithm, rest) = expect(rest, SEQUENCE)?;
        let (_issuer, rest) = expect(rest, SEQUENCE)?;
        let (dates, _) = expect(rest, SEQUENCE)?;
        let (not_before, rest) = moment(dates)?;
        let (not_after, _) = moment(rest)?;
        Some(Self { not_before, not_after })
    }
}

/// Splits one element off: its tag, its content, what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        // Zero is BER's indefinite form; four bytes are more than any certificate needs.
        if count == 0 || count > 4 {
            return None;
        }
        let (bytes, rest) = rest.split_at_checked(count)?;
        (bytes.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn expect(der: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, content, rest) = element(der)?;
    (tag == wanted).then_some((content, rest))
}

fn moment(der: &[u8]) -> Option<(i64, &[u8])> {
    let (tag, text, rest) = element(der)?;
    let (year, text) = match tag {
        // Two digits mean 1950 to 2049.
        UTC_TIME => {
            let (year, text) = digits(text, 2)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, text)
        }
        GENERALIZED_TIME => digits(text, 4)?,
        _ => return None,
    };
    let (month, text) = digits(text, 2)?;
    let (day, text) = digits(text, 2)?;
    let (hour, text) = digits(text, 2)?;
    let (minute, text) = digits(text, 2)?;
    let (second, text) = digits(text, 2)?;
    if text != b"Z" {
        return None;
    }
    let small = |number: i32| u8::try_from(number).ok();
    let month = Month::try_from(small(month)?).ok()?;
    let date = Date::from_calendar_date(year, month, small(day)?).ok()?;
    let time = Time::from_hms(small(hour)?, small(minute)?, small(second)?).ok()?;
    Some((PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp(), rest))
}

fn digits(text: &[u8], count: usize) -> Option<(i32, &[u8])> {
    let (number, rest) = text.split_at_checked(count)?;
    let number = number.iter().try_fold(0, |sum, byte| {
        byte.is_ascii_digit().then(|| sum * 10 + i32::from(byte - b'0'))
    })?;
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dates(tag: u8, text: &str) -> Option<i64> {
        let mut der = vec![tag, text.len() as u8];
        der.extend_from_slice(text.as_bytes());
        moment(&der).map(|(seconds, _)| seconds)
    }

    #[test]
    fn both_forms_of_a_date_are_read() {
        assert_eq!(dates(UTC_TIME, "700101000000Z"), Some(0));
        assert_eq!(dates(UTC_TIME, "490101000000Z"), Some(2_493_072_000));
        assert_eq!(dates(GENERALIZED_TIME, "20560101000000Z"), Some(2_713_910_400));
    }

    #[test]
    fn a_date_that_is_none_is_refused() {
        for text in ["701301000000Z", "7001010000Z", "700101000000+", "70010100000xZ", ""] {
            assert_eq!(dates(UTC_TIME, text), None, "{text}");
        }
    }

    #[test]
    fn no_prefix_of_a_certificate_panics_or_passes() {
        let identity = crate::tls::Identity::generate().unwrap();
        let der = identity.certificate().unwrap();
        let validity = Validity::read(der).unwrap();
        assert_eq!(validity.not_after - validity.not_before, 262_980 * 3600 + 30);
        for end in 0..der.len() {
            assert_eq!(Validity::read(&der[..end]), None);
        }
    }
}
