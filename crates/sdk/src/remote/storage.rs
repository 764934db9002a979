//! The mount's storage, at the server (wire spec 2.9).
//!
//! Errors cross as text. Texts that servers look for are handed on unchanged.

use std::sync::OnceLock;

use boltwork_logical::{BoxFuture, Entry, Storage, StorageError, Transaction};
use boltwork_wire::{
    entry_from_wire, entry_to_wire,
    pb::{self, storage_client::StorageClient},
    storage_error_from_text,
};
use go_plugin::{Channel, MAX_MESSAGE};
use tonic::{Code, Response, Status};

/// How OpenBao says that another write came between.
const COMMIT_FAILED: &str = "transaction commit failed";
/// How servers say that there is no storage yet.
const MISSING: &str = "missing storage implementation";

type Done<T> = Result<T, StorageError>;

/// Storage over one connection; inside a transaction if it has an id.
pub(crate) struct RemoteStorage {
    client: StorageClient<Channel>,
    /// Empty outside transactions.
    txn: String,
    /// Whether the server has transactions, once it has said so.
    transactional: OnceLock<bool>,
    /// Whether the server lists in pages, until it says that it does not.
    no_pages: OnceLock<()>,
}

impl RemoteStorage {
    /// Storage over this connection.
    pub fn new(connection: Channel) -> Self {
        let client = StorageClient::new(connection)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        Self {
            client,
            txn: String::new(),
            transactional: OnceLock::new(),
            no_pages: OnceLock::new(),
        }
    }

    /// A handle of its own for one call: generated clients want one.
    fn client(&self) -> StorageClient<Channel> {
        self.client.clone()
    }

    async fn is_transactional(&self) -> Done<bool> {
        if let Some(known) = self.transactional.get() {
            return Ok(*known);
        }
        let answer = match self.client().is_transactional(pb::Empty {}).await {
            Ok(reply) => reply.into_inner().transactional,
            Err(status) if status.code() == Code::Unimplemented => false,
            // Not an answer to keep: this storage comes into being later.
            Err(status) if status.message().contains(MISSING) => return Ok(false),
            Err(status) => return Err(lost(status)),
        };
        Ok(*self.transactional.get_or_init(|| answer))
    }

    async fn begin_transaction(&self, read_only: bool) -> Done<Box<dyn Transaction>> {
        if !self.txn.is_empty() || !self.is_transactional().await? {
            return Err(StorageError::NoTransactions);
        }
        let mut client = self.client();
        let begun = match read_only {
            true => client.begin_read_only_tx(pb::Empty {}).await,
            false => client.begin_tx(pb::Empty {}).await,
        };
        let reply = begun.map_err(lost)?.into_inner();
        storage_error_from_text(reply.err)?;
        if reply.txn.is_empty() {
            // Without an id, what follows would be done outside any transaction.
            return Err(StorageError::Failed(
                "the server began a transaction without an id".into(),
            ));
        }
        let storage = Self {
            client: self.client(),
            txn: reply.txn,
            transactional: OnceLock::new(),
            no_pages: self.no_pages.clone(),
        };
        Ok(Box::new(RemoteTransaction { storage, open: true }))
    }

    async fn list_all(&self, prefix: &str) -> Done<Vec<String>> {
        let args = pb::StorageListArgs { prefix: prefix.to_owned(), txn: self.txn.clone() };
        listed(self.client().list(args).await.map_err(lost)?)
    }
}

fn listed(reply: Response<pb::StorageListReply>) -> Done<Vec<String>> {
    let reply = reply.into_inner();
    storage_error_from_text(reply.err)?;
    Ok(reply.keys)
}

/// A call that brought no answer of the storage's.
fn lost(status: Status) -> StorageError {
    let text = status.message();
    match status.code() {
        _ if text.contains(MISSING) => StorageError::Missing(text.to_owned()),
        Code::Unimplemented => {
            StorageError::Failed(format!("the server does not offer this: {text}"))
        }
        Code::Unavailable | Code::Cancelled => {
            StorageError::Failed(format!("the connection to the server's storage is lost: {text}"))
        }
        _ => StorageError::Failed(text.to_owned()),
    }
}

impl Storage for RemoteStorage {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Done<Option<Entry>>> {
        Box::pin(async move {
            let args = pb::StorageGetArgs { key: key.to_owned(), txn: self.txn.clone() };
            let reply = self.client().get(args).await.map_err(lost)?.into_inner();
            storage_error_from_text(reply.err)?;
            Ok(reply.entry.map(entry_from_wire))
        })
    }

