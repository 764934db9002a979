//! Scenarios that hold for every form in which a plugin can serve.
//!
//! Left out on purpose: what a form alone can do.

use crate::{Form, REPORTED, Sort, internal, mount_entry, pid_of, server_and_mock, set_internal};
use serde_json::{Value, json};

/// A module of tests for each scenario, with a test for each form.
macro_rules! in_every_form {
    ($($scenario:ident => $run:expr;)*) => { $(
        mod $scenario {
            use super::*;

            const RUN: fn(Form) = $run;

            #[test]
            fn v5_multiplexed() {
                RUN(Form::Multiplexed);
            }

            #[test]
            fn v5() {
                RUN(Form::Plain);
            }

            #[test]
            fn v4() {
                RUN(Form::Older);
            }
        }
    )* };
}

in_every_form! {
    plugin_secret => |form| plugin(form, Sort::Secret);
    plugin_auth => |form| plugin(form, Sort::Auth);
    missing_binary_secret => |form| missing_binary(form, Sort::Secret);
    missing_binary_auth => |form| missing_binary(form, Sort::Auth);
    mismatch_type => mismatch;
    catalog_removed_secret => |form| catalog_removed(form, Sort::Secret, false);
    catalog_removed_auth => |form| catalog_removed(form, Sort::Auth, false);
    catalog_removed_secret_and_mounting_the_same_path =>
        |form| catalog_removed(form, Sort::Secret, true);
    catalog_removed_auth_and_mounting_the_same_path =>
        |form| catalog_removed(form, Sort::Auth, true);
    auto_reload_secret => |form| auto_reload(form, Sort::Secret);
    auto_reload_auth => |form| auto_reload(form, Sort::Auth);
    seal_unseal_secret => |form| seal_unseal(form, Sort::Secret);
    seal_unseal_auth => |form| seal_unseal(form, Sort::Auth);
    reload_by_plugin_secret => |form| reload(form, Sort::Secret, &json!({"plugin": "mock"}));
    reload_by_plugin_auth => |form| reload(form, Sort::Auth, &json!({"plugin": "mock"}));
    reload_by_mounts_secret =>
        |form| reload(form, Sort::Secret, &json!({"mounts": ["mock-0", "mock-1/"]}));
    reload_by_mounts_auth =>
        |form| reload(form, Sort::Auth, &json!({"mounts": "auth/mock-0,auth/mock-1"}));
    env_secret => |form| env(form, Sort::Secret);
    env_auth => |form| env(form, Sort::Auth);
}

const MOUNTS: [&str; 3] = ["mock-0", "mock-1", "mock-2"];

fn plugin(form: Form, sort: Sort) {
    let Some((server, plugin)) = server_and_mock(form, sort) else { return };
    let api = server.api();
    plugin.register(&api).status(204);
    for mount in MOUNTS {
        plugin.enable(&api, mount).status(204);
        assert_eq!(internal(&api, &sort.at(mount)), "bar", "a fresh instance has the default");
        set_internal(&api, &sort.at(mount), mount);
    }
    for mount in MOUNTS {
        let found = internal(&api, &sort.at(mount));
        assert_eq!(found, mount, "each mount has an instance of its own");
    }
    server.expect_plugins(form.processes(3));
    server.seal();
    server.expect_plugins(0);
    server.unseal();
    server.expect_plugins(form.idle(3));
    for mount in MOUNTS {
        let found = internal(&api, &sort.at(mount));
        assert_eq!(found, "bar", "a new process knows nothing of the old one");
    }
    server.expect_plugins(form.processes(3));
}

fn missing_binary(form: Form, sort: Sort) {
    let Some((server, plugin)) = server_and_mock(form, sort) else { return };
    server.run(&plugin, "mock");
    std::fs::remove_file(server.plugin_folder().join("mock")).expect("the binary was there");
    server.seal_and_unseal();
    server.is_well();
    let entry = mount_entry(&server.api(), sort, "mock");
    assert_eq!(entry["type"], "mock", "the mount is still listed");
    let path = format!("{}/internal", sort.at("mock"));
    server.api().read(&path).refused(&["no such file", "unavailable", "backend is nil"]);
    server.expect_plugins(0);
}

fn mismatch(form: Form) {
    let Some((server, plugin)) = server_and_mock(form, Sort::Secret) else { return };
    let api = server.api();
    server.run(&plugin, "mock");
    set_internal(&api, "mock", "before");
    Sort::Auth.of(&plugin, form).register(&api).status(204);
    assert_eq!(internal(&api, "mock"), "before", "the mounted secrets engine was not disturbed");
    server.seal_and_unseal();
    assert_eq!(internal(&api, "mock"), "bar");
}

