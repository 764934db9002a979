//! `read`, `write`, `list`, `delete`, `patch`, `path-help`: any path of the API.

use boltwork_client::{Call, Json, Secret};
use http::Method;

use crate::command::{Command, Failure, Outcome, Output};
use crate::context::{Context, sanitized};
use crate::flags::Flag;
use crate::format::{self, Format};
use crate::key_values::parameters;

const FORCE: Flag = Flag::bool("force", "Go on without key=value pairs.").alias("f");

pub(crate) const COMMANDS: &[Command] = &[
    Command {
        path: "read",
        synopsis: "Read data and retrieves secrets",
        usage: "[options] PATH [K=V...]",
        about: "Reads the data at a path. Pairs become query parameters.\n$ read secret/my-secret",
        output: Output::Field,
        flags: &[],
        run: read,
    },
    Command {
        path: "write",
        synopsis: "Write data, configuration, and secrets",
        usage: "[options] PATH [DATA K=V...]",
        about: "Writes data to a path. A value that begins with @ is read from a file; a lone - reads JSON from stdin.\n$ write secret/my-secret foo=bar\n$ write secret/my-secret @data.json",
        output: Output::Field,
        flags: &[FORCE],
        run: write,
    },
    Command {
        path: "patch",
        synopsis: "Patch data, configuration, and secrets",
        usage: "[options] PATH [DATA K=V...]",
        about: "Changes the given fields of what is at a path and leaves the others alone.",
        output: Output::Field,
        flags: &[FORCE],
        run: patch,
    },
    Command {
        path: "list",
        synopsis: "List data or secrets",
        usage: "[options] PATH",
        about: "Lists what lies under a path.\n$ list secret/my-app",
        output: Output::Format,
        flags: &[
            Flag::text("after", "Begin with the key after this one, where the server can page."),
            Flag::int("limit", "-1", "List at most this many keys, where the server can page."),
            Flag::bool("detailed", "With a format other than table, show the whole answer."),
        ],
        run: list,
    },
    Command {
        path: "delete",
        synopsis: "Delete secrets and configuration",
        usage: "[options] PATH [K=V...]",
        about: "Deletes what is at a path.\n$ delete secret/my-secret",
        output: Output::Field,
        flags: &[],
        run: delete,
    },
    Command {
        path: "path-help",
        synopsis: "Retrieve API help for paths",
        usage: "[options] PATH",
        about: "Shows the help that the backend at a path gives about it. The server must be unsealed.",
        output: Output::Format,
        flags: &[],
        run: path_help,
    },
];

fn path_of(cx: &Context<'_>, expected: &str) -> Result<String, Failure> {
    match cx.flags.args.first() {
        Some(path) => Ok(sanitized(path).to_owned()),
        None => Err(Failure::usage(format!("Not enough arguments (expected {expected}, got 0)"))),
    }
}

fn with_parameters(mut call: Call, data: &Json) -> Call {
    for (key, value) in parameters(data) {
        call = call.query(&key, &value);
    }
    call
}

fn read(cx: &mut Context<'_>) -> Outcome {
    let path = path_of(cx, "1")?;
    let data = cx.data(1)?;
    let api = cx.connect()?;
    let call = with_parameters(Call::new(Method::GET, &path), &data);
    if cx.format == Format::Raw {
        let failed = |e| Failure::server(format!("Error reading: {path}: {e}"));
        let response = api.send(call).map_err(failed)?;
        cx.ui.say(&String::from_utf8_lossy(&response.body));
        return Ok(0);
    }
    match api.secret(call) {
        Err(e) => Err(Failure::server(format!("Error reading {path}: {e}"))),
        Ok(None) => Err(Failure::server(format!("No value found at {path}"))),
        Ok(Some(secret)) => cx.show_or_field(&secret),
    }
}

