//! `plugin register`, `deregister`, `reload`: changes of the catalog (wire spec 6).
//!
//! The flags of container images are sent as they are: it is the server that has no containers, and
//! that says what to do instead.

use boltwork_client::{Call, Json};
use http::Method;

use super::mounts;
use crate::command::{Command, Failure, Outcome, Output};
use crate::context::Context;
use crate::flags::{Flag, Kind};
use crate::golang::quote;

pub(super) const VERSION: Flag = Flag::text("version", "Semantic version of the plugin.");

pub(crate) const COMMANDS: &[Command] = &[
    Command {
        path: "plugin register",
        synopsis: "Registers a new plugin in the catalog",
        usage: "[options] [TYPE] NAME",
        about: "Registers a plugin binary of the server's plugin directory. TYPE is auth, database or secret.\n$ plugin register -sha256=d3f0a8be02f6c074cf38c9c99d4d04c9c6466249 secret my-engine",
        output: Output::Plain,
        flags: &[
            Flag::list(
                "args",
                "Argument to start the plugin with; may be repeated, or several with commas.",
            ),
            Flag::text(
                "command",
                "File to start, in the plugin directory; the plugin's name if not given.",
            ),
            Flag::new(
                Kind::Strings,
                "env",
                "Variable of the plugin's environment as NAME=VALUE; may be repeated.",
            ),
            Flag::text("sha256", "SHA-256 of the binary in hex. Required."),
            Flag::text("oci_image", "Container image to run, for servers that have containers."),
            Flag::text("runtime", "Container runtime, for servers that have containers."),
            Flag::bool("download", "Let the server fetch the plugin, if it can."),
            VERSION,
        ],
        run: register,
    },
    Command {
        path: "plugin deregister",
        synopsis: "Deregister an existing plugin in the catalog",
        usage: "[options] [TYPE] NAME",
        about: "Removes a plugin from the catalog. Mounts that run it go on until they are reloaded.\n$ plugin deregister secret my-engine",
        output: Output::Plain,
        flags: &[VERSION],
        run: deregister,
    },
    Command {
        path: "plugin reload",
        synopsis: "Reload mounted plugin backend",
        usage: "[options]",
        about: "Starts the processes of a plugin anew, either of all its mounts or of the given ones.\n$ plugin reload -plugin=my-engine",
        output: Output::Plain,
        flags: &[
            Flag::text("plugin", "Name of the plugin to reload."),
            Flag::list("mounts", "Mount to reload; may be repeated, or several with commas."),
            Flag::text("scope", "\"global\" for all nodes of a cluster; this node if not given."),
            Flag::text("type", "Type of the plugin: auth, database, secret or unknown."),
        ],
        run: reload,
    },
];

/// Type and name from `[TYPE] NAME`; the type is empty if not given.
pub(super) fn type_and_name(cx: &Context<'_>, expected: &str) -> Result<(String, String), Failure> {
    match cx.flags.args.as_slice() {
        [name] => Ok((String::new(), name.trim().to_owned())),
        [kind, name] => Ok((plugin_type(kind.trim())?, name.trim().to_owned())),
        args => {
            let got = args.len();
            let how = if got == 0 { "Not enough" } else { "Too many" };
            Err(Failure::usage(format!("{how} arguments (expected {expected}, got {got})")))
        }
    }
}

/// Checks a type's name; `unknown` is empty.
pub(super) fn plugin_type(kind: &str) -> Result<String, Failure> {
    match kind {
        "auth" | "database" | "secret" => Ok(kind.to_owned()),
        "unknown" => Ok(String::new()),
        other => Err(Failure::server(format!("{} is not a supported plugin type", quote(other)))),
    }
}

pub(super) fn catalog_path(kind: &str, name: &str) -> String {
    match kind {
        "" => format!("sys/plugins/catalog/{name}"),
        kind => format!("sys/plugins/catalog/{kind}/{name}"),
    }
}

