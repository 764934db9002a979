//! Smaller paths of `sys/`.

mod harness;

use boltwork_logical::Operation;
use harness::{Server, fields, refusal};
use serde_json::{Value, json};

#[tokio::test]
async fn random_bytes_are_as_many_as_asked_for_and_never_the_same() {
    let server = Server::start().await;
    let random = async |path: &str, body: Value| {
        server.root(Operation::Update, &format!("sys/tools/random{path}"), body).await
    };
    let hex = json!({ "format": "hex" });
    let first = fields(random("/16", hex.clone()).await)["random_bytes"].clone();
    assert_eq!(first.as_str().map(str::len), Some(32));
    assert_ne!(fields(random("/16", hex).await)["random_bytes"], first);
    let text = fields(random("", json!({})).await)["random_bytes"].clone();
    assert_eq!(text.as_str().map(str::len), Some(44), "32 bytes in base64");
    for (body, start) in [
        (json!({ "bytes": 0 }), "\"bytes\" cannot"),
        (json!({ "bytes": 1_000_000 }), "\"bytes\" should"),
        (json!({ "format": "roman" }), "unsupported encoding format"),
    ] {
        assert!(refusal(random("", body.clone()).await).starts_with(start), "{body}");
    }
}

#[tokio::test]
async fn digests_are_those_of_the_standard() {
    let server = Server::start().await;
    let body = json!({ "input": "aGk=" });
    let sum = server.root(Operation::Update, "sys/tools/hash", body).await;
    assert_eq!(
        fields(sum)["sum"],
        "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4"
    );
    let refused = server.root(Operation::Update, "sys/tools/hash/md5", json!({})).await;
    assert!(refusal(refused).contains("md5"));
}

#[tokio::test]
async fn a_caller_can_see_what_its_policies_come_to() {
    let server = Server::start().await;
    let rule = r#"path "a/b" { capabilities = ["update", "read"] }
                  path "c/*" { capabilities = ["list"] }"#;
    server.policy("p", rule).await;
    let token = server.token(json!({ "policies": ["p"] })).await;
    let shown = fields(server.read(&token, "sys/internal/ui/resultant-acl").await);
    assert_eq!(shown["root"], false);
    assert_eq!(shown["exact_paths"]["a/b"]["capabilities"], json!(["read", "update"]));
    assert_eq!(shown["glob_paths"]["c/"]["capabilities"], json!(["list"]));
    let shown = fields(server.read(&server.root, "sys/internal/ui/resultant-acl").await);
    assert_eq!(shown["root"], true);
}
