//! A bounded number of connections, kept for a while, handed out one call at a time.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::address::Address;
use crate::config::Config;
use crate::connect::Connection;
use crate::failure::Failure;

/// The connections to one database.
pub struct Pool {
    address: Address,
    /// One permit for each connection in use. Closed with the pool.
    permits: Arc<Semaphore>,
    /// The youngest last.
    idle: Mutex<Vec<Connection>>,
    open: usize,
    max_idle: usize,
    lifetime: Option<Duration>,
}

/// A connection in use. Dropped, it is closed; [`Borrowed::keep`] gives it back.
pub struct Borrowed {
    connection: Connection,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    /// Connects to nobody yet.
    pub fn new(config: Config) -> Arc<Self> {
        Arc::new(Self {
            permits: Arc::new(Semaphore::new(config.open)),
            address: config.address,
            idle: Mutex::new(Vec::new()),
            open: config.open,
            max_idle: config.idle,
            lifetime: config.lifetime,
        })
    }

    /// Where the database is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// When a call that begins now has to be over.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.address.call
    }

    /// A connection that works, as far as one can know.
    pub async fn borrow(self: &Arc<Self>, deadline: Instant) -> Result<Borrowed, Failure> {
        let waiting = Arc::clone(&self.permits).acquire_owned();
        let permit = timeout_at(deadline, waiting)
            .await
            .map_err(|_| Failure::Busy { open: self.open })?
            .map_err(|_| Failure::NotInitialized)?;
        let connection = loop {
            let kept = self.idle.lock().pop();
            let Some(kept) = kept else {
                let opening = Connection::open(&self.address, &self.address.driver);
                break timeout_at(deadline, opening).await.map_err(|_| Failure::Slow {
                    doing: "connecting",
                    after: self.address.call,
                })??;
            };
            if !self.is_old(&kept) && kept.is_alive(self.address.connect).await {
                break kept;
            }
        };
        Ok(Borrowed { connection, pool: Arc::clone(self), _permit: permit })
    }

    /// Closes what is kept, and hands out no more.
    pub fn close(&self) {
        self.permits.close();
        self.idle.lock().clear();
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.permits.is_closed()
    }

    fn is_old(&self, connection: &Connection) -> bool {
        self.lifetime.is_some_and(|lifetime| connection.since.elapsed() > lifetime)
    }
}

impl Borrowed {
    /// Gives it back: nothing is half done on it.
    pub fn keep(self) {
        let pool = self.pool;
        let mut idle = pool.idle.lock();
        if !pool.is_closed() && idle.len() < pool.max_idle && !pool.is_old(&self.connection) {
            idle.push(self.connection);
        }
    }
}

impl std::ops::Deref for Borrowed {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}
