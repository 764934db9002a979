//! A server with hundreds of external mounts is unsealed: those that are well answer, whatever the
//! others do.
//!
//! Left out on purpose: how many processes are started at a time, which `plugin-host` tests.

use boltwork_e2e::{Api, Plugin, Server, Setup, tools, wait_for};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Mounts of one process.
const SHARED: usize = 300;
/// Mounts with a process each.
const PLAIN: usize = 20;
/// Mounts of each plugin that hangs, and plugins that hang with one mount each.
const HANGING: usize = 20;
/// What the server gives a plugin to start: longer than this test runs.
const START: Duration = Duration::from_secs(300);

/// Paths of mounts, by what is to become of them.
struct Mounts {
    healthy: Vec<String>,
    hanging: Vec<String>,
    /// With a part of the reason.
    broken: Vec<(String, &'static str)>,
}

/// Registers a plugin and enables it so many times.
fn enable(server: &Server, plugin: &Plugin, count: usize) -> Vec<String> {
    let api = server.api();
    plugin.register(&api).status(204);
    let paths = (0..count).map(|number| format!("{}-{number}", plugin.name));
    paths.inspect(|path| drop(plugin.enable(&api, path).status(204))).collect()
}

fn healthy(server: &Server) -> Vec<String> {
    let plain = server.install(&tools::misbehave(), "plain").args(&["serve", "--single"]);
    let shared = enable(server, &server.install(&tools::our_kv(), "shared"), SHARED);
    [shared, enable(server, &plain, PLAIN)].concat()
}

/// Of one program with a process for each mount, of one whose mounts share it, and of many programs,
/// as far as the server can know; before the handshake, and after it.
fn hanging(server: &Server, bad: &Path) -> Vec<String> {
    let flag = format!("--while={}", bad.display());
    let program = server.install(&tools::misbehave(), "hangs");
    let mode = |name: &str, args: &[&str]| program.named(name).args(&[&[&*flag], args].concat());
    let mut paths = enable(server, &mode("early", &["silent", "--single"]), HANGING);
    paths.extend(enable(server, &mode("single", &["hang:Setup", "--single"]), HANGING));
    paths.extend(enable(server, &mode("together", &["hang:Setup"]), HANGING));
    for number in 0..HANGING {
        paths.extend(enable(server, &mode(&format!("own{number}"), &["silent"]), 1));
    }
    paths
}

/// Everything is mounted while it is in order; what is to hang does as long as there is the file.
fn mount_all(server: &Server, bad: &Path) -> Mounts {
    std::thread::scope(|scope| {
        let healthy = scope.spawn(|| healthy(server));
        let hanging = scope.spawn(|| hanging(server, bad));
        let faults = [("altered", "checksums did not match"), ("gone", "no such file")];
        let broken = faults.into_iter().flat_map(|(name, reason)| {
            let plugin = server.install(&tools::our_kv(), name);
            enable(server, &plugin, 5).into_iter().map(move |path| (path, reason))
        });
        let broken = broken.collect();
        let joined = "a thread that only mounts";
        Mounts {
            healthy: healthy.join().expect(joined),
            hanging: hanging.join().expect(joined),
            broken,
        }
    })
}

/// State and reason of the mounts, as the server lists them.
fn state(status: &Value, path: &str) -> (String, String) {
    let point = format!("{path}/");
    let plugins = status["plugins"].as_array().expect("a list");
    let serves = |plugin: &&Value| {
        plugin["mounts"].as_array().is_some_and(|mounts| mounts.contains(&json!(point)))
    };
    let found = plugins.iter().find(serves).unwrap_or_else(|| panic!("{path} is not listed"));
    let text = |field: &str| found[field].as_str().expect("a text").to_owned();
    (text("state"), text("last_exit"))
}

/// Some clients at once ask all of these; how long the slowest waited.
fn all_answer(api: &Api, paths: &[String]) -> Duration {
    let asked = Instant::now();
    std::thread::scope(|scope| {
        for some in paths.chunks(paths.len().div_ceil(8)) {
            scope.spawn(move || {
                for path in some {
                    let key = if path.starts_with("plain") { "kv/key" } else { "key" };
                    api.write(&format!("{path}/{key}"), &json!({"value": path})).status(204);
                }
            });
        }
    });
    asked.elapsed()
}

#[test]
fn after_unsealing_hundreds_of_mounts_answer_while_others_hang_or_are_broken() {
    let lines = format!("plugin_start_timeout = \"{}s\"", START.as_secs());
    let setup = Setup { lines, log_level: "warn", ..Setup::default() };
    let Some(server) = setup.start() else { return };
    if server.is_bao() {
        return tools::skip("OpenBao starts one plugin after the other");
    }
    let bad = server.folder().join("bad");
    let mounts = mount_all(&server, &bad);
    server.seal();
    server.expect_plugins(0);

    fs::write(&bad, "").expect("the fault is switched on");
    let folder = server.plugin_folder();
    fs::remove_file(folder.join("gone")).expect("it was there");
    fs::remove_file(folder.join("altered")).expect("it was there");
    fs::copy(tools::our_approle(), folder.join("altered")).expect("another program");
    let begun = Instant::now();
    server.unseal();
    assert!(begun.elapsed() < Duration::from_secs(10), "unsealing took {:?}", begun.elapsed());
    let took = all_answer(&server.api(), &mounts.healthy);

    let api = server.api();
    let status = api.read("sys/plugins/status").ok().data();
    for path in &mounts.hanging {
        assert_eq!(state(&status, path).0, "starting", "{path}, although nobody waited for it");
    }
    assert!(took < Duration::from_secs(30), "the last of the healthy ones answered after {took:?}");
    for (path, reason) in &mounts.broken {
        let (found, why) = wait_for("a broken mount is given up", || {
            let status = api.read("sys/plugins/status").ok().data();
            Some(state(&status, path)).filter(|(state, _)| state != "starting")
        });
        assert!(found == "unavailable" && why.contains(*reason), "{path}: {found}: {why}");
        let listed = api.read("sys/mounts").ok().data();
        let listed = &listed[format!("{path}/")];
        assert_eq!(listed["state"], "unavailable");
        assert!(listed["state_reason"].as_str().is_some_and(|why| why.contains(*reason)));
        api.read(&format!("{path}/key")).refused(&[*reason]);
    }
    // Sealing waits for none of them either.
    server.seal();
    server.expect_plugins(0);
}