fn register(cx: &mut Context<'_>) -> Outcome {
    let (args, expected) = (cx.flags.args.len(), "1 or 2");
    if (1..=2).contains(&args) && cx.flags.text("sha256").is_empty() {
        return Err(Failure::usage("SHA256 is required for all plugins, please provide -sha256"));
    }
    let (kind, name) = type_and_name(cx, expected)?;
    let flags = &cx.flags;
    let command = match (flags.text("command"), flags.text("oci_image")) {
        ("", "") => name.as_str(),
        (command, _) => command,
    };
    let mut body = vec![
        ("type", Json::from(if kind.is_empty() { "unknown" } else { &kind })),
        ("command", Json::from(command)),
        ("sha256", Json::from(flags.text("sha256"))),
    ];
    for (flag, values) in [("args", flags.list("args")), ("env", flags.strings("env"))] {
        if !values.is_empty() {
            body.push((flag, Json::strings(values)));
        }
    }
    for flag in ["version", "oci_image", "runtime"] {
        if !flags.text(flag).is_empty() {
            body.push((flag, Json::from(flags.text(flag))));
        }
    }
    if flags.bool("download") {
        body.push(("download", Json::Bool(true)));
    }
    let body = Json::record(body);
    let failed = format!("Error registering plugin {name}");
    let done = format!("Registered plugin: {name}");
    mounts::order(cx, Method::PUT, &catalog_path(&kind, &name), Some(&body), &failed, &done)
}

fn deregister(cx: &mut Context<'_>) -> Outcome {
    let (kind, name) = type_and_name(cx, "1, or 2")?;
    let version = cx.flags.text("version").to_owned();
    if !version.is_empty() {
        let bare = version.strip_prefix('v').unwrap_or(&version);
        semver::Version::parse(bare).map_err(|e| {
            Failure::server(format!(
                "version {} is not a valid semantic version: {e}",
                quote(&version)
            ))
        })?;
    }
    let call = Call::new(Method::DELETE, &catalog_path(&kind, &name)).query("version", &version);
    cx.connect()?
        .send(call)
        .map_err(|e| Failure::server(format!("Error deregistering plugin named {name}: {e}")))?;
    cx.succeeded(&format!("Deregistered plugin (if it was registered): {name}"))
}

fn reload(cx: &mut Context<'_>) -> Outcome {
    let got = cx.flags.count();
    let plugin = cx.flags.text("plugin").to_owned();
    let mounts = cx.flags.list("mounts");
    if plugin.is_empty() && mounts.is_empty() {
        return Err(Failure::usage(format!("Not enough arguments (expected 1, got {got})")));
    }
    if !plugin.is_empty() && !mounts.is_empty() {
        return Err(Failure::usage(format!("Too many arguments (expected 1, got {got})")));
    }
    let scope = cx.flags.text("scope").to_owned();
    if !matches!(scope.as_str(), "" | "global") {
        return Err(Failure::usage(format!("Invalid reload scope: {scope}")));
    }
    let kind = cx.flags.text("type").to_owned();
    let (path, body) = if kind.is_empty() || plugin.is_empty() {
        let body = vec![
            ("plugin", Json::from(plugin.as_str())),
            ("mounts", Json::strings(mounts.clone())),
            ("scope", Json::from(scope.as_str())),
        ];
        ("sys/plugins/reload/backend".to_owned(), body)
    } else {
        // `unknown` stays a word here: any type.
        plugin_type(&kind)?;
        (format!("sys/plugins/reload/{kind}/{plugin}"), vec![("scope", Json::from(scope.as_str()))])
    };
    let call = Call::new(Method::PUT, &path).body(&Json::record(body));
    let answer = cx
        .connect()?
        .send(call)
        .and_then(|r| r.json())
        .map_err(|e| Failure::server(format!("Error reloading plugin/mounts: {e}")))?;
    let what = if mounts.is_empty() {
        format!("plugin: {plugin}")
    } else {
        format!("mounts: [{}]", mounts.join(" "))
    };
    let id = answer.get("data").map_or("", |d| d.text("reload_id"));
    if scope == "global" && !id.is_empty() {
        return cx.succeeded(&format!("Reloading {what}, reload_id: {id}"));
    }
    cx.succeeded(&format!("Reloaded {what}"))
}
