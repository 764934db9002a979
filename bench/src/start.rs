//! A dev server from nothing: how long until it answers, and what it holds when it idles.
//!
//! Left out on purpose: servers that are loaded (see `measures.rs`).

use boltwork_e2e::{Api, Call, Scratch, process};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server idles before its memory is read.
const IDLE: Duration = Duration::from_secs(3);

/// What a start gave.
#[derive(Debug, Clone, Copy)]
pub struct Started {
    /// From the start of the process to its first answer.
    pub first_answer: Duration,
    /// Resident memory after that and a while of idling, in bytes.
    pub resident: u64,
}

/// Kills and reaps the process whatever happens.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a dev server, measures and stops it.
///
/// # Panics
///
/// If it does not answer within a minute.
pub fn measure(program: &Path, idle: bool) -> Started {
    let scratch = Scratch::new();
    let address = free_address();
    let start = Instant::now();
    let child = Command::new(program)
        .args(["server", "-dev", "-dev-root-token-id=root"])
        .arg(format!("-dev-listen-address={address}"))
        .env_clear()
        .env("HOME", scratch.path())
        .env("TMPDIR", scratch.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{} cannot be started: {error}", program.display()));
    let child = Guard(child);
    let api = Api::new(address, Some("root"));
    let ask = Call { method: "GET".into(), target: "/v1/sys/mounts".into(), ..Call::default() };
    while !api.try_send(&ask).is_ok_and(|answer| answer.status == 200) {
        assert!(start.elapsed() < Duration::from_secs(60), "{} does not answer", program.display());
        std::thread::sleep(Duration::from_millis(1));
    }
    let first_answer = start.elapsed();
    if idle {
        std::thread::sleep(IDLE);
    }
    Started { first_answer, resident: process::resident(child.0.id()) }
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("a bound listener has an address")
}
