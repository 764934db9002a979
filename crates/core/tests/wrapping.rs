//! Response wrapping: put in once, taken out once.

mod harness;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use boltwork_logical::{Failure, Operation, Reply, WrapInfo};
use harness::{Server, fields, refusal, request, until, wrapped};
use serde_json::{Value, json};

const INVALID: &str = "wrapping token is not valid or does not exist";

async fn wrap(server: &Server, operation: Operation, path: &str, body: Value) -> WrapInfo {
    let inbound = wrapped(request(&server.root, operation, path, body), 60);
    let reply = server.send(inbound).await.result.expect("success").expect("a reply");
    assert!(reply.data.is_null() && reply.auth.is_none(), "nothing beside the wrapping");
    *reply.wrap.expect("a wrapping token")
}

/// The response inside, as JSON.
fn unwrapped(result: Result<Option<Reply>, Failure>) -> Value {
    let found = fields(result);
    assert_eq!(found["http_status_code"], 200);
    let body = BASE64_STANDARD.decode(found["http_raw_body"].as_str().expect("text"));
    serde_json::from_slice(&body.expect("base64")).expect("JSON")
}

#[tokio::test]
async fn a_wrapped_reply_comes_out_once_by_its_own_token() {
    let server = Server::with_engine().await;
    let info = wrap(&server, Operation::Read, "kv/echo", Value::Null).await;
    assert_eq!((info.ttl.as_secs(), info.creation_path.as_str()), (60, "kv/echo"));
    let token = info.token.expose();
    let inside = unwrapped(server.write(token, "sys/wrapping/unwrap", Value::Null).await);
    assert_eq!(inside["data"], json!({ "nothing": true }));
    assert_eq!(inside["request_id"], "the-request");
    let again = server.write(token, "sys/wrapping/unwrap", Value::Null).await;
    assert_eq!(refusal(again), INVALID);
    until("nothing of it is left", async || {
        let body = json!({ "accessor": info.accessor });
        let found = server.write(&server.root, "auth/token/lookup-accessor", body).await;
        found.map_or(true, |reply| reply.is_some_and(|reply| reply.error_text().is_some()))
    })
    .await;
}

