//! Where the databases of a process come from.

use std::sync::Arc;

use boltwork_logical::{Database, DatabaseError, DatabaseFactory};

use crate::{Many, One};

/// What [`serve_database`](crate::serve_database) takes: a database, or a function that makes
/// databases.
///
/// The difference is how many connections one process serves: given a database, one, and the
/// server starts further processes for further connections; given a function, all of them.
pub trait DatabaseSource<How> {
    /// Whether one process may serve several connections.
    const MULTIPLEXED: bool;
    /// What makes the databases.
    fn factory(self) -> Arc<dyn DatabaseFactory>;
}

impl<D: Database + 'static> DatabaseSource<One> for D {
    const MULTIPLEXED: bool = false;

    fn factory(self) -> Arc<dyn DatabaseFactory> {
        Arc::new(Same(Arc::new(self)))
    }
}

impl<D: Database + 'static, F: Fn() -> D + Send + Sync + 'static> DatabaseSource<Many<D>> for F {
    const MULTIPLEXED: bool = true;

    fn factory(self) -> Arc<dyn DatabaseFactory> {
        database_factory(self)
    }
}

/// What makes databases, for a server that they are compiled into.
pub fn database_factory<D: Database + 'static>(
    make: impl Fn() -> D + Send + Sync + 'static,
) -> Arc<dyn DatabaseFactory> {
    Arc::new(New(make))
}

/// The one database of the process, over and over.
struct Same(Arc<dyn Database>);

impl DatabaseFactory for Same {
    fn create(&self) -> Result<Arc<dyn Database>, DatabaseError> {
        Ok(Arc::clone(&self.0))
    }
}

struct New<F>(F);

impl<D: Database + 'static, F: Fn() -> D + Send + Sync> DatabaseFactory for New<F> {
    fn create(&self) -> Result<Arc<dyn Database>, DatabaseError> {
        Ok(Arc::new((self.0)()))
    }
}
