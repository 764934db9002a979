//! `audit enable`, `list`, `disable`.

use boltwork_client::Json;
use http::Method;

use super::mounts;
use crate::command::{Command, Failure, Outcome, Output};
use crate::context::{Context, sanitized, with_slash};
use crate::flags::Flag;
use crate::golang::plain;
use crate::table::table;

pub(crate) const COMMANDS: &[Command] = &[
    Command {
        path: "audit disable",
        synopsis: "Disables an audit device",
        usage: "[options] PATH",
        about: "Disables an audit device. What it wrote stays where it is.\n$ audit disable file/",
        output: Output::Plain,
        flags: &[],
        run: disable,
    },
    Command {
        path: "audit enable",
        synopsis: "Enables an audit device",
        usage: "[options] TYPE [CONFIG K=V...]",
        about: "Enables an audit device. From then on nothing happens that no device took.\n$ audit enable file file_path=/var/log/audit.log",
        output: Output::Plain,
        flags: &[
            Flag::text("description", "What the device is for, for people."),
            Flag::text("path", "Where it is enabled; its type if left out."),
            Flag::bool("local", "The device is not replicated."),
        ],
        run: enable,
    },
    Command {
        path: "audit list",
        synopsis: "Lists enabled audit devices",
        usage: "[options]",
        about: "Lists the audit devices.\n$ audit list -detailed",
        output: Output::Format,
        flags: &[Flag::bool("detailed", "Also show options and replication.")],
        run: list,
    },
];

fn disable(cx: &mut Context<'_>) -> Outcome {
    let path = with_slash(sanitized(&cx.arg()?));
    let done = format!("Disabled audit device (if it was enabled) at: {path}");
    let url = format!("sys/audit/{path}");
    mounts::order(cx, Method::DELETE, &url, None, "Error disabling audit device", &done)
}

fn enable(cx: &mut Context<'_>) -> Outcome {
    let Some(kind) = cx.flags.args.first().map(|kind| kind.trim().to_owned()) else {
        return Err(Failure::usage(
            "Error enabling audit device: audit type missing. Valid types include 'file', 'socket' and 'syslog'.",
        ));
    };
    let path = match cx.flags.text("path") {
        "" => with_slash(&kind),
        path => with_slash(path),
    };
    let data = cx.data(1)?;
    let options = data.as_object().unwrap_or_default().iter();
    let options = Json::record(options.map(|(k, v)| (k.as_str(), Json::String(plain(v)))));
    let body = Json::record([
        ("type", Json::from(kind.as_str())),
        ("description", Json::from(cx.flags.text("description"))),
        ("options", options),
        ("local", Json::Bool(cx.flags.bool("local"))),
    ]);
    let done = format!("Enabled the {kind} audit device at: {path}");
    let url = format!("sys/audit/{path}");
    mounts::order(cx, Method::PUT, &url, Some(&body), "Error enabling audit device", &done)
}

fn list(cx: &mut Context<'_>) -> Outcome {
    let got = cx.flags.args.len();
    if got > 0 {
        return Err(Failure::usage(format!("Too many arguments (expected 0, got {got})")));
    }
    let secret = cx
        .connect()?
        .must_read("sys/audit")
        .map_err(|e| Failure::server(format!("Error listing audits: {e}")))?;
    let devices = secret.data.as_ref().and_then(Json::as_object).unwrap_or_default();
    if !cx.is_table() {
        let shown = devices.iter().map(|(path, device)| (path.as_str(), in_order(device)));
        return cx.show_data(&Json::record(shown));
    }
    if devices.is_empty() {
        cx.ui.say("No audit devices are enabled.");
        return Ok(2);
    }
    let detailed = cx.flags.bool("detailed");
    let mut headings = vec!["Path", "Type", "Description"];
    if detailed {
        headings.extend(["Replication", "Options"]);
    }
    let rows = devices.iter().map(|(path, device)| row(path, device, detailed)).collect();
    cx.ui.say(&table(&headings, rows));
    Ok(0)
}

fn row(path: &str, device: &Json, detailed: bool) -> Vec<String> {
    let mut row = vec![
        path.to_owned(),
        device.text("type").to_owned(),
        device.text("description").to_owned(),
    ];
    if detailed {
        let options = device.get("options").and_then(Json::as_object).unwrap_or_default();
        let options: Vec<String> =
            options.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
        row.push(if device.flag("local") { "local" } else { "replicated" }.to_owned());
        row.push(options.join(" "));
    }
    row
}

/// A device with its members in the order that Vault's tools print them.
fn in_order(device: &Json) -> Json {
    let text = |name: &'static str| (name, Json::from(device.text(name)));
    Json::record([
        text("type"),
        text("description"),
        ("options", device.get("options").cloned().unwrap_or(Json::Null)),
        ("local", Json::Bool(device.flag("local"))),
        text("path"),
    ])
}
