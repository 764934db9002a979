//! What must be answered in any state, without a token: init, unseal, seal status, health, leader.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use boltwork_core::{Core, InitRequest, LifecycleError};
use bytes::Bytes;
use http::{Method, StatusCode, request::Parts};
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

use crate::{
    encode::{Answer, empty, errors, ok_json},
    query,
};

/// Answers, if the path is one of these.
pub async fn answer(core: &Core, parts: &Parts, path: &str, body: &Bytes) -> Option<Answer> {
    let write = matches!(parts.method, Method::PUT | Method::POST);
    let read = parts.method == Method::GET;
    let wrong_method = || errors(StatusCode::METHOD_NOT_ALLOWED, &[]);
    Some(match path {
        "sys/init" if read => init_status(core).await,
        "sys/init" if write => init(core, body).await,
        "sys/seal-status" if read => seal_status(core).await,
        "sys/unseal" if write => unseal(core, body).await,
        "sys/health" if read || parts.method == Method::HEAD => health(core, parts).await,
        "sys/leader" if read => leader(),
        "sys/seal" | "sys/step-down" if !write => wrong_method(),
        "sys/init" | "sys/seal-status" | "sys/unseal" | "sys/health" | "sys/leader" => {
            wrong_method()
        }
        _ => return None,
    })
}

fn json<T: Serialize>(code: StatusCode, value: &T) -> Answer {
    match serde_json::to_vec(value) {
        Ok(mut body) => {
            body.push(b'\n');
            ok_json(code, body)
        }
        Err(_) => {
            errors(StatusCode::INTERNAL_SERVER_ERROR, &["the answer could not be written".into()])
        }
    }
}

fn failed(error: &LifecycleError) -> Answer {
    let code = match error {
        LifecycleError::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    };
    errors(code, &[error.to_string()])
}

fn read_body<T: for<'a> Deserialize<'a> + Default>(body: &Bytes) -> Result<T, Box<Answer>> {
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body).map_err(|e| {
        let text =
            format!("failed to decode JSON input at line {}, column {}", e.line(), e.column());
        Box::new(errors(StatusCode::BAD_REQUEST, &[text]))
    })
}

