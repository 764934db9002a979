//! Whatever is killed, and whenever: an acknowledged write is not lost.
//!
//! Left out on purpose: power cuts. What a killed process leaves in the page cache is still
//! written; that each commit is synced is tested where the storage is.

use boltwork_e2e::{Api, Call, Plugin, Server, Setup, Storage, process, tools, wait_for};
use serde_json::json;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Writers that write distinct keys until they are told to stop, and what was acknowledged.
struct Writers<'a> {
    api: Api,
    mount: &'a str,
    stop: AtomicBool,
    acknowledged: Mutex<Vec<String>>,
    count: AtomicUsize,
}

impl<'a> Writers<'a> {
    fn new(api: Api, mount: &'a str) -> Self {
        Self {
            api,
            mount,
            stop: AtomicBool::new(false),
            acknowledged: Mutex::new(Vec::new()),
            count: AtomicUsize::new(0),
        }
    }

    /// Writes until told to stop. A request that fails is no error here: it was not acknowledged.
    fn write(&self, writer: usize) {
        for number in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let key = format!("w{writer}-{number}");
            let call = Call {
                method: "POST".into(),
                target: format!("/v1/{}/{key}", self.mount),
                headers: Vec::new(),
                body: Some(json!({"value": key}).to_string().into_bytes()),
            };
            if self
                .api
                .try_send(&call)
                .is_ok_and(|answer| answer.status == 204 || answer.status == 200)
            {
                self.acknowledged.lock().expect("no writer panicked").push(key);
                self.count.fetch_add(1, Ordering::Relaxed);
            } else {
                // Do not spin while the server is gone.
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    fn acknowledged(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    fn wait_for_more(&self, more: usize) {
        let wanted = self.acknowledged() + more;
        wait_for("writes are acknowledged", || (self.acknowledged() >= wanted).then_some(()));
    }

    /// Reads back every acknowledged key.
    fn check(&self, api: &Api) {
        let acknowledged = self.acknowledged.lock().expect("no writer panicked");
        for key in acknowledged.iter() {
            let found = api.read(&format!("{}/{key}", self.mount));
            assert_eq!(found.status, 200, "the acknowledged {key} is lost: {}", found.text());
            assert_eq!(found.string("value"), *key);
        }
    }
}

#[test]
fn kill_9_of_the_server_during_writes_loses_no_acknowledged_write() {
    let Some(mut server) = Server::disk() else { return };
    server.api().write("sys/mounts/kv", &json!({"type": "kv"})).status(204);
    let mut everything: Vec<String> = Vec::new();
    for round in 0..4 {
        let prefix = format!("kv/r{round}");
        let writers = Writers::new(server.api(), &prefix);
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let writers = &writers;
                scope.spawn(move || writers.write(writer));
            }
            writers.wait_for_more(100 + 60 * round);
            server.kill9();
            writers.stop.store(true, Ordering::Relaxed);
        });
        server.restart();
        writers.check(&server.api());
        let keys = writers.acknowledged.into_inner().expect("no writer panicked");
        everything.extend(keys.iter().map(|key| format!("{prefix}/{key}")));
    }
    for key in everything {
        server.api().read(&key).status(200);
    }
    server.is_well();
}

#[test]
fn kill_9_of_the_server_during_writes_through_a_plugin_loses_no_acknowledged_write() {
    let Some(program) = tools::mock() else { return };
    let Some(mut server) = Server::disk() else { return };
    let plugin = server.install(&program, "mock");
    server.run(&plugin, "mock");
    let writers = Writers::new(server.api(), "mock/kv");
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let writers = &writers;
            scope.spawn(move || writers.write(writer));
        }
        writers.wait_for_more(150);
        server.kill9();
        writers.stop.store(true, Ordering::Relaxed);
    });
    server.restart();
    writers.check(&server.api());
}

/// Kills the plugin's process again and again under writers, and wants every acknowledged write
/// back and the plugin running.
fn kill_plugin_during_writes(server: &Server, plugin: &Plugin, path: &str) {
    server.run(plugin, "victim");
    let mount = format!("victim/{path}");
    let writers = Writers::new(server.api(), mount.trim_end_matches('/'));
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let writers = &writers;
            scope.spawn(move || writers.write(writer));
        }
        for _ in 0..5 {
            writers.wait_for_more(20);
            for child in server.plugins_running() {
                process::kill9(child.pid);
            }
        }
        writers.wait_for_more(20);
        writers.stop.store(true, Ordering::Relaxed);
    });
    writers.check(&server.api());
    server.expect_plugins(1);
    server.is_well();
}

#[test]
fn kill_9_of_a_go_plugin_during_writes_loses_no_acknowledged_write() {
    let Some(program) = tools::mock() else { return };
    let Some(server) = Server::memory() else { return };
    let plugin = server.install(&program, "mock");
    kill_plugin_during_writes(&server, &plugin, "kv");
}

#[test]
fn kill_9_of_our_kv_plugin_during_writes_loses_no_acknowledged_write() {
    let Some(server) = Server::memory() else { return };
    let plugin = server.install(&tools::our_kv(), "our-kv");
    kill_plugin_during_writes(&server, &plugin, "");
}

