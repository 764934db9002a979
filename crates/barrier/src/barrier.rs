//! The barrier itself: its life (initialise, unseal, seal, rotate) and single reads and writes. Transactions and
//! views have files of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use boltwork_storage::{Batch, Check, Physical, Write};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::cipher::{Cipher, Refusal, term_of};
use crate::keyring::{FIRST_TERM, Keyring, RotationConfig};
use crate::transaction::BarrierTransaction;
use crate::{Error, View, paths};

/// An encrypted key-value space. Cheap to clone; all clones are one barrier.
///
/// Sealed until [`Barrier::unseal`]. Every method that touches entries fails with [`Error::Sealed`] while it is sealed.
#[derive(Clone)]
pub struct Barrier {
    shared: Arc<Shared>,
}

struct Shared {
    physical: Arc<dyn Physical>,
    keyring: ArcSwapOption<Keyring>,
    /// Counts unsealings, so that a transaction does not outlive the seal under which it began.
    epoch: AtomicU64,
    /// Encryptions not yet accounted for in the stored keyring.
    encryptions: AtomicU64,
    /// One change of the keyring at a time. Requests never take it.
    change: Mutex<()>,
}

/// About the key in use, for `sys/key-status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// Its term.
    pub term: u32,
    /// Since when, RFC 3339.
    pub installed: String,
    /// How often it was used, as far as known.
    pub encryptions: u64,
}

impl Barrier {
    /// A sealed barrier over these bytes.
    #[must_use]
    pub fn new(physical: Arc<dyn Physical>) -> Self {
        Self {
            shared: Arc::new(Shared {
                physical,
                keyring: ArcSwapOption::empty(),
                epoch: AtomicU64::new(0),
                encryptions: AtomicU64::new(0),
                change: Mutex::new(()),
            }),
        }
    }

    /// The bytes below.
    #[must_use]
    pub fn physical(&self) -> &Arc<dyn Physical> {
        &self.shared.physical
    }

