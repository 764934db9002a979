//! What dies while a user is being made: afterwards there is a user with its lease, or neither.
//!
//! Left out on purpose: a user that was committed and whose lease never was, which only an exact
//! moment brings about; the engine's own tests do (`plugins/secret-database/tests/users.rs`).

use boltwork_e2e::postgres::{Postgres, Running};
use boltwork_e2e::{Api, Call, Server, process, wait_for};
use serde_json::json;

use super::{CREATION, Home, connect, enabled, made, revoke, role, users};

/// Statements that commit nothing for the time that a test needs to kill somebody.
const SLOW: &str = "SELECT pg_sleep(30)";

/// Two roles: one whose users take long, after everything else of them is done, and an ordinary one.
fn slow_and_quick(api: &Api) {
    role(api, "slow", json!({"creation_statements": format!("{CREATION}; {SLOW};")}));
    role(api, "quick", json!({}));
}

/// Waits until the database is at it.
fn is_slow(postgres: &Running) {
    let busy = "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(30)%' AND pid <> pg_backend_pid()";
    wait_for("a user is being made", || (!postgres.query(busy).is_empty()).then_some(()));
}

/// Kills somebody while a user is being made. The caller is told, and nothing is left.
fn interrupted(api: &Api, postgres: &Running, kill: impl FnOnce()) {
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| api.read("database/creds/slow"));
        is_slow(postgres);
        kill();
        let answer = asked.join().expect("there is an answer");
        assert!(!answer.succeeded(), "{}", answer.status);
        assert!(!answer.text().contains(postgres.password()), "{}", answer.text());
    });
}

/// Nothing is left of what was interrupted, and the next user is whole.
fn is_whole_again(api: &Api, postgres: &Running) {
    // PostgreSQL notices that its client is gone when it next wants to tell it something.
    postgres.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND pid <> pg_backend_pid()",
    );
    wait_for("half a user is rolled back", || users(postgres).is_empty().then_some(()));
    api.list("sys/leases/lookup/database/creds/slow").status(404);
    let next = wait_for("the next user", || {
        let answer = api.read("database/creds/quick");
        answer.succeeded().then_some(answer)
    });
    let next = made(next);
    assert!(postgres.admits(&next.name, &next.password));
    assert_eq!(users(postgres), std::slice::from_ref(&next.name));
    revoke(api, &next.lease);
    assert!(users(postgres).is_empty());
}

fn database_dies(home: Home) {
    let Some(mut postgres) = Postgres::default().start() else { return };
    let Some(server) = Server::disk() else { return };
    let api = server.api();
    let plugin = enabled(&server, home);
    connect(&api, &plugin, &postgres);
    slow_and_quick(&api);
    interrupted(&api, &postgres, || postgres.crash());
    postgres.recover();
    is_whole_again(&api, &postgres);
}

#[test]
fn a_database_killed_while_it_makes_a_user_has_neither_user_nor_lease() {
    database_dies(Home::BuiltIn);
}

#[test]
fn a_database_killed_under_our_program_has_neither_user_nor_lease() {
    database_dies(Home::External);
}

#[test]
fn a_plugin_killed_while_it_makes_a_user_leaves_neither_user_nor_lease() {
    let Some(postgres) = Postgres::default().start() else { return };
    let Some(server) = Server::disk() else { return };
    let api = server.api();
    let plugin = enabled(&server, Home::External);
    connect(&api, &plugin, &postgres);
    slow_and_quick(&api);
    let running = server.plugins_running();
    assert_eq!(running.len(), 1);
    interrupted(&api, &postgres, || process::kill9(running[0].pid));
    is_whole_again(&api, &postgres);
    server.expect_plugins(1);
}

#[test]
fn a_server_killed_while_it_makes_a_user_leaves_neither_user_nor_lease() {
    let Some(postgres) = Postgres::default().start() else { return };
    let Some(mut server) = Server::disk() else { return };
    let api = server.api();
    let plugin = enabled(&server, Home::BuiltIn);
    connect(&api, &plugin, &postgres);
    slow_and_quick(&api);
    let ask =
        Call { method: "GET".into(), target: "/v1/database/creds/slow".into(), ..Call::default() };
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| api.try_send(&ask));
        is_slow(&postgres);
        server.kill9();
        assert!(asked.join().expect("a thread that only asks").is_err(), "nobody answers");
    });
    server.restart();
    is_whole_again(&server.api(), &postgres);
}
