//! The rules of the plugin catalog, each with the text that tools and scripts match on. They are
//! OpenBao's; what is asserted here holds for both servers.
//!
//! Left out on purpose: whether a registered program works (see `bad_plugins.rs`).

use boltwork_e2e::{Plugin, Server, Setup, tools, wait_for};
use serde_json::{Value, json};

/// A rule: what is sent, where, and what comes back.
struct Rule {
    name: &'static str,
    path: &'static str,
    body: Value,
    status: u16,
    text: &'static str,
}

fn sha() -> String {
    "ab".repeat(32)
}

fn rules() -> Vec<Rule> {
    let rule = |name, path, body, status, text| Rule { name, path, body, status, text };
    vec![
        rule(
            "a version must be a version",
            "secret/x",
            json!({"sha256": sha(), "command": "x", "version": "not-a-version"}),
            400,
            "version \"not-a-version\" is not a valid semantic version",
        ),
        rule(
            "a version must not claim to be built in",
            "secret/x",
            json!({"sha256": sha(), "command": "x", "version": "v1.0.0+builtin"}),
            400,
            "version \"v1.0.0+builtin\" is not allowed because 'builtin' is a reserved metadata identifier",
        ),
        rule(
            "nor in a longer identifier",
            "secret/x",
            json!({"sha256": sha(), "command": "x", "version": "v1.0.0+meta.builtin.vault"}),
            400,
            "is not allowed because 'builtin' is a reserved metadata identifier",
        ),
        rule(
            "a checksum is needed",
            "secret/x",
            json!({"command": "x"}),
            400,
            "missing SHA-256 value",
        ),
        rule(
            "a command is needed",
            "secret/x",
            json!({"sha256": sha()}),
            400,
            "missing command value",
        ),
        rule(
            "arguments stand in one place only",
            "secret/x",
            json!({"sha256": sha(), "command": "x --flag", "args": ["--other"]}),
            400,
            "must not specify args in command and args field",
        ),
        rule(
            "a checksum is hexadecimal",
            "secret/x",
            json!({"sha256": "not hex at all", "command": "x"}),
            400,
            "Could not decode SHA-256 value from Hex",
        ),
        rule(
            "a command stays in its folder",
            "secret/x",
            json!({"sha256": sha(), "command": "../x"}),
            500,
            "path cannot contain parent references",
        ),
        rule(
            "a name holds no parent reference",
            "secret/a..b",
            json!({"sha256": sha(), "command": "x"}),
            500,
            "path cannot contain parent references",
        ),
        rule(
            "the file must be there",
            "secret/x",
            json!({"sha256": sha(), "command": "nothing-here"}),
            500,
            "no such file or directory",
        ),
        rule(
            "a kms plugin does not belong here",
            "x",
            json!({"sha256": sha(), "command": "x", "type": "kms"}),
            500,
            "",
        ),
    ]
}

