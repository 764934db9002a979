//! Programs that are no plugins, or bad ones: each is refused with its reason, the server stays
//! well, and neither a process nor a socket is left.
//!
//! Left out on purpose: plugins that misbehave later, while they run (see `external_plugins`
//! and `durability.rs`).

use boltwork_e2e::{Kind, Plugin, PluginFolder, Server, Setup, altered, process, tools, wait_for};
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Wants the plugin refused with one of these texts, and nothing left of it.
#[track_caller]
fn refused(server: &Server, plugin: &Plugin, one_of: &[&str]) {
    let answer = plugin.refusal(&server.api(), "bad").refused(one_of);
    assert!((400..=599).contains(&answer.status));
    leaves_nothing(server);
    server.api().read("bad/anything").status(404);
}

#[track_caller]
fn leaves_nothing(server: &Server) {
    server.is_well();
    if server.is_bao() {
        // OpenBao leaks what failed after its handshake.
        return;
    }
    server.expect_plugins(0);
    wait_for("no socket is left", || {
        process::sockets(&server.temporary()).is_empty().then_some(())
    });
}

#[track_caller]
fn misbehaving_is_refused(mode: &str, one_of: &[&str]) {
    let Some(server) = Server::memory() else { return };
    let plugin = server.install(&tools::misbehave(), "bad").args(&[mode]);
    refused(&server, &plugin, one_of);
}

#[track_caller]
fn faulty_go_is_refused(fault: &str, one_of: &[&str]) {
    let Some(program) = tools::mock() else { return };
    let Some(server) = Server::memory() else { return };
    let plugin = server.install(&program, "bad").args(&[&format!("-fault={fault}")]);
    refused(&server, &plugin, one_of);
}

#[test]
fn a_wrong_checksum_is_refused() {
    let Some(server) = Server::memory() else { return };
    let mut plugin = server.install(&tools::our_kv(), "bad");
    plugin.sha256 = "00".repeat(32);
    refused(&server, &plugin, &["checksums did not match"]);
}

#[test]
fn a_program_changed_after_its_registration_does_not_run() {
    let Some(server) = Server::memory() else { return };
    let api = server.api();
    let plugin = server.install(&tools::our_kv(), "changed");
    plugin.register(&api).status(204);
    altered(&server, &tools::our_kv(), "changed", |bytes| bytes.push(0));
    plugin.enable(&api, "changed").refused(&["checksums did not match"]);
    leaves_nothing(&server);
}

#[test]
fn a_program_for_another_machine_is_refused() {
    let Some(server) = Server::memory() else { return };
    // Bytes 18 and 19 of an ELF file name the machine; 0xf7 is BPF, which runs no program.
    let plugin = altered(&server, &tools::misbehave(), "bad", |bytes| bytes[18] = 0xf7);
    refused(&server, &plugin, &["exec format error", "architecture", "machine"]);
}

#[test]
fn a_text_without_an_interpreter_is_refused() {
    let Some(server) = Server::memory() else { return };
    let plugin = altered(&server, &tools::misbehave(), "bad", |bytes| {
        *bytes = b"just some words\n".to_vec()
    });
    refused(&server, &plugin, &["exec format error", "not an elf", "no elf", "not a program"]);
}

#[test]
fn an_empty_file_is_refused() {
    let Some(server) = Server::memory() else { return };
    let plugin = altered(&server, &tools::misbehave(), "bad", Vec::clear);
    refused(
        &server,
        &plugin,
        &["exec format error", "not an elf", "no elf", "empty", "unexpected end", "not a program"],
    );
}

#[test]
fn a_program_that_may_not_be_executed_is_refused() {
    let Some(server) = Server::memory() else { return };
    let plugin = server.install(&tools::our_kv(), "bad");
    let file = server.plugin_folder().join("bad");
    fs::set_permissions(file, fs::Permissions::from_mode(0o644)).expect("permissions can be set");
    refused(&server, &plugin, &["permission denied", "not executable", "execut"]);
}

#[test]
fn a_program_that_was_not_made_to_be_a_plugin_is_refused() {
    misbehaving_is_refused(
        "usage",
        &["Unrecognized remote plugin message", "handshake", "plugin exited"],
    );
}

#[test]
fn a_program_that_prints_before_its_handshake_is_refused() {
    misbehaving_is_refused("chatty", &["Unrecognized remote plugin message"]);
}

#[test]
fn a_program_that_exits_is_refused() {
    misbehaving_is_refused("exits", &["plugin exited", "Unrecognized remote plugin message"]);
}

