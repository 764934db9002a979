//! From an engine to a backend.

use std::sync::Arc;

use boltwork_logical::{Backend, BoxFuture, Error, Factory, Setup};

use crate::{Engine, Result, TableError, backend::Mounted, table::Table};

/// Mounts one engine. Fails if its table has faults ([`Routes::check`](crate::Routes::check)).
pub fn into_backend<E: Engine>(engine: E, setup: Setup) -> Result<Arc<dyn Backend>> {
    let table = Arc::new(Table::compile(E::routes()).map_err(|faults| faulty(&faults))?);
    Ok(Arc::new(Mounted::new(engine, table, setup)))
}

/// A factory that makes a new engine for every mount.
pub fn factory<E: Engine>(make: impl Fn() -> E + Send + Sync + 'static) -> Arc<dyn Factory> {
    factory_with(move |_| Ok(make()))
}

/// A factory whose engines depend on the mount: its options, its UUID. Storage may not be written
/// yet, and during a registration there is none at all; do such work in
/// [`Routes::initialize`](crate::Routes::initialize).
pub fn factory_with<E: Engine>(
    make: impl Fn(&Setup) -> Result<E> + Send + Sync + 'static,
) -> Arc<dyn Factory> {
    Arc::new(Maker { table: Table::compile(E::routes()).map(Arc::new), make })
}

/// A factory with its table, which is compiled once for all mounts.
struct Maker<E, M> {
    table: Result<Arc<Table<E>>, Vec<TableError>>,
    make: M,
}

impl<E, M> Factory for Maker<E, M>
where
    E: Engine,
    M: Fn(&Setup) -> Result<E> + Send + Sync,
{
    fn create(&self, setup: Setup) -> BoxFuture<'_, Result<Arc<dyn Backend>, Error>> {
        Box::pin(async move {
            let table = self.table.as_ref().map_err(|faults| faulty(faults))?;
            let engine = (self.make)(&setup)?;
            Ok(Arc::new(Mounted::new(engine, Arc::clone(table), setup)) as Arc<dyn Backend>)
        })
    }
}

fn faulty(faults: &[TableError]) -> Error {
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    Error::internal(format!("the engine's table of routes is faulty: {}", faults.join("; ")))
}
