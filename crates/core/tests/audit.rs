//! What is recorded, and that nothing happens which is not.

mod harness;

use std::{
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

use boltwork_logical::Operation;
use harness::{Server, fields, refusal, until};
use serde_json::{Value, json};

/// A file that goes with the test.
struct Log(PathBuf);

impl Log {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let folder = std::env::temp_dir()
            .join(format!("boltwork-core-audit-{}-{number}", std::process::id()));
        Self(folder)
    }

    fn file(&self) -> String {
        self.0.join("audit.log").to_string_lossy().into_owned()
    }

    fn entries(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.file()).expect("the log");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    fn last_two(&self) -> [Value; 2] {
        let mut entries = self.entries();
        let last = entries.pop().expect("a last entry");
        [entries.pop().expect("one before"), last]
    }

    /// It cannot be opened any more.
    fn break_it(&self) {
        std::fs::remove_dir_all(&self.0).expect("remove");
        std::fs::write(&self.0, "in the way").expect("write");
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn enable(server: &Server, log: &Log) {
    let body = json!({
        "type": "file",
        "description": "all of it",
        "options": { "file_path": log.file() },
    });
    let reply = server.root(Operation::Update, "sys/audit/file", body).await.expect("enable");
    assert!(reply.is_none_or(|r| r.error_text().is_none()));
}

async fn audited() -> (Server, Log) {
    let (server, log) = (Server::with_engine().await, Log::new());
    enable(&server, &log).await;
    (server, log)
}

#[tokio::test]
async fn a_request_and_its_answer_are_audited_with_the_plugin_and_without_secrets() {
    let (server, log) = audited().await;
    server.write(&server.root, "kv/at/x", json!({ "password": "hunter2" })).await.expect("write");
    let found = fields(server.read(&server.root, "kv/at/x").await);
    assert_eq!(found["password"], "hunter2");
    let [asked, answered] = log.last_two();
    assert_eq!((&asked["type"], &answered["type"]), (&json!("request"), &json!("response")));
    for entry in [&asked, &answered] {
        let request = &entry["request"];
        assert_eq!(request["path"], "kv/at/x");
        assert_eq!(request["operation"], "read");
        assert_eq!(request["mount_point"], "kv/");
        assert_eq!(request["mount_class"], "secret");
        assert_eq!(request["mount_is_external_plugin"], true);
        assert_eq!(request["mount_running_version"], "v1.0.0");
        assert_eq!(request["mount_running_sha256"], "abcd");
        assert_eq!(request["remote_address"], "127.0.0.1");
        assert_eq!(entry["auth"]["policy_results"]["allowed"], true);
    }
    let hidden = answered["response"]["data"]["password"].as_str().expect("text");
    assert!(hidden.starts_with("hmac-sha256:"), "{hidden}");
    let text = std::fs::read_to_string(log.file()).expect("the log");
    assert!(!text.contains("hunter2") && !text.contains(&server.root));

    let body = json!({ "input": "hunter2" });
    let hash = fields(server.root(Operation::Update, "sys/audit-hash/file", body).await);
    assert_eq!(hash["hash"], hidden);
}

#[tokio::test]
async fn a_denied_request_is_audited_and_not_run() {
    let (server, log) = audited().await;
    let token = server.token(json!({ "policies": ["default"] })).await;
    let before = server.plugins.requests();
    for token in [token.as_str(), "unknown", ""] {
        let body = json!({ "a": "secret" });
        assert!(server.write(token, "kv/at/x", body).await.is_err());
        let [asked, answered] = log.last_two();
        for entry in [asked, answered] {
            assert_eq!(entry["request"]["path"], "kv/at/x");
            assert!(entry["error"].as_str().is_some_and(|e| e.contains("permission denied")));
            assert_ne!(entry["auth"]["policy_results"]["allowed"], true);
        }
    }
    assert_eq!(server.plugins.requests(), before);
}

#[tokio::test]
async fn a_request_that_cannot_be_audited_is_refused_and_not_run() {
    let server = Server::with_engine().await;
    let full = json!({ "file_path": "/dev/full", "skip_test": "true" });
    let body = json!({ "type": "file", "options": full });
    // Already the answer to this cannot be recorded.
    assert!(server.root(Operation::Update, "sys/audit/full", body).await.is_err());
    let before = server.plugins.requests();
    for token in [server.root.as_str(), "unknown"] {
        let text = refusal(server.read(token, "kv/at/x").await);
        assert_eq!(text, "1 error occurred:\n\t* internal error\n\n");
    }
    assert_eq!(server.plugins.requests(), before);
}

#[tokio::test]
async fn devices_come_back_after_unseal_with_the_same_digests() {
    let (server, log) = audited().await;
    let hash = async || {
        let body = json!({ "input": "x" });
        fields(server.root(Operation::Update, "sys/audit-hash/file", body).await)["hash"].clone()
    };
    let before = hash().await;
    server.restart().await;
    assert_eq!(hash().await, before);
    let shown = fields(server.root(Operation::Read, "sys/audit", Value::Null).await);
    assert_eq!(
        shown["file/"],
        json!({
            "path": "file/",
            "type": "file",
            "description": "all of it",
            "local": false,
            "options": { "file_path": log.file() },
        })
    );
    let count = log.entries().len();
    server.root(Operation::Delete, "sys/audit/file", Value::Null).await.expect("disable");
    assert_eq!(log.entries().len(), count + 1, "the request to disable, and then nothing");
    server.restart().await;
    let shown = fields(server.root(Operation::Read, "sys/audit", Value::Null).await);
    assert!(shown.is_empty());
}

#[tokio::test]
async fn a_server_whose_only_device_cannot_be_opened_stays_sealed() {
    let (server, log) = audited().await;
    let second = Log::new();
    let body = json!({ "type": "file", "options": { "file_path": second.file() } });
    server.root(Operation::Update, "sys/audit/second", body).await.expect("enable");
    server.core.shut_down().await;
    log.break_it();
    server.core.unseal(&server.share).await.expect("one of two is enough");
    server.core.shut_down().await;
    second.break_it();
    let error = server.core.unseal(&server.share).await.expect_err("none opens");
    assert!(error.to_string().starts_with("failed to setup audit table"), "{error}");
    assert!(server.core.is_sealed());
    std::fs::remove_file(&second.0).expect("mend it");
    server.core.unseal(&server.share).await.expect("and it opens");
}

#[tokio::test]
async fn a_device_that_cannot_be_is_refused_when_it_is_enabled() {
    let (server, log) = audited().await;
    let file = json!({ "file_path": log.file() });
    for (path, body, text) in [
        ("file", json!({ "type": "file", "options": file }), "path already in use"),
        ("file/x", json!({ "type": "file", "options": file }), "path already in use"),
        ("x", json!({ "type": "carrier-pigeon" }), "unknown backend type: \"carrier-pigeon\""),
        ("x", json!({ "type": "file" }), "file_path is required"),
        (
            "x",
            json!({ "type": "file", "options": { "file_path": log.file(), "prefix": "#!" } }),
            "audit log prefixing is not allowed",
        ),
    ] {
        let path = format!("sys/audit/{path}");
        assert_eq!(refusal(server.root(Operation::Update, &path, body).await), text, "{path}");
    }
    let full = json!({ "type": "file", "options": { "file_path": "/dev/full" } });
    let text = refusal(server.root(Operation::Update, "sys/audit/full", full).await);
    assert!(text.starts_with("audit backend failed test message"), "{text}");
    let shown = fields(server.root(Operation::Read, "sys/audit", Value::Null).await);
    assert_eq!(shown.keys().collect::<Vec<_>>(), ["file/"]);
}

#[tokio::test]
async fn auditing_needs_sudo() {
    let server = Server::start().await;
    server.policy("p", r#"path "sys/audit*" { capabilities = ["read", "update"] }"#).await;
    let token = server.token(json!({ "policies": ["p"] })).await;
    assert!(server.read(&token, "sys/audit").await.is_err());
    assert!(server.write(&token, "sys/audit/x", json!({ "type": "file" })).await.is_err());
}

#[tokio::test]
async fn a_client_that_does_not_wait_is_still_recorded_with_an_answer() {
    let (server, log) = audited().await;
    server.enable("slow", "hangs").await.expect("enable");
    let core = server.core.clone();
    let inbound = harness::request(&server.root, Operation::Read, "slow/echo", Value::Null);
    let client = tokio::spawn(async move { core.handle(inbound).await });
    let before = server.plugins.requests();
    until("the backend has the request", async || server.plugins.requests() > before).await;
    client.abort();
    until("the answer is recorded", async || {
        let [asked, answered] = log.last_two();
        asked["request"]["path"] == "slow/echo" && answered["type"] == "response"
    })
    .await;
    let [_, answered] = log.last_two();
    assert_eq!(answered["request"]["path"], "slow/echo");
    assert!(answered["error"].as_str().is_some_and(|e| e.starts_with("context canceled")));
}

#[tokio::test]
async fn only_the_headers_that_are_asked_for_are_recorded_and_credentials_never_in_the_clear() {
    let (server, log) = audited().await;
    let path = "sys/config/auditing/request-headers";
    for (name, hmac) in [("X-Trace", false), ("x-secret", true), ("X-Vault-Token", false)] {
        let body = json!({ "hmac": hmac });
        server.root(Operation::Update, &format!("{path}/{name}"), body).await.expect("write");
    }
    server.restart().await;
    let mut inbound = harness::request(&server.root, Operation::Read, "kv/echo", Value::Null);
    for (name, value) in [
        ("X-Trace", "abc"),
        ("X-Secret", "hidden"),
        ("X-Other", "other"),
        ("X-Vault-Token", server.root.as_str()),
    ] {
        inbound.headers.insert(name.to_owned(), vec![value.to_owned()]);
    }
    server.send(inbound).await.result.expect("read");
    let [asked, _] = log.last_two();
    let headers = asked["request"]["headers"].as_object().expect("headers");
    assert_eq!(headers.len(), 3);
    assert_eq!(headers["x-trace"], json!(["abc"]));
    for name in ["x-secret", "x-vault-token"] {
        let written = headers[name][0].as_str().expect("a value");
        assert!(written.starts_with("hmac-sha256:"), "{name}");
    }
    let read = fields(server.read(&server.root, &format!("{path}/X-Secret")).await);
    assert_eq!(read["X-Secret"], json!({ "hmac": true }));
    let gone = format!("{path}/x-secret");
    server.root(Operation::Delete, &gone, Value::Null).await.expect("delete");
    let refused = server.read(&server.root, &gone).await;
    assert_eq!(refusal(refused), "Could not find header in config");
}

#[tokio::test]
async fn whose_token_it_is_and_what_that_gives_is_recorded_and_for_a_barred_one_too() {
    let (server, log) = audited().await;
    let body = json!({ "type": "login" });
    server.root(Operation::Update, "sys/auth/one", body).await.expect("enable");
    let who = || json!({ "name": "alice", "policies": ["own"] });
    let log_in = async || {
        let reply = server.write("", "auth/one/login", who()).await.expect("login");
        reply.expect("a reply").auth.expect("a token")
    };
    let id = log_in().await.token.entity_id.clone();
    let entity = format!("identity/entity/id/{id}");
    let policies = json!({ "policies": "given" });
    server.write(&server.root, &entity, policies).await.expect("write");
    let auth = log_in().await;
    let [_, answer] = log.last_two();
    for part in [&answer["auth"], &answer["response"]["auth"]] {
        assert_eq!(part["entity_id"], json!(id), "{answer}");
        assert_eq!(part["identity_policies"], json!(["given"]));
        assert_eq!(part["token_policies"], json!(["default", "own"]));
        assert_eq!(part["policies"], json!(["default", "given", "own"]));
    }
    let token = auth.client_token.expose();
    server.read(token, "auth/token/lookup-self").await.expect("look up");
    let [asked, _] = log.last_two();
    assert_eq!(asked["auth"]["entity_id"], json!(id));
    assert_eq!(asked["auth"]["identity_policies"], json!(["given"]));
    assert_eq!(asked["auth"]["policies"], json!(["default", "given", "own"]));
    server.write(&server.root, &entity, json!({ "disabled": true })).await.expect("write");
    assert!(harness::is_plain_denial(&server.read(token, "auth/token/lookup-self").await));
    let [asked, _] = log.last_two();
    assert_eq!(asked["auth"]["entity_id"], json!(id));
    assert_eq!(asked["error"], "permission denied");
}
