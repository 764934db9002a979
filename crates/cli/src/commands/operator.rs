//! `operator init`, `unseal`, `seal`.
//!
//! PGP encryption of the shares is left out: the flags do not exist, so nobody believes in it.

use boltwork_client::Json;
use http::Method;

use super::status;
use crate::api::Api;
use crate::command::{Command, Failure, Outcome, Output};
use crate::context::Context;
use crate::flags::Flag;
use crate::prompt;
use crate::wrap::wrapped;

pub(crate) const COMMANDS: &[Command] = &[
    Command {
        path: "operator init",
        synopsis: "Initializes a server",
        usage: "[options]",
        about: "Makes a new, empty server ready: creates its keys and prints the shares that unseal it and the first root token. They are shown once and kept nowhere.\n$ operator init -key-shares=3 -key-threshold=2",
        output: Output::Format,
        flags: &[
            Flag::bool(
                "status",
                "Only tell whether the server is initialized: exit code 0 if it is, 2 if it is not, 1 if it could not be asked.",
            ),
            Flag::int(
                "key-shares",
                "0",
                "Number of shares to split the root key into; 5 if not given.",
            )
            .alias("n"),
            Flag::int("key-threshold", "0", "Number of shares needed to unseal; 3 if not given.")
                .alias("t"),
            Flag::int(
                "recovery-shares",
                "5",
                "Number of recovery key shares; only with auto-unseal.",
            ),
            Flag::int(
                "recovery-threshold",
                "3",
                "Number of shares needed to make up the recovery key; only with auto-unseal.",
            ),
        ],
        run: init,
    },
    Command {
        path: "operator unseal",
        synopsis: "Unseals the server",
        usage: "[options] [KEY]",
        about: "Hands the server one share of its key. Once it has enough of them it unseals. Without an argument the share is asked for and not shown, which keeps it out of the shell's history.",
        output: Output::Format,
        flags: &[
            Flag::bool("reset", "Throw away the shares handed in so far."),
            Flag::bool("migrate", "Say that the share is given to move to another kind of seal."),
        ],
        run: unseal,
    },
    Command {
        path: "operator seal",
        synopsis: "Seals the server",
        usage: "[options]",
        about: "Makes the server forget its keys. Every request is refused until it is unsealed again.",
        output: Output::Plain,
        flags: &[],
        run: seal,
    },
];

fn init(cx: &mut Context<'_>) -> Outcome {
    cx.args(0)?;
    let api = cx.connect()?;
    if cx.flags.bool("status") {
        return init_status(cx, &api);
    }
    let seal = api.get_json("sys/seal-status").map_err(|e| Failure::server(e.to_string()))?;
    let auto = seal.flag("recovery_seal");
    let given = |name: &str, default: i64| match cx.flags.int(name) {
        0 if !auto => default,
        n => n,
    };
    let recovery = |name: &str| if auto { cx.flags.int(name) } else { 0 };
    let (shares, threshold) = (given("key-shares", 5), given("key-threshold", 3));
    let request = Json::record([
        ("secret_shares", Json::number(shares)),
        ("secret_threshold", Json::number(threshold)),
        ("recovery_shares", Json::number(recovery("recovery-shares"))),
        ("recovery_threshold", Json::number(recovery("recovery-threshold"))),
    ]);
    let call = boltwork_client::Call::new(Method::PUT, "sys/init").body(&request);
    let keys = api
        .send(call)
        .and_then(|r| r.json())
        .map_err(|e| Failure::server(format!("Error initializing: {e}")))?;
    if !cx.is_table() {
        let all = machine_readable(&request, &keys);
        return cx.show_data(&all);
    }
    print_keys(cx, &keys, "Unseal Key", "keys");
    print_keys(cx, &keys, "Recovery Key", "recovery_keys");
    cx.ui.say("");
    cx.ui.say(&format!("Initial Root Token: {}", keys.text("root_token")));
    cx.ui.say("");
    if list(&keys, "keys").is_empty() {
        cx.ui.say("Success! Vault is initialized");
    } else {
        explain(cx, shares, threshold);
    }
    Ok(0)
}

fn list<'a>(keys: &'a Json, name: &str) -> &'a [Json] {
    keys.get(name).and_then(Json::as_array).unwrap_or_default()
}

