//! Database plugins as an operator handles them: registered, configured, and users made with them.
//!
//! One of ours, the SDK's example `nginx_users`, and one in Go on OpenBao's SDK, which does wrong what a
//! role's name says. The database of both is a file that a test can read. Left out on purpose: what
//! the database engine does beyond that.

use boltwork_e2e::{Api, Kind, Plugin, Scratch, Server, Setup, altered, process, tools, wait_for};
use serde_json::{Value, json};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The users in a password file.
fn users(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).expect("the password file is readable");
    text.lines().map(str::to_owned).collect()
}

/// An empty password file.
fn password_file(folder: &Path) -> PathBuf {
    let file = folder.join("users");
    fs::write(&file, "").expect("the password file is written");
    file
}

fn nginx_users(server: &Server) -> Plugin {
    server.install(&tools::nginx_users(), "nginx-users").kind("database")
}

/// Enables the database engine and configures a connection to a password file, with a role.
fn configure(api: &Api, plugin: &str, file: &Path) {
    api.write("sys/mounts/database", &json!({"type": "database"})).status(204);
    let config = json!({"plugin_name": plugin, "allowed_roles": ["reader"], "file": file});
    let answer = api.write("database/config/site", &config);
    assert!(answer.succeeded(), "{}", answer.text());
    let role = json!({"db_name": "site", "creation_statements": ["-"], "default_ttl": "1h"});
    let answer = api.write("database/roles/reader", &role);
    assert!(answer.succeeded(), "{}", answer.text());
}

/// A user lives from its making to the revocation of its lease.
fn a_user_lives(api: &Api, file: &Path) {
    let made = api.read("database/creds/reader").ok();
    let (name, password) = (made.string("username"), made.string("password"));
    assert!(name.starts_with("v-reader-"), "{name}");
    assert_eq!(users(file), [format!("{name}:{{PLAIN}}{password}")]);
    let lease = made.json()["lease_id"].clone();
    api.write("sys/leases/revoke", &json!({"lease_id": lease, "sync": true})).status(204);
    assert!(users(file).is_empty());
}

fn our_plugin_lives(kind: Kind) {
    let Some(server) = (Setup { kind, ..Setup::default() }).start() else { return };
    let api = server.api();
    let file = password_file(server.folder());
    nginx_users(&server).register(&api).status(204);
    configure(&api, "nginx-users", &file);
    a_user_lives(&api, &file);

    // A missing file is the database that is down: it is said, and there is no lease.
    fs::remove_file(&file).expect("the file was there");
    api.read("database/creds/reader").refused(&["No such file"]);
    assert_eq!(api.list("sys/leases/lookup/database/creds/reader").status, 404);
    password_file(server.folder());

    server.seal_and_unseal();
    a_user_lives(&api, &file);
    api.delete("sys/mounts/database").status(204);
    server.expect_plugins(0);
}

#[test]
fn our_database_plugin_lives() {
    our_plugin_lives(Kind::under_test());
}

#[test]
fn our_database_plugin_lives_under_openbao() {
    our_plugin_lives(Kind::Bao);
}

/// A server in its development mode; killed at the end of the test.
struct Dev(Child);

