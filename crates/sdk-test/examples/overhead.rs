//! What the wire costs: the same read, answered in process and over go-plugin's protocol.
//!
//! `cargo run --release -p boltwork-sdk-test --example overhead`

use std::{sync::Arc, time::Instant};

use boltwork_sdk::prelude::*;
use boltwork_sdk_test::both;

/// Requests that warm up, and requests that are measured.
const ROUNDS: (usize, usize) = (2_000, 20_000);
/// Requests at the same time, in the second measurement.
const CONCURRENT: usize = 64;

struct Fixed;

impl Fixed {
    async fn read(&self, req: Request<Named>) -> Result<Reply> {
        Ok(Reply::data(json!({ "name": req.fields.name, "password": "correct horse battery" })))
    }
}

impl Engine for Fixed {
    fn routes() -> Routes<Self> {
        Routes::new([path("creds/{name}").read(Self::read)])
    }
}

#[tokio::main]
async fn main() {
    for mount in both(|| Fixed).await {
        let mount = Arc::new(mount);
        let mut times = Vec::with_capacity(ROUNDS.1);
        for round in 0..ROUNDS.0 + ROUNDS.1 {
            let start = Instant::now();
            mount.read("creds/db").await.expect("the engine answers");
            if round >= ROUNDS.0 {
                times.push(start.elapsed());
            }
        }
        times.sort_unstable();
        let at = |share: f64| times[(times.len() as f64 * share) as usize];
        println!("{:?}: median {:?}, 99% {:?}", mount.home(), at(0.5), at(0.99));

        let start = Instant::now();
        let tasks: Vec<_> = (0..CONCURRENT)
            .map(|_| {
                let mount = Arc::clone(&mount);
                tokio::spawn(async move {
                    for _ in 0..ROUNDS.1 / CONCURRENT {
                        mount.read("creds/db").await.expect("the engine answers");
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("the task ends");
        }
        let rate = ROUNDS.1 as f64 / start.elapsed().as_secs_f64();
        println!("{:?}: {CONCURRENT} at a time, {rate:.0} a second", mount.home());
    }
}