#[test]
fn kill_9_of_a_plugin_that_hangs_in_a_write_answers_the_client_and_keeps_what_was_stored() {
    let Some(program) = tools::mock() else { return };
    let Some(server) = Server::memory() else { return };
    if server.is_bao() {
        return tools::skip(
            "OpenBao runs the write once more, in a new process, where it hangs again",
        );
    }
    let plugin = server.install(&program, "mock");
    server.run(&plugin, "mock");
    let api = server.api();
    let pid = u32::try_from(api.read("mock/process").ok().data()["pid"].as_u64().expect("a pid"))
        .expect("a pid");
    std::thread::scope(|scope| {
        let hanging = scope.spawn(|| api.write("mock/hang", &json!({"value": "stored"})));
        wait_for("the write has reached the storage", || {
            api.read("mock/kv/hang").succeeded().then_some(())
        });
        let killed = Instant::now();
        process::kill9(pid);
        let answer = hanging.join().expect("a thread that only asks");
        assert!(
            !answer.succeeded(),
            "a write whose plugin died was acknowledged: {}",
            answer.text()
        );
        assert!(
            killed.elapsed() < Duration::from_secs(20),
            "the client waited {:?}",
            killed.elapsed()
        );
    });
    let value = wait_for("the plugin is back", || {
        Some(api.read("mock/kv/hang")).filter(|answer| answer.succeeded())
    });
    assert_eq!(value.string("value"), "stored");
    server.is_well();
}

#[test]
fn everything_of_the_core_is_there_after_kill_9() {
    let Some(mut server) = Server::disk() else { return };
    let api = server.api();
    api.write("sys/mounts/one", &json!({"type": "kv", "description": "the first"})).status(204);
    api.write("sys/mounts/two", &json!({"type": "kv", "options": {"version": "2"}})).status(204);
    wait_for("kv v2 is ready", || {
        api.write("two/data/a", &json!({"data": {"x": 1}})).succeeded().then_some(())
    });
    api.write(
        "sys/policies/acl/reader",
        &json!({"policy": "path \"one/*\" { capabilities = [\"read\"] }"}),
    )
    .status(204);
    api.write("one/key", &json!({"v": 1})).status(204);
    let made =
        api.write("auth/token/create", &json!({"policies": ["reader"], "ttl": "1h"})).ok().json();
    let token = made["auth"]["client_token"].as_str().expect("a token").to_owned();
    let revoked = api.write("auth/token/create", &json!({"policies": ["reader"]})).ok().json();
    let revoked = revoked["auth"]["client_token"].as_str().expect("a token").to_owned();
    api.write("auth/token/revoke", &json!({"token": revoked})).status(204);
    server.kill9();
    server.start_again();
    assert_eq!(server.seal_status()["sealed"], true);
    server.unseal();
    let api = server.api();
    assert_eq!(api.read("sys/mounts").ok().data()["one/"]["description"], "the first");
    assert_eq!(api.read("two/data/a").ok().data()["data"]["x"], 1);
    let reader = api.with_token(&token);
    assert_eq!(reader.read("one/key").ok().data()["v"], 1);
    reader.write("one/key", &json!({"v": 2})).status(403);
    api.with_token(&revoked).read("one/key").status(403);
}

#[test]
fn a_full_disk_is_an_error_and_loses_nothing() {
    let Some(server) =
        (Setup { storage: Storage::Disk, outlives_file_limit: true, ..Setup::default() }).start()
    else {
        return;
    };
    if server.is_bao() {
        return tools::skip("what a full disk does to OpenBao is not asked here");
    }
    let api = server.api();
    api.write("sys/mounts/kv", &json!({"type": "kv"})).status(204);
    api.write("kv/before", &json!({"v": "kept"})).status(204);
    // From now on the server's process may write no file any further than this.
    let limit = rustix::process::Rlimit { current: Some(4 * 1024 * 1024), maximum: None };
    let pid = rustix::process::Pid::from_raw(i32::try_from(server.pid()).expect("a pid"));
    let old = rustix::process::prlimit(pid, rustix::process::Resource::Fsize, limit)
        .expect("a limit can be set");
    let big = "x".repeat(200_000);
    let mut acknowledged = Vec::new();
    let refused = (0..200).find_map(|number| {
        let key = format!("kv/big{number}");
        let answer = api.write(&key, &json!({"v": big}));
        if answer.succeeded() {
            acknowledged.push(key);
            return None;
        }
        Some(answer)
    });
    let refused = refused.expect("forty megabytes do not fit into four");
    assert!(refused.status >= 500, "{}: {}", refused.status, refused.text());
    assert_eq!(api.read("kv/before").ok().string("v"), "kept");
    for key in &acknowledged {
        assert_eq!(api.read(key).ok().string("v").len(), big.len(), "{key}");
    }
    rustix::process::prlimit(pid, rustix::process::Resource::Fsize, old)
        .expect("the limit can be lifted");
    api.write("kv/after", &json!({"v": "works again"})).status(204);
    assert_eq!(api.read("kv/after").ok().string("v"), "works again");
}
