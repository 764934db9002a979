//! `pb.Storage`: a mount's storage for its plugin, with OpenBao's pages and transactions (wire spec
//! 2.9).
//!
//! Storage's own failures go as text in the reply, where every SDK looks. What concerns
//! transactions goes as gRPC errors, because OpenBao's client reads nothing else there.

use std::sync::Arc;

use boltwork_logical::{Entry, Storage, StorageError};
use boltwork_wire::pb::storage_server::Storage as Service;
use boltwork_wire::pb::{
    Empty, StorageBeginTxReply, StorageCommitTxArgs, StorageCommitTxReply, StorageDeleteArgs,
    StorageDeleteReply, StorageGetArgs, StorageGetReply, StorageIsTransactionalReply,
    StorageListArgs, StorageListPageArgs, StorageListReply, StoragePutArgs, StoragePutReply,
    StorageRollbackTxArgs, StorageRollbackTxReply,
};
use boltwork_wire::{entry_from_wire, entry_to_wire, storage_error_to_text};
use tokio::sync::OnceCell;
use tonic::{Request, Response, Status};

use super::transactions::Transactions;

/// What OpenBao says where there are no transactions; its client compares parts of it.
const NO_TRANSACTIONS: &str = "underlying storage implementation does not support transactions; \
                               refusing to call transaction method";
/// What OpenBao says to the end of a transaction that it does not know.
const UNKNOWN_END: &str = "missing storage implementation: this method should not be called \
                           during plugin Setup, but only during and after Initialize";

pub(super) struct StorageService {
    storage: Arc<dyn Storage>,
    transactions: Arc<Transactions>,
    transactional: OnceCell<bool>,
}

impl StorageService {
    pub fn new(storage: Arc<dyn Storage>, transactions: Arc<Transactions>) -> Self {
        Self { storage, transactions, transactional: OnceCell::new() }
    }

    /// Asked before every request by OpenBao's plugins, so found out once.
    async fn is_transactional(&self) -> Result<bool, StorageError> {
        let ask = || async {
            match self.storage.begin(true).await {
                Ok(transaction) => transaction.rollback().await.map(|()| true),
                Err(StorageError::NoTransactions) => Ok(false),
                Err(other) => Err(other),
            }
        };
        self.transactional.get_or_try_init(ask).await.copied()
    }

    async fn begin(&self, read_only: bool) -> Result<Response<StorageBeginTxReply>, Status> {
        let full = || Status::resource_exhausted("this backend has too many transactions open");
        if !self.transactions.has_room() {
            return Err(full());
        }
        let begun = match self.storage.begin(read_only).await {
            Ok(begun) => begun,
            Err(StorageError::NoTransactions) => return Err(Status::unknown(NO_TRANSACTIONS)),
            Err(other) => return Err(Status::unknown(storage_error_to_text(&other))),
        };
        let txn = self.transactions.keep(begun).ok_or_else(full)?;
        Ok(Response::new(StorageBeginTxReply { txn, err: String::new() }))
    }

    async fn end(&self, id: &str, commit: bool) -> Result<Result<(), StorageError>, Status> {
        let open = self.transactions.take(id).ok_or_else(|| Status::unknown(UNKNOWN_END))?;
        let transaction = open.lock().await.take();
        let transaction = transaction.ok_or_else(|| Status::unknown(UNKNOWN_END))?;
        Ok(if commit { transaction.commit().await } else { transaction.rollback().await })
    }
}

fn unknown() -> StorageError {
    StorageError::Failed("the transaction is not known: it has ended".to_owned())
}

fn text(outcome: Result<(), StorageError>) -> String {
    outcome.err().map(|error| storage_error_to_text(&error)).unwrap_or_default()
}

/// Runs an expression on the transaction that the call names, or on the storage itself.
macro_rules! on_storage {
    ($self:ident, $txn:expr, |$storage:ident| $call:expr) => {
        if $txn.is_empty() {
            let $storage = &*$self.storage;
            $call.await
        } else {
            match $self.transactions.find(&$txn) {
                None => Err(unknown()),
                Some(open) => match open.lock().await.as_deref() {
                    None => Err(unknown()),
                    Some($storage) => $call.await,
                },
            }
        }
    };
}

