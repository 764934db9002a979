//! Whole numbers of any size between decimal digits and bytes: Vault stores an elliptic curve's
//! numbers as JSON numbers of a hundred and fifty digits, which no integer type of ours holds.

use zeroize::Zeroizing;

/// Decimal digits that fit into one step of the conversion.
const STEP: usize = 9;
const BASE: u64 = 1_000_000_000;

/// Writes a number given as bytes, the highest first.
pub fn write(bytes: &[u8]) -> Zeroizing<String> {
    let mut rest = Zeroizing::new(bytes.to_vec());
    let mut groups = Zeroizing::new(Vec::new());
    while rest.iter().any(|byte| *byte != 0) {
        let mut remainder = 0u64;
        for byte in rest.iter_mut() {
            let value = remainder << 8 | u64::from(*byte);
            // Below 256: the remainder before was below the base.
            *byte = (value / BASE) as u8;
            remainder = value % BASE;
        }
        groups.push(remainder);
    }
    let mut text = Zeroizing::new(String::with_capacity(groups.len() * STEP + 1));
    for (at, group) in groups.iter().rev().enumerate() {
        let digits = Zeroizing::new(match at {
            0 => group.to_string(),
            _ => format!("{group:09}"),
        });
        text.push_str(&digits);
    }
    if text.is_empty() {
        text.push('0');
    }
    text
}

/// Reads digits into exactly `length` bytes, the highest first. `None`: something else than
/// digits, or a number that needs more bytes.
pub fn read(digits: &str, length: usize) -> Option<Zeroizing<Vec<u8>>> {
    if digits.is_empty() {
        return None;
    }
    let mut bytes = Zeroizing::new(vec![0u8; length]);
    for digit in digits.bytes() {
        if !digit.is_ascii_digit() {
            return None;
        }
        let mut carry = u32::from(digit - b'0');
        for byte in bytes.iter_mut().rev() {
            let value = u32::from(*byte) * 10 + carry;
            *byte = (value & 0xff) as u8;
            carry = value >> 8;
        }
        if carry != 0 {
            return None;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for bytes in [vec![0; 66], vec![0xff; 66], (0..66).collect(), vec![1, 0, 0, 0, 0, 0, 0]] {
            let text = write(&bytes);
            assert_eq!(*read(&text, bytes.len()).unwrap(), bytes, "{}", &*text);
        }
    }

    #[test]
    fn numbers_are_those_that_others_write() {
        assert_eq!(*write(&[0x3b, 0x9a, 0xca, 0x00]), "1000000000");
        assert_eq!(*write(&[1, 0, 0, 0, 0, 0, 0, 0, 0]), "18446744073709551616");
        assert_eq!(*read("18446744073709551615", 8).unwrap(), [0xff; 8]);
    }

    #[test]
    fn what_is_no_number_or_too_large_is_refused() {
        for text in ["", "-1", "1.0", "1e3", "0x10", " 1"] {
            assert!(read(text, 66).is_none(), "{text:?}");
        }
        assert!(read("256", 1).is_none());
        assert!(read("18446744073709551616", 8).is_none());
    }
}
