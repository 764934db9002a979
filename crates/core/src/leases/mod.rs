//! Leases: what backends gave out and must take back, at its time, with its token, or when asked.
//!
//! A lease is stored before its secret leaves the server. It is removed when its backend has taken
//! the secret back, and not before.

mod entry;
mod remembers;
mod renew;
mod revoke;
mod store;
mod tidy;

pub use entry::LeaseEntry;
pub use revoke::Force;
pub use store::{Leases, NewLease};
