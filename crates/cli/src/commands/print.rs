//! `version` and `print token`: what this side knows without asking.

use crate::command::{Command, Outcome, Output};
use crate::context::Context;

pub(crate) const COMMANDS: &[Command] = &[
    Command {
        path: "version",
        synopsis: "Prints the version",
        usage: "",
        about: "Prints the version of this program.",
        output: Output::Local,
        flags: &[],
        run: version,
    },
    Command {
        path: "print token",
        synopsis: "Prints the token currently in use",
        usage: "",
        about: "Prints the token that the other commands would use: of the environment, else of the token file.\n$ print token",
        output: Output::Local,
        flags: &[],
        run: token,
    },
];

fn version(cx: &mut Context<'_>) -> Outcome {
    cx.ui.say(cx.version);
    Ok(0)
}

fn token(cx: &mut Context<'_>) -> Outcome {
    let token = match cx.environment.setting("TOKEN") {
        Some(token) => token.to_owned(),
        None => crate::token_file::read(cx.environment)
            .map_err(|e| {
                crate::command::Failure::server(format!("failed to read the token file: {e}"))
            })?
            .map(|t| t.to_string())
            .unwrap_or_default(),
    };
    cx.ui.say(&token);
    Ok(0)
}
