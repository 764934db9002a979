//! `sys/plugins`: the catalog's paths. What the catalog itself does is tested where it lives.

mod common;

use boltwork_logical::Operation;
use common::{Server, fields, refusal};
use serde_json::{Value, json};

#[tokio::test]
async fn pins_are_written_shown_listed_and_deleted() {
    let server = Server::start().await;
    let pin = "sys/plugins/pins/secret/a/b";
    let missing = server.root(Operation::Read, pin, Value::Null).await.expect("an answer");
    assert!(missing.is_none_or(|reply| reply.data.as_bytes().is_empty()), "nothing is pinned yet");
    server.root(Operation::Update, pin, json!({ "version": "1.2" })).await.expect("pin");
    let shown = json!({ "name": "a/b", "type": "secret", "version": "v1.2.0" });
    let read = fields(server.root(Operation::Read, pin, Value::Null).await);
    assert_eq!(Value::Object(read), shown);
    let listed = fields(server.root(Operation::Read, "sys/plugins/pins", Value::Null).await);
    assert_eq!(listed["pinned_versions"], json!([shown]));
    server.root(Operation::Delete, pin, Value::Null).await.expect("unpin");
    let listed = fields(server.root(Operation::Read, "sys/plugins/pins", Value::Null).await);
    assert_eq!(listed["pinned_versions"], json!([]));
}

#[tokio::test]
async fn a_pin_needs_sudo_a_type_and_a_version_that_is_one() {
    let server = Server::start().await;
    server
        .policy("pins", "path \"sys/plugins/pins/*\" { capabilities = [\"read\", \"update\"] }")
        .await;
    let token = server.token(json!({ "policies": ["pins"] })).await;
    let body = json!({ "version": "v1.0.0" });
    let pin = "sys/plugins/pins/secret/x";
    let denied = server.by(&token, Operation::Update, pin, body.clone()).await;
    assert!(refusal(denied).contains("permission denied"));
    assert!(server.plugins.pins.lock().is_empty());
    let strange = server.root(Operation::Update, "sys/plugins/pins/foo/x", body).await;
    assert_eq!(refusal(strange), "\"foo\" is not a supported plugin type");
    let strange = server.root(Operation::Update, pin, json!({ "version": "one" })).await;
    assert!(refusal(strange).contains("is not a valid semantic version"));
}
