//! Where version 2 keeps what, and the one way to change a key.
//!
//! Layout below the mount (documented for operators in the README):
//!
//! * `<uuid>/settings`: the mount's settings;
//! * `<uuid>/meta/<path>`: `{"record":…,"data":…}`, all that is known of the key and, as it came,
//!   the data of its current version: reading a secret is one storage read;
//! * `<uuid>/ver/<path>/<number>`: the data of an older version, as it came.
//!
//! The prefix keeps version 2 apart from version 1, which uses the same storage without any.
//!
//! A change is decided by a pure function of what was there ([`Store::change`]) and stored in one
//! transaction, tried again if another writer came between. Without transactions (HashiCorp Vault)
//! the order of the writes keeps every crash harmless: what is moved is written to its new place
//! before the old one is given up, and what is dropped is forgotten before it is removed.

use std::{
    hash::BuildHasher,
    ops::RangeInclusive,
    time::{Duration, SystemTime},
};

use boltwork_sdk::logical::{Entry, Error, SecretText, Storage, StorageError, Transaction};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    clock::{Clock, Time},
    v2::{
        config::{Settings, SettingsCache},
        record::Record,
    },
};

/// How often a change is tried again after meeting another writer's.
pub const MAX_ATTEMPTS: u32 = 16;

/// Locks that the keys of a mount share. Two keys on one lock only wait for each other.
const STRIPES: usize = 256;

/// What the handlers of one mount share.
pub struct Store {
    /// `<uuid>/`
    root: String,
    /// The mount's settings, in memory.
    pub settings: SettingsCache,
    stripes: Box<[Mutex<()>]>,
    hasher: std::hash::RandomState,
    clock: Clock,
}

/// A key as it is stored.
pub struct Key {
    /// What is known of it.
    pub record: Record,
    /// The data of the current version; absent before the first, and when that was destroyed.
    pub data: Option<SecretText>,
}

/// The same, borrowed from a storage entry: nothing secret is copied.
#[derive(Deserialize)]
pub struct Stored<'a> {
    /// What is known of the key.
    pub record: Record,
    /// The data of the current version.
    #[serde(borrow, default, deserialize_with = "present")]
    pub data: Option<&'a RawValue>,
}

/// Reads a value that is there as `Some`, be it `null`.
pub fn present<'de: 'a, 'a, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// What is to happen to a key.
pub enum Change {
    /// Nothing.
    Keep,
    /// It is stored anew.
    Save(Saved),
    /// It and all its versions are removed.
    Remove,
}

/// A key to be stored, and what that means for the versions beside it.
pub struct Saved {
    /// The key.
    pub key: Key,
    /// Data that makes room for that of a new current version: its number and text.
    pub moved: Option<(u64, SecretText)>,
    /// Numbers of versions whose data is to be destroyed.
    pub destroyed: Vec<u64>,
}

impl Saved {
    /// A key whose versions keep their data.
    pub fn only(key: Key) -> Self {
        Self { key, moved: None, destroyed: Vec::new() }
    }
}

/// What a change came to.
pub struct Done<T> {
    /// What was decided to be answered.
    pub answer: T,
    /// Why old versions could not be removed yet, if so.
    pub leftover: Option<String>,
}

impl Store {
    /// The store of a mount.
    pub fn new(uuid: &str, clock: Clock) -> Self {
        Self {
            root: format!("{uuid}/"),
            settings: SettingsCache::default(),
            stripes: (0..STRIPES).map(|_| Mutex::new(())).collect(),
            hasher: std::hash::RandomState::new(),
            clock,
        }
    }

    /// The prefix of everything here.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Where the mount's settings are.
    pub fn settings_key(&self) -> String {
        format!("{}settings", self.root)
    }

    /// Where a key is, or, with a slash at the end, a folder of keys.
    pub fn meta_key(&self, path: &str) -> String {
        format!("{}meta/{path}", self.root)
    }

    fn version_key(&self, path: &str, number: u64) -> String {
        format!("{}ver/{path}/{number}", self.root)
    }

    /// What time it is.
    pub fn now(&self) -> Time {
        let now: SystemTime = (self.clock)();
        Time::from_system(now)
    }

