//! The Boltwork server: configuration, listeners, built-in plugins, assembly.

pub mod config;
