//! Tokens over HTTP: kinds, roles, trees, and wrapping tokens that are used once.

use boltwork_e2e::{Api, Server, wait_for};
use serde_json::{Value, json};

fn token(api: &Api, path: &str, wish: &Value) -> String {
    let answer = api.write(path, wish).ok();
    answer.json()["auth"]["client_token"].as_str().expect("a token").to_owned()
}

#[test]
fn batch_tokens_survive_kill_9_of_the_server_and_a_new_key() {
    let Some(mut server) = Server::disk() else { return };
    let wish = json!({ "type": "batch", "policies": ["default"], "ttl": "1h" });
    let old = token(&server.api(), "auth/token/create", &wish);
    server.api().write("sys/rotate", &json!({})).status(204);
    let new = token(&server.api(), "auth/token/create", &wish);
    server.kill9();
    server.restart();
    for token in [&old, &new] {
        let shown = server.api().with_token(token).read("auth/token/lookup-self").ok();
        assert_eq!(shown.string("type"), "batch");
        server.api().with_token(token).read("sys/mounts").status(403);
    }
}

#[test]
fn a_role_decides_about_the_tokens_made_against_it() {
    let Some(server) = Server::memory() else { return };
    let role = json!({
        "allowed_policies_glob": "dev-*", "orphan": true, "token_period": "10m",
        "token_num_uses": 3, "path_suffix": "rev1",
    });
    server.api().write("auth/token/roles/dev", &role).status(204);
    let refused = server.api().write("auth/token/create/dev", &json!({ "policies": ["ops"] }));
    assert!(refused.status(400).errors().contains("must be subset of the role's allowed policies"));
    let made = token(&server.api(), "auth/token/create/dev", &json!({ "policies": ["dev-web"] }));
    let shown = server.api().with_token(&made).read("auth/token/lookup-self").ok().data();
    assert_eq!(shown["policies"], json!(["default", "dev-web"]));
    assert_eq!((&shown["orphan"], &shown["role"]), (&json!(true), &json!("dev")));
    assert_eq!(shown["path"], "auth/token/create/dev/rev1");
    // Two of three uses are left after this one.
    assert_eq!(shown["num_uses"], 2);
}

#[test]
fn a_use_is_spent_even_where_the_policy_refuses() {
    let Some(server) = Server::memory() else { return };
    let wish = json!({ "policies": ["default"], "num_uses": 2 });
    let token = token(&server.api(), "auth/token/create", &wish);
    let api = server.api().with_token(&token);
    api.read("sys/mounts").status(403);
    api.read("auth/token/lookup-self").status(200);
    api.read("auth/token/lookup-self").status(403);
}

#[test]
fn of_many_unwraps_at_once_exactly_one_wins() {
    let Some(server) = Server::memory() else { return };
    for _ in 0..5 {
        let made = server.api().send(&boltwork_e2e::Call {
            method: "POST".into(),
            target: "/v1/sys/wrapping/wrap".into(),
            headers: vec![("X-Vault-Wrap-TTL".into(), "60".into())],
            body: Some(br#"{"a":"b"}"#.to_vec()),
        });
        let made = made.ok().json();
        let wrapping = made["wrap_info"]["token"].as_str().expect("a wrapping token").to_owned();
        let won: Vec<bool> = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..8)
                .map(|number| {
                    let (server, wrapping) = (&server, &wrapping);
                    scope.spawn(move || {
                        // In the header, or in the body beside another token.
                        let answer = match number % 2 {
                            0 => server
                                .api()
                                .with_token(wrapping)
                                .write("sys/wrapping/unwrap", &json!({})),
                            _ => server
                                .api()
                                .write("sys/wrapping/unwrap", &json!({ "token": wrapping })),
                        };
                        answer.status == 200
                    })
                })
                .collect();
            tries.into_iter().map(|one| one.join().expect("no panic")).collect()
        });
        assert_eq!(won.into_iter().filter(|won| *won).count(), 1);
    }
}

#[test]
fn tidying_answers_at_once_and_leaves_what_is_good() {
    let Some(server) = Server::memory() else { return };
    let token = token(&server.api(), "auth/token/create", &json!({ "ttl": "1h" }));
    let api = server.api().with_token(&token);
    api.write("cubbyhole/mine", &json!({ "a": "b" })).status(204);
    let begun = server.api().write("auth/token/tidy", &json!({})).status(202);
    let warning = begun.json()["warnings"][0].as_str().expect("a warning").to_owned();
    assert!(warning.starts_with("Tidy operation successfully started."), "{warning}");
    wait_for("it is done", || {
        server.log().contains("finished tidy operation on tokens").then_some(())
    });
    assert_eq!(api.read("cubbyhole/mine").ok().string("a"), "b");
}
