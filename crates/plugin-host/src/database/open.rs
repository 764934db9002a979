//! Which connections to databases are open.

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

    /// Takes those of some plugins out of use: how many there were, and of which plugins.
    pub fn retire(&self, wanted: impl Fn(&PluginId) -> bool) -> (usize, Vec<PluginId>) {
        let (mut count, mut ids) = (0, Vec::new());
        for connection in self.all().iter().filter(|connection| wanted(&connection.id)) {
            if !ids.contains(&connection.id) {
                ids.push(connection.id.clone());
            }
            count += usize::from(Connection::retire(connection));
        }
        (count, ids)
    }
}
