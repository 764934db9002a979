//! Leases: kept before a secret is handed out, renewed, and taken back in every way.

mod harness;

use std::{sync::atomic::Ordering, time::Duration};

use boltwork_logical::{Operation, Secret, Storage};
use harness::{Server, fields, refusal, request, until};
use serde_json::{Value, json};

async fn lease_by(server: &Server, token: &str, ttl: &str) -> Secret {
    let wish = json!({ "ttl": ttl });
    let reply = server.by(token, Operation::Read, "kv/creds", wish).await;
    *reply.expect("creds").expect("a reply").secret.expect("a lease")
}

async fn lease(server: &Server, ttl: &str) -> Secret {
    lease_by(server, &server.root.clone(), ttl).await
}

fn users(server: &Server) -> usize {
    server.plugins.switches.users.lock().len()
}

fn fail_revocation(server: &Server, fail: bool) {
    server.plugins.switches.fail_revocation.store(fail, Ordering::SeqCst);
}

async fn sys(
    server: &Server,
    path: &str,
    body: Value,
) -> Result<Option<boltwork_logical::Reply>, boltwork_logical::Failure> {
    server.root(Operation::Update, &format!("sys/leases/{path}"), body).await
}

/// The error of a request, if it has one.
fn error(
    result: Result<Option<boltwork_logical::Reply>, boltwork_logical::Failure>,
) -> Option<String> {
    match result {
        Ok(reply) => reply.and_then(|reply| reply.error_text()),
        Err(failure) => Some(failure.error.to_string()),
    }
}

#[tokio::test]
async fn a_secret_is_leased_shown_and_taken_back() {
    let server = Server::with_engine().await;
    let lease = lease(&server, "10m").await;
    assert!(lease.lease_id.starts_with("kv/creds/") && lease.lease.renewable);
    assert_eq!(lease.lease.ttl, Duration::from_secs(600));
    let id = json!({ "lease_id": lease.lease_id });
    let shown = fields(sys(&server, "lookup", id.clone()).await);
    assert_eq!(shown["id"], lease.lease_id.as_str());
    assert!((595..=600).contains(&shown["ttl"].as_u64().expect("a number")));
    let names = server.root(Operation::List, "sys/leases/lookup/kv/creds/", Value::Null).await;
    let name = lease.lease_id.trim_start_matches("kv/creds/");
    assert_eq!(fields(names)["keys"], json!([name]));

    assert_eq!(users(&server), 1);
    let body = json!({ "lease_id": lease.lease_id, "sync": true });
    assert_eq!(error(sys(&server, "revoke", body).await), None);
    assert_eq!(users(&server), 0);
    assert_eq!(refusal(sys(&server, "lookup", id.clone()).await), "invalid lease");
    assert_eq!(refusal(sys(&server, "renew", id).await), "lease not found");
    assert_eq!(refusal(sys(&server, "revoke", json!({})).await), "lease_id must be specified");
}

#[tokio::test]
async fn a_lease_ends_at_its_time() {
    let server = Server::with_engine().await;
    lease(&server, "1s").await;
    let kept = lease(&server, "1h").await;
    until("the short one is taken back", async || users(&server) == 1).await;
    let body = json!({ "lease_id": kept.lease_id });
    assert_eq!(error(sys(&server, "revoke", body).await), None);
    until("asked to, the other too", async || users(&server) == 0).await;
}

#[tokio::test]
async fn a_lease_due_while_the_server_was_sealed_ends_after_unseal() {
    let server = Server::with_engine().await;
    lease(&server, "1s").await;
    let kept = lease(&server, "1h").await;
    fail_revocation(&server, true);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    server.core.shut_down().await;
    fail_revocation(&server, false);
    server.core.unseal(&server.share).await.expect("unseal");
    until("it is taken back", async || users(&server) == 1).await;
    let shown = fields(sys(&server, "lookup", json!({ "lease_id": kept.lease_id })).await);
    assert_eq!(shown["id"], kept.lease_id.as_str());
}

#[tokio::test]
async fn a_lease_ends_with_its_token_and_with_the_tokens_parent() {
    let server = Server::with_engine().await;
    let parent = server.token(json!({ "policies": ["root"], "ttl": "1h" })).await;
    let child = server.token_by(&parent, json!({ "ttl": "1h", "policies": ["root"] })).await;
    lease_by(&server, &parent, "1h").await;
    lease_by(&server, &child, "1h").await;
    lease(&server, "1h").await;
    let body = json!({ "token": parent });
    server.write(&server.root, "auth/token/revoke", body).await.expect("revoke");
    until("both are taken back", async || users(&server) == 1).await;
}