#[tokio::test]
async fn a_wrapped_reply_comes_out_once_by_another_caller() {
    let server = Server::start().await;
    let info = wrap(&server, Operation::Update, "sys/wrapping/wrap", json!({ "a": "b" })).await;
    let caller = server.token(json!({ "policies": ["default"] })).await;
    let body = json!({ "token": info.token.expose() });
    let unwrap = async || server.write(&caller, "sys/wrapping/unwrap", body.clone()).await;
    assert_eq!(unwrapped(unwrap().await)["data"], json!({ "a": "b" }));
    assert_eq!(refusal(unwrap().await), INVALID);
    assert!(server.is_good(&caller).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_concurrent_unwraps_one_wins() {
    let server = Server::start().await;
    let caller = server.token(json!({ "policies": ["default"] })).await;
    for round in 0..20 {
        let body = json!({ "round": round });
        let info = wrap(&server, Operation::Update, "sys/wrapping/wrap", body).await;
        let token = info.token.expose().to_owned();
        let unwraps: Vec<_> = (0..4)
            .map(|n| {
                // Half by the token itself, half by another caller.
                let (by, body) = match n % 2 {
                    0 => (token.clone(), Value::Null),
                    _ => (caller.clone(), json!({ "token": token })),
                };
                let core = server.core.clone();
                tokio::spawn(async move {
                    let path = "sys/wrapping/unwrap";
                    core.handle(request(&by, Operation::Update, path, body)).await.result
                })
            })
            .collect();
        let mut won = 0;
        for one in unwraps {
            match one.await.expect("join") {
                Ok(Some(reply)) if reply.error_text().is_none() => won += 1,
                lost => assert_eq!(refusal(lost), INVALID),
            }
        }
        assert_eq!(won, 1);
    }
}

#[tokio::test]
async fn a_lookup_uses_nothing_up_and_needs_no_other_token() {
    let server = Server::start().await;
    let info = wrap(&server, Operation::Update, "sys/wrapping/wrap", json!({ "a": "b" })).await;
    let token = info.token.expose();
    for (by, body) in [("", json!({ "token": token })), (token, Value::Null)] {
        let shown = fields(server.write(by, "sys/wrapping/lookup", body).await);
        assert_eq!(shown["creation_path"], "sys/wrapping/wrap");
        assert_eq!(shown["creation_ttl"], 60);
    }
    assert!(server.write(token, "sys/wrapping/unwrap", Value::Null).await.is_ok());
}

#[tokio::test]
async fn a_rewrap_moves_the_reply_and_uses_the_old_token_up() {
    let server = Server::start().await;
    let info = wrap(&server, Operation::Update, "sys/wrapping/wrap", json!({ "a": "b" })).await;
    let body = json!({ "token": info.token.expose() });
    let reply = server.write(&server.root, "sys/wrapping/rewrap", body.clone()).await;
    let fresh = reply.expect("rewrap").expect("a reply").wrap.expect("a wrapping token");
    assert_eq!((fresh.ttl, &fresh.creation_path), (info.ttl, &info.creation_path));
    let old = server.write(&server.root, "sys/wrapping/unwrap", body).await;
    assert_eq!(refusal(old), INVALID);
    let inside = server.write(fresh.token.expose(), "sys/wrapping/unwrap", Value::Null).await;
    assert_eq!(unwrapped(inside)["data"], json!({ "a": "b" }));
}

#[tokio::test]
async fn only_wrapping_tokens_can_be_unwrapped() {
    let server = Server::start().await;
    let plain = server.token(json!({ "policies": ["default"], "num_uses": 5 })).await;
    for path in ["sys/wrapping/unwrap", "sys/wrapping/lookup", "sys/wrapping/rewrap"] {
        for token in [plain.as_str(), server.root.as_str(), "unknown"] {
            let body = json!({ "token": token });
            assert_eq!(refusal(server.write(&server.root, path, body).await), INVALID, "{path}");
            assert_eq!(refusal(server.write(token, path, Value::Null).await), INVALID, "{path}");
        }
    }
    let shown = fields(server.read(&plain, "auth/token/lookup-self").await);
    assert_eq!(shown["num_uses"], 4, "no use but the lookup's own was spent");
}

#[tokio::test]
async fn a_wrapping_token_is_good_for_nothing_else() {
    let server = Server::with_engine().await;
    for path in ["auth/token/lookup-self", "kv/echo", "sys/mounts"] {
        let info = wrap(&server, Operation::Read, "kv/echo", Value::Null).await;
        assert!(server.read(info.token.expose(), path).await.is_err(), "{path}");
    }
}

#[tokio::test]
async fn a_wrapped_login_hands_out_no_token_but_the_wrapping_one() {
    let server = Server::start().await;
    let wish = json!({ "policies": ["default"] });
    let info = wrap(&server, Operation::Update, "auth/token/create", wish).await;
    assert!(!info.wrapped_accessor.is_empty());
    let inside = server.write(info.token.expose(), "sys/wrapping/unwrap", Value::Null).await;
    let inside = unwrapped(inside);
    assert_eq!(inside["auth"]["accessor"], info.wrapped_accessor.as_str());
    assert!(server.is_good(inside["auth"]["client_token"].as_str().expect("a token")).await);
}

#[tokio::test]
async fn errors_and_nothing_at_all_are_not_wrapped() {
    let server = Server::with_engine().await;
    let send = async |operation, path: &str| {
        let inbound = wrapped(request(&server.root, operation, path, Value::Null), 60);
        server.send(inbound).await.result
    };
    assert!(send(Operation::Read, "kv/at/nothing").await.expect("read").is_none());
    let refused = send(Operation::Update, "sys/remount").await;
    assert!(refusal(refused).contains("must be specified"));
    let plain = server.root(Operation::Update, "sys/wrapping/wrap", json!({ "a": 1 })).await;
    assert_eq!(refusal(plain), "endpoint requires response wrapping to be used");
}

#[tokio::test]
async fn a_backend_can_wrap_data_of_its_own() {
    let server = Server::with_engine().await;
    server.write(&server.root, "kv/wrap", Value::Null).await.expect("wrap");
    let token = server.plugins.switches.wrapped.lock().clone().expect("a token");
    let inside = unwrapped(server.write(&token, "sys/wrapping/unwrap", Value::Null).await);
    assert_eq!(inside["data"], json!({ "inner": "value" }));
}

#[tokio::test]
async fn a_policy_may_demand_wrapping() {
    let server = Server::with_engine().await;
    let rule = r#"path "kv/echo" {
        capabilities = ["read"]
        min_wrapping_ttl = "30s"
        max_wrapping_ttl = "90s"
    }"#;
    server.policy("p", rule).await;
    let token = server.token(json!({ "policies": ["p"] })).await;
    let read = |seconds| {
        let inbound = request(&token, Operation::Read, "kv/echo", Value::Null);
        server.send(if seconds > 0 { wrapped(inbound, seconds) } else { inbound })
    };
    for (seconds, allowed) in [(0, false), (10, false), (60, true), (100, false)] {
        assert_eq!(read(seconds).await.result.is_ok(), allowed, "{seconds}");
    }
}
