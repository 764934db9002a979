//! One kv engine in all the places where it can run, and one set of claims for all of them: built
//! in, ours as a process of its own, HashiCorp's in Go, and ours under OpenBao's server.
//!
//! Left out on purpose: what kv itself guarantees in detail; its own crate tests that.

use boltwork_e2e::{Answer, Api, Kind, Server, Setup, tools, wait_for};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};

/// Where a kv engine is taken from.
#[derive(Clone, Copy, PartialEq)]
enum Engine {
    Builtin,
    Ours,
    Go,
}

/// A server with kv of version 1 at `v1` and of version 2 at `v2`.
fn server_with(kind: Kind, engine: Engine) -> Option<Server> {
    let program = match engine {
        Engine::Builtin => None,
        Engine::Ours => Some(tools::our_kv()),
        Engine::Go => Some(tools::go_kv()?),
    };
    let server = Setup { kind, ..Setup::default() }.start()?;
    let api = server.api();
    if let Some(program) = program {
        // Only a plugin that is called kv may be mounted with a version. Another one begins as
        // version 1 and is tuned to version 2, which starts it anew.
        let plugin = server.install(&program, "kv-external");
        server.run(&plugin, "v1");
        plugin.enable(&api, "v2").status(204);
        upgrade(&api, "v2");
    } else {
        for (path, version) in [("v1", "1"), ("v2", "2")] {
            api.write(
                &format!("sys/mounts/{path}"),
                &json!({"type": "kv", "options": {"version": version}}),
            )
            .status(204);
        }
    }
    // Version 2 prepares its storage after the mount is there.
    wait_for("version 2 is ready", || (api.read("v2/config").status == 200).then_some(()));
    Some(server)
}

fn upgrade(api: &Api, mount: &str) {
    api.write(&format!("sys/mounts/{mount}/tune"), &json!({"options": {"version": "2"}})).ok();
}

fn put(api: &Api, path: &str, data: &Value, options: &Value) -> Answer {
    api.write(path, &json!({"data": data, "options": options}))
}

fn version_1_keeps_what_it_is_given(api: &Api) {
    api.read("v1/a").status(404);
    api.write("v1/a", &json!({"x": 1, "nested": {"y": [1, 2]}})).status(204);
    assert_eq!(api.read("v1/a").ok().data(), json!({"x": 1, "nested": {"y": [1, 2]}}));
    api.write("v1/a", &json!({"z": 2})).status(204);
    assert_eq!(api.read("v1/a").ok().data(), json!({"z": 2}));
    api.write("v1/folder/b", &json!({"x": 1})).status(204);
    assert_eq!(api.list("v1").ok().data()["keys"], json!(["a", "folder/"]));
    assert_eq!(api.list("v1/folder/").ok().data()["keys"], json!(["b"]));
    api.delete("v1/a").status(204);
    api.read("v1/a").status(404);
    api.delete("v1/a").status(204);
    api.list("v1/nothing").status(404);
}

fn version_2_counts_versions(api: &Api) {
    for number in 1..=3 {
        let made = put(api, "v2/data/a", &json!({"n": number}), &json!({})).status(200).data();
        assert_eq!(made["version"], number);
    }
    assert_eq!(api.read("v2/data/a").ok().data()["data"]["n"], 3);
    assert_eq!(api.read("v2/data/a?version=1").ok().data()["data"]["n"], 1);
    api.read("v2/data/a?version=9").status(404);
    let metadata = api.read("v2/metadata/a").ok().data();
    assert_eq!((&metadata["current_version"], &metadata["oldest_version"]), (&json!(3), &json!(0)));
    assert_eq!(api.list("v2/metadata/").ok().data()["keys"], json!(["a"]));
}

fn version_2_checks_before_it_sets(api: &Api) {
    let cas = |number: u32| put(api, "v2/data/cas", &json!({"n": number}), &json!({"cas": number}));
    cas(1).status(400).refused(&["check-and-set parameter did not match the current version"]);
    cas(0).status(200);
    cas(0).status(400);
    cas(1).status(200);
    api.write("v2/metadata/strict", &json!({"cas_required": true})).status(204);
    put(api, "v2/data/strict", &json!({}), &json!({}))
        .status(400)
        .refused(&["check-and-set parameter required for this call"]);
    put(api, "v2/data/strict", &json!({}), &json!({"cas": 0})).status(200);
}

