//! Mounts: the two tables, the way from a path to a backend, and the life of each mount.
//!
//! What a backend is and where it runs is somebody else's business: they come from [`Plugins`],
//! except for the core's own, which are handed in.
//!
//! [`Plugins`]: boltwork_logical::Plugins

mod change;
mod entry;
mod half_made;
mod mount;
mod reload;
mod rollback;
mod router;
mod start;
mod system_view;
mod table;

pub use change::{NewMount, Tune};
pub use entry::{MountConfig, MountEntry, MountFlags, StoredTable, Table};
pub use mount::{Inside, Mount, broken};
pub use system_view::{ServerFacts, effective_ttls};
pub use table::{Mounts, Views, is_own_kind};
