//! A connection as the database engine has it, wherever its database lives: counted, closed once,
//! and taken out of use by a reload.
//!
//! A reload lets the calls that run come to their end, and those that are about to be made, and
//! closes the connection after them; whoever keeps it sees that it is not current, and opens
//! another. A panic of a built-in database fails the call.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use boltwork_logical::{
    BoxFuture, Data, Database, DatabaseError, MadeUser, NewUser, PluginId, SecretText, UserChange,
};
use futures_util::FutureExt;
use tokio::sync::RwLock;

use super::{Older, Remote};
use crate::HostError;
use crate::error::ended;
use crate::process::{Member, Process};

/// How long a connection that was taken out of use answers those who took it just before.
const GRACE: Duration = Duration::from_secs(1);

/// What was opened in a plugin's process.
pub(crate) struct Opened {
    pub database: Arc<dyn Database>,
    pub process: Arc<Process>,
}

impl Opened {
    /// Opens a connection in a process that was joined for it, over the version of the protocol
    /// that it speaks.
    pub async fn begin(member: Member, limit: Duration) -> Result<Self, HostError> {
        let process = member.process().clone();
        let database: Arc<dyn Database> = match process.client.version() {
            3 | 4 => Arc::new(Older::begin(member, limit).await?),
            _ => Arc::new(Remote::begin(member, limit).await?),
        };
        Ok(Self { database, process })
    }
}

/// An open connection.
pub(crate) struct Connection {
    pub id: PluginId,
    pub mount_point: String,
    database: Arc<dyn Database>,
    /// None: compiled in.
    process: Option<Arc<Process>>,
    /// To be replaced.
    retired: AtomicBool,
    closed: AtomicBool,
    /// Shared by the calls that run; alone for whoever waits for their end.
    calls: RwLock<()>,
    pub requests: AtomicU64,
    pub failures: AtomicU64,
}

impl Connection {
    /// A connection in this process.
    pub fn compiled(id: PluginId, mount_point: &str, database: Arc<dyn Database>) -> Arc<Self> {
        Self::new(id, mount_point, database, None)
    }

    /// A connection in a plugin's process.
    pub fn remote(id: PluginId, mount_point: &str, opened: Opened) -> Arc<Self> {
        let Opened { database, process } = opened;
        let connection = Self::new(id, mount_point, database, Some(process.clone()));
        Self::watch(&connection, &process);
        connection
    }

    fn new(
        id: PluginId,
        mount_point: &str,
        database: Arc<dyn Database>,
        process: Option<Arc<Process>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            mount_point: mount_point.to_owned(),
            database,
            process,
            retired: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            calls: RwLock::default(),
            requests: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        })
    }

    /// Says in the log when the process ends under an open connection.
    fn watch(this: &Arc<Self>, process: &Arc<Process>) {
        let (exited, pid) = (process.client.exited(), process.client.pid());
        let connection = Arc::downgrade(this);
        tokio::spawn(async move {
            let exit = exited.await;
            let Some(connection) = connection.upgrade() else { return };
            if connection.is_open() {
                tracing::error!(
                    plugin = connection.id.name,
                    version = connection.id.version,
                    mount = connection.mount_point,
                    pid,
                    "database plugin process exited{}; the next use of the connection starts another",
                    ended(exit.status, &exit.stderr)
                );
            }
        });
    }

    /// The process it is in, unless it is compiled in.
    pub fn process(&self) -> Option<&Arc<Process>> {
        self.process.as_ref()
    }

    /// Whether it is neither closed nor to be replaced.
    pub fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Relaxed) && !self.retired.load(Ordering::Relaxed)
    }

    /// Takes it out of use: closed as soon as the calls that run are over. Whether it was in use.
    pub fn retire(this: &Arc<Self>) -> bool {
        let was_open = this.is_open();
        if was_open {
            this.retired.store(true, Ordering::Relaxed);
            let connection = this.clone();
            tokio::spawn(async move {
                tokio::time::sleep(GRACE).await;
                let over = connection.calls.write().await;
                let was_closed = connection.closed.swap(true, Ordering::Relaxed);
                drop(over);
                if !was_closed {
                    connection.end().await;
                }
            });
        }
        was_open
    }

    /// Closes the database behind it.
    async fn end(&self) {
        let closing = AssertUnwindSafe(async { self.database.close().await }).catch_unwind();
        if closing.await.is_err() {
            let plugin = self.id.name.as_str();
            tracing::error!(plugin, "a database plugin panicked while it closed");
        }
    }

    async fn call<T>(
        &self,
        call: impl Future<Output = Result<T, DatabaseError>>,
    ) -> Result<T, DatabaseError> {
        let _at_work = self.calls.read().await;
        if self.closed.load(Ordering::Relaxed) {
            return Err(DatabaseError::Shutdown);
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mut done = AssertUnwindSafe(call).catch_unwind().await.unwrap_or_else(|_| {
            let text = format!("the database plugin {:?} panicked", self.id.name);
            Err(DatabaseError::Failed(text))
        });
        // Whatever a plugin says that was told to close meanwhile, that is why.
        if done.is_err() && self.closed.load(Ordering::Relaxed) {
            done = Err(DatabaseError::Shutdown);
        }
        if matches!(done, Err(DatabaseError::Shutdown)) {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        done
    }
}

impl Database for Connection {
    fn initialize(&self, config: Data, verify: bool) -> BoxFuture<'_, Result<Data, DatabaseError>> {
        Box::pin(self.call(async move { self.database.initialize(config, verify).await }))
    }

    fn new_user(&self, user: NewUser) -> BoxFuture<'_, Result<MadeUser, DatabaseError>> {
        Box::pin(self.call(async move { self.database.new_user(user).await }))
    }

    fn update_user(&self, change: UserChange) -> BoxFuture<'_, Result<(), DatabaseError>> {
        Box::pin(self.call(async move { self.database.update_user(change).await }))
    }

    fn delete_user<'a>(
        &'a self,
        username: &'a str,
        statements: &'a [String],
    ) -> BoxFuture<'a, Result<(), DatabaseError>> {
        Box::pin(self.call(async move { self.database.delete_user(username, statements).await }))
    }

    fn kind(&self) -> BoxFuture<'_, Result<String, DatabaseError>> {
        Box::pin(self.call(async move { self.database.kind().await }))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            // One that was taken out of use closes by itself, after the calls that run.
            let retired = self.retired.load(Ordering::Relaxed);
            if !retired && !self.closed.swap(true, Ordering::Relaxed) {
                self.end().await;
            }
        })
    }

    fn is_current(&self) -> bool {
        let is_good = |process: &Arc<Process>| !process.is_gone() && !process.is_closed();
        self.is_open() && self.process.as_ref().is_none_or(is_good)
    }

    fn makes_passwords(&self) -> bool {
        self.database.makes_passwords()
    }

    fn make_password(&self) -> BoxFuture<'_, Result<SecretText, DatabaseError>> {
        Box::pin(self.call(async move { self.database.make_password().await }))
    }

    fn rotate_root<'a>(
        &'a self,
        statements: &'a [String],
    ) -> BoxFuture<'a, Result<Data, DatabaseError>> {
        Box::pin(self.call(async move { self.database.rotate_root(statements).await }))
    }
}
