//! What OpenBao tests of external plugins, told again from outside: a Go plugin on OpenBao's own
//! SDK, registered, mounted, killed, reloaded, upgraded. The name of each test begins with the
//! name that the scenario has there.
//!
//! Left out on purpose: scenarios that need protocol 3 or 4, an auth method or a database.

use boltwork_e2e::{Api, Mount, Plugin, Server, Setup, altered, process, tools, wait_for};
use serde_json::{Value, json};

/// A server with the Go mock installed as `mock`, or the end of the test.
macro_rules! mock_server {
    ($serve:expr) => {{
        let Some(program) = tools::mock() else { return };
        let Some(server) = Server::memory() else { return };
        let plugin = server.install(&program, "mock").args(&[&format!("-serve={}", $serve)]);
        (server, plugin)
    }};
}

const REPORTED: &str = "TESTING_MOCK_VAULT_PLUGIN_VERSION";

fn internal(api: &Api, mount: &str) -> String {
    api.read(&format!("{mount}/internal")).ok().string("value")
}

fn set_internal(api: &Api, mount: &str, value: &str) {
    api.write(&format!("{mount}/internal"), &json!({"value": value})).status(204);
}

/// The entry of a mount in `sys/mounts`.
fn mount_entry(api: &Api, mount: &str) -> Value {
    api.read("sys/mounts").ok().data()[format!("{mount}/")].clone()
}

fn pid_of(api: &Api, mount: &str) -> u64 {
    let pid = api.read(&format!("{mount}/process")).ok().data()["pid"].as_u64();
    pid.expect("the mock tells its process id")
}

fn plugin_secret(serve: &str, processes: usize) {
    let (server, plugin) = mock_server!(serve);
    let api = server.api();
    plugin.register(&api).status(204);
    for mount in ["mock-0", "mock-1", "mock-2"] {
        plugin.enable(&api, mount).status(204);
        assert_eq!(internal(&api, mount), "bar", "a fresh instance has the default");
        set_internal(&api, mount, mount);
    }
    for mount in ["mock-0", "mock-1", "mock-2"] {
        assert_eq!(internal(&api, mount), mount, "each mount has an instance of its own");
    }
    server.expect_plugins(processes);
    server.seal();
    server.expect_plugins(0);
    server.unseal();
    for mount in ["mock-0", "mock-1", "mock-2"] {
        assert_eq!(internal(&api, mount), "bar", "a new process knows nothing of the old one");
    }
    server.expect_plugins(processes);
}

#[test]
fn plugin_secret_v5_multiplexed() {
    plugin_secret("mux", 1);
}

#[test]
fn plugin_secret_v5() {
    plugin_secret("plain", 3);
}

fn missing_binary(serve: &str) {
    let (server, plugin) = mock_server!(serve);
    server.run(&plugin, "mock");
    std::fs::remove_file(server.plugin_folder().join("mock")).expect("the binary was there");
    server.seal_and_unseal();
    server.is_well();
    assert_eq!(mount_entry(&server.api(), "mock")["type"], "mock", "the mount is still listed");
    server.api().read("mock/internal").refused(&["no such file", "unavailable", "backend is nil"]);
    server.expect_plugins(0);
}

#[test]
fn missing_binary_v5_multiplexed() {
    missing_binary("mux");
}

#[test]
fn missing_binary_v5() {
    missing_binary("plain");
}

fn mismatch_type(serve: &str) {
    let (server, plugin) = mock_server!(serve);
    let api = server.api();
    server.run(&plugin, "mock");
    set_internal(&api, "mock", "before");
    plugin
        .kind("auth")
        .args(&["-type=auth", &format!("-serve={serve}")])
        .register(&api)
        .status(204);
    assert_eq!(internal(&api, "mock"), "before", "the mounted secrets engine was not disturbed");
    server.seal_and_unseal();
    assert_eq!(internal(&api, "mock"), "bar");
}

#[test]
fn mismatch_type_v5_multiplexed() {
    mismatch_type("mux");
}

#[test]
fn mismatch_type_v5() {
    mismatch_type("plain");
}

