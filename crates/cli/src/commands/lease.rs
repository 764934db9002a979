//! `lease lookup`, `renew`, `revoke`.

use boltwork_client::{Call, Json, Secret};
use http::Method;

use crate::command::{Command, Failure, Outcome, Output};
use crate::context::Context;
use crate::flags::Flag;

pub(crate) const COMMANDS: &[Command] = &[
    Command {
        path: "lease lookup",
        synopsis: "Lookup the lease of a secret",
        usage: "[options] ID",
        about: "Shows when a lease was given and when it ends.\n$ lease lookup database/creds/readonly/2f6a614c",
        output: Output::Format,
        flags: &[],
        run: lookup,
    },
    Command {
        path: "lease renew",
        synopsis: "Renews the lease of a secret",
        usage: "[options] ID",
        about: "Extends a lease, within what its backend allows.\n$ lease renew database/creds/readonly/2f6a614c",
        output: Output::Format,
        flags: &[Flag::duration("increment", "How long it shall live from now.")],
        run: renew,
    },
    Command {
        path: "lease revoke",
        synopsis: "Revokes leases and secrets",
        usage: "[options] ID",
        about: "Takes a secret back, or with -prefix all that were given below a path. Without -sync the server is told to, and goes on trying.\n$ lease revoke database/creds/readonly/2f6a614c\n$ lease revoke -prefix database/creds",
        output: Output::Plain,
        flags: &[
            Flag::bool(
                "force",
                "Forget the leases even if their backend does not take the secrets back; needs -prefix.",
            )
            .alias("f"),
            Flag::bool("prefix", "The argument is a path below which all leases are revoked."),
            Flag::bool("sync", "Wait until it is done; whether to try again is then up to you."),
        ],
        run: revoke,
    },
];

/// The one lease id.
fn id(cx: &Context<'_>, expected: &str) -> Result<String, Failure> {
    match cx.flags.args.as_slice() {
        [] => Err(Failure::usage("Missing ID!")),
        [id] => Ok(id.trim().to_owned()),
        more => Err(Failure::usage(format!(
            "Too many arguments (expected {expected}, got {})",
            more.len()
        ))),
    }
}

/// Sends a call whose answer must be a secret, and shows it.
fn exchange(
    cx: &mut Context<'_>,
    path: &str,
    body: &Json,
    failed: impl FnOnce(String) -> String,
) -> Outcome {
    let call = Call::new(Method::PUT, path).body(body);
    let answer = cx.connect()?.send(call).and_then(|response| Secret::parse(&response.body));
    match answer.map_err(|e| Failure::server(failed(e.to_string())))? {
        Some(secret) => cx.show(&secret),
        None => Ok(0),
    }
}

fn lookup(cx: &mut Context<'_>) -> Outcome {
    let id = id(cx, "1")?;
    let body = Json::record([("lease_id", Json::from(id.as_str()))]);
    exchange(cx, "sys/leases/lookup", &body, |e| format!("error looking up lease id {id}: {e}"))
}

fn renew(cx: &mut Context<'_>) -> Outcome {
    let id = id(cx, "1-2")?;
    let seconds = cx.flags.duration("increment") / 1_000_000_000;
    let body =
        Json::record([("increment", Json::number(seconds)), ("lease_id", Json::from(id.as_str()))]);
    exchange(cx, "sys/leases/renew", &body, |e| format!("Error renewing {id}: {e}"))
}

fn revoke(cx: &mut Context<'_>) -> Outcome {
    let id = cx.arg()?.trim().to_owned();
    let flags = &cx.flags;
    let (force, prefix, sync) = (flags.bool("force"), flags.bool("prefix"), flags.bool("sync"));
    if force && !prefix {
        return Err(Failure::usage("Specifying -force requires also specifying -prefix"));
    }
    let (kind, failed, done) = match (force, prefix) {
        (true, _) => (
            "-force",
            format!("Error force revoking leases with prefix {id}"),
            format!("Force revoked any leases with prefix: {id}"),
        ),
        (_, true) => (
            "-prefix",
            format!("Error revoking leases with prefix {id}"),
            format!("Revoked any leases with prefix: {id}"),
        ),
        _ => ("", format!("Error revoking lease {id}"), format!("Revoked lease: {id}")),
    };
    let api = cx.connect()?;
    if force {
        cx.ui.warn(
            "Warning! Force-removing leases can cause OpenBao to become out of sync with\nsecret engines!",
        );
    }
    let body = (!force).then(|| Json::record([("sync", Json::Bool(sync))]));
    api.order(Method::PUT, &format!("sys/leases/revoke{kind}/{id}"), body.as_ref())
        .map_err(|e| Failure::server(format!("{failed}: {e}")))?;
    match force || sync {
        true => cx.succeeded(&done),
        false => {
            cx.ui.say("All revocation operations queued successfully!");
            Ok(0)
        }
    }
}
