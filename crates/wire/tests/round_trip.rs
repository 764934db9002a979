//! Full messages there and back, through their bytes; and what a hostile peer may send.
//!
//! A message with every field set is read into the nouns and written again. What does not come
//! back is what the nouns deliberately lack, and is named here.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use boltwork_logical::{
    BoxFuture, Data, Entry, Error, Existence, Failure, Operation, Reply, Request, Storage,
    StorageError, Transaction,
};
use boltwork_wire::{
    answer_from_wire, answer_to_wire, existence_from_wire, existence_to_wire,
    initialized_from_wire, initialized_to_wire, logical, pb, reply_from_wire, reply_to_wire,
    request_from_wire, request_to_wire,
};
use prost::Message;
use prost_types::Timestamp;

struct NoStorage;

impl Storage for NoStorage {
    fn get<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StorageError>> {
        Box::pin(async { Ok(None) })
    }
    fn put(&self, _: Entry) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async { Ok(()) })
    }
    fn delete<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), StorageError>> {
        Box::pin(async { Ok(()) })
    }
    fn list_page<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: Option<usize>,
    ) -> BoxFuture<'a, Result<Vec<String>, StorageError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
    fn begin(&self, _: bool) -> BoxFuture<'_, Result<Box<dyn Transaction>, StorageError>> {
        Box::pin(async { Err(StorageError::NoTransactions) })
    }
}

fn read(request: pb::Request) -> Result<Request, boltwork_wire::WireError> {
    request_from_wire(request, Arc::new(NoStorage))
}

fn text(name: &str) -> String {
    format!("<{name}>")
}

fn texts(name: &str) -> Vec<String> {
    vec![format!("{name}-1"), format!("{name}-2")]
}

fn map(name: &str) -> HashMap<String, String> {
    HashMap::from([(format!("{name}-k"), format!("{name}-v"))])
}

fn headers() -> HashMap<String, pb::Header> {
    HashMap::from([("X-My-Header".into(), pb::Header { header: texts("header") })])
}

fn lease() -> pb::LeaseOptions {
    pb::LeaseOptions {
        ttl: 1,
        renewable: true,
        increment: 2,
        issue_time: Some(Timestamp { seconds: 1_700_000_000, nanos: 5 }),
        max_ttl: i64::MAX,
    }
}

fn secret() -> pb::Secret {
    pb::Secret {
        lease_options: Some(lease()),
        internal_data: r#"{ "role" : "r" }"#.into(),
        lease_id: text("lease"),
    }
}

fn alias(name: &str) -> logical::Alias {
    logical::Alias {
        mount_type: text("type"),
        mount_accessor: text("accessor"),
        name: text(name),
        metadata: map("meta"),
        id: text("id"),
        namespace_id: text("namespace"),
        custom_metadata: map("custom"),
        local: true,
    }
}

fn auth() -> pb::Auth {
    pb::Auth {
        lease_options: Some(lease()),
        internal_data: r#"{"a":1.0}"#.into(),
        display_name: text("display"),
        policies: texts("policy"),
        metadata: map("meta"),
        client_token: text("token"),
        accessor: text("accessor"),
        period: 3,
        num_uses: -4,
        entity_id: text("entity"),
        alias: Some(alias("one")),
        group_aliases: vec![alias("two"), alias("three")],
        bound_cidrs: vec!["10.0.0.0/8".into(), "::1".into()],
        token_policies: texts("token"),
        identity_policies: texts("identity"),
        explicit_max_ttl: 5,
        token_type: 4,
        no_default_policy: true,
    }
}

fn connection() -> pb::Connection {
    let certificate = |n| pb::Certificate { asn1_data: vec![n] };
    let chain = || pb::CertificateChain { certificates: vec![certificate(1), certificate(2)] };
    pb::Connection {
        remote_addr: "192.0.2.1".into(),
        remote_port: 4711,
        connection_state: Some(pb::ConnectionState {
            version: 0x0304,
            handshake_complete: true,
            cipher_suite: 0x1301,
            negotiated_protocol: "h2".into(),
            negotiated_protocol_is_mutual: true,
            server_name: text("sni"),
            peer_certificates: Some(chain()),
            verified_chains: vec![chain(), chain()],
            ..pb::ConnectionState::default()
        }),
        proxied_certificates_raw: Vec::new(),
        peer_certificates_raw: vec![vec![1], vec![2]],
    }
}

fn request() -> pb::Request {
    pb::Request {
        id: text("id"),
        operation: "update".into(),
        path: "creds/x".into(),
        data: "{\"b\" : 1e400000, \"a\":\"\\u003c\"}".into(),
        secret: Some(secret()),
        auth: Some(auth()),
        headers: headers(),
        client_token: text("digest"),
        client_token_accessor: text("accessor"),
        display_name: text("display"),
        mount_point: "auth/x/".into(),
        mount_type: text("type"),
        mount_accessor: text("mount"),
        wrap_info: Some(pb::RequestWrapInfo { ttl: 6, format: "jwt".into(), seal_wrap: false }),
        entity_id: text("entity"),
        policy_override: true,
        unauthenticated: true,
        connection: Some(connection()),
        // Not sent to plugins: these stay empty.
        replication_cluster: String::new(),
        client_token_remaining_uses: 0,
        requires_snapshot_id: String::new(),
    }
}

