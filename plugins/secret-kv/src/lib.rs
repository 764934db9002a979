//! The kv secrets engine: secrets of the users' own, under paths of their choice.
//!
//! A mount's option `version` says which of two engines it is: `1` (or nothing), a plain store, or
//! `2`, which keeps old versions. Built in, the server mounts what [`factory`] makes; the binary of
//! this package serves the same as an external plugin.
//!
//! Deliberately absent: encryption (the server's barrier encrypts everything below), HTTP, and the
//! content types of patches (decoded before they come here).

mod clock;
mod seconds;
mod store;
mod upgrade;
mod v1;
mod v2;

use std::{sync::Arc, time::SystemTime};

use boltwork_sdk::{
    into_backend,
    logical::{Backend, BoxFuture, Error, Factory, Setup},
};

pub use crate::clock::Clock;
use crate::{
    store::Store,
    upgrade::Gate,
    v1::{Hinting, Plain},
    v2::Versioned,
};

/// The version that the engine reports of itself.
pub const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// What makes the engine of a mount.
pub fn factory() -> Arc<dyn Factory> {
    Arc::new(Kv::default())
}

/// The maker of engines. Tests may give it a clock of their own.
pub struct Kv {
    clock: Clock,
}

impl Default for Kv {
    fn default() -> Self {
        Self { clock: SystemTime::now }
    }
}

impl Kv {
    /// Engines that go by another clock than the system's.
    pub fn with_clock(clock: Clock) -> Self {
        Self { clock }
    }
}

impl Factory for Kv {
    fn create(&self, setup: Setup) -> BoxFuture<'_, Result<Arc<dyn Backend>, Error>> {
        Box::pin(async move {
            match setup.config.get("version").map_or("", String::as_str) {
                "" | "1" => {
                    let option = setup.config.get("leased_passthrough");
                    let leased = option.is_some_and(|value| value == "true");
                    Ok(Arc::new(Hinting(into_backend(Plain { leased }, setup)?))
                        as Arc<dyn Backend>)
                }
                "2" => versioned(setup, self.clock).await,
                other => Err(Error::invalid(format!(
                    "the mount's option version is {other:?}; this engine has the versions 1 and 2"
                ))),
            }
        })
    }
}

async fn versioned(setup: Setup, clock: Clock) -> Result<Arc<dyn Backend>, Error> {
    if setup.backend_uuid.is_empty() {
        return Err(Error::internal(
            "could not initialize versioned K/V Store, no UUID was provided",
        ));
    }
    let store = Arc::new(Store::new(&setup.backend_uuid, clock));
    let gate = Arc::new(Gate::new(upgrade::needed(&setup, &store).await?));
    into_backend(Versioned::new(store, gate), setup)
}
