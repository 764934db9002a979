//! Which keys exist: the limits every engine keeps. Leaves out what a key means.

use crate::Error;

/// The longest key, in bytes. The limit of bbolt, on which other servers of this kind keep their entries, so that
/// what fits here fits there.
pub const MAX_KEY_LEN: usize = 32_768;

/// The largest value, in bytes: the largest request body (32 MiB) with room for its envelope.
pub const MAX_VALUE_LEN: usize = 33 << 20;

/// The largest batch, keys and values and expectations together, in bytes.
pub const MAX_BATCH_LEN: usize = 64 << 20;

/// Accepts a key that names one entry.
///
/// # Errors
/// [`Error::InvalidKey`] when it is empty, longer than [`MAX_KEY_LEN`], starts or ends with `/`, or contains NUL or a
/// `..` segment.
pub fn validate_key(key: &str) -> Result<(), Error> {
    if key.is_empty() {
        return Err(invalid(key, "it is empty"));
    }
    if key.ends_with('/') {
        return Err(invalid(key, "it ends in '/', which names a folder"));
    }
    validate_prefix(key)
}

/// Accepts a prefix to list: as [`validate_key`], but empty and a final `/` are allowed.
///
/// # Errors
/// [`Error::InvalidKey`].
pub fn validate_prefix(prefix: &str) -> Result<(), Error> {
    if prefix.len() > MAX_KEY_LEN {
        return Err(invalid(prefix, "it is longer than 32768 bytes"));
    }
    if prefix.starts_with('/') {
        return Err(invalid(prefix, "it starts with '/'"));
    }
    let bytes = prefix.as_bytes();
    if bytes.contains(&0) {
        return Err(invalid(prefix, "it contains a NUL byte"));
    }
    if prefix.contains("..") && prefix.split('/').any(|segment| segment == "..") {
        return Err(invalid(prefix, "it contains a '..' segment"));
    }
    Ok(())
}

fn invalid(key: &str, reason: &'static str) -> Error {
    const SHOWN: usize = 120;
    let mut shown: String = key.chars().take(SHOWN).collect();
    if shown.len() < key.len() {
        shown.push('…');
    }
    Error::InvalidKey { key: shown, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_could_leave_their_place_are_refused() {
        for bad in ["", "/a", "a/", "a/../b", "..", "../a", "a/..", "a\0b", &"x".repeat(32_769)] {
            assert!(validate_key(bad).is_err(), "{bad:.20?} was accepted");
        }
        for good in ["a", "a/b", "a..b/c", "a/...", "a/.", "ü/€", &"x".repeat(32_768)] {
            assert!(validate_key(good).is_ok(), "{good:.20?} was refused");
        }
        assert!(validate_prefix("").is_ok() && validate_prefix("a/").is_ok());
        assert!(validate_prefix("a/../").is_err());
    }

    #[test]
    fn a_refused_key_is_shortened_in_the_error() {
        let text = validate_key(&"k".repeat(40_000)).expect_err("too long").to_string();
        assert!(text.len() < 300, "{}", text.len());
    }
}
