//! Users on leases: made, extended, removed, and never left behind.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use support::{Scene, World};

#[tokio::test]
async fn a_user_lives_as_long_as_its_lease() {
    let scene = Scene::configured().await;
    let made = scene.mount.read("creds/app").await.unwrap();
    let name = made.str("username").to_owned();
    assert_eq!(name, "v-tester-app-0");
    assert_eq!(scene.world.password(&name).as_deref(), Some(made.str("password")));
    assert_eq!(made.str("password").len(), 20);
    let secret = made.reply().unwrap().secret.clone().unwrap();
    assert_eq!(secret.lease.ttl, Duration::from_secs(60));
    assert!(secret.lease.renewable);
    scene.mount.renew(&made).await.unwrap();
    assert_eq!(scene.world.extended.load(Ordering::SeqCst), 1);
    scene.mount.revoke(&made).await.unwrap();
    assert!(scene.world.names().is_empty());
    // Statements are whole, whatever commas they hold.
    assert_eq!(*scene.world.statements.lock().unwrap(), ["CREATE a, b", "DROP a, b"]);
    scene.mount.revoke(&made).await.expect("a user that is gone is no error");
}

#[tokio::test]
async fn a_lease_is_revoked_after_its_role_is_gone() {
    let scene = Scene::configured().await;
    let made = scene.mount.read("creds/app").await.unwrap();
    scene.mount.delete("roles/app").await.unwrap();
    scene.mount.revoke(&made).await.unwrap();
    assert!(scene.world.names().is_empty());
    assert_eq!(scene.world.statements.lock().unwrap().last().unwrap(), "DROP a, b");
}

#[tokio::test]
async fn a_user_whose_lease_was_stored_stays_and_any_other_is_removed() {
    let mut scene = Scene::configured().await;
    let kept = scene.mount.read("creds/app").await.unwrap().str("username").to_owned();
    let lost = scene.mount.read("creds/app").await.unwrap().str("username").to_owned();
    scene.leases.add("creds/app", "username", &kept);
    // Young ones are left alone: the server may be storing their leases right now.
    scene.mount.rollback(false).await.unwrap();
    assert_eq!(scene.world.names(), [kept.clone(), lost]);
    scene.restart().await;
    scene.mount.rollback(true).await.unwrap();
    assert_eq!(scene.world.names(), [kept]);
    assert!(scene.mount.storage().keys().iter().all(|key| !key.starts_with("wal/")));
}

#[tokio::test]
async fn an_orphan_stays_noted_while_its_database_cannot_be_reached() {
    let scene = Scene::configured().await;
    scene.mount.read("creds/app").await.unwrap();
    World::set(&scene.world.refuses, true);
    scene.mount.rollback(true).await.unwrap_err();
    World::set(&scene.world.refuses, false);
    assert_eq!(scene.world.names().len(), 1);
    scene.mount.rollback(true).await.unwrap();
    assert!(scene.world.names().is_empty());
}

#[tokio::test]
async fn a_user_that_cannot_be_noted_is_removed_at_once() {
    let scene = Scene::configured().await;
    // The connection is open, so that the note is the only write.
    scene.mount.read("creds/app").await.unwrap();
    let before = scene.world.names();
    scene.mount.storage().read_only(true);
    scene.mount.read("creds/app").await.unwrap_err();
    scene.mount.storage().read_only(false);
    assert_eq!(scene.world.names(), before);
}

#[tokio::test]
async fn a_caller_that_hangs_up_leaves_no_user_behind() {
    let scene = Scene::configured().await;
    World::set(&scene.world.slow, true);
    {
        let asked = scene.mount.read("creds/app");
        let made = async {
            while scene.world.names().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! { _ = asked => panic!("it waits"), () = made => {} }
    }
    scene.world.go_on.notify_one();
    // The work goes on without the caller, as far as the note.
    while !scene.mount.storage().keys().iter().any(|key| key.starts_with("wal/")) {
        tokio::task::yield_now().await;
    }
    scene.mount.rollback(true).await.unwrap();
    assert!(scene.world.names().is_empty());
}

#[tokio::test]
async fn a_plugin_that_died_is_opened_again_by_the_next_request() {
    let scene = Scene::configured().await;
    World::set(&scene.world.dies, true);
    let refused = scene.mount.read("creds/app").await.unwrap_err();
    assert!(refused.to_string().contains("plugin shutdown"), "{refused}");
    scene.mount.read("creds/app").await.expect("another connection is opened");
    assert_eq!(scene.world.opened.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn who_may_not_use_a_connection_is_told_so() {
    let scene = Scene::configured().await;
    scene.mount.write("roles/other", json!({"db_name": "db"})).await.unwrap();
    let refused = scene.mount.read("creds/other").await.unwrap_err();
    assert_eq!(refused.to_string(), "\"other\" is not an allowed role");
    let refused = scene.mount.read("creds/nobody").await.unwrap_err();
    assert_eq!(refused.to_string(), "unknown role: nobody");
    assert!(scene.world.names().is_empty());
}

#[tokio::test]
async fn an_error_of_the_database_does_not_tell_the_connections_password() {
    let scene = Scene::new().await;
    scene.world.users.lock().unwrap().insert("root".into(), "hunter2".into());
    let mut config = support::connection();
    config["password"] = json!("hunter2");
    scene.mount.write("config/db", config).await.unwrap();
    scene.mount.write("roles/app", json!({"db_name": "db"})).await.unwrap();
    World::set(&scene.world.refuses, true);
    let refused = scene.mount.read("creds/app").await.unwrap_err().to_string();
    assert!(refused.contains("the password was [password]"), "{refused}");
}

#[tokio::test]
async fn passwords_come_from_the_policy_of_the_role_then_of_the_connection() {
    let scene = Scene::configured().await;
    scene.mount.write("config/db", json!({"password_policy": "short"})).await.unwrap();
    assert_eq!(scene.mount.read("creds/app").await.unwrap().str("password"), "by-policy");
    let unknown = json!({"credential_config": {"password_policy": "unknown"}});
    scene.mount.write("roles/app", unknown).await.unwrap();
    let refused = scene.mount.read("creds/app").await.unwrap_err();
    assert!(refused.to_string().contains("failed to generate password"), "{refused}");
    // A plugin of version 4 asks nobody.
    World::set(&scene.world.old, true);
    assert_eq!(scene.mount.read("creds/app").await.unwrap().str("password"), "of-the-plugin");
}
