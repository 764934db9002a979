//! Static roles: credentials of users that exist already, changed when they are due and never lost.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use support::{Scene, World, pass, until};

/// A scene with the user `static` and the static role `static-app` for it.
async fn scene() -> Scene {
    let scene = Scene::configured().await;
    scene.world.users.lock().unwrap().insert("static".into(), "of-before".into());
    scene.mount.write("static-roles/static-app", role()).await.unwrap();
    scene
}

fn role() -> Value {
    json!({"db_name": "db", "username": "static", "rotation_period": "1h"})
}

/// The password that the database has. It must be the one that is told.
async fn password(scene: &Scene) -> String {
    let told =
        scene.mount.read("static-creds/static-app").await.unwrap().str("password").to_owned();
    assert_eq!(scene.world.password("static").as_deref(), Some(told.as_str()));
    told
}

#[tokio::test]
async fn a_new_role_changes_the_password_at_once_and_then_when_it_is_due() {
    let scene = scene().await;
    let first = password(&scene).await;
    assert_eq!(first.len(), 20);
    let told = scene.mount.read("static-creds/static-app").await.unwrap();
    assert_eq!(told.str("username"), "static");
    assert_eq!(told.data()["rotation_period"], 3600);
    assert!((3590..=3600).contains(&told.number("ttl")), "{}", told.data());
    assert!(told.str("last_vault_rotation").starts_with("20"));
    assert!(told.reply().unwrap().secret.is_none(), "it has no lease");
    pass(3500);
    scene.mount.rollback(false).await.unwrap();
    assert_eq!(password(&scene).await, first, "it is not due");
    pass(200);
    scene.mount.rollback(false).await.unwrap();
    assert_ne!(password(&scene).await, first);
}

#[tokio::test]
async fn a_role_is_rotated_when_asked_and_counts_from_then() {
    let scene = scene().await;
    let first = password(&scene).await;
    pass(3000);
    scene.mount.write("rotate-role/static-app", json!({})).await.unwrap();
    let second = password(&scene).await;
    assert_ne!(first, second);
    pass(1000);
    scene.mount.rollback(false).await.unwrap();
    assert_eq!(password(&scene).await, second);
    let refused = scene.mount.write("rotate-role/none", json!({})).await.unwrap_err();
    assert_eq!(refused.to_string(), "no static role found for role name");
}

#[tokio::test]
async fn what_is_due_is_rotated_after_a_restart() {
    let mut scene = scene().await;
    let first = password(&scene).await;
    pass(4000);
    scene.restart().await;
    // Without being asked: the engine looks by itself.
    until(|| scene.world.password("static").unwrap() != first).await;
    scene.mount.rollback(false).await.unwrap();
    until(|| !stored(&scene).contains("pending")).await;
    password(&scene).await;
}

fn stored(scene: &Scene) -> String {
    scene.mount.storage().text("static-role/static-app").unwrap()
}

#[tokio::test]
async fn a_rotation_that_is_cut_short_is_finished_with_the_same_password() {
    // The database took it, then storage failed: note, change, and the store that fails.
    let mut scene = scene().await;
    scene.mount.storage().fail_write(2);
    let refused = scene.mount.write("rotate-role/static-app", json!({})).await.unwrap_err();
    assert!(refused.to_string().starts_with("unable to finish rotating credentials"), "{refused}");
    let taken = scene.world.password("static").unwrap();
    assert!(stored(&scene).contains(&taken), "the new password is noted");
    scene.restart().await;
    until(|| !stored(&scene).contains("pending")).await;
    assert_eq!(password(&scene).await, taken);
}

#[tokio::test]
async fn a_database_that_refuses_is_asked_again_for_the_same_password_a_little_later() {
    let scene = scene().await;
    let first = password(&scene).await;
    pass(3700);
    World::set(&scene.world.refuses, true);
    scene.mount.rollback(false).await.unwrap();
    let noted = stored(&scene);
    assert!(noted.contains("pending"));
    assert_eq!(scene.world.password("static").unwrap(), first);
    World::set(&scene.world.refuses, false);
    scene.mount.rollback(false).await.unwrap();
    assert_eq!(scene.world.password("static").unwrap(), first, "it waits for a while");
    pass(11);
    scene.mount.rollback(false).await.unwrap();
    let second = password(&scene).await;
    assert!(noted.contains(&second));
}

#[tokio::test]
async fn a_role_whose_user_cannot_be_changed_is_not_made() {
    let scene = Scene::configured().await;
    let refused = scene.mount.write("static-roles/static-app", role()).await.unwrap_err();
    assert!(refused.to_string().contains("no such user"), "{refused}");
    assert!(scene.mount.read("static-roles/static-app").await.unwrap().reply().is_none());
    assert!(scene.mount.storage().text("static-role/static-app").is_none());
}

