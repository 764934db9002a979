//! Tokens: whose child, how long, how often, and their end.

mod harness;

use boltwork_logical::{Operation, Reply};
use harness::{Server, fields, is_plain_denial, refusal, until};
use serde_json::{Value, json};

async fn auth_of(server: &Server, wish: Value) -> boltwork_logical::Auth {
    let reply = server.write(&server.root, "auth/token/create", wish).await;
    *reply.expect("create").expect("a reply").auth.expect("a token")
}

async fn cubbyhole(server: &Server, token: &str) {
    server.write(token, "cubbyhole/mine", json!({ "a": 1 })).await.expect("write");
}

#[tokio::test]
async fn a_token_ends_with_its_parent() {
    let server = Server::start().await;
    let parent = server.token(json!({ "policies": ["root"], "ttl": "1h" })).await;
    let child = server.token_by(&parent, json!({ "policies": ["root"], "ttl": "1h" })).await;
    let grandchild = server.token_by(&child, json!({ "ttl": "1h" })).await;
    let orphan = server.token_by(&parent, json!({ "no_parent": true, "ttl": "1h" })).await;
    cubbyhole(&server, &grandchild).await;
    let body = json!({ "token": parent });
    server.write(&server.root, "auth/token/revoke", body).await.expect("revoke");
    for token in [&parent, &child, &grandchild] {
        assert!(is_plain_denial(&server.read(token, "auth/token/lookup-self").await));
    }
    assert!(server.is_good(&orphan).await);
}

#[tokio::test]
async fn children_of_a_token_revoked_alone_live_on() {
    let server = Server::start().await;
    let parent = server.token(json!({ "policies": ["root"], "ttl": "1h" })).await;
    let child = server.token_by(&parent, json!({ "ttl": "1h" })).await;
    let body = json!({ "token": parent });
    server.write(&server.root, "auth/token/revoke-orphan", body).await.expect("revoke");
    assert!(!server.is_good(&parent).await);
    let shown = fields(server.read(&child, "auth/token/lookup-self").await);
    assert_eq!(shown["orphan"], true);
}

