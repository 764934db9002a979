//! Shamir's secret sharing over GF(2^8) with the polynomial 0x11b, byte by byte. Leaves out any check that shares
//! belong together: the scheme has none, so the caller verifies what comes out.
//!
//! A share is the values for each byte of the secret, followed by the point at which they were taken (never 0). No
//! step depends in time or memory access on a secret byte.

use aws_lc_rs::rand;
use zeroize::Zeroizing;

use super::Key;
use crate::Error;

/// The most shares: the field has 255 points besides zero.
pub const MAX_SHARES: u8 = 255;

/// Splits a secret into shares of which any `threshold` give it back, and fewer say nothing about it.
///
/// # Errors
/// [`Error::InvalidConfig`] for a threshold below two or above the shares, or an empty secret.
pub fn split(secret: &[u8], shares: u8, threshold: u8) -> Result<Vec<Key>, Error> {
    let wrong = |text: &str| Err(Error::InvalidConfig(text.into()));
    if shares < threshold {
        return wrong("threshold cannot be larger than shares");
    }
    if threshold < 2 {
        return wrong("threshold must be greater than one for multiple shares");
    }
    if secret.is_empty() {
        return wrong("an empty secret cannot be split");
    }
    let points = distinct_points(shares)?;
    let mut parts: Vec<Key> =
        points.iter().map(|_| Zeroizing::new(Vec::with_capacity(secret.len() + 1))).collect();
    let mut polynomial = Zeroizing::new(vec![0u8; usize::from(threshold)]);
    for &byte in secret {
        random(&mut polynomial[1..])?;
        polynomial[0] = byte;
        for (part, &x) in parts.iter_mut().zip(&points) {
            let y = polynomial.iter().rev().fold(0, |y, &coefficient| mul(y, x) ^ coefficient);
            part.push(y);
        }
    }
    for (part, &x) in parts.iter_mut().zip(&points) {
        part.push(x);
    }
    Ok(parts)
}

/// Gives the secret back. With too few shares, or shares of different secrets, the result is meaningless.
///
/// # Errors
/// [`Error::InvalidShare`] for fewer than two shares, or shares of unequal length, or two of the same point.
pub fn combine(parts: &[Key]) -> Result<Key, Error> {
    let wrong = |text: &str| Err(Error::InvalidShare(text.into()));
    let [first, rest @ ..] = parts else { return wrong("no key shares were given") };
    if rest.is_empty() {
        return wrong("one key share is not enough to recover the key");
    }
    if first.len() < 2 || rest.iter().any(|part| part.len() != first.len()) {
        return wrong("the key shares differ in length");
    }
    let len = first.len() - 1;
    let points: Vec<u8> = parts.iter().map(|part| part[len]).collect();
    for (place, point) in points.iter().enumerate() {
        if *point == 0 || points[..place].contains(point) {
            return wrong("a key share was given twice, or is not a share");
        }
    }
    let mut secret = Zeroizing::new(vec![0u8; len]);
    for (part, weight) in parts.iter().zip(weights(&points)) {
        for (byte, &y) in secret.iter_mut().zip(part.iter()) {
            *byte ^= mul(y, weight);
        }
    }
    Ok(secret)
}

/// Lagrange's weights for the value at zero.
fn weights(points: &[u8]) -> Vec<u8> {
    let weight = |x: u8| {
        let others = points.iter().filter(|&&other| other != x);
        others.fold(1, |weight, &other| mul(weight, mul(other, inverse(other ^ x))))
    };
    points.iter().map(|&x| weight(x)).collect()
}

fn mul(a: u8, b: u8) -> u8 {
    (0..8).rev().fold(0u8, |product, bit| {
        let reduced = (product << 1) ^ (0x1b & (product >> 7).wrapping_neg());
        reduced ^ (a & (b >> bit & 1).wrapping_neg())
    })
}

/// a^254, which is 1/a.
fn inverse(a: u8) -> u8 {
    let mut square = a;
    let mut inverse = 1;
    for _ in 0..7 {
        square = mul(square, square);
        inverse = mul(inverse, square);
    }
    inverse
}

/// Points of the field without zero, in an order that nobody can guess.
fn distinct_points(count: u8) -> Result<Vec<u8>, Error> {
    let mut points: Vec<u8> = (1..=MAX_SHARES).collect();
    for place in 0..usize::from(count) {
        let remaining = points.len() - place;
        points.swap(place, place + below(remaining)?);
    }
    points.truncate(usize::from(count));
    Ok(points)
}

