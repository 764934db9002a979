//! Leases of an external plugin: kept whatever is killed, taken back in every way, and never
//! forgotten because a backend is down.
//!
//! The plugin is the SDK's example, which says in its log when a password is taken back.

use boltwork_e2e::{Plugin, Server, sha256, tools, wait_for};
use serde_json::json;
use std::fs;

/// A server with the example at `pw/` and two roles: `long`, and `short` for a second.
fn start() -> Option<(Server, Plugin)> {
    let server = Server::disk()?;
    let plugin = server.install(&tools::passwords(), "passwords");
    server.run(&plugin, "pw");
    for (name, ttl) in [("long", "1h"), ("short", "1s")] {
        let role = json!({ "length": 20, "ttl": ttl });
        server.api().write(&format!("pw/roles/{name}"), &role).status(204);
    }
    Some((server, plugin))
}

fn lease(server: &Server, role: &str) -> String {
    let answer = server.api().read(&format!("pw/creds/{role}")).ok();
    answer.json()["lease_id"].as_str().expect("a lease").to_owned()
}

fn is_there(server: &Server, id: &str) -> bool {
    server.api().write("sys/leases/lookup", &json!({ "lease_id": id })).status == 200
}

fn taken_back(server: &Server) -> usize {
    server.log().matches("password revoked").count()
}

#[test]
fn leases_survive_kill_9_of_the_server_and_are_taken_back_at_their_time() {
    let Some((mut server, _)) = start() else { return };
    let (long, short) = (lease(&server, "long"), lease(&server, "short"));
    server.kill9();
    server.restart();
    assert!(is_there(&server, &long));
    wait_for("the short one is taken back", || (!is_there(&server, &short)).then_some(()));
    wait_for("the plugin was asked to", || (taken_back(&server) > 0).then_some(()));
    let revoke = json!({ "lease_id": long, "sync": true });
    server.api().write("sys/leases/revoke", &revoke).status(204);
    assert!(!is_there(&server, &long));
    server.is_well();
}

#[test]
fn a_revocation_that_was_asked_for_survives_kill_9_of_the_server() {
    let Some((mut server, _)) = start() else { return };
    let ids: Vec<String> = (0..5).map(|_| lease(&server, "long")).collect();
    let later = json!({ "sync": false });
    server.api().write("sys/leases/revoke-prefix/pw", &later).status(202);
    server.kill9();
    server.restart();
    for id in ids {
        wait_for("it is taken back", || (!is_there(&server, &id)).then_some(()));
    }
    server.api().list("sys/leases/lookup/pw/creds").status(404);
}

#[test]
fn a_mount_whose_plugin_is_gone_keeps_its_leases_until_they_are_taken_back_or_given_up() {
    let Some((server, plugin)) = start() else { return };
    let (first, second) = (lease(&server, "long"), lease(&server, "long"));
    // It runs, but could not be started again.
    let program = server.plugin_folder().join(&plugin.command);
    let aside = program.with_extension("aside");
    fs::rename(&program, &aside).expect("the program is moved");
    server.seal_and_unseal();
    wait_for("the mount is unavailable", || {
        (server.api().read("pw/creds/long").status >= 500).then_some(())
    });
    // Nothing is forgotten, and the error names the way out.
    let refused = server.api().delete("sys/mounts/pw").status(400);
    assert!(refused.errors().contains("sys/leases/revoke-force/pw/"), "{}", refused.errors());
    let later = json!({ "lease_id": first, "sync": false });
    server.api().write("sys/leases/revoke", &later).status(202);
    assert!(is_there(&server, &first) && is_there(&server, &second));
    // The plugin comes back: what was asked for is done by itself, by either way of asking.
    fs::rename(&aside, &program).expect("the program is back");
    assert_eq!(sha256(&program), plugin.sha256);
    let reload = json!({ "mounts": ["pw/"] });
    server.api().write("sys/plugins/reload/backend", &reload).ok();
    for id in [&first, &second] {
        wait_for("it is taken back", || (!is_there(&server, id)).then_some(()));
    }
    assert_eq!(taken_back(&server), 2);
    // And gone again: whoever insists gets rid of it.
    let third = lease(&server, "long");
    fs::rename(&program, &aside).expect("the program is moved");
    server.seal_and_unseal();
    server.api().write("sys/leases/revoke-force/pw", &json!({})).status(204);
    assert!(!is_there(&server, &third));
    server.api().delete("sys/mounts/pw").status(204);
}

#[test]
fn a_batch_tokens_lease_ends_with_the_tokens_parent() {
    let Some((server, _)) = start() else { return };
    let policy = json!({ "policy": "path \"pw/*\" { capabilities = [\"read\"] }" });
    server.api().write("sys/policies/acl/pw", &policy).status(204);
    let token = |api: &boltwork_e2e::Api, wish: &serde_json::Value| {
        let answer = api.write("auth/token/create", wish).ok();
        answer.json()["auth"]["client_token"].as_str().expect("a token").to_owned()
    };
    let parent = token(&server.api(), &json!({ "policies": ["root"], "ttl": "1h" }));
    let wish = json!({ "type": "batch", "policies": ["pw"], "ttl": "30m" });
    let child = token(&server.api().with_token(&parent), &wish);
    let answer = server.api().with_token(&child).read("pw/creds/long").ok();
    let id = answer.json()["lease_id"].as_str().expect("a lease").to_owned();
    assert!(answer.json()["lease_duration"].as_u64().is_some_and(|ttl| ttl <= 1800));
    server.api().write("auth/token/revoke", &json!({ "token": parent })).status(204);
    wait_for("the lease is gone", || (!is_there(&server, &id)).then_some(()));
    server.api().with_token(&child).read("auth/token/lookup-self").status(403);
}
