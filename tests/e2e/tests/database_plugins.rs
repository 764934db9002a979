//! Database plugins as an operator handles them: registered, configured, and users made with them.
//!
//! One of ours, the SDK's example `nginx_users`, whose database is a file that a test can read.
//! Left out on purpose: what the database engine does beyond that.

use boltwork_e2e::{Api, Kind, Plugin, Scratch, Server, Setup, process, tools, wait_for};
use serde_json::json;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

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
fn our_database_plugin_lives_under_openbao() {
    our_plugin_lives(Kind::Bao);
}

/// OpenBao in its development mode; killed at the end of the test.
struct Dev(Child);

impl Drop for Dev {
    fn drop(&mut self) {
        let plugins = process::children(self.0.id());
        let _ = self.0.kill();
        let _ = self.0.wait();
        // OpenBao's plugins outlive it.
        plugins.iter().filter(|plugin| process::find(plugin.pid).is_some()).for_each(|plugin| {
            process::kill9(plugin.pid);
        });
    }
}

#[test]
fn openbao_in_development_finds_our_database_plugin_in_its_folder() {
    let Some(bao) = tools::bao() else { return };
    let scratch = Scratch::new();
    let address: SocketAddr = TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .expect("a free port");
    let folder = scratch.folder("plugins");
    let copied = Command::new("cp")
        .arg(tools::nginx_users())
        .arg(folder.join("nginx-users"))
        .status()
        .expect("cp runs");
    assert!(copied.success());
    let log = fs::File::create(scratch.path().join("log")).expect("a log");
    let _dev = Dev(Command::new(bao)
        .args(["server", "-dev", "-dev-no-store-token", "-dev-root-token-id=root"])
        .arg(format!("-dev-listen-address={address}"))
        .arg(format!("-dev-plugin-dir={}", folder.display()))
        .env_clear()
        .env("HOME", scratch.path())
        .env("TMPDIR", scratch.path())
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log)
        .spawn()
        .expect("OpenBao can be started"));
    let api = Api::new(address, Some("root"));
    let ask = boltwork_e2e::Call {
        method: "GET".into(),
        target: "/v1/sys/plugins/catalog/database/nginx-users".into(),
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
