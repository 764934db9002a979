#![doc = include_str!("../README.md")]
//!
//! # What this crate leaves out
//!
//! Roles, leases, rotation: the database engine decides when a user is made, changed and removed,
//! and this crate does it. Users have passwords; keys and certificates are refused by name.

mod address;
mod channel;
mod config;
mod connect;
mod database;
mod failure;
mod fill;
mod pool;
mod roots;
mod scram;
mod statements;
mod sweep;
mod tls;
mod users;

use std::sync::Arc;

use boltwork_sdk::{database_factory, logical::DatabaseFactory};

pub use database::PostgreSql;

/// The name under which Vault knows this plugin.
pub const NAME: &str = "postgresql-database-plugin";

/// The version that the plugin reports of itself.
pub const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// What makes connections to PostgreSQL databases, for a server that it is compiled into.
pub fn factory() -> Arc<dyn DatabaseFactory> {
    database_factory(PostgreSql::default)
}
