//! The storage service, called as the generated server calls it.

use boltwork_wire::pb;

use super::*;
use crate::gate::SetupGate;
use crate::memory::MemoryStorage;

fn service(storage: Arc<dyn Storage>) -> StorageService {
    StorageService::new(storage, Arc::default())
}

fn entry(key: &str, value: &str) -> Option<pb::StorageEntry> {
    Some(pb::StorageEntry { key: key.into(), value: value.into(), seal_wrap: false })
}

async fn put(service: &StorageService, key: &str, txn: &str) -> String {
    let args = StoragePutArgs { entry: entry(key, "v"), txn: txn.into() };
    service.put(Request::new(args)).await.unwrap().into_inner().err
}

async fn get(service: &StorageService, key: &str, txn: &str) -> StorageGetReply {
    let args = StorageGetArgs { key: key.into(), txn: txn.into() };
    service.get(Request::new(args)).await.unwrap().into_inner()
}

async fn begin(service: &StorageService) -> String {
    service.begin_tx(Request::new(Empty {})).await.unwrap().into_inner().txn
}

async fn commit(service: &StorageService, txn: &str) -> Result<String, Status> {
    let args = StorageCommitTxArgs { txn: txn.into() };
    service.commit(Request::new(args)).await.map(|reply| reply.into_inner().err)
}

#[tokio::test]
async fn entries_are_kept_and_absence_is_not_emptiness() {
    let service = service(Arc::new(MemoryStorage::default()));
    assert!(get(&service, "a", "").await.entry.is_none());
    assert_eq!(put(&service, "a", "").await, "");
    assert_eq!(get(&service, "a", "").await.entry.unwrap().value, b"v");
    let args = StorageDeleteArgs { key: "a".into(), txn: String::new() };
    assert_eq!(service.delete(Request::new(args)).await.unwrap().into_inner().err, "");
    assert!(get(&service, "a", "").await.entry.is_none());
}

#[tokio::test]
async fn pages_begin_behind_a_key_and_have_a_limit() {
    let service = service(Arc::new(MemoryStorage::default()));
    for key in ["k/a", "k/b", "k/c/d", "k/e"] {
        put(&service, key, "").await;
    }
    for (after, limit, wanted) in [
        ("", 0, &["a", "b", "c/", "e"][..]),
        ("", -1, &["a", "b", "c/", "e"]),
        ("a", 2, &["b", "c/"]),
        ("z", 5, &[]),
    ] {
        let args = StorageListPageArgs {
            prefix: "k/".into(),
            after: after.into(),
            limit,
            txn: String::new(),
        };
        let reply = service.list_page(Request::new(args)).await.unwrap().into_inner();
        assert_eq!(reply.keys, wanted);
    }
}

#[tokio::test]
async fn a_transaction_is_seen_by_itself_only_until_it_is_committed() {
    let service = service(Arc::new(MemoryStorage::default()));
    let txn = begin(&service).await;
    assert_eq!(put(&service, "a", &txn).await, "");
    assert!(get(&service, "a", &txn).await.entry.is_some());
    assert!(get(&service, "a", "").await.entry.is_none());
    assert_eq!(commit(&service, &txn).await.unwrap(), "");
    assert!(get(&service, "a", "").await.entry.is_some());
    assert!(commit(&service, &txn).await.is_err(), "it has ended");
}

#[tokio::test]
async fn an_unknown_transaction_is_an_error_and_never_plain_storage() {
    let service = service(Arc::new(MemoryStorage::default()));
    assert_ne!(put(&service, "a", "made-up").await, "");
    assert_ne!(get(&service, "a", "made-up").await.err, "");
    assert!(get(&service, "a", "").await.entry.is_none(), "nothing was written");
    let refused = commit(&service, "made-up").await.unwrap_err();
    assert!(refused.message().contains("missing storage implementation"));
    assert!(commit(&service, "").await.is_err());
}

#[tokio::test]
async fn a_conflict_is_told_and_stores_nothing() {
    let service = service(Arc::new(MemoryStorage::default()));
    let txn = begin(&service).await;
    put(&service, "a", &txn).await;
    put(&service, "other", "").await;
    assert_ne!(commit(&service, &txn).await.unwrap(), "");
    assert!(get(&service, "a", "").await.entry.is_none());
}

#[tokio::test]
async fn open_transactions_are_bounded_and_end_with_the_backend() {
    let service = service(Arc::new(MemoryStorage::default()));
    let mut last = String::new();
    for _ in 0..256 {
        last = begin(&service).await;
    }
    let refused = service.begin_tx(Request::new(Empty {})).await.err().unwrap();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    service.transactions.end();
    assert_ne!(put(&service, "a", &last).await, "");
    assert!(service.begin_tx(Request::new(Empty {})).await.is_err(), "it has ended");
}

#[tokio::test]
async fn nothing_is_written_during_setup() {
    let gate = SetupGate::default();
    let service = service(gate.guard(Arc::new(MemoryStorage::default())));
    assert_eq!(put(&service, "a", "").await, "cannot write to storage during setup");
    let refused = service.begin_tx(Request::new(Empty {})).await.err().unwrap();
    assert_eq!(refused.message(), "cannot write to storage during setup");
    let answer = Service::is_transactional(&service, Request::new(Empty {})).await.unwrap();
    assert!(answer.into_inner().transactional, "asking is allowed");
    gate.open();
    assert_eq!(put(&service, "a", "").await, "");
}

#[tokio::test]
async fn a_put_of_nothing_is_refused() {
    let service = service(Arc::new(MemoryStorage::default()));
    let args = StoragePutArgs { entry: None, txn: String::new() };
    assert!(service.put(Request::new(args)).await.is_err());
}
