//! Hundreds of cycles of everything that starts and ends plugins, and the counts return to where
//! they were: no child, zombie, descriptor, thread, file or socket is left.
//!
//! Left out on purpose: what a plugin does to get away (`misbehave.rs`).

use boltwork_e2e::{Holdings, Plugin, Server, Setup, Storage, process, tools, wait_for};
use serde_json::json;
use std::fs;

/// Cycles of what costs a few milliseconds.
const CHEAP: usize = 200;
/// Cycles that start a process or two.
const PROCESS: usize = 60;
/// Cycles that start a whole server, or wait for a restart's pause.
const DEAR: usize = 8;

fn ours(server: &Server) -> bool {
    if server.is_bao() {
        tools::skip("OpenBao leaks what failed after its handshake");
    }
    !server.is_bao()
}

/// The plugin of the cycles: small, quick to start, and with faults that can be switched on.
fn installed(server: &Server, mode: &str) -> (Plugin, std::path::PathBuf) {
    let switch = server.folder().join("fault");
    let flag = format!("--while={}", switch.display());
    (server.install(&tools::misbehave(), "quick").args(&[mode, &flag]), switch)
}

/// Runs cycles, and wants what the server holds to be what it was after the first of them: what
/// is made once and kept is no leak.
#[track_caller]
fn cycles(server: &Server, count: usize, mut cycle: impl FnMut(usize)) {
    cycle(0);
    let before = settled(server);
    for number in 1..=count {
        cycle(number);
    }
    before.are_back(server);
    server.is_well();
}

/// What is held once nothing changes any more.
fn settled(server: &Server) -> Holdings {
    let mut last = Holdings::of(server);
    wait_for("the server is quiet", || {
        std::thread::sleep(std::time::Duration::from_millis(200));
        let now = Holdings::of(server);
        let same = now == last;
        last = now;
        same.then_some(())
    });
    last
}

#[test]
fn registering_and_deregistering_leaves_nothing() {
    let Some(server) = Server::memory() else { return };
    if !ours(&server) {
        return;
    }
    let (plugin, _) = installed(&server, "serve");
    let api = server.api();
    cycles(&server, PROCESS, |_| {
        plugin.register(&api).status(204);
        plugin.deregister(&api).status(204);
    });
}

#[test]
fn registrations_that_fail_leave_nothing() {
    let Some(server) = Server::memory() else { return };
    if !ours(&server) {
        return;
    }
    let api = server.api();
    let (plugin, _) = installed(&server, "serve");
    let modes = ["usage", "exits", "chatty", "no-socket", "exit:Setup", "exit:Type", "aborts"];
    cycles(&server, PROCESS, |number| {
        let answer = plugin.args(&[modes[number % modes.len()]]).register(&api);
        assert!(!answer.succeeded(), "{}", answer.text());
    });
    // Refused before anything is started.
    let mut wrong = plugin;
    wrong.sha256 = "00".repeat(32);
    cycles(&server, CHEAP, |_| drop(wrong.register(&api).refused(&["checksums did not match"])));
}

#[test]
fn enabling_and_disabling_leaves_nothing() {
    let Some(server) = Server::memory() else { return };
    if !ours(&server) {
        return;
    }
    let (plugin, _) = installed(&server, "serve");
    let api = server.api();
    plugin.register(&api).status(204);
    cycles(&server, PROCESS, |_| {
        plugin.enable(&api, "quick").status(204);
        api.write("quick/kv/key", &json!({"value": "x"})).status(204);
        api.delete("sys/mounts/quick").status(204);
    });
    // Joining and leaving a process that another mount keeps.
    plugin.enable(&api, "stays").status(204);
    cycles(&server, CHEAP, |_| {
        plugin.enable(&api, "quick").status(204);
        api.read("quick/process").ok();
        api.delete("sys/mounts/quick").status(204);
    });
}

#[test]
fn enabling_that_fails_leaves_nothing() {
    for mode in ["exits", "exit:Setup", "exit:Type"] {
        let Some(server) = Server::memory() else { return };
        if !ours(&server) {
            return;
        }
        let (plugin, switch) = installed(&server, mode);
        let api = server.api();
        plugin.register(&api).status(204);
        fs::write(&switch, "").expect("the fault is switched on");
        cycles(&server, PROCESS / 2, |_| {
            let answer = plugin.enable(&api, "quick");
            assert!(!answer.succeeded(), "{}", answer.text());
            assert!(answer.errors().contains("quick"), "{}", answer.errors());
        });
    }
}

