//! `kv delete`, `undelete`, `destroy`, `rollback`.

use boltwork_client::{Json, Secret};

use super::kv::write_versions;
use super::kv_path::{self, KvPath, MOUNT};
use crate::api::Api;
use crate::command::{Command, Failure, Outcome, Output};
use crate::context::{Context, sanitized};
use crate::flags::Flag;

const VERSIONS: Flag =
    Flag::list("versions", "Version to act on; may be repeated, or several with commas.");

pub(crate) const COMMANDS: &[Command] = &[
    Command {
        path: "kv delete",
        synopsis: "Deletes versions in the KV store",
        usage: "[options] KEY",
        about: "Deletes the newest version of a key, or the given ones. In version 2 it can be undone.\n$ kv delete -mount=secret -versions=3 foo",
        output: Output::Field,
        flags: &[MOUNT, VERSIONS],
        run: delete,
    },
    Command {
        path: "kv undelete",
        synopsis: "Undeletes versions in the KV store",
        usage: "[options] KEY",
        about: "Brings deleted versions back.\n$ kv undelete -mount=secret -versions=3 foo",
        output: Output::Format,
        flags: &[MOUNT, VERSIONS],
        run: |cx| write_versions(cx, "undelete"),
    },
    Command {
        path: "kv destroy",
        synopsis: "Permanently removes one or more versions in the KV store",
        usage: "[options] KEY",
        about: "Removes the data of versions for good.\n$ kv destroy -mount=secret -versions=3 foo",
        output: Output::Format,
        flags: &[MOUNT, VERSIONS],
        run: |cx| write_versions(cx, "destroy"),
    },
    Command {
        path: "kv rollback",
        synopsis: "Rolls back to a previous version of data",
        usage: "[options] KEY",
        about: "Writes the data of an older version again, as a new version.\n$ kv rollback -mount=secret -version=2 foo",
        output: Output::Field,
        flags: &[MOUNT, Flag::int("version", "0", "Version to go back to.")],
        run: rollback,
    },
];

fn delete(cx: &mut Context<'_>) -> Outcome {
    let key = cx.arg()?;
    let api = cx.connect()?;
    let place = KvPath::find(cx, &api, sanitized(&key))?;
    let path = place.under("data");
    let versions = cx.flags.list("versions");
    let result = if place.v2 && !versions.is_empty() {
        let body = Json::record([("versions", Json::strings(versions))]);
        api.write(&place.under("delete"), &body)
    } else {
        api.delete(&path)
    };
    match result {
        Err(e) => Err(Failure::server(format!("Error deleting {path}: {e}"))),
        Ok(None) => cx.succeeded(&format!("Data deleted (if it existed) at: {path}")),
        Ok(Some(secret)) => cx.show_or_field(&secret),
    }
}

fn rollback(cx: &mut Context<'_>) -> Outcome {
    let got = cx.flags.args.len();
    if got != 1 {
        return Err(Failure::usage(format!("Invalid number of arguments (expected 1, got {got})")));
    }
    let version = cx.flags.int("version");
    if !cx.flags.given("version") {
        return Err(Failure::usage("Version flag must be specified"));
    }
    if version <= 0 {
        return Err(Failure::usage(format!("Invalid value {version} for the version flag")));
    }
    let api = cx.connect()?;
    let place = KvPath::find(cx, &api, sanitized(&cx.flags.args[0]))?;
    if !place.v2 {
        return Err(Failure::server("K/V engine mount must be version 2 for rollback support"));
    }
    let path = place.under("data");
    let newest = existing(&api, &path, 0, "rollback", false)?;
    let wanted = existing(&api, &path, version, "rollback", true)?;
    let metadata = wanted.field("metadata").unwrap_or(&Json::Null);
    if !metadata.text("deletion_time").is_empty() {
        return Err(Failure::server("Cannot roll back to a version that has been deleted"));
    }
    if metadata.flag("destroyed") {
        return Err(Failure::server("Cannot roll back to a version that has been destroyed"));
    }
    let body = rewritten(&newest, wanted.field("data").unwrap_or(&Json::Null));
    let result = api.write(&path, &body);
    cx.show_written(&path, result)
}

/// A write of `data` that only succeeds if nobody has written since `newest` was read.
pub(super) fn rewritten(newest: &Secret, data: &Json) -> Json {
    let version = newest.field("metadata").and_then(|m| m.get("version"));
    let cas = version.cloned().unwrap_or(Json::Null);
    Json::record([("data", data.clone()), ("options", Json::record([("cas", cas)]))])
}

/// Reads a version that must be there, with its metadata and, if asked for, its data.
pub(super) fn existing(
    api: &Api,
    path: &str,
    version: i64,
    purpose: &str,
    with_data: bool,
) -> Result<Secret, Failure> {
    let secret = kv_path::read(api, path, version)
        .map_err(|e| Failure::server(format!("Error doing pre-read at {path}: {e}")))?
        .filter(|s| s.data.is_some())
        .ok_or_else(|| Failure::server(format!("No value found at {path}")))?;
    let object = |field: &str| secret.field(field).is_some_and(|f| f.as_object().is_some());
    let missing = |what: &str| {
        Failure::server(format!("No {what} found at {path}; {purpose} only works on existing data"))
    };
    if !object("metadata") {
        return Err(missing("metadata"));
    }
    let metadata = secret.field("metadata").unwrap_or(&Json::Null);
    let gone = metadata.flag("destroyed") || !metadata.text("deletion_time").is_empty();
    // What is gone has no data; the caller says so in better words.
    if with_data && !gone && !object("data") {
        return Err(missing("data"));
    }
    Ok(secret)
}