fn response() -> pb::Response {
    pb::Response {
        secret: Some(secret()),
        auth: Some(auth()),
        data: "{ \"n\": 12345678901234567890 }".into(),
        redirect: text("redirect"),
        warnings: texts("warning"),
        wrap_info: Some(pb::ResponseWrapInfo {
            ttl: 7,
            token: text("token"),
            accessor: text("accessor"),
            creation_time: Some(Timestamp { seconds: -5, nanos: 999_999_999 }),
            wrapped_accessor: text("wrapped"),
            wrapped_entity_id: text("entity"),
            format: "jwt".into(),
            creation_path: text("path"),
            seal_wrap: true,
        }),
        headers: headers(),
        mount_type: String::new(),
    }
}

fn recoded<M: Message + Default>(message: &M) -> M {
    M::decode(message.encode_to_vec().as_slice()).unwrap()
}

#[test]
fn a_request_with_everything_in_it_crosses_unchanged() {
    let sent = request();
    let read = read(recoded(&sent)).unwrap();
    assert_eq!(read.operation, Operation::Update);
    assert_eq!(read.data.as_str(), sent.data, "the payload's text is not rebuilt");
    assert!(recoded(&request_to_wire(&read)) == sent);
}

#[test]
fn every_operation_crosses() {
    for word in [
        "create",
        "read",
        "update",
        "patch",
        "delete",
        "list",
        "scan",
        "help",
        "alias-lookahead",
        "resolve-role",
        "header",
        "revoke",
        "renew",
        "rollback",
    ] {
        let read = read(pb::Request { operation: word.into(), ..request() }).unwrap();
        assert_eq!(request_to_wire(&read).operation, word);
    }
}

#[test]
fn an_operation_of_the_future_is_unsupported_and_not_a_crash() {
    let error = read(pb::Request { operation: "recover".into(), ..request() }).err().unwrap();
    assert_eq!(Error::from(error), Error::UnsupportedOperation);
}

#[test]
fn a_bare_request_sends_null_and_no_optional_part() {
    let wire = request_to_wire(&Request::new(Operation::Read, "x", Arc::new(NoStorage)));
    assert_eq!(wire.data, "null");
    assert!(wire.secret.is_none() && wire.auth.is_none());
    assert!(wire.wrap_info.is_none() && wire.connection.is_none());
    assert!(read(recoded(&wire)).unwrap().data.is_null());
}

#[test]
fn header_names_reach_a_plugin_in_the_form_of_go() {
    let mut bare = Request::new(Operation::Read, "x", Arc::new(NoStorage));
    bare.headers.insert("x-my-header".into(), vec!["v".into()]);
    assert!(request_to_wire(&bare).headers.contains_key("X-My-Header"));
}

#[test]
fn a_reply_with_everything_in_it_crosses_unchanged() {
    let sent = response();
    let read = reply_from_wire(recoded(&sent)).unwrap();
    assert_eq!(read.data.as_str(), sent.data, "no digit of a large number is lost");
    assert!(recoded(&reply_to_wire(&read)) == sent);
}

#[test]
fn no_reply_null_data_and_an_empty_object_are_three_things() {
    let crossed = |reply: Option<Reply>| answer_from_wire(recoded(&answer_to_wire(&Ok(reply))));
    assert!(crossed(None).unwrap().is_none());
    assert!(crossed(Some(Reply::default())).unwrap().unwrap().data.is_null());
    let empty = Reply::data(Data::parse(b"{}".to_vec()).unwrap());
    assert!(!crossed(Some(empty)).unwrap().unwrap().data.is_null());
}

#[test]
fn a_secret_without_times_carries_the_zero_time_of_go() {
    let reply = Reply { secret: Some(Box::default()), ..Reply::default() };
    let lease = reply_to_wire(&reply).secret.unwrap().lease_options.unwrap();
    assert_eq!(lease.issue_time, Some(Timestamp { seconds: -62_135_596_800, nanos: 0 }));
}

#[test]
fn bad_input_is_answered_with_an_error_response() {
    let answer = answer_to_wire(&Err(Error::invalid("the \"role\" is missing").into()));
    assert!(answer.err.is_none());
    let reply = answer_from_wire(answer).unwrap().unwrap();
    assert_eq!(reply.error_text().as_deref(), Some("the \"role\" is missing"));
    assert_eq!(reply.data.fields().unwrap().len(), 1);
}

