//! The plugin's calls: what comes in, what goes out, and what is left when something goes wrong.

use std::sync::Arc;
use std::time::SystemTime;

use boltwork_sdk::UsernameData;
use boltwork_sdk::logical::{
    BoxFuture, Credential, Data, Database, DatabaseError, MadeUser, NewUser, SecretText, UserChange,
};
use parking_lot::RwLock;
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::sync::oneshot;

use crate::config::Config;
use crate::connect::Connection;
use crate::failure::Failure;
use crate::pool::Pool;
use crate::sweep::Sweeper;
use crate::users::{self, Filled, Trouble, Values};
use crate::{scram, statements};

/// What the database engine calls this sort of database: the name of Vault's driver.
const KIND: &str = "pgx";
/// The end of a user that has none.
const NEVER: &str = "infinity";

/// One configured connection to a PostgreSQL database, or none yet.
#[derive(Default)]
pub struct PostgreSql {
    ready: RwLock<Option<Arc<Ready>>>,
}

/// A connection that is configured.
struct Ready {
    pool: Arc<Pool>,
    template: boltwork_sdk::UsernameTemplate,
    scram: bool,
    self_managed: bool,
    sweeper: Sweeper,
}

impl Ready {
    fn new(mut config: Config) -> Self {
        let template = config.template.clone();
        let (scram, self_managed) = (config.scram, config.self_managed);
        config.address.secrets.sort_by_key(|secret| secret.expose().len());
        let pool = Pool::new(config);
        Self { pool, template, scram, self_managed, sweeper: Sweeper::default() }
    }

    /// An error for the engine, without the root's password and without `secret`.
    fn shown(&self, doing: &str, trouble: &Trouble, secrets: &[&SecretText]) -> DatabaseError {
        let root = self.pool.address().secrets.iter();
        let all: Vec<&str> = root.chain(secrets.iter().copied()).map(SecretText::expose).collect();
        match trouble {
            Trouble::Unsafe(error) => DatabaseError::Invalid(error.to_string()),
            Trouble::Failure(failure) => failure.shown(doing, &all),
        }
    }

    /// What the database is told of a password.
    fn told(&self, password: &SecretText) -> Result<SecretText, DatabaseError> {
        if password.is_empty() {
            return Err(DatabaseError::Invalid("missing password".to_owned()));
        }
        if !self.scram {
            return Ok(password.clone());
        }
        scram::hashed(password.expose()).ok_or_else(|| {
            DatabaseError::Failed("unable to scram-sha256 password: no random bytes".to_owned())
        })
    }

    async fn make(&self, user: &NewUser) -> Result<MadeUser, DatabaseError> {
        let password = password(&user.credential)?;
        if statements::unpacked(&user.statements).is_empty() {
            return Err(DatabaseError::Invalid("empty creation statements".to_owned()));
        }
        let data = UsernameData { display_name: &user.display_name, role_name: &user.role_name };
        let username = self.template.generate(data).map_err(|error| {
            DatabaseError::Failed(format!("unable to generate username: {error}"))
        })?;
        let told = self.told(password)?;
        let expiration = user.expiration.map_or_else(|| NEVER.to_owned(), written);
        let values = Values {
            username: &username,
            password: Some((&told, self.scram)),
            expiration: Some(&expiration),
        };
        let secrets = [&told, password];
        let shown = |trouble: &Trouble| self.shown("", trouble, &secrets);
        let fill = |statements: &[String]| values.fill(statements).map_err(|e| shown(&e.into()));
        let (statements, rollback) = (fill(&user.statements)?, fill(&user.rollback_statements)?);
        match self.create(&username, &statements, &rollback).await {
            Ok(()) => Ok(MadeUser { username, password: None }),
            Err((doing, failure)) => Err(self.shown(doing, &failure.into(), &secrets)),
        }
    }

    /// After an error there is no such user, or somebody is removing it.
    async fn create(
        &self,
        username: &str,
        statements: &Filled,
        rollback: &Filled,
    ) -> Result<(), (&'static str, Failure)> {
        let deadline = self.pool.deadline();
        let connection =
            self.pool.borrow(deadline).await.map_err(|e| ("unable to get connection", e))?;
        let done = users::together(&connection, statements, deadline).await;
        let Err(failure) = &done else {
            connection.keep();
            return Ok(());
        };
        if failure.leaves_doubt() {
            self.sweeper.remove(&self.pool, username.to_owned());
        } else if self.undo(&connection, username, rollback).await.is_ok() {
            connection.keep();
        } else {
            self.sweeper.remove(&self.pool, username.to_owned());
        }
        done.map_err(|failure| ("failed to execute query", failure))
    }

    /// The transaction was rolled back, but the statements may have ended it themselves.
    async fn undo(
        &self,
        connection: &Connection,
        username: &str,
        rollback: &Filled,
    ) -> Result<(), Failure> {
        let deadline = self.pool.deadline();
        if !rollback.is_empty() {
            let undone = users::together(connection, rollback, deadline).await;
            if let Err(failure) = undone {
                // They may expect what the transaction has taken back already.
                tracing::debug!(error = %failure, "rollback statements failed");
            }
        }
        users::drop_user(connection, username, deadline).await
    }

