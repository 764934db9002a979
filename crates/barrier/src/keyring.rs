//! The keys of all terms and their JSON form (HashiCorp's and OpenBao's are the same). Leaves out where it is stored.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use zeroize::Zeroizing;

use crate::Error;
use crate::cipher::{Cipher, Refusal, random_key, term_of};

/// The term under which the keyring itself is stored: it is not encrypted by a key of its own.
pub(crate) const FIRST_TERM: u32 = 1;
/// Ten per cent below NIST's bound on encryptions under one key with random nonces, for counts that got lost.
const MAX_OPERATIONS: i64 = 3_865_470_566;
const MIN_OPERATIONS: i64 = 1_000_000;
const MIN_INTERVAL_NANOS: i64 = 24 * 3600 * 1_000_000_000;

/// When the active key is to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RotationConfig {
    /// Never by itself.
    pub disabled: bool,
    /// After so many encryptions.
    pub max_operations: i64,
    /// After so many nanoseconds; 0 for never.
    pub interval: i64,
}

impl Default for RotationConfig {
    fn default() -> Self {
        Self { disabled: false, max_operations: MAX_OPERATIONS, interval: 0 }
    }
}

impl RotationConfig {
    /// The same within the bounds: 1 million to 3.87 thousand million operations, at least a day.
    #[must_use]
    pub fn within_bounds(mut self) -> Self {
        if self.max_operations == 0 {
            self.max_operations = MAX_OPERATIONS;
        }
        self.max_operations = self.max_operations.clamp(MIN_OPERATIONS, MAX_OPERATIONS);
        if self.interval > 0 {
            self.interval = self.interval.max(MIN_INTERVAL_NANOS);
        }
        self
    }
}

/// The key of one term, ready for use.
pub(crate) struct TermKey {
    pub(crate) term: u32,
    version: i64,
    value: Zeroizing<Vec<u8>>,
    pub(crate) installed: String,
    /// Encryptions accounted for in the stored keyring.
    pub(crate) encryptions: AtomicU64,
    pub(crate) cipher: Cipher,
}

/// All terms and the root key. Replaced as a whole, never changed.
pub(crate) struct Keyring {
    pub(crate) root: Zeroizing<Vec<u8>>,
    terms: BTreeMap<u32, Arc<TermKey>>,
    active: Arc<TermKey>,
    pub(crate) rotation: RotationConfig,
}

impl Keyring {
    /// A keyring with a fresh key of the first term.
    pub(crate) fn generate(root: &[u8]) -> Result<Self, Error> {
        let active = Arc::new(TermKey::generate(FIRST_TERM)?);
        Ok(Self {
            root: Zeroizing::new(root.to_vec()),
            terms: BTreeMap::from([(FIRST_TERM, active.clone())]),
            active,
            rotation: RotationConfig::default(),
        })
    }

    pub(crate) fn active(&self) -> &TermKey {
        &self.active
    }

    /// The same with one more term, which is then the active one.
    pub(crate) fn with_next_term(&self) -> Result<Self, Error> {
        let term = self.active.term.checked_add(1).ok_or(Error::Crypto("no further term"))?;
        let active = Arc::new(TermKey::generate(term)?);
        let mut terms = self.terms.clone();
        terms.insert(term, active.clone());
        Ok(Self { root: self.root.clone(), terms, active, rotation: self.rotation })
    }

    pub(crate) fn with_rotation(&self, rotation: RotationConfig) -> Self {
        Self {
            root: self.root.clone(),
            terms: self.terms.clone(),
            active: self.active.clone(),
            rotation,
        }
    }