#[test]
fn an_error_and_the_reply_beside_it_are_both_handed_on() {
    let reply = Reply { warnings: texts("w"), ..Reply::default() };
    let both = Failure { error: Error::Invalid("no".into()), reply: Some(Box::new(reply)) };
    let failure = answer_from_wire(recoded(&answer_to_wire(&Err(both)))).unwrap_err();
    assert_eq!(failure.error, Error::Invalid("no".into()));
    assert_eq!(failure.reply.unwrap().warnings, texts("w"));
}

#[test]
fn existence_and_initialisation_cross() {
    for found in [Existence::Unchecked, Existence::Exists, Existence::Absent] {
        assert_eq!(existence_from_wire(recoded(&existence_to_wire(&Ok(found)))), Ok(found));
    }
    let denied = Err(Error::Denied);
    assert_eq!(existence_from_wire(existence_to_wire(&denied)), denied);
    assert_eq!(initialized_from_wire(initialized_to_wire(&Ok(()))), Ok(()));
    assert_eq!(initialized_from_wire(initialized_to_wire(&Err(Error::Denied))), Err(Error::Denied));
}

#[test]
fn exists_without_a_check_does_not_count() {
    let odd = pb::HandleExistenceCheckReply { check_found: false, exists: true, err: None };
    assert_eq!(existence_from_wire(odd), Ok(Existence::Unchecked));
}

/// One thing wrong with an otherwise good reply, and the field that the error must name.
#[test]
fn what_is_malformed_is_named_and_not_quoted() {
    type Spoil = fn(&mut pb::Response);
    let cases: [(Spoil, &str); 12] = [
        (|r| r.data = String::new(), "Response.data"),
        (|r| r.data = "{\"hunter2\":".into(), "Response.data"),
        (|r| r.data = "[\"hunter2\"]".into(), "Response.data"),
        (|r| r.data = format!("{{\"a\":{}", "[".repeat(100_000)), "Response.data"),
        (|r| r.secret.as_mut().unwrap().internal_data.clear(), "Secret.internal_data"),
        (|r| r.auth.as_mut().unwrap().internal_data = "hunter2".into(), "Auth.internal_data"),
        (|r| r.auth.as_mut().unwrap().bound_cidrs.push("hunter2".into()), "Auth.bound_cidrs"),
        (|r| r.auth.as_mut().unwrap().period = -1, "Auth.period"),
        (|r| r.auth.as_mut().unwrap().token_type = 99, "Auth.token_type"),
        (
            |r| r.secret.as_mut().unwrap().lease_options.as_mut().unwrap().ttl = i64::MIN,
            "LeaseOptions.TTL",
        ),
        (
            |r| r.secret.as_mut().unwrap().lease_options.as_mut().unwrap().issue_time = None,
            "LeaseOptions.issue_time",
        ),
        (
            |r| {
                let time = Timestamp { seconds: i64::MAX, nanos: i32::MIN };
                r.wrap_info.as_mut().unwrap().creation_time = Some(time);
            },
            "ResponseWrapInfo.creation_time",
        ),
    ];
    for (spoil, field) in cases {
        let mut spoilt = response();
        spoil(&mut spoilt);
        let answer = pb::HandleRequestReply { response: Some(spoilt), err: None };
        let failure = answer_from_wire(answer).unwrap_err();
        let Error::Internal(said) = &failure.error else { panic!("{failure}") };
        assert!(said.contains(field), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn an_unreadable_reply_does_not_hide_the_error_beside_it() {
    let answer = pb::HandleRequestReply {
        response: Some(pb::Response::default()),
        err: Some(pb::ProtoError { err_type: 8, ..pb::ProtoError::default() }),
    };
    assert_eq!(answer_from_wire(answer).unwrap_err().error, Error::Denied);
}

/// Bytes that are almost messages: every cut and every flipped bit of a full one.
#[test]
fn no_bytes_of_a_peer_can_cause_a_panic() {
    let reply = pb::HandleRequestReply {
        response: Some(response()),
        err: Some(pb::ProtoError { err_type: 3, err_msg: text("m"), err_code: 404 }),
    };
    let bytes = reply.encode_to_vec();
    let mut readable = 0;
    for position in 0..bytes.len() {
        if let Ok(cut) = pb::HandleRequestReply::decode(&bytes[..position]) {
            let _ = answer_from_wire(cut);
        }
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[position] ^= 1 << bit;
            if let Ok(odd) = pb::HandleRequestReply::decode(flipped.as_slice()) {
                readable += 1;
                let _ = answer_from_wire(odd);
            }
        }
    }
    assert!(readable > 0);

    let bytes = request().encode_to_vec();
    for position in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[position] ^= 1 << bit;
            if let Ok(odd) = pb::Request::decode(flipped.as_slice()) {
                let _ = read(odd);
            }
        }
    }
}

#[test]
fn spans_keep_their_nanoseconds() {
    let reply = reply_from_wire(response()).unwrap();
    assert_eq!(reply.secret.unwrap().lease.ttl, Duration::from_nanos(1));
}