impl Dev {
    fn start(program: &Path, scratch: &Scratch, plugins: &Path) -> (Self, Api) {
        let address: SocketAddr = TcpListener::bind(("127.0.0.1", 0))
            .and_then(|listener| listener.local_addr())
            .expect("a free port");
        let log = fs::File::create(scratch.path().join("log")).expect("a log");
        let child = Command::new(program)
            .args(["server", "-dev", "-dev-no-store-token", "-dev-root-token-id=root"])
            .arg(format!("-dev-listen-address={address}"))
            .arg(format!("-dev-plugin-dir={}", plugins.display()))
            .env_clear()
            .env("HOME", scratch.path())
            .env("TMPDIR", scratch.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("the server can be started");
        (Self(child), Api::new(address, Some("root")))
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let plugins = process::children(self.0.id());
        let _ = self.0.kill();
        let _ = self.0.wait();
        // OpenBao's plugins outlive it.
        for plugin in plugins {
            if process::find(plugin.pid).is_some_and(|found| found.name == plugin.name) {
                process::kill9(plugin.pid);
            }
        }
    }
}

fn development_finds_our_plugin(program: &Path) {
    let scratch = Scratch::new();
    let folder = scratch.folder("plugins");
    let copied = Command::new("cp")
        .arg(tools::nginx_users())
        .arg(folder.join("nginx-users"))
        .status()
        .expect("cp runs");
    assert!(copied.success());
    let (_dev, api) = Dev::start(program, &scratch, &folder);
    let ask = boltwork_e2e::Call {
        method: "GET".into(),
        target: "/v1/sys/health".into(),
        ..boltwork_e2e::Call::default()
    };
    wait_for("the server answers", || api.try_send(&ask).ok());
    let found = wait_for("the plugin is in the catalog", || {
        let answer = api.read("sys/plugins/catalog/database/nginx-users");
        answer.succeeded().then(|| answer.data())
    });
    assert_eq!(found["builtin"], false);
    let file = password_file(scratch.path());
    configure(&api, "nginx-users", &file);
    a_user_lives(&api, &file);
}

#[test]
fn a_development_server_finds_our_database_plugin_in_its_folder() {
    development_finds_our_plugin(&tools::boltwork());
}

#[test]
fn openbao_in_development_finds_our_database_plugin_in_its_folder() {
    let Some(bao) = tools::bao() else { return };
    development_finds_our_plugin(&bao);
}

/// Configures a connection and a role of each of these names.
fn connect(api: &Api, name: &str, config: &Value, roles: &[&str]) {
    let mut body = json!({"plugin_name": "mock", "allowed_roles": ["*"]});
    for (key, value) in config.as_object().expect("an object") {
        body[key] = value.clone();
    }
    let answer = api.write(&format!("database/config/{name}"), &body);
    assert!(answer.succeeded(), "{}", answer.text());
    for role in roles {
        let body = json!({"db_name": name, "creation_statements": ["-"], "default_ttl": "1h"});
        let answer = api.write(&format!("database/roles/{role}"), &body);
        assert!(answer.succeeded(), "{}", answer.text());
    }
}

/// A server with the Go mock registered as a database plugin, and the database engine enabled.
fn enabled(serve: &str) -> Option<Server> {
    let program = tools::mock_database()?;
    let server = Server::memory()?;
    let plugin = server.install(&program, "mock").kind("database");
    plugin.args(&[&format!("-serve={serve}")]).register(&server.api()).status(204);
    server.api().write("sys/mounts/database", &json!({"type": "database"})).status(204);
    Some(server)
}

fn makes_users(api: &Api, role: &str) -> String {
    api.read(&format!("database/creds/{role}")).ok().string("username")
}

fn go_plugin_lives(serve: &str, processes: usize) {
    let Some(server) = enabled(serve) else { return };
    let api = server.api();
    let file = server.folder().join("users");
    connect(&api, "one", &json!({"file": file, "port": 5432}), &["reader"]);
    connect(&api, "two", &json!({}), &["other"]);
    server.expect_plugins(processes);
    let kept = api.read("database/config/one").ok().data();
    // Version 4 gets its configuration as JSON, in which Go knows one sort of number.
    let seen = if serve == "v4" { "float64 5432" } else { "int64 5432" };
    assert_eq!(kept["connection_details"]["seen_port"], seen);
    let name = makes_users(&api, "reader");
    assert!(users(&file)[0].starts_with(&format!("{name} password=")), "{:?}", users(&file));
    makes_users(&api, "other");
    let revoked =
        api.write("sys/leases/revoke-prefix/database/creds/reader", &json!({"sync": true}));
    assert!(revoked.succeeded());
    assert!(users(&file).is_empty());

    server.seal();
    server.expect_plugins(0);
    server.unseal();
    server.is_well();
    makes_users(&api, "reader");
    makes_users(&api, "other");
    server.expect_plugins(processes);
    let revoked = api.write("sys/leases/revoke-prefix/database/creds", &json!({"sync": true}));
    assert!(revoked.succeeded());
    api.delete("sys/mounts/database").status(204);
    server.expect_plugins(0);
}

#[test]
fn a_go_database_plugin_lives_v5_multiplexed() {
    go_plugin_lives("mux", 1);
}

#[test]
fn a_go_database_plugin_lives_v5() {
    go_plugin_lives("plain", 2);
}

#[test]
fn a_go_database_plugin_lives_v4() {
    go_plugin_lives("v4", 2);
}

#[test]
fn a_plugin_that_dies_while_it_makes_a_user_leaves_no_lease() {
    let Some(server) = enabled("mux") else { return };
    let api = server.api();
    connect(&api, "one", &json!({}), &["die", "panic", "nameless", "reader"]);
    for role in ["die", "panic", "nameless"] {
        let refused = api.read(&format!("database/creds/{role}"));
        if server.is_bao() && role == "nameless" {
            // OpenBao hands a user without a name on.
            continue;
        }
        refused.refused(&["plugin shutdown", "named no user", "EOF", "Unavailable"]);
        assert_eq!(api.list(&format!("sys/leases/lookup/database/creds/{role}")).status, 404);
        if server.is_bao() {
            wait_for("the plugin is back", || {
                api.read("database/creds/reader").succeeded().then_some(())
            });
        }
        assert!(makes_users(&api, "reader").starts_with("mock-"), "the next one is made");
    }
    server.expect_plugins(1);
}

#[test]
fn a_killed_plugin_is_started_with_the_next_request() {
    let Some(server) = enabled("mux") else { return };
    let api = server.api();
    connect(&api, "one", &json!({}), &["reader"]);
    for _ in 0..3 {
        server.kill_plugins("database/creds/reader");
        makes_users(&api, "reader");
        server.expect_plugins(1);
    }
}

/// The processes of the mock that the status shows: their numbers and mounts.
fn processes(api: &Api) -> Vec<(u64, Value)> {
    let status = api.read("sys/plugins/status").ok().data();
    let all = status["plugins"].as_array().expect("a list").iter();
    all.filter(|plugin| plugin["name"] == "mock")
        .map(|plugin| (plugin["pid"].as_u64().expect("a number"), plugin["mounts"].clone()))
        .collect()
}

#[test]
fn a_reload_of_a_database_plugin_starts_a_fresh_process() {
    if Kind::under_test() == Kind::Bao {
        return tools::skip("OpenBao reloads no database plugins");
    }
    let Some(server) = enabled("mux") else { return };
    let api = server.api();
    let unused = api.write("sys/plugins/reload/database/mock", &json!({})).ok();
    assert!(unused.text().contains("no plugins were reloaded"), "{}", unused.text());
    connect(&api, "one", &json!({}), &["reader"]);
    connect(&api, "two", &json!({}), &["other"]);
    for path in ["sys/plugins/reload/database/mock", "sys/plugins/reload/unknown/mock"] {
        let before = processes(&api);
        assert_eq!(before.len(), 1, "{before:?}");
        assert_eq!(before[0].1, json!(["database/"]));
        let answer = api.write(path, &json!({})).ok();
        assert!(!answer.string("reload_id").is_empty());
        assert!(!answer.text().contains("no plugins were reloaded"), "{}", answer.text());
        makes_users(&api, "reader");
        makes_users(&api, "other");
        let after = processes(&api);
        assert_eq!(after.len(), 1, "{after:?}");
        assert_ne!(before[0].0, after[0].0);
        server.expect_plugins(1);
    }
    api.write("sys/plugins/reload/secret/mock", &json!({})).refused(&["plugin not found"]);
    api.write("sys/plugins/reload/database/absent", &json!({}))
        .refused(&["plugin not found in the catalog: \"absent\""]);
}

/// Tells other threads of a test that it is over.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn users_are_made_while_their_plugin_is_reloaded() {
    if Kind::under_test() == Kind::Bao {
        return tools::skip("OpenBao reloads no database plugins");
    }
    let Some(server) = enabled("mux") else { return };
    let api = server.api();
    connect(&api, "one", &json!({}), &["reader"]);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut made = 0;
                while !over.load(Ordering::Relaxed) {
                    makes_users(&api, "reader");
                    made += 1;
                }
                assert!(made > 0);
            });
        }
        // Also if what follows fails.
        let _end = Ends(&over);
        for _ in 0..5 {
            let before = processes(&api)[0].0;
            api.write("sys/plugins/reload/database/mock", &json!({})).ok();
            wait_for("the new process runs", || {
                processes(&api).first().is_some_and(|(pid, _)| *pid != before).then_some(())
            });
        }
    });
    server.expect_plugins(1);
}