#[test]
fn what_a_program_said_before_it_exited_reaches_the_operator() {
    let Some(server) = Server::memory() else { return };
    let plugin = server.install(&tools::misbehave(), "bad").args(&["exits"]);
    let answer = plugin.refusal(&server.api(), "bad");
    let said = "cannot find the file that I was told to read";
    let told = answer.errors().contains(said)
        || wait_for("the log is written", || server.log().contains(said).then_some(true));
    assert!(told);
    if !server.is_bao() {
        assert!(
            answer.errors().contains(said),
            "the last lines of stderr are in the error: {}",
            answer.errors()
        );
    }
}

#[test]
fn a_program_that_dies_of_a_signal_is_refused() {
    misbehaving_is_refused(
        "aborts",
        &["plugin exited", "signal", "Unrecognized remote plugin message"],
    );
}

#[test]
fn a_program_that_closes_its_stdout_is_refused() {
    misbehaving_is_refused(
        "closes-stdout",
        &["Unrecognized remote plugin message", "closed", "handshake", "timeout"],
    );
}

#[test]
fn a_program_that_prints_without_end_is_refused() {
    let Some(server) = Server::memory() else { return };
    if server.is_bao() {
        // OpenBao reads the line into memory until it has no more.
        return tools::skip("OpenBao has no bound on the handshake's length");
    }
    let plugin = server.install(&tools::misbehave(), "bad").args(&["endless"]);
    refused(&server, &plugin, &["Unrecognized remote plugin message", "handshake", "too long"]);
    let resident = process::resident(server.pid());
    assert!(resident < 200 * 1024 * 1024, "the server holds {resident} bytes");
}

#[test]
fn a_program_of_another_core_protocol_is_refused() {
    misbehaving_is_refused("core-2", &["incompatible core API version with plugin"]);
}

#[test]
fn a_program_of_another_app_protocol_is_refused() {
    misbehaving_is_refused("protocol-9", &["incompatible API version with plugin"]);
}

#[test]
fn a_program_that_speaks_net_rpc_is_refused() {
    misbehaving_is_refused("netrpc", &["unsupported plugin protocol \"netrpc\""]);
}

#[test]
fn a_program_on_an_unknown_kind_of_network_is_refused() {
    misbehaving_is_refused("network", &["unknown address type"]);
}

#[test]
fn a_program_whose_versions_are_no_numbers_is_refused() {
    misbehaving_is_refused("numbers", &["error parsing core protocol version"]);
}

#[test]
fn a_program_whose_certificate_is_none_is_refused() {
    misbehaving_is_refused("certificate", &["certificate", "base64"]);
}

#[test]
fn a_program_that_announces_a_socket_which_is_not_there_is_refused() {
    misbehaving_is_refused("no-socket", &["no such file or directory"]);
}

#[test]
fn a_program_that_never_speaks_does_not_hold_up_anyone_else() {
    let Some(server) = Server::memory() else { return };
    if server.is_bao() {
        return tools::skip("OpenBao tries the silent program four times, a minute each");
    }
    let (api, started) = (server.api(), Instant::now());
    let plugin = server.install(&tools::misbehave(), "bad").args(&["silent"]);
    api.write("sys/mounts/kv", &json!({"type": "kv"})).status(204);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| plugin.refusal(&api, "bad"));
        wait_for("the silent program runs", || {
            (!server.plugins_running().is_empty()).then_some(())
        });
        for number in 0..20 {
            let asked = Instant::now();
            api.write(&format!("kv/key{number}"), &json!({"v": number})).status(204);
            api.read("sys/mounts").status(200);
            assert!(asked.elapsed() < Duration::from_secs(5), "others wait for the silent plugin");
        }
        assert!(
            !waiting.is_finished(),
            "the silent program was given up after {:?}",
            started.elapsed()
        );
        waiting
            .join()
            .expect("a thread that only asks")
            .refused(&["timeout while waiting for plugin to start"]);
    });
    leaves_nothing(&server);
}

#[test]
fn a_program_that_accepts_and_never_speaks_is_refused() {
    let Some(server) = Server::memory() else { return };
    if server.is_bao() {
        return tools::skip("OpenBao waits for the mute plugin for ever");
    }
    let plugin = server.install(&tools::misbehave(), "bad").args(&["mute-socket"]);
    refused(&server, &plugin, &["tls", "timeout", "timed out", "connect", "certificate"]);
}

#[test]
fn a_plugin_without_the_backend_service_is_refused() {
    faulty_go_is_refused(
        "no-backend",
        &["Unimplemented", "unknown service pb.Backend", "does not serve"],
    );
}

#[test]
fn a_plugin_that_reports_no_type_is_refused() {
    faulty_go_is_refused("unknown-type", &["unknown backend type", "type"]);
}

#[test]
fn an_auth_method_registered_as_a_secrets_engine_is_refused() {
    let Some(program) = tools::mock() else { return };
    let Some(server) = Server::memory() else { return };
    let plugin = server.install(&program, "bad").args(&["-type=auth"]);
    refused(&server, &plugin, &["unknown backend type", "type"]);
}

