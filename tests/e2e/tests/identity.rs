//! Who callers are: a login makes an entity, groups grant, templates confine, plugins can ask.
//!
//! Left out on purpose: what every answer looks like; `differential` compares that.

use boltwork_e2e::{Answer, Api, Call, Server, tools};
use serde_json::{Value, json};

/// A server with `userpass` at `auth/one/` and `auth/two/`, and kv version 1 at `kv/`.
fn prepared(server: Option<Server>) -> Option<Server> {
    let server = server?;
    let api = server.api();
    for mount in ["one", "two"] {
        api.write(&format!("sys/auth/{mount}"), &json!({"type": "userpass"})).status(204);
    }
    api.write("sys/mounts/kv", &json!({"type": "kv"})).status(204);
    Some(server)
}

fn accessor(api: &Api, mount: &str) -> String {
    let auths = api.read("sys/auth").ok().data();
    auths[format!("{mount}/")]["accessor"].as_str().expect("an accessor").to_owned()
}

fn add_user(api: &Api, mount: &str, name: &str, policies: &str) {
    let user = json!({"password": "pw", "policies": policies});
    api.write(&format!("auth/{mount}/users/{name}"), &user).ok();
}

fn try_login(server: &Server, mount: &str, name: &str) -> Answer {
    server.public().write(&format!("auth/{mount}/login/{name}"), &json!({"password": "pw"}))
}

