//! Conveniences on storage: JSON in and out, and transactions as one call.

use std::{future::Future, sync::Arc};

use boltwork_logical::{BoxFuture, Entry, Error, Storage, StorageError, Transaction};
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::Result;

/// How often a transaction is tried when other writes come between.
const ATTEMPTS: usize = 8;

/// JSON in and out of storage, also inside a transaction.
pub trait StorageExt: Storage {
    /// The value under a key; `None` if there is none.
    fn load<T: DeserializeOwned>(
        &self,
        key: impl AsRef<str> + Send,
    ) -> impl Future<Output = Result<Option<T>>> + Send {
        async move { loaded(key.as_ref(), self.get(key.as_ref()).await?) }
    }

    /// The same for what is only shown: see [`Storage::get_ahead`], and
    /// [`Routes::read_ahead`](crate::Routes::read_ahead), which makes it cost no call.
    fn load_ahead<T: DeserializeOwned>(
        &self,
        key: impl AsRef<str> + Send,
    ) -> impl Future<Output = Result<Option<T>>> + Send {
        async move { loaded(key.as_ref(), self.get_ahead(key.as_ref()).await?) }
    }

    /// Stores a value.
    fn save<T: Serialize + Sync + ?Sized>(
        &self,
        key: impl Into<String> + Send,
        value: &T,
    ) -> impl Future<Output = Result<()>> + Send {
        let (key, text) = (key.into(), serde_json::to_vec(value).map(Zeroizing::new));
        async move {
            let value = text.map_err(|_| {
                Error::internal(format!("what was to be stored under {key:?} cannot be JSON"))
            })?;
            Ok(self.put(Entry { key, value, seal_wrap: false }).await?)
        }
    }

    /// Removes a key; no error if there is none.
    fn remove(&self, key: impl AsRef<str> + Send) -> impl Future<Output = Result<()>> + Send {
        async move { Ok(self.delete(key.as_ref()).await?) }
    }

    /// Whether there is something under a key.
    fn contains(&self, key: impl AsRef<str> + Send) -> impl Future<Output = Result<bool>> + Send {
        async move { Ok(self.get(key.as_ref()).await?.is_some()) }
    }

    /// The names directly below a prefix; folders end in `/`.
    fn keys(
        &self,
        prefix: impl AsRef<str> + Send,
    ) -> impl Future<Output = Result<Vec<String>>> + Send {
        async move { Ok(self.list(prefix.as_ref()).await?) }
    }
}

impl<S: Storage + ?Sized> StorageExt for S {}

fn loaded<T: DeserializeOwned>(key: &str, entry: Option<Entry>) -> Result<Option<T>> {
    let Some(entry) = entry else { return Ok(None) };
    // serde_json's own text would quote what is stored.
    serde_json::from_slice(&entry.value).map(Some).map_err(|_| unreadable(key))
}

fn unreadable(key: &str) -> Error {
    Error::internal(format!("the stored value under {key:?} does not have the expected shape"))
}

/// Work that is stored as a whole or not at all.
pub trait Transactions {
    /// Runs `work` in a transaction and commits it; an error from `work` rolls it back. If another
    /// write came between, `work` runs again, up to eight times: it should touch nothing but the
    /// transaction. Where the server has no transactions (HashiCorp Vault), `work` runs on the plain
    /// storage, and a failure half-way leaves the first half behind; so order the writes with care.
    fn transaction<'a, T, W, Fut>(&'a self, work: W) -> impl Future<Output = Result<T>> + Send + 'a
    where
        T: Send + 'a,
        W: FnMut(Tx) -> Fut + Send + 'a,
        Fut: Future<Output = Result<T>> + Send + 'a;
}

impl Transactions for Arc<dyn Storage> {
    async fn transaction<'a, T, W, Fut>(&'a self, mut work: W) -> Result<T>
    where
        T: Send + 'a,
        W: FnMut(Tx) -> Fut + Send + 'a,
        Fut: Future<Output = Result<T>> + Send + 'a,
    {
        let mut left = ATTEMPTS;
        loop {
            left -= 1;
            let outcome = match self.begin(false).await {
                Err(StorageError::NoTransactions) => return work(Tx::plain(self)).await,
                Err(error) => return Err(error.into()),
                Ok(transaction) => attempt(transaction, &mut work).await,
            };
            match outcome {
                Err(Error::Conflict(_)) if left > 0 => {}
                outcome => return outcome,
            }
        }
    }
}

async fn attempt<T, W, Fut>(transaction: Box<dyn Transaction>, work: &mut W) -> Result<T>
where
    W: FnMut(Tx) -> Fut,
    Fut: Future<Output = Result<T>>,
{
    let tx = Tx(Arc::new(Home::Transaction(transaction)));
    let outcome = work(tx.clone()).await;
    // The closure's clones are gone with its future, unless it gave one away.
    let Ok(Home::Transaction(transaction)) = Arc::try_unwrap(tx.0) else {
        return Err(Error::internal("a transaction was kept beyond the work that it was for"));
    };
    match outcome {
        Ok(value) => {
            transaction.commit().await?;
            Ok(value)
        }
        Err(error) => {
            // The work's own error matters; nothing is stored either way.
            let _ = transaction.rollback().await;
            Err(error)
        }
    }
}

/// The storage inside [`Transactions::transaction`].
#[derive(Clone)]
pub struct Tx(Arc<Home>);

enum Home {
    Transaction(Box<dyn Transaction>),
    Plain(Arc<dyn Storage>),
}

impl Tx {
    fn plain(storage: &Arc<dyn Storage>) -> Self {
        Self(Arc::new(Home::Plain(Arc::clone(storage))))
    }

    fn storage(&self) -> &dyn Storage {
        match &*self.0 {
            Home::Transaction(transaction) => &**transaction,
            Home::Plain(storage) => &**storage,
        }
    }
}

impl Storage for Tx {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StorageError>> {
        self.storage().get(key)
    }
    fn put(&self, entry: Entry) -> BoxFuture<'_, Result<(), StorageError>> {
        self.storage().put(entry)
    }
    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), StorageError>> {
        self.storage().delete(key)
    }
    fn list_page<'a>(
        &'a self,
        prefix: &'a str,
        after: &'a str,
        limit: Option<usize>,
    ) -> BoxFuture<'a, Result<Vec<String>, StorageError>> {
        self.storage().list_page(prefix, after, limit)
    }
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, StorageError>> {
        self.storage().list(prefix)
    }
    fn begin(&self, _: bool) -> BoxFuture<'_, Result<Box<dyn Transaction>, StorageError>> {
        Box::pin(async { Err(StorageError::NoTransactions) })
    }
}
