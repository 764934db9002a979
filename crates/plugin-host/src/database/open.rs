//! Which connections to databases are open.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use boltwork_logical::PluginId;

use super::Connection;

/// The open connections. Whoever uses one keeps it; here it is only known.
#[derive(Default)]
pub(crate) struct Open(Mutex<Vec<Weak<Connection>>>);

impl Open {
    /// Remembers a connection as long as somebody has it.
    pub fn add(&self, connection: &Arc<Connection>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|connection| connection.strong_count() > 0);
        all.push(Arc::downgrade(connection));
    }

    /// Those that somebody has and may use.
    pub fn all(&self) -> Vec<Arc<Connection>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter_map(Weak::upgrade).filter(|connection| connection.is_open()).collect()
    }

    /// Whose they are.
    pub fn ids(&self) -> BTreeSet<PluginId> {
        self.all().iter().map(|connection| connection.id.clone()).collect()
    }

    /// Takes those of some plugins out of use: how many there were.
    pub fn retire(&self, wanted: impl Fn(&PluginId) -> bool) -> usize {
        let all = self.all();
        let wanted = all.iter().filter(|connection| wanted(&connection.id));
        wanted.filter(|connection| Connection::retire(connection)).count()
    }
}
