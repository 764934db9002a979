//! What changes while users are there: their end, the credential of static roles, the rules for
//! passwords, and the plugin itself.

use boltwork_e2e::postgres::{Postgres, Running};
use boltwork_e2e::{Server, process, wait_for};
use serde_json::json;

use super::{Home, connect, enabled, revoke, role, user, users};

/// When PostgreSQL takes a user's password no longer, in seconds since 1970.
fn end(postgres: &Running, user: &str) -> u64 {
    let sql = format!(
        "SELECT extract(epoch FROM rolvaliduntil)::bigint FROM pg_roles WHERE rolname = '{user}'"
    );
    postgres.query(&sql)[0].parse().expect("a number of seconds")
}

#[test]
fn a_renewal_moves_the_users_end_in_the_database() {
    let Some(postgres) = Postgres::default().start() else { return };
    let Some(server) = Server::memory() else { return };
    let api = server.api();
    let plugin = enabled(&server, Home::BuiltIn);
    connect(&api, &plugin, &postgres);
    role(&api, "app", json!({"default_ttl": "10m", "max_ttl": "2h"}));
    let user = user(&api, "app");
    let first = end(&postgres, &user.name);
    let body = json!({"lease_id": user.lease, "increment": 3600});
    assert!(api.write("sys/leases/renew", &body).succeeded());
    let second = end(&postgres, &user.name);
    assert!(second > first + 2000, "{first} became {second}");
    assert!(postgres.admits(&user.name, &user.password));
}

#[test]
fn a_static_role_changes_its_password_when_its_period_is_over() {
    let Some(postgres) = Postgres::default().start() else { return };
    let Some(server) = Server::memory() else { return };
    let api = server.api();
    let plugin = enabled(&server, Home::BuiltIn);
    connect(&api, &plugin, &postgres);
    postgres.query("CREATE ROLE settled LOGIN PASSWORD 'of-before'");
    let settled = json!({"db_name": "pg", "username": "settled", "rotation_period": 5});
    assert!(api.write("database/static-roles/settled", &settled).succeeded());
    let password = || api.read("database/static-creds/settled").ok().string("password");
    let first = password();
    wait_for("the period is over", || (password() != first).then_some(()));
    assert!(!postgres.admits("settled", &first), "the old one is refused");
    // It may change once more between the two questions, but not each time.
    wait_for("the new one is good", || postgres.admits("settled", &password()).then_some(()));
}

#[test]
fn passwords_are_made_by_the_policy_of_the_connection() {
    let Some(postgres) = Postgres::default().start() else { return };
    let Some(server) = Server::memory() else { return };
    let api = server.api();
    let plugin = enabled(&server, Home::BuiltIn);
    let policy = "length = 24\nrule \"charset\" { charset = \"xyz\" }";
    assert!(api.write("sys/policies/password/few", &json!({"policy": policy})).succeeded());
    connect(&api, &plugin, &postgres);
    role(&api, "app", json!({}));
    let before = user(&api, "app");
    assert!(!before.password.chars().all(|letter| "xyz".contains(letter)));
    assert!(api.write("database/config/pg", &json!({"password_policy": "few"})).succeeded());
    let user = user(&api, "app");
    assert_eq!(user.password.len(), 24);
    assert!(user.password.chars().all(|letter| "xyz".contains(letter)));
    assert!(postgres.admits(&user.name, &user.password));
}

#[test]
fn a_reloaded_plugin_makes_and_removes_users_with_a_fresh_process() {
    let Some(postgres) = Postgres::default().start() else { return };
    let Some(server) = Server::memory() else { return };
    let api = server.api();
    let plugin = enabled(&server, Home::External);
    connect(&api, &plugin, &postgres);
    role(&api, "app", json!({}));
    for path in ["sys/plugins/reload/database/our-postgresql", "database/reload/our-postgresql"] {
        let kept = user(&api, "app");
        let before = server.plugins_running()[0].pid;
        assert!(api.write(path, &json!({})).succeeded(), "{path}");
        let fresh = user(&api, "app");
        assert!(postgres.admits(&fresh.name, &fresh.password), "{path}");
        wait_for("the process is a fresh one", || (!process::runs(before)).then_some(()));
        revoke(&api, &kept.lease);
        revoke(&api, &fresh.lease);
        assert!(users(&postgres).is_empty(), "{path}");
        server.expect_plugins(1);
    }
}
