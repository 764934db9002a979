//! What engines are written with: a table of routes, typed fields, one lenient decoder, path help
//! and OpenAPI, existence checks, leases, write-ahead entries, periodic work.
//!
//! An engine is a type with handlers, `async fn(&self, Request<Fields>) -> Result<Reply>`, and one
//! table, [`Routes`], that says which handler answers what. Everything else that the server wants
//! to know of an engine (special paths, help, OpenAPI, its kind) is read off the same table.
//!
//! Deliberately absent: an async runtime, the wire, processes, HTTP. An engine made here is a
//! [`Backend`](boltwork_logical::Backend); where it runs is other rooms' business.

mod backend;
pub mod credential;
mod decode;
mod engine;
mod factory;
mod fields;
mod handler;
mod help;
mod lease;
mod openapi;
mod path;
mod reply;
mod request;
mod routes;
mod store;
mod table;
mod template;
mod username_template;
mod wal;

pub use decode::FieldError;
pub use engine::Engine;
pub use factory::{factory, factory_with, into_backend};
pub use fields::{Base64, Changed, Fields, Json, Named, NotADuration, Patch, Ttl};
pub use handler::Handler;
pub use path::{Path, path};
pub use reply::Reply;
pub use request::Request;
pub use routes::{Routes, TableError};
pub use store::{StorageExt, Transactions, Tx};
pub use username_template::{TemplateError, UsernameData, UsernameTemplate};
pub use wal::Wal;

/// What handlers return: an error is the caller's fault ([`Error::Invalid`](boltwork_logical::Error),
/// which becomes Vault's error reply) or somebody else's.
pub type Result<T, E = boltwork_logical::Error> = std::result::Result<T, E>;
