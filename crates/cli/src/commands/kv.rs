//! `kv get`, `list`, `enable-versioning`.

use boltwork_client::{Call, Json};
use http::Method;

use super::generic::show_list;
use super::kv_path::{self, KvPath, MOUNT};
use super::mounts;
use crate::command::{Command, Failure, Outcome, Output};
use crate::context::{Context, sanitized, with_slash};
use crate::flags::Flag;
use crate::format::{heading, heading_over, warnings};

pub(crate) const COMMANDS: &[Command] = &[
    Command {
        path: "kv get",
        synopsis: "Retrieves data from the KV store",
        usage: "[options] KEY",
        about: "Reads a key.\n$ kv get -mount=secret foo\nOr an older version of it:\n$ kv get -mount=secret -version=1 foo",
        output: Output::Field,
        flags: &[MOUNT, Flag::int("version", "0", "Version to read; the newest if not given.")],
        run: get,
    },
    Command {
        path: "kv list",
        synopsis: "List data or secrets",
        usage: "[options] PATH",
        about: "Lists the keys under a path.\n$ kv list -mount=secret my-app",
        output: Output::Format,
        flags: &[MOUNT],
        run: list,
    },
    Command {
        path: "kv enable-versioning",
        synopsis: "Turns on versioning for a KV store",
        usage: "[options] PATH",
        about: "Makes a version 1 mount a version 2 mount. There is no way back.\n$ kv enable-versioning secret",
        output: Output::Plain,
        flags: &[],
        run: enable_versioning,
    },
];

/// `Secret Path` and the path under it.
pub(super) fn show_path(cx: &mut Context<'_>, title: &str, path: &str) {
    let line = heading(title, path.len());
    cx.ui.say(&line);
    cx.ui.say(path);
    cx.ui.say("");
}

fn get(cx: &mut Context<'_>) -> Outcome {
    let key = cx.arg()?;
    let key = key.strip_prefix('/').unwrap_or(&key);
    let api = cx.connect()?;
    let place = KvPath::find(cx, &api, key)?;
    let path = place.under("data");
    let version = if place.v2 { cx.flags.int("version") } else { 0 };
    let secret = kv_path::read(&api, &path, version)
        .map_err(|e| Failure::server(format!("Error reading {path}: {e}")))?
        .ok_or_else(|| Failure::server(format!("No value found at {path}")))?;
    let field = cx.flags.text("field").to_owned();
    if !field.is_empty() {
        return get_field(cx, &secret, &field, place.v2, &path);
    }
    if secret.wrap_info.is_some() || !cx.is_table() {
        return cx.show(&secret);
    }
    warnings(&mut cx.ui, &secret);
    if place.v2 {
        show_path(cx, "Secret Path", &path);
    }
    if let Some(metadata) = secret.field("metadata").filter(|m| m.as_object().is_some()) {
        cx.ui.say(&heading_over("Metadata", metadata));
        cx.show_data(metadata)?;
        cx.ui.say("");
    }
    let data = if place.v2 { secret.field("data") } else { secret.data.as_ref() };
    if let Some(data) = data.filter(|d| d.as_object().is_some()) {
        cx.ui.say(&heading_over("Data", data));
        cx.show_data(data)?;
    }
    Ok(0)
}

fn get_field(
    cx: &mut Context<'_>,
    secret: &boltwork_client::Secret,
    field: &str,
    v2: bool,
    path: &str,
) -> Outcome {
    if !v2 {
        return cx.field_of(secret);
    }
    let data = secret
        .field("data")
        .filter(|d| !d.is_null())
        .ok_or_else(|| Failure::server(format!("No data found at {path}")))?;
    // `-field=data` means a key of that name, or else all of the data.
    match (field, data.get(field)) {
        ("data", None) => cx.field_of(secret),
        (_, value) => cx.show_field(value, field, "map"),
    }
}

fn list(cx: &mut Context<'_>) -> Outcome {
    let key = if cx.flags.args.is_empty() && !cx.flags.text("mount").is_empty() {
        String::new()
    } else {
        cx.arg()?
    };
    let api = cx.connect()?;
    let path = KvPath::find(cx, &api, sanitized(&key))?.under("metadata");
    let secret =
        api.list(&path).map_err(|e| Failure::server(format!("Error listing {path}: {e}")))?;
    show_list(cx, &path, secret.as_ref())
}

fn enable_versioning(cx: &mut Context<'_>) -> Outcome {
    let path = with_slash(sanitized(&cx.arg()?));
    let body = Json::record([("options", Json::record([("version", Json::from("2"))]))]);
    let failed = format!("Error tuning secrets engine {path}");
    let done = format!("Tuned the secrets engine at: {path}");
    mounts::order(cx, Method::POST, &format!("sys/mounts/{path}tune"), Some(&body), &failed, &done)
}

/// A POST-like write of `{"versions": […]}` under one of version 2's prefixes.
pub(super) fn write_versions(cx: &mut Context<'_>, prefix: &str) -> Outcome {
    let key = cx.arg()?;
    let versions = cx.flags.list("versions");
    if versions.is_empty() {
        return Err(Failure::usage(format!(
            "No versions provided, use the \"-versions\" flag to specify the version to {prefix}."
        )));
    }
    let api = cx.connect()?;
    let place = KvPath::find(cx, &api, sanitized(&key))?;
    if !place.v2 {
        let mut name = prefix.to_owned();
        name[..1].make_ascii_uppercase();
        return Err(Failure::usage(format!("{name} not supported on KV Version 1")));
    }
    let path = place.under(prefix);
    let body = Json::record([("versions", Json::strings(versions))]);
    let result = api.secret(Call::new(Method::PUT, &path).body(&body));
    cx.show_written(&path, result)
}