#[test]
fn reloading_leaves_nothing() {
    let Some(server) = Server::memory() else { return };
    if !ours(&server) {
        return;
    }
    let (plugin, switch) = installed(&server, "exit:Setup");
    let api = server.api();
    plugin.register(&api).status(204);
    for mount in ["one", "two", "three"] {
        plugin.enable(&api, mount).status(204);
    }
    cycles(&server, PROCESS / 2, |number| {
        let body = match number % 2 {
            0 => json!({"plugin": "quick"}),
            _ => json!({"mounts": ["one", "three"]}),
        };
        api.write("sys/plugins/reload/backend", &body).ok();
        api.read("two/process").ok();
    });
    // The new one does not come up, the old ones go on.
    fs::write(&switch, "").expect("the fault is switched on");
    cycles(&server, PROCESS / 4, |_| {
        let answer = api.write("sys/plugins/reload/backend", &json!({"mounts": ["one"]}));
        assert!(!answer.succeeded(), "{}", answer.text());
        api.read("one/process").ok();
    });
}

#[test]
fn killing_a_plugin_and_bringing_it_back_leaves_nothing() {
    let Some(server) = Server::memory() else { return };
    if !ours(&server) {
        return;
    }
    let (plugin, _) = installed(&server, "serve");
    let api = server.api();
    plugin.register(&api).status(204);
    cycles(&server, PROCESS / 2, |_| {
        // Mounted anew, for a mount whose plugin died five times has it started after pauses.
        plugin.enable(&api, "quick").status(204);
        for _ in 0..4 {
            let pid = api.read("quick/process").ok().data()["pid"].as_u64().expect("a number");
            process::kill9(u32::try_from(pid).expect("a process's number"));
            wait_for("the plugin is back", || {
                let now = api.read("quick/process");
                (now.succeeded() && now.data()["pid"] != pid).then_some(())
            });
        }
        api.delete("sys/mounts/quick").status(204);
    });
}

#[test]
fn sealing_and_unsealing_leaves_nothing() {
    let Some(server) = Server::memory() else { return };
    if !ours(&server) {
        return;
    }
    let (plugin, _) = installed(&server, "serve");
    let single = server.install(&tools::misbehave(), "single").args(&["serve", "--single"]);
    server.run(&plugin, "one");
    plugin.enable(&server.api(), "two").status(204);
    server.run(&single, "alone");
    server.api().write("sys/mounts/kv", &json!({"type": "kv"})).status(204);
    cycles(&server, PROCESS / 2, |number| {
        // Also while plugins are still starting.
        if number % 2 == 0 {
            for mount in ["one", "two", "alone"] {
                server.api().read(&format!("{mount}/process")).ok();
            }
        }
        server.seal();
        // `sys/seal` answers before the plugins have ended: it is a request itself.
        wait_for("nothing runs while sealed", || {
            process::descendants(server.pid()).is_empty().then_some(())
        });
        server.unseal();
        if number % 2 == 1 {
            return;
        }
        for mount in ["one", "two", "alone"] {
            server.api().read(&format!("{mount}/process")).ok();
        }
    });
    server.seal();
    wait_for("no socket is left while sealed", || {
        process::sockets(&server.temporary()).is_empty().then_some(())
    });
    server.unseal();
}

#[test]
fn stopping_and_killing_the_server_leaves_nothing() {
    let Some(mut server) = (Setup { storage: Storage::Disk, ..Setup::default() }).start() else {
        return;
    };
    if !ours(&server) {
        return;
    }
    let (plugin, _) = installed(&server, "serve");
    server.run(&plugin, "one");
    let single = server.install(&tools::misbehave(), "single").args(&["serve", "--single"]);
    server.run(&single, "alone");
    let mark = format!("{}/", server.temporary().display());
    let folders = |server: &Server| {
        let names = fs::read_dir(server.temporary()).expect("the folder").flatten();
        names.count()
    };
    for number in 0..DEAR {
        server.api().read("one/process").ok();
        server.api().read("alone/process").ok();
        if number % 2 == 0 {
            assert!(server.stop().success());
            assert_eq!(folders(&server), 0, "a server that stops leaves no folder");
        } else {
            server.kill9();
        }
        wait_for("no plugin outlives its server", || {
            process::with_environment(&mark).is_empty().then_some(())
        });
        server.restart();
        assert_eq!(folders(&server), 1, "what a killed server left is removed");
    }
    server.expect_plugins(2);
}
