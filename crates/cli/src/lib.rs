//! The command line: Vault's commands, flags, environment variables, texts and exit codes.
//!
//! One file per command or small family under `commands`, one table of them all, and around it what
//! every command needs: flags in Go's style, output as table, JSON or YAML, the token file.
//! It knows the client and nothing of the server: `server` is a command that the binary adds.
//!
//! Exit codes: 0 it worked, 1 the command line or something local is wrong, 2 the server said no,
//! 127 there is no such command. `status` alone differs: 2 means sealed.

mod api;
mod command;
mod commands;
mod context;
mod duration;
mod environment;
mod flags;
mod format;
mod golang;
mod help;
mod key_values;
mod prompt;
mod run;
mod table;
mod token_file;
mod ui;
mod wrap;
mod yaml;

pub use environment::Environment;
pub use run::{Extra, Invocation, run, run_process};
