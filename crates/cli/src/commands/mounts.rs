//! What `secrets` and `auth` have in common: the flags of a mount, its request bodies, its lists.

use boltwork_client::Json;
use http::Method;

use crate::command::{Failure, Outcome};
use crate::context::{Context, with_slash};
use crate::duration;
use crate::flags::{Flag, Parsed};
use crate::golang::plain;
use crate::table::table;

pub(super) const AUDIT_REQUEST: Flag = Flag::list(
    "audit-non-hmac-request-keys",
    "Key of request data that audit devices write in clear; may be repeated.",
);
pub(super) const AUDIT_RESPONSE: Flag = Flag::list(
    "audit-non-hmac-response-keys",
    "Key of response data that audit devices write in clear; may be repeated.",
);
pub(super) const DEFAULT_TTL: Flag =
    Flag::duration("default-lease-ttl", "Life of a lease if nobody asks for another.");
pub(super) const MAX_TTL: Flag = Flag::duration("max-lease-ttl", "Longest life of a lease.");
pub(super) const DESCRIPTION: Flag =
    Flag::text("description", "What this mount is for, for people.");
pub(super) const VISIBILITY: Flag =
    Flag::text("listing-visibility", "Who sees the mount in the list for user interfaces.");
pub(super) const PASSTHROUGH: Flag = Flag::list(
    "passthrough-request-headers",
    "Request header that is passed on to the plugin; may be repeated.",
);
pub(super) const ALLOWED: Flag = Flag::list(
    "allowed-response-headers",
    "Response header that the plugin may set; may be repeated.",
);
pub(super) const OPTIONS: Flag =
    Flag::map("options", "Option of the mount as key=value; may be repeated.");
pub(super) const VERSION: Flag =
    Flag::int("version", "0", "Version of the engine to run, where it has several.");
pub(super) const PLUGIN_VERSION: Flag =
    Flag::text("plugin-version", "Semantic version of the plugin to run.");
pub(super) const PLUGIN_NAME: Flag =
    Flag::text("plugin-name", "Name of the plugin in the catalog, if the type is \"plugin\".");
pub(super) const PATH: Flag =
    Flag::text("path", "Where to mount it; the type's name if not given.");
pub(super) const LOCAL: Flag = Flag::bool("local", "Keep the mount out of replication.");
pub(super) const SEAL_WRAP: Flag =
    Flag::bool("seal-wrap", "Wrap critical values of the mount by the seal.");
pub(super) const ENTROPY: Flag =
    Flag::bool("external-entropy-access", "Let the mount use the external source of entropy.");
pub(super) const NO_CACHE: Flag = Flag::bool("force-no-cache", "Turn caching off.");
pub(super) const TOKEN_TYPE: Flag =
    Flag::text("token-type", "Type of token that the method issues, if it may choose.");

fn options(flags: &Parsed) -> Json {
    let mut pairs = flags.map("options");
    if flags.int("version") > 0 {
        pairs.retain(|(k, _)| k != "version");
        pairs.push(("version".into(), flags.int("version").to_string()));
    }
    if pairs.is_empty() {
        return Json::Null;
    }
    Json::record(pairs.into_iter().map(|(k, v)| (k, Json::String(v))))
}

