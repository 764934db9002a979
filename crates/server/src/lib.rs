//! The binary `boltwork`: the command line, and `server`, which puts all rooms together.
//!
//! This is the only room that knows all others: it reads the configuration, opens storage, lists
//! the built-in plugins, opens the listeners, and stops everything in order. It decides nothing
//! that a request could notice.

mod builtins;
pub mod config;
mod server;
mod version;

use std::process::ExitCode;

use boltwork_cli::Extra;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let server = Extra {
        name: "server",
        synopsis: "Start a Boltwork server",
        run: &|args: &[String]| server::run(args),
    };
    let code = boltwork_cli::run_process(&version::line(), &[server]);
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}