fn catalog_removed(form: Form, sort: Sort, mount_again: bool) {
    let Some((server, plugin)) = server_and_mock(form, sort) else { return };
    let api = server.api();
    server.run(&plugin, "mock");
    // An entry of the same name, but of another type: it has nothing to do with the mount.
    api.delete("sys/plugins/catalog/database/mock").status(204);
    server.seal_and_unseal();
    assert_eq!(internal(&api, &sort.at("mock")), "bar");
    if mount_again {
        plugin.enable(&api, "mock").refused(&["path is already in use at"]);
        assert_eq!(internal(&api, &sort.at("mock")), "bar");
    }
}

fn auto_reload(form: Form, sort: Sort) {
    let Some((server, plugin)) = server_and_mock(form, sort) else { return };
    let api = server.api();
    server.run(&plugin, "mock");
    let at = sort.at("mock");
    set_internal(&api, &at, "changed");
    let before = pid_of(&api, &at);
    api.read(&format!("{at}/errors/rpc")).refused(&["connection is shut down"]);
    assert_eq!(internal(&api, &at), "bar", "the plugin was started anew");
    assert_ne!(pid_of(&api, &at), before, "and that is another process");
    server.expect_plugins(1);
}

fn seal_unseal(form: Form, sort: Sort) {
    let Some((server, plugin)) = server_and_mock(form, sort) else { return };
    let api = server.api();
    plugin.register(&api).status(204);
    let path = |mount| format!("{}/kv/key", sort.at(mount));
    for mount in ["one", "two"] {
        plugin.enable(&api, mount).status(204);
        api.write(&path(mount), &json!({"value": mount})).status(204);
    }
    for _ in 0..2 {
        server.seal_and_unseal();
        for mount in ["one", "two"] {
            assert_eq!(mount_entry(&api, sort, mount)["type"], "mock");
            assert_eq!(api.read(&path(mount)).ok().string("value"), mount);
        }
    }
    server.expect_plugins(form.processes(2));
}

fn reload(form: Form, sort: Sort, body: &Value) {
    let Some((server, plugin)) = server_and_mock(form, sort) else { return };
    let api = server.api();
    plugin.register(&api).status(204);
    let path = |mount| format!("{}/kv/key", sort.at(mount));
    for mount in ["mock-0", "mock-1"] {
        plugin.enable(&api, mount).status(204);
        set_internal(&api, &sort.at(mount), "changed");
        api.write(&path(mount), &json!({"value": mount})).status(204);
    }
    let answer = api.write("sys/plugins/reload/backend", body).status(200);
    assert!(!answer.string("reload_id").is_empty());
    for mount in ["mock-0", "mock-1"] {
        assert_eq!(internal(&api, &sort.at(mount)), "bar", "the instance was made anew");
        let kept = api.read(&path(mount)).ok().string("value");
        assert_eq!(kept, mount, "nothing stored is lost");
    }
    server.expect_plugins(form.processes(2));
}

fn env(form: Form, sort: Sort) {
    let Some((server, plugin)) = server_and_mock(form, sort) else { return };
    let api = server.api();
    let at = sort.at("mock");
    server.run(&plugin.env(&["FOO=BAR", "EMPTY=", "WITH_EQUALS=a=b"]), "mock");
    for (name, value, set) in [
        ("FOO", "BAR", true),
        ("EMPTY", "", true),
        ("WITH_EQUALS", "a=b", true),
        ("NOT_THERE", "", false),
    ] {
        let data = api.read(&format!("{at}/env/{name}")).ok().data();
        let found = (data["value"].as_str(), data["set"].as_bool());
        assert_eq!(found, (Some(value), Some(set)), "{name}");
    }
    let certificate = match form {
        Form::Older => "VAULT_UNWRAP_TOKEN",
        Form::Multiplexed | Form::Plain => "VAULT_PLUGIN_AUTOMTLS_ENABLED",
    };
    for name in ["VAULT_VERSION", "VAULT_PLUGIN_METADATA_MODE", certificate] {
        assert_ne!(api.read(&format!("{at}/env/{name}")).ok().string("value"), "", "{name}");
    }
    assert_eq!(api.read(&format!("{at}/env/{REPORTED}")).ok().data()["set"], false);
}
