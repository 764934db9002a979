//! `sys/plugins`: the catalog's paths. What the catalog itself does is tested where it lives.

mod harness;

use boltwork_logical::Operation;
use harness::{Server, fields, refusal};
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

#[tokio::test]
async fn a_plugin_is_reloaded_by_type_and_name_and_how_that_went_can_be_asked_for() {
    let server = Server::with_engine().await;
    let reload = async |place: &str, body: Value| {
        server.root(Operation::Update, &format!("sys/plugins/reload/{place}"), body).await
    };
    let status = async |id: Value| {
        let path = "sys/plugins/reload/backend/status";
        let mut inbound = harness::request(&server.root, Operation::Read, path, Value::Null);
        inbound.data = boltwork_logical::Data::json(&json!({ "reload_id": id }));
        server.send(inbound).await.result
    };
    for kind in ["secret", "unknown"] {
        let reply = reload(&format!("{kind}/good"), json!({})).await.expect("reload").expect("id");
        assert!(reply.warnings.is_empty(), "{kind}: {:?}", reply.warnings);
        let id = fields(Ok(Some(reply)))["reload_id"].clone();
        let known = fields(status(id.clone()).await);
        assert_eq!(known["reload_id"], id);
        assert_eq!(known["results"]["local"]["error"], "");
        assert!(known["results"]["local"]["timestamp"].as_str().is_some_and(|t| t.contains('T')));
    }
    for (place, body, text) in [
        ("auth/good", json!({}), "plugin not found in the catalog: \"good\""),
        ("secret/nothing", json!({}), "plugin not found in the catalog: \"nothing\""),
        ("foo/good", json!({}), "\"foo\" is not a supported plugin type"),
        ("secret/good", json!({ "scope": "x" }), "reload scope must be omitted or 'global'"),
        ("secret/system", json!({}), "singleton plugin cannot be reloaded: \"system\""),
    ] {
        assert_eq!(refusal(reload(place, body).await), text);
    }
    assert_eq!(refusal(status(json!("")).await), "reload_id must be provided");
    let unknown = status(json!("never")).await.expect("an answer");
    assert!(unknown.is_none_or(|reply| reply.data.as_bytes().is_empty()));
    let idle = reload("secret/broken", json!({})).await.expect("reload").expect("a reply");
    assert!(idle.warnings[0].starts_with("no plugins were reloaded"));
}

#[tokio::test]
async fn a_reload_that_failed_is_remembered_with_its_reason() {
    let server = Server::with_engine().await;
    server.plugins.switches.fail_creation.store(true, std::sync::atomic::Ordering::SeqCst);
    let failed = server.root(Operation::Update, "sys/plugins/reload/secret/good", json!({})).await;
    let reason = refusal(failed);
    // Every request of these tests has this id.
    let body = json!({ "reload_id": "the-request" });
    let path = "sys/plugins/reload/backend/status";
    let known = fields(server.root(Operation::Read, path, body).await);
    assert_eq!(known["results"]["local"]["error"], reason);
}

#[tokio::test]
async fn paths_without_a_type_warn_and_lists_take_a_slash_at_their_end() {
    let server = Server::start().await;
    for (operation, words) in [
        (Operation::Read, "cannot read plugin information from catalog for \"a/b\""),
        (Operation::Delete, "cannot deregister plugin from catalog for \"a/b\""),
    ] {
        let path = "sys/plugins/catalog/a/b";
        let reply = server.root(operation, path, Value::Null).await.expect("no error");
        let warnings = reply.expect("a reply").warnings;
        assert_eq!(warnings, [format!("Deprecated API endpoint, {words}")]);
    }
    for path in ["sys/plugins/catalog/secret", "sys/plugins/catalog/secret/"] {
        let listed = fields(server.root(Operation::List, path, Value::Null).await);
        assert_eq!(listed["keys"], json!(["broken", "good"]), "{path}");
    }
    for path in ["sys/plugins/catalog", "sys/plugins/catalog/"] {
        let listed = fields(server.root(Operation::List, path, Value::Null).await);
        assert_eq!(listed["secret"], json!(["broken", "good"]), "{path}");
    }
    let strange = server.root(Operation::List, "sys/plugins/catalog/foo/", Value::Null).await;
    assert_eq!(refusal(strange), "unsupported operation");
    let named =
        fields(server.root(Operation::Read, "sys/plugins/catalog/secret/a/b", Value::Null).await);
    assert_eq!(named["name"], "a/b");
}