    /// Whether there is a keyring in storage.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn is_initialized(&self) -> Result<bool, Error> {
        Ok(self.physical().get(paths::KEYRING).await?.is_some())
    }

    /// Makes a keyring under this root key (32 bytes) and stores it; stays sealed.
    ///
    /// `unseal_key`, if given, is kept in the barrier for later use by the seal; `more` is written in the same step,
    /// so that an initialisation is there as a whole or not at all.
    ///
    /// # Errors
    /// [`Error::AlreadyInitialized`], also when another server was faster; [`Error::Storage`].
    pub async fn initialize(
        &self,
        root_key: &[u8],
        unseal_key: Option<&[u8]>,
        more: Vec<Write>,
    ) -> Result<(), Error> {
        let _change = self.shared.change.lock().await;
        let keyring = Keyring::generate(root_key)?;
        let mut writes = keyring_writes(&keyring)?;
        if let Some(key) = unseal_key {
            let value = keyring.seal(paths::SHAMIR_KEK, key)?;
            writes.push(Write::Put { key: paths::SHAMIR_KEK.into(), value });
        }
        writes.extend(more);
        let absent = Check::Value { key: paths::KEYRING.into(), expected: None };
        match self.physical().apply(Batch { checks: vec![absent], writes }).await {
            Err(boltwork_storage::Error::Conflict) => Err(Error::AlreadyInitialized),
            other => Ok(other?),
        }
    }

    /// Opens the barrier. Does nothing when it is open already.
    ///
    /// # Errors
    /// [`Error::WrongKey`], [`Error::NotInitialized`], [`Error::Damaged`], [`Error::Storage`].
    pub async fn unseal(&self, root_key: &[u8]) -> Result<(), Error> {
        let _change = self.shared.change.lock().await;
        if !self.is_sealed() {
            return Ok(());
        }
        let entry = self.physical().get(paths::KEYRING).await?.ok_or(Error::NotInitialized)?;
        if term_of(&entry) != Some(FIRST_TERM) {
            return Err(Error::damaged(paths::KEYRING, "its term is not 1"));
        }
        let cipher = Cipher::new(root_key).map_err(|_| Error::WrongKey)?;
        let json = cipher.open(paths::KEYRING, entry).map_err(|refusal| match refusal {
            Refusal::NotAuthentic => Error::WrongKey,
            other @ Refusal::Malformed(_) => other.at(paths::KEYRING),
        })?;
        let keyring = Keyring::from_json(paths::KEYRING, &json)?;
        self.shared.epoch.fetch_add(1, Ordering::SeqCst);
        self.shared.encryptions.store(0, Ordering::Relaxed);
        self.shared.keyring.store(Some(Arc::new(keyring)));
        Ok(())
    }

    /// Drops all keys; what is under way fails with [`Error::Sealed`] at its next step.
    pub fn seal(&self) {
        self.shared.keyring.store(None);
    }

    /// Whether there are no keys in memory.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.shared.keyring.load().is_none()
    }

    /// Whether this is the root key, compared in constant time.
    ///
    /// # Errors
    /// [`Error::Sealed`], [`Error::WrongKey`].
    pub fn verify_root_key(&self, root_key: &[u8]) -> Result<(), Error> {
        self.with_keyring(|keyring| {
            verify_slices_are_equal(&keyring.root, root_key).map_err(|_| Error::WrongKey)
        })
    }

    /// Installs a key of a new term for all further writes and returns the term. Older entries stay readable.
    ///
    /// # Errors
    /// [`Error::Sealed`], [`Error::Storage`].
    pub async fn rotate(&self) -> Result<u32, Error> {
        let term = self.change_keyring(Keyring::with_next_term).await?;
        self.shared.encryptions.store(0, Ordering::Relaxed);
        Ok(term)
    }

    /// When the key is to be rotated.
    ///
    /// # Errors
    /// [`Error::Sealed`].
    pub fn rotation_config(&self) -> Result<RotationConfig, Error> {
        self.with_keyring(|keyring| Ok(keyring.rotation))
    }

    /// Sets when the key is to be rotated, brought within its bounds.
    ///
    /// # Errors
    /// [`Error::Sealed`], [`Error::Storage`].
    pub async fn set_rotation_config(&self, config: RotationConfig) -> Result<(), Error> {
        let config = config.within_bounds();
        self.change_keyring(|keyring| Ok(keyring.with_rotation(config))).await.map(drop)
    }

    /// Why the key should be rotated now, if it should: too many encryptions, or too old. For periodic work.
    ///
    /// # Errors
    /// [`Error::Sealed`].
    pub fn rotation_due(&self) -> Result<Option<&'static str>, Error> {
        let (config, info) = (self.rotation_config()?, self.key_info()?);
        if config.disabled {
            return Ok(None);
        }
        let age = OffsetDateTime::parse(&info.installed, &Rfc3339)
            .map_or(i128::MAX, |since| (OffsetDateTime::now_utc() - since).whole_nanoseconds());
        Ok(if i128::from(info.encryptions) > i128::from(config.max_operations) {
            Some("reached max operations")
        } else if config.interval > 0 && age > i128::from(config.interval) {
            Some("rotation interval reached")
        } else {
            None
        })
    }

    /// Stores how often the active key was used, so that a restart does not forget it. For periodic work; writes
    /// nothing when nothing was encrypted since.
    ///
    /// # Errors
    /// [`Error::Sealed`], [`Error::Storage`].
    pub async fn account_encryptions(&self) -> Result<(), Error> {
        let counted = self.shared.encryptions.load(Ordering::Relaxed);
        if counted == 0 {
            return Ok(());
        }
        let outcome = self
            .change_keyring(|keyring| {
                keyring.active().encryptions.fetch_add(counted, Ordering::Relaxed);
                Ok(keyring.with_rotation(keyring.rotation))
            })
            .await;
        // When it could not be stored they may be counted twice later: too early a rotation, never too late.
        outcome?;
        // A rotation may have set it back meanwhile.
        let rest = |now: u64| Some(now.saturating_sub(counted));
        let _ = self.shared.encryptions.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest);
        Ok(())
    }

    /// About the key in use.
    ///
    /// # Errors
    /// [`Error::Sealed`].
    pub fn key_info(&self) -> Result<KeyInfo, Error> {
        self.with_keyring(|keyring| {
            let key = keyring.active();
            let new = self.shared.encryptions.load(Ordering::Relaxed);
            Ok(KeyInfo {
                term: key.term,
                installed: key.installed.clone(),
                encryptions: key.encryptions.load(Ordering::Relaxed) + new,
            })
        })
    }

    /// Reads one entry.
    ///
    /// # Errors
    /// [`Error::Sealed`], [`Error::Damaged`], [`Error::InvalidKey`], [`Error::Storage`].
    pub async fn get(&self, key: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        self.check_open()?;
        match self.physical().get(key).await? {
            Some(entry) => self.decrypt(key, entry).map(Some),
            None => Ok(None),
        }
    }

    /// Writes one entry; it is on disk when this returns.
    ///
    /// # Errors
    /// [`Error::Sealed`], [`Error::InvalidKey`], [`Error::Storage`].
    pub async fn put(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        check_writable(key)?;
        let value = self.encrypt(key, value)?;
        Ok(self.physical().apply(Batch::put(key, value)).await?)
    }

    /// Removes one entry; no error if there is none.
    ///
    /// # Errors
    /// As [`Barrier::put`].
    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        check_writable(key)?;
        self.check_open()?;
        Ok(self.physical().apply(Batch::delete(key)).await?)
    }

    /// Lists immediate children below `prefix`, as [`Physical::list`] does.
    ///
    /// # Errors
    /// [`Error::Sealed`], [`Error::InvalidKey`], [`Error::Storage`].
    pub async fn list(
        &self,
        prefix: &str,
        after: &str,
        limit: Option<usize>,
    ) -> Result<Vec<String>, Error> {
        self.check_open()?;
        Ok(self.physical().list(prefix, after, limit).await?)
    }

    /// Starts a transaction over the whole space.
    ///
    /// # Errors
    /// [`Error::Sealed`].
    pub fn begin(&self, read_only: bool) -> Result<BarrierTransaction, Error> {
        let epoch = self.shared.epoch.load(Ordering::SeqCst);
        self.check_open()?;
        Ok(BarrierTransaction::new(self.clone(), epoch, read_only))
    }

    /// The part of the space below `prefix`: empty, or ending in `/`.
    ///
    /// # Errors
    /// [`Error::InvalidKey`].
    pub fn view(&self, prefix: &str) -> Result<View, Error> {
        View::new(self.clone(), prefix)
    }

    /// Encrypts what is kept outside of storage, by whoever is handed it. It cannot be taken for a
    /// stored entry, nor one for it: no entry has an empty key.
    ///
    /// # Errors
    /// [`Error::Sealed`].
    pub fn encrypt_apart(&self, value: &[u8]) -> Result<Vec<u8>, Error> {
        self.encrypt("", value)
    }

    /// Reverses [`encrypt_apart`](Self::encrypt_apart), with any key there ever was.
    ///
    /// # Errors
    /// [`Error::Sealed`]; [`Error::Damaged`] for anything that did not come from there.
    pub fn decrypt_apart(&self, bytes: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.decrypt("", bytes)
    }

    pub(crate) fn encrypt(&self, key: &str, value: &[u8]) -> Result<Vec<u8>, Error> {
        let entry = self.with_keyring(|keyring| keyring.seal(key, value))?;
        self.shared.encryptions.fetch_add(1, Ordering::Relaxed);
        Ok(entry)
    }

    pub(crate) fn decrypt(&self, key: &str, entry: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.with_keyring(|keyring| keyring.open(key, entry))
    }

    /// Fails when sealed, or sealed and unsealed again since `epoch`.
    pub(crate) fn check_epoch(&self, epoch: u64) -> Result<(), Error> {
        if self.shared.epoch.load(Ordering::SeqCst) != epoch {
            return Err(Error::Sealed);
        }
        self.check_open()
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.is_sealed() { Err(Error::Sealed) } else { Ok(()) }
    }

    fn with_keyring<T>(&self, work: impl FnOnce(&Keyring) -> Result<T, Error>) -> Result<T, Error> {
        match &*self.shared.keyring.load() {
            Some(keyring) => work(keyring),
            None => Err(Error::Sealed),
        }
    }

    /// Stores a changed keyring, then puts it in place; returns its active term.
    async fn change_keyring(
        &self,
        change: impl FnOnce(&Keyring) -> Result<Keyring, Error> + Send,
    ) -> Result<u32, Error> {
        let _change = self.shared.change.lock().await;
        let old = self.shared.keyring.load_full().ok_or(Error::Sealed)?;
        let new = Arc::new(change(&old)?);
        let term = new.active().term;
        let writes = keyring_writes(&new)?;
        self.physical().apply(Batch { checks: Vec::new(), writes }).await?;
        // Sealed meanwhile: what is stored is good, but the keys must not come back.
        let found = self.shared.keyring.compare_and_swap(&Some(old.clone()), Some(new));
        match &*found {
            Some(found) if Arc::ptr_eq(found, &old) => Ok(term),
            Some(_) | None => Err(Error::Sealed),
        }
    }
}

/// Refuses the barrier's own entries.
pub(crate) fn check_writable(key: &str) -> Result<(), Error> {
    if paths::is_reserved(key) {
        return Err(Error::InvalidKey(format!("the entry {key:?} belongs to the barrier")));
    }
    Ok(())
}

fn keyring_writes(keyring: &Keyring) -> Result<Vec<Write>, Error> {
    let root = Cipher::new(&keyring.root)?;
    Ok(vec![
        Write::Put {
            key: paths::KEYRING.into(),
            value: root.seal(FIRST_TERM, paths::KEYRING, &keyring.to_json()?)?,
        },
        Write::Put {
            key: paths::ROOT_KEY.into(),
            value: keyring.seal(paths::ROOT_KEY, &keyring.root_to_json()?)?,
        },
        Write::Delete { key: paths::ROOT_KEY_OPENBAO.into() },
    ])
}
