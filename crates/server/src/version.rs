//! What this server says it is.
//!
//! Clients decide by the version what they may ask for, so the version shown is that of the Vault
//! API that we serve, with our own as build metadata.

use boltwork_core::ServerVersion;

/// The version of Vault whose API we serve.
const API: &str = "1.18.3";

/// Our own version.
pub const OWN: &str = env!("CARGO_PKG_VERSION");

/// For the core.
pub fn server() -> ServerVersion {
    ServerVersion {
        shown: format!("{API}+boltwork.{OWN}"),
        plugin: API.to_owned(),
        build_date: String::new(),
    }
}

/// For `boltwork version`.
pub fn line() -> String {
    format!("Boltwork v{OWN} (Vault API {API})")
}

/// The version of the built-in plugins.
pub fn builtin() -> String {
    format!("v{OWN}+builtin.boltwork")
}
