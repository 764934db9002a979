//! One AES-GCM key, with its schedule computed once, and the layout of what it encrypts. Leaves out which key is used
//! for what.
//!
//! An entry is: term (4 bytes, big endian), version (1 byte), nonce (12 bytes), ciphertext, tag (16 bytes). Version 1
//! has no additional data; version 2, which we write, has the entry's path, so that entries cannot be swapped.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::Error;

/// Bytes of a key that we generate.
pub(crate) const KEY_LEN: usize = 32;
const TERM_LEN: usize = 4;
const HEADER_LEN: usize = TERM_LEN + 1;
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;
const VERSION_PLAIN: u8 = 1;
const VERSION_WITH_PATH: u8 = 2;

/// Fresh random bytes, wiped when dropped.
pub(crate) fn random_key() -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut key = Zeroizing::new(vec![0; KEY_LEN]);
    aws_lc_rs::rand::fill(&mut key).map_err(|_| Error::Crypto("no random bytes"))?;
    Ok(key)
}

pub(crate) struct Cipher(LessSafeKey);

/// Why something did not decrypt.
pub(crate) enum Refusal {
    /// The key is wrong, or the bytes were changed.
    NotAuthentic,
    /// The bytes cannot be an entry.
    Malformed(&'static str),
}

impl Refusal {
    pub(crate) fn at(self, path: &str) -> Error {
        Error::damaged(
            path,
            match self {
                Self::NotAuthentic => "it was encrypted under another key or path, or is damaged",
                Self::Malformed(reason) => reason,
            },
        )
    }
}

/// The term in an entry's header.
pub(crate) fn term_of(entry: &[u8]) -> Option<u32> {
    let term = entry.get(..TERM_LEN)?;
    Some(u32::from_be_bytes(term.try_into().ok()?))
}

impl Cipher {
    /// A key of 32 bytes, or of 16 as old installations may have it.
    pub(crate) fn new(key: &[u8]) -> Result<Self, Error> {
        let algorithm = match key.len() {
            16 => &AES_128_GCM,
            32 => &AES_256_GCM,
            _ => return Err(Error::Crypto("a key must have 16 or 32 bytes")),
        };
        let key = UnboundKey::new(algorithm, key).map_err(|_| Error::Crypto("unusable key"))?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Encrypts an entry for this path.
    pub(crate) fn seal(&self, term: u32, path: &str, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let mut entry = Vec::with_capacity(HEADER_LEN + NONCE_LEN + plain.len() + TAG_LEN);
        entry.extend_from_slice(&term.to_be_bytes());
        entry.push(VERSION_WITH_PATH);
        self.append(&mut entry, path.as_bytes(), plain)?;
        Ok(entry)
    }

    /// Decrypts an entry in place.
    pub(crate) fn open(&self, path: &str, entry: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let aad = match entry.get(TERM_LEN) {
            Some(&VERSION_PLAIN) => "",
            Some(&VERSION_WITH_PATH) => path,
            Some(_) => return Err(Refusal::Malformed("its version is unknown")),
            None => return Err(Refusal::Malformed("it is too short")),
        };
        self.open_after(HEADER_LEN, aad.as_bytes(), entry)
    }

    /// Encrypts without header and additional data: nonce, ciphertext, tag.
    pub(crate) fn seal_bare(&self, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let mut blob = Vec::with_capacity(NONCE_LEN + plain.len() + TAG_LEN);
        self.append(&mut blob, b"", plain)?;
        Ok(blob)
    }

    /// Reverses [`Cipher::seal_bare`].
    pub(crate) fn open_bare(&self, blob: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        self.open_after(0, b"", blob)
    }

    fn append(&self, out: &mut Vec<u8>, aad: &[u8], plain: &[u8]) -> Result<(), Error> {
        let mut nonce = [0; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| Error::Crypto("no random bytes"))?;
        out.extend_from_slice(&nonce);
        let start = out.len();
        out.extend_from_slice(plain);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce, Aad::from(aad), &mut out[start..])
            .map_err(|_| Error::Crypto("encryption failed"))?;
        out.extend_from_slice(tag.as_ref());
        Ok(())
    }

    fn open_after(
        &self,
        header: usize,
        aad: &[u8],
        bytes: Vec<u8>,
    ) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let mut bytes = Zeroizing::new(bytes);
        let start = header + NONCE_LEN;
        if bytes.len() < start + TAG_LEN {
            return Err(Refusal::Malformed("it is too short"));
        }
        let nonce = Nonce::try_assume_unique_for_key(&bytes[header..start])
            .map_err(|_| Refusal::Malformed("its nonce is malformed"))?;
        let len = self
            .0
            .open_within(nonce, Aad::from(aad), &mut bytes, start..)
            .map_err(|_| Refusal::NotAuthentic)?
            .len();
        bytes.truncate(len);
        Ok(bytes)
    }
}
