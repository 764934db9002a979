//! Who reaches a backend, with what, and what comes back.

mod harness;

use std::sync::atomic::Ordering;

use boltwork_logical::{Error, Failure, Operation};
use harness::{Server, fields, is_plain_denial, refusal, request};
use serde_json::{Value, json};

const DENIED: &str = "1 error occurred:\n\t* permission denied\n\n";

#[tokio::test]
async fn a_denied_request_never_reaches_the_backend() {
    let server = Server::with_engine().await;
    server.policy("other", r#"path "kv/at/mine" { capabilities = ["create", "update"] }"#).await;
    let token = server.token(json!({ "policies": ["other"] })).await;
    let before = server.plugins.requests();
    for operation in [Operation::Read, Operation::Update, Operation::Delete, Operation::List] {
        let result = server.by(&token, operation, "kv/at/yours", json!({ "a": 1 })).await;
        assert!(matches!(&result, Err(Failure { error: Error::Coded { status: 403, .. }, .. })));
        assert_eq!(refusal(result), DENIED, "{operation}");
    }
    assert_eq!(server.plugins.requests(), before, "not even an existence check");
    server.write(&token, "kv/at/mine", json!({ "a": 1 })).await.expect("allowed");
    assert!(server.plugins.requests() > before);
}

#[tokio::test]
async fn an_unknown_token_learns_nothing_about_mounts() {
    let server = Server::with_engine().await;
    for token in ["", "hvs.unknown", "x"] {
        for path in ["kv/at/x", "nowhere/at/x", "sys/mounts", "auth/none/x", "cubbyhole/x"] {
            for operation in [Operation::Read, Operation::Update, Operation::Help] {
                let result = server.by(token, operation, path, Value::Null).await;
                assert!(is_plain_denial(&result), "{operation} {path}");
            }
        }
    }
}

#[tokio::test]
async fn only_a_known_caller_is_told_that_a_path_leads_nowhere() {
    let server = Server::start().await;
    let result = server.read(&server.root, "nowhere/x").await;
    assert!(matches!(&result, Err(Failure { error: Error::Coded { status: 404, .. }, .. })));
    assert_eq!(refusal(result), "no handler for route \"nowhere/x\". route entry not found.");
}

#[tokio::test]
async fn a_write_creates_or_updates_and_the_policy_tells_them_apart() {
    let server = Server::with_engine().await;
    server.policy("once", r#"path "kv/at/*" { capabilities = ["create"] }"#).await;
    let token = server.token(json!({ "policies": ["once"] })).await;
    let made = fields(server.write(&token, "kv/at/x", json!({ "a": 1 })).await);
    assert_eq!(made["operation"], "create");
    assert_eq!(refusal(server.write(&token, "kv/at/x", json!({ "a": 2 })).await), DENIED);
    assert_eq!(fields(server.read(&server.root, "kv/at/x").await)["a"], 1);
}

#[tokio::test]
async fn a_policy_change_takes_effect_at_once() {
    let server = Server::with_engine().await;
    server.policy("p", r#"path "kv/echo" { capabilities = ["read"] }"#).await;
    let token = server.token(json!({ "policies": ["p"] })).await;
    for _ in 0..20 {
        assert!(server.read(&token, "kv/echo").await.is_ok());
        server.policy("p", r#"path "kv/echo" { capabilities = ["list"] }"#).await;
        assert_eq!(refusal(server.read(&token, "kv/echo").await), DENIED);
        server.policy("p", r#"path "kv/echo" { capabilities = ["read"] }"#).await;
    }
}

#[tokio::test]
async fn a_rule_about_fields_is_held_against_the_request() {
    let server = Server::with_engine().await;
    let rule = r#"path "kv/at/*" {
        capabilities = ["create", "update", "read"]
        denied_parameters = { "bad" = [] }
    }"#;
    server.policy("p", rule).await;
    let token = server.token(json!({ "policies": ["p"] })).await;
    assert!(server.write(&token, "kv/at/x", json!({ "good": 1 })).await.is_ok());
    assert!(server.read(&token, "kv/at/x").await.is_ok(), "a request without fields");
    assert_eq!(refusal(server.write(&token, "kv/at/x", json!({ "bad": 1 })).await), DENIED);
}

#[tokio::test]
async fn a_list_gets_the_page_size_that_its_policy_allows() {
    let server = Server::with_engine().await;
    let rule = r#"path "kv/echo" { capabilities = ["list"] pagination_limit = 7 }"#;
    server.policy("p", rule).await;
    let token = server.token(json!({ "policies": ["p"] })).await;
    let shown = fields(server.by(&token, Operation::List, "kv/echo", Value::Null).await);
    assert_eq!(shown["limit"], 7);
    let shown = fields(server.by(&token, Operation::List, "kv/echo", json!({"limit": "3"})).await);
    assert_eq!(shown["limit"], "3", "a smaller page is the caller's own affair");
    let refused = server.by(&token, Operation::List, "kv/echo", json!({"limit": "8"})).await;
    assert_eq!(refusal(refused), DENIED);
}

#[tokio::test]
async fn a_sudo_path_needs_sudo() {
    let server = Server::with_engine().await;
    server.policy("p", r#"path "kv/secret" { capabilities = ["read"] }"#).await;
    let token = server.token(json!({ "policies": ["p"] })).await;
    assert_eq!(refusal(server.read(&token, "kv/secret").await), DENIED);
    server.policy("p", r#"path "kv/secret" { capabilities = ["read", "sudo"] }"#).await;
    assert!(server.read(&token, "kv/secret").await.is_ok());
}

#[tokio::test]
async fn help_is_for_everybody_with_a_token() {
    let server = Server::with_engine().await;
    let token = server.token(json!({ "policies": ["default"] })).await;
    assert!(server.by(&token, Operation::Help, "kv/echo", Value::Null).await.is_ok());
}

#[tokio::test]
async fn operations_of_the_server_itself_cannot_be_sent_in() {
    let server = Server::with_engine().await;
    let before = server.plugins.requests();
    for operation in [Operation::Rollback, Operation::Revoke, Operation::Renew] {
        let result = server.root(operation, "kv/echo", Value::Null).await;
        assert!(is_plain_denial(&result), "{operation}");
    }
    assert_eq!(server.plugins.requests(), before);
}

#[tokio::test]
async fn a_panicking_backend_fails_its_request_and_nothing_else() {
    let server = Server::with_engine().await;
    server.enable("bad", "panics").await.expect("enable");
    let text = refusal(server.read(&server.root, "bad/echo").await);
    assert!(text.starts_with("internal error"), "{text}");
    assert!(!text.contains("as the test wants it"), "the client reads no panic text");
    assert!(server.read(&server.root, "kv/echo").await.is_ok());
    server.root(Operation::Delete, "sys/mounts/bad", Value::Null).await.expect("disable");
}

#[tokio::test]
async fn a_hanging_backend_holds_up_no_other() {
    let server = Server::with_engine().await;
    server.enable("slow", "hangs").await.expect("enable");
    let (core, root) = (server.core.clone(), server.root.clone());
    let stuck = tokio::spawn(async move {
        core.handle(request(&root, Operation::Read, "slow/echo", Value::Null)).await
    });
    harness::until("it is inside", async || {
        server.plugins.switches.requests.load(Ordering::SeqCst) > 0
    })
    .await;
    assert!(server.read(&server.root, "kv/echo").await.is_ok());
    assert!(!stuck.is_finished());
    stuck.abort();
}

#[tokio::test]
async fn a_login_gives_a_token_and_one_that_comes_with_an_error_gives_none() {
    let server = Server::start().await;
    let body = json!({ "type": "login" });
    server.root(Operation::Update, "sys/auth/in", body).await.expect("enable");
    let reply = server.write("", "auth/in/login", json!({ "policies": ["Ops ", "default"] })).await;
    let auth = reply.expect("login").expect("a reply").auth.expect("a token");
    assert_eq!(auth.policies, ["default", "ops"]);
    assert!(server.is_good(auth.client_token.expose()).await);

    let tokens = async || {
        let reply = server.root(Operation::List, "auth/token/accessors/", Value::Null).await;
        fields(reply)["keys"].as_array().map_or(0, Vec::len)
    };
    let before = tokens().await;
    let reply = server.write("", "auth/in/login-and-error", Value::Null).await;
    let reply = reply.expect("an error response").expect("a reply");
    assert!(reply.auth.is_none() && reply.error_text().is_some());
    assert_eq!(tokens().await, before);

    let refused = server.write("", "auth/in/login", json!({ "policies": ["ROOT"] })).await;
    assert_eq!(refusal(refused), "auth methods cannot create root tokens");
    assert!(server.write(&server.root, "auth/in/not-a-login", Value::Null).await.is_err());
    assert_eq!(tokens().await, before);
}
