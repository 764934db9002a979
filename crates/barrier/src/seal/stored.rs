//! The stored root key: a JSON list with one key, encrypted under the unseal key, inside the `BlobInfo` message of
//! go-kms-wrapping. Leaves out that message's other fields: for an unseal key they are empty.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::Key;
use crate::cipher::{Cipher, Refusal};
use crate::{Error, paths};

/// Field 1, length-delimited: the ciphertext.
const CIPHERTEXT: u64 = 1 << 3 | 2;
/// Field 5, length-delimited: about the key. Present and empty, as others write it.
const KEY_INFO: u8 = 5 << 3 | 2;

pub(super) fn encrypt(unseal_key: &[u8], root_key: &[u8]) -> Result<Vec<u8>, Error> {
    let encoded = Zeroizing::new(STANDARD.encode(root_key));
    let json = Zeroizing::new(["[\"", &encoded, "\"]"].concat());
    let ciphertext = Cipher::new(unseal_key)?.seal_bare(json.as_bytes())?;
    let mut message = Vec::with_capacity(ciphertext.len() + 6);
    put_varint(&mut message, CIPHERTEXT);
    put_varint(&mut message, ciphertext.len() as u64);
    message.extend_from_slice(&ciphertext);
    message.extend_from_slice(&[KEY_INFO, 0]);
    Ok(message)
}

pub(super) fn decrypt(unseal_key: &[u8], stored: &[u8]) -> Result<Key, Error> {
    let damaged = |reason| Error::damaged(paths::STORED_KEYS, reason);
    let ciphertext = ciphertext(stored).ok_or_else(|| damaged("it is no encrypted key"))?;
    // A combined key of a strange length is a wrong key, not a failure of ours.
    let cipher = Cipher::new(unseal_key).map_err(|_| Error::WrongKey)?;
    let json = cipher.open_bare(ciphertext.to_vec()).map_err(|refusal| match refusal {
        Refusal::NotAuthentic => Error::WrongKey,
        Refusal::Malformed(reason) => damaged(reason),
    })?;
    let keys: Vec<Zeroizing<String>> =
        serde_json::from_slice(&json).map_err(|_| damaged("it holds no list of keys"))?;
    let [key] = keys.as_slice() else { return Err(damaged("it does not hold exactly one key")) };
    let key = STANDARD.decode(key.as_str()).map_err(|_| damaged("its key is not base64"))?;
    Ok(Zeroizing::new(key))
}

/// Finds the ciphertext in the message, skipping every other field.
fn ciphertext(mut message: &[u8]) -> Option<&[u8]> {
    let mut found = None;
    while !message.is_empty() {
        let tag = take_varint(&mut message)?;
        match tag & 7 {
            0 => _ = take_varint(&mut message)?,
            1 => message = message.get(8..)?,
            2 => {
                let len = usize::try_from(take_varint(&mut message)?).ok()?;
                let (field, rest) = message.split_at_checked(len)?;
                message = rest;
                if tag == CIPHERTEXT {
                    found = Some(field);
                }
            }
            5 => message = message.get(4..)?,
            _ => return None,
        }
    }
    found
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take_varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
