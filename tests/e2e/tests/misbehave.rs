//! Plugins that were built to hurt their host: each hurts its own mount, is named with the reason,
//! and leaves nothing; a built-in mount and another plugin's go on as fast as before.
//!
//! Left out on purpose: programs that are no plugins at all (`bad_plugins.rs`), and counting over
//! many cycles (`leaks.rs`).

use boltwork_e2e::{Answer, Api, Holdings, Plugin, Server, Setup, process, tools, wait_for};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long plugins may take to start here; hanging ones are given up then.
const START: u64 = 10;
/// Requests whose median is compared.
const SAMPLES: usize = 60;
/// How many times slower the others may be while one misbehaves. Two cores run the tests, the server,
/// and whoever floods; a server that waits for the bad plugin is off by thousands.
const SLOWER: u32 = 25;

fn start(lines: &str) -> Option<Server> {
    let server = Setup { lines: lines.to_owned(), ..Setup::default() }.start()?;
    if server.is_bao() {
        tools::skip("what these plugins do to OpenBao is not asked here");
        return None;
    }
    Some(server)
}

/// A server with a bad plugin at `bad`, and two mounts that are to go on.
struct Scene {
    server: Server,
    api: Api,
    /// The fault is there while this file is.
    switch: PathBuf,
    before: Holdings,
}

impl Scene {
    /// With `misbehave` in this mode, which is off until [`Scene::go_bad`].
    fn new(mode: &str) -> Option<Self> {
        Self::with(mode, &format!("plugin_start_timeout = \"{START}s\""))
    }

    fn with(mode: &str, lines: &str) -> Option<Self> {
        let server = start(lines)?;
        let api = server.api();
        api.write("sys/mounts/kv", &json!({"type": "kv"})).status(204);
        let good = server.install(&tools::our_kv(), "good");
        server.run(&good, "good");
        for mount in ["kv", "good"] {
            api.write(&format!("{mount}/key"), &json!({"value": mount})).status(204);
        }
        let before = Holdings::of(&server);
        let switch = server.folder().join("fault");
        let flag = format!("--while={}", switch.display());
        let bad = server.install(&tools::misbehave(), "bad").args(&[mode, &flag]);
        server.run(&bad, "bad");
        api.write("bad/kv/key", &json!({"value": "kept"})).status(204);
        Some(Self { server, api, switch, before })
    }

    fn go_bad(&self) {
        fs::write(&self.switch, "").expect("the fault is switched on");
    }

    fn go_good(&self) {
        fs::remove_file(&self.switch).expect("the fault is switched off");
    }

    fn bad_pid(&self) -> u32 {
        let pid = self.api.read("bad/process").ok().data()["pid"].as_u64().expect("a number");
        u32::try_from(pid).expect("a process's number")
    }

    /// The median time of a read of each of the other mounts.
    fn pace(&self) -> [Duration; 2] {
        ["kv", "good"].map(|mount| {
            let path = format!("{mount}/key");
            let mut times: Vec<Duration> = (0..SAMPLES)
                .map(|_| {
                    let asked = Instant::now();
                    assert_eq!(self.api.read(&path).ok().string("value"), mount);
                    asked.elapsed()
                })
                .collect();
            times.sort();
            times[SAMPLES / 2]
        })
    }

    /// Does something bad, and compares how the others do meanwhile.
    fn others_go_on(&self, bad: impl FnOnce(&Self)) {
        let quiet = self.pace();
        bad(self);
        let meanwhile = self.pace();
        for (mount, (quiet, meanwhile)) in ["kv", "good"].iter().zip(quiet.iter().zip(&meanwhile)) {
            assert!(
                *meanwhile < *quiet * SLOWER,
                "{mount} answered in {quiet:?}, and in {meanwhile:?} while its neighbour misbehaves"
            );
        }
    }

    /// A request to the bad mount fails, and says which plugin and why.
    #[track_caller]
    fn blamed(&self, answer: &Answer, reason: &[&str]) {
        assert!(answer.status >= 500, "{}: {}", answer.status, answer.text());
        let said = answer.errors();
        assert!(said.contains("bad"), "the plugin is not named: {said}");
        assert!(reason.iter().any(|reason| said.contains(reason)), "not one of {reason:?}: {said}");
    }

    /// The bad plugin can be got rid of, and then there is what was there before.
    fn clean_up(&self) {
        self.api.delete("sys/mounts/bad").status(204);
        self.before.are_back(&self.server);
        self.server.is_well();
        for mount in ["kv", "good"] {
            assert_eq!(self.api.read(&format!("{mount}/key")).ok().string("value"), mount);
        }
    }
}

