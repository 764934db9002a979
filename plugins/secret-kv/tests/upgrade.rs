//! From version 1 to version 2, and mounts that must not be touched.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod support;

use std::{sync::Arc, time::Duration};

use serde_json::json;
use support::{Answer, Lab, UUID, memory::Memory};

const PATHS: [&str; 6] = ["a", "config", "data/x", "dir/b", "dir/sub/c", "meta/y"];

/// A mount of version 1 with secrets.
async fn filled(storage: Arc<Memory>) -> Arc<Memory> {
    let mount = Lab::over("1", Arc::clone(&storage)).await;
    for path in PATHS {
        mount.write(path, json!({"at": path})).await.ok();
    }
    storage
}

/// Asks until the upgrade is over.
async fn patiently(mount: &Lab, path: &str) -> Answer {
    for _ in 0..2_000 {
        let answer = mount.read(path).await;
        if !answer.errors.iter().any(|text| text.starts_with("Upgrading from non-versioned")) {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the upgrade never ended");
}

async fn all_upgraded(mount: &Lab) {
    for path in PATHS {
        let answer = patiently(mount, &format!("data/{path}")).await;
        assert_eq!(answer.at("data"), &json!({"at": path}), "{answer:?}");
        assert_eq!(answer.at("metadata/version"), 1, "{path}");
    }
    let outside: Vec<_> =
        mount.storage.entries().into_keys().filter(|key| !key.starts_with(UUID)).collect();
    assert_eq!(outside, Vec::<String>::new());
}

#[tokio::test]
async fn secrets_of_version_1_become_first_versions() {
    for storage in [Arc::new(Memory::default()), Memory::without_transactions()] {
        let mount = Lab::over("2", filled(storage).await).await;
        all_upgraded(&mount).await;
        mount.write("data/a", json!({"data": {"n": 2}})).await.ok();
        let first = mount.read_with("data/a", json!({"version": 1})).await;
        assert_eq!(first.at("data/at"), "a");
    }
}

#[tokio::test]
async fn requests_are_refused_until_the_upgrade_is_over() {
    let storage = filled(Arc::new(Memory::default())).await;
    // Not initialized: the upgrade has not begun.
    let mount = Lab::try_over(&[("version", "2")], storage).await.unwrap();
    for answer in [
        mount.read("data/a").await,
        mount.write("data/a", json!({"data": {}})).await,
        mount.list("metadata").await,
        mount.read("config").await,
    ] {
        assert_eq!(answer.status, 400);
        assert_eq!(
            answer.errors[0],
            "Upgrading from non-versioned to versioned data. This backend will be unavailable for \
             a brief period and will resume service shortly."
        );
    }
    mount.backend.initialize().await.unwrap();
    all_upgraded(&mount).await;
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_cut_short_anywhere_goes_on_where_it_was() {
    for storage in [|| Arc::new(Memory::default()), Memory::without_transactions] {
        for writes in 0..24 {
            let storage = filled(storage()).await;
            storage.fail_after(writes);
            let mount = Lab::over("2", Arc::clone(&storage)).await;
            tokio::time::sleep(Duration::from_millis(40)).await;
            mount.backend.cleanup().await;
            storage.heal();
            let mount = Lab::over("2", storage).await;
            all_upgraded(&mount).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_that_cannot_write_yet_is_tried_again() {
    let storage = filled(Arc::new(Memory::default())).await;
    storage.fail_after(0);
    let mount = Lab::over("2", Arc::clone(&storage)).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(mount.read("data/a").await.status, 400);
    storage.heal();
    all_upgraded(&mount).await;
}

#[tokio::test]
async fn a_secret_written_between_two_upgrades_becomes_another_version() {
    let storage = filled(Arc::new(Memory::default())).await;
    all_upgraded(&Lab::over("2", Arc::clone(&storage)).await).await;
    Lab::over("1", Arc::clone(&storage)).await.write("a", json!({"n": 2})).await.ok();
    let mount = Lab::over("2", storage).await;
    let answer = patiently(&mount, "data/a").await;
    assert_eq!((answer.at("data/n"), answer.at("metadata/version")), (&json!(2), &json!(2)));
}

#[tokio::test]
async fn a_fresh_mount_is_ready_at_once() {
    let mount = Lab::try_over(&[("version", "2")], Arc::default()).await.unwrap();
    mount.write("data/a", json!({"data": {"n": 1}})).await.ok();
}

#[tokio::test]
async fn versioned_data_of_another_engine_is_not_touched() {
    for name in ["policy/metadata", "upgrading", "versions/abc/def"] {
        for old in ["", "a"] {
            let storage = Arc::new(Memory::default());
            storage.set(&format!("{UUID}/{name}"), "x");
            if !old.is_empty() {
                storage.set(old, "{}");
            }
            let before = storage.entries();
            let refused = Lab::try_over(&[("version", "2")], Arc::clone(&storage)).await;
            let text = refused.err().unwrap().to_string();
            assert!(
                text.contains("secret/") && text.contains("the plugin that wrote it"),
                "{text}"
            );
            assert_eq!(storage.entries(), before);
        }
    }
}

#[tokio::test]
async fn an_unknown_version_is_refused() {
    let refused = Lab::try_over(&[("version", "3")], Arc::default()).await;
    assert!(refused.err().unwrap().to_string().contains("\"3\""));
}

#[tokio::test]
async fn without_an_option_it_is_version_1() {
    let mount = Lab::try_over(&[], Arc::default()).await.unwrap();
    mount.write("a", json!({"n": 1})).await.ok();
    assert_eq!(mount.read("a").await.at("n"), 1);
}
