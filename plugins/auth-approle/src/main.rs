//! The approle auth method as an external plugin: one process serves any number of mounts.

use std::process::ExitCode;

use boltwork_auth_approle::Approle;

fn main() -> ExitCode {
    boltwork_sdk::serve(Approle::new)
}
