//! The database secrets engine: makes users in databases, on a lease, and removes them when the
//! lease ends.
//!
//! Paths, fields, replies and texts are those of HashiCorp's and OpenBao's engine of this name, and
//! so is what is stored. What a database understands is its plugin's affair; this engine reaches
//! plugins through [`SystemView::open_database`](boltwork_sdk::logical::SystemView::open_database),
//! which only a backend inside the server has. So there is no binary of this package.
//!
//! # No user without a lease
//!
//! A user exists in another system before the server can keep its lease. Between the two lie the
//! plugin's answer and a write to storage, and anything may fail there. So the engine
//!
//! 1. makes the user in a task of its own, which goes on if the caller hangs up;
//! 2. notes the user's name in a write-ahead entry before it answers; if that cannot be stored the
//!    user is removed at once and the caller gets an error;
//! 3. leaves the entry until it is [`GRACE`](creds::GRACE) old. Then the server is asked whether a
//!    lease remembers that user. If so, the lease is what removes the user one day. If not (the
//!    server was killed, storage failed, the caller was gone) the user is removed now.
//!
//! The server for its part takes a secret back at once whose lease it cannot store. What is left
//! is the moment in which the database has committed a user whose name never reached the engine,
//! because the plugin or the server died, or the database took longer than anybody waits. That is
//! logged as an error with role and connection. Such a user ends by itself if the creation
//! statements set `{{expiration}}`, which is why every user is given one.

mod authority;
mod certificate;
mod config;
mod connections;
mod credentials;
mod creds;
mod details;
mod instance;
mod keys;
mod moment;
mod role;
mod roles;
mod root;
mod rotation;
mod schedule;
mod settings;
mod statements;
mod static_role;
mod statics;
mod turns;

use std::{sync::Arc, time::SystemTime};

use boltwork_sdk::{
    Changed, Engine, Reply, Request, Result, Routes,
    logical::{BackendKind, Factory},
};

pub use crate::rotation::Clock;
use crate::{connections::Connections, rotation::Rotations, turns::Turns};

/// The version that the engine reports of itself.
pub const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// What makes the engine of a mount.
pub fn factory() -> Arc<dyn Factory> {
    boltwork_sdk::factory(Database::new)
}

/// The engine of one mount.
pub struct Database {
    pub(crate) connections: Arc<Connections>,
    /// One at a time changes the stored form of a connection.
    pub(crate) configs: Arc<Turns>,
    pub(crate) rotations: Arc<Rotations>,
}

impl Default for Database {
    fn default() -> Self {
        Self::new()
    }
}

impl Database {
    /// An engine that goes by the system's clock.
    pub fn new() -> Self {
        Self::with_clock(SystemTime::now)
    }

    /// An engine that goes by another clock, for tests: rotations are due by it.
    pub fn with_clock(clock: Clock) -> Self {
        let connections = Arc::<Connections>::default();
        let rotations = Rotations::new(Arc::clone(&connections), clock);
        Self { connections, configs: Arc::default(), rotations }
    }

    async fn changed(&self, req: Request<Changed>) -> Result<Reply> {
        if let Some(name) = req.fields.key.strip_prefix(config::PREFIX) {
            self.connections.clear(name).await;
        }
        Ok(Reply::empty())
    }

    async fn clean_up(&self, _: Request) -> Result<Reply> {
        self.rotations.stop();
        self.connections.clear_all().await;
        Ok(Reply::empty())
    }
}

impl Engine for Database {
    fn routes() -> Routes<Self> {
        Routes::new(config::paths())
            .with(roles::paths())
            .with(creds::paths())
            .with(root::paths())
            .with(statics::paths())
            .renew(creds::KIND, Self::renew)
            .revoke(creds::KIND, Self::revoke)
            .rollback_after(creds::MADE, creds::GRACE, Self::settle_user)
            .rollback_after(root::ROTATION, root::GRACE, Self::settle_rotation)
            .initialize(Self::start_up)
            .every(Self::rotate_due)
            .invalidate(Self::changed)
            .cleanup(Self::clean_up)
            .local(["wal/"])
            .seal_wrap([config::PREFIX, static_role::PREFIX])
            .kind(BackendKind::Secret)
            .version(VERSION)
            .help(
                "Users of databases on a lease. Configure a connection at config/, a role at roles/, \
                 and read creds/.",
            )
    }
}
