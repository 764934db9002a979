//! Entities and groups: made by logins, felt by tokens, kept.

mod harness;

use boltwork_logical::{Auth, Operation};
use harness::{Server, fields, refusal};
use serde_json::{Value, json};

/// A server with the auth method at `auth/one/` and `auth/two/`, and the engine at `kv/`.
async fn server() -> Server {
    let server = Server::with_engine().await;
    for path in ["one", "two"] {
        enable(&server, path).await;
    }
    server
}

async fn enable(server: &Server, path: &str) {
    let body = json!({ "type": "login" });
    server.root(Operation::Update, &format!("sys/auth/{path}"), body).await.expect("enable");
}

async fn accessor(server: &Server, path: &str) -> String {
    let auths = fields(server.read(&server.root, "sys/auth").await);
    auths[path]["accessor"].as_str().expect("an accessor").to_owned()
}

async fn try_login(server: &Server, mount: &str, who: Value) -> Result<Box<Auth>, String> {
    let reply = server.write("", &format!("auth/{mount}/login"), who).await;
    match reply {
        Ok(Some(reply)) if reply.error_text().is_none() => Ok(reply.auth.expect("a login")),
        other => Err(refusal(other)),
    }
}

async fn login(server: &Server, mount: &str, name: &str) -> (String, String) {
    let auth = try_login(server, mount, json!({ "name": name })).await.expect("login");
    (auth.client_token.expose().to_owned(), auth.token.entity_id.clone())
}

async fn write(server: &Server, path: &str, body: Value) -> Value {
    let reply = server.write(&server.root, &format!("identity/{path}"), body).await;
    let reply = reply.unwrap_or_else(|failure| panic!("{path}: {failure}"));
    let Some(reply) = reply else { return Value::Null };
    assert_eq!(reply.error_text(), None, "{path}");
    Value::Object(reply.data.fields().unwrap_or_default())
}

async fn read(server: &Server, path: &str) -> Value {
    Value::Object(fields(server.read(&server.root, &format!("identity/{path}")).await))
}

async fn entities(server: &Server) -> Vec<String> {
    let reply = server.root(Operation::List, "identity/entity/id", Value::Null).await;
    let fields = reply.expect("a list").expect("a reply").data.fields().unwrap_or_default();
    serde_json::from_value(fields.get("keys").cloned().unwrap_or(json!([]))).expect("keys")
}

async fn may_read(server: &Server, token: &str, path: &str) -> bool {
    // Permission is decided before the engine says that there is nothing.
    server.read(token, path).await.is_ok()
}

#[tokio::test]
async fn a_login_makes_one_entity_for_each_name_at_each_mount() {
    let server = server().await;
    let (token, alice) = login(&server, "one", "alice").await;
    assert_eq!(login(&server, "one", "alice").await.1, alice);
    assert_eq!(login(&server, "one", "ALICE").await.1, alice, "case makes nobody somebody else");
    let (_, other) = login(&server, "two", "alice").await;
    assert_ne!(other, alice, "the same name at another mount is somebody else");
    let entity = read(&server, &format!("entity/id/{alice}")).await;
    assert_eq!(entity["aliases"][0]["name"], "alice");
    assert_eq!(entity["aliases"][0]["mount_accessor"], accessor(&server, "one/").await);
    assert_eq!(entity["aliases"][0]["mount_path"], "auth/one/");
    let looked_up = fields(server.read(&token, "auth/token/lookup-self").await);
    assert_eq!(looked_up["entity_id"], alice);
    assert_eq!(entities(&server).await.len(), 2);
    let nobody = try_login(&server, "one", json!({})).await.expect("login");
    assert_eq!(nobody.token.entity_id, "", "a backend that names nobody makes nobody");
}

