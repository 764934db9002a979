//! The one thread that writes: groups every waiting batch into one SQLite transaction, hence one sync. Leaves out
//! retries of what failed at the commit: every caller of that group is told.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::Counters;
use super::file::explain;
use super::reader::{get, list};
use crate::queue::Queue;
use crate::{Batch, Check, Error, Write};

/// Batches in one transaction at most: bounds how long the first of them waits for the last.
const GROUP: usize = 1024;

pub(super) struct Job {
    pub(super) batch: Batch,
    pub(super) reply: oneshot::Sender<Result<(), Error>>,
}

/// Why a batch was not written, and whether the transaction around it still stands.
enum Failure {
    Alone(Error),
    WithGroup(Error),
}

pub(super) struct Writer {
    connection: Connection,
    path: PathBuf,
    counters: Arc<Counters>,
}

impl Writer {
    pub(super) fn new(connection: Connection, path: PathBuf, counters: Arc<Counters>) -> Self {
        Self { connection, path, counters }
    }

    pub(super) fn run(&self, queue: &Queue<Job>) {
        while let Some(jobs) = queue.pop_all(GROUP) {
            self.counters.batches.fetch_add(jobs.len() as u64, Ordering::Relaxed);
            let lost = self.group(jobs);
            // SQLite gave up the transaction in the middle (no space for one large batch, for instance): those who
            // shared it by chance get a transaction each.
            for job in lost {
                self.group(vec![job]);
            }
        }
    }

    /// Writes the jobs in one transaction and answers them; returns those that have to be tried again alone.
    fn group(&self, jobs: Vec<Job>) -> Vec<Job> {
        if let Err(error) = self.step("BEGIN IMMEDIATE") {
            answer_all(jobs, &error);
            return Vec::new();
        }
        let mut written = Vec::with_capacity(jobs.len());
        let mut refused = Vec::new();
        let mut jobs = jobs.into_iter();
        while let Some(job) = jobs.next() {
            match self.write(&job.batch) {
                Ok(()) => written.push(job),
                Err(Failure::Alone(error)) => refused.push((job, error)),
                Err(Failure::WithGroup(error)) => {
                    self.roll_back();
                    let _ = job.reply.send(Err(error));
                    answer_each(refused);
                    written.extend(jobs);
                    return written;
                }
            }
        }
        let outcome = self.commit(!written.is_empty());
        for job in written {
            let _ = job.reply.send(outcome.clone());
        }
        answer_each(refused);
        Vec::new()
    }

    fn commit(&self, wrote: bool) -> Result<(), Error> {
        if !wrote {
            self.roll_back();
            return Ok(());
        }
        let outcome = self.step("COMMIT");
        if outcome.is_ok() {
            self.counters.commits.fetch_add(1, Ordering::Relaxed);
        } else {
            self.roll_back();
        }
        outcome
    }

    fn write(&self, batch: &Batch) -> Result<(), Failure> {
        for check in &batch.checks {
            match self.holds(check) {
                Ok(true) => {}
                Ok(false) => return Err(Failure::Alone(Error::Conflict)),
                Err(e) => return Err(self.failure(&e)),
            }
        }
        match batch.writes.as_slice() {
            [] => Ok(()),
            // One statement is atomic by itself.
            [one] => self.execute(one).map_err(|e| self.failure(&e)),
            many => self.write_many(many),
        }
    }

    /// Several statements inside a savepoint, so that half of them can be taken back.
    fn write_many(&self, writes: &[Write]) -> Result<(), Failure> {
        let sql = |text: &str| {
            self.connection.prepare_cached(text).and_then(|mut s| s.execute([])).map(drop)
        };
        sql("SAVEPOINT batch").map_err(|e| self.failure(&e))?;
        let Err(error) = writes.iter().try_for_each(|write| self.execute(write)) else {
            return sql("RELEASE batch").map_err(|e| self.failure(&e));
        };
        let failure = self.failure(&error);
        if let Failure::WithGroup(_) = failure {
            return Err(failure);
        }
        match sql("ROLLBACK TO batch").and_then(|()| sql("RELEASE batch")) {
            Ok(()) => Err(failure),
            Err(e) => Err(Failure::WithGroup(explain(&self.path, &e))),
        }
    }

    /// After some errors SQLite has already rolled the whole transaction back.
    fn failure(&self, error: &rusqlite::Error) -> Failure {
        let explained = explain(&self.path, error);
        if self.connection.is_autocommit() {
            Failure::WithGroup(explained)
        } else {
            Failure::Alone(explained)
        }
    }

    fn holds(&self, check: &Check) -> rusqlite::Result<bool> {
        Ok(match check {
            Check::Value { key, expected } => get(&self.connection, key)? == *expected,
            Check::Listing { prefix, after, limit, expected } => {
                list(&self.connection, prefix, after, *limit)? == *expected
            }
        })
    }

    fn execute(&self, write: &Write) -> rusqlite::Result<()> {
        match write {
            Write::Put { key, value } => self
                .connection
                .prepare_cached(
                    "INSERT INTO entries (key, value) VALUES (?1, ?2)
                     ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                )?
                .execute((key, value)),
            Write::Delete { key } => {
                self.connection.prepare_cached("DELETE FROM entries WHERE key = ?1")?.execute([key])
            }
        }
        .map(drop)
    }

    fn step(&self, sql: &str) -> Result<(), Error> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]))
            .map(drop)
            .map_err(|e| explain(&self.path, &e))
    }

    fn roll_back(&self) {
        if self.connection.is_autocommit() {
            return;
        }
        if let Err(error) = self.step("ROLLBACK") {
            tracing::error!(%error, "storage cannot roll back");
        }
    }
}

fn answer_all(jobs: Vec<Job>, error: &Error) {
    for job in jobs {
        let _ = job.reply.send(Err(error.clone()));
    }
}

fn answer_each(refused: Vec<(Job, Error)>) {
    for (job, error) in refused {
        let _ = job.reply.send(Err(error));
    }
}
