//! What programs say of themselves when they are registered: their type, their version, or none.
//!
//! Left out on purpose: versions that an operator asked for (`versions`).

use crate::{Form, REPORTED, Sort, mount_entry, server_and_mock};
use boltwork_e2e::{Plugin, Server, tools};
use serde_json::json;

/// HashiCorp's kv of 2020, whose SDK knows the protocols 3 and 4 only, and no versions.
const VERSIONLESS: &str = "vault-plugin-secrets-kv@v0.5.5";

/// A server, and a plugin that reports no version installed as `name`.
fn server_and_versionless(name: &str) -> Option<(Server, Plugin)> {
    let program = tools::foreign(VERSIONLESS)?;
    let server = Server::memory()?;
    let plugin = server.install(&program, name);
    Some((server, plugin))
}

#[test]
fn get_backend_type_version_is_found_by_running_the_program() {
    for sort in [Sort::Secret, Sort::Auth] {
        let Some((server, plugin)) = server_and_mock(Form::Multiplexed, sort) else { return };
        let api = server.api();
        let plugin = plugin.env(&[&format!("{REPORTED}=v2.3.4")]);
        api.write("sys/plugins/catalog/mock", &plugin.body()).status(204);
        let found = api.read(&format!("sys/plugins/catalog/{}/mock?version=v2.3.4", sort.kind()));
        assert_eq!(found.status(200).data()["version"], "v2.3.4");
        let other = if sort == Sort::Auth { "secret" } else { "auth" };
        api.read(&format!("sys/plugins/catalog/{other}/mock?version=v2.3.4")).status(404);
        server.expect_plugins(0);
    }
}

#[test]
fn get_backend_type_version_of_a_database_is_found_by_running_the_program() {
    let Some(program) = tools::mock_database() else { return };
    for (serve, version) in [("mux", "v2.3.4"), ("plain", "v2.3.5")] {
        let Some(server) = Server::memory() else { return };
        let api = server.api();
        let plugin = server
            .install(&program, "mock")
            .args(&[&format!("-serve={serve}")])
            .env(&[&format!("{REPORTED}={version}")]);
        api.write("sys/plugins/catalog/mock", &plugin.body()).status(204);
        let found = api.read(&format!("sys/plugins/catalog/database/mock?version={version}"));
        assert_eq!(found.status(200).data()["version"], version);
        api.read(&format!("sys/plugins/catalog/secret/mock?version={version}")).status(404);
        server.expect_plugins(0);
    }
}

#[test]
fn credential_plugin_no_version_on_register_takes_the_reported_one() {
    let Some((server, plugin)) = server_and_mock(Form::Multiplexed, Sort::Auth) else { return };
    let api = server.api();
    let plugin = plugin.env(&[&format!("{REPORTED}=v1.5.0")]);
    plugin.register(&api).status(204);
    let found = api.read("sys/plugins/catalog/auth/mock?version=v1.5.0").ok().data();
    assert_eq!(found["version"], "v1.5.0");
    server.expect_plugins(0);
    plugin.enable(&api, "mock").status(204);
    let entry = mount_entry(&api, Sort::Auth, "mock");
    assert_eq!(entry["plugin_version"], "v1.5.0");
    assert_eq!(entry["running_plugin_version"], "v1.5.0");
}

#[test]
fn no_versions_okay_for_a_plugin_of_before_versions() {
    let Some((server, plugin)) = server_and_versionless("old") else { return };
    let api = server.api();
    server.run(&plugin, "old");
    let entry = mount_entry(&api, Sort::Secret, "old");
    assert_eq!(
        (&entry["plugin_version"], &entry["running_plugin_version"]),
        (&json!(""), &json!(""))
    );
    assert_eq!(entry["running_sha256"], plugin.sha256.as_str());
    // No process until somebody asks for something.
    server.expect_plugins(0);
    api.write("old/key", &json!({"value": "kept"})).status(204);
    assert_eq!(api.read("old/key").ok().string("value"), "kept");
    server.expect_plugins(1);
}

#[test]
fn shadow_builtin_is_hidden_by_a_plugin_without_a_version() {
    let Some((server, shadow)) = server_and_versionless("kv") else { return };
    let api = server.api();
    let builtin = api.read("sys/plugins/catalog/secret/kv").ok().data();
    assert_eq!(builtin["builtin"], true);
    let version = builtin["version"].as_str().expect("a built-in has a version").to_owned();
    let versioned =
        format!("sys/plugins/catalog/secret/kv?version={}", version.replace('+', "%2B"));
    api.read(&versioned).status(200);
    shadow.register(&api).status(204);
    let seen = api.read("sys/plugins/catalog/secret/kv").ok().data();
    assert_eq!((&seen["builtin"], &seen["version"]), (&json!(false), &json!("")));
    api.read(&versioned).status(404);
    shadow.deregister(&api).status(204);
    assert_eq!(api.read("sys/plugins/catalog/secret/kv").ok().data(), builtin);
    api.read(&versioned).status(200);
}

#[test]
fn a_plugin_that_reports_a_version_shadows_no_builtin() {
    let Some((server, plugin)) = server_and_mock(Form::Multiplexed, Sort::Secret) else { return };
    let api = server.api();
    let plugin = plugin.named("kv");
    plugin.register(&api).status(204);
    assert_eq!(api.read("sys/plugins/catalog/secret/kv").ok().data()["builtin"], true);
    let external = api.read("sys/plugins/catalog/secret/kv?version=v0.0.0%2Bmock").ok().data();
    assert_eq!(external["builtin"], false);
}
