//! What clients send by mistake or by malice, and what they are told.
//!
//! Left out on purpose: what the answer looks like to the last letter; `differential.rs` compares
//! that with OpenBao's.

use boltwork_e2e::{Answer, Api, Call, Server, process, wait_for};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

fn server_with_kv() -> Option<Server> {
    let server = Server::memory()?;
    server.api().write("sys/mounts/kv", &json!({"type": "kv"})).status(204);
    Some(server)
}

fn send(api: &Api, method: &str, target: &str, body: &[u8]) -> Answer {
    api.send(&Call {
        method: method.into(),
        target: target.into(),
        headers: Vec::new(),
        body: Some(body.to_vec()),
    })
}

#[test]
fn malformed_json_is_the_clients_fault() {
    let Some(server) = server_with_kv() else { return };
    for body in [
        "{",
        "{\"a\":}",
        "[1, 2",
        "nonsense",
        "{\"a\":1}}",
        "\"text\"",
        "7",
        "[1]",
        "{\"a\":1} trailing",
        "{'a': 1}",
        "\u{0}",
    ] {
        let answer = send(&server.api(), "POST", "/v1/kv/key", body.as_bytes());
        assert_eq!(answer.status, 400, "{body:?}: {}", answer.text());
        assert!(!answer.errors().is_empty(), "{body:?}");
    }
    server.api().read("kv/key").status(404);
}

#[test]
fn json_that_is_no_utf_8_is_the_clients_fault() {
    let Some(server) = server_with_kv() else { return };
    if server.is_bao() {
        // Go replaces the bytes; whoever reads the secret back gets another one than was written.
        return;
    }
    for body in [&b"{\"a\": \"\xff\xfe\"}"[..], b"\xff", b"{\"\xc3\": 1}"] {
        send(&server.api(), "POST", "/v1/kv/key", body).status(400);
    }
    server.api().read("kv/key").status(404);
}

#[test]
fn deeply_nested_json_is_refused_and_hurts_nobody() {
    let Some(server) = server_with_kv() else { return };
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let depth = 200_000;
        let body = format!("{{\"x\":{}1{}}}", open.repeat(depth), close.repeat(depth));
        let answer = send(&server.api(), "POST", "/v1/kv/key", body.as_bytes());
        assert_eq!(answer.status, 400, "{}", answer.text());
        server.is_well();
    }
}

#[test]
fn a_body_that_is_too_large_is_refused() {
    let Some(server) = server_with_kv() else { return };
    let body = format!("{{\"x\":\"{}\"}}", "x".repeat(40 * 1024 * 1024));
    let call = Call {
        method: "POST".into(),
        target: "/v1/kv/key".into(),
        headers: Vec::new(),
        body: Some(body.into_bytes()),
    };
    // The server may hang up before it has read everything.
    if let Ok(answer) = server.api().try_send(&call) {
        assert!([400, 413].contains(&answer.status), "{}: {}", answer.status, answer.text());
    }
    server.api().read("kv/key").status(404);
    server.is_well();
}

#[test]
fn a_large_secret_below_the_limit_is_kept_whole() {
    let Some(server) = server_with_kv() else { return };
    let text = "x".repeat(900_000);
    server.api().write("kv/large", &json!({"x": text})).status(204);
    assert_eq!(server.api().read("kv/large").ok().string("x"), text);
}

#[test]
fn numbers_and_texts_come_back_as_they_were_sent() {
    let Some(server) = server_with_kv() else { return };
    let body = r#"{"big":123456789012345678,"float":1.5,"text":"<&>\u2028\u0000é😀","nested":{"list":[1,null,true]}}"#;
    send(&server.api(), "POST", "/v1/kv/key", body.as_bytes()).status(204);
    let found = server.api().read("kv/key").ok().data();
    assert_eq!(found, serde_json::from_str::<serde_json::Value>(body).expect("JSON"));
}