    /// Waits until no other change of this key is under way in this process.
    pub async fn turn(&self, path: &str) -> MutexGuard<'_, ()> {
        let stripe = self.hasher.hash_one(path) % STRIPES as u64;
        self.stripes[stripe as usize].lock().await
    }

    /// The entry of a key, to be looked into with [`parse`].
    pub async fn entry(&self, storage: &dyn Storage, path: &str) -> Result<Option<Entry>, Error> {
        Ok(storage.get(&self.meta_key(path)).await?)
    }

    /// The data of a version that is not the current one.
    pub async fn old_data(
        &self,
        storage: &dyn Storage,
        path: &str,
        number: u64,
    ) -> Result<Option<Entry>, Error> {
        Ok(storage.get(&self.version_key(path, number)).await?)
    }

    /// Changes a key: `decide` is given what is there and says what shall be. It may be asked again
    /// when another writer came between, and only its last answer counts.
    pub async fn change<T: Send>(
        &self,
        storage: &dyn Storage,
        path: &str,
        decide: impl Fn(Option<Key>) -> Result<(Change, T), Error> + Send + Sync,
    ) -> Result<Done<T>, Error> {
        let _turn = self.turn(path).await;
        let mut attempt = 1;
        loop {
            match self.try_change(storage, path, &decide).await {
                Err(Error::Conflict(_)) if attempt < MAX_ATTEMPTS => self.step_back(attempt).await,
                outcome => return outcome,
            }
            attempt += 1;
        }
    }

    /// Lets the other writer finish: two that try again in step might meet for ever.
    pub async fn step_back(&self, attempt: u32) {
        let limit = 1 << attempt.min(5);
        let millis = self.hasher.hash_one((self.now(), attempt)) % limit;
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }

    async fn try_change<T: Send>(
        &self,
        storage: &dyn Storage,
        path: &str,
        decide: &(impl Fn(Option<Key>) -> Result<(Change, T), Error> + Send + Sync),
    ) -> Result<Done<T>, Error> {
        let unit = Unit::begin(storage).await?;
        let key = match self.entry(unit.storage(), path).await? {
            Some(entry) => Some(Key::read(&entry)?),
            None => None,
        };
        let before = key.as_ref().map(|key| (key.record.swept, key.record.oldest));
        let versions = key.as_ref().map(|key| key.record.swept + 1..=key.record.current);
        let (change, answer) = decide(key)?;
        let leftover = match change {
            Change::Keep => {
                unit.give_up().await?;
                return Ok(Done { answer, leftover: None });
            }
            Change::Save(saved) => {
                let (swept, oldest) = before.unwrap_or_default();
                let writer = Writer { store: self, path, swept, oldest };
                writer.save(&unit, saved).await?
            }
            Change::Remove => {
                if let Some(versions) = versions {
                    self.drop_versions(unit.storage(), path, versions).await?;
                    unit.storage().delete(&self.meta_key(path)).await?;
                }
                None
            }
        };
        unit.commit().await?;
        Ok(Done { answer, leftover })
    }

    async fn drop_versions(
        &self,
        storage: &dyn Storage,
        path: &str,
        numbers: RangeInclusive<u64>,
    ) -> Result<(), StorageError> {
        for number in numbers {
            storage.delete(&self.version_key(path, number)).await?;
        }
        Ok(())
    }
}

/// Stores one key that was decided on.
struct Writer<'a> {
    store: &'a Store,
    path: &'a str,
    /// `swept` and `oldest` as they were stored before.
    swept: u64,
    oldest: u64,
}

impl Writer<'_> {
    /// Returns why old versions could not be removed, where that may wait.
    async fn save(&self, unit: &Unit<'_>, saved: Saved) -> Result<Option<String>, Error> {
        let Saved { mut key, moved, destroyed } = saved;
        let storage = unit.storage();
        if let Some((number, text)) = moved {
            let place = self.store.version_key(self.path, number);
            storage.put(Entry::new(place, text.expose())).await?;
        }
        // Everything below the oldest version has to go: at once in a transaction. Without one the
        // record is stored first and the removal may fail, so what the last write should have
        // removed is removed again before it counts as gone.
        let gone = key.record.oldest.saturating_sub(1);
        let settled = if unit.is_atomic() { gone } else { self.oldest.saturating_sub(1) };
        if settled > self.swept {
            let range = self.swept + 1..=settled;
            self.store.drop_versions(storage, self.path, range).await?;
            key.record.swept = settled;
        }
        storage.put(key.write(self.store.meta_key(self.path))?).await?;
        for number in destroyed {
            storage.delete(&self.store.version_key(self.path, number)).await?;
        }
        if gone > key.record.swept {
            let range = key.record.swept + 1..=gone;
            if let Err(error) = self.store.drop_versions(storage, self.path, range).await {
                return Ok(Some(format!(
                    "error occurred when cleaning up old versions, these will be cleaned up on \
                     next write: {error}"
                )));
            }
        }
        Ok(None)
    }
}