#[tokio::test]
async fn a_lease_of_a_tokens_last_use_ends_with_it() {
    let server = Server::with_engine().await;
    let token = server.token(json!({ "policies": ["root"], "num_uses": 1 })).await;
    lease_by(&server, &token, "1h").await;
    until("it is taken back", async || users(&server) == 0).await;
}

#[tokio::test]
async fn a_renewal_extends_a_lease_within_its_longest_life() {
    let server = Server::with_engine().await;
    let lease = lease(&server, "60s").await;
    let renew = async |increment: &str| {
        let body = json!({ "lease_id": lease.lease_id, "increment": increment });
        sys(&server, "renew", body).await.expect("renew").expect("a reply")
    };
    let reply = renew("30m").await;
    let secret = reply.secret.expect("a lease");
    assert_eq!(secret.lease.ttl, Duration::from_secs(1800));
    assert_eq!(secret.lease_id, lease.lease_id);
    assert!(reply.data.is_null(), "the secret itself is not shown again");
    let reply = renew("100h").await;
    let ttl = reply.secret.expect("a lease").lease.ttl.as_secs();
    assert!((7195..=7200).contains(&ttl), "{ttl}");
    assert!(reply.warnings[0].contains("max_ttl"), "{:?}", reply.warnings);
}

#[tokio::test]
async fn a_secret_whose_lease_cannot_be_stored_is_given_back() {
    let server = Server::with_engine().await;
    server.storage.fail_nth_write(1);
    let text = refusal(server.read(&server.root, "kv/creds").await);
    assert!(text.contains("given back"), "{text}");
    assert_eq!(users(&server), 0);
}

#[tokio::test]
async fn a_revocation_that_fails_is_told_and_the_lease_stays() {
    let server = Server::with_engine().await;
    let lease = lease(&server, "1h").await;
    fail_revocation(&server, true);
    let body = json!({ "lease_id": lease.lease_id, "sync": true });
    let text = error(sys(&server, "revoke", body.clone()).await).expect("an error");
    assert!(text.contains("cannot be revoked"), "{text}");
    let prefix = error(sys(&server, "revoke-prefix/kv", json!({})).await).expect("an error");
    assert!(prefix.contains(&lease.lease_id), "{prefix}");
    let shown = fields(sys(&server, "lookup", json!({ "lease_id": lease.lease_id })).await);
    assert_eq!((&shown["ttl"], &shown["renewable"]), (&json!(0), &json!(false)));
    fail_revocation(&server, false);
    assert_eq!(error(sys(&server, "revoke", body).await), None);
    assert_eq!(users(&server), 0);
}

#[tokio::test]
async fn leases_can_be_taken_back_or_forgotten_by_prefix() {
    let server = Server::with_engine().await;
    server.enable("other", "good").await.expect("enable");
    for _ in 0..3 {
        lease(&server, "1h").await;
    }
    server.read(&server.root, "other/creds").await.expect("creds");
    assert_eq!(error(sys(&server, "revoke-prefix/kv/creds", json!({})).await), None);
    assert_eq!(users(&server), 1);
    fail_revocation(&server, true);
    assert_eq!(error(sys(&server, "revoke-force/other", json!({})).await), None);
    let names = server.root(Operation::List, "sys/leases/lookup/", Value::Null).await;
    assert!(fields(names).is_empty(), "no lease is left");
    assert_eq!(users(&server), 1, "but the user is");
}

#[tokio::test]
async fn listing_leases_needs_sudo_and_looking_one_up_does_not() {
    let server = Server::with_engine().await;
    let lease = lease(&server, "1h").await;
    let rule = r#"path "sys/leases/lookup/*" { capabilities = ["list"] }"#;
    server.policy("p", rule).await;
    let token = server.token(json!({ "policies": ["p"] })).await;
    for path in ["sys/leases/lookup/", "sys/leases/lookup/kv/creds/"] {
        let listed = server.by(&token, Operation::List, path, Value::Null).await;
        assert!(refusal(listed).contains("permission denied"), "{path}");
    }
    let body = json!({ "lease_id": lease.lease_id });
    assert!(server.write(&token, "sys/leases/lookup", body).await.is_ok());
}

