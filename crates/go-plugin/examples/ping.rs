//! Host and plugin in one program: starts itself as a plugin, calls it, prints how long calls take.
//!
//! `cargo run --release -p go-plugin --example ping [-- CALLS]`

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use go_plugin::host::{Command, Executable, Tls, start};
use go_plugin::plugin::{ServeConfig, Version};
use go_plugin::proto::grpc::health::v1::HealthCheckRequest;
use go_plugin::proto::grpc::health::v1::health_client::HealthClient;
use go_plugin::{Channel, Cookie, HEALTH_NAME, plugin};
use tonic::service::Routes;

fn main() -> ExitCode {
    let cookie = Cookie::new("PING_PLUGIN", "3a1c");
    if cookie.present() {
        // The health service is there without our doing, and is all that we call.
        return plugin::main(ServeConfig::new(
            cookie,
            vec![Version::new(1, |_| Routes::default())],
        ));
    }
    let calls = std::env::args().nth(1).and_then(|calls| calls.parse().ok()).unwrap_or(20_000);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(host(cookie, calls)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

async fn host(cookie: Cookie, calls: usize) -> Result<(), Box<dyn Error + Send + Sync>> {
    for (name, tls) in [("mutual TLS", Tls::Auto), ("plaintext", Tls::Plain)] {
        let executable = Executable::Path(std::env::current_exe()?);
        let mut command = Command::new(executable, cookie.clone(), vec![1]);
        command.tls = tls;
        let before = Instant::now();
        let client = start(command).await?;
        println!("{name}: started in {:.1?}", before.elapsed());

        // On a worker thread, as in a server; the main thread would pay a wake-up for each call.
        let mut times = tokio::spawn(one_by_one(client.channel(), calls)).await??;
        times.sort();
        let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
        println!("  one by one: median {:.0?}, 99% {:.0?}", at(0.5), at(0.99));

        for callers in [8, 32] {
            let before = Instant::now();
            let each = calls / callers;
            let tasks: Vec<_> =
                (0..callers).map(|_| tokio::spawn(one_by_one(client.channel(), each))).collect();
            for task in tasks {
                task.await??;
            }
            let rate = (each * callers) as f64 / before.elapsed().as_secs_f64();
            println!("  {callers} callers: {rate:.0} calls a second");
        }
        let before = Instant::now();
        client.stop().await;
        println!("  stopped in {:.1?}", before.elapsed());
    }
    Ok(())
}

async fn one_by_one(channel: Channel, calls: usize) -> Result<Vec<Duration>, tonic::Status> {
    let mut client = HealthClient::new(channel);
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls.max(1) {
        let before = Instant::now();
        client.check(HealthCheckRequest { service: HEALTH_NAME.into() }).await?;
        times.push(before.elapsed());
    }
    Ok(times)
}
