//! Numbers: that they are counted, and that they tell no secret.

mod harness;

use boltwork_core::MetricsFormat;
use boltwork_logical::Operation;
use harness::{Server, request};
use serde_json::{Value, json};

/// The number of a name whose labels contain these.
fn number(page: &Value, list: &str, name: &str, labels: &[(&str, &str)], key: &str) -> f64 {
    let points = page[list].as_array().expect("a list");
    let fits = |point: &&Value| {
        point["Name"] == name && labels.iter().all(|(label, text)| point["Labels"][*label] == *text)
    };
    let point = points.iter().find(fits);
    point.unwrap_or_else(|| panic!("{name} {labels:?} is not there"))[key]
        .as_f64()
        .expect("a number")
}

async fn page(server: &Server) -> Value {
    let page = server.core.metrics_page(MetricsFormat::Json).await;
    serde_json::from_str(&page.body).expect("JSON")
}

#[tokio::test]
async fn requests_tokens_and_leases_are_counted_by_mount() {
    let server = Server::with_engine().await;
    server.enable("bad", "panics").await.expect("enable");
    for _ in 0..3 {
        server.read(&server.root, "kv/creds").await.expect("creds");
    }
    assert!(server.read(&server.root, "bad/echo").await.is_err());
    assert!(server.read("nobody", "kv/echo").await.is_err());
    server.token(json!({ "ttl": "1h" })).await;
    let wish = json!({ "type": "batch", "policies": ["default"] });
    server.token(wish).await;
    let page = page(&server).await;
    let at = |point| [("mount_point", point)];
    assert_eq!(number(&page, "Samples", "vault.route.request", &at("kv/"), "Count"), 3.0);
    assert_eq!(number(&page, "Counters", "vault.route.failure", &at("kv/"), "Count"), 0.0);
    assert_eq!(number(&page, "Counters", "vault.route.failure", &at("bad/"), "Count"), 1.0);
    assert_eq!(number(&page, "Samples", "vault.route.start", &at("kv/"), "Count"), 1.0);
    assert_eq!(number(&page, "Counters", "vault.core.refused_requests", &[], "Count"), 1.0);
    assert_eq!(number(&page, "Gauges", "vault.core.unsealed", &[], "Value"), 1.0);
    assert_eq!(number(&page, "Gauges", "vault.token.count", &[], "Value"), 1.0);
    assert_eq!(number(&page, "Gauges", "vault.expire.num_leases", &[], "Value"), 4.0);
    let batch = [("token_type", "batch")];
    assert_eq!(number(&page, "Counters", "vault.token.creation", &batch, "Count"), 1.0);
}

#[tokio::test]
async fn numbers_are_there_while_sealed_and_need_a_token_otherwise() {
    let server = Server::with_engine().await;
    let asked = request("", Operation::Read, "sys/metrics", Value::Null);
    assert!(server.send(asked).await.result.is_err());
    let asked = request(&server.root, Operation::Read, "sys/metrics", Value::Null);
    assert!(server.send(asked).await.result.is_ok());
    server.core.shut_down().await;
    let page = page(&server).await;
    assert_eq!(number(&page, "Gauges", "vault.core.unsealed", &[], "Value"), 0.0);
}

#[tokio::test]
async fn what_clients_send_never_becomes_a_label() {
    let server = Server::with_engine().await;
    let path = "kv/at/name-of-a-secret";
    server.write(&server.root, path, json!({ "a": "value-of-a-secret" })).await.expect("write");
    let body = server.core.metrics_page(MetricsFormat::Prometheus).await.body;
    assert!(body.contains("vault_route_request_count{mount_point=\"kv/\""));
    for secret in ["name-of-a-secret", "value-of-a-secret", server.root.as_str()] {
        assert!(!body.contains(secret));
    }
}