#[tokio::test]
async fn disabling_a_mount_takes_everything_back_or_changes_nothing() {
    let server = Server::with_engine().await;
    lease(&server, "1h").await;
    fail_revocation(&server, true);
    let disable = async || server.root(Operation::Delete, "sys/mounts/kv", Value::Null).await;
    let text = error(disable().await).expect("an error");
    assert!(text.contains("sys/leases/revoke-force/kv/"), "{text}");
    assert!(server.read(&server.root, "kv/echo").await.is_ok());
    fail_revocation(&server, false);
    assert_eq!(error(disable().await), None);
    assert_eq!(users(&server), 0);
    assert!(server.mount("kv/").await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_secret_outlives_its_token_however_close_they_come() {
    let server = Server::with_engine().await;
    for _ in 0..10 {
        let token = server.token(json!({ "policies": ["root"], "ttl": "1h" })).await;
        let askers: Vec<_> = (0..4)
            .map(|_| {
                let (core, token) = (server.core.clone(), token.clone());
                tokio::spawn(async move {
                    for _ in 0..20 {
                        let asked = request(&token, Operation::Read, "kv/creds", Value::Null);
                        if core.handle(asked).await.result.is_err() {
                            return;
                        }
                    }
                })
            })
            .collect();
        tokio::task::yield_now().await;
        let body = json!({ "token": token });
        server.write(&server.root, "auth/token/revoke", body).await.expect("revoke");
        for asker in askers {
            asker.await.expect("join");
        }
    }
    until("all are taken back", async || users(&server) == 0).await;
}

#[tokio::test]
async fn tidying_ends_the_leases_of_tokens_that_are_gone_and_no_others() {
    let server = Server::with_engine().await;
    server.policy("user", r#"path "kv/creds" { capabilities = ["read"] }"#).await;
    let (a, b) = (
        server.token(json!({ "policies": ["user"], "ttl": "1h" })).await,
        server.token(json!({ "policies": ["user"], "ttl": "1h" })).await,
    );
    for token in [&a, &b] {
        server.read(token, "kv/creds").await.expect("creds");
    }
    // As damage might leave it: the token's entry is gone, its lease is not.
    let view = server.barrier.view("sys/token/").expect("view");
    let shown = fields(server.read(&a, "auth/token/lookup-self").await);
    let mut lost = None;
    for key in view.list("id/").await.expect("list") {
        let entry = view.get(&format!("id/{key}")).await.expect("get").expect("an entry");
        let entry: Value = serde_json::from_slice(&entry.value).expect("JSON");
        if entry["accessor"] == shown["accessor"] {
            lost = Some(key);
        }
    }
    view.delete(&format!("id/{}", lost.expect("the token"))).await.expect("delete");
    let begun = server.write(&server.root, "sys/leases/tidy", Value::Null).await;
    assert_eq!(fields(begun)["http_status_code"], 202);
    let users = || server.plugins.switches.users.lock().len();
    until("one user is taken back", async || users() == 1).await;
    let count =
        fields(server.root(Operation::List, "sys/leases/lookup/kv/creds", Value::Null).await);
    assert_eq!(count["keys"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_lease_that_can_never_be_revoked_is_listed_with_its_reason_until_somebody_acts() {
    let server = Server::with_engine().await;
    let lease = lease(&server, "1h").await;
    let unrecoverable = &server.plugins.switches.unrecoverable;
    unrecoverable.store(true, Ordering::SeqCst);
    let body = json!({ "lease_id": lease.lease_id, "sync": false });
    assert_eq!(error(sys(&server, "revoke", body.clone()).await), None);
    let irrevocable = async || {
        let asked = json!({ "type": "irrevocable", "include_child_namespaces": true });
        fields(server.root(Operation::Read, "sys/leases", asked).await)
    };
    until("it is given up", async || irrevocable().await["lease_count"] == 1).await;
    server.restart().await;
    let listed = irrevocable().await;
    assert_eq!(listed["leases"][0]["lease_id"], lease.lease_id);
    assert_eq!(listed["leases"][0]["error"], "unrecoverable error");
    let accessor = server.mount("kv/").await.expect("the mount")["accessor"].clone();
    assert_eq!(listed["leases"][0]["mount_id"], accessor);
    let counts = json!({ "type": "irrevocable" });
    let counts = fields(server.root(Operation::Read, "sys/leases/count", counts).await);
    assert_eq!(counts["counts"][accessor.as_str().expect("a text")], 1);
    let renew = error(sys(&server, "renew", body).await).expect("an error");
    assert_eq!(renew, "lease is expired and has failed previous revocation attempts");
    unrecoverable.store(false, Ordering::SeqCst);
    let now = json!({ "lease_id": lease.lease_id, "sync": true });
    assert_eq!(error(sys(&server, "revoke", now).await), None);
    assert_eq!((users(&server), &irrevocable().await["lease_count"]), (0, &json!(0)));
}
