//! The database engine with a real PostgreSQL: our plugin built in, as a program of its own, and
//! under OpenBao; and what is left when something dies in the middle.
//!
//! Left out on purpose: what needs no database (`differential`), and other people's plugins
//! (`database_plugins.rs`, `compatibility`).

mod changes;
mod faults;

use boltwork_e2e::postgres::{Postgres, Running, SUPERUSER};
use boltwork_e2e::{Answer, Api, Kind, Plugin, Server, Setup, Storage, process, tools, wait_for};
use serde_json::{Value, json};

const BUILT_IN: &str = "postgresql-database-plugin";
const CREATION: &str = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' \
                        VALID UNTIL '{{expiration}}'";

/// Where the plugin lives.
#[derive(Clone, Copy, PartialEq)]
enum Home {
    BuiltIn,
    External,
}

/// A server with the engine at `database/`, and the name of the plugin.
fn enabled(server: &Server, home: Home) -> String {
    let api = server.api();
    api.write("sys/mounts/database", &json!({"type": "database"})).status(204);
    if home == Home::BuiltIn {
        return BUILT_IN.to_owned();
    }
    let plugin = server.install(&tools::our_postgresql(), "our-postgresql");
    Plugin { kind: "database".into(), ..plugin }.register(&api).status(204);
    "our-postgresql".to_owned()
}

/// Configures the connection `pg` with the superuser, for all roles.
fn connect(api: &Api, plugin: &str, postgres: &Running) {
    let config = json!({"plugin_name": plugin, "connection_url": postgres.url(), "allowed_roles": "*",
        "username": SUPERUSER, "password": postgres.password()});
    let answer = api.write("database/config/pg", &config);
    assert!(answer.succeeded(), "{}", answer.text());
}

fn role(api: &Api, name: &str, more: Value) {
    let mut role = json!({"db_name": "pg", "default_ttl": "1h", "creation_statements": CREATION});
    role.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let answer = api.write(&format!("database/roles/{name}"), &role);
    assert!(answer.succeeded(), "{}", answer.text());
}

/// A user that was made.
struct User {
    name: String,
    password: String,
    lease: String,
}

fn made(answer: Answer) -> User {
    let (name, password) = (answer.string("username"), answer.string("password"));
    let lease = answer.json()["lease_id"].as_str().expect("a lease").to_owned();
    User { name, password, lease }
}

fn user(api: &Api, role: &str) -> User {
    made(api.read(&format!("database/creds/{role}")).ok())
}

fn revoke(api: &Api, lease: &str) {
    let answer = api.write("sys/leases/revoke", &json!({"lease_id": lease, "sync": true}));
    assert!(answer.succeeded(), "{}", answer.text());
}

/// Roles that the engine made, by their names.
fn users(postgres: &Running) -> Vec<String> {
    postgres.query("SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%' ORDER BY 1")
}

