//! A plugin that nobody here wrote the library of: the Go mock on OpenBao's SDK.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use boltwork_logical::{
    BackendKind, Error, Existence, Operation, PluginId, PluginKind, Plugins, Storage,
};
use serde_json::json;
use support::{MemoryStorage, Mount, Server, is_alive, kill9, secret, tool, wait_for};

const MOCK: &str = "v0.0.0+mock";

async fn started(args: &[&str]) -> Option<Server> {
    let program = tool("mock-plugin")?;
    let server = Server::new().await;
    let mut registration = server.install(&program, "mock");
    registration.args = args.iter().map(|arg| (*arg).to_owned()).collect();
    let warnings = server.host.register(registration).await.unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    Some(server)
}

async fn mounted(server: &Server, point: &str) -> Mount {
    server.mount(&secret("mock", MOCK), point).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_go_plugin_is_registered_under_its_own_version_and_serves() {
    let Some(server) = started(&[]).await else { return };
    server.expect_nothing_left().await;
    let entry = server.host.get(&secret("mock", MOCK)).await.unwrap().unwrap();
    assert_eq!(entry.command, "mock");
    let mount = mounted(&server, "mock/").await;
    assert_eq!(mount.running.version, MOCK);
    assert_eq!(mount.running.sha256, hex::encode(entry.sha256));
    assert_eq!(mount.backend().kind(), BackendKind::Secret);
    assert!(mount.backend().special_paths().is_unauthenticated("special"));

    let request = mount.request(Operation::Create, "kv/a", r#"{"value":"v"}"#);
    assert_eq!(mount.backend().exists(&request).await, Ok(Existence::Absent));
    assert!(mount.call(Operation::Create, "kv/a", r#"{"value":"v"}"#).await.unwrap().is_none());
    assert_eq!(mount.backend().exists(&request).await, Ok(Existence::Exists));
    assert_eq!(mount.field("kv/a", "value").await, json!("v"));
    assert!(mount.storage.get("kv/a").await.unwrap().is_some(), "it is in the mount's storage");
    let listed = mount.call(Operation::List, "kv/", "null").await.unwrap().unwrap();
    assert_eq!(listed.data.fields().unwrap()["keys"], json!(["a"]));
    assert!(mount.read("kv/absent").await.unwrap().is_none());
    mount.backend().cleanup().await;
    server.expect_nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_error_of_a_go_plugin_arrives_as_what_it_is() {
    let Some(server) = started(&[]).await else { return };
    let mount = mounted(&server, "mock/").await;
    let internal = |text: &str| Error::Internal(text.into());
    for (number, wanted) in [
        (0, internal("a plain error of the mock")),
        (1, Error::User("a user error of the mock".into())),
        (2, internal("an internal error of the mock")),
        (3, Error::Coded { status: 418, message: "a coded error of the mock".into() }),
        (4, Error::Invalid("a bad request of the mock".into())),
        (5, Error::UnsupportedOperation),
        (6, Error::UnsupportedPath),
        (7, Error::InvalidRequest),
        (8, Error::Denied),
        (9, Error::NeedsApproval),
        (10, Error::Unrecoverable),
    ] {
        let body = format!(r#"{{"err_type":{number}}}"#);
        let failure = mount.write("errors/type", &body).await.unwrap_err();
        assert_eq!(failure.error, wanted, "kind {number}");
    }
    let reply = mount.read("errors/response").await.unwrap().unwrap();
    assert_eq!(reply.error_text().as_deref(), Some("an error response of the mock"));
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_of_a_go_plugin_are_all_or_nothing() {
    let Some(server) = started(&[]).await else { return };
    let mount = mounted(&server, "mock/").await;
    mount.write("tx/rollback", r#"{"value":"x"}"#).await.unwrap();
    assert!(mount.read("kv/tx-one").await.unwrap().is_none());
    mount.write("tx/commit", r#"{"value":"x"}"#).await.unwrap();
    assert_eq!(mount.field("kv/tx-one", "value").await, json!("x"));
    assert_eq!(mount.field("kv/tx-two", "value").await, json!("x"));
}

#[tokio::test(flavor = "multi_thread")]
async fn mounts_that_race_share_one_process_and_it_ends_with_the_last() {
    let Some(server) = started(&["-serve=mux"]).await else { return };
    let (id, points) = (secret("mock", MOCK), ["a/", "b/", "c/", "d/"]);
    let mounts = points.map(|point| server.mount(&id, point));
    let mounts: Vec<Mount> = futures_util::future::try_join_all(mounts).await.unwrap();
    let pid = mounts[0].pid().await;
    for (mount, value) in mounts.iter().zip(points) {
        assert_eq!(mount.pid().await, pid);
        mount.write("internal", &json!({"value": value}).to_string()).await.unwrap();
        mount.write("kv/k", &json!({"value": value}).to_string()).await.unwrap();
    }
    for (mount, value) in mounts.iter().zip(points) {
        assert_eq!(mount.field("internal", "value").await, json!(value), "an instance of its own");
        assert_eq!(mount.field("kv/k", "value").await, json!(value), "and its own storage");
    }
    let status = server.host.status().await;
    assert_eq!(status.len(), 1);
    assert_eq!((status[0].pid, status[0].mounts.len()), (pid, 4));
    assert!(status[0].resident_bytes > 1_000_000 && status[0].requests > 8);
    for mount in &mounts[1..] {
        mount.backend().cleanup().await;
        assert!(is_alive(pid));
    }
    mounts[0].backend().cleanup().await;
    assert!(!is_alive(pid), "it is gone, and not a zombie");
    server.expect_nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_does_not_multiplex_has_a_process_for_each_mount() {
    let Some(server) = started(&["-serve=plain"]).await else { return };
    let (a, b) = (mounted(&server, "a/").await, mounted(&server, "b/").await);
    assert_ne!(a.pid().await, b.pid().await);
    assert_eq!(server.host.status().await.len(), 2);
    server.host.close().await;
    server.expect_nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_comes_back_by_itself_and_knows_what_was_stored() {
    let Some(server) = started(&[]).await else { return };
    let mount = mounted(&server, "mock/").await;
    mount.write("kv/k", r#"{"value":"kept"}"#).await.unwrap();
    let old = mount.pid().await;
    kill9(old);
    // A read is repeated whenever the death is noticed.
    assert_eq!(mount.field("kv/k", "value").await, json!("kept"));
    let new = mount.pid().await;
    assert_ne!(old, new);
    assert!(!is_alive(old));
    let status = server.host.status().await;
    assert_eq!((status[0].restarts, status[0].state.as_str()), (1, "running"));
    kill9(new);
    wait_for("it is restarted without a request", || !is_alive(new)).await;
    let start = std::time::Instant::now();
    loop {
        let status = server.host.status().await;
        if status[0].restarts == 2 && status[0].state == "running" {
            assert!(status[0].last_exit.contains("signal"), "{}", status[0].last_exit);
            break;
        }
        assert!(start.elapsed().as_secs() < 20, "{status:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_asks_for_it_is_restarted_and_asked_once_more() {
    let Some(server) = started(&["-serve=mux"]).await else { return };
    let (mount, other) = (mounted(&server, "a/").await, mounted(&server, "b/").await);
    mount.write("internal", r#"{"value":"changed"}"#).await.unwrap();
    other.write("internal", r#"{"value":"changed"}"#).await.unwrap();
    let failure = mount.read("errors/rpc").await.unwrap_err();
    assert_eq!(failure.error, Error::Internal("connection is shut down".into()));
    assert_eq!(mount.field("internal", "value").await, json!("bar"));
    assert_eq!(other.field("internal", "value").await, json!("changed"), "others are left alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_in_flight_is_not_repeated_when_the_process_dies() {
    let Some(server) = started(&[]).await else { return };
    let mount = Arc::new(mounted(&server, "mock/").await);
    let pid = mount.pid().await;
    let writer = mount.clone();
    let hanging = tokio::spawn(async move { writer.write("hang", r#"{"value":"stored"}"#).await });
    let storage = mount.storage.clone();
    let start = std::time::Instant::now();
    while storage.get("kv/hang").await.unwrap().is_none() {
        assert!(start.elapsed().as_secs() < 20);
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    kill9(pid);
    let failure = hanging.await.unwrap().unwrap_err();
    let Error::Unavailable(text) = &failure.error else { panic!("{failure}") };
    assert!(text.contains("plugin is shut down") && text.contains("mock"), "{text}");
    assert_eq!(mount.field("kv/hang", "value").await, json!("stored"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_always_dies_is_an_error_each_time_and_never_hangs() {
    let Some(server) = started(&[]).await else { return };
    let mount = mounted(&server, "mock/").await;
    for path in ["errors/kill", "errors/panic"] {
        let failure = mount.read(path).await.unwrap_err();
        assert!(matches!(failure.error, Error::Unavailable(_)), "{failure}");
        assert_eq!(mount.field("internal", "value").await, json!("bar"), "and it is back");
    }
    assert!(server.host.status().await[0].last_exit.contains("panics as it was asked to"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_dies_again_and_again_is_given_pauses_however_often_it_is_asked_for() {
    let Some(server) = started(&[]).await else { return };
    let mount = mounted(&server, "mock/").await;
    let mut refused = false;
    // A read is repeated, so each of these may kill two processes.
    for _ in 0..20 {
        let failure = mount.read("errors/kill").await.unwrap_err();
        if failure.error.to_string().contains("again and again") {
            refused = true;
            break;
        }
    }
    assert!(refused, "it is started whenever somebody asks");
    let status = server.host.status().await;
    assert_eq!((status[0].state.as_str(), status[0].pid), ("restarting", 0));
    wait_for_read(&mount).await;
    let restarts = server.host.status().await[0].restarts;
    assert!(restarts < 20, "{restarts}");
}

#[tokio::test(flavor = "multi_thread")]
async fn five_deaths_are_forgiven_and_the_sixth_brings_a_pause() {
    let Some(server) = started(&[]).await else { return };
    let mount = mounted(&server, "mock/").await;
    for death in 1..=6 {
        let status = server.host.status().await;
        assert_eq!(status[0].state, "running", "before death {death}");
        assert_eq!(status[0].restarts, death - 1);
        // A write is not repeated: one request, one death.
        let failure = mount.write("errors/kill", "{}").await.unwrap_err();
        assert!(matches!(failure.error, Error::Unavailable(_)), "{failure}");
        if death < 6 {
            wait_for_read(&mount).await;
        }
    }
    let status = server.host.status().await;
    assert_eq!((status[0].state.as_str(), status[0].restarts), ("restarting", 5));
    wait_for_read(&mount).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plugin_wrote_before_its_start_failed_is_for_operators_only() {
    let secret = "the words of somebody else";
    let server = Server::new().await;
    let text = format!("#!/bin/sh\necho '{secret}' >&2\nexit 3\n");
    let script = server.script("talker", &text);
    let refused = server.host.register(script.clone()).await.unwrap_err().to_string();
    assert!(refused.contains(secret), "who registers is told: {refused}");
    let Some(program) = tool("mock-plugin") else { return };
    let registration = server.install(&program, "mock");
    server.host.register(registration).await.unwrap();
    let mount = mounted(&server, "mock/").await;
    // The same name, another program, which the server was told of.
    let path = server.folder.join("plugins/mock");
    std::fs::remove_file(&path).unwrap();
    std::fs::rename(server.folder.join("plugins/talker"), &path).unwrap();
    server.rewrite_checksum("mock", MOCK, &script.sha256).await;
    kill9(mount.pid().await);
    let failure = mount.read("internal").await.unwrap_err().to_string();
    assert!(failure.contains("exited before we could connect"), "{failure}");
    assert!(!failure.contains(secret), "{failure}");
    assert!(failure.contains("in the server's log"), "{failure}");
    assert!(server.host.status().await[0].last_exit.contains(secret));
}

async fn wait_for_read(mount: &Mount) {
    let start = std::time::Instant::now();
    while mount.read("internal").await.is_err() {
        assert!(start.elapsed().as_secs() < 20);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plugin_wrote_on_stderr_is_not_told_to_the_caller_it_died_for() {
    let Some(server) = started(&[]).await else { return };
    let mount = mounted(&server, "mock/").await;
    let failure = mount.write("errors/panic", "{}").await.unwrap_err();
    let Error::Unavailable(text) = &failure.error else { panic!("{failure}") };
    assert!(!text.contains("panics as it was asked to"), "{text}");
    wait_for_read(&mount).await;
    assert!(server.host.status().await[0].last_exit.contains("panics as it was asked to"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_that_fails_is_told_at_once_until_it_succeeds() {
    let Some(server) = started(&[]).await else { return };
    let mount = mounted(&server, "mock/").await;
    let file = server.folder.join("plugins/mock");
    let aside = server.folder.join("aside");
    std::fs::rename(&file, &aside).unwrap();
    kill9(mount.pid().await);
    let first = mount.read("internal").await.unwrap_err();
    let Error::Unavailable(text) = &first.error else { panic!("{first}") };
    assert!(text.contains("no such file or directory") && text.contains("mock"), "{text}");
    let status = server.host.status().await;
    assert_eq!((status[0].state.as_str(), status[0].pid), ("unavailable", 0));
    std::fs::rename(&aside, &file).unwrap();
    wait_for_read(&mount).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_process_takes_no_new_mount_and_ends_with_its_last() {
    let Some(server) = started(&["-serve=mux"]).await else { return };
    let old = mounted(&server, "a/").await;
    let pid = old.pid().await;
    server.host.retire(&secret("mock", MOCK)).await;
    let new = mounted(&server, "b/").await;
    assert_ne!(new.pid().await, pid);
    assert_eq!(old.pid().await, pid, "whoever is in it is served");
    old.backend().cleanup().await;
    assert!(!is_alive(pid));
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_ends_everything_and_a_stopped_process_does_not_delay_it() {
    let Some(server) = started(&["-serve=plain"]).await else { return };
    let (a, b) = (mounted(&server, "a/").await, mounted(&server, "b/").await);
    let pids = [a.pid().await, b.pid().await];
    let raw = rustix::process::Pid::from_raw(i32::try_from(pids[0]).unwrap()).unwrap();
    rustix::process::kill_process(raw, rustix::process::Signal::STOP).unwrap();
    let start = std::time::Instant::now();
    server.host.close().await;
    assert!(start.elapsed().as_secs() < 8, "{:?}", start.elapsed());
    assert!(pids.iter().all(|pid| !is_alive(*pid)));
    let failure = b.read("internal").await.unwrap_err();
    assert!(failure.to_string().contains("plugin is shut down"), "{failure}");
    assert_eq!(server.host.list().await.unwrap_err(), Error::Sealed);
    server.expect_nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_is_dropped_takes_its_process_along() {
    let Some(server) = started(&[]).await else { return };
    let mount = mounted(&server, "mock/").await;
    let pid = mount.pid().await;
    drop(mount);
    wait_for("the process is gone", || !is_alive(pid)).await;
    server.expect_nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_registered_reaches_the_plugin_and_our_environment_does_not() {
    let Some(program) = tool("mock-plugin") else { return };
    let server = Server::new().await;
    let mut registration = server.install(&program, "mock");
    registration.env = vec!["FOO=a=b".into()];
    server.host.register(registration).await.unwrap();
    let mount = mounted(&server, "mock/").await;
    assert_eq!(mount.field("env/FOO", "value").await, json!("a=b"));
    assert_eq!(mount.field("env/CARGO_MANIFEST_DIR", "set").await, json!(false));
    assert_eq!(mount.field("env/VAULT_VERSION", "value").await, json!("1.18.3"));
    let own = std::fs::read_dir("/proc/self/fd").unwrap().count();
    assert!(own > 10, "there is something to inherit");
    let before = mount.field("process", "descriptors").await.as_u64().unwrap();
    let opened: Vec<_> = (0..50).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
    let leaky = rustix::io::dup(&opened[0]).unwrap();
    rustix::io::fcntl_setfd(&leaky, rustix::io::FdFlags::empty()).unwrap();
    kill9(mount.pid().await);
    let after = mount.field("process", "descriptors").await.as_u64().unwrap();
    assert!(after <= before + 2, "{before} descriptors before, {after} after");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_is_not_registered_and_leaves_nothing() {
    let Some(program) = tool("mock-plugin") else { return };
    let server = Server::new().await;
    let good = server.install(&program, "mock");
    for (fault, words) in [
        ("-fault=no-backend", "pb.Backend"),
        ("-fault=unknown-type", "type"),
        ("-type=auth", "an auth method"),
        ("-fault=setup-exits", "plugin exited during Setup"),
        ("-no-such-flag", "flag"),
    ] {
        let bad = boltwork_logical::Registration { args: vec![fault.into()], ..good.clone() };
        let error = server.host.register(bad).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{fault}: {error}");
        assert!(error.to_string().contains(words), "{fault}: {error}");
        assert!(error.to_string().contains("mock"), "{fault}: {error}");
    }
    let mut wrong = good.clone();
    wrong.sha256 = "00".repeat(32);
    let error = server.host.register(wrong).await.unwrap_err();
    assert!(error.to_string().contains("checksums did not match"), "{error}");
    let mut newer = good.clone();
    newer.version = "9.0".into();
    let error = server.host.register(newer).await.unwrap_err();
    assert_eq!(
        error,
        Error::Invalid(
            "plugin version mismatch: mock reported version (v0.0.0+mock) did not match requested \
             version (v9.0.0)"
                .into()
        )
    );
    let mut database = good;
    database.kind = "database".into();
    let error = server.host.register(database).await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    assert_eq!(server.host.list().await.unwrap(), []);
    server.expect_nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_refuses_its_setup_is_registered_with_a_warning_and_not_mounted() {
    let Some(program) = tool("mock-plugin") else { return };
    let server = Server::new().await;
    let mut registration = server.install(&program, "mock");
    registration.args = vec!["-fault=setup-fails".into()];
    let warnings = server.host.register(registration).await.unwrap();
    assert!(warnings[0].contains("the mock refuses to be set up"), "{warnings:?}");
    let error = server.mount(&secret("mock", ""), "mock/").await.err().unwrap();
    let Error::Unavailable(text) = &error else { panic!("{error}") };
    assert!(text.contains("the mock refuses to be set up"), "{text}");
    server.expect_nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setup_that_hangs_is_given_up() {
    let Some(program) = tool("mock-plugin") else { return };
    let limit = std::time::Duration::from_secs(3);
    let server = Server::with(|config| config.start_timeout = limit).await;
    let mut registration = server.install(&program, "mock");
    registration.args = vec!["-fault=setup-hangs".into()];
    let error = server.host.register(registration).await.unwrap_err();
    assert!(error.to_string().contains("did not answer Setup within 3 seconds"), "{error}");
    server.expect_nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_was_not_given_is_found_out() {
    let Some(program) = tool("mock-plugin") else { return };
    let server = Server::new().await;
    let mut registration = server.install(&program, "mock");
    registration.kind = String::new();
    registration.args = vec!["-type=auth".into()];
    server.host.register(registration).await.unwrap();
    let listed = server.host.list().await.unwrap();
    let id = PluginId { kind: PluginKind::Auth, name: "mock".into(), version: MOCK.into() };
    assert_eq!(listed.iter().map(|entry| &entry.id).collect::<Vec<_>>(), [&id]);
    let mount = server.mount(&id, "auth/mock/").await.unwrap();
    assert_eq!(mount.backend().kind(), BackendKind::Auth);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_answers_cross_whole() {
    let Some(server) = started(&[]).await else { return };
    let mount = mounted(&server, "mock/").await;
    let size = 20 << 20;
    let reply = mount.write("echo", &json!({"size": size}).to_string()).await.unwrap().unwrap();
    assert_eq!(reply.data.fields().unwrap()["text"].as_str().unwrap().len(), size);
}

#[tokio::test(flavor = "multi_thread")]
async fn hashicorps_kv_serves_its_second_version() {
    let Some(program) = tool("vault-plugin-secrets-kv") else { return };
    let server = Server::new().await;
    let registration = server.install(&program, "go-kv");
    server.host.register(registration).await.unwrap();
    let id = server.host.list().await.unwrap()[0].id.clone();
    let setup = boltwork_logical::Setup {
        storage: Arc::new(MemoryStorage::default()),
        system: Arc::new(support::System),
        config: [("version".to_owned(), "2".to_owned())].into(),
        backend_uuid: "1b4e28ba-2fa1-11d2-883f-0016d3cca427".into(),
        mount_point: "kv/".into(),
    };
    let storage = Arc::new(MemoryStorage::default());
    let running = server.host.create(&id, setup).await.unwrap();
    running.backend.initialize().await.unwrap();
    let mount = Mount { running, storage };
    let start = std::time::Instant::now();
    let written = loop {
        match mount.write("data/a", r#"{"data":{"x":"1"}}"#).await {
            Ok(Some(reply)) if reply.error_text().is_none() => break reply,
            other => assert!(start.elapsed().as_secs() < 20, "{other:?}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(written.data.fields().unwrap()["version"], json!(1));
    assert_eq!(mount.field("data/a", "data").await, json!({"x": "1"}));
}
