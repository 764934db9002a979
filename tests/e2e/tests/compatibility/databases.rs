//! Database plugins of other people, and the life that each is led through: below the database
//! engine, with two connections.
//!
//! Left out on purpose: databases that cannot be had here and are not stood in for.

use crate::cache::Cache;
use crate::life::{Foreign, Verdict, kill, leaves_nothing, pids, protocol};
use crate::search::Search;
use boltwork_e2e::{Api, Server, tools, wait_for};
use serde_json::{Value, json};

/// What a plugin manages.
pub trait Database {
    /// What a connection is configured with, besides the plugin.
    fn config(&self) -> Value;
    /// How a role makes its users.
    fn creation(&self) -> String;
    /// Whether a user with this password is let in.
    fn lets_in(&self, name: &str, password: &str) -> bool;
}

const CONNECTIONS: [&str; 2] = ["one", "two"];

fn configure(api: &Api, plugin: &str, connection: &str, database: &dyn Database) {
    let mut config = database.config();
    config["plugin_name"] = json!(plugin);
    config["allowed_roles"] = json!([connection]);
    let answer = api.write(&format!("database/config/{connection}"), &config);
    assert!(answer.succeeded(), "{}", answer.text());
    let role = json!({
        "db_name": connection, "creation_statements": [database.creation()], "default_ttl": "1h",
        "revocation_statements": [database.creation()],
    });
    let answer = api.write(&format!("database/roles/{connection}"), &role);
    assert!(answer.succeeded(), "{}", answer.text());
}

/// A user is made, let in, and gone with its lease.
fn works(api: &Api, connection: &str, database: &dyn Database) {
    let made = api.read(&format!("database/creds/{connection}")).ok();
    let (name, password) = (made.string("username"), made.string("password"));
    assert!(database.lets_in(&name, &password));
    assert!(!database.lets_in(&name, "another"));
    let lease = made.json()["lease_id"].as_str().expect("a lease").to_owned();
    api.write("sys/leases/renew", &json!({"lease_id": lease, "increment": 600})).ok();
    assert!(database.lets_in(&name, &password));
    api.write("sys/leases/revoke", &json!({"lease_id": lease, "sync": true})).status(204);
    assert!(!database.lets_in(&name, &password), "a revoked lease leaves nobody");
}

fn lead(foreign: &Foreign, database: &dyn Database) {
    let Some(program) = foreign.program() else { return };
    let Some(server) = Server::memory() else { return };
    if server.is_bao() {
        return tools::skip("OpenBao reloads no database plugins");
    }
    let verdict = Verdict(foreign.plugin);
    let api = server.api();
    let plugin = foreign.install(&server, &program);
    plugin.register(&api).status(204);
    api.write("sys/mounts/database", &json!({"type": "database"})).status(204);
    for connection in CONNECTIONS {
        configure(&api, &plugin.name, connection, database);
    }
    let all_work = || CONNECTIONS.iter().for_each(|each| works(&api, each, database));
    all_work();
    let seen = protocol(&server);
    kill(&server);
    all_work();
    let before = pids(&server);
    api.write(&format!("sys/plugins/reload/database/{}", plugin.name), &json!({})).ok();
    all_work();
    // The old processes end when the calls in them have.
    wait_for("the reload has started it anew", || {
        let now = pids(&server);
        (!now.is_empty() && now.iter().all(|pid| !before.contains(pid))).then_some(())
    });
    server.seal_and_unseal();
    all_work();
    api.delete("sys/mounts/database").status(204);
    leaves_nothing(&server, &plugin);
    // From here on a panic says that the table differs, not that the plugin fails.
    drop(verdict);
    foreign.record(&program, seen);
}

#[test]
fn vault_plugin_database_redis() {
    let Some(cache) = Cache::start() else { return };
    let foreign = Foreign {
        plugin: "vault-plugin-database-redis@v0.7.0",
        kind: "database",
        scenario: "a leased user in a real `redis-server`, gone when revoked",
        env: &[],
    };
    lead(&foreign, &cache);
}

#[test]
fn vault_plugin_database_elasticsearch() {
    let foreign = Foreign {
        plugin: "vault-plugin-database-elasticsearch@v0.19.0",
        kind: "database",
        scenario: "a leased user and its role in a stand-in, gone when revoked",
        env: &[],
    };
    lead(&foreign, &Search::start());
}
