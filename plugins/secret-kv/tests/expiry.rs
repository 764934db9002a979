//! Versions that count as deleted after some time. One test: the clock is everybody's.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod support;

use serde_json::json;
use support::{Lab, wait};

#[tokio::test]
async fn a_version_expires_and_can_be_brought_back_for_another_term() {
    let mount = Lab::new("2").await;
    mount.write("config", json!({"delete_version_after": "1h"})).await.ok();
    mount.write("metadata/short", json!({"delete_version_after": "10m"})).await.ok();
    for path in ["data/long", "data/short"] {
        mount.write(path, json!({"data": {"n": 1}})).await.ok();
    }
    wait(11 * 60);
    assert_eq!(mount.read("data/long").await.status, 200);
    let expired = mount.read("data/short").await;
    assert_eq!(expired.status, 404);
    assert_eq!(expired.at("data"), &serde_json::Value::Null);
    assert_eq!(expired.at("metadata/destroyed"), false);
    assert_eq!(mount.patch("data/short", json!({"data": {"m": 1}})).await.status, 404);

    mount.write("undelete/short", json!({"versions": [1]})).await.ok();
    assert_eq!(mount.read("data/short").await.status, 200);
    wait(11 * 60);
    assert_eq!(mount.read("data/short").await.status, 404);

    wait(3600);
    assert_eq!(mount.read("data/long").await.status, 404);
    mount.write("config", json!({"delete_version_after": "-1s"})).await.ok();
    mount.write("undelete/short", json!({"versions": "1"})).await.ok();
    wait(365 * 86_400);
    assert_eq!(mount.read("data/short").await.status, 200);
}
