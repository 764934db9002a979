//! The one joint: everything mounted is a [`Backend`].

use std::{collections::BTreeMap, sync::Arc};

use crate::{BoxFuture, Error, Failure, Reply, Request, SpecialPaths, Storage, SystemView};

/// What sort of backend it is. Numbers are the protocol's (wire spec 2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum BackendKind {
    /// Not known (a plugin that could not say).
    Unknown = 0,
    /// A secrets engine.
    Secret = 1,
    /// An auth method.
    Auth = 2,
}

/// Whether what a write is about exists already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existence {
    /// The backend does not check; the write counts as an update.
    Unchecked,
    /// It exists: update.
    Exists,
    /// It does not: create.
    Absent,
}

/// Anything mounted: compiled in, or another process. Where it runs is nobody's business here.
///
/// Every method may be called concurrently. Dropping the future of `handle` abandons the request.
pub trait Backend: Send + Sync {
    /// Secrets engine or auth method; known once the backend has been created.
    fn kind(&self) -> BackendKind;

    /// Paths treated specially; cheap, asked on every request.
    fn special_paths(&self) -> Arc<SpecialPaths>;

    /// Called once after the mount is routed, when storage may be written.
    fn initialize(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }

    /// Answers a request.
    fn handle(&self, request: Request) -> BoxFuture<'_, Result<Option<Reply>, Failure>>;

    /// For a write: does what it is about exist? Asked before the policy decides between create
    /// and update.
    fn exists<'a>(&'a self, _request: &'a Request) -> BoxFuture<'a, Result<Existence, Error>> {
        Box::pin(async { Ok(Existence::Unchecked) })
    }

    /// Storage under this key changed behind the backend's back.
    fn invalidate<'a>(&'a self, _key: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    /// The backend is about to go away: unmount, reload, seal.
    fn cleanup(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// What a backend is given at birth.
#[derive(Clone)]
pub struct Setup {
    /// The mount's storage. Reading is allowed at once, writing from `initialize` on.
    pub storage: Arc<dyn Storage>,
    /// The server.
    pub system: Arc<dyn SystemView>,
    /// The mount's options, and `plugin_name`, `plugin_type`, `plugin_version` (wire spec 2.5).
    pub config: BTreeMap<String, String>,
    /// The mount's UUID.
    pub backend_uuid: String,
    /// The mount's path, for logs.
    pub mount_point: String,
}

/// Makes backends of one sort: a built-in plugin.
pub trait Factory: Send + Sync {
    /// Makes one for a mount.
    fn create(&self, setup: Setup) -> BoxFuture<'_, Result<Arc<dyn Backend>, Error>>;
}
