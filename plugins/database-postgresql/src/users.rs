//! What is done to users, in SQL.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use boltwork_sdk::logical::SecretText;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::connect::Connection;
use crate::failure::Failure;
use crate::fill::{Unsafe, Variable, fill};
use crate::pool::Pool;
use crate::statements::unpacked;

/// Sets a password, unless the role says how.
pub const CHANGE_PASSWORD: &str = r#"ALTER ROLE "{{username}}" WITH PASSWORD '{{password}}';"#;
/// Sets an end, unless the role says how.
pub const CHANGE_EXPIRATION: &str = r#"ALTER ROLE "{{name}}" VALID UNTIL '{{expiration}}';"#;

/// Why something was not done to a user.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// A value does not fit into the statements.
    #[error(transparent)]
    Unsafe(#[from] Unsafe),
    /// The database did not do it.
    #[error(transparent)]
    Failure(#[from] Failure),
}

/// Statements with their values in them.
pub type Filled = Vec<Zeroizing<String>>;

/// What statements can name.
pub struct Values<'a> {
    /// The user.
    pub username: &'a str,
    /// Its password, or the hash of it, and whether it is the hash.
    pub password: Option<(&'a SecretText, bool)>,
    /// Its end.
    pub expiration: Option<&'a str>,
}

impl Values<'_> {
    /// Of a user and nothing more.
    pub fn of(username: &str) -> Values<'_> {
        Values { username, password: None, expiration: None }
    }

    /// Puts them into statements.
    pub fn fill(&self, statements: &[String]) -> Result<Filled, Unsafe> {
        let plain = |name, value| Variable { name, value, ours: false };
        let mut variables = vec![plain("name", self.username), plain("username", self.username)];
        if let Some((password, hashed)) = self.password {
            variables.push(Variable { name: "password", value: password.expose(), ours: hashed });
        }
        if let Some(value) = self.expiration {
            variables.push(Variable { name: "expiration", value, ours: true });
        }
        unpacked(statements).iter().map(|statement| fill(statement, &variables)).collect()
    }
}

/// How often something is asked for that meets other changes of the same. The pauses between come to
/// three fifths of a second.
const ATTEMPTS: u32 = 8;
/// The first pause; each later one is longer by it.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks for something until it does not collide with what others change at the same time.
async fn until_alone<F>(deadline: Instant, mut ask: impl FnMut() -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    let mut attempt = 1;
    loop {
        let pause = PAUSE * attempt;
        match ask().await {
            Err(failure)
                if failure.collided()
                    && attempt < ATTEMPTS
                    && Instant::now() + pause < deadline =>
            {
                tokio::time::sleep(pause).await;
                attempt += 1;
            }
            done => return done,
        }
    }
}

/// Runs statements, all or none.
pub async fn together(
    connection: &Connection,
    statements: &Filled,
    deadline: Instant,
) -> Result<(), Failure> {
    until_alone(deadline, || once_together(connection, statements, deadline)).await
}

async fn once_together(
    connection: &Connection,
    statements: &Filled,
    deadline: Instant,
) -> Result<(), Failure> {
    connection.run("BEGIN", deadline).await?;
    let done = async {
        for statement in statements {
            connection.run(statement, deadline).await?;
        }
        connection.run("COMMIT", deadline).await
    };
    let done = done.await;
    if matches!(done, Err(Failure::Refused { .. })) {
        connection.run("ROLLBACK", deadline).await?;
    }
    done
}

/// Whether there is such a user.
pub async fn exists(
    connection: &Connection,
    username: &str,
    deadline: Instant,
) -> Result<bool, Failure> {
    let sql = "SELECT rolname::text FROM pg_catalog.pg_roles WHERE rolname = $1";
    Ok(!connection.texts(sql, Some(username), deadline).await?.is_empty())
}

/// Takes back what a user may do, and drops it. One that does not exist is no error.
///
/// Not in one transaction: whatever can be taken back is, even if something else fails.
pub async fn drop_user(
    connection: &Connection,
    username: &str,
    deadline: Instant,
) -> Result<(), Failure> {
    if !exists(connection, username, deadline).await? {
        return Ok(());
    }
    let grants = "SELECT DISTINCT table_schema::text FROM information_schema.role_column_grants \
                  WHERE grantee = $1";
    let schemas = connection.texts(grants, Some(username), deadline).await?;
    let database = connection.texts("SELECT current_database()::text", None, deadline).await?;
    let user = quoted(username);
    let mut revocations = Vec::with_capacity(2 * schemas.len() + 4);
    for schema in schemas.iter().map(|schema| quoted(schema)) {
        revocations
            .push(format!("REVOKE ALL PRIVILEGES ON ALL TABLES IN SCHEMA {schema} FROM {user}"));
        revocations.push(format!("REVOKE USAGE ON SCHEMA {schema} FROM {user}"));
    }
    if !connection.texts(PUBLIC, None, deadline).await?.is_empty() {
        revocations
            .push(format!("REVOKE ALL PRIVILEGES ON ALL TABLES IN SCHEMA public FROM {user}"));
        revocations
            .push(format!("REVOKE ALL PRIVILEGES ON ALL SEQUENCES IN SCHEMA public FROM {user}"));
        revocations.push(format!("REVOKE USAGE ON SCHEMA public FROM {user}"));
    }
    for database in database.iter().map(|database| quoted(database)) {
        revocations.push(format!("REVOKE CONNECT ON DATABASE {database} FROM {user}"));
    }
    let mut failed = None;
    for revocation in &revocations {
        match until_alone(deadline, || connection.run(revocation, deadline)).await {
            Err(failure) if failure.leaves_doubt() => return Err(failure),
            Err(failure) => failed = Some(failure),
            Ok(()) => {}
        }
    }
    match failed {
        Some(failure) => Err(failure),
        None => {
            let drop = format!("DROP ROLE IF EXISTS {user}");
            until_alone(deadline, || connection.run(&drop, deadline)).await
        }
    }
}

/// Some databases have no schema `public`; then there is nothing to take back in it.
const PUBLIC: &str = "SELECT nspname::text FROM pg_catalog.pg_namespace WHERE nspname = 'public'";

/// Removes a user by the role's own statements. One that does not exist is no error.
pub async fn remove(
    pool: &Arc<Pool>,
    username: &str,
    statements: &[String],
    deadline: Instant,
) -> Result<(), Trouble> {
    let statements = Values::of(username).fill(statements)?;
    let connection = pool.borrow(deadline).await?;
    let done = match statements.is_empty() {
        true => drop_user(&connection, username, deadline).await,
        false => match together(&connection, &statements, deadline).await {
            Err(failure) if failure.names_nothing() => {
                match exists(&connection, username, deadline).await {
                    Ok(false) => Ok(()),
                    Ok(true) => Err(failure),
                    Err(worse) => Err(worse),
                }
            }
            done => done,
        },
    };
    give_back(connection, &done);
    Ok(done?)
}

/// Keeps a connection on which nothing is half done.
pub fn give_back<T>(connection: crate::pool::Borrowed, done: &Result<T, Failure>) {
    if matches!(done, Ok(_) | Err(Failure::Refused { .. })) {
        connection.keep();
    }
}

/// A name as SQL writes it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\"").replace('\0', ""))
}