#[tokio::test]
async fn a_revoked_token_is_worth_nothing_even_if_cached() {
    let server = Server::start().await;
    let token = server.token(json!({ "ttl": "1h" })).await;
    for _ in 0..3 {
        assert!(server.is_good(&token).await);
    }
    server.write(&token, "auth/token/revoke-self", Value::Null).await.expect("revoke");
    assert!(is_plain_denial(&server.read(&token, "auth/token/lookup-self").await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_child_escapes_the_revocation_of_its_parent() {
    let server = Server::start().await;
    for _ in 0..10 {
        let parent = server.token(json!({ "policies": ["root"], "ttl": "1h" })).await;
        let makers: Vec<_> = (0..8)
            .map(|_| {
                let (core, parent) = (server.core.clone(), parent.clone());
                tokio::spawn(async move {
                    let mut made = Vec::new();
                    for _ in 0..20 {
                        let wish = json!({ "ttl": "1h" });
                        let path = "auth/token/create";
                        let inbound = harness::request(&parent, Operation::Update, path, wish);
                        match core.handle(inbound).await.result {
                            Ok(Some(Reply { auth: Some(auth), .. })) => {
                                made.push(auth.client_token.expose().to_owned());
                            }
                            _ => return made,
                        }
                    }
                    made
                })
            })
            .collect();
        tokio::task::yield_now().await;
        let body = json!({ "token": parent });
        server.write(&server.root, "auth/token/revoke", body).await.expect("revoke");
        for maker in makers {
            for token in maker.await.expect("maker") {
                assert!(!server.is_good(&token).await, "a child outlived its parent");
            }
        }
    }
}

#[tokio::test]
async fn a_use_is_spent_even_when_the_policy_refuses_and_the_last_one_ends_the_token() {
    let server = Server::start().await;
    let auth = auth_of(&server, json!({ "policies": ["default"], "num_uses": 3 })).await;
    let token = auth.client_token.expose();
    assert!(server.read(token, "sys/mounts").await.is_err());
    let shown = fields(server.read(token, "auth/token/lookup-self").await);
    // The lookup's own use is counted too.
    assert_eq!(shown["num_uses"], 1);
    cubbyhole(&server, token).await;
    assert!(is_plain_denial(&server.read(token, "auth/token/lookup-self").await));
    let accessor = json!({ "accessor": auth.accessor });
    until("the spent token is gone", async || {
        let path = "auth/token/lookup-accessor";
        let found = server.write(&server.root, path, accessor.clone()).await;
        found.map_or(true, |reply| reply.is_some_and(|reply| reply.error_text().is_some()))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_at_once_exactly_as_many_as_there_are_uses_get_through() {
    let server = Server::start().await;
    let token = server.token(json!({ "policies": ["default"], "num_uses": 5 })).await;
    let tries = (0..20).map(|_| {
        let (core, token) = (server.core.clone(), token.clone());
        tokio::spawn(async move {
            let path = "auth/token/lookup-self";
            let inbound = harness::request(&token, Operation::Read, path, Value::Null);
            core.handle(inbound).await.result.is_ok()
        })
    });
    let mut through = 0;
    for one in tries.collect::<Vec<_>>() {
        through += usize::from(one.await.expect("join"));
    }
    assert_eq!(through, 5);
}

#[tokio::test]
async fn a_token_never_gets_more_than_its_parent_has() {
    let server = Server::start().await;
    server.policy("maker", r#"path "auth/token/create" { capabilities = ["update"] }"#).await;
    let parent = server.token(json!({ "policies": ["maker"] })).await;
    let create = async |wish| server.write(&parent, "auth/token/create", wish).await;
    for (wish, text) in [
        (json!({ "policies": ["ops"] }), "child policies must be subset of parent"),
        (json!({ "policies": ["root"] }), "child policies must be subset of parent"),
        (json!({ "policies": ["ROOT "] }), "child policies must be subset of parent"),
        (json!({ "no_parent": true }), "root or sudo privileges required to create orphan token"),
        (json!({ "period": "1h" }), "root or sudo privileges required to create periodic token"),
        (json!({ "id": "mine" }), "root or sudo privileges required to specify token id"),
        (json!({ "policies": ["response-wrapping"] }), "child policies must be subset of parent"),
    ] {
        assert_eq!(refusal(create(wish.clone()).await), text, "{wish}");
    }
    assert!(create(json!({ "policies": ["maker"] })).await.is_ok());
    let limited = server.token(json!({ "policies": ["root"], "num_uses": 5 })).await;
    assert_eq!(
        refusal(server.write(&limited, "auth/token/create", Value::Null).await),
        "restricted use token cannot generate child tokens"
    );
}

#[tokio::test]
async fn a_root_token_without_an_end_is_not_renewable_and_does_not_end() {
    let server = Server::start().await;
    let shown = fields(server.read(&server.root, "auth/token/lookup-self").await);
    assert_eq!((&shown["ttl"], &shown["expire_time"]), (&json!(0), &Value::Null));
    let renewed = server.write(&server.root, "auth/token/renew-self", Value::Null).await;
    assert_eq!(refusal(renewed), "invalid lease ID");
    let ending = server.token(json!({ "policies": ["root"], "ttl": "1h" })).await;
    let refused = server.write(&ending, "auth/token/create", Value::Null).await;
    assert_eq!(refusal(refused), "expiring root tokens cannot create non-expiring root tokens");
}

#[tokio::test]
async fn a_token_is_bound_to_its_networks_and_a_stranger_spends_no_use() {
    let server = Server::start().await;
    let body = json!({ "type": "login" });
    server.root(Operation::Update, "sys/auth/in", body).await.expect("enable");
    let wish = json!({ "bound_cidrs": ["10.0.0.0/8"], "num_uses": 1 });
    let reply = server.write("", "auth/in/login", wish).await;
    let auth = reply.expect("login").expect("a reply").auth.expect("a token");
    let token = auth.client_token.expose();
    for _ in 0..3 {
        assert!(!server.is_good(token).await, "127.0.0.1 is not in its network");
    }
    let mut inbound =
        harness::request(token, Operation::Read, "auth/token/lookup-self", Value::Null);
    inbound.connection = Some(std::sync::Arc::new(boltwork_logical::Connection {
        remote_addr: "10.1.2.3".into(),
        ..Default::default()
    }));
    assert!(server.send(inbound).await.result.is_ok(), "its one use was still there");
}

#[tokio::test]
async fn revocation_that_storage_interrupts_is_finished_later() {
    let server = Server::start().await;
    let parent = server.token(json!({ "policies": ["root"], "ttl": "1h" })).await;
    let child = server.token_by(&parent, json!({ "ttl": "1h" })).await;
    // The first write marks the parent; the second fails.
    server.storage.fail_nth_write(2);
    let body = json!({ "token": parent });
    assert!(server.write(&server.root, "auth/token/revoke", body).await.is_err());
    assert!(!server.is_good(&parent).await, "it is worth nothing from the first write on");
    server.restart().await;
    until("the child is gone too", async || !server.is_good(&child).await).await;
}

#[tokio::test]
async fn a_cubbyhole_is_its_tokens_own() {
    let server = Server::start().await;
    let (a, b) = (server.token(json!({})).await, server.token(json!({})).await);
    cubbyhole(&server, &a).await;
    assert_eq!(fields(server.read(&a, "cubbyhole/mine").await)["a"], 1);
    assert!(server.read(&b, "cubbyhole/mine").await.expect("read").is_none());
}
