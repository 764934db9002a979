//! What was asked, by whom, and what was answered: written down before anything happens, or it does not happen.
//!
//! * [`Record`]: one request or one answer, borrowed from whoever handles it.
//! * [`Format`] turns a record into one line of Vault's audit JSON, with every secret string replaced by a keyed
//!   digest (`hmac-sha256:…`) under the device's own [`Salt`].
//! * [`Device`] writes lines somewhere; [`FileDevice`] is the one that exists so far, socket and syslog have their
//!   place beside it.
//! * [`Broker`]: with devices, at least one must accept a record, or the request fails; without any it costs nothing.
//!
//! Deliberately absent: which devices are enabled and where their salts are stored, which is the core's business.

mod broker;
mod digest;
mod entry;
mod error;
mod file;
mod format;
mod line_writer;
mod record;

pub use broker::{Broker, Device};
pub use digest::Salt;
pub use error::Error;
pub use file::FileDevice;
pub use format::Format;
pub use record::{
    AuditedHeader, AuthView, GrantingPolicy, MountView, PolicyResults, Record, ReplyView,
    RequestView,
};
