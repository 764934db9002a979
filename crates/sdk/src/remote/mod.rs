//! The server, reached from the plugin's side: storage and system view over the broker's connection.

mod ahead;
mod storage;
mod system;

pub(crate) use ahead::AheadStorage;
pub(crate) use storage::RemoteStorage;
pub(crate) use system::RemoteSystem;
