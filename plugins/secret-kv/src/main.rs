//! The kv engine as an external plugin: one process serves any number of mounts, of either version.

use std::{process::ExitCode, sync::Arc};

use boltwork_sdk::{Source, logical::Factory, serve};

/// Tells `serve` what makes the engines.
struct Kv;

impl Source<Self> for Kv {
    const MULTIPLEXED: bool = true;

    fn factory(self) -> Arc<dyn Factory> {
        boltwork_secret_kv::factory()
    }

    fn version(&self) -> String {
        boltwork_secret_kv::VERSION.to_owned()
    }
}

fn main() -> ExitCode {
    serve(Kv)
}
