//! Vault's envelope around a reply: the JSON that clients read, whether it comes as a response or
//! out of a wrapping token.
//!
//! It is written by hand around the payload, which goes in as the text it is. Status codes and
//! headers are the door's business.

use boltwork_logical::{Auth, Reply, TokenType, WrapInfo};
use serde::Serialize;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Writes the envelope's keys and values, without the braces around them.
pub fn write(out: &mut Vec<u8>, request_id: &str, reply: &Reply) {
    let secret = reply.secret.as_deref();
    let lease = secret.map(|s| s.lease).unwrap_or_default();
    out.extend_from_slice(b"\"request_id\":");
    value(out, request_id);
    out.extend_from_slice(b",\"lease_id\":");
    value(out, secret.map_or("", |s| s.lease_id.as_str()));
    let rest = format!(
        ",\"renewable\":{},\"lease_duration\":{},\"data\":",
        lease.renewable,
        lease.ttl.as_secs()
    );
    out.extend_from_slice(rest.as_bytes());
    out.extend_from_slice(reply.data.as_bytes());
    out.extend_from_slice(b",\"wrap_info\":");
    value(out, &reply.wrap.as_deref().map(wrap_info));
    out.extend_from_slice(b",\"warnings\":");
    value(out, &(!reply.warnings.is_empty()).then_some(&reply.warnings));
    out.extend_from_slice(b",\"auth\":");
    value(out, &reply.auth.as_deref().map(auth));
}

fn value<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // Writing to a vector cannot fail, and these are all plain values.
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.extend_from_slice(b"null");
    }
}

fn auth(auth: &Auth) -> Value {
    let batch = matches!(auth.token.token_type, TokenType::Batch | TokenType::DefaultBatch);
    let mut shown = json!({
        "client_token": auth.client_token.expose(),
        "accessor": auth.accessor,
        "policies": auth.policies,
        "token_policies": auth.token.token_policies,
        "metadata": (!auth.metadata.is_empty()).then_some(&auth.metadata),
        "lease_duration": auth.lease.ttl.as_secs(),
        "renewable": auth.lease.renewable,
        "entity_id": auth.token.entity_id,
        "token_type": if batch { "batch" } else { "service" },
        "orphan": auth.token.orphan,
        "mfa_requirement": null,
        "num_uses": auth.token.num_uses,
    });
    if !auth.token.identity_policies.is_empty() {
        shown["identity_policies"] = json!(auth.token.identity_policies);
    }
    shown
}

fn wrap_info(info: &WrapInfo) -> Value {
    let created = info
        .created
        .and_then(|t| OffsetDateTime::from(t).format(&Rfc3339).ok())
        .unwrap_or_default();
    let mut shown = json!({
        "token": info.token.expose(),
        "accessor": info.accessor,
        "ttl": info.ttl.as_secs(),
        "creation_time": created,
        "creation_path": info.creation_path,
    });
    if !info.wrapped_accessor.is_empty() {
        shown["wrapped_accessor"] = json!(info.wrapped_accessor);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use boltwork_logical::Data;

    #[test]
    fn the_payload_goes_into_the_envelope_as_it_is() {
        let reply = Reply::data(Data::parse(br#"{"b": 1.0, "a":2}"#.to_vec()).unwrap());
        let mut out = Vec::new();
        write(&mut out, "id", &reply);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\"request_id\":\"id\",\"lease_id\":\"\",\"renewable\":false,\"lease_duration\":0,\
             \"data\":{\"b\": 1.0, \"a\":2},\"wrap_info\":null,\"warnings\":null,\"auth\":null"
        );
    }
}
