//! The core: what happens to a request between the door and the backend, and what the server
//! keeps to decide it (mounts, tokens, policies).
//!
//! The core knows no plugin by name, no HTTP and no gRPC. It is handed a [`Barrier`] to keep
//! things in and [`Plugins`] to bring backends up with, and offers [`Core`], which answers
//! [`Inbound`] requests with [`Outcome`]s.
//!
//! [`Barrier`]: boltwork_barrier::Barrier
//! [`Plugins`]: boltwork_logical::Plugins

mod active;
mod audit;
mod backends;
mod due;
pub mod envelope;
mod identity;
mod leases;
mod lifecycle;
mod metrics;
mod mounts;
mod passwords;
mod pipeline;
mod plugin_server;
mod policies;
mod session;
mod tokens;
mod wrapping;

pub use lifecycle::{
    Core, CoreConfig, Health, InitRequest, InitResult, LifecycleError, SealStatus, ServerVersion,
};
pub use metrics::{Format as MetricsFormat, Page as MetricsPage};
pub use pipeline::{Inbound, Outcome};