#[test]
fn a_plugin_that_hangs_or_exits_in_a_call_of_its_start_is_refused_with_the_calls_name() {
    let Some(server) = start(&format!("plugin_start_timeout = \"{START}s\"")) else { return };
    let before = Holdings::of(&server);
    // Refused when they are registered. All at once: a hanging one keeps nobody waiting.
    let calls = ["MultiplexingSupport", "Setup", "Type", "SpecialPaths", "Version"];
    let modes = calls.iter().flat_map(|call| ["hang", "exit"].map(|how| (how, *call)));
    std::thread::scope(|scope| {
        for (how, call) in modes {
            let (api, name) = (server.api(), format!("{how}-{}", call.to_lowercase()));
            let mode = format!("{how}:{call}");
            let plugin = server.install(&tools::misbehave(), &name).args(&[&mode]);
            scope.spawn(move || {
                let said = plugin.register(&api).refused(&["timeout", "exited"]).errors();
                assert!(said.contains(&name), "{mode}: the plugin is not named: {said}");
                // Asking its type and version is part of setting it up.
                let named = said.contains(call) || (how == "hang" && said.contains("Setup"));
                assert!(named, "{mode}: the call is not named: {said}");
            });
        }
    });
    before.are_back(&server);
    server.is_well();
}

#[test]
fn a_plugin_that_hangs_or_exits_in_its_initialization_is_not_mounted_and_leaves_nothing() {
    let Some(server) = start(&format!("plugin_start_timeout = \"{START}s\"")) else { return };
    let before = Holdings::of(&server);
    for how in ["hang", "exit"] {
        let name = format!("{how}s-bad");
        let mode = format!("{how}:Initialize");
        let plugin = server.install(&tools::misbehave(), &name).args(&[&mode]);
        plugin.register(&server.api()).status(204);
        let said = plugin.enable(&server.api(), "bad").refused(&["Initialize", "exited"]).errors();
        assert!(said.contains(&name), "{said}");
        server.api().delete("sys/mounts/bad");
    }
    before.are_back(&server);
    server.is_well();
}

#[test]
fn a_request_that_hangs_is_given_up_and_holds_up_nobody() {
    let Some(scene) = Scene::with("hang:HandleRequest", "default_max_request_duration = \"4s\"")
    else {
        return;
    };
    scene.go_bad();
    std::thread::scope(|scope| {
        let hanging: Vec<_> = (0..40)
            .map(|_| {
                let api = scene.api.clone();
                scope.spawn(move || api.read("bad/kv/key"))
            })
            .collect();
        scene.others_go_on(|_| {});
        for one in hanging {
            let answer = one.join().expect("a thread that only asks");
            assert!(!answer.succeeded(), "{}", answer.text());
        }
    });
    scene.go_good();
    assert_eq!(scene.api.read("bad/kv/key").ok().string("value"), "kept");
    scene.clean_up();
}

#[test]
fn an_existence_check_that_hangs_is_given_up_and_holds_up_nobody() {
    let Some(scene) =
        Scene::with("hang:HandleExistenceCheck", "default_max_request_duration = \"4s\"")
    else {
        return;
    };
    scene.go_bad();
    scene.others_go_on(|scene| {
        let answer = scene.api.write("bad/kv/key", &json!({"value": "new"}));
        assert!(!answer.succeeded(), "{}", answer.text());
    });
    scene.go_good();
    assert_eq!(scene.api.read("bad/kv/key").ok().string("value"), "kept");
    scene.clean_up();
}

#[test]
fn a_plugin_that_exits_inside_a_call_fails_that_request_and_comes_back() {
    for call in ["HandleRequest", "HandleExistenceCheck"] {
        let Some(scene) = Scene::new(&format!("exit:{call}")) else { return };
        scene.go_bad();
        scene.others_go_on(|scene| {
            let answer = scene.api.write("bad/kv/key", &json!({"value": "new"}));
            scene.blamed(&answer, &["exited", "exits again and again"]);
        });
        scene.go_good();
        let back = wait_for("the plugin is back", || {
            Some(scene.api.read("bad/kv/key")).filter(Answer::succeeded)
        });
        assert_eq!(back.string("value"), "kept");
        scene.clean_up();
    }
}

#[test]
fn a_plugin_that_hangs_or_exits_when_it_is_to_end_is_ended_all_the_same() {
    for mode in ["hang:Cleanup", "exit:Cleanup", "hang:Shutdown"] {
        let Some(scene) = Scene::new(mode) else { return };
        scene.go_bad();
        let asked = Instant::now();
        scene.clean_up();
        assert!(asked.elapsed() < Duration::from_secs(60), "{mode}: {:?}", asked.elapsed());
    }
}

