//! The embedded default: one SQLite file. Leaves out caching of values, which [`crate::Cache`] does above it.
//!
//! One writer thread takes every batch that waits and commits them in one SQLite transaction, so that a hundred
//! concurrent writers cost one sync; a caller is answered only after that commit. Reads go to a few threads with a
//! connection each. The journal is a write-ahead log with `synchronous=FULL`: what is acknowledged is on disk.
//!
//! When the disk is full the log is folded into the file, which may be all that is needed; for deletions a reserve is
//! given up besides. So they are not refused for want of the space that they would free.

mod file;
mod reader;
mod reserve;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::queue::Queue;
use crate::{Batch, BoxFuture, Error, Physical, validate_key, validate_prefix};

/// Batches that may wait for the writer, in KiB.
const WRITE_QUEUE_KIB: u32 = 128 << 10;
/// Reads that may wait for a reader thread.
const READ_QUEUE: u32 = 4096;

/// Where the file is and how it is kept.
#[derive(Clone, Debug)]
pub struct SqliteConfig {
    /// The database file. Its directory is created (mode 0700) when missing. Beside it live `-wal`, `-shm`,
    /// `-reserve` and `.lock`.
    pub path: PathBuf,
    /// Threads that serve reads, each with its own connection.
    pub readers: usize,
    /// Pages of write-ahead log before it is folded into the file. More pages: fewer but longer pauses.
    pub wal_autocheckpoint: u32,
    /// The file's largest size in bytes; writes beyond it fail as on a full disk.
    pub max_bytes: Option<u64>,
}

impl SqliteConfig {
    /// The defaults, for this path.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let readers = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 8));
        Self { path: path.into(), readers, wal_autocheckpoint: 10_000, max_bytes: None }
    }
}

/// How well commits are grouped: counters since opening.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SqliteStats {
    /// Batches applied, those that failed a check included.
    pub batches: u64,
    /// SQLite transactions committed for them, one sync each.
    pub commits: u64,
}

#[derive(Default)]
struct Counters {
    batches: AtomicU64,
    commits: AtomicU64,
}

/// The engine on one SQLite file.
///
/// Dropping it finishes the batches that wait, then closes the file; that blocks for as long as one commit takes.
pub struct Sqlite {
    reads: Arc<Queue<reader::Job>>,
    writes: Arc<Queue<writer::Job>>,
    counters: Arc<Counters>,
    readers: Vec<JoinHandle<()>>,
    writer: Option<JoinHandle<()>>,
    path: PathBuf,
    /// Held until all threads are gone: fields fall after [`Drop`] has joined them.
    _lock: file::Lock,
}

impl Sqlite {
    /// Opens the file, or creates it (mode 0600). Blocks: call it where blocking is allowed.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process has it, [`Error::Corrupt`] when it is not ours,
    /// [`Error::Unusable`] when permissions forbid it, [`Error::Full`], [`Error::Io`].
    pub fn open(config: &SqliteConfig) -> Result<Self, Error> {
        let lock = file::prepare(&config.path)?;
        let writer = file::connect_writer(config)?;
        let readers = (0..config.readers.max(1))
            .map(|_| file::connect_reader(&config.path))
            .collect::<Result<Vec<_>, _>>()?;
        let mut engine = Self {
            reads: Arc::new(Queue::new(READ_QUEUE)),
            writes: Arc::new(Queue::new(WRITE_QUEUE_KIB)),
            counters: Arc::default(),
            readers: Vec::new(),
            writer: None,
            path: config.path.clone(),
            _lock: lock,
        };
        engine.start_writer(writer)?;
        for connection in readers {
            engine.start_reader(connection)?;
        }
        Ok(engine)
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Counters since opening.
    #[must_use]
    pub fn stats(&self) -> SqliteStats {
        SqliteStats {
            batches: self.counters.batches.load(Ordering::Relaxed),
            commits: self.counters.commits.load(Ordering::Relaxed),
        }
    }

    fn start_writer(&mut self, connection: Connection) -> Result<(), Error> {
        let (queue, counters, path) =
            (self.writes.clone(), self.counters.clone(), self.path.clone());
        self.writer = Some(self.start("storage-write", move || {
            writer::Writer::new(connection, path, counters).run(&queue);
        })?);
        Ok(())
    }

    fn start_reader(&mut self, connection: Connection) -> Result<(), Error> {
        let (queue, path) = (self.reads.clone(), self.path.clone());
        let reader = self.start("storage-read", move || reader::run(&connection, &path, &queue))?;
        self.readers.push(reader);
        Ok(())
    }

    fn start(
        &self,
        name: &str,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<JoinHandle<()>, Error> {
        std::thread::Builder::new().name(name.into()).spawn(work).map_err(|e| Error::Io {
            path: self.path.clone(),
            detail: format!("cannot start a thread: {e}"),
        })
    }

    fn join(&self, thread: JoinHandle<()>) {
        if thread.join().is_err() {
            tracing::error!(path = %self.path.display(), "a storage thread had panicked");
        }
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        // The readers end first: a connection that may only read, being the last one open, could not fold the
        // write-ahead log into the file.
        self.reads.close();
        for reader in std::mem::take(&mut self.readers) {
            self.join(reader);
        }
        self.writes.close();
        if let Some(writer) = self.writer.take() {
            self.join(writer);
        }
    }
}

impl Physical for Sqlite {
    fn storage_type(&self) -> &'static str {
        "sqlite"
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, Error>> {
        Box::pin(async move {
            validate_key(key)?;
            let (reply, answer) = oneshot::channel();
            let job = reader::Job::Get { key: key.to_owned(), reply };
            self.reads.push(job, 1).await.map_err(|_| Error::Closed)?;
            answer.await.map_err(|_| Error::Closed)?
        })
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: &'a str,
        limit: Option<usize>,
    ) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        Box::pin(async move {
            validate_prefix(prefix)?;
            let (reply, answer) = oneshot::channel();
            let job = reader::Job::List {
                prefix: prefix.to_owned(),
                after: after.to_owned(),
                limit,
                reply,
            };
            self.reads.push(job, 1).await.map_err(|_| Error::Closed)?;
            answer.await.map_err(|_| Error::Closed)?
        })
    }

    fn apply(&self, batch: Batch) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            batch.validate()?;
            let kib = u32::try_from(batch.len_bytes() >> 10).unwrap_or(u32::MAX).saturating_add(1);
            let (reply, answer) = oneshot::channel();
            self.writes.push(writer::Job { batch, reply }, kib).await.map_err(|_| Error::Closed)?;
            answer.await.map_err(|_| Error::Closed)?
        })
    }
}
