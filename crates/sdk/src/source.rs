//! Where the engines of a process come from.

use std::sync::Arc;

use boltwork_framework::{Engine, factory};
use boltwork_logical::{Error, Factory};
use parking_lot::Mutex;

/// What [`serve`](crate::serve) takes: an engine, or a function that makes engines.
///
/// The difference is how many mounts one process serves. Engines have state, and two mounts must
/// not share it: so a process that was given one engine serves one mount, and the server starts
/// further processes for further mounts; a process that can make engines serves them all.
pub trait Source<How> {
    /// Whether one process may serve several mounts.
    const MULTIPLEXED: bool;
    /// What makes the backends.
    fn factory(self) -> Arc<dyn Factory>;
    /// The version that the table declares.
    fn version(&self) -> String;
}

/// Marks a [`Source`] that is an engine.
#[derive(Debug)]
pub enum One {}

/// Marks a [`Source`] that makes engines.
#[derive(Debug)]
pub struct Many<E>(std::marker::PhantomData<E>);

impl<E: Engine> Source<One> for E {
    const MULTIPLEXED: bool = false;

    fn factory(self) -> Arc<dyn Factory> {
        let engine = Mutex::new(Some(self));
        boltwork_framework::factory_with(move |_| {
            engine.lock().take().ok_or_else(|| {
                Error::internal("this process was given one engine and serves one mount already")
            })
        })
    }

    fn version(&self) -> String {
        E::routes().reported_version().to_owned()
    }
}

impl<E: Engine, F: Fn() -> E + Send + Sync + 'static> Source<Many<E>> for F {
    const MULTIPLEXED: bool = true;

    fn factory(self) -> Arc<dyn Factory> {
        factory(self)
    }

    fn version(&self) -> String {
        E::routes().reported_version().to_owned()
    }
}
