//! A reply as the HTTP response that it would have been: Vault's envelope, in which clients expect
//! to find what they unwrap.

use boltwork_logical::{Auth, Error, Reply, TokenType};
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};
use zeroize::Zeroizing;

#[derive(Serialize)]
struct Envelope<'a> {
    request_id: &'a str,
    lease_id: &'a str,
    renewable: bool,
    lease_duration: u64,
    data: &'a RawValue,
    wrap_info: Option<()>,
    warnings: Option<&'a [String]>,
    auth: Option<Value>,
}

/// The response that this reply would have been.
pub fn of(request_id: &str, reply: &Reply) -> Result<Zeroizing<String>, Error> {
    let unwritable = |_| Error::internal("a reply could not be written as JSON to be wrapped");
    let secret = reply.secret.as_deref();
    let lease = secret.map(|s| s.lease).unwrap_or_default();
    let data: &RawValue = serde_json::from_str(reply.data.as_str()).map_err(unwritable)?;
    serde_json::to_string(&Envelope {
        request_id,
        lease_id: secret.map_or("", |s| s.lease_id.as_str()),
        renewable: lease.renewable,
        lease_duration: lease.ttl.as_secs(),
        data,
        wrap_info: None,
        warnings: (!reply.warnings.is_empty()).then_some(&reply.warnings),
        auth: reply.auth.as_deref().map(auth),
    })
    .map(Zeroizing::new)
    .map_err(unwritable)
}

fn auth(auth: &Auth) -> Value {
    let batch = matches!(auth.token.token_type, TokenType::Batch | TokenType::DefaultBatch);
    json!({
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
    })
}