#[test]
fn versions_of_a_database_plugin_run_side_by_side_and_are_changed() {
    let Some(program) = tools::mock_database() else { return };
    let Some(server) = Server::memory() else { return };
    let plugin = server.install(&program, "mock").kind("database").args(&["-serve=mux"]);
    let api = server.api();
    api.write("sys/mounts/database", &json!({"type": "database"})).status(204);
    for version in ["v1.0.0", "v2.0.0"] {
        let reported = format!("TESTING_MOCK_VAULT_PLUGIN_VERSION={version}");
        plugin.version(version).env(&[&reported]).register(&api).status(204);
    }
    connect(&api, "old", &json!({"plugin_version": "v1.0.0"}), &["old"]);
    connect(&api, "new", &json!({}), &["new"]);
    let version =
        |name: &str| api.read(&format!("database/config/{name}")).ok().string("plugin_version");
    assert_eq!((&*version("old"), &*version("new")), ("v1.0.0", "v2.0.0"));
    server.expect_plugins(2);
    connect(&api, "old", &json!({"plugin_version": "v2.0.0"}), &[]);
    assert_eq!(version("old"), "v2.0.0");
    server.expect_plugins(1);
    makes_users(&api, "old");

    // What is gone from the catalog runs on, and is missed at its next start.
    plugin.version("v2.0.0").deregister(&api).status(204);
    makes_users(&api, "new");
    server.kill_plugins("sys/health");
    api.read("database/creds/new").refused(&["plugin not found in the catalog", "plugin shutdown"]);
    api.read("database/creds/new").refused(&["plugin not found in the catalog"]);
    server.expect_plugins(0);
}

