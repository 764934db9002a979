//! Whole servers, driven from outside: what the end-to-end tests beside this library are written
//! with. A [`Server`] is a real process with folders of its own; [`Api`] talks to it over HTTP;
//! [`process`] looks at what it has started and left behind.
//!
//! Left out on purpose: any crate of the server. What is tested here is what a user can reach, so
//! the same tests run against OpenBao too (`BOLTWORK_E2E_SERVER=bao`), which is how we know that
//! they ask for what Vault's users are used to, and not for what we happen to do.

mod authority;
mod comparison;
mod holdings;
mod http;
mod plugins;
pub mod postgres;
pub mod process;
mod scratch;
mod server;
mod stand_in;
pub mod tools;

pub use authority::Authority;
pub use comparison::{Difference, compare, masked};
pub use holdings::Holdings;
pub use http::{Answer, Api, Call};
pub use plugins::{Mount, Plugin, altered, sha256};
pub use scratch::Scratch;
pub use server::{Kind, PluginFolder, Server, Setup, Storage, free_port};
pub use stand_in::{Asked, Replied, StandIn};

use std::time::{Duration, Instant};

/// Longer than anything takes that works, on a machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Asks again and again until `ask` has an answer; panics with `what` if it never has one.
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
