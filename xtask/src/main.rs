//! Chores that a developer runs by hand or in CI: `cargo run -p xtask -- <chore>`.
//!
//! Left out on purpose: anything that an ordinary build needs. No crate of the workspace has a
//! build script because of us; what we make is checked in.

mod proto;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo run -p xtask -- <chore>

  proto           rewrite crates/*/src/generated from crates/*/proto
  proto --check   fail if that would change a file";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["proto"] => proto::run(proto::Mode::Write),
        ["proto", "--check"] => proto::run(proto::Mode::Check),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}