#[test]
fn unknown_paths_and_methods_are_told_apart() {
    let Some(server) = server_with_kv() else { return };
    let api = server.api();
    api.read("no/such/mount").status(404).refused(&["no handler for route"]);
    api.read("sys/no-such-thing").status(404);
    api.send(&Call { method: "GET".into(), target: "/".into(), ..Call::default() });
    api.send(&Call { method: "GET".into(), target: "/v2/sys/health".into(), ..Call::default() })
        .status(404);
    api.send(&Call { method: "BREW".into(), target: "/v1/kv/key".into(), ..Call::default() })
        .status(405);
    api.call("PATCH", "kv/key", Some(&json!({"a": 1}))).refused(&["unsupported", ""]);
    api.write("kv/key", &json!({"a": 1})).status(204);
    api.list("kv/").status(200);
    api.list("kv").status(200);
    assert_eq!(api.read("kv/?list=true").ok().data(), json!({"keys": ["key"]}));
    server.is_well();
}

#[test]
fn put_and_post_are_the_same() {
    let Some(server) = server_with_kv() else { return };
    let api = server.api();
    for method in ["PUT", "POST"] {
        api.call(method, "kv/key", Some(&json!({"by": method}))).status(204);
        assert_eq!(api.read("kv/key").ok().data()["by"], method);
    }
}

#[test]
fn strange_paths_reach_nothing_that_they_should_not() {
    let Some(server) = server_with_kv() else { return };
    let api = server.api();
    api.write("kv/a/b", &json!({"v": 1})).status(204);
    for target in [
        "/v1/kv/a/../a/b/../../sys/mounts",
        "/v1/kv/%2e%2e/sys/mounts",
        "/v1//kv//a",
        "/v1/kv/a%00b",
        "/v1/kv/%ff",
        "/v1/kv/%zz",
    ] {
        let answer =
            api.send(&Call { method: "GET".into(), target: target.into(), ..Call::default() });
        assert!(
            !answer.text().contains("cubbyhole/"),
            "{target} reached the mount table: {}",
            answer.text()
        );
    }
    server.is_well();
}

#[test]
fn a_token_that_is_no_token_is_denied() {
    let Some(server) = server_with_kv() else { return };
    let api = server.api();
    let made = |body: &serde_json::Value| {
        let made = api.write("auth/token/create", body).ok().json();
        made["auth"]["client_token"].as_str().expect("a token").to_owned()
    };
    let revoked = made(&json!({}));
    api.write("auth/token/revoke", &json!({"token": revoked})).status(204);
    let expired = made(&json!({"ttl": "1s"}));
    wait_for("the token expires", || {
        (api.with_token(&expired).read("auth/token/lookup-self").status == 403).then_some(())
    });
    let used_up = made(&json!({"num_uses": 1}));
    api.with_token(&used_up).read("auth/token/lookup-self").status(200);
    let foreign = format!("hvs.{}", "A".repeat(90));
    for token in [&revoked, &expired, &used_up, &foreign, "", "x", "../../root", "root"] {
        let answer = api.with_token(token).read("kv/key");
        assert_eq!(answer.status, 403, "{token:?}: {}", answer.text());
        assert!(answer.errors().contains("permission denied"), "{token:?}: {}", answer.text());
    }
    api.without_token().read("kv/key").status(403);
}

#[test]
fn a_parents_revocation_takes_its_children_along_but_no_orphan() {
    let Some(server) = server_with_kv() else { return };
    let api = server.api();
    let token_of = |answer: Answer| {
        answer.ok().json()["auth"]["client_token"].as_str().expect("a token").to_owned()
    };
    let parent = token_of(api.write("auth/token/create", &json!({"policies": ["root"]})));
    let child = token_of(api.with_token(&parent).write("auth/token/create", &json!({})));
    let orphan = token_of(api.with_token(&parent).write("auth/token/create-orphan", &json!({})));
    api.write("auth/token/revoke", &json!({"token": parent})).status(204);
    wait_for("the child goes with its parent", || {
        (api.with_token(&child).read("auth/token/lookup-self").status == 403).then_some(())
    });
    api.with_token(&orphan).read("auth/token/lookup-self").status(200);
}

