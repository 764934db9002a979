//! `token create`, `lookup`, `renew`, `revoke`, `capabilities`.

use boltwork_client::{Call, Json};
use http::Method;

use super::mounts;
use crate::api::Api;
use crate::command::{Command, Failure, Outcome, Output};
use crate::context::Context;
use crate::duration;
use crate::flags::Flag;

const ACCESSOR: Flag =
    Flag::bool("accessor", "The argument is a token's accessor rather than the token.");

pub(crate) const COMMANDS: &[Command] = &[
    Command {
        path: "token create",
        synopsis: "Create a new token",
        usage: "[options]",
        about: "Creates a token, a child of the one in use. Without -policy it has the same policies.\n$ token create -policy=my-policy -ttl=1h",
        output: Output::Field,
        flags: &[
            Flag::text("id", "The token itself, instead of a random one. Needs sudo."),
            Flag::text("display-name", "Name of the token, for people and audit logs."),
            Flag::duration("ttl", "How long it lives unless renewed."),
            Flag::duration("explicit-max-ttl", "How long it lives whatever happens."),
            Flag::duration(
                "period",
                "Each renewal gives it this long; it then never has to end. Needs sudo.",
            ),
            Flag::bool("renewable", "The token can be renewed.").default("true"),
            Flag::bool(
                "orphan",
                "The token has no parent and outlives the one in use. Needs sudo.",
            ),
            Flag::bool("no-default-policy", "Leave the policy \"default\" out."),
            Flag::int("use-limit", "0", "How often it can be used; 0 is without limit."),
            Flag::text("role", "Token role to create it with."),
            Flag::text("type", "\"service\" or \"batch\".").default("service"),
            Flag::map("metadata", "Something to note about it, as key=value; may be repeated."),
            Flag::list("policy", "Policy of the token; may be repeated."),
            Flag::text("entity-alias", "Entity alias to create it for; only with -role."),
        ],
        run: create,
    },
    Command {
        path: "token lookup",
        synopsis: "Display information about a token",
        usage: "[options] [TOKEN | ACCESSOR]",
        about: "Shows what the server knows about a token, by default the one in use.",
        output: Output::Field,
        flags: &[ACCESSOR],
        run: lookup,
    },
    Command {
        path: "token renew",
        synopsis: "Renew a token lease",
        usage: "[options] [TOKEN]",
        about: "Extends the life of a token, by default the one in use.\n$ token renew -increment=30m",
        output: Output::Format,
        flags: &[
            ACCESSOR,
            Flag::duration("increment", "How long it shall live from now.").alias("i"),
        ],
        run: renew,
    },
    Command {
        path: "token revoke",
        synopsis: "Revoke a token and its children",
        usage: "[options] [TOKEN | ACCESSOR]",
        about: "Revokes a token, its children and all their leases.\n$ token revoke -self",
        output: Output::Plain,
        flags: &[
            ACCESSOR,
            Flag::bool("self", "Revoke the token in use."),
            Flag::text(
                "mode",
                "\"orphan\": revoke only the token and let its children live. \"path\": revoke the tokens that an auth path gave out.",
            ),
        ],
        run: revoke,
    },
    Command {
        path: "token capabilities",
        synopsis: "Print capabilities of a token on a path",
        usage: "[options] [TOKEN | ACCESSOR] PATH",
        about: "Prints what a token, by default the one in use, may do on a path.\n$ token capabilities cubbyhole/foo",
        output: Output::Format,
        flags: &[ACCESSOR],
        run: capabilities,
    },
];

fn create(cx: &mut Context<'_>) -> Outcome {
    cx.args(0)?;
    let flags = &cx.flags;
    let life = |name| Json::String(duration::go(flags.duration(name)));
    let renewable = flags.bool("renewable") && flags.text("type") != "batch";
    let mut body = vec![
        ("ttl", life("ttl")),
        ("explicit_max_ttl", life("explicit-max-ttl")),
        ("period", life("period")),
        ("display_name", Json::from(flags.text("display-name"))),
        ("num_uses", Json::number(flags.int("use-limit"))),
        ("renewable", Json::Bool(renewable)),
        ("type", Json::from(flags.text("type"))),
        ("entity_alias", Json::from(flags.text("entity-alias"))),
    ];
    if !flags.text("id").is_empty() {
        body.push(("id", Json::from(flags.text("id"))));
    }
    let policies = flags.list("policy");
    if !policies.is_empty() {
        body.push(("policies", Json::strings(policies)));
    }
    let metadata = flags.map("metadata");
    if !metadata.is_empty() {
        let pairs = metadata.into_iter().map(|(k, v)| (k, Json::String(v)));
        body.push(("meta", Json::record(pairs)));
    }
    for (flag, field) in [("orphan", "no_parent"), ("no-default-policy", "no_default_policy")] {
        if flags.bool(flag) {
            body.push((field, Json::Bool(true)));
        }
    }
    let path = match flags.text("role") {
        "" => "auth/token/create".to_owned(),
        role => format!("auth/token/create/{role}"),
    };
    let call = Call::new(Method::POST, &path).body(&Json::record(body));
    exchange(cx, call, "Error creating token")
}

/// Sends a call whose answer must be a secret, and shows it.
fn exchange(cx: &mut Context<'_>, call: Call, failed: &str) -> Outcome {
    let api = cx.connect()?;
    send(cx, &api, call, failed)
}

fn send(cx: &mut Context<'_>, api: &Api, call: Call, failed: &str) -> Outcome {
    let secret = api
        .send(call)
        .and_then(|r| boltwork_client::Secret::parse(&r.body))
        .map_err(|e| Failure::server(format!("{failed}: {e}")))?;
    match secret {
        Some(secret) => cx.show_or_field(&secret),
        None => Ok(0),
    }
}

