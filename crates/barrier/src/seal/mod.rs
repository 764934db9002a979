//! The seal: where the root key comes from. Here by Shamir's scheme; others have their place beside it.
//!
//! The root key never leaves the barrier. It is stored encrypted under the *unseal key*, and the unseal key is split
//! into shares of which a threshold is needed. Leaves out who may give a share, and what happens after unsealing.

mod config;
mod shamir;
mod stored;

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use boltwork_storage::Write;
use parking_lot::Mutex;
use zeroize::Zeroizing;

pub use config::SealConfig;
pub use shamir::{MAX_SHARES, combine, split};

use crate::cipher::{KEY_LEN, random_key};
use crate::{Barrier, Error, paths};

/// Bytes that wipe themselves: a key, or a share of one.
pub type Key = Zeroizing<Vec<u8>>;

const MIN_SHARE_LEN: usize = 16;
/// A key, and the byte that says which share it is.
const MAX_SHARE_LEN: usize = KEY_LEN + 1;

/// What an initialisation gives: shown once, never stored.
pub struct Initialized {
    /// The shares of the unseal key.
    pub shares: Vec<Key>,
    /// The root key, for the first unsealing that sets the server up.
    pub root_key: Key,
}

/// How far an unsealing has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Shares given so far.
    pub shares: usize,
    /// Names this attempt; empty when none has begun.
    pub nonce: String,
}

/// What a share led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsealing {
    /// More shares are needed.
    Waiting(Progress),
    /// The barrier is open.
    Unsealed,
}

/// A seal opened by shares of an unseal key.
pub struct ShamirSeal {
    barrier: Barrier,
    config: ArcSwapOption<SealConfig>,
    attempt: Mutex<Attempt>,
}

#[derive(Default)]
struct Attempt {
    parts: Vec<Key>,
    nonce: String,
}

impl ShamirSeal {
    /// The seal of this barrier.
    #[must_use]
    pub fn new(barrier: Barrier) -> Self {
        Self { barrier, config: ArcSwapOption::empty(), attempt: Mutex::default() }
    }

    /// How the unseal key is split; `None` before initialisation. Readable while sealed.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Storage`].
    pub async fn config(&self) -> Result<Option<Arc<SealConfig>>, Error> {
        if let Some(config) = self.config.load_full() {
            return Ok(Some(config));
        }
        let Some(json) = self.barrier.physical().get(paths::SEAL_CONFIG).await? else {
            return Ok(None);
        };
        let config = Arc::new(SealConfig::from_json(&json)?);
        self.config.store(Some(config.clone()));
        Ok(Some(config))
    }

    /// Reads the configuration anew when it is next needed: it was stored, or taken back, by another way than
    /// [`ShamirSeal::initialize`].
    pub fn forget_config(&self) {
        self.config.store(None);
    }

    /// Makes root key, unseal key and keyring, and stores all of them in one step. The barrier stays sealed.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`], [`Error::AlreadyInitialized`], [`Error::Storage`].
    pub async fn initialize(&self, shares: u8, threshold: u8) -> Result<Initialized, Error> {
        let config = SealConfig::new(shares, threshold)?;
        let (root_key, unseal_key) = (random_key()?, random_key()?);
        let parts = share_out(&unseal_key, shares, threshold)?;
        let more = vec![
            Write::Put { key: paths::SEAL_CONFIG.into(), value: config.to_json()? },
            Write::Put {
                key: paths::STORED_KEYS.into(),
                value: stored::encrypt(&unseal_key, &root_key)?,
            },
        ];
        self.barrier.initialize(&root_key, Some(&unseal_key), more).await?;
        self.config.store(Some(Arc::new(config)));
        Ok(Initialized { shares: parts, root_key })
    }

