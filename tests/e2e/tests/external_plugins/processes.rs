//! Which mounts share a process, when it starts and when it ends.
//!
//! Left out on purpose: leaks over hundreds of cycles.

use crate::{Form, REPORTED, Sort, internal, pid_of, server_and_mock, set_internal};
use boltwork_e2e::{Mount, Plugin, Server, Setup, process, tools, wait_for};
use serde_json::json;

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
    let Some((server, plugin)) = server_and_mock(Form::Multiplexed, Sort::Secret) else { return };
    not_together(
        &plugin.named("one"),
        &plugin.named("two").args(&["-serve=mux", "-type=secret"]),
        &server,
    );
}

#[test]
fn different_versions_are_not_multiplexed_together() {
    let Some((server, plugin)) = server_and_mock(Form::Multiplexed, Sort::Secret) else { return };
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
    let Some((server, plugin)) = server_and_mock(Form::Multiplexed, Sort::Secret) else { return };
    not_together(&plugin.named("one").env(&["A=1"]), &plugin.named("two").env(&["A=2"]), &server);
}

#[test]
fn different_types_are_not_multiplexed_together() {
    let Some(program) = tools::mock() else { return };
    let Some(server) = Server::memory() else { return };
    let api = server.api();
    let plugin = server.install(&program, "mock");
    for sort in [Sort::Secret, Sort::Auth] {
        let plugin = sort.of(&plugin, Form::Multiplexed);
        plugin.register(&api).status(204);
        plugin.enable(&api, "mock").status(204);
    }
    server.expect_plugins(2);
    assert_ne!(pid_of(&api, "mock"), pid_of(&api, "auth/mock"));
    set_internal(&api, "mock", "changed");
    assert_eq!(internal(&api, "auth/mock"), "bar");
}

#[test]
fn new_plugin_client_a_multiplexed_process_goes_with_its_last_mount() {
    let Some((server, plugin)) = server_and_mock(Form::Multiplexed, Sort::Secret) else { return };
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
    let Some((server, plugin)) = server_and_mock(Form::Multiplexed, Sort::Secret) else { return };
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
    let Some((server, plugin)) = server_and_mock(Form::Plain, Sort::Secret) else { return };
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
fn a_plugin_that_is_killed_is_started_again_and_has_lost_nothing() {
    for form in [Form::Multiplexed, Form::Plain] {
        let Some((server, plugin)) = server_and_mock(form, Sort::Secret) else { return };
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
    let Some((server, plugin)) = server_and_mock(Form::Multiplexed, Sort::Secret) else { return };
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