fn version_2_deletes_undeletes_and_destroys(api: &Api) {
    put(api, "v2/data/d", &json!({"n": 1}), &json!({})).status(200);
    put(api, "v2/data/d", &json!({"n": 2}), &json!({})).status(200);
    api.delete("v2/data/d").status(204);
    let gone = api.read("v2/data/d").status(404).data();
    assert_eq!(gone["data"], Value::Null);
    assert_ne!(gone["metadata"]["deletion_time"], "");
    assert_eq!(api.read("v2/data/d?version=1").ok().data()["data"]["n"], 1);
    api.write("v2/undelete/d", &json!({"versions": [2]})).status(204);
    assert_eq!(api.read("v2/data/d").ok().data()["data"]["n"], 2);
    api.call("PUT", "v2/destroy/d", Some(&json!({"versions": [1]}))).status(204);
    let destroyed = api.read("v2/data/d?version=1").status(404).data();
    assert_eq!(destroyed["metadata"]["destroyed"], true);
    api.write("v2/undelete/d", &json!({"versions": [1]})).status(204);
    api.read("v2/data/d?version=1").status(404);
    api.delete("v2/metadata/d").status(204);
    api.read("v2/metadata/d").status(404);
}

fn version_2_patches(api: &Api) {
    put(api, "v2/data/p", &json!({"a": 1, "b": {"c": 2, "d": 3}}), &json!({})).status(200);
    let patch = api.send(&boltwork_e2e::Call {
        method: "PATCH".into(),
        target: "/v1/v2/data/p".into(),
        headers: vec![("Content-Type".into(), "application/merge-patch+json".into())],
        body: Some(json!({"data": {"b": {"c": null, "e": 4}}}).to_string().into_bytes()),
    });
    assert_eq!(patch.status(200).data()["version"], 2);
    assert_eq!(api.read("v2/data/p").ok().data()["data"], json!({"a": 1, "b": {"d": 3, "e": 4}}));
}

fn version_2_keeps_metadata_and_config(api: &Api) {
    let custom = json!({"owner": "someone"});
    api.write(
        "v2/metadata/m",
        &json!({"max_versions": 2, "custom_metadata": custom, "delete_version_after": "3h"}),
    )
    .status(204);
    for number in 1..=4 {
        put(api, "v2/data/m", &json!({"n": number}), &json!({})).status(200);
    }
    let metadata = api.read("v2/metadata/m").ok().data();
    assert_eq!(metadata["custom_metadata"], custom);
    assert_eq!(metadata["delete_version_after"], "3h0m0s");
    assert_eq!(metadata["oldest_version"], 3);
    assert_eq!(metadata["versions"].as_object().map(serde_json::Map::len), Some(2));
    api.read("v2/data/m?version=1").status(404);
    api.write("v2/config", &json!({"max_versions": 7})).status(204);
    assert_eq!(api.read("v2/config").ok().data()["max_versions"], 7);
}

fn version_2_shows_subkeys(api: &Api) {
    put(api, "v2/data/s", &json!({"a": {"b": {"c": 1}}, "d": 2}), &json!({})).status(200);
    assert_eq!(
        api.read("v2/subkeys/s").ok().data()["subkeys"],
        json!({"a": {"b": {"c": null}}, "d": null})
    );
    assert_eq!(
        api.read("v2/subkeys/s?depth=1").ok().data()["subkeys"],
        json!({"a": null, "d": null})
    );
}

fn everything(server: &Server) {
    let api = server.api();
    version_1_keeps_what_it_is_given(&api);
    version_2_counts_versions(&api);
    version_2_checks_before_it_sets(&api);
    version_2_deletes_undeletes_and_destroys(&api);
    version_2_patches(&api);
    version_2_keeps_metadata_and_config(&api);
    version_2_shows_subkeys(&api);
    reads_are_never_behind(&api);
}

fn survives_kill_and_seal(server: &Server) {
    let api = server.api();
    api.write("v1/kept", &json!({"x": 1})).status(204);
    put(&api, "v2/data/kept", &json!({"x": 2}), &json!({})).status(200);
    server.kill_plugins("v1/kept");
    assert_eq!(api.read("v1/kept").ok().data()["x"], 1);
    assert_eq!(api.read("v2/data/kept").ok().data()["data"]["x"], 2);
    server.seal();
    server.expect_plugins(0);
    server.unseal();
    wait_for("version 2 is ready", || (api.read("v2/config").status == 200).then_some(()));
    assert_eq!(api.read("v1/kept").ok().data()["x"], 1);
    assert_eq!(api.read("v2/data/kept").ok().data()["data"]["x"], 2);
}

