//! Secrets engines and databases as OpenBao tests them: several users of one plugin at once, what
//! is stored surviving a reload.
//!
//! The secrets engine is the SDK's example, in place of Consul's; the database is the Go mock, whose
//! users are lines of a file, in place of PostgreSQL's. Left out on purpose: what the database
//! engine does beyond the scenarios (`database_plugins`).

use crate::{Form, deregister};
use boltwork_e2e::{Answer, Api, Plugin, Server, tools};
use serde_json::json;
use std::fs;
use std::path::Path;

fn server_and_passwords() -> Option<(Server, Plugin)> {
    let server = Server::memory()?;
    let plugin = server.install(&tools::passwords(), "passwords-external");
    plugin.register(&server.api()).status(204);
    Some((server, plugin))
}

fn configure(api: &Api, mount: &str) {
    let role = json!({"length": 20, "ttl": "1h"});
    api.write(&format!("{mount}/roles/app"), &role).status(204);
}

fn lease_of(answer: &Answer) -> String {
    answer.json()["lease_id"].as_str().expect("a lease").to_owned()
}

/// Has a credential made; returns its lease.
fn issues(api: &Api, mount: &str) -> String {
    let made = api.read(&format!("{mount}/creds/app")).ok();
    assert_eq!(made.string("password").len(), 20);
    let lease = lease_of(&made);
    assert!(lease.starts_with(&format!("{mount}/creds/app/")), "{lease}");
    lease
}

fn lookup(api: &Api, lease: &str) -> Answer {
    api.write("sys/leases/lookup", &json!({"lease_id": lease}))
}

#[test]
fn secrets_engine_five_mounts_at_once() {
    let Some((server, plugin)) = server_and_passwords() else { return };
    let api = server.api();
    std::thread::scope(|scope| {
        for number in 0..5 {
            let (api, plugin) = (&api, &plugin);
            scope.spawn(move || {
                let mount = format!("passwords-{number}");
                plugin.enable(api, &mount).status(204);
                configure(api, &mount);
                let lease = issues(api, &mount);
                lookup(api, &lease).ok();
                api.delete(&format!("sys/mounts/{mount}")).status(204);
                assert!(!lookup(api, &lease).succeeded(), "its leases went with the mount");
            });
        }
    });
    server.expect_plugins(0);
    deregister(&api, &plugin);
    plugin.enable(&api, "again").refused(&["plugin not found in the catalog"]);
}

#[test]
fn secrets_engine_reload_keeps_what_is_stored() {
    let Some((server, plugin)) = server_and_passwords() else { return };
    let api = server.api();
    plugin.enable(&api, "passwords").status(204);
    configure(&api, "passwords");
    let before = issues(&api, "passwords");
    let old = server.plugins_running()[0].pid;
    api.write("sys/plugins/reload/backend", &json!({"plugin": "passwords-external"})).ok();
    issues(&api, "passwords");
    server.expect_plugins(1);
    assert_ne!(server.plugins_running()[0].pid, old, "the reload started another process");
    // The new process takes back what the old one gave.
    api.write("sys/leases/revoke", &json!({"lease_id": before, "sync": true})).status(204);
    assert!(!lookup(&api, &before).succeeded());
}

/// A server with the Go mock registered as a database plugin, and the database engine enabled.
fn server_with_database(form: Form) -> Option<Server> {
    let program = tools::mock_database()?;
    let server = Server::memory()?;
    let plugin = server.install(&program, "mock-external").kind("database");
    plugin.args(&[form.argument()]).register(&server.api()).status(204);
    server.api().write("sys/mounts/database", &json!({"type": "database"})).status(204);
    Some(server)
}

/// A connection to a file, and a role of the same name.
fn connect(api: &Api, name: &str, file: &Path) {
    let config = json!({"plugin_name": "mock-external", "allowed_roles": [name], "file": file});
    let answer = api.write(&format!("database/config/{name}"), &config);
    assert!(answer.succeeded(), "{}", answer.text());
    let role = json!({
        "db_name": name, "creation_statements": ["-"], "default_ttl": "1h", "max_ttl": "2h",
    });
    let answer = api.write(&format!("database/roles/{name}"), &role);
    assert!(answer.succeeded(), "{}", answer.text());
}

/// A user from its making to its end, with its lease renewed and looked up between.
fn user_lives(api: &Api, name: &str, file: &Path) {
    let made = api.read(&format!("database/creds/{name}")).ok();
    let (user, password) = (made.string("username"), made.string("password"));
    let line = |text: &str| text.starts_with(&format!("{user} password={password}"));
    assert!(fs::read_to_string(file).is_ok_and(|text| text.lines().any(line)), "{user} is made");
    let lease = lease_of(&made);
    let renew = json!({"lease_id": lease, "increment": 1800});
    assert_eq!(api.write("sys/leases/renew", &renew).ok().json()["renewable"], true);
    assert_eq!(lookup(api, &lease).ok().data()["id"], lease.as_str());
    api.write("sys/leases/revoke", &json!({"lease_id": lease, "sync": true})).status(204);
    lookup(api, &lease).status(400).refused(&["invalid lease"]);
    assert_eq!(fs::read_to_string(file).ok().as_deref(), Some(""), "{user} is gone");
}

fn database(form: Form) {
    let Some(server) = server_with_database(form) else { return };
    let api = server.api();
    std::thread::scope(|scope| {
        for number in 0..5 {
            let (api, server) = (&api, &server);
            scope.spawn(move || {
                let name = format!("db-{number}");
                let file = server.folder().join(&name);
                connect(api, &name, &file);
                user_lives(api, &name, &file);
                let reset = api.write(&format!("database/reset/{name}"), &json!({}));
                assert!(reset.succeeded(), "{}", reset.text());
                user_lives(api, &name, &file);
            });
        }
    });
    server.expect_plugins(form.processes(5));
    api.delete("sys/mounts/database").status(204);
    server.expect_plugins(0);
}

#[test]
fn database_five_connections_at_once_v5_multiplexed() {
    database(Form::Multiplexed);
}

#[test]
fn database_five_connections_at_once_v5() {
    database(Form::Plain);
}

#[test]
fn database_five_connections_at_once_v4() {
    database(Form::Older);
}

fn database_reload(form: Form) {
    let Some(server) = server_with_database(form) else { return };
    if server.is_bao() {
        return tools::skip("OpenBao reloads no database plugins by their type");
    }
    let api = server.api();
    let file = server.folder().join("db");
    connect(&api, "db", &file);
    user_lives(&api, "db", &file);
    let old = server.plugins_running()[0].pid;
    api.write("sys/plugins/reload/database/mock-external", &json!({})).ok();
    user_lives(&api, "db", &file);
    server.expect_plugins(1);
    assert_ne!(server.plugins_running()[0].pid, old, "the reload started another process");
}

#[test]
fn database_reload_keeps_what_is_stored_v5_multiplexed() {
    database_reload(Form::Multiplexed);
}

#[test]
fn database_reload_keeps_what_is_stored_v5() {
    database_reload(Form::Plain);
}

#[test]
fn database_reload_keeps_what_is_stored_v4() {
    database_reload(Form::Older);
}
