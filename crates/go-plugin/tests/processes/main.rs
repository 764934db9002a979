//! Tests with real processes. This program is its own plugin: with `--role NAME` it plays one,
//! good or bad, and without it runs the cases.
//!
//! It has no libtest harness because that prints on stdout before anything else could, which a
//! host takes for a handshake. The cases run one after another: each is followed by a count of
//! processes, descriptors and files, which must be what it was before.
#![allow(clippy::unwrap_used)]

mod cases;
mod go;
mod peer;
mod roles;
mod scene;

use std::process::ExitCode;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

/// A claim and the proof of it.
pub type Case = (&'static str, fn() -> BoxFuture<'static, ()>);

/// `case!(name)`: a case called like its function.
#[macro_export]
macro_rules! case {
    ($name:ident) => {
        (stringify!($name), || Box::pin($name()))
    };
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, role] = args.as_slice()
        && flag == "--role"
    {
        return roles::play(role);
    }
    let all: Vec<Case> = cases::CASES.iter().chain(go::CASES).copied().collect();
    if args.iter().any(|arg| arg == "--list") {
        all.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |name: &str| {
        filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()))
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async move {
        // The runtime and the spawning thread open their descriptors once.
        scene::warm_up().await;
        let mut failed = false;
        for (name, run) in all.into_iter().filter(|(name, _)| wanted(name)) {
            let before = scene::Leftovers::count();
            let proved = tokio::spawn(async move {
                run().await;
                scene::nothing_left(before).await;
            });
            // The panic's message is on stderr already.
            let good = proved.map(|end| end.is_ok()).await;
            println!("test {name} ... {}", if good { "ok" } else { "FAILED" });
            failed |= !good;
        }
        if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    })
}