#[test]
fn catalog_removed_secret_without_mounting_again() {
    catalog_removed(false);
}

#[test]
fn catalog_removed_secret_and_mounting_the_same_path() {
    catalog_removed(true);
}

fn catalog_removed(mount_again: bool) {
    let (server, plugin) = mock_server!("mux");
    let api = server.api();
    server.run(&plugin, "mock");
    // An entry of the same name, but of another type: it has nothing to do with the mount.
    api.delete("sys/plugins/catalog/database/mock").status(204);
    server.seal_and_unseal();
    assert_eq!(internal(&api, "mock"), "bar");
    if mount_again {
        plugin.enable(&api, "mock").refused(&["path is already in use at mock/"]);
        assert_eq!(internal(&api, "mock"), "bar");
    }
}

fn auto_reload(serve: &str) {
    let (server, plugin) = mock_server!(serve);
    let api = server.api();
    server.run(&plugin, "mock");
    set_internal(&api, "mock", "changed");
    let before = pid_of(&api, "mock");
    api.read("mock/errors/rpc").refused(&["connection is shut down"]);
    assert_eq!(internal(&api, "mock"), "bar", "the plugin was started anew");
    assert_ne!(pid_of(&api, "mock"), before, "and that is another process");
    server.expect_plugins(1);
}

#[test]
fn auto_reload_v5_multiplexed() {
    auto_reload("mux");
}

#[test]
fn auto_reload_v5() {
    auto_reload("plain");
}

fn seal_unseal(serve: &str) {
    let (server, plugin) = mock_server!(serve);
    let api = server.api();
    plugin.register(&api).status(204);
    for mount in ["one", "two"] {
        plugin.enable(&api, mount).status(204);
        api.write(&format!("{mount}/kv/key"), &json!({"value": mount})).status(204);
    }
    for _ in 0..2 {
        server.seal_and_unseal();
        for mount in ["one", "two"] {
            assert_eq!(mount_entry(&api, mount)["type"], "mock");
            assert_eq!(api.read(&format!("{mount}/kv/key")).ok().string("value"), mount);
        }
    }
}

#[test]
fn seal_unseal_v5_multiplexed() {
    seal_unseal("mux");
}

#[test]
fn seal_unseal_v5() {
    seal_unseal("plain");
}

fn reload(serve: &str, body: &Value) {
    let (server, plugin) = mock_server!(serve);
    let api = server.api();
    plugin.register(&api).status(204);
    for mount in ["mock-0", "mock-1"] {
        plugin.enable(&api, mount).status(204);
        set_internal(&api, mount, "changed");
        api.write(&format!("{mount}/kv/key"), &json!({"value": mount})).status(204);
    }
    let answer = api.write("sys/plugins/reload/backend", body).status(200);
    assert!(!answer.string("reload_id").is_empty());
    for mount in ["mock-0", "mock-1"] {
        assert_eq!(internal(&api, mount), "bar", "the instance was made anew");
        assert_eq!(
            api.read(&format!("{mount}/kv/key")).ok().string("value"),
            mount,
            "nothing stored is lost"
        );
    }
    server.expect_plugins(if serve == "mux" { 1 } else { 2 });
}

#[test]
fn reload_by_plugin_secret_v5_multiplexed() {
    reload("mux", &json!({"plugin": "mock"}));
}

#[test]
fn reload_by_plugin_secret_v5() {
    reload("plain", &json!({"plugin": "mock"}));
}

#[test]
fn reload_by_mounts_secret_v5_multiplexed() {
    reload("mux", &json!({"mounts": ["mock-0", "mock-1/"]}));
}

#[test]
fn reload_by_mounts_secret_v5() {
    reload("plain", &json!({"mounts": "mock-0,mock-1"}));
}