fn change(
    cx: &mut Context<'_>,
    run: impl Fn(&crate::api::Api, &str, &Json) -> Result<Option<Secret>, boltwork_client::Error>,
) -> Outcome {
    let path = path_of(cx, "1")?;
    if cx.flags.args.len() == 1 && !cx.flags.bool("force") {
        return Err(Failure::usage("Must supply data or use -force"));
    }
    let data = cx.data(1)?;
    let api = cx.connect()?;
    let result = run(&api, &path, &data);
    cx.show_written(&path, result)
}

fn write(cx: &mut Context<'_>) -> Outcome {
    change(cx, |api, path, data| api.write(path, data))
}

fn patch(cx: &mut Context<'_>) -> Outcome {
    change(cx, |api, path, data| api.patch(path, data))
}

fn list(cx: &mut Context<'_>) -> Outcome {
    let path = sanitized(&cx.arg()?).to_owned();
    let mut call = Call::new(Method::GET, &path).query("list", "true");
    let (after, limit) = (cx.flags.text("after"), cx.flags.int("limit"));
    // Sent only if asked for: a list that cannot page warns of parameters it does not know.
    if !after.is_empty() || limit > 0 {
        call = call.query("after", after).query("limit", &limit.to_string());
    }
    let result = cx.connect()?.secret(call);
    let secret = result.map_err(|e| Failure::server(format!("Error listing {path}: {e}")))?;
    show_list(cx, &path, secret.as_ref())
}

/// Shows the answer of a LIST, or says that there is none.
pub(super) fn show_list(cx: &mut Context<'_>, path: &str, secret: Option<&Secret>) -> Outcome {
    if let Some(wrapped) = secret.filter(|s| s.wrap_info.is_some()) {
        return cx.show(wrapped);
    }
    let keys = secret.and_then(|s| s.field("keys")).filter(|k| k.as_array().is_some());
    match (secret, keys) {
        (Some(secret), Some(keys)) if cx.is_table() => {
            format::list_table(&mut cx.ui, secret, keys.as_array().unwrap_or_default());
            Ok(0)
        }
        (Some(secret), Some(_)) if cx.flags.bool("detailed") => cx.show(secret),
        (Some(_), Some(keys)) => cx.show_data(keys),
        _ if !cx.is_table() => {
            cx.ui.say("{}");
            Ok(2)
        }
        (Some(secret), None) if secret.data.is_some() => {
            format::warnings(&mut cx.ui, secret);
            Err(Failure::server(format!("No entries found at {path}")))
        }
        _ => Err(Failure::server(format!("No value found at {path}"))),
    }
}

fn delete(cx: &mut Context<'_>) -> Outcome {
    let path = path_of(cx, "at least 1")?;
    let data = cx.data(1)?;
    let call = with_parameters(Call::new(Method::DELETE, &path), &data);
    match cx.connect()?.secret(call) {
        Err(e) => Err(Failure::server(format!("Error deleting {path}: {e}"))),
        Ok(None) => cx.succeeded(&format!("Data deleted (if it existed) at: {path}")),
        Ok(Some(secret)) => cx.show_or_field(&secret),
    }
}

fn path_help(cx: &mut Context<'_>) -> Outcome {
    let path = sanitized(&cx.arg()?).to_owned();
    let call = Call::new(Method::GET, &path).query("help", "1");
    let answer = cx.connect()?.send(call).and_then(|r| r.json());
    let help = answer.map_err(|e| {
        let text = e.to_string();
        if text.contains("Vault is sealed") {
            return Failure::server(
                "Error: Vault is sealed.\n\nThe path-help command needs an unsealed server, \
                 because the help comes from the backends that are mounted.",
            );
        }
        Failure::server(format!("Error retrieving help: {text}"))
    })?;
    if cx.format == Format::Json {
        cx.ui.say(&help.get("openapi").unwrap_or(&Json::Null).compact());
    } else {
        cx.ui.say(help.text("help"));
    }
    Ok(0)
}
