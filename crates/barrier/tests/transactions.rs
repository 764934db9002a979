//! Transactions: isolation, reading one's own writes, listings, bounds.

use std::sync::Arc;

use boltwork_barrier::{Barrier, Error, MAX_TRANSACTION_LEN};
use boltwork_logical::{Entry, Storage, StorageError};
use boltwork_storage::Memory;
use zeroize::Zeroizing;

async fn open() -> Barrier {
    let barrier = Barrier::new(Arc::new(Memory::new()));
    barrier.initialize(&[9; 32], None, Vec::new()).await.expect("initialize");
    barrier.unseal(&[9; 32]).await.expect("unseal");
    barrier
}

fn bytes(text: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(text.as_bytes().to_vec())
}

#[tokio::test]
async fn a_transaction_reads_its_own_writes_and_nobody_else_does() {
    let barrier = open().await;
    barrier.put("a", b"1").await.expect("put");
    let transaction = barrier.begin(false).expect("begin");
    transaction.put("a", bytes("2")).expect("put");
    transaction.put("b", bytes("3")).expect("put");
    assert_eq!(transaction.get("a").await.expect("get"), Some(bytes("2")));
    transaction.delete("b").expect("delete");
    assert_eq!(transaction.get("b").await.expect("get"), None);
    assert_eq!(barrier.get("a").await.expect("get"), Some(bytes("1")));
    transaction.commit().await.expect("commit");
    assert_eq!(barrier.get("a").await.expect("get"), Some(bytes("2")));
}

#[tokio::test]
async fn a_dropped_or_rolled_back_transaction_writes_nothing() {
    let barrier = open().await;
    let view = barrier.view("m/").expect("view");
    let dropped = view.begin(false).await.expect("begin");
    dropped.put(Entry::new("k", "v")).await.expect("put");
    drop(dropped);
    let rolled_back = view.begin(false).await.expect("begin");
    rolled_back.put(Entry::new("k", "v")).await.expect("put");
    rolled_back.rollback().await.expect("roll back");
    assert!(view.list("").await.expect("list").is_empty());
}

#[tokio::test]
async fn a_value_that_changed_since_it_was_read_fails_the_commit() {
    let barrier = open().await;
    let view = barrier.view("m/").expect("view");
    view.put(Entry::new("read", "1")).await.expect("put");
    for change in ["read", "absent"] {
        let transaction = view.begin(false).await.expect("begin");
        transaction.get(change).await.expect("get");
        transaction.put(Entry::new("written", "x")).await.expect("put");
        view.put(Entry::new(change, "2")).await.expect("put");
        let error = transaction.commit().await.expect_err("changed");
        assert!(
            matches!(&error, StorageError::Conflict(text) if text.starts_with("transaction commit failed"))
        );
        assert!(view.get("written").await.expect("get").is_none(), "half of it was written");
    }
}

#[tokio::test]
async fn a_change_of_what_was_not_read_does_not_disturb() {
    let barrier = open().await;
    let transaction = barrier.begin(false).expect("begin");
    transaction.get("a").await.expect("get");
    transaction.put("b", bytes("1")).expect("put");
    barrier.put("b", b"2").await.expect("put");
    barrier.put("c", b"3").await.expect("put");
    transaction.commit().await.expect("a write without a read overwrites");
    assert_eq!(barrier.get("b").await.expect("get"), Some(bytes("1")));
}

#[tokio::test]
async fn a_new_child_fails_a_transaction_that_had_listed_its_folder() {
    let barrier = open().await;
    barrier.put("f/a", b"1").await.expect("put");
    let listing = async || {
        let transaction = barrier.begin(false).expect("begin");
        transaction.list("f/", "", None).await.expect("list");
        transaction.put("count", bytes("1")).expect("put");
        transaction
    };
    let transaction = listing().await;
    barrier.put("f/a", b"2").await.expect("put");
    transaction.commit().await.expect("the listing is the same");
    let transaction = listing().await;
    barrier.put("f/b", b"1").await.expect("put");
    assert!(matches!(transaction.commit().await, Err(Error::Conflict)));
}

