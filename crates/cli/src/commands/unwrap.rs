//! `unwrap`: opens a wrapped answer.

use boltwork_client::{Call, Json};
use http::Method;

use super::generic::show_list;
use crate::command::{Command, Failure, Outcome, Output};
use crate::context::Context;

pub(crate) const COMMANDS: &[Command] = &[Command {
    path: "unwrap",
    synopsis: "Unwrap a wrapped secret",
    usage: "[options] [TOKEN]",
    about: "Opens a wrapped answer with its token, which works once. Without an argument the token in use is taken for it.\n$ unwrap 3de9ece1-b347-e143-29b0-dc2dc31caafd",
    output: Output::Field,
    flags: &[],
    run: unwrap,
}];

fn unwrap(cx: &mut Context<'_>) -> Outcome {
    let got = cx.flags.args.len();
    if got > 1 {
        return Err(Failure::usage(format!("Too many arguments (expected 0-1, got {got})")));
    }
    let token = cx.flags.args.first().map(|t| t.trim().to_owned()).unwrap_or_default();
    let api = cx.connect()?;
    let mut call = Call::new(Method::PUT, "sys/wrapping/unwrap");
    if api.token().is_empty() {
        call = call.token(&token);
    } else if !token.is_empty() && token != api.token() {
        call = call.body(&Json::record([("token", Json::String(token))]));
    }
    let secret = api.secret(call).map_err(|e| Failure::server(format!("Error unwrapping: {e}")))?;
    let Some(secret) = secret else {
        if cx.is_table() {
            cx.ui.say("Successfully unwrapped. There was no data in the wrapped secret.");
        }
        return Ok(0);
    };
    let is_list = secret.field("keys").is_some_and(|k| k.as_array().is_some());
    if is_list && cx.flags.text("field").is_empty() {
        return show_list(cx, "sys/wrapping/unwrap", Some(&secret));
    }
    cx.show_or_field(&secret)
}
