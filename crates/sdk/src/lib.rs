#![doc = include_str!("../README.md")]
//!
//! # What this crate leaves out
//!
//! The parts themselves live below: the words in `boltwork-logical`, tables of routes in
//! `boltwork-framework`, the wire in `boltwork-wire` and `go-plugin`. This crate joins them, and is
//! the only one of ours that a plugin depends on. Engines are served over the plugin protocols 3, 4 and
//! 5, databases over 5 and 6; the database interface of before, which is 3 and 4 of its own, is not.

mod arguments;
mod calls;
pub mod database;
mod env;
mod instances;
mod log;
mod remote;
mod serve;
mod source;
mod unwrap;

pub use boltwork_framework::*;
pub use boltwork_logical as logical;
pub use database::{ServeDatabase, database_factory, serve_database};
pub use serve::{Serve, serve};
pub use source::{Many, One, Source};

/// What authors import: everything that an engine is written with.
pub mod prelude {
    pub use boltwork_framework::{
        Base64, Changed, Engine, Json, Named, Patch, Path, Reply, Request, Result, Routes,
        StorageExt, Transactions, Ttl, Tx, Wal, path,
    };
    pub use boltwork_logical::{
        Alias, Auth, BoxFuture, Credential, Data, Database, DatabaseError, Entry, Error, MadeUser,
        NewUser, Operation, SecretText, Storage, StorageError, SystemView, TokenType, TokenWish,
        UserChange,
    };
    pub use schemars::{self, JsonSchema};
    pub use serde::{self, Deserialize, Serialize};
    pub use serde_json::{Value, json};

    pub use crate::{Serve, ServeDatabase, database_factory, serve, serve_database};
}

/// For `boltwork-sdk-test`, which runs the same services without a process of their own.
#[doc(hidden)]
pub mod internal {
    pub use crate::calls::{Plugin, routes};
    pub use crate::database::{DatabasePlugin, database_routes};
}
