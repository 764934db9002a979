//! Storage, served to the plugin (wire spec 2.9).

use std::{collections::HashMap, sync::Arc};

use boltwork_logical::{Storage, StorageError, Transaction};
use boltwork_wire::{entry_from_wire, entry_to_wire, pb, storage_error_to_text};
use parking_lot::Mutex;
use tokio::sync::{OwnedRwLockReadGuard, RwLock};
use tonic::{Request, Response, Status};

type Answer<T> = Result<Response<T>, Status>;

/// Storage and the transactions that the plugin has begun.
pub(super) struct StorageService {
    storage: Arc<dyn Storage>,
    transactions: Mutex<HashMap<String, Open>>,
}

/// A transaction until it is ended; calls on it share it, its end waits for them.
type Open = Arc<RwLock<Option<Box<dyn Transaction>>>>;

/// The text of an error; empty for success.
fn text<T>(outcome: Result<T, StorageError>) -> (Option<T>, String) {
    match outcome {
        Ok(value) => (Some(value), String::new()),
        Err(error) => (None, storage_error_to_text(&error)),
    }
}

fn unknown_transaction() -> Status {
    Status::unknown("there is no such transaction")
}

/// What a call works on.
enum Place {
    Plain(Arc<dyn Storage>),
    Transaction(OwnedRwLockReadGuard<Option<Box<dyn Transaction>>>),
}

impl Place {
    fn storage(&self) -> Result<&dyn Storage, Status> {
        match self {
            Self::Plain(storage) => Ok(&**storage),
            Self::Transaction(open) => match &**open {
                Some(transaction) => Ok(&**transaction),
                None => Err(unknown_transaction()),
            },
        }
    }
}

impl StorageService {
    /// Serves this storage.
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self { storage, transactions: Mutex::default() }
    }

    async fn place(&self, txn: &str) -> Result<Place, Status> {
        if txn.is_empty() {
            return Ok(Place::Plain(Arc::clone(&self.storage)));
        }
        let found = self.transactions.lock().get(txn).cloned();
        let open = found.ok_or_else(unknown_transaction)?;
        Ok(Place::Transaction(open.read_owned().await))
    }

    async fn begin(&self, read_only: bool) -> Answer<pb::StorageBeginTxReply> {
        match self.storage.begin(read_only).await {
            Ok(transaction) => {
                let txn = uuid::Uuid::new_v4().to_string();
                let open = Arc::new(RwLock::new(Some(transaction)));
                self.transactions.lock().insert(txn.clone(), open);
                Ok(Response::new(pb::StorageBeginTxReply { txn, err: String::new() }))
            }
            Err(error) => Err(Status::unknown(storage_error_to_text(&error))),
        }
    }

    /// Takes a transaction out, to be ended.
    async fn end(&self, txn: &str) -> Result<Box<dyn Transaction>, Status> {
        let open = self.transactions.lock().remove(txn).ok_or_else(unknown_transaction)?;
        open.write().await.take().ok_or_else(unknown_transaction)
    }
}

#[tonic::async_trait]
impl pb::storage_server::Storage for StorageService {
    async fn list(&self, call: Request<pb::StorageListArgs>) -> Answer<pb::StorageListReply> {
        let args = call.into_inner();
        let (keys, err) = text(self.place(&args.txn).await?.storage()?.list(&args.prefix).await);
        Ok(Response::new(pb::StorageListReply { keys: keys.unwrap_or_default(), err }))
    }

    async fn list_page(
        &self,
        call: Request<pb::StorageListPageArgs>,
    ) -> Answer<pb::StorageListReply> {
        let args = call.into_inner();
        let limit = usize::try_from(args.limit).ok().filter(|limit| *limit > 0);
        let place = self.place(&args.txn).await?;
        let (keys, err) = text(place.storage()?.list_page(&args.prefix, &args.after, limit).await);
        Ok(Response::new(pb::StorageListReply { keys: keys.unwrap_or_default(), err }))
    }

    async fn get(&self, call: Request<pb::StorageGetArgs>) -> Answer<pb::StorageGetReply> {
        let args = call.into_inner();
        let (entry, err) = text(self.place(&args.txn).await?.storage()?.get(&args.key).await);
        let entry = entry.flatten().map(entry_to_wire);
        Ok(Response::new(pb::StorageGetReply { entry, err }))
    }

    async fn put(&self, call: Request<pb::StoragePutArgs>) -> Answer<pb::StoragePutReply> {
        let args = call.into_inner();
        let entry = args.entry.ok_or_else(|| Status::invalid_argument("entry is missing"))?;
        let (_, err) =
            text(self.place(&args.txn).await?.storage()?.put(entry_from_wire(entry)).await);
        Ok(Response::new(pb::StoragePutReply { err }))
    }

    async fn delete(&self, call: Request<pb::StorageDeleteArgs>) -> Answer<pb::StorageDeleteReply> {
        let args = call.into_inner();
        let (_, err) = text(self.place(&args.txn).await?.storage()?.delete(&args.key).await);
        Ok(Response::new(pb::StorageDeleteReply { err }))
    }

    async fn is_transactional(
        &self,
        _: Request<pb::Empty>,
    ) -> Answer<pb::StorageIsTransactionalReply> {
        let begun = self.storage.begin(true).await;
        let transactional = !matches!(begun, Err(StorageError::NoTransactions));
        Ok(Response::new(pb::StorageIsTransactionalReply { transactional }))
    }

    async fn begin_read_only_tx(&self, _: Request<pb::Empty>) -> Answer<pb::StorageBeginTxReply> {
        self.begin(true).await
    }

    async fn begin_tx(&self, _: Request<pb::Empty>) -> Answer<pb::StorageBeginTxReply> {
        self.begin(false).await
    }

    async fn commit(
        &self,
        call: Request<pb::StorageCommitTxArgs>,
    ) -> Answer<pb::StorageCommitTxReply> {
        let (_, err) = text(self.end(&call.into_inner().txn).await?.commit().await);
        Ok(Response::new(pb::StorageCommitTxReply { err }))
    }

    async fn rollback(
        &self,
        call: Request<pb::StorageRollbackTxArgs>,
    ) -> Answer<pb::StorageRollbackTxReply> {
        let (_, err) = text(self.end(&call.into_inner().txn).await?.rollback().await);
        Ok(Response::new(pb::StorageRollbackTxReply { err }))
    }
}