    fn put(&self, entry: Entry) -> BoxFuture<'_, Done<()>> {
        Box::pin(async move {
            let entry = Some(entry_to_wire(entry));
            let args = pb::StoragePutArgs { entry, txn: self.txn.clone() };
            storage_error_from_text(self.client().put(args).await.map_err(lost)?.into_inner().err)
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Done<()>> {
        Box::pin(async move {
            let args = pb::StorageDeleteArgs { key: key.to_owned(), txn: self.txn.clone() };
            storage_error_from_text(
                self.client().delete(args).await.map_err(lost)?.into_inner().err,
            )
        })
    }

    fn list_page<'a>(
        &'a self,
        prefix: &'a str,
        after: &'a str,
        limit: Option<usize>,
    ) -> BoxFuture<'a, Done<Vec<String>>> {
        Box::pin(async move {
            if limit == Some(0) {
                return Ok(Vec::new());
            }
            if self.no_pages.get().is_none() {
                let args = pb::StorageListPageArgs {
                    prefix: prefix.to_owned(),
                    after: after.to_owned(),
                    limit: limit.map_or(-1, |most| i32::try_from(most).unwrap_or(i32::MAX)),
                    txn: self.txn.clone(),
                };
                match self.client().list_page(args).await {
                    Err(status) if status.code() == Code::Unimplemented => {
                        self.no_pages.get_or_init(|| ());
                    }
                    outcome => return listed(outcome.map_err(lost)?),
                }
            }
            let mut keys = self.list_all(prefix).await?;
            keys.retain(|key| key.as_str() > after);
            keys.truncate(limit.unwrap_or(usize::MAX));
            Ok(keys)
        })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Done<Vec<String>>> {
        Box::pin(self.list_all(prefix))
    }

    fn begin(&self, read_only: bool) -> BoxFuture<'_, Done<Box<dyn Transaction>>> {
        Box::pin(self.begin_transaction(read_only))
    }
}

/// A transaction at the server; given up there when it is dropped here.
struct RemoteTransaction {
    storage: RemoteStorage,
    open: bool,
}

impl RemoteTransaction {
    async fn roll_back(storage: &RemoteStorage) -> Done<()> {
        let args = pb::StorageRollbackTxArgs { txn: storage.txn.clone() };
        let reply = storage.client().rollback(args).await.map_err(lost)?.into_inner();
        storage_error_from_text(reply.err)
    }
}

impl Transaction for RemoteTransaction {
    fn commit(mut self: Box<Self>) -> BoxFuture<'static, Done<()>> {
        Box::pin(async move {
            let args = pb::StorageCommitTxArgs { txn: self.storage.txn.clone() };
            let reply = self.storage.client().commit(args).await.map_err(lost)?.into_inner();
            // Whatever came of it, the server has forgotten the transaction.
            self.open = false;
            if reply.err.contains(COMMIT_FAILED) {
                return Err(StorageError::Conflict(reply.err));
            }
            storage_error_from_text(reply.err)
        })
    }

    fn rollback(mut self: Box<Self>) -> BoxFuture<'static, Done<()>> {
        Box::pin(async move {
            let outcome = Self::roll_back(&self.storage).await;
            self.open = outcome.is_err();
            outcome
        })
    }
}

impl Drop for RemoteTransaction {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        // A request that was abandoned half-way: the server would keep the transaction until the
        // connection ends.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let connectionless = RemoteStorage {
                client: self.storage.client(),
                txn: std::mem::take(&mut self.storage.txn),
                transactional: OnceLock::new(),
                no_pages: OnceLock::new(),
            };
            runtime.spawn(async move { Self::roll_back(&connectionless).await });
        }
    }
}

impl Storage for RemoteTransaction {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Done<Option<Entry>>> {
        self.storage.get(key)
    }
    fn put(&self, entry: Entry) -> BoxFuture<'_, Done<()>> {
        self.storage.put(entry)
    }
    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Done<()>> {
        self.storage.delete(key)
    }
    fn list_page<'a>(
        &'a self,
        prefix: &'a str,
        after: &'a str,
        limit: Option<usize>,
    ) -> BoxFuture<'a, Done<Vec<String>>> {
        self.storage.list_page(prefix, after, limit)
    }
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Done<Vec<String>>> {
        self.storage.list(prefix)
    }
    fn begin(&self, _: bool) -> BoxFuture<'_, Done<Box<dyn Transaction>>> {
        Box::pin(async { Err(StorageError::NoTransactions) })
    }
}
