//! A password as PostgreSQL stores it (RFC 5803), so that the statement that sets it, and the
//! server's log of statements, hold no password.
//!
//! Left out on purpose: SASLprep. The password policies of the engine make ASCII, which it does not
//! change.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2, rand};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use boltwork_sdk::logical::SecretText;
use zeroize::Zeroizing;

/// PostgreSQL's own number.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).expect("not zero");
const SALT: usize = 16;

/// Hashes with a fresh salt; `None` if there are no random bytes.
pub fn hashed(password: &str) -> Option<SecretText> {
    let mut salt = [0; SALT];
    rand::fill(&mut salt).ok()?;
    Some(with_salt(password, &salt))
}

fn with_salt(password: &str, salt: &[u8]) -> SecretText {
    let mut salted = Zeroizing::new([0; digest::SHA256_OUTPUT_LEN]);
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        ITERATIONS,
        salt,
        password.as_bytes(),
        salted.as_mut_slice(),
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, salted.as_slice());
    let client = hmac::sign(&key, b"Client Key");
    let stored = digest::digest(&digest::SHA256, client.as_ref());
    let server = hmac::sign(&key, b"Server Key");
    let encode = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
    SecretText::new(format!(
        "SCRAM-SHA-256${ITERATIONS}:{}${}:{}",
        encode(salt),
        encode(stored.as_ref()),
        encode(server.as_ref())
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The password and salt of RFC 7677's example, whose keys follow from its messages.
    #[test]
    fn the_hash_is_that_of_the_rfc() {
        let salt = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        assert_eq!(
            with_salt("pencil", &salt).expose(),
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
             WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
    }

    #[test]
    fn each_hash_has_a_salt_of_its_own() {
        assert!(hashed("a").unwrap() != hashed("a").unwrap());
    }
}
