//! Requests and answers recorded from OpenBao 2.7.2, told again to this engine.
//!
//! `recorded/*.json` hold the requests in order, each with its status, payload, warnings and error
//! texts as the server gave them (times masked). Where this engine answers otherwise on purpose, the
//! entry says so: `ours` beside it holds what differs, `why` the reason.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod support;

use boltwork_sdk::logical::Operation;
use serde_json::{Map, Value, json};
use support::{Mount, masked};

/// Tells one recording; every difference is listed.
async fn tell(mount: &Mount, recording: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    for case in recording.as_array().unwrap() {
        let text = |key: &str| case[key].as_str().unwrap_or_default();
        let operation = match text("op") {
            "write" => Operation::Update,
            word => Operation::parse(word).unwrap(),
        };
        let body = case.get("body").cloned().unwrap_or(json!({}));
        let answer = mount.ask(operation, text("path"), body).await;
        let mut wanted = case.as_object().unwrap().clone();
        if let Some(Value::Object(ours)) = wanted.remove("ours") {
            assert!(!text("why").is_empty(), "{case}: no reason given");
            wanted.extend(ours);
        }
        let mut got = Map::new();
        for key in ["status", "data", "warnings", "errors", "lease_duration"] {
            wanted.entry(key).or_insert(match key {
                "data" => Value::Null,
                "lease_duration" => json!(0),
                _ => json!([]),
            });
        }
        got.insert("status".into(), json!(answer.status));
        got.insert("data".into(), masked(&answer.data));
        got.insert("warnings".into(), json!(answer.warnings));
        got.insert("errors".into(), json!(answer.errors));
        got.insert("lease_duration".into(), json!(answer.lease_duration));
        for (key, got) in got {
            if wanted[&key] != got && !(key == "errors" && wanted["errors"] == "any") {
                differences.push(format!(
                    "{} {} {}\n  {key}: wanted {}\n  {key}: got    {got}",
                    text("op"),
                    text("path"),
                    case.get("body").unwrap_or(&Value::Null),
                    wanted[&key],
                ));
            }
        }
    }
    differences
}

fn none(differences: Vec<String>) {
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Tells a recording to fresh mounts in both homes.
async fn tell_both(version: &str, group: &str, recording: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    for (mount, home) in Mount::both(&[("version", version)]).await.iter().zip(["in", "over"]) {
        let found = tell(mount, recording).await;
        differences.extend(found.into_iter().map(|text| format!("[{group}, {home}] {text}")));
    }
    differences
}

#[tokio::test]
async fn version_1_answers_as_recorded() {
    let recording = serde_json::from_str(include_str!("recorded/v1.json")).unwrap();
    none(tell_both("1", "v1", &recording).await);
}

#[tokio::test]
async fn version_2_answers_as_recorded() {
    let groups: Map<String, Value> =
        serde_json::from_str(include_str!("recorded/v2.json")).unwrap();
    let mut differences = Vec::new();
    for (group, recording) in groups {
        differences.extend(tell_both("2", &group, &recording).await);
    }
    none(differences);
}