#[test]
fn a_plugin_that_refuses_its_setup_is_refused_with_its_words() {
    faulty_go_is_refused("setup-fails", &["the mock refuses to be set up"]);
}

#[test]
fn a_plugin_that_exits_in_its_setup_is_refused() {
    faulty_go_is_refused("setup-exits", &["plugin is shut down", "Unavailable", "exited", "EOF"]);
}

#[test]
fn a_plugin_that_cannot_be_initialized_says_why() {
    let Some(program) = tools::mock() else { return };
    let Some(server) = Server::memory() else { return };
    let plugin = server.install(&program, "bad").args(&["-fault=init-fails"]);
    plugin.refusal(&server.api(), "bad").refused(&["the mock refuses to be initialized"]);
    server.is_well();
}

#[test]
fn a_plugin_that_sleeps_in_its_cleanup_is_stopped_all_the_same() {
    let Some(program) = tools::mock() else { return };
    let Some(server) = Server::memory() else { return };
    if server.is_bao() {
        return tools::skip("OpenBao waits for the cleanup without a limit");
    }
    let api = server.api();
    let plugin = server.install(&program, "slow").args(&["-fault=slow-cleanup"]);
    server.run(&plugin, "slow");
    let asked = Instant::now();
    api.delete("sys/mounts/slow").status(204);
    server.expect_plugins(0);
    assert!(asked.elapsed() < Duration::from_secs(45), "it took {:?}", asked.elapsed());
    leaves_nothing(&server);
}

#[test]
fn sealing_does_not_wait_for_a_plugin_that_sleeps_in_its_cleanup() {
    let Some(program) = tools::mock() else { return };
    let Some(server) = Server::memory() else { return };
    if server.is_bao() {
        return tools::skip("OpenBao waits for the cleanup without a limit");
    }
    let plugin = server.install(&program, "slow").args(&["-fault=slow-cleanup"]);
    server.run(&plugin, "slow");
    let asked = Instant::now();
    server.seal();
    server.expect_plugins(0);
    assert!(asked.elapsed() < Duration::from_secs(45), "it took {:?}", asked.elapsed());
    server.unseal();
}

#[test]
fn a_stopped_plugin_process_does_not_keep_the_server_from_sealing() {
    let Some(program) = tools::mock() else { return };
    let Some(server) = Server::memory() else { return };
    if server.is_bao() {
        return tools::skip("OpenBao waits for the cleanup without a limit");
    }
    let plugin = server.install(&program, "mock");
    server.run(&plugin, "mock");
    for child in server.plugins_running() {
        process::stop(child.pid);
    }
    server.seal();
    server.expect_plugins(0);
    server.unseal();
    assert_eq!(server.api().read("mock/internal").ok().string("value"), "bar");
}

fn cannot_start_at_unseal(fault: &str) {
    let Some(program) = tools::mock() else { return };
    let Some(server) = Server::memory() else { return };
    let api = server.api();
    // The program stays what it was registered as; what it does is in a file.
    let switch = server.folder().join("fault");
    let plugin =
        server.install(&program, "mock").args(&[&format!("-fault-file={}", switch.display())]);
    server.run(&plugin, "mock");
    api.write("mock/kv/key", &json!({"value": "kept"})).status(204);
    api.write("sys/mounts/other", &json!({"type": "kv"})).status(204);
    fs::write(&switch, fault).expect("the fault is written");
    server.seal();
    let asked = Instant::now();
    server.unseal();
    assert!(asked.elapsed() < Duration::from_secs(10), "unsealing took {:?}", asked.elapsed());
    api.write("other/key", &json!({"v": 1})).status(204);
    assert_eq!(api.read("sys/mounts").ok().data()["mock/"]["type"], "mock", "it is listed");
    let answer = api.read("mock/kv/key");
    assert!(!answer.succeeded(), "{}", answer.text());
    if !server.is_bao() {
        assert!(answer.status >= 500, "{} is not the client's fault", answer.status);
        assert!(
            answer.errors().contains("mock"),
            "the reason names the plugin: {}",
            answer.errors()
        );
    }
    fs::remove_file(&switch).expect("the fault is taken away");
    api.write("sys/plugins/reload/backend", &json!({"mounts": ["mock"]})).status(200);
    assert_eq!(api.read("mock/kv/key").ok().string("value"), "kept");
    server.expect_plugins(1);
    server.is_well();
}

#[test]
fn a_plugin_that_exits_at_unseal_does_not_keep_the_server_sealed() {
    cannot_start_at_unseal("exits");
}

#[test]
fn a_plugin_that_prints_at_unseal_does_not_keep_the_server_sealed() {
    cannot_start_at_unseal("chatty");
}

#[test]
fn a_plugin_that_is_silent_at_unseal_does_not_keep_the_server_sealed() {
    if Kind::under_test() == Kind::Bao {
        return tools::skip("OpenBao unseals only when the plugin has been given up");
    }
    cannot_start_at_unseal("silent");
}