#[tokio::test]
async fn policies_of_entities_and_groups_take_effect_with_the_next_request_of_old_tokens() {
    let server = server().await;
    for name in ["a", "b", "c"] {
        let rule = format!(r#"path "kv/at/{name}" {{ capabilities = ["read"] }}"#);
        server.policy(name, &rule).await;
    }
    let (token, id) = login(&server, "one", "alice").await;
    let allowed = async || {
        let mut names = String::new();
        for name in ["a", "b", "c"] {
            if may_read(&server, &token, &format!("kv/at/{name}")).await {
                names.push_str(name);
            }
        }
        names
    };
    assert_eq!(allowed().await, "");
    write(&server, &format!("entity/id/{id}"), json!({ "policies": ["a"] })).await;
    assert_eq!(allowed().await, "a");
    let group = json!({ "name": "g", "policies": "b", "member_entity_ids": [id] });
    let inner = write(&server, "group", group).await["id"].clone();
    assert_eq!(allowed().await, "ab");
    let outer = json!({ "name": "h", "policies": "c", "member_group_ids": [inner] });
    write(&server, "group", outer).await;
    assert_eq!(allowed().await, "abc");
    let shown = fields(server.read(&token, "auth/token/lookup-self").await);
    assert_eq!(shown["identity_policies"], json!(["a", "b", "c"]));
    assert_eq!(shown["policies"], json!(["default"]));
    write(&server, "group/name/h", json!({ "policies": [] })).await;
    assert_eq!(allowed().await, "ab");
    server.root(Operation::Delete, "identity/group/name/g", Value::Null).await.expect("delete");
    assert_eq!(allowed().await, "a");
    write(&server, &format!("entity/id/{id}"), json!({ "policies": "c" })).await;
    assert_eq!(allowed().await, "c");
    // A change of the policy itself, too.
    server.policy("c", r#"path "kv/at/b" { capabilities = ["read"] }"#).await;
    assert_eq!(allowed().await, "b");
    let capabilities = json!({ "token": token, "paths": ["kv/at/b", "kv/at/c"] });
    let shown = fields(server.write(&server.root, "sys/capabilities", capabilities).await);
    assert_eq!(shown["kv/at/b"], json!(["read"]));
    assert_eq!(shown["kv/at/c"], json!(["deny"]));
}

#[tokio::test]
async fn a_login_tells_which_policies_come_from_where() {
    let server = server().await;
    let (_, id) = login(&server, "one", "alice").await;
    write(&server, &format!("entity/id/{id}"), json!({ "policies": ["z", "default"] })).await;
    let who = json!({ "name": "alice", "policies": ["own"] });
    let auth = try_login(&server, "one", who).await.expect("login");
    assert_eq!(auth.policies, ["default", "own", "z"]);
    assert_eq!(auth.token.token_policies, ["default", "own"]);
    assert_eq!(auth.token.identity_policies, ["default", "z"]);
}

#[tokio::test]
async fn a_disabled_or_deleted_entity_bars_its_tokens_and_its_logins() {
    let server = server().await;
    let (token, id) = login(&server, "one", "alice").await;
    assert!(server.is_good(&token).await);
    let entity = format!("entity/id/{id}");
    write(&server, &entity, json!({ "disabled": true })).await;
    let refused = server.read(&token, "auth/token/lookup-self").await;
    assert!(harness::is_plain_denial(&refused));
    let refused = try_login(&server, "one", json!({ "name": "alice" })).await.unwrap_err();
    assert_eq!(refused, "permission denied");
    let asked = json!({ "token": token, "paths": ["x"] });
    let refused = server.write(&server.root, "sys/capabilities", asked).await;
    assert!(refusal(refused).contains("invalid token"));
    write(&server, &entity, json!({ "disabled": false })).await;
    assert!(server.is_good(&token).await);
    server.root(Operation::Delete, &format!("identity/{entity}"), Value::Null).await.expect("gone");
    assert!(harness::is_plain_denial(&server.read(&token, "auth/token/lookup-self").await));
    let (fresh, other) = login(&server, "one", "alice").await;
    assert_ne!(other, id, "whoever logs in afterwards is somebody new");
    assert!(server.is_good(&fresh).await && !server.is_good(&token).await);
}

#[tokio::test]
async fn external_groups_are_what_the_last_login_said_and_other_mounts_keep_theirs() {
    let server = server().await;
    let mut ids = Vec::new();
    for (mount, name) in [("one/", "devs"), ("one/", "ops"), ("two/", "devs")] {
        let group =
            json!({ "name": format!("{mount}{name}"), "type": "external", "policies": name });
        let id = write(&server, "group", group).await["id"].clone();
        let alias = json!({
            "name": name, "canonical_id": id, "mount_accessor": accessor(&server, mount).await,
        });
        write(&server, "group-alias", alias).await;
        ids.push(id.as_str().expect("an id").to_owned());
    }
    let in_groups = async |groups: &[&str]| {
        let who = json!({ "name": "alice", "groups": groups });
        let auth = try_login(&server, "one", who).await.expect("login");
        let entity = read(&server, &format!("entity/id/{}", auth.token.entity_id)).await;
        let mut held: Vec<String> =
            serde_json::from_value(entity["group_ids"].clone()).expect("ids");
        held.sort();
        let mut wanted: Vec<String> = Vec::new();
        for (at, name) in ["devs", "ops"].iter().enumerate() {
            if groups.contains(name) {
                wanted.push(ids[at].clone());
            }
        }
        wanted.sort();
        assert_eq!(held, wanted, "{groups:?}");
        (auth.token.identity_policies.clone(), auth.token.entity_id.clone())
    };
    assert_eq!(in_groups(&["devs", "unknown"]).await.0, ["devs"]);
    assert_eq!(in_groups(&["devs", "ops"]).await.0, ["devs", "ops"]);
    let (_, id) = in_groups(&["ops"]).await;
    // The same entity under a name at the other mount.
    let alias = json!({
        "name": "al", "canonical_id": id, "mount_accessor": accessor(&server, "two/").await,
    });
    write(&server, "entity-alias", alias).await;
    let who = json!({ "name": "al", "groups": ["devs"] });
    let auth = try_login(&server, "two", who).await.expect("login");
    assert_eq!(auth.token.entity_id, id);
    assert_eq!(auth.token.identity_policies, ["devs", "ops"]);
    let members = read(&server, &format!("group/id/{}", ids[2])).await["member_entity_ids"].clone();
    assert_eq!(members, json!([id]));
    let by_hand = json!({ "id": ids[1], "member_entity_ids": [id] });
    let refused = server.write(&server.root, "identity/group", by_hand).await;
    assert!(refusal(refused).contains("can't be set manually for external groups"));
}

async fn write_error(server: &Server, path: &str, body: Value) -> String {
    match server.write(&server.root, &format!("identity/{path}"), body).await {
        Ok(Some(reply)) => reply.error_text().unwrap_or_default(),
        Ok(None) => String::new(),
        Err(failure) => failure.error.to_string(),
    }
}

#[tokio::test]
async fn a_templated_policy_confines_everybody_to_their_own_and_values_never_widen_it() {
    let server = server().await;
    let one = accessor(&server, "one/").await;
    let rules = format!(
        r#"path "kv/at/{{{{identity.entity.aliases.{one}.name}}}}" {{ capabilities = ["read"] }}
           path "kv/at/{{{{identity.entity.aliases.{one}.name}}}}/*" {{ capabilities = ["read"] }}
           path "kv/at/team-{{{{ identity.entity.metadata.team }}}}" {{ capabilities = ["read"] }}"#
    );
    server.policy("own", &rules).await;
    let log_in = async |name: &str| {
        let who = json!({ "name": name, "policies": ["own"] });
        let auth = try_login(&server, "one", who).await.expect("login");
        (auth.client_token.expose().to_owned(), auth.token.entity_id.clone())
    };
    let (alice, id) = log_in("alice").await;
    let (bob, _) = log_in("bob").await;
    for (token, path, allowed) in [
        (&alice, "kv/at/alice", true),
        (&alice, "kv/at/alice/x/y", true),
        (&alice, "kv/at/bob", false),
        (&alice, "kv/at/alice2", false),
        (&alice, "kv/at/team-blue", false),
        (&alice, "kv/at/team-", false),
        (&bob, "kv/at/bob", true),
        (&bob, "kv/at/alice", false),
    ] {
        assert_eq!(may_read(&server, token, path).await, allowed, "{path}");
    }
    write(&server, &format!("entity/id/{id}"), json!({ "metadata": { "team": "blue" } })).await;
    assert!(may_read(&server, &alice, "kv/at/team-blue").await, "with the next request");
    assert!(!may_read(&server, &bob, "kv/at/team-blue").await);
    // Names that somebody else chose: none of them reaches further than itself.
    for name in ["*", "+", "al*", "+/secret", "../bob", "bob/deep", "alice/", "x*y", "{{x}}"] {
        let (token, _) = log_in(name).await;
        for path in ["kv/at/alice", "kv/at/bob", "kv/at/bob/deep", "kv/at/x/secret", "kv/at/xzy"] {
            assert!(!may_read(&server, &token, path).await, "{name:?} reads {path}");
        }
    }
    let metadata = json!({ "metadata": { "team": "*" } });
    write(&server, &format!("entity/id/{id}"), metadata).await;
    assert!(!may_read(&server, &alice, "kv/at/team-blue").await);
}

#[tokio::test]
async fn the_default_policy_shows_everybody_their_own_entity() {
    let server = server().await;
    let (alice, id) = login(&server, "one", "alice").await;
    let (bob, _) = login(&server, "one", "bob").await;
    let path = format!("identity/entity/id/{id}");
    assert!(may_read(&server, &alice, &path).await);
    assert!(!may_read(&server, &bob, &path).await);
    // What a token without an identity may do was compiled from the same policies.
    let token = server.token(json!({ "policies": ["default"] })).await;
    assert!(!may_read(&server, &token, &path).await);
    assert!(may_read(&server, &alice, &path).await);
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let server = server().await;
    let (token, id) = login(&server, "one", "alice").await;
    let group = json!({
        "name": "g", "policies": ["p"], "member_entity_ids": [id], "metadata": { "a": "b" },
    });
    let inner = write(&server, "group", group).await["id"].clone();
    write(&server, "group", json!({ "name": "h", "member_group_ids": [inner] })).await;
    let alias = json!({
        "name": "alice", "mount_accessor": accessor(&server, "one/").await,
        "custom_metadata": { "k": "v" },
    });
    write(&server, "entity-alias", alias).await;
    let paths = [format!("entity/id/{id}"), "group/name/g".into(), "group/name/h".into()];
    let mut before = Vec::new();
    for path in &paths {
        before.push(read(&server, path).await);
    }
    server.restart().await;
    for (path, before) in paths.iter().zip(before) {
        assert_eq!(read(&server, path).await, before);
    }
    assert!(server.is_good(&token).await);
    assert_eq!(login(&server, "one", "alice").await.1, id);
}

#[tokio::test]
async fn a_storage_fault_during_a_login_leaves_no_half_entity() {
    let server = server().await;
    for nth in 1..=3 {
        let name = format!("user{nth}");
        server.storage.fail_nth_write(nth);
        let first = try_login(&server, "one", json!({ "name": name })).await;
        server.storage.fail_nth_write(0);
        assert_eq!(first.is_err(), nth < 3, "a login writes its entity and its token: {nth}");
        let before = entities(&server).await.len();
        server.restart().await;
        assert_eq!(entities(&server).await.len(), before, "memory and storage agree");
        let (token, id) = login(&server, "one", &name).await;
        assert!(server.is_good(&token).await);
        let entity = read(&server, &format!("entity/id/{id}")).await;
        assert_eq!(entity["aliases"][0]["name"], json!(name));
        assert_eq!(entities(&server).await.len(), usize::try_from(nth).expect("small"));
    }
}

#[tokio::test]
async fn a_storage_fault_while_groups_change_leaves_the_old_ones() {
    let server = server().await;
    let inner = write(&server, "group", json!({ "name": "inner" })).await["id"].clone();
    let before = read(&server, "group/name/inner").await;
    server.storage.set_full(true);
    let outer = json!({ "name": "outer", "member_group_ids": [inner] });
    assert!(!write_error(&server, "group", outer).await.is_empty());
    server.storage.set_full(false);
    assert_eq!(read(&server, "group/name/inner").await, before);
    server.restart().await;
    assert_eq!(read(&server, "group/name/inner").await, before);
    assert!(server.read(&server.root, "identity/group/name/outer").await.expect("read").is_none());
}

#[tokio::test]
async fn requests_of_known_callers_and_repeated_logins_touch_no_storage_for_their_identity() {
    let server = server().await;
    let (token, id) = login(&server, "one", "alice").await;
    let group = json!({ "name": "g", "policies": ["p"], "member_entity_ids": [id] });
    write(&server, "group", group).await;
    assert!(server.is_good(&token).await);
    server.storage.set_reads_fail(true);
    assert!(server.is_good(&token).await);
    server.storage.set_reads_fail(false);
    let before = server.storage.batches_written();
    login(&server, "one", "alice").await;
    assert_eq!(server.storage.batches_written() - before, 1, "the token, and nothing else");
}

#[tokio::test]
async fn concurrent_first_logins_make_one_entity() {
    let server = std::sync::Arc::new(server().await);
    let logins = (0..16).map(|_| {
        let server = std::sync::Arc::clone(&server);
        tokio::spawn(async move { login(&server, "one", "alice").await.1 })
    });
    let ids = futures_util::future::join_all(logins).await;
    let ids: std::collections::BTreeSet<_> = ids.into_iter().map(|id| id.expect("login")).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(entities(&server).await.len(), 1);
}

#[tokio::test]
async fn groups_never_contain_themselves_and_are_not_nested_without_end() {
    let server = server().await;
    let mut below = write(&server, "group", json!({ "name": "g0" })).await["id"].clone();
    let first = below.clone();
    let mut deepest = 0;
    for depth in 1..100 {
        let group = json!({ "name": format!("g{depth}"), "member_group_ids": [below] });
        let reply = server.write(&server.root, "identity/group", group).await;
        match reply {
            Ok(Some(reply)) if reply.error_text().is_none() => {
                below = reply.data.fields().expect("fields")["id"].clone();
                deepest = depth;
            }
            other => {
                assert!(refusal(other).contains("nested deeper"));
                break;
            }
        }
    }
    assert!((10..50).contains(&deepest), "{deepest}");
    let circle =
        write_error(&server, "group/name/g0", json!({ "member_group_ids": [below] })).await;
    assert!(circle.contains("cyclic relationship detected for member group ID"), "{circle}");
    let itself =
        write_error(&server, "group/name/g0", json!({ "member_group_ids": [first] })).await;
    assert!(itself.contains("is same as the ID of the group"), "{itself}");
    let unknown = write_error(&server, "group/name/g0", json!({ "member_group_ids": ["x"] })).await;
    assert!(unknown.contains("invalid member group ID"), "{unknown}");
}

#[tokio::test]
async fn merged_entities_live_on_in_one_and_their_tokens_with_them() {
    let server = server().await;
    server.policy("p", r#"path "kv/at/p" { capabilities = ["read"] }"#).await;
    let (_, into) = login(&server, "one", "alice").await;
    let (token, from) = login(&server, "two", "al").await;
    let group = json!({ "name": "g", "policies": ["p"], "member_entity_ids": [from] });
    write(&server, "group", group).await;
    let merge = json!({ "to_entity_id": into, "from_entity_ids": [from] });
    write(&server, "entity/merge", merge).await;
    let entity = read(&server, &format!("entity/id/{into}")).await;
    assert_eq!(entity["merged_entity_ids"], json!([from]));
    assert_eq!(entity["aliases"].as_array().map(Vec::len), Some(2));
    assert!(may_read(&server, &token, "kv/at/p").await, "by the group that came along");
    assert_eq!(login(&server, "two", "al").await.1, into);
    server.restart().await;
    assert!(server.is_good(&token).await);
    write(&server, &format!("entity/id/{into}"), json!({ "disabled": true })).await;
    assert!(!server.is_good(&token).await);
    // Two names at one mount cannot both stay.
    let (_, third) = login(&server, "one", "carol").await;
    let merge = json!({ "to_entity_id": into, "from_entity_ids": [third] });
    assert!(write_error(&server, "entity/merge", merge).await.contains("same mount accessor"));
    assert_eq!(entities(&server).await.len(), 2);
}

#[tokio::test]
async fn backends_see_who_asks() {
    let server = server().await;
    server.policy("p", r#"path "kv/caller" { capabilities = ["read"] }"#).await;
    let (token, id) = login(&server, "one", "alice").await;
    let named = json!({ "name": "Alice", "policies": ["p"] });
    write(&server, &format!("entity/id/{id}"), named).await;
    let inner = json!({ "name": "g", "member_entity_ids": [id] });
    let inner = write(&server, "group", inner).await["id"].clone();
    write(&server, "group", json!({ "name": "h", "member_group_ids": [inner] })).await;
    let mut shown = fields(server.read(&token, "kv/caller").await);
    shown["groups"].as_array_mut().expect("groups").sort_by_key(Value::to_string);
    assert_eq!(
        Value::Object(shown),
        json!({ "entity_id": id, "name": "Alice", "aliases": ["login:alice"], "groups": ["g", "h"] })
    );
    let nobody = fields(server.read(&server.root, "kv/caller").await);
    assert_eq!(nobody["entity_id"], "");
    assert_eq!(nobody["name"], Value::Null);
    assert_eq!(nobody["groups"], json!([]));
}

#[tokio::test]
async fn children_of_a_token_belong_to_the_same_entity_and_orphans_to_nobody() {
    let server = server().await;
    let rule = r#"path "auth/token/*" { capabilities = ["update", "sudo"] }"#;
    server.policy("makes", rule).await;
    let who = json!({ "name": "alice", "policies": ["makes"] });
    let auth = try_login(&server, "one", who).await.expect("login");
    let parent = auth.client_token.expose().to_owned();
    let entity_of = async |path: &str| {
        let reply = server.write(&parent, path, json!({})).await.expect("create");
        reply.expect("a reply").auth.expect("a token").token.entity_id
    };
    assert_eq!(entity_of("auth/token/create").await, auth.token.entity_id);
    assert_eq!(entity_of("auth/token/create-orphan").await, "");
}

#[tokio::test]
async fn what_a_login_can_make_grow_has_limits() {
    let server = server().await;
    for who in [
        json!({ "name": "x".repeat(2000) }),
        json!({ "name": "x", "metadata": { "k": "v".repeat(600) } }),
        json!({ "name": "x", "metadata": { "k".repeat(200): "v" } }),
        json!({ "name": "x", "metadata": (0..65).map(|n| (format!("k{n}"), json!("v"))).collect::<serde_json::Map<_, _>>() }),
    ] {
        assert!(try_login(&server, "one", who).await.is_err());
    }
    assert_eq!(entities(&server).await.len(), 0);
    let (_, id) = login(&server, "one", "x").await;
    // A login replaces what the one before found; it adds nothing to it.
    for n in 0..3 {
        let who = json!({ "name": "x", "metadata": { format!("k{n}"): "v" } });
        try_login(&server, "one", who).await.expect("login");
    }
    let entity = read(&server, &format!("entity/id/{id}")).await;
    assert_eq!(entity["aliases"][0]["metadata"], json!({ "k2": "v" }));
}

#[tokio::test]
async fn an_alias_has_one_owner() {
    let server = server().await;
    let one = accessor(&server, "one/").await;
    let (_, alice) = login(&server, "one", "alice").await;
    let bob = write(&server, "entity", json!({ "name": "bob" })).await["id"].clone();
    let again = json!({ "name": "b2", "mount_accessor": one, "canonical_id": alice });
    let refused = write_error(&server, "entity-alias", again).await;
    assert_eq!(refused, "Alias already exists for requested entity and mount accessor");
    let unknown = json!({ "name": "b", "mount_accessor": "auth_nothing", "canonical_id": bob });
    let refused = write_error(&server, "entity-alias", unknown).await;
    assert_eq!(refused, "invalid mount accessor \"auth_nothing\"");
    // It can be given to somebody else.
    let moved = json!({ "name": "alice", "mount_accessor": one, "canonical_id": bob });
    let id = write(&server, "entity-alias", moved).await["id"].clone();
    assert_eq!(json!(login(&server, "one", "alice").await.1), bob);
    assert_eq!(read(&server, &format!("entity/id/{alice}")).await["aliases"], json!([]));
    let path = format!("identity/entity-alias/id/{}", id.as_str().expect("an id"));
    server.root(Operation::Delete, &path, Value::Null).await.expect("delete");
    assert_ne!(json!(login(&server, "one", "alice").await.1), bob);
}

#[tokio::test]
async fn a_renewed_login_is_in_the_groups_that_its_backend_says_then() {
    let server = server().await;
    for name in ["devs", "ops"] {
        let group = json!({ "name": name, "type": "external", "policies": name });
        let id = write(&server, "group", group).await["id"].clone();
        let mount = accessor(&server, "one/").await;
        let alias = json!({ "name": name, "canonical_id": id, "mount_accessor": mount });
        write(&server, "group-alias", alias).await;
    }
    let who = json!({ "name": "alice", "groups": ["devs"] });
    let token = try_login(&server, "one", who).await.expect("login").client_token;
    let renew = async || {
        let reply = server.write(token.expose(), "auth/token/renew-self", json!({})).await;
        let auth = reply.expect("renew").expect("a reply").auth.expect("a login");
        assert_eq!(auth.token.token_policies, ["default"]);
        auth.token.identity_policies
    };
    assert_eq!(renew().await, ["devs"]);
    *server.plugins.switches.groups.lock() = Some(vec!["ops".into()]);
    assert_eq!(renew().await, ["ops"]);
    *server.plugins.switches.groups.lock() = Some(Vec::new());
    assert!(renew().await.is_empty());
}

#[tokio::test]
async fn a_role_may_tie_tokens_to_an_entity_by_its_alias() {
    let server = server().await;
    let role = json!({ "allowed_entity_aliases": "svc-*", "orphan": true });
    server.write(&server.root, "auth/token/roles/r", role).await.expect("a role");
    let create = async |alias: &str| {
        let wish = json!({ "entity_alias": alias, "policies": ["default"] });
        server.write(&server.root, "auth/token/create/r", wish).await
    };
    let entity_of = async |alias: &str| {
        let reply = create(alias).await.expect("create").expect("a reply");
        reply.auth.expect("a token").token.entity_id
    };
    let id = entity_of("svc-a").await;
    assert_eq!(entity_of("SVC-A").await, id);
    assert_ne!(entity_of("svc-b").await, id);
    let entity = read(&server, &format!("entity/id/{id}")).await;
    assert_eq!(entity["aliases"][0]["mount_path"], "auth/token/");
    assert!(refusal(create("other").await).contains("invalid 'entity_alias' value"));
    write(&server, &format!("entity/id/{id}"), json!({ "disabled": true })).await;
    assert!(refusal(create("svc-a").await).contains("disabled"));
}

#[tokio::test]
async fn a_batch_token_feels_its_entity_too() {
    let server = server().await;
    server.policy("p", r#"path "kv/at/p" { capabilities = ["read"] }"#).await;
    let who = json!({ "name": "alice", "batch": true });
    let auth = try_login(&server, "one", who).await.expect("login");
    let token = auth.client_token.expose();
    assert!(!may_read(&server, token, "kv/at/p").await);
    let entity = format!("entity/id/{}", auth.token.entity_id);
    write(&server, &entity, json!({ "policies": "p" })).await;
    assert!(may_read(&server, token, "kv/at/p").await);
    write(&server, &entity, json!({ "disabled": true })).await;
    assert!(harness::is_plain_denial(&server.read(token, "kv/at/p").await));
}
