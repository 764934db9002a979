//! One mount's part of the barrier, as the storage its backend sees. Leaves out whose it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use boltwork_logical::{BoxFuture, Entry, Storage, StorageError, Transaction};
use boltwork_storage::{validate_key, validate_prefix};

use crate::{Barrier, BarrierTransaction, Error};

/// A prefix of the barrier. Keys are relative to it, and no key leads out of it.
///
/// Clones and views below it share the read-only switch.
#[derive(Clone)]
pub struct View {
    barrier: Barrier,
    scope: Scope,
}

/// The prefix and whether it may be written to; common to a view and its transactions.
#[derive(Clone)]
struct Scope {
    prefix: Arc<str>,
    read_only: Arc<AtomicBool>,
}

impl View {
    pub(crate) fn new(barrier: Barrier, prefix: &str) -> Result<Self, Error> {
        check_folder(prefix)?;
        let read_only = Arc::new(AtomicBool::new(false));
        Ok(Self { barrier, scope: Scope { prefix: prefix.into(), read_only } })
    }

    /// The view of a folder below this one; `folder` ends in `/`.
    ///
    /// # Errors
    /// [`Error::InvalidKey`].
    pub fn sub(&self, folder: &str) -> Result<Self, Error> {
        check_folder(folder)?;
        let prefix = [&self.scope.prefix, folder].concat();
        let scope = Scope { prefix: prefix.into(), read_only: self.scope.read_only.clone() };
        Ok(Self { barrier: self.barrier.clone(), scope })
    }

    /// Where it begins in the barrier.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.scope.prefix
    }

    /// While set, every write fails with [`StorageError::during_setup`]: a backend that is being set up may read only
    /// (wire spec 2.5). Transactions already begun are bound by it too.
    pub fn set_read_only(&self, read_only: bool) {
        self.scope.read_only.store(read_only, Ordering::SeqCst);
    }
}

fn check_folder(folder: &str) -> Result<(), Error> {
    validate_prefix(folder)?;
    if !folder.is_empty() && !folder.ends_with('/') {
        return Err(Error::InvalidKey(format!("the view's prefix {folder:?} must end in '/'")));
    }
    Ok(())
}

impl Scope {
    fn key(&self, key: &str) -> Result<String, StorageError> {
        validate_key(key).map_err(|error| refused(key, &error))?;
        Ok([&self.prefix, key].concat())
    }

    fn folder(&self, prefix: &str) -> Result<String, StorageError> {
        validate_prefix(prefix).map_err(|error| refused(prefix, &error))?;
        Ok([&self.prefix, prefix].concat())
    }

    fn check_writable(&self) -> Result<(), StorageError> {
        if self.read_only.load(Ordering::SeqCst) {
            return Err(StorageError::during_setup());
        }
        Ok(())
    }
}

/// The text for climbing paths is one that peers know.
fn refused(key: &str, error: &boltwork_storage::Error) -> StorageError {
    StorageError::InvalidKey(if key.split('/').any(|segment| segment == "..") {
        "relative paths not supported".to_owned()
    } else {
        error.to_string()
    })
}

impl Storage for View {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StorageError>> {
        Box::pin(async move {
            let full = self.scope.key(key)?;
            let value = self.barrier.get(&full).await?;
            Ok(value.map(|value| Entry { key: key.to_owned(), value, seal_wrap: false }))
        })
    }

    fn put(&self, entry: Entry) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async move {
            let full = self.scope.key(&entry.key)?;
            self.scope.check_writable()?;
            Ok(self.barrier.put(&full, &entry.value).await?)
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), StorageError>> {
        Box::pin(async move {
            let full = self.scope.key(key)?;
            self.scope.check_writable()?;
            Ok(self.barrier.delete(&full).await?)
        })
    }

    fn list_page<'a>(
        &'a self,
        prefix: &'a str,
        after: &'a str,
        limit: Option<usize>,
    ) -> BoxFuture<'a, Result<Vec<String>, StorageError>> {
        Box::pin(async move {
            let full = self.scope.folder(prefix)?;
            Ok(self.barrier.list(&full, after, limit).await?)
        })
    }

    fn begin(&self, read_only: bool) -> BoxFuture<'_, Result<Box<dyn Transaction>, StorageError>> {
        Box::pin(async move {
            let inner = self.barrier.begin(read_only)?;
            let transaction = ViewTransaction { inner, scope: self.scope.clone() };
            Ok(Box::new(transaction) as Box<dyn Transaction>)
        })
    }
}

/// A transaction inside a view.
struct ViewTransaction {
    inner: BarrierTransaction,
    scope: Scope,
}

impl Storage for ViewTransaction {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StorageError>> {
        Box::pin(async move {
            let value = self.inner.get(&self.scope.key(key)?).await?;
            Ok(value.map(|value| Entry { key: key.to_owned(), value, seal_wrap: false }))
        })
    }

    fn put(&self, entry: Entry) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async move {
            let full = self.scope.key(&entry.key)?;
            self.scope.check_writable()?;
            Ok(self.inner.put(&full, entry.value)?)
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), StorageError>> {
        Box::pin(async move {
            let full = self.scope.key(key)?;
            self.scope.check_writable()?;
            Ok(self.inner.delete(&full)?)
        })
    }

    fn list_page<'a>(
        &'a self,
        prefix: &'a str,
        after: &'a str,
        limit: Option<usize>,
    ) -> BoxFuture<'a, Result<Vec<String>, StorageError>> {
        Box::pin(async move {
            let full = self.scope.folder(prefix)?;
            Ok(self.inner.list(&full, after, limit).await?)
        })
    }

    fn begin(&self, _read_only: bool) -> BoxFuture<'_, Result<Box<dyn Transaction>, StorageError>> {
        Box::pin(std::future::ready(Err(StorageError::NoTransactions)))
    }
}

impl Transaction for ViewTransaction {
    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<(), StorageError>> {
        Box::pin(async move {
            if self.inner.has_writes() {
                self.scope.check_writable()?;
            }
            Ok(self.inner.commit().await?)
        })
    }

    fn rollback(self: Box<Self>) -> BoxFuture<'static, Result<(), StorageError>> {
        drop(self);
        Box::pin(std::future::ready(Ok(())))
    }
}
