//! Catalog entries from before plugins had types.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use boltwork_logical::{Entry, PluginKind, Plugins, Registration, Storage};
use serde_json::json;
use support::{Server, tool};

/// An entry as Vault 0.10 stored it: the name is the key, and there is no type.
async fn store_old(server: &Server, name: &str, registration: &Registration) {
    let sha256 = BASE64_STANDARD.encode(hex::decode(&registration.sha256).unwrap());
    let entry = json!({"name": name, "command": registration.command, "args": registration.args,
        "sha256": sha256, "builtin": false});
    server.catalog.put(Entry::new(name, entry.to_string())).await.unwrap();
}

async fn typed(server: &Server, name: &str) -> Option<PluginKind> {
    let listed = server.host.list().await.unwrap();
    listed.iter().find(|entry| entry.id.name == name).map(|entry| entry.id.kind)
}

async fn until<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) {
    let all = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.expect("it comes to hold");
}

#[tokio::test]
async fn an_entry_without_a_type_gets_the_one_that_its_plugin_says_at_unseal() {
    let Some(mock) = tool("mock-plugin") else { return };
    let server = Server::new().await;
    let auth =
        Registration { args: vec!["-type=auth".into()], ..server.install(&mock, "old-auth") };
    store_old(&server, "old-auth", &auth).await;
    store_old(&server, "old-secret", &server.install(&mock, "old-secret")).await;
    server.host.close().await;
    server.host.open(server.catalog.clone(), support::no_server()).await.unwrap();
    until(|| async { typed(&server, "old-auth").await.is_some() }).await;
    until(|| async { typed(&server, "old-secret").await.is_some() }).await;
    assert_eq!(typed(&server, "old-auth").await, Some(PluginKind::Auth));
    assert_eq!(typed(&server, "old-secret").await, Some(PluginKind::Secret));
    until(|| async { server.catalog.get("old-auth").await.unwrap().is_none() }).await;
}

#[tokio::test]
async fn an_entry_whose_plugin_does_not_run_stays_and_stops_nothing() {
    let Some(mock) = tool("mock-plugin") else { return };
    let server = Server::new().await;
    let gone = Registration { command: "gone".into(), ..server.install(&mock, "good") };
    store_old(&server, "a-broken", &gone).await;
    store_old(&server, "good", &server.install(&mock, "good")).await;
    server.host.close().await;
    server.host.open(server.catalog.clone(), support::no_server()).await.unwrap();
    until(|| async { typed(&server, "good").await.is_some() }).await;
    assert!(server.catalog.get("a-broken").await.unwrap().is_some());
    assert_eq!(typed(&server, "a-broken").await, None);
}
