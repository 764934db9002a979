//! The joint to databases: what the database engine asks of a database plugin, compiled in or in
//! another process (wire spec 4).
//!
//! It has the shape of version 5 of the protocol. What only version 4 can do (make the password
//! itself, rotate its own root credentials) are methods that everything else leaves at their
//! defaults. Left out: SQL, roles, leases, connections to databases; `Database` is one configured
//! connection, and whoever holds it knows when it is needed.

use std::{sync::Arc, time::SystemTime};

use crate::{BoxFuture, Data, Error, SecretText};

/// Why a database plugin did not do what it was asked.
///
/// Texts come from databases and may name what an operator configured; the engine replaces the
/// secrets of the connection in them before anybody else reads them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The plugin's process is gone. Whether it had done its work by then, nobody knows.
    #[error("plugin shutdown")]
    Shutdown,
    /// The plugin has no such call.
    #[error("the database plugin does not support {0}")]
    Unsupported(&'static str),
    /// The call makes no sense: a field is missing.
    #[error("{0}")]
    Invalid(String),
    /// The plugin, or the database behind it, refused.
    #[error("{0}")]
    Failed(String),
}

impl From<DatabaseError> for Error {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Invalid(text) => Self::Invalid(text),
            other => Self::Internal(other.to_string()),
        }
    }
}

/// What a user of a database proves itself with.
#[derive(Clone)]
#[non_exhaustive]
pub enum Credential {
    /// A password.
    Password(SecretText),
    /// A public key, PEM or DER as the plugin wants it; the client has the private one.
    PublicKey(Vec<u8>),
    /// The subject of a client certificate.
    Subject(String),
}

/// A user to be made.
#[derive(Clone)]
pub struct NewUser {
    /// The caller's name, for the user's name.
    pub display_name: String,
    /// The role's name, for the user's name.
    pub role_name: String,
    /// What it will log in with.
    pub credential: Credential,
    /// When it ends.
    pub expiration: Option<SystemTime>,
    /// Statements that make it.
    pub statements: Vec<String>,
    /// Statements that take back what failed half-way.
    pub rollback_statements: Vec<String>,
    /// Statements that extend its life: version 4 takes them together with the others.
    pub renew_statements: Vec<String>,
    /// Statements that remove it, for version 4 likewise.
    pub revocation_statements: Vec<String>,
}

/// A user that was made.
#[derive(Clone)]
pub struct MadeUser {
    /// Its name.
    pub username: String,
    /// Its password, where the plugin chose another than it was given (version 4 always does).
    pub password: Option<SecretText>,
}

/// What is to change in a user. At least one of the fields is set.
#[derive(Clone, Default)]
pub struct UserChange {
    /// Which user.
    pub username: String,
    /// Its new credential, and the statements that set it.
    pub credential: Option<(Credential, Vec<String>)>,
    /// Its new end, and the statements that set it.
    pub expiration: Option<(SystemTime, Vec<String>)>,
    /// The user's own present password, for databases in which users change it themselves.
    pub self_managed_password: Option<SecretText>,
}

/// One configured connection to a database.
///
/// Methods may be called concurrently. Dropping a future abandons the call, not its effect.
pub trait Database: Send + Sync {
    /// Takes a configuration, and tries it if `verify` is set. Answers with the configuration to
    /// keep in its place.
    fn initialize(&self, config: Data, verify: bool) -> BoxFuture<'_, Result<Data, DatabaseError>>;

    /// Makes a user. After an error there is none.
    fn new_user(&self, user: NewUser) -> BoxFuture<'_, Result<MadeUser, DatabaseError>>;

    /// Changes a user.
    fn update_user(&self, change: UserChange) -> BoxFuture<'_, Result<(), DatabaseError>>;

    /// Removes a user; one that does not exist is no error.
    fn delete_user<'a>(
        &'a self,
        username: &'a str,
        statements: &'a [String],
    ) -> BoxFuture<'a, Result<(), DatabaseError>>;

    /// The sort of database (`postgresql`), for metrics and logs.
    fn kind(&self) -> BoxFuture<'_, Result<String, DatabaseError>>;

    /// Closes its connections, for good. No error matters any more.
    fn close(&self) -> BoxFuture<'_, ()>;

    /// Whether it may be used further: `false` once its process is gone or its plugin was
    /// reloaded. Whoever keeps it opens another then.
    fn is_current(&self) -> bool {
        true
    }

    /// Whether the plugin makes passwords itself, by no policy of ours (version 4).
    fn makes_passwords(&self) -> bool {
        false
    }

    /// A password that the plugin made (version 4).
    fn make_password(&self) -> BoxFuture<'_, Result<SecretText, DatabaseError>> {
        Box::pin(async { Err(DatabaseError::Unsupported("making passwords")) })
    }

    /// Rotates the credentials of the connection itself (version 4): answers with the
    /// configuration to keep. Others are rotated by [`update_user`](Self::update_user).
    fn rotate_root<'a>(
        &'a self,
        _statements: &'a [String],
    ) -> BoxFuture<'a, Result<Data, DatabaseError>> {
        Box::pin(async { Err(DatabaseError::Unsupported("rotating its own root credentials")) })
    }
}

/// Makes connections of one sort: a built-in database plugin.
pub trait DatabaseFactory: Send + Sync {
    /// A connection that is not configured yet.
    fn create(&self) -> Result<Arc<dyn Database>, DatabaseError>;
}

/// A connection that was opened, and what runs behind it.
#[derive(Clone)]
pub struct OpenedDatabase {
    /// The connection, not configured yet.
    pub database: Arc<dyn Database>,
    /// Version that runs; that of the built-in one if it is compiled in.
    pub running_version: String,
    /// SHA-256 of what runs in hex; empty if built in.
    pub sha256: String,
    /// Compiled in.
    pub builtin: bool,
}