#[tokio::test]
async fn listings_inside_a_transaction_show_its_writes() {
    let barrier = open().await;
    for key in ["f/a", "f/b/1", "f/b/2", "f/c/d/e", "f/z"] {
        barrier.put(key, b"1").await.expect("put");
    }
    let transaction = barrier.begin(false).expect("begin");
    let list = async |prefix: &str, after: &str, limit| {
        transaction.list(prefix, after, limit).await.expect("list")
    };
    assert_eq!(list("f/", "", None).await, ["a", "b/", "c/", "z"]);
    transaction.put("f/m/n", bytes("2")).expect("put");
    transaction.put("f/a2", bytes("2")).expect("put");
    assert_eq!(list("f/", "", None).await, ["a", "a2", "b/", "c/", "m/", "z"]);
    assert_eq!(list("f/", "a", Some(2)).await, ["a2", "b/"]);
    transaction.delete("f/a").expect("delete");
    transaction.delete("f/b/1").expect("delete");
    assert_eq!(list("f/", "", None).await, ["a2", "b/", "c/", "m/", "z"], "b/ has 2 left");
    transaction.delete("f/b/2").expect("delete");
    transaction.delete("f/c/d/e").expect("delete");
    assert_eq!(list("f/", "", None).await, ["a2", "m/", "z"], "empty folders are gone");
    transaction.put("f/b/3", bytes("2")).expect("put");
    assert_eq!(list("f/", "", None).await, ["a2", "b/", "m/", "z"]);
    transaction.commit().await.expect("commit");
    assert_eq!(barrier.list("f/", "", None).await.expect("list"), ["a2", "b/", "m/", "z"]);
}

#[tokio::test]
async fn a_read_only_transaction_refuses_writes_and_notices_change() {
    let barrier = open().await;
    barrier.put("a", b"1").await.expect("put");
    barrier.put("b", b"1").await.expect("put");
    let transaction = barrier.begin(true).expect("begin");
    let error = transaction.put("a", bytes("2")).expect_err("read-only");
    assert_eq!(error.to_string(), "transaction is read-only");
    transaction.get("a").await.expect("get");
    barrier.put("a", b"2").await.expect("put");
    barrier.put("b", b"2").await.expect("put");
    assert_eq!(transaction.get("a").await.expect("get"), Some(bytes("1")), "reads repeat");
    assert_eq!(transaction.get("b").await.expect("get"), Some(bytes("2")));
    // It has seen a before the change and b after it: no such state ever was.
    assert!(matches!(transaction.commit().await, Err(Error::Conflict)));
}

#[tokio::test]
async fn transactions_do_not_nest_and_are_bounded() {
    let barrier = open().await;
    let view = barrier.view("m/").expect("view");
    let transaction = view.begin(false).await.expect("begin");
    assert!(matches!(transaction.begin(true).await, Err(StorageError::NoTransactions)));

    let transaction = barrier.begin(false).expect("begin");
    let mut error = None;
    for n in 0..=MAX_TRANSACTION_LEN >> 20 {
        error = transaction.put(&format!("k{n}"), Zeroizing::new(vec![0; 1 << 20])).err();
    }
    assert!(matches!(error, Some(Error::TransactionTooLarge { .. })));
}

/// Each task moves one unit between two accounts in a transaction, again after a conflict. The sum must hold.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_transactions_keep_an_invariant() {
    let barrier = open().await;
    for account in 0..4 {
        barrier.put(&format!("account/{account}"), b"100").await.expect("put");
    }
    let tasks: Vec<_> = (0..8usize)
        .map(|task| {
            let barrier = barrier.clone();
            tokio::spawn(async move {
                for n in 0..50usize {
                    let (from, to) = ((task + n) % 4, (task + n * 3 + 1) % 4);
                    while from != to && !transfer(&barrier, from, to).await {}
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("task");
    }
    let mut sum = 0;
    for account in 0..4 {
        sum += balance(barrier.get(&format!("account/{account}")).await.expect("get"));
    }
    assert_eq!(sum, 400);
}

fn balance(value: Option<Zeroizing<Vec<u8>>>) -> i64 {
    let value = value.expect("there");
    std::str::from_utf8(&value).expect("text").parse().expect("number")
}

async fn transfer(barrier: &Barrier, from: usize, to: usize) -> bool {
    let transaction = barrier.begin(false).expect("begin");
    for (account, change) in [(from, -1), (to, 1)] {
        let key = format!("account/{account}");
        let new = balance(transaction.get(&key).await.expect("get")) + change;
        transaction.put(&key, bytes(&new.to_string())).expect("put");
    }
    match transaction.commit().await {
        Ok(()) => true,
        Err(Error::Conflict) => false,
        Err(e) => panic!("{e}"),
    }
}
