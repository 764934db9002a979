//! Plugins of before Vault 1.12: protocol versions 3 and 4 only, whose certificate comes out of a
//! wrapping token that they take back to the server.
//!
//! Left out on purpose: what they share with newer plugins (`external_plugins`).

mod mismatch;
mod tokens;
mod trust;

use boltwork_e2e::{Api, Plugin, Server, Setup, Storage, process, tools};
use serde_json::json;
use std::fs;
use std::path::Path;

/// A server with the Go mock, restricted to the old protocols.
fn older(setup: Setup) -> Option<(Server, Plugin)> {
    let program = tools::mock()?;
    let server = setup.start()?;
    let plugin = server.install(&program, "old").args(&["-serve=v4"]);
    Some((server, plugin))
}

fn internal(api: &Api, mount: &str) -> String {
    api.read(&format!("{mount}/internal")).ok().string("value")
}

#[test]
fn a_plugin_of_protocol_4_lives_like_any_other() {
    let Some((server, plugin)) = older(Setup { storage: Storage::Disk, ..Setup::default() }) else {
        return;
    };
    let api = server.api();
    plugin.register(&api).status(204);
    server.expect_plugins(0);
    plugin.enable(&api, "old").status(204);
    plugin.enable(&api, "twin").status(204);
    // Nobody has asked for anything yet.
    server.expect_plugins(0);
    assert_eq!(internal(&api, "old"), "bar");
    server.expect_plugins(1);
    api.write("old/kv/key", &json!({"value": "kept"})).status(204);
    api.write("old/internal", &json!({"value": "changed"})).status(204);
    assert_eq!(internal(&api, "twin"), "bar", "each mount has a process of its own");
    server.expect_plugins(2);

    server.kill_plugins("old/internal");
    assert_eq!(api.read("old/kv/key").ok().string("value"), "kept");
    api.write("old/internal", &json!({"value": "changed"})).status(204);
    api.write("sys/plugins/reload/backend", &json!({"mounts": ["old"]})).ok();
    assert_eq!(internal(&api, "old"), "bar", "a new process knows nothing of the old one");

    server.seal();
    server.expect_plugins(0);
    server.unseal();
    server.expect_plugins(0);
    assert_eq!(api.read("old/kv/key").ok().string("value"), "kept");

    for mount in ["old", "twin"] {
        api.delete(&format!("sys/mounts/{mount}")).status(204);
    }
    server.expect_plugins(0);
    assert!(process::sockets(&server.temporary()).is_empty());
}

#[test]
fn an_auth_method_of_protocol_4_is_enabled_and_knows_its_open_paths() {
    let Some((server, plugin)) = older(Setup::default()) else { return };
    let api = server.api();
    let plugin = Plugin { kind: "auth".into(), ..plugin.args(&["-serve=v4", "-type=auth"]) };
    plugin.register(&api).status(204);
    plugin.enable(&api, "old").status(204);
    // Special paths are known before the process that they belong to is started.
    server.public().read("auth/old/internal").status(403);
    server.expect_plugins(0);
    server.public().read("auth/old/special").ok();
    server.expect_plugins(1);
}

#[test]
fn a_plugin_registered_under_the_wrong_type_is_refused_over_protocol_4_too() {
    let Some((server, plugin)) = older(Setup::default()) else { return };
    let wrong = Plugin { kind: "auth".into(), ..plugin };
    wrong.register(&server.api()).refused(&["says that it is a secrets engine"]);
    server.expect_plugins(0);
}

#[test]
fn without_an_api_addr_one_is_derived_from_the_only_listener_and_logged_once() {
    let setup = Setup { api_addr: Some(String::new()), log_level: "info", ..Setup::default() };
    let Some((server, plugin)) = older(setup) else { return };
    if server.is_bao() {
        return tools::skip("OpenBao derives no address");
    }
    server.run(&plugin, "old");
    assert_eq!(internal(&server.api(), "old"), "bar");
    let log = server.log();
    let told: Vec<&str> =
        log.lines().filter(|line| line.contains("no api_addr is configured")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains(&server.url()), "{told:?}");
}

#[test]
fn an_api_addr_that_leads_nowhere_is_named_when_the_plugin_is_registered() {
    // The discard port: nothing listens there.
    let setup = Setup { api_addr: Some("http://127.0.0.1:9".to_owned()), ..Setup::default() };
    let Some((server, plugin)) = older(setup) else { return };
    if server.is_bao() {
        return tools::skip("OpenBao registers it, and fails at the mount");
    }
    let answer = plugin.register(&server.api());
    let said = answer.errors();
    assert!(
        said.contains("api_addr \"http://127.0.0.1:9\", which cannot be reached from here"),
        "{} {said}",
        answer.status
    );
    server.api().read("sys/plugins/catalog/secret/old").status(404);
    server.expect_plugins(0);
    // One of today has no need of it.
    let plugin = plugin.args(&["-serve=mux"]);
    server.run(&plugin, "new");
    assert_eq!(internal(&server.api(), "new"), "bar");
}

/// A plugin behind a script by which it does not know the newest protocol. `lines` are run before it
/// in each of its processes.
fn behind_script(server: &Server, program: &Path, name: &str, lines: &str) -> Plugin {
    let script = format!(
        "#!/bin/sh\ncase $PLUGIN_PROTOCOL_VERSIONS in *5*) exit 1;; esac\n{lines}\nexec '{}' \"$@\"\n",
        program.display()
    );
    let made = server.folder().join(format!("{name}.made"));
    fs::write(&made, script).expect("the script is written");
    server.install(&made, name)
}

#[test]
fn a_plugin_of_our_sdk_unwraps_its_certificate_and_lives_over_protocol_4() {
    let Some(server) = (Setup { storage: Storage::Disk, ..Setup::default() }).start() else {
        return;
    };
    let api = server.api();
    // Arguments as they are registered with plugins of old.
    let plugin =
        behind_script(&server, &tools::our_kv(), "older-kv", "").args(&["-ca-cert=/nowhere.pem"]);
    if !server.is_bao() {
        let said = plugin.register(&api).status(400).errors();
        assert!(said.contains("/nowhere.pem cannot be used"), "{said}");
    }
    let plugin = plugin.args(&["-tls-skip-verify"]);
    plugin.register(&api).status(204);
    plugin.enable(&api, "old").status(204);
    plugin.enable(&api, "twin").status(204);
    server.expect_plugins(0);
    api.write("old/key", &json!({"value": "kept"})).status(204);
    assert_eq!(api.read("old/key").ok().string("value"), "kept");
    api.read("twin/key").status(404);
    server.expect_plugins(2);

    server.kill_plugins("old/key");
    assert_eq!(api.read("old/key").ok().string("value"), "kept");
    server.seal();
    server.expect_plugins(0);
    server.unseal();
    assert_eq!(api.read("old/key").ok().string("value"), "kept");
    for mount in ["old", "twin"] {
        api.delete(&format!("sys/mounts/{mount}")).status(204);
    }
    server.expect_plugins(0);
    assert!(process::sockets(&server.temporary()).is_empty());
}