fn at_most_one(cx: &Context<'_>, expected: &str) -> Result<String, Failure> {
    match cx.flags.args.as_slice() {
        [] => Ok(String::new()),
        [token] => Ok(token.trim().to_owned()),
        more => Err(Failure::usage(format!(
            "Too many arguments (expected {expected}, got {})",
            more.len()
        ))),
    }
}

fn one(key: &str, value: &str) -> Vec<(String, Json)> {
    vec![(key.to_owned(), Json::from(value))]
}

fn lookup(cx: &mut Context<'_>) -> Outcome {
    let by_accessor = cx.flags.bool("accessor");
    let got = cx.flags.args.len();
    if by_accessor && got != 1 {
        let how = if got < 1 { "Not enough" } else { "Too many" };
        return Err(Failure::usage(format!(
            "{how} arguments with -accessor (expected 1, got {got})"
        )));
    }
    let token = at_most_one(cx, "0-1")?;
    let call = if token.is_empty() {
        Call::new(Method::GET, "auth/token/lookup-self")
    } else if by_accessor {
        Call::new(Method::POST, "auth/token/lookup-accessor")
            .body(&Json::Object(one("accessor", &token)))
    } else {
        Call::new(Method::POST, "auth/token/lookup").body(&Json::Object(one("token", &token)))
    };
    exchange(cx, call, "Error looking up token")
}

fn renew(cx: &mut Context<'_>) -> Outcome {
    let token = at_most_one(cx, "1")?;
    let seconds = cx.flags.duration("increment") / 1_000_000_000;
    let (method, path, mut body) = if token.is_empty() {
        (Method::PUT, "auth/token/renew-self", Vec::new())
    } else if cx.flags.bool("accessor") {
        (Method::POST, "auth/token/renew-accessor", one("accessor", &token))
    } else {
        (Method::PUT, "auth/token/renew", one("token", &token))
    };
    body.push(("increment".into(), Json::number(seconds)));
    let call = Call::new(method, path).body(&Json::Object(body));
    exchange(cx, call, "Error renewing token")
}

fn revoke(cx: &mut Context<'_>) -> Outcome {
    let (own, by_accessor) = (cx.flags.bool("self"), cx.flags.bool("accessor"));
    let mode = cx.flags.text("mode").to_owned();
    let got = cx.flags.args.len();
    let wrong = match (own, got) {
        _ if !matches!(mode.as_str(), "" | "orphan" | "path") => format!("Invalid mode: {mode}"),
        (true, 1..) => format!("Too many arguments with -self (expected 0, got {got})"),
        (false, 2..) => format!("Too many arguments (expected 1 or -self, got {got})"),
        (false, 0) => format!("Not enough arguments (expected 1 or -self, got {got})"),
        _ if own && by_accessor => "Cannot use -self with -accessor!".into(),
        _ if own && !mode.is_empty() => "Cannot use -self with -mode!".into(),
        _ if by_accessor && !mode.is_empty() => format!("Cannot use -accessor with -mode={mode}!"),
        _ => String::new(),
    };
    if !wrong.is_empty() {
        return Err(Failure::usage(wrong));
    }
    let token = at_most_one(cx, "1")?;
    let (method, path, body) = match mode.as_str() {
        _ if own => (Method::PUT, "auth/token/revoke-self".to_owned(), None),
        _ if by_accessor => {
            (Method::POST, "auth/token/revoke-accessor".to_owned(), Some(one("accessor", &token)))
        }
        "orphan" => {
            (Method::PUT, "auth/token/revoke-orphan".to_owned(), Some(one("token", &token)))
        }
        "path" => (Method::PUT, format!("sys/leases/revoke-prefix/{token}"), None),
        _ => (Method::PUT, "auth/token/revoke".to_owned(), Some(one("token", &token))),
    };
    let body = body.map(Json::Object);
    let done = "Revoked token (if it existed)";
    mounts::order(cx, method, &path, body.as_ref(), "Error revoking token", done)
}

fn capabilities(cx: &mut Context<'_>) -> Outcome {
    let by_accessor = cx.flags.bool("accessor");
    let (token, path) = match cx.flags.args.as_slice() {
        [] => return Err(Failure::usage("Not enough arguments (expected 1-2, got 0)")),
        [_] if by_accessor => {
            return Err(Failure::usage("Not enough arguments with -accessor (expected 2, got 1)"));
        }
        [path] => (None, path.clone()),
        [token, path] => (Some(token.clone()), path.clone()),
        more => {
            let got = more.len();
            return Err(Failure::usage(format!("Too many arguments (expected 1-2, got {got})")));
        }
    };
    let mut body = one("path", &path);
    let url = match token {
        Some(accessor) if by_accessor => {
            body.extend(one("accessor", &accessor));
            "sys/capabilities-accessor"
        }
        Some(token) => {
            body.extend(one("token", &token));
            "sys/capabilities"
        }
        None => {
            body.extend(one("token", cx.connect()?.token()));
            "sys/capabilities-self"
        }
    };
    let secret = cx
        .connect()?
        .post(url, &Json::Object(body))
        .map_err(|e| Failure::server(format!("Error listing capabilities: {e}")))?;
    let found = secret.as_ref().and_then(|s| s.field(&path).or_else(|| s.field("capabilities")));
    let Some(found) = found.filter(|f| f.as_array().is_some()).cloned() else {
        return Err(Failure::usage("No capabilities found"));
    };
    if !cx.is_table() {
        return cx.show_data(&found);
    }
    let mut names: Vec<&str> =
        found.as_array().unwrap_or_default().iter().filter_map(Json::as_str).collect();
    names.sort_unstable();
    cx.ui.say(&names.join(", "));
    Ok(0)
}
