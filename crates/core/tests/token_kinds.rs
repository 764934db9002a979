//! Batch tokens, roles of the token store, renewal by the auth method, tidying.

mod harness;

use boltwork_logical::{Auth, Entry, Failure, Operation, Reply, Storage};
use harness::{Server, fields, is_plain_denial, refusal, until};
use serde_json::{Value, json};

async fn made(server: &Server, path: &str, wish: Value) -> Auth {
    let reply = server.write(&server.root, path, wish).await;
    *reply.expect("create").expect("a reply").auth.expect("a token")
}

async fn batch(server: &Server, by: &str) -> String {
    let wish = json!({ "type": "batch", "ttl": "1h", "policies": ["default", "user"] });
    server.token_by(by, wish).await
}

async fn role(server: &Server, name: &str, fields: Value) -> Result<Option<Reply>, Failure> {
    server.write(&server.root, &format!("auth/token/roles/{name}"), fields).await
}

#[tokio::test]
async fn a_batch_token_works_after_a_restart_and_is_not_stored() {
    let server = Server::with_engine().await;
    server.policy("user", r#"path "kv/*" { capabilities = ["create", "read"] }"#).await;
    let accessors = || async {
        let listed = server.root(Operation::List, "auth/token/accessors", Value::Null).await;
        fields(listed)["keys"].as_array().map_or(0, Vec::len)
    };
    let before = accessors().await;
    let token = batch(&server, &server.root).await;
    assert!(token.starts_with("hvb."));
    assert_eq!(accessors().await, before);
    server.restart().await;
    let shown = fields(server.read(&token, "auth/token/lookup-self").await);
    assert_eq!((&shown["type"], &shown["accessor"]), (&json!("batch"), &json!("")));
    server.write(&token, "kv/at/a", json!({ "x": 1 })).await.expect("its policy allows that");
}

#[tokio::test]
async fn a_batch_token_is_refused_what_only_service_tokens_can() {
    let server = Server::start().await;
    let token = batch(&server, &server.root).await;
    let body = json!({ "token": token });
    for (path, text) in [
        ("auth/token/revoke-self", "batch tokens cannot be revoked"),
        ("auth/token/renew-self", "batch tokens cannot be renewed"),
        ("cubbyhole/a", "cubbyhole operations are only supported by 'service' type tokens"),
    ] {
        assert_eq!(refusal(server.write(&token, path, json!({ "a": 1 })).await), text, "{path}");
    }
    for (path, text) in [
        ("auth/token/revoke", "batch tokens cannot be revoked"),
        ("auth/token/revoke-orphan", "batch tokens cannot be revoked"),
        ("auth/token/renew", "batch tokens cannot be renewed"),
    ] {
        assert_eq!(refusal(server.root(Operation::Update, path, body.clone()).await), text);
    }
    for (wish, text) in [
        (json!({ "policies": ["root"] }), "batch tokens cannot be root tokens"),
        (json!({ "num_uses": 3 }), "batch tokens cannot have \"num_uses\" set"),
        (json!({ "period": "1h" }), "batch tokens cannot have \"period\" set"),
        (json!({ "explicit_max_ttl": "1h" }), "batch tokens cannot have \"explicit_max_ttl\" set"),
    ] {
        let mut wish = wish;
        wish["type"] = "batch".into();
        let refused = server.write(&server.root, "auth/token/create", wish).await;
        assert_eq!(refusal(refused), text);
    }
}

#[tokio::test]
async fn a_batch_token_ends_with_its_parent_and_a_forged_one_is_worth_nothing() {
    let server = Server::start().await;
    let parent = server.token(json!({ "policies": ["root"], "ttl": "1h" })).await;
    let (child, orphan) = (batch(&server, &parent).await, {
        let wish = json!({ "type": "batch", "no_parent": true, "policies": ["default"] });
        server.token_by(&parent, wish).await
    });
    assert!(server.is_good(&child).await);
    let mut forged = orphan.clone();
    let last = if forged.pop() == Some('A') { 'B' } else { 'A' };
    forged.push(last);
    for token in [forged.as_str(), "hvb.", "hvb.AAAA", "b.%%%", "hvb.AAAAAQI"] {
        assert!(is_plain_denial(&server.read(token, "auth/token/lookup-self").await), "{token}");
    }
    server.write(&parent, "auth/token/revoke-self", Value::Null).await.expect("revoke");
    assert!(!server.is_good(&child).await);
    assert!(server.is_good(&orphan).await);
}

#[tokio::test]
async fn what_a_batch_token_was_given_ends_with_its_parent() {
    let server = Server::with_engine().await;
    server.policy("user", r#"path "kv/creds" { capabilities = ["read"] }"#).await;
    let parent = server.token(json!({ "policies": ["root"], "ttl": "1h" })).await;
    let wish = json!({ "type": "batch", "ttl": "10m", "policies": ["user"] });
    let child = server.token_by(&parent, wish).await;
    let body = json!({ "ttl": "1h" });
    let reply = server.by(&child, Operation::Read, "kv/creds", body).await;
    let secret = reply.expect("creds").expect("a reply").secret.expect("a lease");
    assert!(secret.lease.ttl.as_secs() <= 600, "the lease outlives its token");
    let renew = json!({ "lease_id": secret.lease_id, "increment": 3600 });
    let renewed = server.root(Operation::Update, "sys/leases/renew", renew).await;
    let renewed = renewed.expect("renew").expect("a reply").secret.expect("a lease");
    assert!(renewed.lease.ttl.as_secs() <= 600, "the renewed lease outlives its token");
    assert_eq!(server.plugins.switches.users.lock().len(), 1);
    server.write(&parent, "auth/token/revoke-self", Value::Null).await.expect("revoke");
    until("the user is taken back", async || server.plugins.switches.users.lock().is_empty()).await;
}

#[tokio::test]
async fn the_mount_decides_about_the_kind_of_its_tokens() {
    let server = Server::start().await;
    let body = json!({ "type": "login" });
    server.root(Operation::Update, "sys/auth/in", body).await.expect("enable");
    for (mount, asks_for_batch, kind) in [
        ("default-service", false, "service"),
        ("default-service", true, "batch"),
        ("default-batch", false, "batch"),
        ("service", true, "service"),
        ("batch", false, "batch"),
    ] {
        let tune = json!({ "token_type": mount });
        server.root(Operation::Update, "sys/auth/in/tune", tune).await.expect("tune");
        let reply = server.write("", "auth/in/login", json!({ "batch": asks_for_batch })).await;
        let auth = reply.expect("login").expect("a reply").auth.expect("a token");
        let shown = fields(server.read(auth.client_token.expose(), "auth/token/lookup-self").await);
        assert_eq!(shown["type"], kind, "{mount} {asks_for_batch}");
    }
    let wrong = json!({ "token_type": "other" });
    let refused = server.root(Operation::Update, "sys/auth/in/tune", wrong).await;
    assert_eq!(refusal(refused), "invalid value for 'token_type'");
}

#[tokio::test]
async fn a_login_is_renewed_only_as_its_auth_method_says() {
    let server = Server::start().await;
    let body = json!({ "type": "login" });
    server.root(Operation::Update, "sys/auth/in", body).await.expect("enable");
    let reply = server.write("", "auth/in/login", json!({ "policies": ["default"] })).await;
    let auth = reply.expect("login").expect("a reply").auth.expect("a token");
    let token = auth.client_token.expose();
    for _ in 0..2 {
        let renewed = server.write(token, "auth/token/renew-self", Value::Null).await;
        let auth = renewed.expect("renew").expect("a reply").auth.expect("an auth");
        assert_eq!(auth.lease.ttl.as_secs(), 100);
        assert_eq!(auth.policies, ["default"]);
    }
    server.plugins.switches.fail_revocation.store(true, std::sync::atomic::Ordering::SeqCst);
    let refused = server.write(token, "auth/token/renew-self", Value::Null).await;
    assert_eq!(refusal(refused), "alice is gone");
    assert!(server.is_good(token).await, "it lives to its end");
}

#[tokio::test]
async fn a_token_made_against_a_role_is_as_the_role_says() {
    let server = Server::start().await;
    let wish = json!({
        "allowed_policies": "a,b", "orphan": true, "token_period": "10m", "token_num_uses": 7,
        "path_suffix": "suffix", "token_explicit_max_ttl": "30m", "renewable": false,
        "token_bound_cidrs": ["10.0.0.0/8"],
    });
    role(&server, "r", wish).await.expect("write");
    let auth = made(&server, "auth/token/create/r", json!({ "num_uses": 9 })).await;
    assert_eq!(auth.policies, ["a", "b", "default"]);
    let body = json!({ "accessor": auth.accessor });
    let shown = fields(server.write(&server.root, "auth/token/lookup-accessor", body).await);
    for (key, value) in [
        ("orphan", json!(true)),
        ("period", json!(600)),
        ("num_uses", json!(7)),
        ("explicit_max_ttl", json!(1800)),
        ("path", json!("auth/token/create/r/suffix")),
        ("role", json!("r")),
        ("renewable", json!(false)),
        ("bound_cidrs", json!(["10.0.0.0/8"])),
    ] {
        assert_eq!(shown[key], value, "{key}");
    }
    let refused = server.write(&server.root, "auth/token/create/none", json!({})).await;
    assert_eq!(refusal(refused), "unknown role none");
    server.restart().await;
    let read = fields(server.read(&server.root, "auth/token/roles/r").await);
    assert_eq!(read["allowed_policies"], json!(["a", "b"]));
}

#[tokio::test]
async fn a_token_made_against_a_role_is_renewed_as_the_role_is_now() {
    let server = Server::start().await;
    role(&server, "r", json!({ "token_period": "10m" })).await.expect("write");
    let auth = made(&server, "auth/token/create/r", json!({})).await;
    let token = auth.client_token.expose().to_owned();
    role(&server, "r", json!({ "token_period": "5m" })).await.expect("write");
    let renewed = server.write(&token, "auth/token/renew-self", Value::Null).await;
    let auth = renewed.expect("renew").expect("a reply").auth.expect("an auth");
    assert_eq!(auth.lease.ttl.as_secs(), 300);
    server.root(Operation::Delete, "auth/token/roles/r", Value::Null).await.expect("delete");
    let refused = server.write(&token, "auth/token/renew-self", Value::Null).await;
    let text = "original token role \"r\" could not be found, not renewing";
    assert!(refusal(refused).contains(text));
}

#[tokio::test]
async fn what_does_not_go_together_in_a_role_is_refused_and_not_stored() {
    let server = Server::start().await;
    let batch = "'token_type' cannot be 'batch' when role is set to generate";
    for (wish, text) in [
        (json!({ "token_type": "batch" }), format!("{batch} non-orphan tokens")),
        (json!({ "token_type": "batch", "orphan": true }), format!("{batch} renewable tokens")),
        (
            json!({ "token_type": "batch", "orphan": true, "period": 60 }),
            format!("{batch} periodic tokens"),
        ),
        (json!({ "token_type": "x" }), "invalid 'token_type' value \"x\"".to_owned()),
        (
            json!({ "token_num_uses": -1 }),
            "error parsing role fields: 'token_num_uses' cannot be negative".to_owned(),
        ),
    ] {
        assert_eq!(refusal(role(&server, "r", wish.clone()).await), text, "{wish}");
    }
    assert!(server.read(&server.root, "auth/token/roles/r").await.expect("read").is_none());
}

#[tokio::test]
async fn tidying_removes_what_leads_nowhere_and_nothing_else() {
    let server = Server::start().await;
    let token = server.token(json!({ "ttl": "1h" })).await;
    server.write(&token, "cubbyhole/mine", json!({ "a": 1 })).await.expect("write");
    let nobody = format!("h{}", "0".repeat(64));
    let view = server.barrier.view("sys/token/").expect("view");
    let lost = format!("parent/{nobody}/{nobody}");
    view.put(Entry::new(lost.clone(), "")).await.expect("put");
    let begun = server.write(&server.root, "auth/token/tidy", Value::Null).await;
    assert_eq!(fields(begun)["http_status_code"], 202);
    until("the lost entry is gone", async || view.get(&lost).await.expect("get").is_none()).await;
    assert_eq!(fields(server.read(&token, "cubbyhole/mine").await)["a"], 1);
    let children = view.list("parent/").await.expect("list");
    assert_eq!(children.len(), 1, "root's own child is still in the tree");
}
