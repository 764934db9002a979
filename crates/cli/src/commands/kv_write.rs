//! `kv put`, `kv patch`.

use boltwork_client::{Error, Json, Secret};

use super::kv::show_path;
use super::kv_delete::{existing, rewritten};
use super::kv_path::{KvPath, MOUNT};
use crate::api::Api;
use crate::command::{Command, Failure, Outcome, Output};
use crate::context::{Context, sanitized};
use crate::flags::{Flag, Kind};
use crate::format::heading_over;

pub(crate) const COMMANDS: &[Command] = &[
    Command {
        path: "kv put",
        synopsis: "Sets or updates data in the KV store",
        usage: "[options] KEY [DATA]",
        about: "Writes a key. What it held before is replaced, in version 2 by a new version.\n$ kv put -mount=secret foo bar=baz\n$ kv put -mount=secret foo @data.json",
        output: Output::Field,
        flags: &[
            MOUNT,
            Flag::int(
                "cas",
                "-1",
                "Write only if the newest version is this one; 0 means that the key must not exist.",
            ),
        ],
        run: put,
    },
    Command {
        path: "kv patch",
        synopsis: "Sets or updates data in the KV store without overwriting",
        usage: "[options] KEY [DATA]",
        about: "Changes some fields of a key and leaves the others alone. Version 2 only.\n$ kv patch -mount=secret foo bar=baz",
        output: Output::Field,
        flags: &[
            MOUNT,
            Flag::int("cas", "0", "Patch only if the newest version is this one."),
            Flag::text(
                "method",
                "\"patch\": let the server do it. \"rw\": read, change here, write. The first, and if the token may not patch the second, if not given.",
            ),
            Flag::new(Kind::Strings, "remove-data", "Field to remove; may be repeated."),
        ],
        run: patch,
    },
];

fn show_metadata(
    cx: &mut Context<'_>,
    path: &str,
    result: Result<Option<Secret>, Error>,
) -> Outcome {
    match result {
        Ok(Some(secret))
            if cx.is_table() && cx.flags.text("field").is_empty() && secret.wrap_info.is_none() =>
        {
            show_path(cx, "Secret Path", path);
            let metadata = secret.data.clone().unwrap_or(Json::Object(Vec::new()));
            cx.ui.say(&heading_over("Metadata", &metadata));
            cx.show_data(&metadata)
        }
        other => cx.show_written(path, other),
    }
}

fn key_of(cx: &Context<'_>, may_stand_alone: bool) -> Result<String, Failure> {
    match cx.flags.args.as_slice() {
        [] => Err(Failure::usage("Not enough arguments (expected >1, got 0)")),
        [_] if !may_stand_alone => Err(Failure::usage("Must supply data")),
        [key, ..] => Ok(sanitized(key).to_owned()),
    }
}

fn put(cx: &mut Context<'_>) -> Outcome {
    let key = key_of(cx, false)?;
    let api = cx.connect()?;
    let mut data = cx.data(1)?;
    let place = KvPath::find(cx, &api, &key)?;
    let path = place.under("data");
    if place.v2 {
        let cas = cx.flags.int("cas");
        let options = (cas > -1).then(|| ("cas", Json::number(cas)));
        data = Json::record([("data", data), ("options", Json::record(options))]);
    }
    let result = api.write(&path, &data);
    show_metadata(cx, &path, result)
}

fn patch(cx: &mut Context<'_>) -> Outcome {
    let removed = cx.flags.strings("remove-data");
    let key = key_of(cx, !removed.is_empty())?;
    let api = cx.connect()?;
    let Json::Object(mut changes) = cx.data(1)? else {
        return Err(Failure::usage("Must supply data"));
    };
    for name in removed {
        changes.retain(|(k, _)| *k != name);
        changes.push((name, Json::Null));
    }
    let place = KvPath::find(cx, &api, &key)?;
    if !place.v2 {
        return Err(Failure::server("K/V engine mount must be version 2 for patch support"));
    }
    let path = place.under("data");
    let method = cx.flags.text("method").to_owned();
    let result = match method.as_str() {
        "rw" => read_and_write(&api, &path, changes)?,
        "patch" | "" => {
            let result = merge(cx, &api, &path, &changes);
            match &result {
                Err(e) if method.is_empty() && matches!(e.status(), Some(403 | 405)) => {
                    if e.status() == Some(403) {
                        cx.ui.warn(&format!(
                            "The token may not patch {path}; reading and writing it instead. \
                             Give its policy the \"patch\" capability to do it in one step."
                        ));
                    }
                    read_and_write(&api, &path, changes)?
                }
                _ => result,
            }
        }
        other => {
            return Err(Failure::server(format!(
                "Unsupported method provided to -method flag: {other}"
            )));
        }
    };
    show_metadata(cx, &path, result)
}

fn merge(
    cx: &Context<'_>,
    api: &Api,
    path: &str,
    changes: &[(String, Json)],
) -> Result<Option<Secret>, Error> {
    let cas = cx.flags.int("cas");
    let options = (cas > 0).then(|| ("cas", Json::number(cas)));
    let body = Json::record([
        ("data", Json::Object(changes.to_vec())),
        ("options", Json::record(options)),
    ]);
    api.patch(path, &body)
}

fn read_and_write(
    api: &Api,
    path: &str,
    changes: Vec<(String, Json)>,
) -> Result<Result<Option<Secret>, Error>, Failure> {
    let newest = existing(api, path, 0, "patch", true)?;
    let mut fields = newest.field("data").and_then(Json::as_object).unwrap_or_default().to_vec();
    for (key, value) in changes {
        fields.retain(|(k, _)| *k != key);
        if !value.is_null() {
            fields.push((key, value));
        }
    }
    Ok(api.write(path, &rewritten(&newest, &Json::Object(fields))))
}
