//! Plugins that other people wrote in Go, unmodified, each through a whole life under Boltwork:
//! registered, enabled twice, put to work, killed, put to work again, reloaded, sealed away,
//! disabled, deregistered. What was seen is compared with the table in `docs/compatibility.md`,
//! and written there.
//!
//! A test's name is the program's. What a plugin manages is the real thing where a test machine
//! can have it (`redis-server`, `slapd`), and an HTTP server that stands in for it where not.
//!
//! Left out on purpose: what the plugins themselves guarantee; their authors test that.

mod auth;
mod cache;
mod databases;
mod directory;
mod kubernetes;
mod life;
mod mock;
mod oauth;
mod search;
mod secrets;
mod signed;
mod table;
