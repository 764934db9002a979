//! What passes between a client and a plugin, and what does not.
//!
//! Left out on purpose: what the server's own backends answer (`differential`).

use crate::{Form, Sort, server_and_mock};
use boltwork_e2e::wait_for;
use serde_json::{Value, json};

#[test]
fn transactions_of_the_go_sdk_commit_and_roll_back() {
    let Some((server, plugin)) = server_and_mock(Form::Multiplexed, Sort::Secret) else { return };
    let api = server.api();
    server.run(&plugin, "mock");
    api.write("mock/tx/rollback", &json!({"value": "gone"})).status(204);
    api.read("mock/kv/tx-one").status(404);
    api.write("mock/tx/commit", &json!({"value": "kept"})).status(204);
    for key in ["tx-one", "tx-two"] {
        assert_eq!(api.read(&format!("mock/kv/{key}")).ok().string("value"), "kept");
    }
}

#[test]
fn storage_of_a_plugin_lists_in_pages_and_tells_create_from_update() {
    let Some((server, plugin)) = server_and_mock(Form::Multiplexed, Sort::Secret) else { return };
    let api = server.api();
    server.run(&plugin, "mock");
    for key in ["a", "b", "c", "d/e"] {
        api.write(&format!("mock/kv/{key}"), &json!({"value": key, "version": 1})).status(204);
    }
    assert_eq!(api.list("mock/kv/").ok().data()["keys"], json!(["a", "b", "c", "d/"]));
    assert_eq!(api.list("mock/kv/?after=a&limit=2").ok().data()["keys"], json!(["b", "c"]));
    assert_eq!(api.read("mock/kv/a").ok().data()["how"], "create");
    api.write("mock/kv/a", &json!({"value": "again", "version": 2})).status(204);
    assert_eq!(
        api.read("mock/kv/a").ok().data(),
        json!({"how": "update", "value": "again", "version": 2})
    );
    api.delete("mock/kv/a").status(204);
    api.read("mock/kv/a").status(404);
}

#[test]
fn every_kind_of_error_has_its_status() {
    let Some((server, plugin)) = server_and_mock(Form::Multiplexed, Sort::Secret) else { return };
    let api = server.api();
    server.run(&plugin, "mock");
    let table = [
        (0, 500, "a plain error of the mock"),
        (1, 500, "a user error of the mock"),
        (2, 500, "an internal error of the mock"),
        (3, 418, "a coded error of the mock"),
        (4, 400, "a bad request of the mock"),
        (5, 405, "unsupported operation"),
        (6, 404, "unsupported path"),
        (7, 400, "invalid request"),
        (8, 403, "permission denied"),
        (10, 500, "unrecoverable error"),
    ];
    for (kind, status, text) in table {
        let answer = api.write("mock/errors/type", &json!({"err_type": kind}));
        assert_eq!(answer.status, status, "kind {kind}: {}", answer.text());
        assert!(answer.errors().contains(text), "kind {kind}: {}", answer.text());
    }
    api.write("mock/errors/response", &json!({}))
        .status(400)
        .refused(&["an error response of the mock"]);
}

#[test]
fn a_raw_answer_reaches_the_client_as_it_is() {
    let Some((server, plugin)) = server_and_mock(Form::Multiplexed, Sort::Secret) else { return };
    server.run(&plugin, "mock");
    let answer = server.api().read("mock/raw").status(200);
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    assert_eq!(answer.text(), "Response");
}

#[test]
fn a_path_that_the_plugin_opens_needs_no_token_and_others_do() {
    let Some((server, plugin)) = server_and_mock(Form::Multiplexed, Sort::Secret) else { return };
    server.run(&plugin, "mock");
    assert_eq!(server.public().read("mock/special").ok().data()["data"], "foo");
    server.public().read("mock/internal").status(403);
}

#[test]
fn a_plugin_sees_query_values_and_never_the_token() {
    let Some((server, plugin)) = server_and_mock(Form::Multiplexed, Sort::Secret) else { return };
    server.run(&plugin, "mock");
    let api = server.api();
    let seen = api.read("mock/echo?color=green&n=7").ok().data();
    assert_eq!((&seen["data"]["color"], &seen["data"]["n"]), (&json!("green"), &json!("7")));
    assert_eq!(seen["path"], "echo");
    assert_eq!(seen["mount_point"], "mock/");
    assert_eq!(seen["token_length"], 40, "the token is salted and hashed: 20 bytes in hex");
    assert!(!seen.to_string().contains(server.token()));
    assert_eq!(seen["headers"], Value::Null);
}

#[test]
fn a_plugin_sees_the_headers_that_its_mount_lets_through() {
    let Some((server, plugin)) = server_and_mock(Form::Multiplexed, Sort::Secret) else { return };
    server.run(&plugin, "mock");
    let api = server.api();
    api.write("sys/mounts/mock/tune", &json!({"passthrough_request_headers": ["X-Colour"]}))
        .status(204);
    let answer = api.send(&boltwork_e2e::Call {
        method: "GET".into(),
        target: "/v1/mock/echo".into(),
        headers: vec![("x-colour".into(), "blue".into()), ("X-Other".into(), "secret".into())],
        body: None,
    });
    let headers = answer.ok().data()["headers"].clone();
    assert_eq!(headers, json!({"X-Colour": ["blue"]}));
}

#[test]
fn a_warning_of_a_plugin_reaches_the_client() {
    let Some((server, plugin)) = server_and_mock(Form::Multiplexed, Sort::Secret) else { return };
    server.run(&plugin, "mock");
    let body = server.api().read("mock/warn").ok().json();
    assert_eq!(body["warnings"], json!(["a warning of the mock"]));
    assert_eq!(body["data"]["value"], "warned");
}

#[test]
fn a_large_answer_of_a_plugin_arrives_whole() {
    let Some((server, plugin)) = server_and_mock(Form::Multiplexed, Sort::Secret) else { return };
    server.run(&plugin, "mock");
    // More than the four mebibytes that gRPC libraries allow by default.
    let size = 6 * 1024 * 1024;
    let data = server.api().read(&format!("mock/echo?size={size}")).ok().data();
    assert_eq!(data["text"].as_str().map(str::len), Some(size));
}

#[test]
fn a_line_on_stderr_becomes_a_line_of_the_servers_log() {
    let Some((server, plugin)) = server_and_mock(Form::Multiplexed, Sort::Secret) else { return };
    server.run(&plugin, "mock");
    for line in [
        "[WARN] the mock speaks plainly",
        r#"{"@level":"error","@message":"the mock speaks JSON","@timestamp":"2026-01-02T03:04:05.000006Z","colour":"red"}"#,
    ] {
        server.api().write("mock/stderr", &json!({"line": line})).status(204);
    }
    for (text, level) in [("the mock speaks plainly", "WARN"), ("the mock speaks JSON", "ERROR")] {
        let line = wait_for(text, || {
            server.log().lines().find(|line| line.contains(text)).map(str::to_owned)
        });
        assert!(line.contains(level), "{level} is not the level of: {line}");
    }
}
