//! Version 1: what the recordings do not show.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod support;

use std::sync::Arc;

use boltwork_sdk::logical::{Data, Existence, Operation, Reply, Request, Secret};
use serde_json::json;
use support::{Mount, memory::Memory};

async fn leased() -> Mount {
    let options = [("version", "1"), ("leased_passthrough", "true")];
    Mount::try_over(&options, Arc::default()).await.unwrap()
}

#[tokio::test]
async fn a_secret_is_stored_and_returned_to_the_letter() {
    let mount = Mount::new("1").await;
    let secret = r#"{"n":12345678901234567890123,"f":1.50,"u":"\u00e9","path":"p"}"#;
    mount.ask_text(Operation::Update, "dir/a", secret).await.ok();
    assert_eq!(mount.storage.entries()["dir/a"], secret.as_bytes());
    let request = Request::new(Operation::Read, "dir/a", mount.storage.clone());
    let reply = mount.backend.handle(request).await.unwrap().unwrap();
    assert_eq!(reply.data.as_str(), secret);
}

#[tokio::test]
async fn a_write_is_a_create_only_where_nothing_was() {
    let mount = Mount::new("1").await;
    let request = Request::new(Operation::Update, "a", mount.storage.clone());
    assert_eq!(mount.backend.exists(&request).await.unwrap(), Existence::Absent);
    mount.write("a", json!({"n": 1})).await.ok();
    assert_eq!(mount.backend.exists(&request).await.unwrap(), Existence::Exists);
}

#[tokio::test]
async fn a_read_is_never_renewable_unless_the_mount_says_so() {
    let mount = Mount::new("1").await;
    mount.write("a", json!({"ttl": "1h"})).await.ok();
    assert!(!mount.read("a").await.renewable);

    let mount = leased().await;
    mount.write("a", json!({"ttl": "1h"})).await.ok();
    mount.write("b", json!({"n": 1})).await.ok();
    assert!(mount.read("a").await.renewable);
    assert!(!mount.read("b").await.renewable);
}

/// Asks for a renewal or a revocation of a lease that a read of this path gave.
async fn lease(mount: &Mount, operation: Operation, path: &str) -> Option<Reply> {
    let read = Request::new(Operation::Read, path, mount.storage.clone());
    let secret: Box<Secret> = mount.backend.handle(read).await.unwrap().unwrap().secret.unwrap();
    let mut request = Request::new(operation, path, mount.storage.clone());
    request.data = Data::null();
    request.secret = Some(secret);
    mount.backend.handle(request).await.unwrap()
}

#[tokio::test]
async fn a_renewal_reads_again_and_a_revocation_takes_nothing_away() {
    let mount = leased().await;
    mount.write("a", json!({"ttl": "1h", "n": 1})).await.ok();
    let reply = lease(&mount, Operation::Renew, "a").await.unwrap();
    let secret = reply.secret.unwrap();
    assert_eq!(secret.lease.ttl.as_secs(), 3600);
    assert!(secret.lease.renewable);
    assert!(lease(&mount, Operation::Revoke, "a").await.is_none());
    assert_eq!(mount.read("a").await.status, 200);
}

#[tokio::test]
async fn what_is_no_json_in_storage_is_named_and_not_quoted() {
    let storage = Arc::new(Memory::default());
    storage.set("a", "hunter2");
    let answer = Mount::over("1", storage).await.read("a").await;
    assert_eq!(answer.status, 500);
    assert!(answer.errors[0].contains("\"a\"") && !answer.errors[0].contains("hunter2"));
}
