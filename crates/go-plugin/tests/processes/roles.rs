//! What this program does when it is started as a plugin.

use std::io::{BufRead, BufReader, Write};
use std::process::ExitCode;
use std::sync::Arc;

use go_plugin::handshake::ENV_VERSIONS;
use go_plugin::host::{Command, Executable, start};
use go_plugin::plugin::{self, ServeConfig, Version};
use go_plugin::tls::{Identity, PeerTls, certificates_from_pem};
use go_plugin::{Cookie, Error};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
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
        "agreed" => plugin::main(good().with_tls(|| Ok(Some(agreed_tls()?)))),
        "host" => host(),
        "careless-host" => careless_host(),
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

/// TLS in which both sides hold the same certificate and key, as when a host hands them out.
pub fn agreed_tls() -> Result<PeerTls, Error> {
    let certificate = include_str!("../../testdata/go-automtls.crt");
    let key = include_str!("../../testdata/go-automtls.key");
    let chain = certificates_from_pem(certificate)?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    Identity::new(chain.clone(), &key)?.with_named_peer(chain, "some-other-name")
}

/// Starts a plugin that would never end by itself below the folder named in the environment, says so, and waits for death.
fn host() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut command = Command::new(
            Executable::Path(std::env::current_exe().unwrap()),
            cookie(),
            vec![VERSION],
        );
        command.args = vec!["--role".into(), "deaf".into()];
        command.socket_parent = std::env::var_os("PLACE").unwrap().into();
        let client = start(command).await.unwrap();
        println!("{}", client.pid());
        std::future::pending::<()>().await;
    });
    ExitCode::SUCCESS
}

/// Starts a good plugin as other hosts do: it asks the kernel for no signal at its own death.
fn careless_host() -> ExitCode {
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--role", "good"])
        .env(COOKIE_KEY, COOKIE_VALUE)
        .env(ENV_VERSIONS, VERSION.to_string())
        .env("TMPDIR", std::env::var_os("PLACE").unwrap())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    println!("{}", child.id());
    child.wait().unwrap();
    ExitCode::SUCCESS
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
