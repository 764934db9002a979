//! Connections: configured, shown, opened anew, and given a new password.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::atomic::Ordering;

use serde_json::json;
use support::{Scene, World, connection, until};

#[tokio::test]
async fn a_connection_is_shown_without_its_secrets() {
    let scene = Scene::configured().await;
    let shown = scene.mount.read("config/db").await.unwrap();
    let data = shown.data();
    assert_eq!(data["plugin_name"], "fake");
    assert_eq!(data["plugin_version"], "v1.2.3", "the chosen version is kept");
    assert_eq!(data["running_plugin_version"], "v1.2.3");
    assert_eq!(data["allowed_roles"], json!(["app", "static-*"]));
    assert_eq!(data["connection_details"]["username"], "root");
    assert!(!data.to_string().contains("first"), "{data}");
    assert_eq!(scene.mount.list("config").await.unwrap().data()["keys"], json!(["db"]));
    scene.mount.delete("config/db").await.unwrap();
    until(|| scene.open() == 0).await;
    assert!(scene.mount.read("config/db").await.unwrap().reply().is_none());
}

#[tokio::test]
async fn a_configuration_that_does_not_work_changes_nothing() {
    let scene = Scene::configured().await;
    let refused = scene.mount.write("config/db", json!({"password": "wrong"})).await.unwrap_err();
    let text = refused.to_string();
    assert!(text.starts_with("error creating database object: "), "{text}");
    assert!(!text.contains("wrong"), "{text}");
    scene.mount.read("creds/app").await.expect("the old one still works");
    // What was tried in vain was closed.
    until(|| scene.open() == 1).await;
    let unverified = json!({"password": "wrong", "verify_connection": false});
    scene.mount.write("config/db", unverified).await.expect("nobody tried it");
    for (body, text) in [
        (json!({"plugin_name": ""}), "empty plugin name"),
        (json!({"plugin_name": "none"}), "plugin not found in the catalog: none"),
        (json!({"plugin_name": "fake", "plugin_version": "v9.9.9"}), "plugin not found"),
    ] {
        let refused = scene.mount.write("config/new", body).await.unwrap_err().to_string();
        assert!(refused.contains(text), "{refused}");
    }
}

#[tokio::test]
async fn a_write_keeps_what_it_does_not_name() {
    let scene = Scene::configured().await;
    scene.mount.write("config/db", json!({"allowed_roles": "*"})).await.unwrap();
    let data = scene.mount.read("config/db").await.unwrap().data().clone();
    assert_eq!(data["allowed_roles"], json!(["*"]));
    assert_eq!(data["connection_details"]["username"], "root");
    until(|| scene.open() == 1).await;
}

#[tokio::test]
async fn a_password_in_the_address_is_warned_of() {
    let scene = Scene::new().await;
    let mut config = connection();
    config["connection_url"] = json!("fake://root:first@db");
    let warned = scene.mount.write("config/db", config).await.unwrap();
    let warnings = &warned.reply().unwrap().warnings;
    assert!(warnings[0].starts_with("Password found in connection_url"), "{warnings:?}");
}

#[tokio::test]
async fn reset_and_reload_open_connections_anew() {
    let scene = Scene::configured().await;
    let opened = || scene.world.opened.load(Ordering::SeqCst);
    assert_eq!(opened(), 1);
    scene.mount.write("reset/db", json!({})).await.unwrap();
    assert_eq!(opened(), 2);
    let reloaded = scene.mount.write("reload/fake", json!({})).await.unwrap();
    assert_eq!(reloaded.data()["connections"], json!(["db"]));
    assert_eq!(reloaded.data()["count"], 1);
    assert_eq!(opened(), 3);
    let none = scene.mount.write("reload/other", json!({})).await.unwrap();
    assert_eq!(none.data()["count"], 0);
    scene.mount.write("reset/none", json!({})).await.unwrap_err();
    until(|| scene.open() == 1).await;
}

#[tokio::test]
async fn connections_are_closed_with_the_mount_and_opened_when_they_are_needed() {
    let mut scene = Scene::configured().await;
    scene.restart().await;
    assert_eq!(scene.open(), 0);
    scene.mount.read("creds/app").await.unwrap();
    assert_eq!(scene.open(), 1);
}

#[tokio::test]
async fn the_root_password_is_changed_and_nobody_is_told() {
    let scene = Scene::configured().await;
    assert!(scene.mount.write("rotate-root/db", json!({})).await.unwrap().reply().is_none());
    let password = scene.world.password("root").unwrap();
    assert_ne!(password, "first");
    scene.mount.read("creds/app").await.expect("the connection has the new password");
    let shown = scene.mount.read("config/db").await.unwrap();
    assert!(!shown.data().to_string().contains(&password));
    assert!(scene.mount.storage().keys().iter().all(|key| !key.starts_with("wal/rotate")));
}

#[tokio::test]
async fn a_root_rotation_that_was_cut_short_is_settled_by_what_the_database_takes() {
    // The database took the new password, and then storage failed.
    let mut scene = Scene::configured().await;
    scene.mount.storage().fail_write(2);
    scene.mount.write("rotate-root/db", json!({})).await.unwrap_err();
    let password = scene.world.password("root").unwrap();
    assert_ne!(password, "first");
    scene.restart().await;
    scene.mount.read("creds/app").await.expect_err("the stored password is no longer good");
    scene.mount.rollback(true).await.unwrap();
    scene.mount.read("creds/app").await.expect("the noted password was found to be the good one");
    // The database refused: the old password stays.
    World::set(&scene.world.refuses, true);
    scene.mount.write("rotate-root/db", json!({})).await.unwrap_err();
    World::set(&scene.world.refuses, false);
    scene.mount.rollback(true).await.unwrap();
    assert_eq!(scene.world.password("root").unwrap(), password);
    scene.mount.read("creds/app").await.unwrap();
}

#[tokio::test]
async fn roles_are_kept_as_they_were_sent() {
    let scene = Scene::configured().await;
    let data = scene.mount.read("roles/app").await.unwrap().data().clone();
    assert_eq!(data["creation_statements"], json!(["CREATE a, b"]));
    assert_eq!(data["renew_statements"], json!([]));
    assert_eq!(data["default_ttl"], 60);
    assert_eq!(data["credential_type"], "password");
    scene.mount.write("roles/app", json!({"max_ttl": "1h"})).await.unwrap();
    let data = scene.mount.read("roles/app").await.unwrap().data().clone();
    assert_eq!((&data["default_ttl"], &data["max_ttl"]), (&json!(60), &json!(3600)));
    for (body, text) in [
        (json!({}), "database name is required"),
        (json!({"db_name": "db", "credential_type": "x"}), "invalid credential_type \"x\""),
    ] {
        let refused = scene.mount.write("roles/new", body).await.unwrap_err().to_string();
        assert!(refused.contains(text), "{refused}");
    }
}
