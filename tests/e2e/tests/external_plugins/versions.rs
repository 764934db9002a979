//! Versions side by side, chosen, pinned and taken away.
//!
//! Left out on purpose: the rules of registration one by one (`catalog_rules`), and
//! versions that programs say of themselves (`reported`).

use crate::{Form, REPORTED, Sort, internal, mount_entry, server_and_mock};
use boltwork_e2e::{Mount, Plugin, Server, tools};
use serde_json::{Value, json};

/// The plugin in a version that it also reports.
fn in_version(plugin: &Plugin, version: &str) -> Plugin {
    plugin.version(version).env(&[&format!("{REPORTED}={version}")])
}

fn asking(version: &str) -> Mount {
    Mount { version: version.to_owned(), ..Mount::default() }
}

fn enable_external_plugin(sort: Sort) {
    let Some((server, plugin)) = server_and_mock(Form::Multiplexed, sort) else { return };
    let api = server.api();
    let plugin = plugin.version("1.0.0").env(&[&format!("{REPORTED}=v1.0.0")]);
    plugin.register(&api).status(204);
    plugin.enable_as(&api, "foo", &asking("v1.0.0")).status(204);
    let entry = mount_entry(&api, sort, "foo");
    assert_eq!((&entry["type"], &entry["plugin_version"]), (&json!("mock"), &json!("v1.0.0")));
    assert_eq!(internal(&api, &sort.at("foo")), "bar");
    let routed = api.read(&format!("sys/internal/ui/mounts/{}", sort.at("foo"))).ok().data();
    assert_eq!((&routed["path"], &routed["type"]), (&json!("foo/"), &json!("mock")));
}

#[test]
fn enable_external_plugin_secret() {
    enable_external_plugin(Sort::Secret);
}

#[test]
fn enable_external_plugin_auth() {
    enable_external_plugin(Sort::Auth);
}

fn multiple_versions(sort: Sort) {
    let Some((server, plugin)) = server_and_mock(Form::Multiplexed, sort) else { return };
    let api = server.api();
    for version in ["v1.0.0", "v1.0.1"] {
        in_version(&plugin, version).register(&api).status(204);
    }
    for (mount, asked, got) in
        [("old", "v1.0.0", "v1.0.0"), ("new", "1.0.1", "v1.0.1"), ("any", "", "v1.0.1")]
    {
        plugin.enable_as(&api, mount, &asking(asked)).status(204);
        let entry = mount_entry(&api, sort, mount);
        assert_eq!(entry["plugin_version"], got, "{mount}: stored");
        assert_eq!(entry["running_plugin_version"], got, "{mount}: running");
        assert_eq!(entry["running_sha256"], plugin.sha256.as_str(), "{mount}: sha");
        let reported = api.read(&format!("{}/env/{REPORTED}", sort.at(mount))).ok();
        assert_eq!(reported.string("value"), got);
    }
    // Two versions, two processes; the two mounts of one version share theirs.
    server.expect_plugins(2);
}

#[test]
fn multiple_versions_secret() {
    multiple_versions(Sort::Secret);
}

#[test]
fn multiple_versions_auth() {
    multiple_versions(Sort::Auth);
}

#[test]
fn an_upgrade_through_pins_takes_place_at_the_reload() {
    for sort in [Sort::Secret, Sort::Auth] {
        let Some((server, plugin)) = server_and_mock(Form::Multiplexed, sort) else { return };
        if server.is_bao() {
            return tools::skip("OpenBao has no pins");
        }
        let (api, at) = (server.api(), sort.at("mock"));
        for version in ["v1.0.0", "v1.0.1"] {
            in_version(&plugin, version).register(&api).status(204);
        }
        plugin.enable_as(&api, "mock", &asking("v1.0.0")).status(204);
        api.write(&format!("{at}/kv/key"), &json!({"value": "kept"})).status(204);
        let pin = format!("sys/plugins/pins/{}/mock", sort.kind());
        let runs = |version: &str| {
            let seen = api.read(&format!("{at}/env/{REPORTED}")).ok().string("value");
            assert_eq!(seen, version);
            assert_eq!(api.read(&format!("{at}/kv/key")).ok().string("value"), "kept");
        };
        api.write(&pin, &json!({"version": "v1.0.1"})).ok();
        runs("v1.0.0");
        api.write("sys/plugins/reload/backend", &json!({"mounts": [at]})).ok();
        runs("v1.0.1");
        assert_eq!(mount_entry(&api, sort, "mock")["running_plugin_version"], "v1.0.1");
        in_version(&plugin, "v1.0.1").deregister(&api).refused(&["pinned"]);
        api.delete(&pin).status(204);
        api.write("sys/plugins/reload/backend", &json!({"mounts": [at]})).ok();
        runs("v1.0.0");
    }
}

#[test]
fn a_reload_that_reaches_no_mount_warns() {
    let Some((server, plugin)) = server_and_mock(Form::Multiplexed, Sort::Secret) else { return };
    if server.is_bao() {
        return tools::skip("OpenBao does not warn");
    }
    let api = server.api();
    plugin.register(&api).status(204);
    let answer = api.write("sys/plugins/reload/secret/mock", &json!({})).ok().json();
    let warning = answer["warnings"][0].as_str().unwrap_or_default().to_owned();
    assert!(warning.contains("no plugins were reloaded"), "{answer}");
    plugin.enable(&api, "mock").status(204);
    let answer = api.write("sys/plugins/reload/secret/mock", &json!({})).ok().json();
    assert_eq!(answer["warnings"], Value::Null);
}

