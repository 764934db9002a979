//! Version 1: what the recordings do not show.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod support;

use std::sync::Arc;

use boltwork_sdk::logical::{Existence, Operation, Reply, Secret};
use serde_json::json;
use support::{Lab, Mount, memory::Memory};

async fn leased() -> [Mount; 2] {
    Mount::both(&[("version", "1"), ("leased_passthrough", "true")]).await
}

async fn plain() -> [Mount; 2] {
    Mount::both(&[("version", "1")]).await
}

#[tokio::test]
async fn a_secret_is_stored_and_returned_to_the_letter() {
    let mount = Lab::new("1").await;
    let secret = r#"{"n":12345678901234567890123,"f":1.50,"u":"\u00e9","path":"p"}"#;
    mount.ask_text(Operation::Update, "dir/a", secret).await.ok();
    assert_eq!(mount.storage.entries()["dir/a"], secret.as_bytes());
    let request = mount.request(Operation::Read, "dir/a");
    let reply = mount.backend.handle(request).await.unwrap().unwrap();
    assert_eq!(reply.data.as_str(), secret);
}

#[tokio::test]
async fn a_write_is_a_create_only_where_nothing_was() {
    let mount = Lab::new("1").await;
    let request = mount.request(Operation::Update, "a");
    assert_eq!(mount.backend.exists(&request).await.unwrap(), Existence::Absent);
    mount.write("a", json!({"n": 1})).await.ok();
    assert_eq!(mount.backend.exists(&request).await.unwrap(), Existence::Exists);
}

#[tokio::test]
async fn a_read_is_a_lease_only_where_the_mount_says_so() {
    for mount in plain().await {
        mount.write("a", json!({"ttl": "1h"})).await.ok();
        let secret = given(&mount, "a").await;
        assert_eq!(secret.lease.ttl.as_secs(), 3600);
        assert!(!secret.lease.renewable);
        // A server that finds this word keeps a lease.
        assert!(!secret.internal.mentions("secret_type"));
    }
    for mount in leased().await {
        mount.write("a", json!({"ttl": "1h"})).await.ok();
        mount.write("b", json!({"n": 1})).await.ok();
        let secret = given(&mount, "a").await;
        assert!(secret.lease.renewable && secret.internal.mentions("secret_type"));
        assert!(!given(&mount, "b").await.lease.renewable);
    }
}

/// The lease that a read of this path comes with.
async fn given(mount: &Mount, path: &str) -> Box<Secret> {
    let reply = mount.backend.handle(mount.request(Operation::Read, path)).await;
    reply.unwrap().unwrap().secret.unwrap()
}

/// Asks for a renewal or a revocation of a lease that a read of this path gave.
async fn lease(mount: &Mount, operation: Operation, path: &str) -> Option<Reply> {
    let mut request = mount.request(operation, path);
    request.secret = Some(given(mount, path).await);
    mount.backend.handle(request).await.unwrap()
}

#[tokio::test]
async fn a_renewal_reads_again() {
    for mount in leased().await {
        mount.write("a", json!({"ttl": "1h", "n": 1})).await.ok();
        let reply = lease(&mount, Operation::Renew, "a").await.unwrap();
        let secret = reply.secret.unwrap();
        assert_eq!(secret.lease.ttl.as_secs(), 3600);
        assert!(secret.lease.renewable);
    }
}

#[tokio::test]
async fn a_revocation_succeeds_and_takes_nothing_away() {
    for mount in leased().await.into_iter().chain(plain().await) {
        mount.write("a", json!({"ttl": "1h", "n": 1})).await.ok();
        lease(&mount, Operation::Revoke, "a").await;
        assert_eq!(mount.read("a").await.at("n"), 1);
    }
}

#[tokio::test]
async fn the_root_and_folders_are_no_secrets() {
    for mount in plain().await {
        mount.write("dir/a", json!({"n": 1})).await.ok();
        for path in ["", "dir/"] {
            assert_eq!(mount.read(path).await.status, 404, "{path:?}");
            assert_eq!(mount.write(path, json!({"n": 2})).await.status, 400, "{path:?}");
            assert_eq!(mount.delete(path).await.status, 204, "{path:?}");
        }
        assert_eq!(mount.read("dir/a").await.at("n"), 1);
    }
}

#[tokio::test]
async fn what_is_no_json_in_storage_is_named_and_not_quoted() {
    let storage = Arc::new(Memory::default());
    storage.set("a", "hunter2");
    let answer = Lab::over("1", storage).await.read("a").await;
    assert_eq!(answer.status, 500);
    assert!(answer.errors[0].contains("\"a\"") && !answer.errors[0].contains("hunter2"));
}
