//! One connection: how it comes about, and how long anything on it may take.

use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{CancelToken, Client, Config};

use crate::address::Address;
use crate::channel::Opener;
use crate::failure::{Failure, words};

/// How long a statement that was given up may take to be stopped.
const STOP: Duration = Duration::from_secs(3);

/// A session with a database.
pub struct Connection {
    client: Client,
    stop: CancelToken,
    opener: Opener,
    /// When it came about.
    pub since: Instant,
}

impl Connection {
    /// Logs in as `driver` says.
    pub async fn open(address: &Address, driver: &Config) -> Result<Self, Failure> {
        let unreachable =
            |why: String, code| Failure::Unreachable { target: address.shown.clone(), why, code };
        let mut last = None;
        for attempt in address.tls.attempts() {
            let mut driver = driver.clone();
            let protected = attempt.is_protected();
            driver.ssl_mode(if protected { SslMode::Require } else { SslMode::Disable });
            let opener = Opener(attempt.clone());
            let connecting = driver.connect(opener.clone());
            let (client, connection) = match timeout(address.connect, connecting).await {
                Ok(Ok(made)) => made,
                Ok(Err(error)) => {
                    let failure = unreachable(words(&error), error.code().cloned());
                    if is_final(error.code()) {
                        return Err(failure);
                    }
                    last = Some(failure);
                    continue;
                }
                Err(_) => {
                    let seconds = address.connect.as_secs();
                    return Err(unreachable(format!("no answer within {seconds} s"), None));
                }
            };
            // Ends when the client is dropped, or the database hangs up; whoever uses the client
            // next hears of it.
            tokio::spawn(async move { drop(connection.await) });
            let stop = client.cancel_token();
            let made = Self { client, stop, opener, since: Instant::now() };
            made.prepare(address).await?;
            return Ok(made);
        }
        Err(last.unwrap_or_else(|| unreachable("no way to connect is left".to_owned(), None)))
    }

    /// What every session begins with.
    async fn prepare(&self, address: &Address) -> Result<(), Failure> {
        let deadline = Instant::now() + address.connect;
        // Statements are filled in with backslashes meaning themselves.
        self.run("SET standard_conforming_strings = on", deadline).await?;
        for (key, value) in &address.session {
            let parameters: [(&(dyn ToSql + Sync), Type); 2] =
                [(key, Type::TEXT), (value, Type::TEXT)];
            let setting = self.client.query_typed("SELECT set_config($1, $2, false)", &parameters);
            let set = timeout_at(deadline, setting).await;
            set.map_err(|_| slow("setting the session up", address.connect))?
                .map_err(|error| Failure::of(&error))?;
        }
        Ok(())
    }

    /// Runs SQL, one statement or several; the database cuts them.
    pub async fn run(&self, sql: &str, deadline: Instant) -> Result<(), Failure> {
        let start = Instant::now();
        match timeout_at(deadline, self.client.batch_execute(sql)).await {
            Ok(done) => done.map_err(|error| Failure::of(&error)),
            Err(_) => {
                // Best effort: a database that does not answer will not hear this either.
                let _ = timeout(STOP, self.stop.cancel_query(self.opener.clone())).await;
                Err(slow("running a statement", start.elapsed()))
            }
        }
    }

    /// The first column of what a query finds.
    pub async fn texts(
        &self,
        sql: &str,
        parameter: Option<&str>,
        deadline: Instant,
    ) -> Result<Vec<String>, Failure> {
        let start = Instant::now();
        let parameters: Vec<(&(dyn ToSql + Sync), Type)> =
            parameter.iter().map(|text| (text as &(dyn ToSql + Sync), Type::TEXT)).collect();
        let asked = timeout_at(deadline, self.client.query_typed(sql, &parameters)).await;
        let rows = asked
            .map_err(|_| slow("reading", start.elapsed()))?
            .map_err(|error| Failure::of(&error))?;
        rows.iter().map(|row| row.try_get(0).map_err(|error| Failure::of(&error))).collect()
    }

    /// Whether the database still answers on it.
    pub async fn is_alive(&self, within: Duration) -> bool {
        !self.client.is_closed()
            && matches!(timeout(within, self.client.check_connection()).await, Ok(Ok(())))
    }
}

fn slow(doing: &'static str, after: Duration) -> Failure {
    Failure::Slow { doing, after }
}

/// Whether another way to connect would be refused as well.
fn is_final(code: Option<&SqlState>) -> bool {
    let finals = [
        SqlState::INVALID_PASSWORD,
        SqlState::INVALID_CATALOG_NAME,
        SqlState::INSUFFICIENT_PRIVILEGE,
    ];
    code.is_some_and(|code| finals.contains(code))
}