/// A uniform number below `bound` (1 to 255): bytes beyond the last whole multiple are thrown away.
fn below(bound: usize) -> Result<usize, Error> {
    let usable = 256 - 256 % bound;
    loop {
        let mut byte = [0];
        random(&mut byte)?;
        let value = usize::from(byte[0]);
        if value < usable {
            return Ok(value % bound);
        }
    }
}

fn random(bytes: &mut [u8]) -> Result<(), Error> {
    rand::fill(bytes).map_err(|_| Error::Crypto("no random bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(text: &str) -> Key {
        Zeroizing::new(hex::decode(text).expect("hex"))
    }

    /// Made by `shamir.Split` of OpenBao's sdk v2.6.2; the secret is 3, 10, 17, …
    const SECRET: fn() -> Vec<u8> =
        || (0..32u8).map(|n| n.wrapping_mul(7).wrapping_add(3)).collect();
    const TWO_OF_TWO: [&str; 2] = [
        "1958c97114fb2191d48a13d97b0dded58112722a859b98b48603b8365f3b676d87",
        "0a49cf6875e7f0e60bab9c31e449f554fd5e5bedb11f82934c1ced05c5f7877214",
    ];
    const THREE_OF_FIVE: [&str; 5] = [
        "9e8e430b54a232b9b5696d640d22bcc8805f04e5db66cd22fb0afacde349e7bc95",
        "d2fd4fcfaddddac051e6a98ced3e52f4e2e4976d337ea3b269dc25a5477b128eef",
        "876c44a660a554088d1d2afd14043c4bc1bf54300a037849c07318a5cd8b2b18c4",
        "7aa05123f43a006808cf2b00983642c37a9009f47feadc8927f5a53d62720352d4",
        "f7f28a8a4a5b98fd9c1ebc26e0fd73f7b5dcab1365eacbced2730273764bd82704",
    ];

    #[test]
    fn shares_made_by_the_reference_combine() {
        let parts: Vec<Key> = TWO_OF_TWO.into_iter().map(part).collect();
        assert_eq!(*combine(&parts).expect("combine"), SECRET());
        let parts: Vec<Key> = THREE_OF_FIVE.into_iter().map(part).collect();
        for (a, b, c) in [(0, 1, 2), (4, 2, 0), (1, 3, 4), (3, 0, 2)] {
            let chosen = [parts[a].clone(), parts[b].clone(), parts[c].clone()];
            assert_eq!(*combine(&chosen).expect("combine"), SECRET());
        }
        assert_eq!(*combine(&parts).expect("more than needed do no harm"), SECRET());
        assert_ne!(
            *combine(&parts[..2]).expect("combine"),
            SECRET(),
            "two of three are not enough"
        );
    }

    #[test]
    fn what_is_split_combines_for_every_size() {
        for (shares, threshold) in [(2, 2), (3, 2), (5, 3), (7, 7), (255, 4), (255, 255)] {
            let secret = SECRET();
            let parts = split(&secret, shares, threshold).expect("split");
            assert_eq!(parts.len(), usize::from(shares));
            let mut points: Vec<u8> = parts.iter().map(|part| part[32]).collect();
            points.sort_unstable();
            points.dedup();
            assert_eq!(points.len(), usize::from(shares), "points repeat");
            let last = &parts[parts.len() - usize::from(threshold)..];
            assert_eq!(*combine(last).expect("combine"), secret, "{shares} {threshold}");
        }
    }

    #[test]
    fn the_field_is_the_one_of_the_reference() {
        // 0x53 and 0xca are each other's inverse modulo x^8 + x^4 + x^3 + x + 1 (FIPS 197).
        assert_eq!(mul(0x53, 0xca), 1);
        assert_eq!(mul(0x57, 0x83), 0xc1);
        for a in 1..=255 {
            assert_eq!(mul(a, inverse(a)), 1, "{a}");
        }
    }

    #[test]
    fn impossible_requests_are_refused() {
        for (shares, threshold) in [(2, 3), (5, 1), (5, 0)] {
            assert!(split(b"secret", shares, threshold).is_err());
        }
        assert!(split(b"", 3, 2).is_err());
        let parts: Vec<Key> = TWO_OF_TWO.into_iter().map(part).collect();
        assert!(combine(&parts[..1]).is_err());
        assert!(combine(&[]).is_err());
        assert!(combine(&[parts[0].clone(), parts[0].clone()]).is_err());
        assert!(combine(&[parts[0].clone(), part("0102")]).is_err());
        assert!(combine(&[part("01"), part("02")]).is_err());
        assert!(combine(&[part("0100"), part("0201")]).is_err(), "zero is not a point");
    }
}
