//! What the audit log tells of a request that an external plugin answered.
//!
//! Left out on purpose: the rest of an entry, which the server's own tests cover.

use crate::{Form, REPORTED, Sort, server_and_mock};
use boltwork_e2e::{Plugin, Server, tools};
use serde_json::{Value, json};

/// The entries of the audit file about a path.
fn entries(server: &Server, path: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(server.folder().join("audit.log")).expect("an audit file");
    let parsed = text.lines().map(|line| serde_json::from_str(line).expect("lines of JSON"));
    parsed.filter(|entry: &Value| entry["request"]["path"] == path).collect()
}

/// OpenBao takes audit devices from its configuration alone.
fn audited(sort: Sort) -> Option<(Server, Plugin)> {
    let (server, plugin) = server_and_mock(Form::Multiplexed, sort)?;
    if !server.is_bao() {
        return Some((server, plugin));
    }
    tools::skip("OpenBao wants audit devices in its configuration");
    None
}

fn logs_plugin_metadata(sort: Sort) {
    let Some((server, plugin)) = audited(sort) else { return };
    let api = server.api();
    let file = server.folder().join("audit.log").display().to_string();
    api.write("sys/audit/file", &json!({"type": "file", "options": {"file_path": file}}))
        .status(204);
    let plugin = plugin.version("v1.0.0").env(&[&format!("{REPORTED}=v1.0.0")]);
    server.run(&plugin, "mock");
    let path = format!("{}/internal", sort.at("mock"));
    api.read(&path).ok();
    let found = entries(&server, &path);
    assert_eq!(found.len(), 2, "a request and its response");
    for entry in &found {
        let request = &entry["request"];
        assert_eq!(request["mount_class"], sort.kind());
        assert_eq!(request["mount_type"], "mock");
        assert_eq!(request["mount_is_external_plugin"], true);
        assert_eq!(request["mount_running_sha256"], plugin.sha256.as_str());
        assert_eq!(request["mount_running_version"], "v1.0.0");
    }
    let response = &found[1]["response"];
    assert_eq!(response["mount_class"], sort.kind());
    assert_eq!(response["mount_is_external_plugin"], true);
    assert_eq!(response["mount_running_sha256"], plugin.sha256.as_str());
    assert_eq!(response["mount_running_plugin_version"], "v1.0.0");
    // Beside it, a built-in one is no external plugin.
    api.read("sys/mounts").ok();
    let found = entries(&server, "sys/mounts");
    assert_eq!(found[0]["request"]["mount_is_external_plugin"], Value::Null);
    assert_eq!(found[0]["request"]["mount_running_sha256"], Value::Null);
}

#[test]
fn audit_enabled_should_log_plugin_metadata_secret() {
    logs_plugin_metadata(Sort::Secret);
}

#[test]
fn audit_enabled_should_log_plugin_metadata_auth() {
    logs_plugin_metadata(Sort::Auth);
}