#[test]
fn a_plugin_that_ignores_signals_is_ended_all_the_same() {
    let Some(scene) = Scene::new("hang:Shutdown") else { return };
    scene.api.read("bad/deaf").ok();
    let pid = scene.bad_pid();
    process::terminate(pid);
    assert_eq!(scene.bad_pid(), pid, "it is deaf");
    scene.go_bad();
    scene.clean_up();
    assert!(!process::runs(pid));
}

#[test]
fn a_plugin_that_floods_its_host_with_output_slows_down_nobody_but_itself() {
    for stream in ["stderr", "stdout", "stdio"] {
        let Some(scene) = Scene::new("serve") else { return };
        scene.others_go_on(|scene| {
            scene.api.read(&format!("bad/flood/{stream}")).ok();
        });
        // It answers itself, for nothing that it writes is waited for.
        assert_eq!(scene.api.read("bad/kv/key").ok().string("value"), "kept");
        let log = scene.server.log().len();
        assert!(log < 64 << 20, "{stream}: the log has {log} bytes");
        let resident = process::resident(scene.server.pid());
        assert!(resident < 400 << 20, "{stream}: the server holds {resident} bytes");
        scene.clean_up();
    }
}

#[test]
fn what_a_flood_drowned_is_counted_in_the_log() {
    let Some(scene) = Scene::new("serve") else { return };
    scene.api.read("bad/flood/stderr").ok();
    wait_for("the log says that lines were dropped", || {
        scene.server.log().contains("lines of its output were dropped").then_some(())
    });
    scene.clean_up();
}

#[test]
fn a_plugin_that_floods_before_its_handshake_is_given_up() {
    let Some(server) = start("plugin_start_timeout = \"5s\"") else { return };
    let before = Holdings::of(&server);
    for mode in ["endless", "endless-stderr"] {
        let plugin = server.install(&tools::misbehave(), "bad").args(&[mode]);
        let reasons = ["Unrecognized remote plugin message", "timeout while waiting"];
        plugin.register(&server.api()).refused(&reasons);
    }
    let resident = process::resident(server.pid());
    assert!(resident < 200 << 20, "the server holds {resident} bytes");
    before.are_back(&server);
    server.is_well();
}

#[test]
fn an_answer_of_gigabytes_is_refused_before_it_is_read() {
    let Some(scene) = Scene::new("serve") else { return };
    scene.others_go_on(|scene| {
        scene.blamed(&scene.api.read("bad/huge/300"), &["too large"]);
    });
    let resident = process::resident(scene.server.pid());
    assert!(resident < 250 << 20, "the server holds {resident} bytes");
    // What is large and not too large arrives whole.
    let large = scene.api.read("bad/huge/8").ok();
    assert_eq!(large.string("huge").len(), 8 << 20);
    scene.clean_up();
}

#[test]
fn an_entry_of_gigabytes_is_not_stored() {
    let Some(scene) = Scene::new("serve") else { return };
    let answer = scene.api.read("bad/store/300");
    assert!(!answer.succeeded(), "{}", answer.text());
    let resident = process::resident(scene.server.pid());
    assert!(resident < 250 << 20, "the server holds {resident} bytes");
    scene.clean_up();
}

#[test]
fn a_plugin_that_asks_for_keys_outside_its_mount_gets_none_and_hurts_none() {
    let Some(scene) = Scene::new("serve") else { return };
    let came_of = scene.api.read("bad/outside").ok().data().clone();
    for (key, outcome) in came_of.as_object().expect("an outcome for each key") {
        if key.split('/').any(|part| part == "..") || key.is_empty() || key.starts_with('/') {
            assert_ne!(outcome["put"], "done", "{key:?}: {outcome}");
        }
        // Whatever it reads is what it wrote itself, below its own prefix.
        assert_ne!(outcome["get"], Value::Bool(true).to_string(), "{key:?}");
        if outcome["put"] != "done" {
            assert_ne!(outcome["get"], true, "{key:?}: {outcome}");
        }
    }
    assert_ne!(came_of["over-long"]["put"], "done", "{}", came_of["over-long"]);
    assert_ne!(came_of["a\0b"]["put"], "done", "{}", came_of["a\0b"]);
    // The keyring is still the server's own.
    scene.server.seal_and_unseal();
    assert_eq!(scene.api.read("kv/key").ok().string("value"), "kv");
    wait_for("the plugin answers", || scene.api.read("bad/process").succeeded().then_some(()));
    assert_eq!(scene.api.read("bad/kv/key").ok().string("value"), "kept");
}