/// The settings that are sent only if their flag stood on the command line.
fn given(flags: &Parsed, config: &mut Vec<(&'static str, Json)>) {
    for (flag, field) in [
        ("audit-non-hmac-request-keys", "audit_non_hmac_request_keys"),
        ("audit-non-hmac-response-keys", "audit_non_hmac_response_keys"),
        ("passthrough-request-headers", "passthrough_request_headers"),
        ("allowed-response-headers", "allowed_response_headers"),
    ] {
        if flags.given(flag) {
            config.push((field, Json::strings(flags.list(flag))));
        }
    }
    for (flag, field) in [
        ("listing-visibility", "listing_visibility"),
        ("token-type", "token_type"),
        ("plugin-version", "plugin_version"),
    ] {
        if flags.given(flag) {
            config.push((field, Json::from(flags.text(flag))));
        }
    }
}

/// What `enable` mounts and where.
pub(super) struct Enabling {
    pub(super) kind: String,
    pub(super) path: String,
    pub(super) body: Json,
}

pub(super) fn enabling(cx: &Context<'_>) -> Result<Enabling, Failure> {
    let mut kind = cx.arg()?.trim().to_owned();
    let flags = &cx.flags;
    if kind == "plugin" {
        kind = flags.text("plugin-name").to_owned();
    }
    let path = match flags.text("path") {
        "" => with_slash(&kind),
        path => with_slash(path),
    };
    let mut config = vec![
        ("default_lease_ttl", Json::String(duration::go(flags.duration("default-lease-ttl")))),
        ("max_lease_ttl", Json::String(duration::go(flags.duration("max-lease-ttl")))),
        ("force_no_cache", Json::Bool(flags.bool("force-no-cache"))),
    ];
    given(flags, &mut config);
    let body = Json::record([
        ("type", Json::from(kind.as_str())),
        ("description", Json::from(flags.text("description"))),
        ("config", Json::record(config)),
        ("local", Json::Bool(flags.bool("local"))),
        ("seal_wrap", Json::Bool(flags.bool("seal-wrap"))),
        ("external_entropy_access", Json::Bool(flags.bool("external-entropy-access"))),
        ("options", options(flags)),
    ]);
    Ok(Enabling { kind, path, body })
}

/// ` version v1` if one was asked for.
pub(super) fn version_words(flags: &Parsed) -> String {
    match flags.text("plugin-version") {
        "" => String::new(),
        version => format!(" version {version}"),
    }
}

/// The body of a tune request.
pub(super) fn tuning(flags: &Parsed) -> Json {
    let mut config = vec![
        ("options", options(flags)),
        ("default_lease_ttl", Json::String(duration::ttl(flags.duration("default-lease-ttl")))),
        ("max_lease_ttl", Json::String(duration::ttl(flags.duration("max-lease-ttl")))),
        ("force_no_cache", Json::Bool(false)),
    ];
    if flags.given("description") {
        config.push(("description", Json::from(flags.text("description"))));
    }
    given(flags, &mut config);
    Json::record(config)
}

/// Moves a mount and waits until it has happened.
pub(super) fn relocate(cx: &mut Context<'_>, what: &str) -> Outcome {
    let args = cx.args(2)?;
    let (from, to) = (with_slash(&args[0]), with_slash(&args[1]));
    let api = cx.connect()?;
    let body = Json::record(
        [("from", from.as_str()), ("to", to.as_str())].map(|(k, v)| (k, Json::from(v))),
    );
    let failed = |e: &dyn std::fmt::Display| {
        Failure::server(format!("Error moving {what} {from} to {to}: {e}"))
    };
    let started = api.post("sys/remount", &body).map_err(|e| failed(&e))?;
    let id =
        started.and_then(|s| s.field("migration_id").and_then(Json::as_str).map(str::to_owned));
    let id = id.ok_or_else(|| failed(&"the server named no migration to wait for"))?;
    let about = format!("{what} {from} to {to}, with migration ID {id}");
    cx.ui.say(&format!("Started moving {about}"));
    // A move of a small mount is over before the first question; a long one is asked about less often.
    let mut pause = std::time::Duration::from_millis(50);
    loop {
        let status = api.must_read(&format!("sys/remount/status/{id}")).map_err(|e| {
            Failure::server(format!(
                "Error checking migration status of {what} {from} to {to}: {e}"
            ))
        })?;
        let state = status.field("migration_info").map_or("", |info| info.text("status"));
        match state {
            "success" => {
                cx.ui.say(&format!("Success! Finished moving {about}"));
                return Ok(0);
            }
            "failure" => {
                return Err(Failure::server(format!("Failure! Error encountered moving {about}")));
            }
            _ => std::thread::sleep(pause),
        }
        pause = (pause * 2).min(std::time::Duration::from_secs(10));
    }
}

/// Columns of the detailed list between the TTLs and the replication state.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Listed {
    Secrets,
    Auth,
}

/// `secrets list` and `auth list`.
pub(super) fn list(cx: &mut Context<'_>, listed: Listed) -> Outcome {
    cx.args(0)?;
    let (path, failed) = match listed {
        Listed::Secrets => ("sys/mounts", "Error listing secrets engines"),
        Listed::Auth => ("sys/auth", "Error listing enabled authentications"),
    };
    let secret =
        cx.connect()?.must_read(path).map_err(|e| Failure::server(format!("{failed}: {e}")))?;
    let mounts = secret.data.as_ref().and_then(Json::as_object).unwrap_or_default();
    if !cx.is_table() {
        let all = Json::record(mounts.iter().map(|(path, m)| (path.as_str(), in_order(m))));
        return cx.show_data(&all);
    }
    let text =
        if cx.flags.bool("detailed") { detailed(mounts, listed) } else { simple(mounts, listed) };
    cx.ui.say(&text);
    Ok(0)
}

