//! `kv metadata get`, `put`, `patch`, `delete`.

use boltwork_client::Json;

use super::kv::show_path;
use super::kv_path::{KvPath, MOUNT};
use crate::api::Api;
use crate::command::{Command, Failure, Outcome, Output};
use crate::context::{Context, sanitized};
use crate::duration;
use crate::flags::{Flag, Kind};
use crate::format::heading_over;

const MAX_VERSIONS: Flag =
    Flag::int("max-versions", "-1", "How many versions of the key are kept.");
const CAS_REQUIRED: Flag =
    Flag::bool("cas-required", "Every write of the key must say which version it replaces.");
const DELETE_AFTER: Flag =
    Flag::duration("delete-version-after", "Time after which a version is deleted.");
const CUSTOM: Flag =
    Flag::map("custom-metadata", "Something to note about the key, as key=value; may be repeated.");

pub(crate) const COMMANDS: &[Command] = &[
    Command {
        path: "kv metadata get",
        synopsis: "Retrieves key metadata from the KV store",
        usage: "[options] KEY",
        about: "Shows the metadata of a key and of each of its versions.\n$ kv metadata get -mount=secret foo",
        output: Output::Format,
        flags: &[MOUNT],
        run: get,
    },
    Command {
        path: "kv metadata put",
        synopsis: "Sets or updates key settings in the KV store",
        usage: "[options] KEY",
        about: "Writes the settings of a key.\n$ kv metadata put -mount=secret -max-versions=5 foo",
        output: Output::Format,
        flags: &[MOUNT, MAX_VERSIONS, CAS_REQUIRED, DELETE_AFTER, CUSTOM],
        run: put,
    },
    Command {
        path: "kv metadata patch",
        synopsis: "Patches key settings in the KV store",
        usage: "[options] KEY",
        about: "Changes some settings of a key and leaves the others alone.\n$ kv metadata patch -mount=secret -custom-metadata=owner=me foo",
        output: Output::Format,
        flags: &[
            MOUNT,
            MAX_VERSIONS,
            CAS_REQUIRED,
            DELETE_AFTER,
            CUSTOM,
            Flag::new(
                Kind::Strings,
                "remove-custom-metadata",
                "Key to remove from the custom metadata; may be repeated.",
            ),
        ],
        run: patch,
    },
    Command {
        path: "kv metadata delete",
        synopsis: "Deletes all versions and metadata for a key in the KV store",
        usage: "[options] KEY",
        about: "Deletes a key with all of its versions, for good.\n$ kv metadata delete -mount=secret foo",
        output: Output::Plain,
        flags: &[MOUNT],
        run: delete,
    },
];

fn place(cx: &Context<'_>) -> Result<(Api, String), Failure> {
    let key = cx.arg()?;
    let api = cx.connect()?;
    let place = KvPath::find(cx, &api, sanitized(&key))?;
    if !place.v2 {
        return Err(Failure::usage("Metadata not supported on KV Version 1"));
    }
    let path = place.under("metadata");
    Ok((api, path))
}

fn get(cx: &mut Context<'_>) -> Outcome {
    let (api, path) = place(cx)?;
    let mut secret = api
        .read(&path)
        .map_err(|e| Failure::server(format!("Error reading {path}: {e}")))?
        .ok_or_else(|| Failure::server(format!("No value found at {path}")))?;
    if secret.wrap_info.is_some() || !cx.is_table() {
        return cx.show(&secret);
    }
    let Some(Json::Object(mut fields)) = secret.data.take() else {
        return Err(Failure::server(format!("No value found at {path}")));
    };
    let Some(at) = fields.iter().position(|(k, v)| k == "versions" && !v.is_null()) else {
        return Err(Failure::server(format!("No value found at {path}")));
    };
    let (_, versions) = fields.remove(at);
    show_path(cx, "Metadata Path", &path);
    let settings = Json::Object(fields);
    cx.ui.say(&heading_over("Metadata", &settings));
    secret.data = Some(settings);
    cx.show(&secret)?;
    show_versions(cx, &versions)
}

fn show_versions(cx: &mut Context<'_>, versions: &Json) -> Outcome {
    let mut numbered = Vec::new();
    for (name, version) in versions.as_object().unwrap_or_default() {
        let number: u64 =
            name.parse().map_err(|_| Failure::server(format!("Error parsing version {name}")))?;
        numbered.push((number, version));
    }
    numbered.sort_by_key(|(number, _)| *number);
    for (number, version) in numbered {
        cx.ui.say(&format!("\n{}", heading_over(&format!("Version {number}"), version)));
        cx.show_data(version)?;
    }
    Ok(0)
}

fn settings(cx: &Context<'_>) -> Vec<(&'static str, Json)> {
    let mut fields = Vec::new();
    let max = cx.flags.int("max-versions");
    if max >= 0 {
        fields.push(("max_versions", Json::number(max)));
    }
    if cx.flags.given("cas-required") {
        fields.push(("cas_required", Json::Bool(cx.flags.bool("cas-required"))));
    }
    let after = cx.flags.duration("delete-version-after");
    if cx.flags.given("delete-version-after") && after >= 0 {
        fields.push(("delete_version_after", Json::String(duration::go(after))));
    }
    fields
}

fn put(cx: &mut Context<'_>) -> Outcome {
    let (api, path) = place(cx)?;
    let mut fields = settings(cx);
    let custom = cx.flags.map("custom-metadata");
    if !custom.is_empty() {
        let custom = Json::record(custom.into_iter().map(|(k, v)| (k, Json::String(v))));
        fields.push(("custom_metadata", custom));
    }
    let result = api.write(&path, &Json::record(fields));
    cx.show_written(&path, result)
}

fn patch(cx: &mut Context<'_>) -> Outcome {
    let (api, path) = place(cx)?;
    let mut fields = settings(cx);
    let set = cx.flags.map("custom-metadata").into_iter().map(|(k, v)| (k, Json::String(v)));
    let removed = cx.flags.strings("remove-custom-metadata");
    let mut custom: Vec<(String, Json)> = set.filter(|(k, _)| !removed.contains(k)).collect();
    custom.extend(removed.into_iter().map(|k| (k, Json::Null)));
    fields.push(("custom_metadata", Json::Object(custom)));
    let result = api.patch(&path, &Json::record(fields));
    cx.show_written(&path, result)
}

fn delete(cx: &mut Context<'_>) -> Outcome {
    let (api, path) = place(cx)?;
    api.delete(&path).map_err(|e| Failure::server(format!("Error deleting {path}: {e}")))?;
    cx.succeeded(&format!("Data deleted (if it existed) at: {path}"))
}
