//! The nouns of a secrets server: what a request is, what a reply is, and the traits that
//! everything mounted ([`Backend`]), everything stored ([`Storage`]) and everything asked of the
//! server ([`SystemView`]) is reached through.
//!
//! Deliberately absent: HTTP, protobuf, an async runtime, policies, mount tables. This crate is
//! words; rooms above give them life. Traits are object-safe and return [`BoxFuture`], because the
//! joint between rooms is dynamic; generics stay inside a room.

mod auth;
mod backend;
mod connection;
mod data;
mod database;
mod error;
mod operation;
mod paths;
mod plugin;
mod reply;
mod request;
mod secret_text;
mod storage;
mod system;
mod version;

use std::{future::Future, pin::Pin};

pub use auth::{Alias, Auth, TokenType, TokenWish};
pub use backend::{Backend, BackendKind, Existence, Factory, Setup};
pub use connection::{Connection, TlsState};
pub use data::{Data, DataError, MAX_JSON_DEPTH};
pub use database::{
    Credential, Database, DatabaseError, DatabaseFactory, MadeUser, NewUser, OpenedDatabase,
    UserChange,
};
pub use error::{Error, Failure};
pub use operation::Operation;
pub use paths::{ReadAhead, SpecialPaths};
pub use plugin::{
    PluginEntry, PluginId, PluginKind, PluginServer, PluginStatus, Plugins, Registration, Running,
    UnknownKind,
};
pub use reply::{Lease, Reply, Secret, WrapInfo};
pub use request::{Caller, Headers, MountFacts, Request, WrapRequest};
pub use secret_text::SecretText;
pub use storage::{Entry, Storage, StorageError, Transaction};
pub use system::{Entity, Group, PluginEnvironment, ReplicationState, SystemView};
pub use version::{Version, VersionError};

/// A boxed future, the return type of every async method at a joint.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
