//! An auth method as OpenBao tests one: `approle`, ours, as an external plugin at several mounts.
//!
//! Left out on purpose: what `approle` guarantees; its own crate tests that.

use crate::{Form, deregister};
use boltwork_e2e::{Api, Plugin, Server, tools};
use serde_json::{Value, json};

fn server_and_approle() -> Option<(Server, Plugin)> {
    let server = Server::memory()?;
    let plugin = server.install(&tools::our_approle(), "approle-external").kind("auth");
    plugin.register(&server.api()).status(204);
    Some((server, plugin))
}

/// Makes a role with a policy and returns what logs in with it.
fn credentials(api: &Api, mount: &str) -> Value {
    let role = format!("auth/{mount}/role/app");
    api.write(&role, &json!({"token_policies": [mount], "period": "5m"})).status(204);
    let id = api.read(&format!("{role}/role-id")).ok().string("role_id");
    let secret = api.write(&format!("{role}/secret-id"), &json!({})).ok().string("secret_id");
    json!({"role_id": id, "secret_id": secret})
}

/// Logs in and uses the token.
fn logs_in(api: &Api, mount: &str, with: &Value) {
    let answer = api.without_token().write(&format!("auth/{mount}/login"), with).ok().json();
    let token = answer["auth"]["client_token"].as_str().expect("a login gives a token");
    let seen = api.with_token(token).read("auth/token/lookup-self").ok().data();
    assert_eq!(seen["policies"], json!([mount, "default"]));
}

#[test]
fn auth_method_five_mounts_at_once() {
    let Some((server, plugin)) = server_and_approle() else { return };
    let api = server.api();
    std::thread::scope(|scope| {
        for number in 0..5 {
            let (api, plugin) = (&api, &plugin);
            scope.spawn(move || {
                let mount = format!("approle-{number}");
                plugin.enable(api, &mount).status(204);
                let with = credentials(api, &mount);
                logs_in(api, &mount, &with);
                api.delete(&format!("sys/auth/{mount}")).status(204);
                let gone = api.without_token().write(&format!("auth/{mount}/login"), &with);
                assert!(!gone.succeeded(), "a disabled method lets nobody in");
            });
        }
    });
    server.expect_plugins(0);
    deregister(&api, &plugin);
    plugin.enable(&api, "approle-again").refused(&["plugin not found in the catalog"]);
}

#[test]
fn auth_method_reload_keeps_what_is_stored() {
    let Some((server, plugin)) = server_and_approle() else { return };
    let api = server.api();
    plugin.enable(&api, "approle").status(204);
    let with = credentials(&api, "approle");
    logs_in(&api, "approle", &with);
    let before: Vec<u32> = server.plugins_running().iter().map(|process| process.pid).collect();
    api.write("sys/plugins/reload/backend", &json!({"plugin": "approle-external"})).ok();
    logs_in(&api, "approle", &with);
    server.expect_plugins(Form::Multiplexed.processes(1));
    let after: Vec<u32> = server.plugins_running().iter().map(|process| process.pid).collect();
    assert_ne!(before, after, "the reload started another process");
}