    async fn change(&self, change: &UserChange) -> Result<(), DatabaseError> {
        if change.username.is_empty() {
            return Err(DatabaseError::Invalid("missing username".to_owned()));
        }
        if change.credential.is_none() && change.expiration.is_none() {
            return Err(DatabaseError::Invalid("no changes requested".to_owned()));
        }
        if let Some((credential, statements)) = &change.credential {
            let password = password(credential)?;
            let told = self.told(password)?;
            let values = Values {
                username: &change.username,
                password: Some((&told, self.scram)),
                expiration: None,
            };
            let mut secrets = vec![&told, password];
            secrets.extend(&change.self_managed_password);
            let own = change.self_managed_password.as_ref();
            let done = self.apply(&values, statements, users::CHANGE_PASSWORD, own).await;
            done.map_err(|trouble| self.shown("failed to execute query", &trouble, &secrets))?;
        }
        if let Some((end, statements)) = &change.expiration {
            let end = written(*end);
            let values =
                Values { username: &change.username, password: None, expiration: Some(&end) };
            let done = self.apply(&values, statements, users::CHANGE_EXPIRATION, None).await;
            done.map_err(|trouble| self.shown("", &trouble, &[]))?;
        }
        Ok(())
    }

    /// Runs statements, or else the default, as root or as the user itself.
    async fn apply(
        &self,
        values: &Values<'_>,
        statements: &[String],
        default: &str,
        own_password: Option<&SecretText>,
    ) -> Result<(), Trouble> {
        let mut filled = values.fill(statements)?;
        if filled.is_empty() {
            filled = values.fill(&[default.to_owned()])?;
        }
        let deadline = self.pool.deadline();
        if let Some(password) = own_password.filter(|_| self.self_managed) {
            let address = self.pool.address();
            let driver = address.for_user(values.username, password);
            let connection = Connection::open(address, &driver).await?;
            return Ok(users::together(&connection, &filled, deadline).await?);
        }
        let connection = self.pool.borrow(deadline).await?;
        let done = users::together(&connection, &filled, deadline).await;
        users::give_back(connection, &done);
        Ok(done?)
    }
}

impl PostgreSql {
    fn ready(&self) -> Result<Arc<Ready>, DatabaseError> {
        let ready = self.ready.read().clone();
        ready.ok_or_else(|| DatabaseError::Failed(Failure::NotInitialized.to_string()))
    }

    /// Puts another in the place of what was configured before, whose connections are closed.
    fn replace(&self, ready: Option<Arc<Ready>>) {
        let before = std::mem::replace(&mut *self.ready.write(), ready);
        if let Some(before) = before {
            before.pool.close();
        }
    }
}

impl Drop for PostgreSql {
    fn drop(&mut self) {
        self.replace(None);
    }
}

impl Database for PostgreSql {
    fn initialize(&self, config: Data, verify: bool) -> BoxFuture<'_, Result<Data, DatabaseError>> {
        Box::pin(async move {
            let read = Config::read(&config);
            let read = read.map_err(|failure| DatabaseError::Invalid(failure.to_string()))?;
            let ready = Arc::new(Ready::new(read));
            // Without a root there is nobody to log in as.
            if verify && !ready.self_managed {
                let connection = ready.pool.borrow(ready.pool.deadline()).await;
                let connection = connection.map_err(|failure| {
                    ready.shown("error verifying connection", &failure.into(), &[])
                })?;
                connection.keep();
            }
            self.replace(Some(ready));
            Ok(config)
        })
    }

    fn new_user(&self, user: NewUser) -> BoxFuture<'_, Result<MadeUser, DatabaseError>> {
        Box::pin(async move {
            let ready = self.ready()?;
            let (answer, answered) = oneshot::channel();
            // On its own, so that it comes to an end whether or not somebody waits for it: a user
            // of whom nobody heard must not stay.
            tokio::spawn(async move {
                let made = ready.make(&user).await;
                if let Err(Ok(unheard)) = answer.send(made) {
                    ready.sweeper.remove(&ready.pool, unheard.username);
                }
            });
            let stopped =
                || DatabaseError::Failed("the plugin stopped while it made a user".to_owned());
            answered.await.unwrap_or_else(|_| Err(stopped()))
        })
    }

    fn update_user(&self, change: UserChange) -> BoxFuture<'_, Result<(), DatabaseError>> {
        Box::pin(async move { self.ready()?.change(&change).await })
    }

    fn delete_user<'a>(
        &'a self,
        username: &'a str,
        statements: &'a [String],
    ) -> BoxFuture<'a, Result<(), DatabaseError>> {
        Box::pin(async move {
            let ready = self.ready()?;
            if username.is_empty() {
                return Err(DatabaseError::Invalid("missing username".to_owned()));
            }
            let removed = users::remove(&ready.pool, username, statements, ready.pool.deadline());
            removed.await.map_err(|trouble| ready.shown("", &trouble, &[]))
        })
    }

    fn kind(&self) -> BoxFuture<'_, Result<String, DatabaseError>> {
        Box::pin(async { Ok(KIND.to_owned()) })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { self.replace(None) })
    }
}

fn password(credential: &Credential) -> Result<&SecretText, DatabaseError> {
    let unfit = |what| {
        Err(DatabaseError::Invalid(format!(
            "users of PostgreSQL have passwords: credential_type {what} is not supported by this plugin"
        )))
    };
    match credential {
        Credential::Password(password) => Ok(password),
        Credential::PublicKey(_) => unfit("rsa_private_key"),
        Credential::Subject(_) => unfit("client_certificate"),
        _ => unfit("of this kind"),
    }
}

/// A moment as PostgreSQL reads it.
fn written(moment: SystemTime) -> String {
    let layout = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]+0000");
    let written = OffsetDateTime::from(moment).format(&layout);
    // Fails for no moment whose year has four digits; later ones are as good as never.
    written.unwrap_or_else(|_| NEVER.to_owned())
}
