//! Keyed digests of tokens and accessors: what they are stored and cached under.

use std::fmt;

use aws_lc_rs::hmac;

/// HMAC-SHA256 of a token or accessor under the store's own salt.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Reads the form that storage keys have.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.strip_prefix('h')?, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// First bytes, to choose a shard by.
    pub fn shard(&self, of: usize) -> usize {
        usize::from(u16::from_le_bytes([self.0[0], self.0[1]])) % of.max(1)
    }
}

/// The form that storage keys have: `h` and hex, as Vault writes its keyed token ids.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "h{}", hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Makes digests.
pub struct Digester(hmac::Key);

impl Digester {
    /// A digester with this salt.
    pub fn new(salt: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, salt))
    }

    /// The digest of a token or accessor.
    pub fn digest(&self, text: &str) -> Digest {
        let tag = hmac::sign(&self.0, text.as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(tag.as_ref());
        Digest(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_back_from_its_key_form() {
        let digest = Digester::new(b"salt").digest("token");
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        assert_eq!(Digest::parse("h12"), None);
        assert_ne!(Digester::new(b"other").digest("token"), digest);
    }
}
