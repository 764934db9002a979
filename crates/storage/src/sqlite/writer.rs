//! The one thread that writes: groups every waiting batch into one SQLite transaction, hence one sync. Leaves out
//! retries of what failed at the commit, but for want of space: every caller of that group is told.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::Counters;
use super::file::explain;
use super::reader::{get, list};
use super::reserve::Reserve;
use crate::queue::Queue;
use crate::{Batch, Check, Error, Write};

/// Batches in one transaction at most: bounds how long the first of them waits for the last.
const GROUP: usize = 1024;

/// Bytes written between two looks at how full the disk is.
const LOOK: usize = 256 << 10;

pub(super) struct Job {
    pub(super) batch: Batch,
    pub(super) reply: oneshot::Sender<Result<(), Error>>,
}

/// Why a batch was not written, and whether the transaction around it still stands.
enum Failure {
    Alone(Error),
    WithGroup(Error),
}

/// Jobs that have to be tried again alone.
#[derive(Default)]
struct Lost {
    jobs: Vec<Job>,
    /// They are lost because the disk is full.
    full: bool,
}

pub(super) struct Writer {
    connection: Connection,
    path: PathBuf,
    counters: Arc<Counters>,
    reserve: Reserve,
    /// Bytes written since the last look at how full the disk is.
    unseen: usize,
}

impl Writer {
    pub(super) fn new(connection: Connection, path: PathBuf, counters: Arc<Counters>) -> Self {
        let reserve = Reserve::beside(&path);
        Self { connection, path, counters, reserve, unseen: LOOK }
    }

    pub(super) fn run(mut self, queue: &Queue<Job>) {
        while let Some(jobs) = queue.pop_all(GROUP) {
            self.counters.batches.fetch_add(jobs.len() as u64, Ordering::Relaxed);
            let lost = self.group(jobs);
            if lost.full {
                self.fold();
            }
            // SQLite gave up the transaction (no space for one large batch, for instance): those who shared it by
            // chance get a transaction each.
            for job in lost.jobs {
                let outcome = self.alone(&job.batch);
                let _ = job.reply.send(outcome);
            }
        }
    }

    /// Writes a batch in a transaction of its own. On a full disk what does not make the file larger (a deletion, or
    /// what fits where something was deleted) gets its space in the log from the reserve.
    fn alone(&mut self, batch: &Batch) -> Result<(), Error> {
        let mut grew = false;
        let outcome = self.one(batch, &mut grew);
        if grew || !matches!(outcome, Err(Error::Full { .. })) || !self.reserve.release() {
            return outcome;
        }
        let outcome = self.one(batch, &mut grew);
        // Makes the log short, and so room for the reserve.
        self.fold();
        self.reserve.restore();
        outcome
    }

    /// `grew` says whether the file became larger, or would have.
    fn one(&self, batch: &Batch, grew: &mut bool) -> Result<(), Error> {
        self.step("BEGIN IMMEDIATE")?;
        let written = self.pages().and_then(|before| {
            self.write(batch)
                .map_err(|(Failure::Alone(error) | Failure::WithGroup(error))| error)?;
            *grew = self.pages()? > before;
            Ok(())
        });
        match written {
            Ok(()) => self.commit(true),
            Err(error) => {
                self.roll_back();
                Err(error)
            }
        }
    }

    /// The size of the file in pages, with what is being written.
    fn pages(&self) -> Result<i64, Error> {
        self.connection
            .query_row("PRAGMA page_count", [], |row| row.get(0))
            .map_err(|e| explain(&self.path, &e))
    }

    /// On a disk that is nearly full the log stays short, so that the reserve is enough to fold it.
    fn look(&mut self, written: usize) {
        self.unseen += written;
        if self.unseen < LOOK {
            return;
        }
        self.unseen = 0;
        // It may have been given up once, and there may be space again.
        self.reserve.restore();
        if self.reserve.is_nearly_needed() {
            // The next look is after the next write.
            self.unseen = LOOK;
            self.fold();
        }
    }

    /// Moves what is in the write-ahead log into the file and makes the log short. It stays as it is if there is no
    /// space for that either, or if somebody reads it.
    fn fold(&self) {
        let folded = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = folded {
            tracing::debug!(path = %self.path.display(), %error, "the write-ahead log cannot be folded");
        }
    }

    /// Writes the jobs in one transaction and answers them, but for those that have to be tried again alone.
    fn group(&mut self, jobs: Vec<Job>) -> Lost {
        if let Err(error) = self.step("BEGIN IMMEDIATE") {
            answer_all(jobs, &error);
            return Lost::default();
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
                    answer_each(refused);
                    let full = matches!(error, Error::Full { .. });
                    match full {
                        true => written.push(job),
                        false => drop(job.reply.send(Err(error))),
                    }
                    written.extend(jobs);
                    return Lost { jobs: written, full };
                }
            }
        }
        let outcome = self.commit(!written.is_empty());
        answer_each(refused);
        if matches!(outcome, Err(Error::Full { .. })) {
            return Lost { jobs: written, full: true };
        }
        let bytes = written.iter().map(|job| job.batch.len_bytes()).sum();
        for job in written {
            let _ = job.reply.send(outcome.clone());
        }
        if outcome.is_ok() {
            self.look(bytes);
        }
        Lost::default()
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
