//! Plugins that are gone or changed when the server looks for them, and reloads under load.
//!
//! Left out on purpose: programs that were never plugins (`bad_plugins`).

use crate::{Form, Sort, internal, server_and_mock};
use boltwork_e2e::{Server, altered, tools};
use serde_json::json;

/// What breaks a registered plugin while nobody looks.
enum Breakage {
    OtherBytes,
    Removed,
}

fn continue_on_error(sort: Sort, breakage: &Breakage) {
    let Some(program) = tools::mock() else { return };
    let Some(server) = Server::memory() else { return };
    let api = server.api();
    let install = || sort.of(&server.install(&program, "mock"), Form::Multiplexed);
    let (plugin, at) = (install(), sort.at("mock"));
    server.run(&plugin, "mock");
    match breakage {
        Breakage::OtherBytes => drop(altered(&server, &program, "mock", |bytes| bytes.push(0))),
        Breakage::Removed => {
            std::fs::remove_file(server.plugin_folder().join("mock")).expect("it was there")
        }
    }
    server.seal_and_unseal();
    server.is_well();
    api.read(&format!("{at}/internal")).refused(&[
        "checksums did not match",
        "sha256",
        "no such file",
        "backend is nil",
    ]);
    // Whether a mount can be removed while its plugin is gone is the server's affair.
    let unmounted = api.delete(&sort.mount("mock")).succeeded();
    let plugin = install();
    plugin.register(&api).status(204);
    if !unmounted {
        server.seal_and_unseal();
        api.delete(&sort.mount("mock")).status(204);
    }
    plugin.enable(&api, "mock").status(204);
    api.write("sys/plugins/reload/backend", &json!({"plugin": "mock"})).status(200);
    assert_eq!(internal(&api, &at), "bar");
    api.read(&format!("{}?version=v0.0.0%2Bmock", plugin.catalog_path())).status(200);
}

#[test]
fn continue_on_error_secret_sha256_mismatch() {
    continue_on_error(Sort::Secret, &Breakage::OtherBytes);
}

#[test]
fn continue_on_error_secret_missing_plugin() {
    continue_on_error(Sort::Secret, &Breakage::Removed);
}

#[test]
fn continue_on_error_auth_sha256_mismatch() {
    continue_on_error(Sort::Auth, &Breakage::OtherBytes);
}

#[test]
fn continue_on_error_auth_missing_plugin() {
    continue_on_error(Sort::Auth, &Breakage::Removed);
}

#[test]
fn a_mount_whose_plugin_was_gone_at_unseal_comes_back_by_reload() {
    let Some((server, plugin)) = server_and_mock(Form::Multiplexed, Sort::Secret) else { return };
    let api = server.api();
    server.run(&plugin, "mock");
    api.write("mock/kv/key", &json!({"value": "kept"})).status(204);
    let file = server.plugin_folder().join("mock");
    let aside = server.folder().join("mock.aside");
    std::fs::rename(&file, &aside).expect("the plugin is moved away");
    server.seal_and_unseal();
    api.read("mock/kv/key").refused(&["no such file", "unavailable", "backend is nil"]);
    std::fs::rename(&aside, &file).expect("the plugin is moved back");
    api.write("sys/plugins/reload/backend", &json!({"mounts": ["mock"]})).status(200);
    assert_eq!(api.read("mock/kv/key").ok().string("value"), "kept");
}

#[test]
fn reloads_of_many_mounts_disturb_no_request() {
    let Some((server, plugin)) = server_and_mock(Form::Multiplexed, Sort::Secret) else { return };
    let api = server.api();
    plugin.register(&api).status(204);
    let mounts: Vec<String> = (0..5).map(|number| format!("mock-{number}")).collect();
    for mount in &mounts {
        plugin.enable(&api, mount).status(204);
        api.write(&format!("{mount}/kv/key"), &json!({"value": mount})).status(204);
    }
    std::thread::scope(|scope| {
        for mount in &mounts {
            let (api, server) = (&api, &server);
            scope.spawn(move || {
                for _ in 0..10 {
                    let answer = api.read(&format!("{mount}/kv/key"));
                    // OpenBao answers 500 while the shared process is replaced under a mount.
                    assert!(answer.succeeded() || server.is_bao(), "{}", answer.text());
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..3 {
                api.write("sys/plugins/reload/backend", &json!({"plugin": "mock"})).status(200);
            }
        });
    });
    for mount in &mounts {
        assert_eq!(api.read(&format!("{mount}/kv/key")).ok().string("value"), *mount);
    }
    server.expect_plugins(1);
    server.is_well();
}