#[test]
fn env_of_the_catalog_reaches_the_plugin() {
    let (server, plugin) = mock_server!("mux");
    let api = server.api();
    server.run(&plugin.env(&["FOO=BAR", "EMPTY=", "WITH_EQUALS=a=b"]), "mock");
    for (name, value, set) in [
        ("FOO", "BAR", true),
        ("EMPTY", "", true),
        ("WITH_EQUALS", "a=b", true),
        ("NOT_THERE", "", false),
    ] {
        let data = api.read(&format!("mock/env/{name}")).ok().data();
        assert_eq!(
            (data["value"].as_str(), data["set"].as_bool()),
            (Some(value), Some(set)),
            "{name}"
        );
    }
    for name in [
        "VAULT_VERSION",
        "BAO_VERSION",
        "VAULT_PLUGIN_AUTOMTLS_ENABLED",
        "VAULT_PLUGIN_METADATA_MODE",
    ] {
        assert_ne!(api.read(&format!("mock/env/{name}")).ok().string("value"), "", "{name}");
    }
}

/// What breaks a registered plugin while nobody looks.
enum Breakage {
    OtherBytes,
    Removed,
}

fn continue_on_error(breakage: &Breakage) {
    let Some(program) = tools::mock() else { return };
    let Some(server) = Server::memory() else { return };
    let api = server.api();
    let plugin = server.install(&program, "mock");
    server.run(&plugin, "mock");
    match breakage {
        Breakage::OtherBytes => drop(altered(&server, &program, "mock", |bytes| bytes.push(0))),
        Breakage::Removed => {
            std::fs::remove_file(server.plugin_folder().join("mock")).expect("it was there")
        }
    }
    server.seal_and_unseal();
    server.is_well();
    api.read("mock/internal").refused(&[
        "checksums did not match",
        "sha256",
        "no such file",
        "backend is nil",
    ]);
    // Whether a mount can be removed while its plugin is gone is the server's affair.
    let unmounted = api.delete("sys/mounts/mock").succeeded();
    let plugin = server.install(&program, "mock");
    plugin.register(&api).status(204);
    if !unmounted {
        server.seal_and_unseal();
        api.delete("sys/mounts/mock").status(204);
    }
    plugin.enable(&api, "mock").status(204);
    api.write("sys/plugins/reload/backend", &json!({"plugin": "mock"})).status(200);
    assert_eq!(internal(&api, "mock"), "bar");
    api.read("sys/plugins/catalog/secret/mock?version=v0.0.0%2Bmock").status(200);
}

#[test]
fn continue_on_error_secret_sha256_mismatch() {
    continue_on_error(&Breakage::OtherBytes);
}

#[test]
fn continue_on_error_secret_missing_plugin() {
    continue_on_error(&Breakage::Removed);
}