fn simple(mounts: &[(String, Json)], listed: Listed) -> String {
    let cells = |path: &str, m: &Json| {
        let mut row = vec![path.to_owned()];
        row.extend(["type", "accessor", "description"].map(|f| m.text(f).to_owned()));
        if listed == Listed::Auth {
            row.push(m.text("plugin_version").to_owned());
        }
        row
    };
    let headings: &[&str] = match listed {
        Listed::Secrets => &["Path", "Type", "Accessor", "Description"],
        Listed::Auth => &["Path", "Type", "Accessor", "Description", "Version"],
    };
    table(headings, mounts.iter().map(|(path, m)| cells(path, m)).collect())
}

fn detailed(mounts: &[(String, Json)], listed: Listed) -> String {
    let sixth = match listed {
        Listed::Secrets => "Force No Cache",
        Listed::Auth => "Token Type",
    };
    let headings = [
        "Path",
        "Plugin",
        "Accessor",
        "Default TTL",
        "Max TTL",
        sixth,
        "Replication",
        "Seal Wrap",
        "External Entropy Access",
        "Options",
        "Description",
        "UUID",
        "Version",
        "Running Version",
        "Running SHA256",
        "Deprecation Status",
    ];
    table(&headings, mounts.iter().map(|(path, m)| detailed_row(path, m, listed)).collect())
}

fn detailed_row(path: &str, m: &Json, listed: Listed) -> Vec<String> {
    let config = m.get("config").unwrap_or(&Json::Null);
    let ttl = |name: &str| match (m.text("type"), config.int(name)) {
        ("system" | "cubbyhole", _) => String::new(),
        (_, 0) => "system".to_owned(),
        (_, seconds) => seconds.to_string(),
    };
    let options = match m.get("options") {
        Some(options) if !options.is_null() => plain(options),
        _ => "map[]".into(),
    };
    let mut row = vec![
        path.to_owned(),
        m.text("type").into(),
        m.text("accessor").into(),
        ttl("default_lease_ttl"),
        ttl("max_lease_ttl"),
        match listed {
            Listed::Secrets => config.flag("force_no_cache").to_string(),
            Listed::Auth => config.text("token_type").into(),
        },
        if m.flag("local") { "local" } else { "replicated" }.into(),
        m.flag("seal_wrap").to_string(),
        m.flag("external_entropy_access").to_string(),
        options,
    ];
    row.extend(
        [
            "description",
            "uuid",
            "plugin_version",
            "running_plugin_version",
            "running_sha256",
            "deprecation_status",
        ]
        .map(|field| m.text(field).to_owned()),
    );
    row
}

/// A mount with its members in the order Vault's tools print them.
fn in_order(m: &Json) -> Json {
    let text = |name: &'static str| (name, Json::from(m.text(name)));
    let flag = |name: &'static str| (name, Json::Bool(m.flag(name)));
    Json::record([
        text("uuid"),
        text("type"),
        text("description"),
        text("accessor"),
        ("config", config_in_order(m.get("config").unwrap_or(&Json::Null))),
        ("options", m.get("options").cloned().unwrap_or(Json::Null)),
        flag("local"),
        flag("seal_wrap"),
        flag("external_entropy_access"),
        text("plugin_version"),
        text("running_plugin_version"),
        text("running_sha256"),
        text("deprecation_status"),
    ])
}

fn config_in_order(config: &Json) -> Json {
    let mut fields = vec![
        ("default_lease_ttl", Json::number(config.int("default_lease_ttl"))),
        ("max_lease_ttl", Json::number(config.int("max_lease_ttl"))),
        ("force_no_cache", Json::Bool(config.flag("force_no_cache"))),
    ];
    for name in [
        "audit_non_hmac_request_keys",
        "audit_non_hmac_response_keys",
        "listing_visibility",
        "passthrough_request_headers",
        "allowed_response_headers",
        "token_type",
        "allowed_managed_keys",
        "user_lockout_config",
    ] {
        let says_something = |v: &&Json| match v {
            Json::Null => false,
            Json::String(s) => !s.is_empty(),
            Json::Array(items) => !items.is_empty(),
            _ => true,
        };
        if let Some(value) = config.get(name).filter(says_something) {
            fields.push((name, value.clone()));
        }
    }
    Json::record(fields)
}

/// A request whose answer does not matter, and the line that says it went well.
pub(super) fn order(
    cx: &mut Context<'_>,
    method: Method,
    path: &str,
    body: Option<&Json>,
    failed: &str,
    done: &str,
) -> Outcome {
    let result = cx.connect()?.order(method, path, body);
    result.map_err(|e| Failure::server(format!("{failed}: {e}")))?;
    cx.succeeded(done)
}
