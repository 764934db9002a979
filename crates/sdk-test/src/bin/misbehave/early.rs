//! What goes wrong before or at the handshake. Whoever starts it has to get rid of it and say what
//! was wrong.
//!
//! Left out on purpose: everything that needs gRPC (`faults`, `engine`).

use base64::Engine as _;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Duration;

/// Longer than any server waits; a test that finds the process alive then has found a leak.
pub const LONG: Duration = Duration::from_secs(3600);

/// Does what this mode says.
pub fn run(mode: &str) {
    match mode {
        // A program that was not made to be a plugin.
        "usage" => {
            eprintln!("usage: misbehave MODE");
            std::process::exit(0);
        }
        "exits" => {
            eprintln!("cannot find the file that I was told to read");
            std::process::exit(7);
        }
        "aborts" => std::process::abort(),
        "chatty" => {
            say("Starting up, please wait...\n");
            wait();
        }
        "silent" => wait(),
        "closes-stdout" => {
            let null = std::fs::File::open("/dev/null").expect("a null device");
            rustix::stdio::dup2_stdout(null).expect("stdout can be replaced");
            wait();
        }
        "endless-stderr" => loop {
            eprintln!("{}", "x".repeat(4096));
        },
        "endless" => loop {
            say(&"x".repeat(4096));
        },
        "core-2" => announce("2|5|unix|/nowhere|grpc|"),
        "protocol-9" => announce("1|9|unix|/nowhere|grpc|"),
        "netrpc" => announce("1|5|unix|/nowhere|netrpc|"),
        "network" => announce("1|5|carrier-pigeon|/nowhere|grpc|"),
        "numbers" => announce("one|five|unix|/nowhere|grpc|"),
        "certificate" => announce(&format!("1|5|unix|/nowhere|grpc|{}", "!".repeat(80))),
        "no-socket" => announce(&format!("1|5|unix|/nowhere/at/all|grpc|{}", certificate())),
        "mute-socket" => mute(),
        other => {
            eprintln!("misbehave: no mode {other:?}");
            std::process::exit(2);
        }
    }
}

fn say(text: &str) {
    let mut stdout = std::io::stdout();
    // Whoever read this may have hung up, and then this process is of no use to anyone.
    if stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_err() {
        std::process::exit(1);
    }
}

pub fn wait() -> ! {
    loop {
        std::thread::sleep(LONG);
    }
}

fn announce(line: &str) -> ! {
    say(&format!("{line}\n"));
    wait();
}

/// A certificate for the handshake line, as good as any: what goes wrong comes after it.
fn certificate() -> String {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    base64::engine::general_purpose::STANDARD_NO_PAD.encode(made.cert.der())
}

/// Where this plugin's sockets are.
pub fn folder() -> PathBuf {
    let named = std::env::var_os("PLUGIN_UNIX_SOCKET_DIR").filter(|folder| !folder.is_empty());
    named.map_or_else(std::env::temp_dir, PathBuf::from)
}

/// Accepts connections and never says a word.
fn mute() -> ! {
    let path = format!("{}/mute{}", folder().display(), std::process::id());
    let listener = UnixListener::bind(&path).expect("a socket");
    say(&format!("1|5|unix|{path}|grpc|{}\n", certificate()));
    for mut stream in listener.incoming().flatten() {
        std::thread::spawn(move || {
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard)
        });
    }
    wait();
}