fn keys(listed: Result<Vec<String>, StorageError>) -> Response<StorageListReply> {
    Response::new(match listed {
        Ok(keys) => StorageListReply { keys, err: String::new() },
        Err(error) => StorageListReply { keys: Vec::new(), err: storage_error_to_text(&error) },
    })
}

#[tonic::async_trait]
impl Service for StorageService {
    async fn list(
        &self,
        request: Request<StorageListArgs>,
    ) -> Result<Response<StorageListReply>, Status> {
        let StorageListArgs { prefix, txn } = request.into_inner();
        Ok(keys(on_storage!(self, txn, |storage| storage.list(&prefix))))
    }

    async fn list_page(
        &self,
        request: Request<StorageListPageArgs>,
    ) -> Result<Response<StorageListReply>, Status> {
        let StorageListPageArgs { prefix, after, limit, txn } = request.into_inner();
        let limit = usize::try_from(limit).ok().filter(|limit| *limit > 0);
        Ok(keys(on_storage!(self, txn, |storage| storage.list_page(&prefix, &after, limit))))
    }

    async fn get(
        &self,
        request: Request<StorageGetArgs>,
    ) -> Result<Response<StorageGetReply>, Status> {
        let StorageGetArgs { key, txn } = request.into_inner();
        let found: Result<Option<Entry>, _> = on_storage!(self, txn, |storage| storage.get(&key));
        Ok(Response::new(match found {
            Ok(entry) => StorageGetReply { entry: entry.map(entry_to_wire), err: String::new() },
            Err(error) => StorageGetReply { entry: None, err: storage_error_to_text(&error) },
        }))
    }

    async fn put(
        &self,
        request: Request<StoragePutArgs>,
    ) -> Result<Response<StoragePutReply>, Status> {
        let StoragePutArgs { entry, txn } = request.into_inner();
        let Some(entry) = entry else {
            return Err(Status::invalid_argument("Put without an entry"));
        };
        let entry = entry_from_wire(entry);
        let done = on_storage!(self, txn, |storage| storage.put(entry));
        Ok(Response::new(StoragePutReply { err: text(done) }))
    }

    async fn delete(
        &self,
        request: Request<StorageDeleteArgs>,
    ) -> Result<Response<StorageDeleteReply>, Status> {
        let StorageDeleteArgs { key, txn } = request.into_inner();
        let done = on_storage!(self, txn, |storage| storage.delete(&key));
        Ok(Response::new(StorageDeleteReply { err: text(done) }))
    }

    async fn is_transactional(
        &self,
        _: Request<Empty>,
    ) -> Result<Response<StorageIsTransactionalReply>, Status> {
        let transactional = self.is_transactional().await;
        let transactional =
            transactional.map_err(|error| Status::unknown(storage_error_to_text(&error)))?;
        Ok(Response::new(StorageIsTransactionalReply { transactional }))
    }

    async fn begin_read_only_tx(
        &self,
        _: Request<Empty>,
    ) -> Result<Response<StorageBeginTxReply>, Status> {
        self.begin(true).await
    }

    async fn begin_tx(&self, _: Request<Empty>) -> Result<Response<StorageBeginTxReply>, Status> {
        self.begin(false).await
    }

    async fn commit(
        &self,
        request: Request<StorageCommitTxArgs>,
    ) -> Result<Response<StorageCommitTxReply>, Status> {
        let ended = self.end(&request.get_ref().txn, true).await?;
        Ok(Response::new(StorageCommitTxReply { err: text(ended) }))
    }

    async fn rollback(
        &self,
        request: Request<StorageRollbackTxArgs>,
    ) -> Result<Response<StorageRollbackTxReply>, Status> {
        let ended = self.end(&request.get_ref().txn, false).await?;
        Ok(Response::new(StorageRollbackTxReply { err: text(ended) }))
    }
}

#[cfg(test)]
#[path = "storage_tests.rs"]
mod tests;