#[test]
fn every_rule_of_registration_has_its_text() {
    let Some(server) = Server::memory() else { return };
    let mut wrong = Vec::new();
    for rule in rules() {
        let answer = server.api().write(&format!("sys/plugins/catalog/{}", rule.path), &rule.body);
        if answer.status != rule.status || !answer.errors().contains(rule.text) {
            wrong.push(format!("{}: {} {}", rule.name, answer.status, answer.text().trim()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Our kv, which starts under either server, or the Go mock: whichever is there.
fn some_plugin(server: &Server, name: &str) -> Option<Plugin> {
    Some(server.install(&tools::mock()?, name))
}

#[test]
fn a_checksum_may_be_called_sha_256_and_may_be_upper_case() {
    let Some(server) = Server::memory() else { return };
    let api = server.api();
    let Some(plugin) = some_plugin(&server, "mock") else { return };
    let body = json!({"sha_256": plugin.sha256.to_uppercase(), "command": "mock"});
    api.call("PUT", "sys/plugins/catalog/secret/mock", Some(&body)).status(204);
    let found = api.read("sys/plugins/catalog/secret/mock?version=v0.0.0%2Bmock").ok().data();
    assert_eq!(found["sha256"], plugin.sha256);
}

#[test]
fn a_command_with_spaces_is_split_into_arguments() {
    let Some(server) = Server::memory() else { return };
    let api = server.api();
    let Some(plugin) = some_plugin(&server, "mock") else { return };
    let body = json!({"sha256": plugin.sha256, "command": "mock -serve=mux -type=secret"});
    api.write("sys/plugins/catalog/secret/mock", &body).status(204);
    let found = api.read("sys/plugins/catalog/secret/mock?version=0.0.0%2Bmock").ok().data();
    assert_eq!(found["command"], "mock");
    assert_eq!(found["args"], json!(["-serve=mux", "-type=secret"]));
}

#[test]
fn an_entry_is_read_with_everything_but_its_environment() {
    let Some(server) = Server::memory() else { return };
    let api = server.api();
    let Some(plugin) = some_plugin(&server, "mock") else { return };
    plugin.env(&["PASSWORD=hunter2"]).args(&["-serve=mux"]).register(&api).status(204);
    let answer = api.read("sys/plugins/catalog/secret/mock?version=v0.0.0%2Bmock").ok();
    let data = answer.data();
    assert_eq!(data["name"], "mock");
    assert_eq!(data["command"], "mock");
    assert_eq!(data["args"], json!(["-serve=mux"]));
    assert_eq!(data["builtin"], false);
    assert_eq!(data["version"], "v0.0.0+mock");
    assert!(!answer.text().contains("hunter2"));
    assert!(!server.log().contains("hunter2"), "nor does the log tell");
}

#[test]
fn a_version_is_stored_in_its_canonical_form() {
    let Some(server) = Server::memory() else { return };
    let api = server.api();
    let Some(plugin) = some_plugin(&server, "mock") else { return };
    for (asked, stored) in [
        ("1", "v1.0.0"),
        ("v2.1", "v2.1.0"),
        ("3.2.1-rc1", "v3.2.1-rc1"),
        ("4.0.0+meta", "v4.0.0+meta"),
    ] {
        let env = format!("TESTING_MOCK_VAULT_PLUGIN_VERSION={stored}");
        plugin.version(asked).env(&[&env]).register(&api).status(204);
        let found = api.read(&format!(
            "sys/plugins/catalog/secret/mock?version={}",
            asked.replace('+', "%2B")
        ));
        assert_eq!(found.ok().data()["version"], stored, "asked for {asked}");
    }
}

#[test]
fn a_version_that_the_program_does_not_report_is_refused() {
    let Some(server) = Server::memory() else { return };
    let Some(plugin) = some_plugin(&server, "mock") else { return };
    plugin.version("v9.0.0").register(&server.api()).status(400).refused(&[
        "plugin version mismatch: mock reported version (v0.0.0+mock) did not match requested version (v9.0.0)",
    ]);
    server.api().read("sys/plugins/catalog/secret/mock?version=v9.0.0").status(404);
}

#[test]
fn a_type_that_is_not_given_is_found_by_running_the_program() {
    let Some(server) = Server::memory() else { return };
    let api = server.api();
    let Some(plugin) = some_plugin(&server, "mock") else { return };
    api.write("sys/plugins/catalog/mock", &plugin.body()).status(204);
    api.read("sys/plugins/catalog/secret/mock?version=v0.0.0%2Bmock").status(200);
    let answer = api.read("sys/plugins/catalog/mock").status(200).json();
    assert_eq!(
        answer["warnings"][0],
        "Deprecated API endpoint, cannot read plugin information from catalog for \"mock\""
    );
    server.expect_plugins(0);
}

#[test]
fn deleting_what_is_not_there_succeeds_and_deleting_a_builtin_does_not() {
    let Some(server) = Server::memory() else { return };
    let api = server.api();
    api.delete("sys/plugins/catalog/secret/never-there").status(204);
    api.delete("sys/plugins/catalog/secret/never-there?version=v1.0.0").status(204);
    api.delete("sys/plugins/catalog/secret/kv?version=v1.0.0%2Bbuiltin")
        .status(400)
        .refused(&["cannot be deleted"]);
    api.delete("sys/plugins/catalog/secret/kv?version=junk")
        .status(400)
        .refused(&["is not a valid semantic version"]);
    api.read("sys/plugins/catalog/secret/kv").status(200);
}

#[test]
fn lists_hold_builtin_and_external_plugins_sorted() {
    let Some(server) = Server::memory() else { return };
    let api = server.api();
    let Some(plugin) = some_plugin(&server, "mock") else { return };
    for version in ["v1.10.0", "v1.2.0"] {
        let env = format!("TESTING_MOCK_VAULT_PLUGIN_VERSION={version}");
        plugin.version(version).env(&[&env]).register(&api).status(204);
    }
    let all = api.read("sys/plugins/catalog").ok().data();
    for kind in ["auth", "database", "secret"] {
        assert!(all[kind].is_array() || all[kind].is_null(), "{kind}: {}", all[kind]);
    }
    let listed = |list: &Value, name: &str| {
        list.as_array().is_some_and(|list| list.iter().any(|found| found == name))
    };
    assert!(listed(&all["secret"], "kv") && listed(&all["secret"], "mock"));
    let versions: Vec<&str> = all["detailed"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|entry| entry["name"] == "mock")
        .filter_map(|entry| entry["version"].as_str())
        .collect();
    assert_eq!(versions, ["v1.2.0", "v1.10.0"], "in the order of versions, not of texts");
    for answer in
        [api.list("sys/plugins/catalog/secret"), api.read("sys/plugins/catalog/secret?list=true")]
    {
        let keys = answer.ok().data()["keys"].clone();
        let mut sorted: Vec<String> =
            serde_json::from_value(keys.clone()).expect("a list of names");
        sorted.sort();
        assert_eq!(json!(sorted), keys);
        assert!(listed(&keys, "mock"));
    }
}

#[test]
fn the_catalog_is_written_only_with_sudo() {
    let Some(server) = Server::memory() else { return };
    let api = server.api();
    let Some(plugin) = some_plugin(&server, "mock") else { return };
    let all = "\"create\", \"read\", \"update\", \"delete\", \"list\"";
    for (name, capabilities) in [("plain", all.to_owned()), ("sudoer", format!("{all}, \"sudo\""))]
    {
        let policy =
            format!("path \"sys/plugins/catalog/*\" {{ capabilities = [{capabilities}] }}");
        api.write(&format!("sys/policies/acl/{name}"), &json!({"policy": policy})).status(204);
    }
    let token = |policy: &str| {
        let made = api.write("auth/token/create", &json!({"policies": [policy]})).ok().json();
        api.with_token(made["auth"]["client_token"].as_str().expect("a token"))
    };
    plugin.register(&token("plain")).status(403);
    api.read("sys/plugins/catalog/secret/mock?version=v0.0.0%2Bmock").status(404);
    plugin.register(&token("sudoer")).status(204);
    token("plain").read("sys/plugins/catalog/secret/mock?version=v0.0.0%2Bmock").status(403);
}

#[test]
fn reload_says_what_is_wrong_with_what_it_is_asked() {
    let Some(server) = Server::memory() else { return };
    let api = server.api();
    for (body, text) in [
        (json!({}), "plugin or mounts must be provided"),
        (
            json!({"plugin": "kv", "mounts": ["x"]}),
            "plugin and mounts cannot be set at the same time",
        ),
        (
            json!({"plugin": "no-such-plugin"}),
            "plugin not found in the catalog: \"no-such-plugin\"",
        ),
        (json!({"mounts": ["no-such-mount"]}), "cannot fetch mount entry on \"no-such-mount"),
    ] {
        api.write("sys/plugins/reload/backend", &body).status(400).refused(&[text]);
    }
    api.write("sys/plugins/reload/backend", &json!({"plugin": "kv"})).status(200);
}

#[test]
fn mounting_says_what_is_wrong_with_a_plugin_version() {
    let Some(server) = Server::memory() else { return };
    let api = server.api();
    let Some(plugin) = some_plugin(&server, "mock") else { return };
    plugin.register(&api).status(204);
    let mount = |version: &str| json!({"type": "mock", "config": {"plugin_version": version}});
    api.write("sys/mounts/a", &mount("junk"))
        .status(400)
        .refused(&["version \"junk\" is not a valid semantic version"]);
    api.write("sys/mounts/a", &mount("v7.7.7"))
        .status(400)
        .refused(&["plugin not found in the catalog: mock, version=v7.7.7"]);
    api.write("sys/mounts/a", &json!({"type": "no-such-type"}))
        .status(400)
        .refused(&["plugin not found in the catalog: no-such-type"]);
    api.write("sys/mounts/a", &mount("v0.0.0+mock")).status(204);
    api.write("sys/mounts/a", &mount("v0.0.0+mock")).refused(&["path is already in use at a/"]);
    api.write("sys/mounts/a/tune", &json!({"plugin_version": "junk"}))
        .status(400)
        .refused(&["is not a valid semantic version"]);
    server.expect_plugins(1);
}

#[test]
fn the_catalog_survives_a_restart() {
    let Some(mut server) = Server::disk() else { return };
    let Some(plugin) = some_plugin(&server, "mock") else { return };
    server.run(&plugin.env(&["COLOUR=green"]), "mock");
    server.api().write("mock/kv/key", &json!({"value": "kept"})).status(204);
    server.restart();
    let api = server.api();
    assert_eq!(api.read("mock/kv/key").ok().string("value"), "kept");
    assert_eq!(api.read("mock/env/COLOUR").ok().string("value"), "green");
    let found = api.read("sys/plugins/catalog/secret/mock?version=v0.0.0%2Bmock").ok().data();
    assert_eq!(found["sha256"], plugin.sha256);
}

#[test]
fn check_file_permissions_wants_files_that_only_their_owner_can_change() {
    use std::os::unix::fs::PermissionsExt as _;
    for variable in ["VAULT_ENABLE_FILE_PERMISSIONS_CHECK", "BAO_ENABLE_FILE_PERMISSIONS_CHECK"] {
        let environment = vec![(variable.to_owned(), "true".to_owned())];
        let Some(server) = (Setup { environment, ..Setup::default() }).start() else { return };
        let api = server.api();
        let Some(plugin) = some_plugin(&server, "mock") else { return };
        let file = server.plugin_folder().join("mock");
        let mode = |mode: u32| {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode))
                .expect("permissions can be set")
        };
        mode(0o777);
        plugin.register(&api).status(500).refused(&["has insecure permissions"]);
        mode(0o755);
        plugin.register(&api).status(204);
        plugin.enable(&api, "mock").status(204);
        // Only root can give a file away.
        if std::os::unix::fs::chown(&file, Some(65534), None).is_ok() {
            plugin.register(&api).status(500).refused(&["is not owned by"]);
        }
    }
}

#[test]
fn containers_and_downloads_are_refused_with_what_to_do_instead() {
    let Some(server) = Server::memory() else { return };
    if server.is_bao() {
        return tools::skip("what OpenBao does with container images is its own");
    }
    let api = server.api();
    let image = json!({"sha256": sha(), "oci_image": "registry/engine", "version": "v1.0.0"});
    api.write("sys/plugins/catalog/secret/x", &image)
        .status(400)
        .refused(&["plugins in container images are not supported by this server"]);
    let cached = json!({"sha256": sha(), "command": "engine", "oci": true});
    api.write("sys/plugins/catalog/secret/x", &cached)
        .status(400)
        .refused(&["plugins in container images are not supported by this server"]);
    let fetched = json!({"download": true, "version": "v1.0.0"});
    api.write("sys/plugins/catalog/secret/x", &fetched)
        .status(400)
        .refused(&["put the binary into the plugin directory"]);
    api.write("sys/plugins/runtimes/catalog/container/gvisor", &json!({"oci_runtime": "runsc"}))
        .status(400)
        .refused(&["plugin runtimes are not supported by this server"]);
    assert_eq!(api.list("sys/plugins/runtimes/catalog").ok().data()["runtimes"], json!([]));
    api.read("sys/plugins/catalog/secret/x").status(404);
}

#[test]
fn what_the_configuration_declares_is_registered_and_looked_at_again_on_sighup() {
    let Some(mut server) = Server::memory() else { return };
    if server.is_bao() {
        return tools::skip("OpenBao wants more in a stanza than this test writes");
    }
    let Some(plugin) = some_plugin(&server, "mock") else { return };
    let stanza = |version: &str| {
        format!(
            "plugin \"secret\" \"mock\" {{\n  command = \"mock\"\n  version = \"{version}\"\n  \
             sha256sum = \"{}\"\n  env = [\"TESTING_MOCK_VAULT_PLUGIN_VERSION={version}\"]\n}}\n",
            plugin.sha256
        )
    };
    let path = |version: &str| format!("sys/plugins/catalog/secret/mock?version={version}");
    let api = server.api();
    api.read(&path("v1.0.0")).status(404);
    server.configure(&format!("plugin_auto_register = true\n{}", stanza("v1.0.0")));
    let registered = |version: &str| {
        wait_for("it is registered", || api.read(&path(version)).succeeded().then_some(()));
    };
    registered("v1.0.0");
    assert_eq!(api.read(&path("v1.0.0")).ok().data()["declarative"], true);
    // A file that cannot be read changes nothing.
    server.configure("plugin_auto_register = maybe {{{");
    wait_for("it is told", || {
        server.log().contains("cannot be read and stays as it was").then_some(())
    });
    api.read(&path("v1.0.0")).ok();
    server.configure(&format!("plugin_auto_register = true\n{}", stanza("v2.0.0")));
    registered("v2.0.0");
    wait_for("the old one goes", || (api.read(&path("v1.0.0")).status == 404).then_some(()));
    server.expect_plugins(0);
}
