//! What callers may send for each type, against what Vault's weak decoding makes of it.

#![allow(clippy::unwrap_used)]

mod home;

use std::collections::BTreeMap;

use boltwork_framework::*;
use boltwork_logical::Operation;
use home::Home;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[derive(Default)]
struct Every {
    name: String,
    small: u8,
    signed: i64,
    big: u64,
    float: f64,
    flag: bool,
    list: Vec<String>,
    numbers: Vec<u16>,
    map: BTreeMap<String, String>,
    any: Value,
    ttl: Ttl,
    bytes: Base64,
    maybe: Option<u32>,
    choice: Choice,
    nested: Nested,
    kept: Json,
}

#[derive(Deserialize, Serialize, JsonSchema, Default)]
#[serde(rename_all = "kebab-case")]
enum Choice {
    #[default]
    None,
    RsaOnly,
}

#[derive(Deserialize, Serialize, JsonSchema, Default)]
#[serde(default)]
struct Nested {
    port: u16,
}

struct Echo;

impl Echo {
    async fn echo(&self, request: Request<Every>) -> Result<Reply> {
        Ok(Reply::data(&request.fields))
    }
}

impl Engine for Echo {
    fn routes() -> Routes<Self> {
        Routes::new([path("echo").write(Self::echo)])
    }
}

#[tokio::test]
async fn the_wanted_type_decides_how_a_value_is_read() {
    let home = Home::of(Echo);
    for (field, sent, read) in [
        ("name", json!("x"), json!("x")),
        ("name", json!(7), json!("7")),
        ("name", json!(1.50), json!("1.5")),
        ("name", json!(true), json!("1")),
        ("name", json!(null), json!("")),
        ("name", json!("a\"b\\u0041"), json!("a\"b\\u0041")),
        ("small", json!("12"), json!(12)),
        ("small", json!(12.0), json!(12)),
        ("small", json!(""), json!(0)),
        ("small", json!(true), json!(1)),
        ("signed", json!("-0x10"), json!(-16)),
        ("big", json!(u64::MAX), json!(u64::MAX)),
        ("float", json!("1.5"), json!(1.5)),
        ("float", json!(2), json!(2.0)),
        ("flag", json!("true"), json!(true)),
        ("flag", json!("F"), json!(false)),
        ("flag", json!(1), json!(true)),
        ("flag", json!(""), json!(false)),
        ("list", json!("a, b"), json!(["a", "b"])),
        ("list", json!(["a,b", 7]), json!(["a,b", "7"])),
        ("list", json!(""), json!([])),
        ("list", json!(5), json!(["5"])),
        ("list", json!("[\"a\",\"b\"]"), json!(["a", "b"])),
        ("list", json!("[draft] x, y"), json!(["[draft] x", "y"])),
        ("numbers", json!("1,2"), json!([1, 2])),
        ("numbers", json!([1, "2"]), json!([1, 2])),
        ("map", json!({"a": 1}), json!({"a": "1"})),
        ("map", json!("{\"a\":\"b\"}"), json!({"a": "b"})),
        ("map", json!(["a=b", "c=d=e"]), json!({"a": "b", "c": "d=e"})),
        ("map", json!("a=b"), json!({"a": "b"})),
        ("map", json!(""), json!({})),
        ("any", json!({"a": [1, null]}), json!({"a": [1, null]})),
        ("ttl", json!("1h"), json!(3600)),
        ("ttl", json!(90), json!(90)),
        ("ttl", json!("90"), json!(90)),
        ("ttl", json!("1500ms"), json!(1)),
        ("bytes", json!("aGk="), json!("aGk=")),
        ("maybe", json!("3"), json!(3)),
        ("maybe", json!(null), json!(null)),
        ("choice", json!("rsa-only"), json!("rsa-only")),
        ("nested", json!({"port": "5432"}), json!({"port": 5432})),
        ("nested", json!("{\"port\": \"5432\"}"), json!({"port": 5432})),
        ("map", json!("{\"a\": \"\\u0062\"}"), json!({"a": "b"})),
        ("numbers", json!("[\"1\", 2]"), json!([1, 2])),
        ("kept", json!({"b": 1, "a": {}}), json!({"b": 1, "a": {}})),
        ("kept", json!("{\"a\": [1]}"), json!({"a": [1]})),
    ] {
        let answer = home.data(Operation::Update, "echo", json!({ field: sent })).await;
        assert_eq!(answer[field], read, "{field} from {sent}");
    }
}