    /// Decrypts an entry under the key of its term.
    pub(crate) fn open(&self, path: &str, entry: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, Error> {
        let term = term_of(&entry).ok_or_else(|| Refusal::Malformed("it is too short").at(path))?;
        let key = if term == self.active.term {
            &self.active
        } else {
            self.terms.get(&term).ok_or_else(|| {
                Error::damaged(path, format!("there is no key of term {term} in the keyring"))
            })?
        };
        key.cipher.open(path, entry).map_err(|refusal| refusal.at(path))
    }

    /// Encrypts under the active key.
    pub(crate) fn seal(&self, path: &str, plain: &[u8]) -> Result<Vec<u8>, Error> {
        self.active.cipher.seal(self.active.term, path, plain)
    }

    /// The root key in its own JSON form, as stored for standbys.
    pub(crate) fn root_to_json(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        to_json(&KeyForm {
            term: FIRST_TERM,
            version: 1,
            value: encode(&self.root),
            installed: "0001-01-01T00:00:00Z".into(),
            encryptions: 0,
        })
    }

    pub(crate) fn to_json(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        to_json(&KeyringForm {
            root: encode(&self.root),
            keys: self.terms.values().map(|key| key.form(key.term == self.active.term)).collect(),
            rotation: self.rotation,
        })
    }

    pub(crate) fn from_json(path: &str, json: &[u8]) -> Result<Self, Error> {
        // The parser's own message may quote the input.
        let form: KeyringForm =
            serde_json::from_slice(json).map_err(|_| Error::damaged(path, "it is no keyring"))?;
        let mut terms = BTreeMap::new();
        for key in form.keys {
            let key = TermKey::from_form(path, key)?;
            terms.insert(key.term, Arc::new(key));
        }
        let (_, active) =
            terms.last_key_value().ok_or_else(|| Error::damaged(path, "it has no keys"))?;
        Ok(Self {
            root: decode(path, &form.root)?,
            active: active.clone(),
            terms,
            rotation: form.rotation.within_bounds(),
        })
    }
}

impl TermKey {
    fn generate(term: u32) -> Result<Self, Error> {
        let value = random_key()?;
        let installed = OffsetDateTime::now_utc().format(&Rfc3339);
        Ok(Self {
            term,
            version: 1,
            cipher: Cipher::new(&value)?,
            value,
            installed: installed.map_err(|_| Error::Crypto("the clock is out of range"))?,
            encryptions: AtomicU64::new(0),
        })
    }

    fn from_form(path: &str, form: KeyForm) -> Result<Self, Error> {
        let value = decode(path, &form.value)?;
        Ok(Self {
            term: form.term,
            version: form.version,
            cipher: Cipher::new(&value)?,
            value,
            installed: form.installed,
            encryptions: AtomicU64::new(form.encryptions),
        })
    }

    fn form(&self, active: bool) -> KeyForm {
        KeyForm {
            term: self.term,
            version: self.version,
            value: encode(&self.value),
            installed: self.installed.clone(),
            // Only the active key's count is of use.
            encryptions: if active { self.encryptions.load(Ordering::Relaxed) } else { 0 },
        }
    }
}

#[derive(Serialize, Deserialize)]
struct KeyringForm {
    #[serde(rename = "MasterKey")]
    root: Zeroizing<String>,
    #[serde(rename = "Keys")]
    keys: Vec<KeyForm>,
    #[serde(rename = "RotationConfig", default)]
    rotation: RotationConfig,
}

#[derive(Serialize, Deserialize)]
struct KeyForm {
    #[serde(rename = "Term")]
    term: u32,
    #[serde(rename = "Version")]
    version: i64,
    #[serde(rename = "Value")]
    value: Zeroizing<String>,
    #[serde(rename = "InstallTime")]
    installed: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    encryptions: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn encode(key: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(STANDARD.encode(key))
}

fn decode(path: &str, text: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    let bytes = STANDARD.decode(text).map_err(|_| Error::damaged(path, "a key is not base64"))?;
    Ok(Zeroizing::new(bytes))
}

/// Serialises without leaving copies behind in buffers that grew: they are measured first.
fn to_json(form: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, Error> {
    struct Length(usize);
    impl std::io::Write for Length {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let failed = |_| Error::Crypto("a keyring cannot be encoded");
    let mut length = Length(0);
    serde_json::to_writer(&mut length, form).map_err(failed)?;
    let mut json = Zeroizing::new(Vec::with_capacity(length.0));
    serde_json::to_writer(&mut *json, form).map_err(failed)?;
    Ok(json)
}
