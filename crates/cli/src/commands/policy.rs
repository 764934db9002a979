//! `policy list`, `read`, `write`, `delete`.
//!
//! `policy fmt` is left out: it needs a printer of HCL, which this room does not know.

use std::io::Read;

use boltwork_client::Json;
use http::Method;

use super::mounts;
use crate::command::{Command, Failure, Outcome, Output};
use crate::context::Context;

pub(crate) const COMMANDS: &[Command] = &[
    Command {
        path: "policy list",
        synopsis: "Lists the installed policies",
        usage: "[options]",
        about: "Lists the names of all policies.",
        output: Output::Format,
        flags: &[],
        run: list,
    },
    Command {
        path: "policy read",
        synopsis: "Prints the contents of a policy",
        usage: "[options] NAME",
        about: "Prints a policy as it was written.\n$ policy read my-policy",
        output: Output::Format,
        flags: &[],
        run: read,
    },
    Command {
        path: "policy write",
        synopsis: "Uploads a named policy from a file",
        usage: "[options] NAME PATH",
        about: "Writes a policy from a file, or from stdin if the path is \"-\".\n$ policy write my-policy ./policy.hcl",
        output: Output::Plain,
        flags: &[],
        run: write,
    },
    Command {
        path: "policy delete",
        synopsis: "Deletes a policy by name",
        usage: "[options] NAME",
        about: "Deletes a policy. Tokens that have it lose its rights at once.\n$ policy delete my-policy",
        output: Output::Plain,
        flags: &[],
        run: delete,
    },
];

fn name(text: &str) -> String {
    text.trim().to_lowercase()
}

fn list(cx: &mut Context<'_>) -> Outcome {
    cx.args(0)?;
    let secret = cx
        .connect()?
        .list("sys/policies/acl")
        .map_err(|e| Failure::server(format!("Error listing policies: {e}")))?;
    let names = secret.as_ref().and_then(|s| s.field("keys")).cloned();
    let names = names.unwrap_or(Json::Array(Vec::new()));
    if !cx.is_table() {
        return cx.show_data(&names);
    }
    for name in names.as_array().unwrap_or_default() {
        cx.ui.say(name.as_str().unwrap_or_default());
    }
    Ok(0)
}

fn read(cx: &mut Context<'_>) -> Outcome {
    let name = name(&cx.arg()?);
    let secret = cx
        .connect()?
        .read(&format!("sys/policies/acl/{name}"))
        .map_err(|e| Failure::server(format!("Error reading policy named {name}: {e}")))?;
    let rules = secret.as_ref().and_then(|s| s.field("policy")).and_then(Json::as_str);
    let rules = rules
        .filter(|r| !r.is_empty())
        .ok_or_else(|| Failure::server(format!("No policy named: {name}")))?;
    if cx.is_table() {
        cx.ui.say(rules.trim());
        return Ok(0);
    }
    cx.show_data(&Json::record([("policy", Json::from(rules))]))
}

fn write(cx: &mut Context<'_>) -> Outcome {
    let args = cx.args(2)?;
    let (given, path) = (&args[0], args[1].trim());
    let mut rules = String::new();
    let read = if path == "-" {
        cx.ui.stdin.read_to_string(&mut rules)
    } else {
        let file = std::fs::File::open(path);
        let mut file = file.map_err(|e| {
            let why = if e.kind() == std::io::ErrorKind::NotFound {
                "no such file or directory".to_owned()
            } else {
                e.to_string()
            };
            Failure::server(format!("Error opening policy file: open {path}: {why}"))
        })?;
        file.read_to_string(&mut rules)
    };
    read.map_err(|e| Failure::server(format!("Error reading policy: {e}")))?;
    let name = name(given);
    let body = Json::record([("policy", Json::String(rules))]);
    let done = format!("Uploaded policy: {name}");
    let url = format!("sys/policies/acl/{name}");
    if *given != name {
        cx.ui.warn(&format!("Policy name was converted from \"{given}\" to \"{name}\""));
    }
    mounts::order(cx, Method::PUT, &url, Some(&body), "Error uploading policy", &done)
}

fn delete(cx: &mut Context<'_>) -> Outcome {
    let name = name(&cx.arg()?);
    let failed = format!("Error deleting {name}");
    let url = format!("sys/policies/acl/{name}");
    mounts::order(cx, Method::DELETE, &url, None, &failed, &format!("Deleted policy: {name}"))
}
