//! Storage as a backend sees it: its own mount's keys, and nothing else.
//!
//! Encryption, prefixes and the bytes at rest are other rooms' business.

use std::fmt;

use zeroize::Zeroizing;

use crate::BoxFuture;

/// One stored value under a key relative to the mount.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Key without a leading slash.
    pub key: String,
    /// The value; wiped when dropped.
    pub value: Zeroizing<Vec<u8>>,
    /// Ask for an extra layer of encryption by the seal, where there is one.
    pub seal_wrap: bool,
}

impl Entry {
    /// An entry without seal wrapping.
    pub fn new(key: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self { key: key.into(), value: Zeroizing::new(value.into()), seal_wrap: false }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({:?}, {} bytes)", self.key, self.value.len())
    }
}

/// Why storage did not do as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The server is sealed.
    #[error("Vault is sealed")]
    Sealed,
    /// The key cannot be used; the text says why.
    #[error("{0}")]
    InvalidKey(String),
    /// This storage may not be written now. The text is the protocol's: peers compare it.
    #[error("{0}")]
    ReadOnly(String),
    /// A transaction met another write; nothing of it was stored. Try again.
    #[error("{0}")]
    Conflict(String),
    /// There is no storage here (a plugin that is only being asked for its version).
    #[error("{0}")]
    Missing(String),
    /// Transactions are not to be had here.
    #[error("the storage does not support transactions")]
    NoTransactions,
    /// It failed below: disk, encryption, connection.
    #[error("{0}")]
    Failed(String),
}

impl StorageError {
    /// Writing while a backend is being set up (wire spec 2.5).
    pub fn during_setup() -> Self {
        Self::ReadOnly("cannot write to storage during setup".to_owned())
    }
}

/// A mount's storage. Keys have no leading slash; folders end in `/` in lists; lists are sorted.
pub trait Storage: Send + Sync {
    /// The entry under a key; `None` if there is none.
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StorageError>>;

    /// The entry as it was at some moment since the request came in: a server may have sent it along,
    /// which saves an external plugin a call. For what is only shown. Whoever decides on a change by
    /// what is stored uses [`Storage::get`], after taking its locks. A second call gets what is stored
    /// then.
    fn get_ahead<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StorageError>> {
        self.get(key)
    }

    /// Stores an entry; when this returns it is on disk (outside a transaction).
    fn put(&self, entry: Entry) -> BoxFuture<'_, Result<(), StorageError>>;

    /// Removes a key; no error if there is none.
    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), StorageError>>;

    /// Immediate children below a prefix: strictly after `after` (`""` for all), at most `limit`
    /// of them if given.
    fn list_page<'a>(
        &'a self,
        prefix: &'a str,
        after: &'a str,
        limit: Option<usize>,
    ) -> BoxFuture<'a, Result<Vec<String>, StorageError>>;

    /// All immediate children below a prefix.
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, StorageError>> {
        self.list_page(prefix, "", None)
    }

    /// Starts a transaction; [`StorageError::NoTransactions`] where there are none.
    fn begin(&self, read_only: bool) -> BoxFuture<'_, Result<Box<dyn Transaction>, StorageError>>;
}

/// A transaction: all or nothing, and nothing if dropped. It reads its own writes.
pub trait Transaction: Storage {
    /// Makes the writes durable, all at once; [`StorageError::Conflict`] if something it read has
    /// changed since.
    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<(), StorageError>>;

    /// Forgets the writes.
    fn rollback(self: Box<Self>) -> BoxFuture<'static, Result<(), StorageError>>;
}