    /// How far the present attempt has come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.attempt.lock().progress()
    }

    /// Forgets the shares given so far.
    pub fn reset(&self) {
        *self.attempt.lock() = Attempt::default();
    }

    /// Takes a share. The last one needed opens the barrier; a share given twice changes nothing.
    ///
    /// When the threshold is reached the attempt is over, whether the key was right or not.
    ///
    /// # Errors
    /// [`Error::NotInitialized`], [`Error::InvalidShare`] for one of impossible length, [`Error::WrongKey`] when the
    /// shares do not fit together.
    pub async fn unseal(&self, share: &[u8]) -> Result<Unsealing, Error> {
        let config = self.config().await?.ok_or(Error::NotInitialized)?;
        check_share(share)?;
        if !self.barrier.is_sealed() {
            return Ok(Unsealing::Unsealed);
        }
        let parts = {
            let mut attempt = self.attempt.lock();
            attempt.add(share);
            if attempt.parts.len() < usize::from(config.secret_threshold) {
                return Ok(Unsealing::Waiting(attempt.progress()));
            }
            std::mem::take(&mut *attempt).parts
        };
        let root_key = self.root_key(&parts).await?;
        self.barrier.unseal(&root_key).await?;
        Ok(Unsealing::Unsealed)
    }

    /// The root key, from a threshold of shares. Changes nothing; for operations that want the shares as proof.
    ///
    /// # Errors
    /// [`Error::WrongKey`], [`Error::InvalidShare`], [`Error::NotInitialized`], [`Error::Storage`].
    pub async fn root_key(&self, parts: &[Key]) -> Result<Key, Error> {
        let config = self.config().await?.ok_or(Error::NotInitialized)?;
        if parts.len() < usize::from(config.secret_threshold) {
            return Err(Error::InvalidShare(format!(
                "{} key shares are needed, {} were given",
                config.secret_threshold,
                parts.len()
            )));
        }
        let key = match parts {
            [only] if config.secret_threshold == 1 => only.clone(),
            several => combine(several)?,
        };
        match self.barrier.physical().get(paths::STORED_KEYS).await? {
            Some(stored) => stored::decrypt(&key, &stored),
            // Installations from before the unseal key existed: what was split is the root key.
            None => Ok(key),
        }
    }

    /// Whether these shares, a threshold of them, belong to this barrier, which must be open.
    ///
    /// # Errors
    /// [`Error::WrongKey`] when they do not, [`Error::Sealed`], and as [`ShamirSeal::root_key`].
    pub async fn verify(&self, parts: &[Key]) -> Result<(), Error> {
        let root_key = self.root_key(parts).await?;
        self.barrier.verify_root_key(&root_key)
    }
}

impl Attempt {
    fn add(&mut self, share: &[u8]) {
        // Every one is compared, whichever matches.
        let known = self
            .parts
            .iter()
            .fold(false, |known, part| known | verify_slices_are_equal(part, share).is_ok());
        if known {
            return;
        }
        if self.parts.is_empty() {
            self.nonce = uuid::Uuid::new_v4().to_string();
        }
        self.parts.push(Zeroizing::new(share.to_vec()));
    }

    fn progress(&self) -> Progress {
        Progress { shares: self.parts.len(), nonce: self.nonce.clone() }
    }
}

fn check_share(share: &[u8]) -> Result<(), Error> {
    let (bound, limit) = match share.len() {
        0..MIN_SHARE_LEN => ("shorter than minimum", MIN_SHARE_LEN),
        MIN_SHARE_LEN..=MAX_SHARE_LEN => return Ok(()),
        _ => ("longer than maximum", MAX_SHARE_LEN),
    };
    Err(Error::InvalidShare(format!("key is {bound} {limit} bytes")))
}

/// One share is the key itself; more are split, and combined again to be sure before anyone relies on them.
fn share_out(key: &Key, shares: u8, threshold: u8) -> Result<Vec<Key>, Error> {
    if shares == 1 {
        return Ok(vec![key.clone()]);
    }
    let parts = split(key, shares, threshold)?;
    let again = combine(&parts[..usize::from(threshold)])?;
    verify_slices_are_equal(key, &again).map_err(|_| Error::Crypto("shares do not combine"))?;
    Ok(parts)
}