#[test]
fn no_answer_quotes_the_token_or_the_secret() {
    let Some(server) = server_with_kv() else { return };
    let api = server.api();
    let secret = "a-very-secret-value";
    send(&api, "POST", "/v1/kv/key", format!("{{\"x\": \"{secret}\"").as_bytes()).status(400);
    let answer = send(
        &api,
        "POST",
        "/v1/sys/mounts/x",
        format!("{{\"type\": {{\"{secret}\": 1}}}}").as_bytes(),
    );
    assert!(!answer.succeeded());
    if !server.is_bao() {
        assert!(!answer.text().contains(secret), "{}", answer.text());
    }
    let denied = api.with_token(&format!("hvs.{secret}")).read("kv/key").status(403);
    assert!(!denied.text().contains(secret));
    assert!(!server.log().contains(server.token()), "the log holds the root token");
    assert!(!server.log().contains(server.key()), "the log holds the unseal key");
}

#[test]
fn slow_and_broken_connections_hold_up_nobody() {
    let Some(server) = server_with_kv() else { return };
    let address = server.api().address();
    let mut held = Vec::new();
    for text in [
        "",
        "GET",
        "GET /v1/sys/health HTTP/1.1\r\nHost:",
        "POST /v1/kv/key HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{",
    ] {
        for _ in 0..25 {
            let mut stream = TcpStream::connect(address).expect("the server accepts");
            stream.write_all(text.as_bytes()).expect("the server reads");
            held.push(stream);
        }
    }
    for _ in 0..20 {
        server.is_well();
    }
    drop(held);
    let mut garbage = TcpStream::connect(address).expect("the server accepts");
    garbage
        .write_all(&[0x16, 0x03, 0x01, 0x00, 0xff, b'\n', b'\n', 0, 1, 2, 3])
        .expect("the server reads");
    garbage.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    let mut answer = Vec::new();
    let _ = garbage.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 2"));
    server.is_well();
    assert!(process::descriptors(server.pid()) < 200);
}

#[test]
fn huge_headers_are_refused() {
    let Some(server) = server_with_kv() else { return };
    let call = Call {
        method: "GET".into(),
        target: "/v1/sys/health".into(),
        headers: vec![("X-Large".into(), "x".repeat(2 * 1024 * 1024))],
        body: None,
    };
    if let Ok(answer) = server.public().try_send(&call) {
        assert!(!answer.succeeded(), "{}", answer.status);
    }
    server.is_well();
}

#[test]
fn wrong_unseal_keys_do_not_unseal() {
    let Some(server) = server_with_kv() else { return };
    server.seal();
    let public = server.public();
    for key in ["", "zz", "00", "AAAA", &"A".repeat(44), &"f".repeat(10_000)] {
        let answer = public.write("sys/unseal", &json!({"key": key}));
        assert_eq!(answer.status, 400, "{key:?}: {}", answer.text());
        assert_eq!(server.seal_status()["sealed"], true, "{key:?}");
    }
    server.api().read("kv/key").status(503).refused(&["sealed"]);
    server.unseal();
    server.api().read("kv/key").status(404);
}

#[test]
fn an_initialized_server_is_not_initialized_again() {
    let Some(server) = server_with_kv() else { return };
    server
        .public()
        .write("sys/init", &json!({"secret_shares": 1, "secret_threshold": 1}))
        .status(400)
        .refused(&["already initialized"]);
}

#[test]
fn a_policy_that_cannot_be_parsed_is_refused_with_its_place() {
    let Some(server) = server_with_kv() else { return };
    for policy in ["path \"x\" {", "path \"x\" { capabilities = [\"fly\"] }", "}", "path x y z"] {
        let answer = server.api().write("sys/policies/acl/bad", &json!({"policy": policy}));
        assert_eq!(answer.status, 400, "{policy:?}: {}", answer.text());
    }
    server.api().read("sys/policies/acl/bad").status(404);
}
