//! Password policies: kept, checked, and asked for by backends.

mod harness;

use boltwork_logical::{Error, Operation};
use harness::{Server, fields, refusal};
use serde_json::{Value, json};

const POLICY: &str = "length = 12\nrule \"charset\" { charset = \"abc\" }\n\
                      rule \"charset\" {\n charset = \"01\"\n min-chars = 2\n}";

async fn write(server: &Server, name: &str, text: &str) {
    let path = format!("sys/policies/password/{name}");
    server.write(&server.root, &path, json!({ "policy": text })).await.expect("a policy");
}

fn fits(password: &Value) -> bool {
    let password = password.as_str().expect("text");
    password.len() == 12
        && password.chars().all(|c| "abc01".contains(c))
        && password.chars().filter(|c| "01".contains(*c)).count() >= 2
}

#[tokio::test]
async fn a_policy_outlives_a_restart_and_makes_different_passwords() {
    let server = Server::start().await;
    write(&server, "team/db", POLICY).await;
    server.restart().await;
    let path = "sys/policies/password/team/db";
    assert_eq!(fields(server.read(&server.root, path).await)["policy"], POLICY);
    let listed = server.root(Operation::List, "sys/policies/password", Value::Null).await;
    assert_eq!(fields(listed)["keys"], json!(["team/db"]));
    let mut made = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let reply = server.read(&server.root, &format!("{path}/generate")).await;
        let password = fields(reply)["password"].clone();
        assert!(fits(&password));
        made.insert(password.to_string());
    }
    assert!(made.len() > 15, "twenty draws of five characters in twelve places hardly repeat");
    server.root(Operation::Delete, path, Value::Null).await.expect("delete");
    let gone = server.read(&server.root, &format!("{path}/generate")).await;
    assert!(matches!(gone.unwrap_err().error, Error::Coded { status: 404, .. }));
}

#[tokio::test]
async fn a_policy_that_cannot_be_kept_is_refused_and_the_old_one_stays() {
    let server = Server::start().await;
    write(&server, "p", POLICY).await;
    for (text, why) in [
        ("length = 20", "no charset specified"),
        ("length = 3\nrule \"charset\" { charset = \"abc\" }", "between 4 and 100 characters"),
        ("length = ", "invalid password policy: unable to decode"),
        ("", "missing policy"),
    ] {
        let body = json!({ "policy": text });
        let refused = server.write(&server.root, "sys/policies/password/p", body).await;
        assert!(refusal(refused).contains(why), "{text}");
    }
    let long = json!({ "policy": format!("{POLICY}\n# {}", "x".repeat(70_000)) });
    let refused = server.write(&server.root, "sys/policies/password/p", long).await;
    assert!(refusal(refused).contains("at most"));
    assert_eq!(
        fields(server.read(&server.root, "sys/policies/password/p").await)["policy"],
        POLICY
    );
}

#[tokio::test]
async fn a_backend_has_passwords_made_by_a_policy() {
    let server = Server::with_engine().await;
    write(&server, "p", POLICY).await;
    assert!(fits(&fields(server.read(&server.root, "kv/password/p").await)["password"]));
    let none = server.read(&server.root, "kv/password/nothing").await;
    assert_eq!(refusal(none), "no password policy found");
}

#[tokio::test]
async fn policies_need_a_token_that_may() {
    let server = Server::start().await;
    write(&server, "p", POLICY).await;
    server
        .policy("makes", r#"path "sys/policies/password/p/generate" { capabilities = ["read"] }"#)
        .await;
    let token = server.token(json!({ "policies": ["makes"] })).await;
    let made = server.read(&token, "sys/policies/password/p/generate").await;
    assert!(fits(&fields(made)["password"]));
    let shown = server.read(&token, "sys/policies/password/p").await;
    assert!(refusal(shown).contains("permission denied"));
    let body = json!({ "policy": POLICY });
    let written = server.write(&token, "sys/policies/password/p/generate", body).await;
    assert!(refusal(written).contains("permission denied"));
}
