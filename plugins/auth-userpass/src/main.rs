//! The userpass auth method as an external plugin: one process serves any number of mounts.

use std::process::ExitCode;

use boltwork_auth_userpass::Userpass;

fn main() -> ExitCode {
    boltwork_sdk::serve(|| Userpass)
}
