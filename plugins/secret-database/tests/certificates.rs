//! Users that log in with certificates: what the database is told, what the caller is given, and
//! what a reader of the role is not shown.
#![allow(clippy::unwrap_used)]

mod support;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use serde_json::{Value, json};
use support::Scene;

/// A role `app` that makes certificates, as it is sent, and the key of its authority.
fn role() -> (Value, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap().pem();
    let config = json!({"ca_cert": certificate, "ca_private_key": key.serialize_pem(),
        "key_type": "ec", "common_name_template": "{{.DisplayName}},{{.RoleName}}"});
    let role = json!({"db_name": "db", "default_ttl": 60, "credential_type": "client_certificate",
        "creation_statements": "CREATE", "credential_config": config});
    (role, key.serialize_pem())
}

/// With a connection whose plugin takes certificates, and that role.
async fn scene() -> Scene {
    let scene = Scene::new().await;
    let mut connection = support::connection();
    connection["supported_credential_types"] = json!(["password", "client_certificate"]);
    scene.mount.write("config/db", connection).await.unwrap();
    scene.mount.write("roles/app", role().0).await.unwrap();
    scene
}

#[tokio::test]
async fn the_database_learns_the_subject_and_the_caller_gets_certificate_and_key() {
    let scene = scene().await;
    let made = scene.mount.read("creds/app").await.unwrap();
    let name = made.str("username").to_owned();
    assert_eq!(scene.world.password(&name).as_deref(), Some(r"subject CN=tester\,app"));
    assert!(made.str("client_certificate").starts_with("-----BEGIN CERTIFICATE-----\n"));
    assert!(made.str("private_key").starts_with("-----BEGIN EC PRIVATE KEY-----\n"));
    assert_eq!(made.str("private_key_type"), "ec");
    let data = made.data();
    assert!(data.get("password").is_none() && data.as_object().unwrap().len() == 4, "no more");
    scene.mount.renew(&made).await.unwrap();
    scene.mount.revoke(&made).await.unwrap();
    assert!(scene.world.names().is_empty());
}

#[tokio::test]
async fn a_plugin_of_version_4_has_no_say_in_certificates() {
    let scene = scene().await;
    support::World::set(&scene.world.old, true);
    let made = scene.mount.read("creds/app").await.unwrap();
    assert_eq!(made.str("private_key_type"), "ec");
    assert!(made.data().get("password").is_none());
}

#[tokio::test]
async fn whoever_reads_the_role_is_not_shown_the_authoritys_key() {
    let scene = scene().await;
    let read = scene.mount.read("roles/app").await.unwrap();
    let shown = read.data()["credential_config"].clone();
    assert!(shown.get("ca_private_key").is_none());
    assert_eq!((&shown["key_bits"], &shown["signature_bits"]), (&json!(256), &json!(256)));
    assert!(shown["ca_cert"].as_str().unwrap().contains("BEGIN CERTIFICATE"));
}

#[tokio::test]
async fn a_role_keeps_its_settings_when_something_else_is_changed() {
    let scene = scene().await;
    scene.mount.write("roles/app", json!({"default_ttl": 120})).await.unwrap();
    scene.mount.read("creds/app").await.expect("it has its authority still");
    let config = json!({"credential_config": {"key_type": "rsa"}});
    let refused = scene.mount.write("roles/app", config).await.unwrap_err().to_string();
    let text = "credential_config validation failed: missing required common_name_template";
    assert_eq!(refused, text);
    // Of another kind there is nothing to keep.
    scene.mount.write("roles/app", json!({"credential_type": "password"})).await.unwrap();
    let back = json!({"credential_type": "client_certificate"});
    let refused = scene.mount.write("roles/app", back).await.unwrap_err().to_string();
    assert_eq!(refused, "credential_config validation failed: invalid key_type");
}

#[tokio::test]
async fn a_plugin_that_takes_no_certificates_is_not_asked() {
    let scene = Scene::configured().await;
    scene.mount.write("roles/app", role().0).await.unwrap();
    let refused = scene.mount.read("creds/app").await.unwrap_err().to_string();
    assert_eq!(refused, "unsupported credential_type: \"client_certificate\"");
    assert!(scene.world.names().is_empty());
}

#[tokio::test]
async fn static_roles_have_no_certificates() {
    let scene = scene().await;
    let (mut sent, key) = role();
    sent["username"] = json!("root");
    sent["rotation_period"] = json!(60);
    sent.as_object_mut().unwrap().remove("default_ttl");
    sent.as_object_mut().unwrap().remove("creation_statements");
    let refused = scene.mount.write("static-roles/static-a", sent).await.unwrap_err().to_string();
    assert!(refused.contains("a static role cannot have credential_type client_certificate"));
    assert!(refused.contains("use a role under roles/") && !refused.contains(&key));
    assert!(!scene.mount.storage().keys().iter().any(|key| key.contains("static-role/")));
}