#[test]
fn a_plugin_whose_setup_fails_at_unseal_does_not_keep_the_server_sealed() {
    if Kind::under_test() == Kind::Bao {
        return tools::skip("OpenBao keeps the process whose setup failed, and asks it again");
    }
    cannot_start_at_unseal("setup-fails");
}

#[test]
fn a_plugin_whose_setup_hangs_at_unseal_does_not_keep_the_server_sealed() {
    if Kind::under_test() == Kind::Bao {
        return tools::skip("OpenBao waits for the setup without a limit");
    }
    cannot_start_at_unseal("setup-hangs");
}

#[test]
fn a_mount_whose_plugin_cannot_start_can_be_unmounted() {
    let Some(program) = tools::mock() else { return };
    let Some(server) = Server::memory() else { return };
    if server.is_bao() {
        return tools::skip("whether OpenBao can unmount it depends on its data");
    }
    let plugin = server.install(&program, "mock");
    server.run(&plugin, "mock");
    server.api().write("mock/kv/key", &json!({"value": "kept"})).status(204);
    fs::remove_file(server.plugin_folder().join("mock")).expect("the plugin was there");
    server.seal_and_unseal();
    server.api().delete("sys/mounts/mock").status(204);
    server.api().read("mock/kv/key").status(404);
    assert!(server.api().read("sys/mounts").ok().data().get("mock/").is_none());
}

fn with_folder(plugins: PluginFolder) -> Option<Server> {
    Setup { plugins, ..Setup::default() }.start()
}

fn made_up(command: &str) -> Plugin {
    Plugin {
        name: "bad".into(),
        kind: "secret".into(),
        command: command.into(),
        sha256: "00".repeat(32),
        version: String::new(),
        args: Vec::new(),
        env: Vec::new(),
    }
}

#[test]
fn without_a_plugin_directory_nothing_is_registered() {
    let Some(server) = with_folder(PluginFolder::Absent) else { return };
    made_up("kv")
        .register(&server.api())
        .refused(&["could not set plugin, plugin directory is not configured"]);
}

#[test]
fn a_plugin_directory_that_is_missing_is_named() {
    if Kind::under_test() == Kind::Bao {
        return tools::skip("OpenBao does not start without its plugin directory");
    }
    let Some(server) = with_folder(PluginFolder::Missing) else { return };
    made_up("kv").register(&server.api()).refused(&["no such file or directory"]);
    server.is_well();
}

#[test]
fn a_plugin_directory_that_is_a_symbolic_link_is_refused() {
    let Some(server) = with_folder(PluginFolder::Linked) else { return };
    let plugin = server.install(&tools::our_kv(), "kv-external");
    plugin
        .register(&server.api())
        .refused(&["cannot execute files outside of configured plugin directory"]);
}

#[test]
fn a_command_outside_the_plugin_directory_is_refused() {
    let Some(server) = Server::memory() else { return };
    let api = server.api();
    let outside: PathBuf = server.folder().join("outside");
    fs::copy(tools::our_kv(), &outside).expect("a copy");
    let dots = api.write(
        "sys/plugins/catalog/secret/bad",
        &json!({"sha256": "00".repeat(32), "command": "../outside"}),
    );
    dots.refused(&["path cannot contain parent references"]);
    std::os::unix::fs::symlink(&outside, server.plugin_folder().join("link")).expect("a link");
    made_up("link")
        .register(&api)
        .refused(&["cannot execute files outside of configured plugin directory"]);
    fs::create_dir(server.plugin_folder().join("below")).expect("a folder");
    fs::copy(tools::our_kv(), server.plugin_folder().join("below/kv")).expect("a copy");
    made_up("below/kv")
        .register(&api)
        .refused(&["cannot execute files outside of configured plugin directory"]);
    made_up("/bin/sh")
        .register(&api)
        .refused(&["no such file or directory", "cannot execute files outside"]);
}

#[test]
fn a_flood_of_bad_registrations_leaves_nothing() {
    let Some(server) = Server::memory() else { return };
    let plugin = server.install(&tools::misbehave(), "bad");
    let before = process::descriptors(server.pid());
    for round in 0..3 {
        for mode in ["usage", "exits", "chatty", "protocol-9", "no-socket", "certificate"] {
            let answer = plugin.args(&[mode]).refusal(&server.api(), "bad");
            assert!(!answer.succeeded(), "round {round}, {mode}");
        }
    }
    leaves_nothing(&server);
    if !server.is_bao() {
        let after = wait_for("descriptors are closed", || {
            let now = process::descriptors(server.pid());
            (now <= before + 4).then_some(now)
        });
        assert!(after <= before + 4, "{before} descriptors before, {after} after");
    }
}