#[tokio::test]
async fn an_error_names_the_field_and_what_is_wanted_and_never_the_value() {
    let home = Home::of(Echo);
    for (field, sent, wanted) in [
        ("small", json!("hunter2"), "a whole number that fits u8"),
        ("small", json!(256), "a whole number that fits u8"),
        ("small", json!(1.5), "a whole number that fits u8"),
        ("signed", json!(["hunter2"]), "a whole number that fits i64"),
        ("flag", json!("hunter2"), "true or false"),
        ("float", json!("hunter2"), "a number"),
        ("name", json!({"hunter2": 1}), "text"),
        ("list", json!([["hunter2"]]), "text"),
        ("map", json!("hunter2"), "a map, or a list of key=value pairs"),
        ("ttl", json!("hunter2"), "a duration: seconds, or a text such as 1h30m"),
        ("ttl", json!(-1), "a duration that is not negative"),
        ("bytes", json!("hunter2!"), "base64 text"),
        ("choice", json!("hunter2"), "one of: none, rsa-only"),
        ("nested", json!({"port": "hunter2"}), "a whole number that fits u16"),
        ("kept", json!("hunter2"), "a JSON object"),
        ("kept", json!("{hunter2"), "a JSON object"),
    ] {
        let text = home.refusal(Operation::Update, "echo", json!({ field: sent })).await;
        let prefix = "Field validation failed: error converting input for field";
        assert_eq!(text, format!("{prefix} {field:?}: expected {wanted}"), "{sent}");
        assert!(!text.contains("hunter2"));
    }
}

#[derive(Deserialize, JsonSchema)]
struct Needed {
    name: String,
    #[serde(default)]
    change: Patch<String>,
}

struct Strict;

impl Strict {
    async fn write(&self, request: Request<Needed>) -> Result<Reply> {
        let mut stored = Some("old".to_owned());
        request.fields.change.apply(&mut stored);
        Ok(Reply::data(json!({ "name": request.fields.name, "stored": stored })))
    }
}

impl Engine for Strict {
    fn routes() -> Routes<Self> {
        Routes::new([path("one/{name}").write(Self::write), path("none").write(Self::write)])
    }
}

#[tokio::test]
async fn a_missing_field_is_named() {
    let home = Home::of(Strict);
    let text = home.refusal(Operation::Update, "none", json!({})).await;
    assert_eq!(text, "Field validation failed: missing required field \"name\"");
}

#[tokio::test]
async fn captures_beat_the_body_and_unknown_fields_are_told() {
    let home = Home::of(Strict);
    let sent = json!({ "name": "body", "zebra": 1, "ape": 2 });
    let reply = home.ask(Operation::Update, "one/path", sent).await.unwrap().unwrap();
    assert_eq!(reply.data.fields().unwrap()["name"], "path");
    assert_eq!(
        reply.warnings,
        [
            "Endpoint ignored these unrecognized parameters: [ape zebra]",
            "Endpoint replaced the value of these parameters with the values captured from the \
             endpoint's path: [name]",
        ]
    );
    let sent = json!({ "name": null });
    let reply = home.ask(Operation::Update, "one/path", sent).await.unwrap().unwrap();
    assert!(reply.warnings.is_empty());
}

#[tokio::test]
async fn a_patch_tells_null_from_absent() {
    let home = Home::of(Strict);
    for (sent, stored) in [
        (json!({}), json!("old")),
        (json!({"change": null}), json!(null)),
        (json!({"change": "new"}), json!("new")),
    ] {
        assert_eq!(home.data(Operation::Update, "one/x", sent).await["stored"], stored);
    }
}

#[tokio::test]
async fn of_a_field_sent_twice_the_last_counts() {
    let home = Home::of(Echo);
    let mut request = home.request(Operation::Update, "echo", json!({}));
    request.data = boltwork_logical::Data::parse(br#"{"small":1,"small":2}"#.to_vec()).unwrap();
    let reply = home.backend.handle(request).await.unwrap().unwrap();
    assert_eq!(reply.data.fields().unwrap()["small"], 2);
}

#[test]
fn a_stored_ttl_reads_back_as_itself() {
    let text = serde_json::to_string(&Ttl::seconds(90)).unwrap();
    assert_eq!(text, "90");
    assert_eq!(serde_json::from_str::<Ttl>(&text).unwrap(), Ttl::seconds(90));
    let bytes = Base64(b"hi".to_vec().into());
    let text = serde_json::to_string(&bytes).unwrap();
    assert_eq!(serde_json::from_str::<Base64>(&text).unwrap(), bytes);
}
