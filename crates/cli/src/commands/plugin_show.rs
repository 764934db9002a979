//! `plugin info`, `plugin list`: what the catalog holds; `plugin reload-status`: how a reload went
//! (wire spec 6).

use boltwork_client::{Call, Json, Secret};
use http::Method;

use super::plugin::{VERSION, catalog_path, plugin_type, type_and_name};
use crate::command::{Command, Failure, Outcome, Output};
use crate::context::Context;
use crate::flags::Flag;
use crate::golang::{plain, quote};
use crate::table::table;

pub(crate) const COMMANDS: &[Command] = &[
    Command {
        path: "plugin info",
        synopsis: "Read information about a plugin in the catalog",
        usage: "[options] [TYPE] NAME",
        about: "Shows what the catalog holds about a plugin.\n$ plugin info secret my-engine",
        output: Output::Field,
        flags: &[VERSION],
        run: info,
    },
    Command {
        path: "plugin list",
        synopsis: "Lists available plugins",
        usage: "[options] [TYPE]",
        about: "Lists the plugins of the catalog, built-in ones included. TYPE is auth, database or secret.",
        output: Output::Format,
        flags: &[Flag::bool("detailed", "Also show whether a plugin is deprecated.")],
        run: list,
    },
    Command {
        path: "plugin reload-status",
        synopsis: "Get the status of an active or recently completed global plugin reload",
        usage: "RELOAD_ID",
        about: "Shows how a reload went on each server.\n$ plugin reload-status d60a3e83-a598-4f3a-879d-0ddd95f11d4e",
        output: Output::Format,
        flags: &[],
        run: reload_status,
    },
];

fn info(cx: &mut Context<'_>) -> Outcome {
    let (kind, name) = type_and_name(cx, "1 or 2")?;
    let mut call = Call::new(Method::GET, &catalog_path(&kind, &name));
    if !cx.flags.text("version").is_empty() {
        call = call.query("version", cx.flags.text("version"));
    }
    let response = cx.connect()?.send(call);
    let secret = response
        .and_then(|r| Secret::parse(&r.body))
        .map_err(|e| Failure::server(format!("Error reading plugin named {name}: {e}")))?;
    let data = secret
        .as_ref()
        .and_then(|s| s.data.as_ref())
        .ok_or_else(|| Failure::server(format!("No value found for plugin {}", quote(&name))))?;
    let text = |field: &str| Json::from(data.text(field));
    let args = data.get("args").cloned().unwrap_or(Json::Null);
    // A table shows an absent list as an empty one.
    let args = if args.is_null() && cx.is_table() { Json::Array(Vec::new()) } else { args };
    let shown = Json::record([
        ("args", args),
        ("builtin", Json::Bool(data.flag("builtin"))),
        ("command", text("command")),
        ("deprecation_status", text("deprecation_status")),
        ("name", text("name")),
        ("sha256", text("sha256")),
        ("version", text("version")),
    ]);
    match cx.flags.text("field").to_owned() {
        field if field.is_empty() => cx.show_data(&shown),
        field => cx.show_field(shown.get(&field), &field, "map"),
    }
}

fn list(cx: &mut Context<'_>) -> Outcome {
    let kind = match cx.flags.args.as_slice() {
        [] => String::new(),
        [kind] => plugin_type(kind.trim())
            .map_err(|f| Failure::server(format!("Error parsing type: {}", f.text)))?,
        more => {
            let got = more.len();
            return Err(Failure::usage(format!("Too many arguments (expected 0 or 1, got {got})")));
        }
    };
    let secret = cx
        .connect()?
        .must_read("sys/plugins/catalog")
        .map_err(|e| Failure::server(format!("Error listing available plugins: {e}")))?;
    let details: Vec<Json> = secret
        .field("detailed")
        .and_then(Json::as_array)
        .unwrap_or_default()
        .iter()
        .filter(|d| kind.is_empty() || d.text("type") == kind)
        .cloned()
        .collect();
    if !cx.is_table() {
        let all = by_type(&secret, &kind, &details);
        return cx.show_data(&all);
    }
    let fields: &[(&str, &str)] = match (cx.flags.bool("detailed"), kind.is_empty()) {
        (true, _) => &[
            ("Name", "name"),
            ("Type", "type"),
            ("Version", "version"),
            ("Deprecation Status", "deprecation_status"),
        ],
        (false, true) => &[("Name", "name"), ("Type", "type"), ("Version", "version")],
        (false, false) => &[("Name", "name"), ("Version", "version")],
    };
    let headings: Vec<&str> = fields.iter().map(|f| f.0).collect();
    let row = |d: &Json| {
        let cells = fields.iter().map(|f| d.get(f.1).map(plain).unwrap_or_default());
        cells.collect::<Vec<_>>()
    };
    cx.ui.say(&table(&headings, details.iter().map(row).collect()));
    Ok(0)
}

fn reload_status(cx: &mut Context<'_>) -> Outcome {
    let id = cx.arg()?;
    let call = Call::new(Method::GET, "sys/plugins/reload/backend/status").query("reload_id", &id);
    let failed = |e: String| Failure::server(format!("Error retrieving plugin reload status: {e}"));
    let answer = cx.connect()?.send(call).map_err(|e| failed(e.to_string()))?;
    let answer = answer.json().map_err(|e| failed(e.to_string()))?;
    let data = answer.get("data").unwrap_or(&Json::Null);
    if !cx.is_table() {
        return cx.show_data(data);
    }
    let results = data.get("results").and_then(Json::as_object).unwrap_or_default();
    let rows = results.iter().map(|(node, result)| {
        let error = result.text("error");
        let went_well = if error.is_empty() { "true" } else { "false" };
        vec![clock(result.text("timestamp")), node.clone(), went_well.to_owned(), error.to_owned()]
    });
    cx.ui.say(&table(&["Time", "Participant", "Success", "Message"], rows.collect()));
    Ok(0)
}

/// The time of day in an RFC 3339 time.
fn clock(timestamp: &str) -> String {
    let time = timestamp.split_once('T').map_or(timestamp, |(_, time)| time);
    time.chars().take(8).collect()
}

fn by_type(secret: &Secret, kind: &str, details: &[Json]) -> Json {
    let mut fields = Vec::new();
    for name in ["auth", "database"] {
        fields.extend(names(secret, kind, name));
    }
    let details = details.iter().map(|d| {
        let mut one =
            vec![("type", Json::from(d.text("type"))), ("name", Json::from(d.text("name")))];
        let optional = |field: &'static str| {
            d.get(field).filter(|v| v.as_str() != Some("")).map(|v| (field, v.clone()))
        };
        one.extend(optional("version"));
        one.push(("builtin", Json::Bool(d.flag("builtin"))));
        one.extend(optional("deprecation_status"));
        Json::record(one)
    });
    fields.push(("details", Json::Array(details.collect())));
    fields.extend(names(secret, kind, "secret"));
    Json::record(fields)
}

fn names<'a>(secret: &Secret, wanted: &str, kind: &'a str) -> Option<(&'a str, Json)> {
    let listed = secret.field(kind).filter(|_| wanted.is_empty() || wanted == kind);
    listed.map(|names| (kind, names.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_time_the_clock_is_shown() {
        assert_eq!(clock("2024-05-06T07:08:09.123456Z"), "07:08:09");
        assert_eq!(clock(""), "");
    }
}
