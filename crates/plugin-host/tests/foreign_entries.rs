//! Catalog entries that other servers wrote, and catalogs whose storage fails in the middle of a
//! change.
//!
//! Left out: the forms themselves, field by field, which are tested where they are read.
#![allow(clippy::unwrap_used)]

mod support;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use boltwork_logical::{Entry, Error, PluginKind, Plugins, Registration, Storage};
use serde_json::{Value, json};
use support::{Server, secret, tool};

/// Fields that a server's form has beside the common ones.
fn forms() -> [(&'static str, Value, Value); 4] {
    [
        ("openbao", json!(3), json!({"oci": false, "declarative": false})),
        ("vault-1.20", json!("secret"), json!({"oci_image": "", "runtime": "", "tier": "unknown"})),
        ("vault-1.12", json!(3), json!({})),
        ("vault-0.11", json!(3), json!({})),
    ]
}

fn entry(name: &str, version: &str, sha256: &str, kind: &Value, more: &Value) -> String {
    let mut entry = json!({"name": name, "type": kind, "version": version, "command": "mock",
        "args": null, "env": ["A=b"], "builtin": false,
        "sha256": BASE64_STANDARD.encode(hex::decode(sha256).unwrap())});
    for (key, value) in more.as_object().unwrap() {
        entry[key] = value.clone();
    }
    if name == "vault-0.11" {
        entry.as_object_mut().unwrap().retain(|key, _| key != "version" && key != "env");
    }
    entry.to_string()
}

/// The server is sealed and unsealed.
async fn reopen(server: &Server) {
    server.host.close().await;
    server.host.open(server.catalog.clone(), support::no_server()).await.unwrap();
}

async fn ids(server: &Server) -> Vec<String> {
    let listed = server.host.list().await.unwrap();
    listed.iter().map(|e| format!("{} {} {}", e.id.kind, e.id.name, e.id.version)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_another_server_registered_is_found_listed_and_served() {
    let Some(mock) = tool("mock-plugin") else { return };
    let server = Server::new().await;
    let sha256 = server.install(&mock, "mock").sha256;
    for (name, kind, more) in forms() {
        let (version, key) = match name {
            "vault-0.11" => ("", format!("secret/{name}")),
            _ => ("v0.0.0+mock", format!("secret/{name}/v0.0.0+mock")),
        };
        let value = entry(name, version, &sha256, &kind, &more);
        server.catalog.put(Entry::new(key, value)).await.unwrap();
        let id = secret(name, version);
        let found = server.host.get(&id).await.unwrap().unwrap();
        assert_eq!(hex::encode(&found.sha256), sha256, "{name}");
        assert!(ids(&server).await.contains(&format!("secret {name} {version}")), "{name}");
        let mount = server.mount(&id, "mock/").await.unwrap();
        assert_eq!(mount.field("internal", "value").await, "bar", "{name}");
        mount.backend().cleanup().await;
        server.host.deregister(&id).await.unwrap();
        assert_eq!(server.host.get(&id).await.unwrap(), None, "{name}");
    }
    assert_eq!(server.catalog.list("").await.unwrap(), Vec::<String>::new());
}

/// As Vault before 0.11 wrote it: under its name, without a kind.
async fn put_untyped(server: &Server, name: &str, command: &str, sha256: &str) {
    let sha256 = BASE64_STANDARD.encode(hex::decode(sha256).unwrap());
    let old = json!({"name": name, "command": command, "args": null, "sha256": sha256,
        "builtin": false});
    server.catalog.put(Entry::new(name, old.to_string())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_registered_without_a_type_is_served_before_it_gets_one() {
    let Some(mock) = tool("mock-plugin") else { return };
    let server = Server::new().await;
    let sha256 = server.install(&mock, "mock").sha256;
    // Put there after unsealing, so that nobody gives it its type.
    put_untyped(&server, "old", "mock", &sha256).await;
    let version = server.host.select_version(PluginKind::Secret, "old", "").await.unwrap();
    assert_eq!(version, "");
    let mount = server.mount(&secret("old", ""), "old/").await.unwrap();
    assert_eq!(mount.field("internal", "value").await, "bar");
    mount.backend().cleanup().await;
    let auth = boltwork_logical::PluginId { kind: PluginKind::Auth, ..secret("old", "") };
    let refused = server.mount(&auth, "auth/old/").await.err().unwrap();
    assert!(refused.to_string().contains("as an auth backend"), "it is none: {refused}");
}

#[tokio::test]
async fn a_plugin_registered_without_a_type_that_does_not_run_can_be_deregistered() {
    let server = Server::new().await;
    put_untyped(&server, "old", "gone", &"ab".repeat(32)).await;
    reopen(&server).await;
    server.host.deregister(&secret("old", "")).await.unwrap();
    assert_eq!(server.catalog.get("old").await.unwrap(), None);
    assert_eq!(server.host.get(&secret("old", "")).await.unwrap(), None);
}

#[tokio::test]
async fn a_plugin_of_a_kind_that_only_others_know_is_not_taken_for_another() {
    let server = Server::new().await;
    for kind in [json!(4), json!("kms")] {
        let value = entry("wrap", "", &"ab".repeat(32), &kind, &json!({}));
        for key in ["kms/wrap", "wrap", "secret/wrap"] {
            server.catalog.put(Entry::new(key, value.clone())).await.unwrap();
        }
        assert_eq!(ids(&server).await, Vec::<String>::new());
        assert_eq!(server.host.get(&secret("wrap", "")).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_plugin_in_a_container_image_is_listed_and_refused_with_the_reason() {
    let Some(mock) = tool("mock-plugin") else { return };
    let server = Server::new().await;
    // A file of that name is there, and is not what was registered.
    let sha256 = server.install(&mock, "mock").sha256;
    let image = json!({"oci_image": "registry/engine", "runtime": "runsc"});
    let value = entry("boxed", "v1.0.0", &sha256, &json!("secret"), &image);
    server.catalog.put(Entry::new("secret/boxed/v1.0.0", value)).await.unwrap();
    assert_eq!(ids(&server).await, ["secret boxed v1.0.0"]);
    let refused = server.mount(&secret("boxed", "v1.0.0"), "boxed/").await.err().unwrap();
    let Error::Invalid(text) = &refused else { panic!("{refused}") };
    assert!(text.contains("\"boxed\"") && text.contains("container image"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_cannot_be_stored_leaves_what_was_registered_before() {
    let Some(mock) = tool("mock-plugin") else { return };
    let server = Server::new().await;
    let first = server.install(&mock, "mock");
    let second = Registration { args: vec!["-serve=mux".into()], ..first.clone() };
    let id = secret("mock", "v0.0.0+mock");
    let mut before = None;
    for registration in [first, second] {
        let wanted = registration.args.clone();
        server.catalog.fail_nth_write(1);
        let refused = server.host.register(registration.clone()).await.unwrap_err();
        assert!(refused.to_string().contains("cannot be written"), "{refused}");
        for _ in 0..2 {
            assert_eq!(server.host.get(&id).await.unwrap(), before);
            assert_eq!(server.host.list().await.unwrap().len(), usize::from(before.is_some()));
            reopen(&server).await;
        }
        server.host.register(registration).await.unwrap();
        before = server.host.get(&id).await.unwrap();
        assert_eq!(before.as_ref().unwrap().args, wanted);
        let mount = server.mount(&id, "mock/").await.unwrap();
        assert_eq!(mount.field("internal", "value").await, "bar");
        mount.backend().cleanup().await;
    }
    server.expect_nothing_left().await;
}

#[tokio::test]
async fn a_deregistration_that_cannot_be_stored_leaves_the_entry_and_brings_no_older_one_to_light()
{
    for n in 1..=2 {
        let server = Server::new().await;
        put_untyped(&server, "x", "old", &"cd".repeat(32)).await;
        let new = entry("x", "", &"ab".repeat(32), &json!(3), &json!({}));
        server.catalog.put(Entry::new("secret/x", new)).await.unwrap();
        let id = secret("x", "");
        let before = server.host.get(&id).await.unwrap().unwrap();
        assert_eq!(before.command, "mock", "the newer one counts");
        server.catalog.fail_nth_write(n);
        server.host.deregister(&id).await.unwrap_err();
        reopen(&server).await;
        assert_eq!(server.host.get(&id).await.unwrap(), Some(before), "{n}");
        server.host.deregister(&id).await.unwrap();
        assert_eq!(server.host.get(&id).await.unwrap(), None, "{n}");
        assert_eq!(server.catalog.list("").await.unwrap(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_pin_that_cannot_be_stored_or_removed_leaves_the_pin_that_there_was() {
    let server = Server::new().await;
    for version in ["v1.0.0", "v2.0.0"] {
        let value = entry("x", version, &"ab".repeat(32), &json!(3), &json!({}));
        server.catalog.put(Entry::new(format!("secret/x/{version}"), value)).await.unwrap();
    }
    server.host.pin(&secret("x", "v1.0.0")).await.unwrap();
    server.catalog.fail_nth_write(1);
    server.host.pin(&secret("x", "v2.0.0")).await.unwrap_err();
    server.catalog.fail_nth_write(1);
    server.host.unpin(PluginKind::Secret, "x").await.unwrap_err();
    reopen(&server).await;
    let pinned = server.host.pinned(PluginKind::Secret, "x").await.unwrap();
    assert_eq!(pinned, Some(secret("x", "v1.0.0")));
}
