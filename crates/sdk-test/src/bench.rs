//! Making mounts for tests.

use std::{collections::BTreeMap, sync::Arc};

use boltwork_logical::{Backend, Error, Factory, Setup, SystemView};
use boltwork_sdk::{Engine, factory, factory_with};

use crate::{FakeSystem, Home, MemoryStorage, Mount, wire};

/// Where test mounts are.
const POINT: &str = "test/";

/// An engine that is to be mounted for a test, and what it is to find there.
#[derive(Clone)]
pub struct Bench {
    factory: Arc<dyn Factory>,
    options: BTreeMap<String, String>,
    system: FakeSystem,
    storage: Option<MemoryStorage>,
}

/// The engine mounted twice: in this process, and behind the wire. Each has storage of its own and
/// has been initialized. Fails the test if it cannot be mounted.
pub async fn both<E: Engine>(make: impl Fn() -> E + Send + Sync + 'static) -> [Mount; 2] {
    Bench::new(make).both().await
}

impl Bench {
    /// For an engine that needs nothing of its mount.
    pub fn new<E: Engine>(make: impl Fn() -> E + Send + Sync + 'static) -> Self {
        Self::of(factory(make))
    }

    /// For an engine that depends on its mount's options.
    pub fn with<E: Engine>(
        make: impl Fn(&Setup) -> Result<E, Error> + Send + Sync + 'static,
    ) -> Self {
        Self::of(factory_with(make))
    }

    /// For whatever makes backends.
    pub fn of(factory: Arc<dyn Factory>) -> Self {
        let (options, system) = (BTreeMap::new(), FakeSystem::default());
        Self { factory, options, system, storage: None }
    }

    /// An option of the mount.
    pub fn option(mut self, name: &str, value: &str) -> Self {
        self.options.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The server that the engine finds.
    pub fn system(mut self, system: FakeSystem) -> Self {
        self.system = system;
        self
    }

    /// The storage that the engine finds, instead of empty storage for each mount: for what
    /// outlives a mount, or comes without transactions.
    pub fn storage(mut self, storage: MemoryStorage) -> Self {
        self.storage = Some(storage);
        self
    }

    /// Mounts in both homes.
    pub async fn both(&self) -> [Mount; 2] {
        [self.in_process().await, self.over_the_wire().await]
    }

    /// Mounts in this process. Fails the test if that cannot be done.
    pub async fn in_process(&self) -> Mount {
        self.mount(Home::InProcess).await.expect("the engine should be mounted in process")
    }

    /// Mounts as a plugin, over go-plugin's protocol with mutual TLS. Fails the test if that cannot
    /// be done.
    pub async fn over_the_wire(&self) -> Mount {
        self.mount(Home::OverTheWire).await.expect("the engine should be mounted over the wire")
    }

    /// Mounts, and hands errors to the test.
    pub async fn mount(&self, home: Home) -> Result<Mount, Error> {
        let storage = self.storage.clone().unwrap_or_default();
        let system: Arc<dyn SystemView> = Arc::new(self.system.clone());
        let setup = Setup {
            storage: Arc::new(storage.clone()),
            system,
            config: self.options.clone(),
            backend_uuid: uuid::Uuid::new_v4().to_string(),
            mount_point: POINT.to_owned(),
        };
        storage.during_setup(true);
        let backend: Arc<dyn Backend> = match home {
            Home::InProcess => self.factory.create(setup).await?,
            Home::OverTheWire => wire::plug_in(Arc::clone(&self.factory), setup).await?,
        };
        storage.during_setup(false);
        backend.initialize().await?;
        Ok(Mount::new(home, backend, storage, POINT))
    }
}
