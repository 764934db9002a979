//! A mount as clients see it.

use serde_json::{Map, Value, json};

use crate::mounts::{Mount, MountConfig, ServerFacts, Table, effective_ttls};

/// Everything, for those who may see it.
pub fn full(mount: &Mount) -> Value {
    let entry = mount.entry.load();
    let live = mount.live();
    let running = live.as_ref().map(|live| &live.running);
    let mut info = json!({
        "type": entry.kind,
        "description": entry.description,
        "accessor": entry.accessor,
        "local": entry.flags.local,
        "seal_wrap": entry.flags.seal_wrap,
        "external_entropy_access": entry.flags.external_entropy_access,
        "options": entry.options,
        "uuid": entry.uuid,
        "plugin_version": entry.plugin_version,
        "running_plugin_version": running.map_or("", |r| r.version.as_str()),
        "running_sha256": running.map_or("", |r| r.sha256.as_str()),
        "config": settings(mount.table, &entry.config),
    });
    if let Some(status) = running.and_then(|r| r.deprecation) {
        info["deprecation_status"] = json!(status);
    }
    if let Some(reason) = mount.trouble() {
        info["state"] = json!("unavailable");
        info["state_reason"] = json!(reason.as_ref());
    }
    info
}

/// What the unauthenticated may see.
pub fn brief(mount: &Mount) -> Value {
    let entry = mount.entry.load();
    json!({ "type": entry.kind, "description": entry.description, "options": entry.options })
}

fn settings(table: Table, config: &MountConfig) -> Value {
    let mut shown = Map::new();
    shown.insert("default_lease_ttl".into(), json!(config.default_lease_ttl));
    shown.insert("max_lease_ttl".into(), json!(config.max_lease_ttl));
    shown.insert("force_no_cache".into(), json!(config.force_no_cache));
    optional(&mut shown, table, config);
    Value::Object(shown)
}

/// The reply of a read of `/tune`.
pub fn tuning(mount: &Mount, facts: &ServerFacts) -> Value {
    let entry = mount.entry.load();
    let (default, max) = effective_ttls(facts, mount);
    let mut shown = Map::new();
    shown.insert("description".into(), json!(entry.description));
    shown.insert("default_lease_ttl".into(), json!(default.as_secs()));
    shown.insert("max_lease_ttl".into(), json!(max.as_secs()));
    shown.insert("force_no_cache".into(), json!(entry.config.force_no_cache));
    optional(&mut shown, mount.table, &entry.config);
    if let Some(options) = entry.options.as_ref().filter(|o| !o.is_empty()) {
        shown.insert("options".into(), json!(options));
    }
    if !entry.plugin_version.is_empty() {
        shown.insert("plugin_version".into(), json!(entry.plugin_version));
    }
    Value::Object(shown)
}

fn optional(shown: &mut Map<String, Value>, table: Table, config: &MountConfig) {
    if table == Table::Auth {
        let kind = match config.token_type.as_str() {
            "" => "default-service",
            set => set,
        };
        shown.insert("token_type".into(), json!(kind));
    }
    if !config.listing_visibility.is_empty() {
        shown.insert("listing_visibility".into(), json!(config.listing_visibility));
    }
    for (name, list) in [
        ("passthrough_request_headers", &config.passthrough_request_headers),
        ("allowed_response_headers", &config.allowed_response_headers),
        ("audit_non_hmac_request_keys", &config.audit_non_hmac_request_keys),
        ("audit_non_hmac_response_keys", &config.audit_non_hmac_response_keys),
    ] {
        if let Some(list) = list {
            shown.insert(name.into(), json!(list));
        }
    }
}