fn life(server: &Server, home: Home) {
    let Some(postgres) = Postgres::default().start() else { return };
    let api = server.api();
    let plugin = enabled(server, home);
    connect(&api, &plugin, &postgres);
    let shown = api.read("database/config/pg").ok();
    assert!(!shown.text().contains(postgres.password()), "{}", shown.text());
    role(&api, "app", json!({}));
    let one = user(&api, "app");
    assert!(postgres.admits(&one.name, &one.password), "{} logs in", one.name);
    assert!(one.name.starts_with("v-"), "{}", one.name);
    let renewed = api.write("sys/leases/renew", &json!({"lease_id": one.lease}));
    assert!(renewed.succeeded(), "{}", renewed.text());
    api.write("sys/leases/lookup", &json!({"lease_id": one.lease})).ok();
    revoke(&api, &one.lease);
    assert!(!postgres.has_role(&one.name));
    assert!(!api.write("sys/leases/lookup", &json!({"lease_id": one.lease})).succeeded());

    // Its plugin dies: the next request but one is served at the latest.
    if home == Home::External {
        for child in server.plugins_running() {
            process::kill9(child.pid);
        }
        wait_for("users are made again", || {
            api.read("database/creds/app").succeeded().then_some(())
        });
        api.write("sys/leases/revoke-prefix/database/creds/app", &json!({"sync": true}));
        wait_for("they are gone", || users(&postgres).is_empty().then_some(()));
    }

    postgres.query("CREATE ROLE settled LOGIN PASSWORD 'of-before'");
    let settled = json!({"db_name": "pg", "username": "settled", "rotation_period": 86400});
    let answer = api.write("database/static-roles/settled", &settled);
    assert!(answer.succeeded(), "{}", answer.text());
    let first = api.read("database/static-creds/settled").ok().string("password");
    assert!(postgres.admits("settled", &first) && !postgres.admits("settled", "of-before"));
    let answer = api.write("database/rotate-role/settled", &json!({}));
    assert!(answer.succeeded(), "{}", answer.text());
    let second = api.read("database/static-creds/settled").ok().string("password");
    assert!(postgres.admits("settled", &second) && !postgres.admits("settled", &first));

    let answer = api.write("database/rotate-root/pg", &json!({}));
    assert!(answer.succeeded(), "{}", answer.text());
    assert!(!postgres.admits(SUPERUSER, postgres.password()), "only the server knows it now");
    let last = user(&api, "app");
    assert!(api.write("database/reset/pg", &json!({})).succeeded());
    revoke(&api, &last.lease);
    api.delete("sys/mounts/database").status(204);
    server.expect_plugins(0);
}

#[test]
fn our_postgresql_plugin_lives_built_in() {
    let Some(server) = Server::disk() else { return };
    life(&server, Home::BuiltIn);
}

#[test]
fn our_postgresql_plugin_lives_as_a_program_of_its_own() {
    let Some(server) = Server::disk() else { return };
    life(&server, Home::External);
}

#[test]
fn our_postgresql_plugin_lives_under_openbao() {
    let setup = Setup { kind: Kind::Bao, storage: Storage::Disk, ..Setup::default() };
    let Some(server) = setup.start() else { return };
    life(&server, Home::External);
}

#[test]
fn five_connections_make_users_at_the_same_time() {
    let Some(postgres) = Postgres::default().start() else { return };
    let Some(server) = Server::memory() else { return };
    let api = server.api();
    let plugin = enabled(&server, Home::External);
    let names = ["one", "two", "three", "four", "five"];
    std::thread::scope(|scope| {
        for name in names {
            let (api, plugin, postgres) = (&api, &plugin, &postgres);
            scope.spawn(move || {
                let config = json!({"plugin_name": plugin, "connection_url": postgres.url(),
                    "allowed_roles": "*", "username": SUPERUSER, "password": postgres.password()});
                let answer = api.write(&format!("database/config/{name}"), &config);
                assert!(answer.succeeded(), "{}", answer.text());
                role(api, name, json!({"db_name": name}));
                let user = user(api, name);
                assert!(postgres.admits(&user.name, &user.password));
                revoke(api, &user.lease);
            });
        }
    });
    assert!(users(&postgres).is_empty());
    // The plugin multiplexes: five connections, one process.
    server.expect_plugins(1);
}