fn print_keys(cx: &mut Context<'_>, keys: &Json, label: &str, name: &str) {
    let hex = list(keys, name);
    let base64 = list(keys, &format!("{name}_base64"));
    let shown = if base64.len() == hex.len() { base64 } else { hex };
    for (i, key) in shown.iter().enumerate() {
        cx.ui.say(&format!("{label} {}: {}", i + 1, key.as_str().unwrap_or_default()));
    }
}

fn explain(cx: &mut Context<'_>, shares: i64, threshold: i64) {
    cx.ui.say(&wrapped(&format!(
        "Vault initialized with {shares} key shares and a key threshold of {threshold}. Hand the \
         shares above to different people by safe ways: after every restart or seal, {threshold} of \
         them must be given before the server answers requests."
    )));
    cx.ui.say("");
    cx.ui.say(&wrapped(&format!(
        "The root key itself is stored nowhere. If fewer than {threshold} shares are left, what the \
         server holds is lost for good."
    )));
}

fn machine_readable(request: &Json, keys: &Json) -> Json {
    let field = |name: &str| keys.get(name).cloned().unwrap_or(Json::Null);
    let asked = |name: &str| request.get(name).cloned().unwrap_or(Json::Null);
    // With auto-unseal there are no unseal keys: one stored share counts as the whole.
    let (shares, threshold) = if list(keys, "keys").is_empty() {
        (Json::number(1), Json::number(1))
    } else {
        (asked("secret_shares"), asked("secret_threshold"))
    };
    Json::record([
        ("unseal_keys_b64", field("keys_base64")),
        ("unseal_keys_hex", field("keys")),
        ("unseal_shares", shares),
        ("unseal_threshold", threshold),
        ("recovery_keys_b64", field("recovery_keys_base64")),
        ("recovery_keys_hex", field("recovery_keys")),
        ("recovery_keys_shares", asked("recovery_shares")),
        ("recovery_keys_threshold", asked("recovery_threshold")),
        ("root_token", field("root_token")),
    ])
}

fn init_status(cx: &mut Context<'_>, api: &Api) -> Outcome {
    let answer = api
        .get_json("sys/init")
        .map_err(|e| Failure::usage(format!("Error checking init status: {e}")))?;
    let initialized = answer.flag("initialized");
    if cx.is_table() {
        cx.ui.say(if initialized { "Vault is initialized" } else { "Vault is not initialized" });
    } else {
        cx.show_data(&Json::record([("Initialized", Json::Bool(initialized))]))?;
    }
    Ok(if initialized { 0 } else { 2 })
}

fn unseal(cx: &mut Context<'_>) -> Outcome {
    if cx.flags.args.len() > 1 {
        cx.args(1)?;
    }
    let api = cx.connect()?;
    if cx.flags.bool("reset") {
        let body = Json::record([("reset", Json::Bool(true))]);
        return put_unseal(cx, &api, &body, "Error resetting unseal process");
    }
    let mut key = cx.flags.args.first().map(|k| k.trim().to_owned()).unwrap_or_default();
    if key.is_empty() {
        if cx.flags.bool("non-interactive") {
            return Err(Failure::usage(
                "Refusing to read from stdin with -non-interactive; give the unseal key as an argument",
            ));
        }
        let typed = prompt::hidden(&mut cx.ui, "Unseal Key (will be hidden): ");
        key = typed
            .map_err(|e| {
                Failure::usage(format!(
                    "The unseal key could not be read from the terminal: {e}\n\
                     It can also be given as the first argument."
                ))
            })?
            .to_string();
    }
    let body = Json::record([
        ("key", Json::String(key)),
        ("reset", Json::Bool(false)),
        ("migrate", Json::Bool(cx.flags.bool("migrate"))),
    ]);
    put_unseal(cx, &api, &body, "Error unsealing")
}

fn put_unseal(cx: &mut Context<'_>, api: &Api, body: &Json, failed: &str) -> Outcome {
    let call = boltwork_client::Call::new(Method::PUT, "sys/unseal").body(body);
    let seal = api
        .send(call)
        .and_then(|r| r.json())
        .map_err(|e| Failure::server(format!("{failed}: {e}")))?;
    status::show(cx, api, &seal)
}

fn seal(cx: &mut Context<'_>) -> Outcome {
    cx.args(0)?;
    let result = cx.connect()?.order(Method::PUT, "sys/seal", None);
    result.map_err(|e| Failure::server(format!("Error sealing: {e}")))?;
    cx.succeeded("Vault is sealed.")
}
