//! Bytes at rest: the physical storage trait and its engines.
//!
//! Everything above this room sees one trait, [`Physical`]: read one key, list the children of a folder, apply a
//! batch atomically. A batch carries *checks* next to its writes, so that optimistic transactions (record what was
//! read, buffer what is written, verify and write in one step) are built once, above, and every engine gets
//! serialisable transactions for free.
//!
//! Deliberately absent: JSON, encryption, knowledge of what a key means. Values arrive encrypted.

mod batch;
mod cache;
mod children;
mod error;
mod fault;
mod key;
mod memory;
mod queue;
mod sqlite;

pub use batch::{Batch, Check, Write};
pub use cache::{Cache, CacheStats};
pub use error::Error;
pub use fault::FaultInjector;
pub use futures_util::future::BoxFuture;
pub use key::{MAX_BATCH_LEN, MAX_KEY_LEN, MAX_VALUE_LEN, validate_key, validate_prefix};
pub use memory::Memory;
pub use sqlite::{Sqlite, SqliteConfig, SqliteStats};

/// A store of bytes under string keys.
///
/// Keys are paths with `/` between segments; their limits are those of [`validate_key`]. Every engine refuses what
/// that function refuses. Reads see every write that was acknowledged before the read began.
///
/// Dropping the future of [`Physical::apply`] after its first poll does not take the batch back: it may still be
/// applied as a whole, or not at all.
pub trait Physical: Send + Sync + 'static {
    /// The name operators know this engine by, as shown in `sys/seal-status` (`inmem`, `sqlite`).
    fn storage_type(&self) -> &'static str;

    /// Reads one value; `None` when the key does not exist.
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, Error>>;

    /// Lists the immediate children below `prefix`, in byte order: names for keys, names ending in `/` for folders.
    ///
    /// Only children strictly after `after` are given (an empty `after` means from the start), and at most `limit`
    /// of them. `prefix` is empty or normally ends in `/`; if it does not, it matches as a plain string prefix.
    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: &'a str,
        limit: Option<usize>,
    ) -> BoxFuture<'a, Result<Vec<String>, Error>>;

    /// Verifies all checks and then performs all writes, in order, as one atomic and durable step.
    ///
    /// # Errors
    /// [`Error::Conflict`] when a check does not hold; nothing is written then, nor after any other error.
    fn apply(&self, batch: Batch) -> BoxFuture<'_, Result<(), Error>>;
}