async fn init_status(core: &Core) -> Answer {
    match core.is_initialized().await {
        Ok(initialized) => json(StatusCode::OK, &json!({ "initialized": initialized })),
        Err(error) => failed(&error),
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct InitBody {
    secret_shares: i64,
    secret_threshold: i64,
    pgp_keys: Option<Vec<String>>,
    root_token_pgp_key: Option<String>,
    recovery_shares: u64,
    recovery_threshold: u64,
    recovery_pgp_keys: Option<Vec<String>>,
    stored_shares: u64,
}

/// Options that would change what the caller gets back must not be overlooked.
fn unsupported(body: &InitBody) -> Option<String> {
    let given = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|l| !l.is_empty());
    let recovery = [
        ("recovery_shares", body.recovery_shares > 0),
        ("recovery_threshold", body.recovery_threshold > 0),
        ("recovery_pgp_keys", given(&body.recovery_pgp_keys)),
    ];
    let named: Vec<_> = recovery.iter().filter(|(_, given)| *given).map(|(n, _)| *n).collect();
    if !named.is_empty() {
        return Some(format!("parameters {} not applicable to seal type shamir", named.join(",")));
    }
    if body.stored_shares > 1 {
        return Some("stored_shares is not applicable to seal type shamir".to_owned());
    }
    if given(&body.pgp_keys) || body.root_token_pgp_key.as_ref().is_some_and(|k| !k.is_empty()) {
        return Some(
            "this server cannot encrypt with PGP keys; leave pgp_keys and root_token_pgp_key out"
                .to_owned(),
        );
    }
    None
}

async fn init(core: &Core, body: &Bytes) -> Answer {
    let body: InitBody = match read_body(body) {
        Ok(body) => body,
        Err(answer) => return *answer,
    };
    if let Some(text) = unsupported(&body) {
        return errors(StatusCode::BAD_REQUEST, &[text]);
    }
    let request = InitRequest {
        // Fewer than none is refused like none.
        secret_shares: u64::try_from(body.secret_shares).unwrap_or(0),
        secret_threshold: u64::try_from(body.secret_threshold).unwrap_or(0),
        root_token: None,
    };
    match core.initialize(request).await {
        Err(error) => failed(&error),
        Ok(made) => {
            let hex: Vec<_> = made.shares.iter().map(|s| Zeroizing::new(hex::encode(s))).collect();
            let b64: Vec<_> =
                made.shares.iter().map(|s| Zeroizing::new(BASE64_STANDARD.encode(s))).collect();
            let strs = |list: &[Zeroizing<String>]| -> Vec<serde_json::Value> {
                list.iter().map(|s| s.as_str().into()).collect()
            };
            json(
                StatusCode::OK,
                &json!({
                    "keys": strs(&hex),
                    "keys_base64": strs(&b64),
                    "root_token": made.root_token.expose(),
                }),
            )
        }
    }
}

async fn seal_status(core: &Core) -> Answer {
    match core.seal_status().await {
        Ok(status) => json(StatusCode::OK, &status),
        Err(error) => failed(&error),
    }
}

/// Go clients send `key`, older ones `Key`.
#[derive(Deserialize, Default)]
#[serde(default)]
struct UnsealBody {
    #[serde(alias = "Key")]
    key: Zeroizing<String>,
    #[serde(alias = "Reset")]
    reset: bool,
    #[serde(alias = "Migrate")]
    migrate: bool,
}

async fn unseal(core: &Core, body: &Bytes) -> Answer {
    let body: UnsealBody = match read_body(body) {
        Ok(body) => body,
        Err(answer) => return *answer,
    };
    let bad = |text: &str| errors(StatusCode::BAD_REQUEST, &[text.to_owned()]);
    if body.migrate {
        return bad("can't perform a seal migration, no migration seal found");
    }
    if body.reset {
        if !core.is_sealed() {
            return bad("vault is unsealed");
        }
        core.reset_unseal();
        return seal_status(core).await;
    }
    if body.key.is_empty() {
        return bad("'key' must be specified in request body as JSON, or 'reset' set to true");
    }
    let Some(share) = decode_share(&body.key) else {
        return bad("'key' must be a valid hex or base64 string");
    };
    match core.unseal(&share).await {
        Ok(()) => seal_status(core).await,
        Err(error) => failed(&error),
    }
}

/// A share in hex or base64. What is both is taken for hex only if it then has a share's length.
fn decode_share(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    match hex::decode(text).map(Zeroizing::new) {
        Ok(bytes) if (16..=33).contains(&bytes.len()) => Some(bytes),
        _ => BASE64_STANDARD.decode(text).ok().map(Zeroizing::new),
    }
}

fn leader() -> Answer {
    // The same whether sealed or not: this server is alone.
    json(
        StatusCode::OK,
        &json!({
            "ha_enabled": false,
            "is_self": false,
            "active_time": "0001-01-01T00:00:00Z",
            "leader_address": "",
            "leader_cluster_address": "",
            "performance_standby": false,
            "performance_standby_last_remote_wal": 0,
        }),
    )
}

async fn health(core: &Core, parts: &Parts) -> Answer {
    let pairs = query::pairs(parts.uri.query());
    let code = |name, default: u16| match query::value(&pairs, name) {
        None => StatusCode::from_u16(default).ok(),
        Some(text) => text.parse().ok().and_then(|n| StatusCode::from_u16(n).ok()),
    };
    let (Some(active), Some(uninit), Some(sealed)) =
        (code("activecode", 200), code("uninitcode", 501), code("sealedcode", 503))
    else {
        return errors(StatusCode::BAD_REQUEST, &[]);
    };
    let health = match core.health().await {
        Ok(health) => health,
        Err(error) => return failed(&error),
    };
    let code = match (health.initialized, health.sealed) {
        (false, _) => uninit,
        (true, true) => sealed,
        (true, false) => active,
    };
    if parts.method == Method::HEAD {
        return empty(code);
    }
    let mut shown = json!({
        "initialized": health.initialized,
        "sealed": health.sealed,
        "standby": health.sealed,
        "performance_standby": false,
        "replication_performance_mode": "disabled",
        "replication_dr_mode": "disabled",
        "server_time_utc": time::OffsetDateTime::now_utc().unix_timestamp(),
        "version": health.version,
        "enterprise": false,
    });
    if let Some((name, id)) = health.cluster {
        shown["cluster_name"] = json!(name);
        shown["cluster_id"] = json!(id);
    }
    if health.sealed {
        shown["replication_performance_mode"] = json!("unknown");
        shown["replication_dr_mode"] = json!("unknown");
    }
    json(code, &shown)
}
