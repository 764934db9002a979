//! Connections of database plugins for tests, in both homes.

use std::{panic::AssertUnwindSafe, sync::Arc, time::SystemTime};

use boltwork_logical::{
    Credential, Data, Database, DatabaseError, DatabaseFactory, NewUser, UserChange,
};
use boltwork_sdk::database_factory;
use futures_util::FutureExt;
use serde_json::Value;

use crate::{Home, wire};

/// When users of tests end, unless a test says otherwise.
const END: std::time::Duration = std::time::Duration::from_secs(4_000_000_000);

/// A connection of a database plugin, in one of its two homes.
pub struct Connection {
    home: Home,
    database: Arc<dyn Database>,
}

/// The database opened twice: in this process, and behind the wire. Neither is configured. Fails
/// the test if it cannot be opened.
pub async fn both_databases<D: Database + 'static>(
    make: impl Fn() -> D + Send + Sync + 'static,
) -> [Connection; 2] {
    both_from(database_factory(make)).await
}

/// The same for whatever makes databases.
pub async fn both_from(factory: Arc<dyn DatabaseFactory>) -> [Connection; 2] {
    let here = factory.create().expect("the database should be made in process");
    let there = wire::open_database(factory).await;
    let there = there.expect("the database should be opened over the wire");
    [
        Connection { home: Home::InProcess, database: here },
        Connection { home: Home::OverTheWire, database: there },
    ]
}

impl Connection {
    /// Which of the two it is: for messages of failing tests.
    pub fn home(&self) -> Home {
        self.home
    }

    /// The database itself.
    pub fn database(&self) -> &Arc<dyn Database> {
        &self.database
    }

    /// Configures it and has it try its connection; the configuration that is to be kept.
    pub async fn configure(&self, config: Value) -> Result<Value, DatabaseError> {
        let kept = self.guarded(self.database.initialize(Data::json(&config), true)).await?;
        let fields = kept.fields().map_err(|why| DatabaseError::Failed(why.to_string()))?;
        Ok(Value::Object(fields))
    }

    /// Makes a user for a role, with a password; its name.
    pub async fn new_user(
        &self,
        role: &str,
        password: &str,
        statements: &[&str],
    ) -> Result<String, DatabaseError> {
        let user = NewUser {
            display_name: "tester".to_owned(),
            role_name: role.to_owned(),
            credential: Credential::Password(password.into()),
            expiration: Some(SystemTime::UNIX_EPOCH + END),
            statements: owned(statements),
            rollback_statements: Vec::new(),
            renew_statements: Vec::new(),
            revocation_statements: Vec::new(),
        };
        self.make(user).await
    }

    /// Makes a user; its name.
    pub async fn make(&self, user: NewUser) -> Result<String, DatabaseError> {
        Ok(self.guarded(self.database.new_user(user)).await?.username)
    }

    /// Gives a user another password.
    pub async fn set_password(
        &self,
        username: &str,
        password: &str,
        statements: &[&str],
    ) -> Result<(), DatabaseError> {
        let credential = (Credential::Password(password.into()), owned(statements));
        self.change(UserChange {
            username: username.to_owned(),
            credential: Some(credential),
            ..UserChange::default()
        })
        .await
    }

    /// Changes a user.
    pub async fn change(&self, change: UserChange) -> Result<(), DatabaseError> {
        self.guarded(self.database.update_user(change)).await
    }

    /// Removes a user.
    pub async fn delete_user(
        &self,
        username: &str,
        statements: &[&str],
    ) -> Result<(), DatabaseError> {
        self.guarded(self.database.delete_user(username, &owned(statements))).await
    }

    /// A panic is a failure, as it is in a server and in a plugin's process.
    async fn guarded<T>(
        &self,
        call: impl Future<Output = Result<T, DatabaseError>>,
    ) -> Result<T, DatabaseError> {
        let done = AssertUnwindSafe(call).catch_unwind().await;
        done.unwrap_or_else(|_| Err(DatabaseError::Failed("the plugin panicked".to_owned())))
    }
}

fn owned(statements: &[&str]) -> Vec<String> {
    statements.iter().map(|statement| (*statement).to_owned()).collect()
}