#[test]
fn transactions_that_never_end_are_bounded_and_go_with_the_plugin() {
    let Some(scene) = Scene::new("serve") else { return };
    scene.others_go_on(|scene| {
        let got = scene.api.read("bad/transactions/2000").ok().data().clone();
        assert!(got["got"].as_u64().is_some_and(|got| (1..=1000).contains(&got)), "{got}");
        assert!(got["error"].as_str().is_some_and(|error| error.contains("too many")), "{got}");
    });
    // A new process begins anew.
    scene.api.write("sys/plugins/reload/backend", &json!({"mounts": ["bad"]})).ok();
    let again = scene.api.read("bad/transactions/5").ok().data().clone();
    assert_eq!(again["got"], 5, "{again}");
    scene.clean_up();
}

#[test]
fn forged_broker_ids_and_a_flood_of_services_and_connections_reach_nobody_elses_storage() {
    let Some(scene) = Scene::new("serve") else { return };
    scene.others_go_on(|scene| {
        // Numbers that the host gave nobody: not one connects.
        assert_eq!(scene.api.read("bad/dial/300").ok().data()["got"], 0);
        scene.api.read("bad/brokers/3000").ok();
        scene.api.read("bad/knock/200").ok();
    });
    assert_eq!(scene.api.read("bad/kv/key").ok().string("value"), "kept");
    let resident = process::resident(scene.server.pid());
    assert!(resident < 250 << 20, "the server holds {resident} bytes");
    scene.clean_up();
}

#[test]
fn whoever_a_plugin_leaves_behind_is_ended_with_it() {
    let Some(scene) = Scene::new("serve") else { return };
    let mark = format!("{}/", scene.server.temporary().display());
    for round in ["disabled", "killed"] {
        scene.api.read("bad/fork").ok();
        // A child, one in a session, two without their parent; the plugins themselves have the mark too.
        wait_for("all of them run", || (process::with_environment(&mark).len() >= 6).then_some(()));
        if round == "killed" {
            process::kill9(scene.bad_pid());
        } else {
            scene.api.write("sys/plugins/reload/backend", &json!({"mounts": ["bad"]})).ok();
        }
        wait_for("only the plugins run", || {
            let left = process::with_environment(&mark);
            (left.iter().all(|it| it.name != "sleep") && left.len() <= 2).then_some(())
        });
    }
    scene.clean_up();
}

#[test]
fn the_next_server_ends_what_the_plugins_of_a_killed_one_left_behind() {
    let Some(mut scene) = Scene::new("serve") else { return };
    let mark = format!("{}/", scene.server.temporary().display());
    scene.api.read("bad/fork").ok();
    wait_for("all of them run", || (process::with_environment(&mark).len() >= 6).then_some(()));
    scene.server.kill9();
    scene.server.start_again();
    wait_for("nobody is left", || process::with_environment(&mark).is_empty().then_some(()));
}

#[test]
fn files_and_sockets_that_a_plugin_leaves_are_removed_with_it() {
    let Some(scene) = Scene::new("serve") else { return };
    scene.api.read("bad/litter").ok();
    assert!(process::files(&scene.server.temporary()).len() > scene.before.files + 6);
    process::kill9(scene.bad_pid());
    wait_for("the plugin is back", || scene.api.read("bad/process").succeeded().then_some(()));
    scene.api.read("bad/litter").ok();
    scene.clean_up();
}

#[test]
fn a_plugin_that_eats_memory_beyond_its_limit_hurts_its_own_mount_only() {
    let lines = "plugin_max_memory = 536870912\nplugin_max_open_files = 200";
    let Some(scene) = Scene::with("serve", lines) else { return };
    scene.api.read("bad/eat/100").ok();
    let limits = fs::read_to_string(format!("/proc/{}/limits", scene.bad_pid())).expect("limits");
    let line = |name: &str| limits.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    assert!(line("Max data size").contains("536870912"), "{limits}");
    assert!(line("Max open files").contains("200 "), "{limits}");
    assert!(line("Max core file size").contains(" 0 "), "{limits}");
    scene.others_go_on(|scene| {
        scene.blamed(&scene.api.read("bad/eat/2000"), &["exit", "signal"]);
    });
    wait_for("the plugin is back", || scene.api.read("bad/process").succeeded().then_some(()));
    let refused = scene.api.read("bad/files/500");
    assert!(refused.errors().contains("Too many open files"), "{}", refused.text());
    scene.clean_up();
}

#[test]
fn plugins_in_go_start_and_work_under_a_limit_of_memory() {
    let Some(program) = tools::go_kv() else { return };
    let Some(server) = start("plugin_max_memory = 536870912") else { return };
    let plugin: Plugin = server.install(&program, "go-kv");
    server.run(&plugin, "go");
    server.api().write("go/key", &json!({"value": "x"})).status(204);
    assert_eq!(server.api().read("go/key").ok().string("value"), "x");
}
