//! The server's side of plugins: the catalog of what may run, and the running of it.
//!
//! [`PluginHost`] implements [`Plugins`], and that is all that the core knows of it. Inside, from the
//! ground up:
//!
//! * `integrity`: what was hashed is what runs. `environment`, `folder`, `log`: what a process gets.
//! * `protocol`: which versions are spoken. `bootstrap`, `unwrapping`: the trust that the older ones
//!   need. `process`, `pool`: processes, and which mounts share them.
//! * `callbacks`, `gate`, `live`: one backend in a process, and what it may ask of the server.
//! * `starter`, `instance`, `remote`: bringing it up, noticing its end, bringing it back. `places`:
//!   how many are brought up at once.
//! * `database`: connections to databases, built in and in plugins.
//! * `catalog`, `preflight`, `nowhere`: what is registered, and that it works. `declared`: what the
//!   configuration registers.
//! * `diagnose`: the sentences that an operator reads.
//!
//! Left out: which plugins are built in (the assembly says so), mount tables, leases, HTTP,
//! containers; what database plugins are used for.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod ahead;
mod bootstrap;
mod callbacks;
mod catalog;
mod config;
mod database;
mod declared;
mod deprecation;
mod diagnose;
mod environment;
mod error;
mod folder;
mod gate;
mod host;
mod instance;
mod integrity;
mod live;
mod log;
#[cfg(test)]
#[path = "../tests/memory/mod.rs"]
mod memory;
mod nowhere;
mod places;
mod pool;
mod preflight;
mod process;
mod protocol;
mod remote;
mod rules;
mod starter;
mod status;
mod untyped;
mod unwrapping;

pub use catalog::{Builtin, Compiled};
pub use config::{ConfigError, PluginHostConfig, PluginLimits};
pub use declared::Declared;
pub use error::HostError;
pub use host::PluginHost;

#[cfg(doc)]
use boltwork_logical::Plugins;