#[test]
fn an_upgrade_and_a_downgrade_are_a_tune_and_a_reload() {
    let Some((server, plugin)) = server_and_mock(Form::Multiplexed, Sort::Secret) else { return };
    let api = server.api();
    for version in ["v1.0.0", "v1.0.1"] {
        in_version(&plugin, version).register(&api).status(204);
    }
    plugin
        .enable_as(&api, "mock", &Mount { version: "v1.0.0".into(), ..Mount::default() })
        .status(204);
    api.write("mock/kv/key", &json!({"value": "kept"})).status(204);
    for version in ["v1.0.1", "v1.0.0"] {
        api.write("sys/mounts/mock/tune", &json!({"plugin_version": version})).status(204);
        assert_ne!(
            api.read(&format!("mock/env/{REPORTED}")).ok().string("value"),
            version,
            "tune alone runs nothing"
        );
        api.write("sys/plugins/reload/backend", &json!({"mounts": ["mock"]})).status(200);
        assert_eq!(api.read(&format!("mock/env/{REPORTED}")).ok().string("value"), version);
        assert_eq!(api.read("mock/kv/key").ok().string("value"), "kept");
    }
    api.write("sys/mounts/mock/tune", &json!({"plugin_version": "v9.9.9"}))
        .refused(&["plugin not found in the catalog"]);
    server.expect_plugins(1);
}

#[test]
fn deregister_seal_unseal() {
    let Some((server, plugin)) = server_and_mock(Form::Multiplexed, Sort::Secret) else { return };
    let api = server.api();
    server.run(&plugin, "mock");
    server.expect_plugins(1);
    // The mock reports a version of its own, and is stored under that.
    plugin.version("v0.0.0+mock").deregister(&api).status(204);
    assert_eq!(internal(&api, "mock"), "bar", "what runs goes on");
    server.seal_and_unseal();
    server.expect_plugins(0);
    assert_eq!(
        mount_entry(&api, Sort::Secret, "mock")["type"],
        "mock",
        "the mount is still listed"
    );
    api.read("mock/internal").refused(&[
        "plugin not found in the catalog",
        "backend is nil",
        "unavailable",
    ]);
}

#[test]
fn enable_external_kv_multiple_versions() {
    let Some((server, plugin)) = server_and_mock(Form::Multiplexed, Sort::Secret) else { return };
    let api = server.api();
    for version in ["v1.2.3", "v1.2.4"] {
        let kv = plugin.named("kv").version(version).env(&[&format!("{REPORTED}={version}")]);
        kv.register(&api).status(204);
    }
    let list = api.read("sys/plugins/catalog").ok().data();
    let versions: Vec<&str> = list["detailed"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|entry| entry["name"] == "kv" && entry["builtin"] == false)
        .filter_map(|entry| entry["version"].as_str())
        .collect();
    assert_eq!(versions, ["v1.2.3", "v1.2.4"]);
    let mount = Mount { version: "v1.2.3".into(), ..Mount::default() };
    let answer = plugin.named("kv").enable_as(&api, "foo", &mount);
    if server.is_bao() {
        // OpenBao's core has kv in a table of its own, and refuses another one.
        answer.refused(&["cannot select non-builtin version of secrets plugin kv"]);
        return;
    }
    answer.status(204);
    assert_eq!(mount_entry(&api, Sort::Secret, "foo")["running_plugin_version"], "v1.2.3");
}

#[test]
fn enable_external_noop_multiple_versions() {
    let Some((server, plugin)) = server_and_mock(Form::Multiplexed, Sort::Secret) else { return };
    let api = server.api();
    for version in ["v1.2.3", "v1.2.4"] {
        let noop = plugin.named("noop").version(version).env(&[&format!("{REPORTED}={version}")]);
        noop.register(&api).status(204);
        noop.enable_as(
            &api,
            &format!("noop-{version}"),
            &Mount { version: version.into(), ..Mount::default() },
        )
        .status(204);
    }
    plugin
        .named("noop")
        .enable_as(&api, "third", &Mount { version: "v1.2.5".into(), ..Mount::default() })
        .refused(&[
            "plugin not found in the catalog: noop, version=v1.2.5",
            "plugin not found in the catalog: noop",
        ]);
    server.expect_plugins(2);
}

fn invalid_name(kind: &str) {
    let Some(server) = Server::memory() else { return };
    let plugin = Plugin {
        name: "nowhere".into(),
        kind: kind.into(),
        command: "no-such-program".into(),
        sha256: "00".repeat(32),
        version: String::new(),
        args: Vec::new(),
        env: Vec::new(),
    };
    plugin.register(&server.api()).refused(&["no such file or directory"]);
    server.api().read(&plugin.catalog_path()).status(404);
}

#[test]
fn credential_plugin_invalid_name_auth() {
    invalid_name("auth");
}

#[test]
fn credential_plugin_invalid_name_secret() {
    invalid_name("secret");
}

#[test]
fn list_handles_plugin_names_with_slashes() {
    let Some((server, plugin)) = server_and_mock(Form::Multiplexed, Sort::Secret) else { return };
    let api = server.api();
    for name in ["mine", "team/mine", "team/deep/mine"] {
        plugin.named(name).register(&api).status(204);
    }
    let keys = api.list("sys/plugins/catalog/secret").ok().data();
    let keys: Vec<&str> =
        keys["keys"].as_array().expect("keys").iter().filter_map(Value::as_str).collect();
    for name in ["mine", "team/mine", "team/deep/mine"] {
        assert!(keys.contains(&name), "{name} is not in {keys:?}");
        let found = api.read(&format!("sys/plugins/catalog/secret/{name}?version=v0.0.0%2Bmock"));
        assert_eq!(found.ok().data()["name"], name);
    }
}