#[test]
fn what_the_database_says_is_passed_on_without_the_password() {
    let Some(postgres) = Postgres::default().start() else { return };
    let Some(server) = Server::memory() else { return };
    let api = server.api();
    enabled(&server, Home::BuiltIn);
    let wrong = json!({"plugin_name": BUILT_IN, "connection_url": postgres.url(),
        "username": SUPERUSER, "password": "hunter2", "allowed_roles": "*"});
    let answer = api.write("database/config/pg", &wrong).status(400);
    let said = answer.errors();
    assert!(said.contains("error creating database object: "), "{said}");
    assert!(said.contains("password authentication failed"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    connect(&api, BUILT_IN, &postgres);
    role(
        &api,
        "bad",
        json!({"creation_statements": "CREATE NONSENSE \"{{name}}\" '{{password}}'"}),
    );
    let said = api.read("database/creds/bad").status(500).errors();
    assert!(said.contains("syntax error"), "{said}");
    assert!(!said.contains(postgres.password()) && !server.log().contains(postgres.password()));
    assert!(users(&postgres).is_empty());
}

#[test]
fn a_user_that_is_made_in_two_halves_is_not_left_by_half() {
    let Some(postgres) = Postgres::default().start() else { return };
    let Some(server) = Server::memory() else { return };
    let api = server.api();
    enabled(&server, Home::BuiltIn);
    connect(&api, BUILT_IN, &postgres);
    role(&api, "half", json!({"creation_statements": format!("{CREATION}; SELECT 1/0;")}));
    let said = api.read("database/creds/half").status(500).errors();
    assert!(said.contains("division by zero"), "{said}");
    assert!(users(&postgres).is_empty());
    api.list("sys/leases/lookup/database/creds/half").status(404);
}

#[test]
fn a_lease_waits_for_a_database_that_is_down_and_is_revoked_when_it_is_back() {
    let Some(mut postgres) = Postgres::default().start() else { return };
    let Some(mut server) = Server::disk() else { return };
    let api = server.api();
    enabled(&server, Home::BuiltIn);
    connect(&api, BUILT_IN, &postgres);
    role(&api, "app", json!({}));
    let user = user(&api, "app");
    postgres.crash();
    let refused = api.write("sys/leases/revoke", &json!({"lease_id": user.lease, "sync": true}));
    assert!(!refused.succeeded(), "nothing was revoked");
    assert!(!api.read("database/creds/app").succeeded(), "nor is anything made");
    // The server forgets nothing, even if it is killed now.
    server.kill9();
    postgres.recover();
    assert!(postgres.has_role(&user.name));
    server.restart();
    wait_for("the lease is revoked", || (!postgres.has_role(&user.name)).then_some(()));
}

#[test]
fn a_server_that_is_killed_keeps_the_leases_that_it_gave() {
    let Some(postgres) = Postgres::default().start() else { return };
    let Some(mut server) = Server::disk() else { return };
    let api = server.api();
    enabled(&server, Home::External);
    connect(&api, "our-postgresql", &postgres);
    role(&api, "app", json!({}));
    let kept: Vec<User> = (0..5).map(|_| user(&api, "app")).collect();
    server.kill9();
    server.restart();
    for user in &kept {
        assert!(postgres.admits(&user.name, &user.password));
        wait_for("the lease is there", || {
            let body = json!({"lease_id": user.lease});
            server.api().write("sys/leases/lookup", &body).succeeded().then_some(())
        });
        revoke(&server.api(), &user.lease);
    }
    assert!(users(&postgres).is_empty());
}

#[test]
fn a_slow_database_holds_up_nobody_elses_connection() {
    let Some(postgres) = Postgres::default().start() else { return };
    let Some(server) = Server::memory() else { return };
    let api = server.api();
    enabled(&server, Home::BuiltIn);
    connect(&api, BUILT_IN, &postgres);
    role(&api, "quick", json!({}));
    role(&api, "slow", json!({"creation_statements": format!("SELECT pg_sleep(4); {CREATION}")}));
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| user(&api, "slow"));
        // While the slow one is at it, any number of quick ones.
        let mut quick = 0;
        while !slow.is_finished() {
            revoke(&api, &user(&api, "quick").lease);
            quick += 1;
        }
        let slow = slow.join().expect("it is made in the end");
        assert!(quick > 3, "only {quick} were made meanwhile");
        revoke(&api, &slow.lease);
    });
    assert!(users(&postgres).is_empty());
}
