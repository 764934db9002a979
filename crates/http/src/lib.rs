//! The door: Vault's HTTP API over the core.
//!
//! It decodes requests into [`boltwork_core::Inbound`], encodes outcomes, keeps limits on what
//! clients may send and how long they may take, and speaks TLS. Only this room knows HTTP and its
//! status codes. It decides nothing: who may do what is the core's business.

mod decode;
mod door;
mod encode;
mod error;
mod listener;
mod metrics;
mod query;
mod raw;
mod status;
mod sys;
mod tls;

pub use error::ListenerError;
pub use listener::{Limits, Listener, ListenerConfig, TlsFiles};
