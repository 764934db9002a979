//! Tokens as clients see them.

use std::time::Duration;

use boltwork_logical::{Auth, Lease, SecretText, TokenType, TokenWish};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::tokens::{TokenEntry, now, sanitized_policies};

/// The reply of a lookup. `identity` are the policies by way of its entity.
pub fn lookup(entry: &TokenEntry, token: &str, identity: &[String]) -> Value {
    let life = &entry.life;
    let mut data = json!({
        "id": token,
        "accessor": entry.accessor,
        "policies": entry.policies,
        "path": entry.path,
        "meta": entry.meta,
        "display_name": entry.display_name,
        "num_uses": entry.num_uses,
        "orphan": entry.is_orphan(),
        "creation_time": entry.creation_time,
        "creation_ttl": life.creation_ttl,
        "expire_time": (life.expire_time > 0).then(|| timestamp(life.expire_time)),
        "issue_time": timestamp(u64::try_from(entry.creation_time).unwrap_or(0)),
        "ttl": entry.remaining(now()),
        "explicit_max_ttl": life.explicit_max_ttl,
        "entity_id": entry.entity_id,
        "renewable": life.renewable && life.expire_time > 0,
        "type": entry.kind.as_str(),
    });
    let Value::Object(fields) = &mut data else { return data };
    // The first root token was never issued by a mount.
    if entry.path == "auth/token/root" && life.expire_time == 0 {
        fields.remove("issue_time");
        fields.remove("renewable");
    }
    if !entry.role.is_empty() {
        fields.insert("role".into(), json!(entry.role));
    }
    if !identity.is_empty() {
        fields.insert("identity_policies".into(), json!(identity));
        fields.insert("external_namespace_policies".into(), json!({}));
    }
    if life.period > 0 {
        fields.insert("period".into(), json!(life.period));
    }
    if !entry.bound_cidrs.is_empty() {
        fields.insert("bound_cidrs".into(), json!(entry.bound_cidrs));
    }
    if life.last_renewal_time > 0 {
        fields.insert("last_renewal".into(), json!(timestamp(life.last_renewal_time)));
        fields.insert("last_renewal_time".into(), json!(life.last_renewal_time));
    }
    data
}

/// The `auth` part of a reply that hands a token out or renews it.
pub fn auth(entry: &TokenEntry, token: &str, identity: &[String]) -> Auth {
    let mut identity_policies = identity.to_vec();
    identity_policies.sort();
    Auth {
        lease: Lease {
            ttl: Duration::from_secs(entry.remaining(now())),
            renewable: entry.life.renewable && entry.life.expire_time > 0,
            ..Lease::default()
        },
        client_token: SecretText::new(token),
        accessor: entry.accessor.clone(),
        display_name: entry.display_name.clone(),
        policies: match identity {
            [] => entry.policies.clone(),
            more => sanitized_policies(entry.policies.iter().chain(more), false),
        },
        metadata: entry.meta.clone().unwrap_or_default(),
        token: TokenWish {
            token_type: match entry.is_batch() {
                true => TokenType::Batch,
                false => TokenType::Service,
            },
            num_uses: entry.num_uses,
            period: Duration::from_secs(entry.life.period),
            explicit_max_ttl: Duration::from_secs(entry.life.explicit_max_ttl),
            token_policies: entry.policies.clone(),
            identity_policies,
            entity_id: entry.entity_id.clone(),
            orphan: entry.is_orphan(),
            ..TokenWish::default()
        },
        ..Auth::default()
    }
}

fn timestamp(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok())
        .and_then(|t| t.format(&Rfc3339).ok())
        .unwrap_or_default()
}