#[tokio::test]
async fn a_schedule_may_stand_in_place_of_a_period() {
    let scene = Scene::configured().await;
    scene.world.users.lock().unwrap().insert("static".into(), "of-before".into());
    let role = json!({"db_name": "db", "username": "static", "rotation_schedule": "0 */6 * * *",
        "rotation_window": "1h"});
    scene.mount.write("static-roles/static-app", role).await.unwrap();
    let shown = scene.mount.read("static-roles/static-app").await.unwrap().data().clone();
    assert_eq!(shown["rotation_schedule"], "0 */6 * * *");
    assert_eq!(shown["rotation_window"], 3600);
    assert!(shown.get("rotation_period").is_none());
    let ttl = scene.mount.read("static-creds/static-app").await.unwrap().number("ttl");
    assert!((0..=6 * 3600).contains(&ttl), "{ttl}");
    let first = password(&scene).await;
    // A minute into the window of the next scheduled time.
    pass(u64::try_from(ttl).unwrap() + 60);
    scene.mount.rollback(false).await.unwrap();
    assert_ne!(password(&scene).await, first);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_in_vaults_words() {
    let scene = scene().await;
    let with = |changes: Value| {
        let mut body = json!({"db_name": "db", "username": "static"});
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        body
    };
    for (body, text) in [
        (json!({"username": "x", "rotation_period": 60}), "database name is a required field"),
        (json!({"db_name": "db"}), "username is a required field to create a static account"),
        (with(json!({})), "one of rotation_schedule or rotation_period must be provided"),
        (with(json!({"rotation_period": 3})), "rotation_period must be 5 seconds or more"),
        (
            with(json!({"rotation_period": 60, "rotation_schedule": "* * * * *"})),
            "mutually exclusive fields rotation_period and rotation_schedule",
        ),
        (with(json!({"rotation_schedule": "x"})), "could not parse rotation_schedule"),
        (
            with(json!({"rotation_period": 60, "rotation_window": 3600})),
            "rotation_window is invalid with use of rotation_period",
        ),
        (
            with(json!({"rotation_schedule": "* * * * *", "rotation_window": 60})),
            "rotation_window must be 3600 seconds or more",
        ),
    ] {
        let refused = scene.mount.write("static-roles/static-new", body).await.unwrap_err();
        assert!(refused.to_string().contains(text), "{refused}");
    }
    let renamed = json!({"username": "other"});
    let refused = scene.mount.write("static-roles/static-app", renamed).await.unwrap_err();
    assert_eq!(refused.to_string(), "cannot update static account username");
    for (path, body) in
        [("roles/static-app", json!({"db_name": "db"})), ("static-roles/app", role())]
    {
        let refused = scene.mount.write(path, body).await.unwrap_err();
        assert_eq!(refused.to_string(), "Role and Static Role names must be unique");
    }
}

#[tokio::test]
async fn a_deleted_role_is_rotated_no_more() {
    let scene = scene().await;
    let last = password(&scene).await;
    scene.mount.delete("static-roles/static-app").await.unwrap();
    pass(4000);
    scene.mount.rollback(false).await.unwrap();
    assert_eq!(scene.world.password("static").unwrap(), last);
    assert!(scene.mount.read("static-creds/static-app").await.is_err());
}

#[tokio::test]
async fn a_key_pair_may_stand_in_place_of_a_password() {
    let scene = Scene::new().await;
    let mut config = support::connection();
    config["supported_credential_types"] = json!(["password", "rsa_private_key"]);
    scene.mount.write("config/db", config).await.unwrap();
    let role = json!({"db_name": "db", "credential_type": "rsa_private_key"});
    scene.mount.write("roles/app", role).await.unwrap();
    let made = scene.mount.read("creds/app").await.unwrap();
    assert!(made.str("rsa_private_key").starts_with("-----BEGIN PRIVATE KEY-----"));
    assert!(made.data().get("password").is_none());
    assert_eq!(scene.world.password(made.str("username")).unwrap(), "no password");
    let shown = scene.mount.read("roles/app").await.unwrap().data().clone();
    assert_eq!(shown["credential_config"], json!({"format": "pkcs8", "key_bits": 2048}));
}

#[tokio::test]
async fn a_new_role_is_kept_if_the_database_may_have_taken_its_password() {
    let scene = Scene::configured().await;
    scene.world.users.lock().unwrap().insert("static".into(), "of-before".into());
    // The note is written, the database changed, and then storage fails.
    scene.mount.storage().fail_write(2);
    let refused = scene.mount.write("static-roles/static-app", role()).await.unwrap_err();
    assert!(refused.to_string().contains("so the role is kept"), "{refused}");
    let taken = scene.world.password("static").unwrap();
    scene.mount.rollback(false).await.unwrap();
    assert_eq!(password(&scene).await, taken);
}