#[test]
fn a_database_plugin_that_cannot_start_is_refused_with_its_reason() {
    let Some(server) = enabled("mux") else { return };
    let api = server.api();
    let body = json!({"plugin_name": "mock", "do": "fail"});
    api.write("database/config/one", &body)
        .refused(&["error creating database object", "the mock was told to fail"]);
    api.read("database/config/one").status(404);
    server.expect_plugins(0);

    altered(&server, &tools::mock_database().expect("it was there"), "mock", |it| it.push(0));
    api.write("database/config/one", &json!({"plugin_name": "mock"}))
        .refused(&["invalid database version"])
        .refused(&["checksums did not match"]);
    api.write("database/config/one", &json!({"plugin_name": "absent"}))
        .refused(&["plugin not found"]);
    server.expect_plugins(0);
}

#[test]
fn a_connection_that_hangs_holds_up_nobody_else() {
    let Some(server) = enabled("plain") else { return };
    let api = server.api();
    connect(&api, "well", &json!({}), &["reader"]);
    let well = server.plugins_running()[0].pid;
    let mark = server.folder().join("mark");
    std::thread::scope(|scope| {
        let hung = scope.spawn(|| {
            let body = json!({"plugin_name": "mock", "do": "hang", "file": mark});
            api.write("database/config/hung", &body)
        });
        wait_for("it hangs", || mark.exists().then_some(()));
        let running = server.plugins_running();
        let mut others = running.into_iter().map(|process| process.pid).filter(|pid| *pid != well);
        let other = others.next().expect("the hanging one runs");
        for _ in 0..20 {
            let asked = Instant::now();
            makes_users(&api, "reader");
            assert!(asked.elapsed() < Duration::from_secs(5), "others wait for it");
        }
        assert!(!hung.is_finished());
        process::kill9(other);
        hung.join().expect("a thread that only asks").refused(&[
            "plugin shutdown",
            "EOF",
            "Unavail",
        ]);
    });
    server.expect_plugins(1);
    server.seal();
    server.expect_plugins(0);
}