/// While one client writes, others read: each sees at least what was acknowledged before it asked.
/// Under Boltwork a plugin is sent what is stored together with the request, which must not be older.
fn reads_are_never_behind(api: &Api) {
    const WRITES: u64 = 300;
    const READERS: usize = 4;
    let acknowledged = AtomicU64::new(0);
    let number = |data: &Value| data["n"].as_u64().expect("a number");
    for path in ["v1/race", "v2/data/race"] {
        let versioned = path.starts_with("v2");
        let body = |n: u64| if versioned { json!({"data": {"n": n}}) } else { json!({"n": n}) };
        api.write(path, &body(0)).ok();
        acknowledged.store(0, Ordering::SeqCst);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 1..=WRITES {
                    api.write(path, &body(n)).ok();
                    acknowledged.store(n, Ordering::SeqCst);
                }
            });
            for _ in 0..READERS {
                scope.spawn(|| {
                    let mut last = 0;
                    for _ in 0..WRITES {
                        let least = acknowledged.load(Ordering::SeqCst).max(last);
                        let data = api.read(path).ok().data();
                        last = number(if versioned { &data["data"] } else { &data });
                        assert!(last >= least, "{path}: {last} after {least}");
                    }
                });
            }
        });
        // What is gone is gone at once.
        api.delete(path).status(204);
        api.read(path).status(404);
    }
}

#[test]
fn kv_built_in() {
    let Some(server) = server_with(Kind::under_test(), Engine::Builtin) else { return };
    everything(&server);
    assert!(server.plugins_running().is_empty(), "a built-in is no process");
}

#[test]
fn kv_of_ours_as_an_external_plugin() {
    let Some(server) = server_with(Kind::under_test(), Engine::Ours) else { return };
    everything(&server);
    survives_kill_and_seal(&server);
    server.expect_plugins(1);
}

#[test]
fn kv_of_ours_as_an_external_plugin_under_bao() {
    let Some(server) = server_with(Kind::Bao, Engine::Ours) else { return };
    everything(&server);
    survives_kill_and_seal(&server);
    server.expect_plugins(1);
}

#[test]
fn kv_of_hashicorp_in_go() {
    let Some(server) = server_with(Kind::under_test(), Engine::Go) else { return };
    everything(&server);
    survives_kill_and_seal(&server);
    server.expect_plugins(1);
}

#[test]
fn a_mount_of_version_1_is_upgraded_to_version_2() {
    for engine in [Engine::Builtin, Engine::Ours, Engine::Go] {
        let Some(server) = server_with(Kind::under_test(), engine) else { return };
        let api = server.api();
        for key in ["a", "b/c"] {
            api.write(&format!("v1/{key}"), &json!({"x": key})).status(204);
        }
        upgrade(&api, "v1");
        for key in ["a", "b/c"] {
            let read = wait_for("the upgrade is done", || {
                Some(api.read(&format!("v1/data/{key}"))).filter(|read| read.status == 200)
            });
            assert_eq!(read.data()["data"]["x"], key);
            assert_eq!(read.data()["metadata"]["version"], 1);
        }
    }
}

#[test]
fn a_policy_is_decided_before_the_plugin_is_asked() {
    for engine in [Engine::Builtin, Engine::Ours] {
        let Some(server) = server_with(Kind::under_test(), engine) else { return };
        let api = server.api();
        let policy = "path \"v1/open/*\" { capabilities = [\"create\", \"read\", \"list\"] }\n\
                      path \"v1/open/closed\" { capabilities = [\"deny\"] }";
        api.write("sys/policies/acl/some", &json!({"policy": policy})).status(204);
        let made = api.write("auth/token/create", &json!({"policies": ["some"]})).ok().json();
        let some = api.with_token(made["auth"]["client_token"].as_str().expect("a token"));
        some.write("v1/open/a", &json!({"x": 1})).status(204);
        some.read("v1/open/a").status(200);
        // It exists now, so writing it again is an update.
        some.write("v1/open/a", &json!({"x": 2})).status(403);
        some.write("v1/open/closed", &json!({"x": 1})).status(403);
        some.read("v1/other").status(403);
        some.delete("v1/open/a").status(403);
        assert_eq!(api.read("v1/open/a").ok().data()["x"], 1);
    }
}