/// Looks into a key's entry.
pub fn parse(entry: &Entry) -> Result<Stored<'_>, Error> {
    serde_json::from_slice(&entry.value).map_err(|_| unreadable(&entry.key))
}

/// The error for an entry that this engine cannot have written. Says where, never what.
pub fn unreadable(key: &str) -> Error {
    Error::internal(format!(
        "the storage entry {key:?} is not in the form that this engine writes: it is damaged, or \
         another engine has written it"
    ))
}

impl Key {
    /// A key without versions.
    pub fn new(now: Time) -> Self {
        Self { record: Record::new(now), data: None }
    }

    /// The key with a new current version. The data of the one before moves out of its way, if it
    /// is kept.
    pub fn with_version(mut self, text: SecretText, now: Time, settings: &Settings) -> Saved {
        let before = self.record.current;
        self.record.add_version(now, settings);
        let kept = self.record.version(before).is_some();
        let moved = self.data.replace(text).filter(|_| kept).map(|text| (before, text));
        Saved { key: self, moved, destroyed: Vec::new() }
    }

    fn read(entry: &Entry) -> Result<Self, Error> {
        let Stored { record, data } = parse(entry)?;
        Ok(Self { record, data: data.map(|data| data.get().into()) })
    }

    fn write(&self, place: String) -> Result<Entry, Error> {
        #[derive(Serialize)]
        struct Written<'a> {
            record: &'a Record,
            #[serde(skip_serializing_if = "Option::is_none")]
            data: Option<&'a RawValue>,
        }
        let data = match &self.data {
            Some(text) => Some(raw(text.expose())?),
            None => None,
        };
        let size = 256 + 64 * self.record.versions.len() + data.map_or(0, |data| data.get().len());
        // Sized beforehand: a buffer that grows leaves copies of the secret behind.
        let mut value = Vec::with_capacity(size);
        serde_json::to_writer(&mut value, &Written { record: &self.record, data })
            .map_err(|_| Error::internal(format!("{place:?} cannot be written as JSON")))?;
        Ok(Entry::new(place, value))
    }
}

/// A text that is known to be JSON.
pub fn raw(text: &str) -> Result<&RawValue, Error> {
    serde_json::from_str(text).map_err(|_| Error::internal("data that was to be stored is no JSON"))
}

/// A set of writes: one transaction where the storage has them, else one after the other.
pub enum Unit<'a> {
    /// All or nothing.
    Atomic(Box<dyn Transaction>),
    /// Each at once; the order matters.
    Plain(&'a dyn Storage),
}

impl<'a> Unit<'a> {
    /// Starts one.
    pub async fn begin(storage: &'a dyn Storage) -> Result<Self, Error> {
        match storage.begin(false).await {
            Ok(transaction) => Ok(Self::Atomic(transaction)),
            Err(StorageError::NoTransactions) => Ok(Self::Plain(storage)),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether nothing is stored before [`commit`](Self::commit).
    pub fn is_atomic(&self) -> bool {
        matches!(self, Self::Atomic(_))
    }

    /// Where to read and write.
    pub fn storage(&self) -> &dyn Storage {
        match self {
            Self::Atomic(transaction) => &**transaction,
            Self::Plain(storage) => *storage,
        }
    }

    /// Makes the writes last.
    pub async fn commit(self) -> Result<(), Error> {
        match self {
            Self::Atomic(transaction) => Ok(transaction.commit().await?),
            Self::Plain(_) => Ok(()),
        }
    }

    /// Ends it without a write.
    pub async fn give_up(self) -> Result<(), Error> {
        match self {
            Self::Atomic(transaction) => Ok(transaction.rollback().await?),
            Self::Plain(_) => Ok(()),
        }
    }
}
