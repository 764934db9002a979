//! What this program does when it is started as a plugin.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use go_plugin::Cookie;
use go_plugin::plugin::{self, ServeConfig, Version};
use tonic::service::Routes;

use crate::peer::PeerService;

pub const COOKIE_KEY: &str = "GO_PLUGIN_PEER";
pub const COOKIE_VALUE: &str = "ffe3f1c2";
pub const VERSION: u32 = 5;

pub fn cookie() -> Cookie {
    Cookie::new(COOKIE_KEY, COOKIE_VALUE)
}

pub fn play(role: &str) -> ExitCode {
    match role {
        "good" => plugin::main(good()),
        "garbage" => {
            println!("Starting up, please wait...");
            forever()
        }
        "nothing" => forever(),
        "exit" => {
            eprintln!("cannot find my configuration");
            ExitCode::from(3)
        }
        "mute" => {
            // Closes stdout and lives on.
            drop(unowned_stdout());
            forever()
        }
        "old" => plugin::main(ServeConfig::new(cookie(), vec![version(2)])),
        "flood" => loop {
            let line = [b'x'; 8192];
            if std::io::stderr().write_all(&line).is_err() {
                return ExitCode::FAILURE;
            }
        },
        "flood-and-serve" => {
            std::thread::spawn(|| while std::io::stderr().write_all(b"noise\n").is_ok() {});
            plugin::main(good())
        }
        "no-socket" => announce("1|5|unix|/nowhere/at/all|grpc|\n"),
        "no-certificate" => announce("1|5|unix|/nowhere/at/all|grpc|\n"),
        "deaf" => deaf(),
        _ => ExitCode::from(99),
    }
}

fn version(number: u32) -> Version {
    Version::new(number, |context| {
        let context = Arc::new(context.clone());
        Routes::default().add_service(PeerService(Some(context)))
    })
}

fn good() -> ServeConfig {
    ServeConfig::new(cookie(), vec![version(4), version(VERSION)])
}

fn announce(line: &str) -> ExitCode {
    print!("{line}");
    forever()
}

/// Serves, but does not end when asked to.
fn deaf() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let _ = plugin::serve(good()).await;
    });
    forever()
}

fn unowned_stdout() -> std::os::fd::OwnedFd {
    use std::os::fd::AsFd;
    // Point our own stdout at the null device; the pipe's last writing end closes with that.
    let null = std::fs::File::create("/dev/null").unwrap();
    rustix::stdio::dup2_stdout(null.as_fd()).unwrap();
    null.into()
}

fn forever() -> ExitCode {
    loop {
        std::thread::park();
    }
}