/// The login of a user: its `auth`.
fn login(server: &Server, mount: &str, name: &str) -> Value {
    try_login(server, mount, name).status(200).json()["auth"].clone()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

fn policy(api: &Api, name: &str, rules: &str) {
    api.write(&format!("sys/policies/acl/{name}"), &json!({"policy": rules})).status(204);
}

#[test]
fn a_userpass_login_makes_an_entity_and_the_same_name_elsewhere_is_somebody_else() {
    let Some(server) = prepared(Server::memory()) else { return };
    let api = server.api();
    for mount in ["one", "two"] {
        add_user(&api, mount, "alice", "default");
    }
    let first = login(&server, "one", "alice");
    let id = text(&first, "entity_id").to_owned();
    assert_eq!(text(&login(&server, "one", "alice"), "entity_id"), id);
    let other = text(&login(&server, "two", "alice"), "entity_id").to_owned();
    assert_ne!(other, id);
    let own = server.api().with_token(text(&first, "client_token"));
    assert_eq!(own.read("auth/token/lookup-self").ok().string("entity_id"), id);
    // By the default policy everybody sees themselves, and nobody else.
    let entity = own.read(&format!("identity/entity/id/{id}")).status(200).data();
    assert_eq!(entity["aliases"][0]["name"], "alice");
    assert_eq!(entity["aliases"][0]["mount_path"], "auth/one/");
    own.read(&format!("identity/entity/id/{other}")).status(403);
    // Both names can be made one person's.
    let merge = json!({"to_entity_id": id, "from_entity_ids": [other]});
    api.write("identity/entity/merge", &merge).status(204);
    assert_eq!(text(&login(&server, "two", "alice"), "entity_id"), id);
    let listed = api.list("identity/entity/id").status(200).data();
    assert_eq!(listed["keys"], json!([id]));
    let mounts: Vec<_> = listed["key_info"][&id]["aliases"]
        .as_array()
        .expect("aliases")
        .iter()
        .map(|alias| alias["mount_path"].clone())
        .collect();
    assert_eq!(mounts, ["auth/one/", "auth/two/"]);
    // A mount that is gone takes its names along: at a new one under the old path everybody is new.
    api.delete("sys/auth/two").ok();
    api.write("sys/auth/two", &json!({"type": "userpass"})).status(204);
    add_user(&api, "two", "alice", "default");
    assert_ne!(text(&login(&server, "two", "alice"), "entity_id"), id);
}

#[test]
fn groups_grant_and_take_away_while_tokens_stay() {
    let Some(server) = prepared(Server::memory()) else { return };
    let api = server.api();
    api.write("kv/shared", &json!({"value": 1})).status(204);
    policy(&api, "shared", r#"path "kv/shared" { capabilities = ["read"] }"#);
    add_user(&api, "one", "alice", "default");
    let auth = login(&server, "one", "alice");
    let own = api.with_token(text(&auth, "client_token"));
    own.read("kv/shared").status(403);
    let group = json!({"name": "team", "member_entity_ids": [auth["entity_id"]]});
    let team = api.write("identity/group", &group).status(200).string("id");
    own.read("kv/shared").status(403);
    let outer = json!({"name": "all", "policies": "shared", "member_group_ids": [team]});
    api.write("identity/group", &outer).status(200);
    own.read("kv/shared").status(200);
    let looked_up = own.read("auth/token/lookup-self").ok().data();
    assert_eq!(looked_up["identity_policies"], json!(["shared"]));
    assert_eq!(looked_up["policies"], json!(["default"]));
    api.write("identity/group/name/team", &json!({"member_entity_ids": []})).status(204);
    own.read("kv/shared").status(403);
    let entity = format!("identity/entity/id/{}", text(&auth, "entity_id"));
    api.write(&entity, &json!({"policies": "shared"})).status(204);
    own.read("kv/shared").status(200);
    api.write(&entity, &json!({"disabled": true})).status(204);
    own.read("auth/token/lookup-self").status(403);
    try_login(&server, "one", "alice").status(403);
    api.write(&entity, &json!({"disabled": false})).status(204);
    own.read("kv/shared").status(200);
    api.delete(&entity).status(204);
    own.read("kv/shared").status(403);
}

#[test]
fn a_templated_policy_gives_everybody_their_own_folder_whatever_they_are_called() {
    let Some(server) = prepared(Server::memory()) else { return };
    let api = server.api();
    let one = accessor(&api, "one");
    policy(
        &api,
        "own",
        &format!(
            "path \"kv/users/{{{{identity.entity.aliases.{one}.name}}}}/*\" {{\n\
             capabilities = [\"create\", \"read\", \"update\"]\n}}\n\
             path \"kv/teams/{{{{identity.entity.metadata.team}}}}\" {{\n\
             capabilities = [\"read\"]\n}}"
        ),
    );
    for path in ["kv/users/alice/key", "kv/users/bob/key", "kv/teams/blue", "kv/users/x"] {
        api.write(path, &json!({"value": path})).status(204);
    }
    let log_in = |name: &str| {
        add_user(&api, "one", name, "own");
        let auth = login(&server, "one", name);
        (api.with_token(text(&auth, "client_token")), text(&auth, "entity_id").to_owned())
    };
    let (alice, id) = log_in("alice");
    let (bob, _) = log_in("bob");
    alice.read("kv/users/alice/key").status(200);
    alice.write("kv/users/alice/new", &json!({"a": 1})).ok();
    alice.read("kv/users/bob/key").status(403);
    bob.read("kv/users/bob/key").status(200);
    bob.read("kv/users/alice/key").status(403);
    alice.read("kv/teams/blue").status(403);
    let metadata = |team: &str| {
        let body = json!({"metadata": {"team": team}});
        api.write(&format!("identity/entity/id/{id}"), &body).status(204);
    };
    metadata("blue");
    alice.read("kv/teams/blue").status(200);
    // Whoever may write metadata or choose a name must not reach further by it.
    for team in ["*", "+", "b*", "", "{{identity.entity.id}}"] {
        metadata(team);
        // OpenBao answers 400 to some of these.
        assert!(!alice.read("kv/teams/blue").succeeded(), "{team:?}");
    }
    for encoded in ["%2B", "*", "%2A", "al*", "..", "alice%2Fkey"] {
        add_user_raw(&api, encoded);
        let answer = server.public().send(&Call {
            method: "POST".into(),
            target: format!("/v1/auth/one/login/{encoded}"),
            headers: Vec::new(),
            body: Some(br#"{"password":"pw"}"#.to_vec()),
        });
        // Some names cannot be had at all, which is fine, too.
        if !answer.succeeded() {
            continue;
        }
        let them = api.with_token(text(&answer.json()["auth"], "client_token"));
        for path in ["kv/users/alice/key", "kv/users/bob/key"] {
            them.read(path).status(403);
        }
    }
}

fn add_user_raw(api: &Api, encoded: &str) {
    api.send(&Call {
        method: "POST".into(),
        target: format!("/v1/auth/one/users/{encoded}"),
        headers: Vec::new(),
        body: Some(br#"{"password":"pw","policies":"own"}"#.to_vec()),
    });
}

#[test]
fn entities_groups_and_what_they_grant_survive_a_killed_server() {
    let Some(mut server) = prepared(Server::disk()) else { return };
    let api = server.api();
    api.write("kv/shared", &json!({"value": 1})).status(204);
    policy(&api, "shared", r#"path "kv/shared" { capabilities = ["read"] }"#);
    add_user(&api, "one", "alice", "default");
    let auth = login(&server, "one", "alice");
    let group =
        json!({"name": "g", "policies": "shared", "member_entity_ids": [auth["entity_id"]]});
    api.write("identity/group", &group).status(200);
    let entity = format!("identity/entity/id/{}", text(&auth, "entity_id"));
    let stored = |server: &Server| {
        let mut group = server.api().read("identity/group/name/g").ok().data();
        // OpenBao counts its own start as a change.
        group["modify_index"].take();
        (server.api().read(&entity).ok().data(), group)
    };
    let before = stored(&server);
    server.kill9();
    server.restart();
    assert_eq!(stored(&server), before);
    let api = server.api();
    let own = api.with_token(text(&auth, "client_token"));
    own.read("kv/shared").status(200);
    assert_eq!(login(&server, "one", "alice")["entity_id"], auth["entity_id"]);
    server.seal_and_unseal();
    own.read("kv/shared").status(200);
}

#[test]
fn an_external_plugin_learns_who_asks_and_has_passwords_made() {
    let Some(program) = tools::mock() else { return };
    let Some(server) = prepared(Server::memory()) else { return };
    let api = server.api();
    server.run(&server.install(&program, "mock").args(&["-serve=mux"]), "mock");
    policy(&api, "ask", r#"path "mock/*" { capabilities = ["read"] }"#);
    add_user(&api, "one", "alice", "ask");
    let auth = login(&server, "one", "alice");
    let id = text(&auth, "entity_id").to_owned();
    let named = json!({"name": "Alice", "metadata": {"team": "blue"}});
    api.write(&format!("identity/entity/id/{id}"), &named).status(204);
    let group = json!({"name": "g", "member_entity_ids": [id]});
    api.write("identity/group", &group).status(200);
    let own = api.with_token(text(&auth, "client_token"));
    let told = own.read("mock/server/caller").status(200).data();
    let wanted = json!({
        "entity_id": id, "known": true, "name": "Alice", "disabled": false,
        "metadata": {"team": "blue"}, "aliases": ["userpass:alice"], "groups": ["g"],
    });
    assert_eq!(told, wanted);
    let nobody = api.read("mock/server/caller").status(200).data();
    assert_eq!(nobody, json!({"entity_id": "", "known": false, "groups": []}));

    let text = "length = 8\nrule \"charset\" { charset = \"x\" }";
    api.write("sys/policies/password/p", &json!({"policy": text})).status(204);
    assert_eq!(api.read("mock/server/password/p").status(200).string("password"), "xxxxxxxx");
    let refused =
        api.read("mock/server/password/nothing").refused(&["failed to generate password"]);
    assert_eq!(refused.status, 500);
}