#[test]
fn a_mount_whose_plugin_was_gone_at_unseal_comes_back_by_reload() {
    let (server, plugin) = mock_server!("mux");
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
fn rollback_and_reload_do_not_disturb_each_other() {
    let (server, plugin) = mock_server!("mux");
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

#[test]
fn enable_external_plugin_secret() {
    let (server, plugin) = mock_server!("mux");
    let api = server.api();
    let plugin = plugin.version("1.0.0").env(&[&format!("{REPORTED}=v1.0.0")]);
    plugin.register(&api).status(204);
    plugin
        .enable_as(&api, "foo", &Mount { version: "v1.0.0".into(), ..Mount::default() })
        .status(204);
    let entry = mount_entry(&api, "foo");
    assert_eq!((&entry["type"], &entry["plugin_version"]), (&json!("mock"), &json!("v1.0.0")));
    assert_eq!(internal(&api, "foo"), "bar");
    let routed = api.read("sys/internal/ui/mounts/foo").ok().data();
    assert_eq!(routed["path"], "foo/");
}

#[test]
fn multiple_versions_secret() {
    let (server, plugin) = mock_server!("mux");
    let api = server.api();
    for version in ["v1.0.0", "v1.0.1"] {
        plugin.version(version).env(&[&format!("{REPORTED}={version}")]).register(&api).status(204);
    }
    for (mount, asked, got) in
        [("old", "v1.0.0", "v1.0.0"), ("new", "1.0.1", "v1.0.1"), ("any", "", "v1.0.1")]
    {
        plugin
            .enable_as(&api, mount, &Mount { version: asked.into(), ..Mount::default() })
            .status(204);
        let entry = mount_entry(&api, mount);
        assert_eq!(entry["plugin_version"], got, "{mount}: stored");
        assert_eq!(entry["running_plugin_version"], got, "{mount}: running");
        assert_eq!(entry["running_sha256"], plugin.sha256.as_str(), "{mount}: sha");
        assert_eq!(api.read(&format!("{mount}/env/{REPORTED}")).ok().string("value"), got);
    }
    // Two versions, two processes; the two mounts of one version share theirs.
    server.expect_plugins(2);
}

#[test]
fn an_upgrade_and_a_downgrade_are_a_tune_and_a_reload() {
    let (server, plugin) = mock_server!("mux");
    let api = server.api();
    for version in ["v1.0.0", "v1.0.1"] {
        plugin.version(version).env(&[&format!("{REPORTED}={version}")]).register(&api).status(204);
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
    let (server, plugin) = mock_server!("mux");
    let api = server.api();
    server.run(&plugin, "mock");
    server.expect_plugins(1);
    // The mock reports a version of its own, and is stored under that.
    plugin.version("v0.0.0+mock").deregister(&api).status(204);
    assert_eq!(internal(&api, "mock"), "bar", "what runs goes on");
    server.seal_and_unseal();
    server.expect_plugins(0);
    assert_eq!(mount_entry(&api, "mock")["type"], "mock", "the mount is still listed");
    api.read("mock/internal").refused(&[
        "plugin not found in the catalog",
        "backend is nil",
        "unavailable",
    ]);
}

#[test]
fn shadow_builtin() {
    let Some(program) = tools::mock() else { return };
    let Some(server) = Server::memory() else { return };
    let api = server.api();
    let builtin = api.read("sys/plugins/catalog/secret/kv").ok().data();
    assert_eq!(builtin["builtin"], true);
    let version = builtin["version"].as_str().expect("a built-in has a version").to_owned();
    // A program that reports no version is stored without one, and hides the built-in.
    let shadow = server.install(&program, "kv").env(&[&format!("{REPORTED}=")]);
    shadow.register(&api).status(204);
    // The mock reports a version whatever the variable says: it does not hide the built-in.
    let seen = api.read("sys/plugins/catalog/secret/kv").ok().data();
    assert_eq!(seen["builtin"], true);
    let external = api.read("sys/plugins/catalog/secret/kv?version=v0.0.0%2Bmock").ok().data();
    assert_eq!(external["builtin"], false);
    shadow.version("v0.0.0+mock").deregister(&api).status(204);
    // Ours reports none.
    let shadow = server.install(&tools::our_kv(), "kv");
    shadow.register(&api).status(204);
    let seen = api.read("sys/plugins/catalog/secret/kv").ok().data();
    if seen["version"] == "" {
        assert_eq!(seen["builtin"], false, "an unversioned external one comes first");
        let encoded = version.replace('+', "%2B");
        api.read(&format!("sys/plugins/catalog/secret/kv?version={encoded}")).status(404);
    }
    shadow.deregister(&api).status(204);
    assert_eq!(api.read("sys/plugins/catalog/secret/kv").ok().data()["builtin"], true);
}

#[test]
fn enable_external_kv_multiple_versions() {
    let (server, plugin) = mock_server!("mux");
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
    } else if answer.succeeded() {
        assert_eq!(mount_entry(&api, "foo")["plugin_version"], "v1.2.3");
    } else {
        answer.refused(&["cannot select non-builtin version of secrets plugin kv"]);
    }
}

#[test]
fn enable_external_noop_multiple_versions() {
    let (server, plugin) = mock_server!("mux");
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

#[test]
fn credential_plugin_no_version_on_register_takes_the_reported_one() {
    let (server, plugin) = mock_server!("mux");
    let api = server.api();
    let plugin = plugin.kind("auth").args(&["-type=auth"]).env(&[&format!("{REPORTED}=v1.5.0")]);
    plugin.register(&api).status(204);
    let found = api.read("sys/plugins/catalog/auth/mock?version=v1.5.0").ok().data();
    assert_eq!(found["version"], "v1.5.0");
    server.expect_plugins(0);
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

/// Registers one plugin in two ways, enables both, and wants two processes.
fn not_together(first: &Plugin, second: &Plugin, server: &Server) {
    server.run(first, "first");
    server.run(second, "second");
    server.expect_plugins(2);
    assert_ne!(pid_of(&server.api(), "first"), pid_of(&server.api(), "second"));
    server.api().delete("sys/mounts/first").status(204);
    server.expect_plugins(1);
    assert_eq!(internal(&server.api(), "second"), "bar");
    server.api().delete("sys/mounts/second").status(204);
    server.expect_plugins(0);
}

#[test]
fn different_args_are_not_multiplexed_together() {
    let (server, plugin) = mock_server!("mux");
    not_together(
        &plugin.named("one"),
        &plugin.named("two").args(&["-serve=mux", "-type=secret"]),
        &server,
    );
}

#[test]
fn different_versions_are_not_multiplexed_together() {
    let (server, plugin) = mock_server!("mux");
    let api = server.api();
    for (version, mount) in [("v1.0.0", "first"), ("v1.0.1", "second")] {
        let plugin = plugin.version(version).env(&[&format!("{REPORTED}={version}")]);
        plugin.register(&api).status(204);
        plugin
            .enable_as(&api, mount, &Mount { version: version.into(), ..Mount::default() })
            .status(204);
    }
    server.expect_plugins(2);
    assert_ne!(pid_of(&api, "first"), pid_of(&api, "second"));
}

#[test]
fn different_env_is_not_multiplexed_together() {
    let (server, plugin) = mock_server!("mux");
    not_together(&plugin.named("one").env(&["A=1"]), &plugin.named("two").env(&["A=2"]), &server);
}

#[test]
fn different_types_are_not_multiplexed_together() {
    let (server, plugin) = mock_server!("mux");
    let api = server.api();
    server.run(&plugin, "mock");
    let auth = plugin.kind("auth").args(&["-type=auth"]);
    auth.register(&api).status(204);
    let enabled = auth.enable(&api, "mock");
    if enabled.succeeded() {
        server.expect_plugins(2);
    } else {
        // A server without external auth methods says so, and starts nothing for them.
        server.expect_plugins(1);
    }
}

#[test]
fn new_plugin_client_a_multiplexed_process_goes_with_its_last_mount() {
    let (server, plugin) = mock_server!("mux");
    let api = server.api();
    plugin.register(&api).status(204);
    for mount in ["a", "b", "c"] {
        plugin.enable(&api, mount).status(204);
    }
    let pid = pid_of(&api, "a");
    for mount in ["a", "b"] {
        api.delete(&format!("sys/mounts/{mount}")).status(204);
        assert_eq!(pid_of(&api, "c"), pid, "the process serves the mounts that are left");
    }
    api.delete("sys/mounts/c").status(204);
    server.expect_plugins(0);
    assert_eq!(process::sockets(&server.temporary()), Vec::<std::path::PathBuf>::new());
}

#[test]
fn new_plugin_client_mounts_that_race_share_one_process() {
    let (server, plugin) = mock_server!("mux");
    let api = server.api();
    plugin.register(&api).status(204);
    std::thread::scope(|scope| {
        for number in 0..6 {
            let (api, plugin) = (&api, &plugin);
            scope.spawn(move || plugin.enable(api, &format!("mock-{number}")).status(204));
        }
    });
    server.expect_plugins(1);
}

#[test]
fn new_plugin_client_a_plain_plugin_has_a_process_for_each_mount() {
    let (server, plugin) = mock_server!("plain");
    let api = server.api();
    plugin.register(&api).status(204);
    for (count, mount) in ["a", "b", "c"].into_iter().enumerate() {
        plugin.enable(&api, mount).status(204);
        server.expect_plugins(count + 1);
    }
    for (count, mount) in ["a", "b", "c"].into_iter().enumerate() {
        api.delete(&format!("sys/mounts/{mount}")).status(204);
        server.expect_plugins(2 - count);
    }
}

#[test]
fn list_handles_plugin_names_with_slashes() {
    let (server, plugin) = mock_server!("mux");
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

#[test]
fn a_plugin_that_is_killed_is_started_again_and_has_lost_nothing() {
    for serve in ["mux", "plain"] {
        let (server, plugin) = mock_server!(serve);
        let api = server.api();
        server.run(&plugin, "mock");
        api.write("mock/kv/key", &json!({"value": "kept"})).status(204);
        server.kill_plugins("mock/kv/key");
        assert_eq!(api.read("mock/kv/key").ok().string("value"), "kept");
        server.expect_plugins(1);
    }
}

#[test]
fn a_plugin_killed_in_the_midst_of_a_request_gives_an_error_and_then_works() {
    let (server, plugin) = mock_server!("mux");
    let api = server.api();
    server.run(&plugin, "mock");
    let answer = api.write("mock/errors/kill", &json!({}));
    assert!(!answer.succeeded(), "a dead plugin cannot have succeeded: {}", answer.text());
    if server.is_bao() {
        // OpenBao may hand on the transport's error until it has noticed the exit.
        wait_for("the plugin is back", || api.read("mock/internal").succeeded().then_some(()));
    }
    assert_eq!(internal(&api, "mock"), "bar");
    server.expect_plugins(1);
}

#[test]
fn transactions_of_the_go_sdk_commit_and_roll_back() {
    let (server, plugin) = mock_server!("mux");
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
    let (server, plugin) = mock_server!("mux");
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
    let (server, plugin) = mock_server!("mux");
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
    let (server, plugin) = mock_server!("mux");
    server.run(&plugin, "mock");
    let answer = server.api().read("mock/raw").status(200);
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    assert_eq!(answer.text(), "Response");
}

#[test]
fn a_path_that_the_plugin_opens_needs_no_token_and_others_do() {
    let (server, plugin) = mock_server!("mux");
    server.run(&plugin, "mock");
    assert_eq!(server.public().read("mock/special").ok().data()["data"], "foo");
    server.public().read("mock/internal").status(403);
}

#[test]
fn a_plugin_sees_query_values_and_never_the_token() {
    let (server, plugin) = mock_server!("mux");
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
    let (server, plugin) = mock_server!("mux");
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
    let (server, plugin) = mock_server!("mux");
    server.run(&plugin, "mock");
    let body = server.api().read("mock/warn").ok().json();
    assert_eq!(body["warnings"], json!(["a warning of the mock"]));
    assert_eq!(body["data"]["value"], "warned");
}

#[test]
fn a_large_answer_of_a_plugin_arrives_whole() {
    let (server, plugin) = mock_server!("mux");
    server.run(&plugin, "mock");
    // More than the four mebibytes that gRPC libraries allow by default.
    let size = 6 * 1024 * 1024;
    let data = server.api().read(&format!("mock/echo?size={size}")).ok().data();
    assert_eq!(data["text"].as_str().map(str::len), Some(size));
}

#[test]
fn a_line_on_stderr_becomes_a_line_of_the_servers_log() {
    let (server, plugin) = mock_server!("mux");
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

#[test]
fn the_server_takes_every_plugin_along_when_it_ends() {
    for hard in [false, true] {
        let Some(program) = tools::mock() else { return };
        let Some(mut server) =
            (Setup { storage: boltwork_e2e::Storage::Disk, ..Setup::default() }).start()
        else {
            return;
        };
        if hard && server.is_bao() {
            // A plugin of OpenBao's outlives a killed server: that is what we do better.
            return;
        }
        let plugin = server.install(&program, "mock").args(&["-serve=plain"]);
        plugin.register(&server.api()).status(204);
        for mount in ["a", "b"] {
            plugin.enable(&server.api(), mount).status(204);
        }
        server.expect_plugins(2);
        let plugins = server.plugins_running();
        if hard {
            server.kill9();
        } else {
            assert!(server.stop().success(), "SIGTERM is no failure");
        }
        for plugin in plugins {
            wait_for("the plugin is gone with its server", || {
                (!process::runs(plugin.pid)).then_some(())
            });
        }
        if !hard {
            assert_eq!(process::sockets(&server.temporary()), Vec::<std::path::PathBuf>::new());
        }
    }
}
