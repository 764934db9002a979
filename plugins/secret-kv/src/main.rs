//! The kv engine as an external plugin: one process serves any number of mounts, of either version.

use std::process::ExitCode;

use boltwork_sdk::Serve;

fn main() -> ExitCode {
    Serve::factory(boltwork_secret_kv::factory()).version(boltwork_secret_kv::VERSION).run()
}
