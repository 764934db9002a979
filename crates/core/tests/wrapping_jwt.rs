//! Wrapping tokens in JWT format: what `wrapping.rs` claims holds for them, and more.

mod harness;

use base64::{Engine as _, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use boltwork_core::CoreConfig;
use boltwork_logical::{Data, Failure, Operation, Reply};
use harness::{Server, config, fields, refusal, request, wrapped};
use serde_json::{Value, json};
use std::time::Duration;

const ADDRESS: &str = "http://127.0.0.1:8200";
const INVALID: &str = "wrapping token is not valid or does not exist";

async fn start() -> Server {
    Server::start_with(CoreConfig { api_addr: ADDRESS.into(), ..config() }).await
}

async fn wrap(server: &Server, seconds: u64) -> String {
    let body = json!({ "a": "b" });
    let mut inbound =
        wrapped(request(&server.root, Operation::Update, "sys/wrapping/wrap", body), seconds);
    inbound.wrap.as_mut().expect("wrapping").format = "jwt".into();
    let reply = server.send(inbound).await.result.expect("success").expect("a reply");
    reply.wrap.expect("a wrapping token").token.expose().to_owned()
}

fn claims(token: &str) -> Value {
    let says = token.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(says).expect("base64")).expect("JSON")
}

fn inside(result: Result<Option<Reply>, Failure>) -> Value {
    let found = fields(result);
    let body = BASE64_STANDARD.decode(found["http_raw_body"].as_str().expect("text"));
    serde_json::from_slice(&body.expect("base64")).expect("JSON")
}

#[tokio::test]
async fn it_says_where_and_how_long_and_is_unwrapped_once_by_itself_or_by_another_caller() {
    let server = start().await;
    for by_itself in [true, false] {
        let token = wrap(&server, 60).await;
        let says = claims(&token);
        assert_eq!(
            (&says["addr"], &says["type"], &says["accessor"]),
            (&json!(ADDRESS), &json!("wrapping"), &json!(""))
        );
        let (issued, ends) = (says["iat"].as_i64().unwrap(), says["exp"].as_i64().unwrap());
        assert_eq!((ends - issued, issued - says["nbf"].as_i64().unwrap()), (60, 5));
        let (by, body) = match by_itself {
            true => (token.clone(), Value::Null),
            false => (server.token(json!({ "policies": ["default"] })).await, {
                json!({ "token": token })
            }),
        };
        let unwrap = async || server.write(&by, "sys/wrapping/unwrap", body.clone()).await;
        assert_eq!(inside(unwrap().await)["data"], json!({ "a": "b" }));
        let text = refusal(unwrap().await);
        assert!(text.starts_with(INVALID) && text.contains("unwrapped already"), "{text}");
    }
}

#[tokio::test]
async fn it_is_looked_up_and_rewrapped() {
    let server = start().await;
    let token = wrap(&server, 60).await;
    for (by, body) in [("", json!({ "token": token })), (&token, Value::Null)] {
        let shown = fields(server.write(by, "sys/wrapping/lookup", body).await);
        assert_eq!(shown["creation_ttl"], 60);
    }
    // Its own policy does not reach as far as this, in either format.
    let body = json!({ "token": token });
    let reply = server.write(&server.root, "sys/wrapping/rewrap", body).await;
    let fresh = reply.expect("rewrap").expect("a reply").wrap.expect("a wrapping token");
    assert!(
        refusal(server.write(&token, "sys/wrapping/unwrap", Value::Null).await)
            .contains("unwrapped already")
    );
    let found =
        inside(server.write(fresh.token.expose(), "sys/wrapping/unwrap", Value::Null).await);
    assert_eq!(found["data"], json!({ "a": "b" }));
}

#[tokio::test]
async fn an_expired_or_tampered_one_is_refused_with_that_reason() {
    let server = start().await;
    let token = wrap(&server, 1).await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let text = refusal(server.write(&token, "sys/wrapping/unwrap", Value::Null).await);
    assert!(text.starts_with(INVALID) && text.ends_with("it has expired"), "{text}");

    let token = wrap(&server, 60).await;
    let (signed, _) = token.rsplit_once('.').expect("a signature");
    let (_, other) = wrap(&server, 60)
        .await
        .rsplit_once('.')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .expect("parts");
    let text = refusal(
        server.write(&format!("{signed}.{other}"), "sys/wrapping/unwrap", Value::Null).await,
    );
    assert!(
        text.starts_with(
            "error validating wrapping token: wrapping token signature could not be validated"
        ),
        "{text}"
    );
    assert!(server.write(&token, "sys/wrapping/unwrap", Value::Null).await.is_ok());
}

#[tokio::test]
async fn it_is_good_for_unwrapping_and_for_nothing_else() {
    let server = start().await;
    let token = wrap(&server, 60).await;
    assert!(harness::is_plain_denial(&server.read(&token, "cubbyhole/response").await));
    assert!(harness::is_plain_denial(&server.read(&token, "auth/token/lookup-self").await));
    assert!(server.write(&token, "sys/wrapping/unwrap", Value::Null).await.is_ok());
}

#[tokio::test]
async fn the_key_outlives_a_restart_and_is_shown_to_everybody() {
    let server = start().await;
    let token = wrap(&server, 60).await;
    let shown = fields(server.read("", "sys/wrapping/pubkey").await);
    assert_eq!(shown["jwt_curve"], "p521");
    assert!(shown["jwt_x"].as_str().expect("digits").bytes().all(|b| b.is_ascii_digit()));
    server.restart().await;
    assert_eq!(shown, fields(server.read("", "sys/wrapping/pubkey").await));
    let found = inside(server.write(&token, "sys/wrapping/unwrap", Value::Null).await);
    assert_eq!(found["data"], json!({ "a": "b" }));
}

#[tokio::test]
async fn without_an_address_the_wrapped_reply_says_so() {
    let server = Server::start().await;
    let token = wrap(&server, 60).await;
    assert_eq!(claims(&token)["addr"], "");
    let found = inside(server.write(&token, "sys/wrapping/unwrap", Value::Null).await);
    let warning = found["warnings"][0].as_str().expect("a warning");
    assert!(warning.starts_with("No redirect address set in Vault"), "{warning}");
}

#[tokio::test]
async fn who_runs_plugins_can_wrap_for_them_while_the_server_is_unsealed() {
    let server = start().await;
    let port = server.plugins.server.lock().clone().expect("the server gave itself");
    assert_eq!(port.api_addr(), ADDRESS);
    let data = Data::json(&json!({ "ServerKey": "x" }));
    let token = port.wrap(data.clone(), Duration::from_secs(60)).await.expect("a token");
    assert_eq!(claims(token.expose())["addr"], ADDRESS);
    let found = inside(server.write(token.expose(), "sys/wrapping/unwrap", Value::Null).await);
    assert_eq!(found["data"], json!({ "ServerKey": "x" }));
    server.core.shut_down().await;
    assert!(port.wrap(data, Duration::from_secs(60)).await.is_err());
}
