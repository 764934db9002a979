//! What the server offers to one backend in a plugin process: its storage and its view of the
//! server, over a connection of its own that the broker makes.
//!
//! Each backend has its own set, so a plugin that serves many mounts cannot reach one mount's
//! storage with another's connection. Everything ends when the value that `accept` gave is dropped.

mod notices;
mod storage;
mod system;
mod transactions;

use std::sync::Arc;

use boltwork_logical::{Storage, SystemView};
use boltwork_wire::pb::events_server::EventsServer;
use boltwork_wire::pb::observations_server::ObservationsServer;
use boltwork_wire::pb::storage_server::StorageServer;
use boltwork_wire::pb::system_view_server::SystemViewServer;
use go_plugin::MAX_MESSAGE;
use go_plugin::host::LONGEST_FROM_PLUGIN;
use tonic::service::Routes;

use notices::Notices;
use storage::StorageService;
use system::SystemService;
use transactions::Transactions;

/// The services for one backend.
#[derive(Clone)]
pub(crate) struct Callbacks {
    storage: Arc<dyn Storage>,
    system: Arc<dyn SystemView>,
    transactions: Arc<Transactions>,
    plugin: Arc<str>,
}

impl Callbacks {
    /// Services on this storage and this view; `plugin` is for logs.
    pub fn new(
        storage: Arc<dyn Storage>,
        system: Arc<dyn SystemView>,
        plugin: impl Into<Arc<str>>,
    ) -> Self {
        Self { storage, system, transactions: Arc::default(), plugin: plugin.into() }
    }

    /// To be served to the plugin.
    pub fn routes(&self) -> Routes {
        let storage = StorageService::new(self.storage.clone(), self.transactions.clone());
        let notices = Notices::new(self.plugin.clone());
        let big = |server: StorageServer<StorageService>| {
            server
                .max_decoding_message_size(LONGEST_FROM_PLUGIN)
                .max_encoding_message_size(MAX_MESSAGE)
        };
        Routes::new(big(StorageServer::new(storage)))
            .add_service(
                SystemViewServer::new(SystemService::new(self.system.clone()))
                    .max_decoding_message_size(LONGEST_FROM_PLUGIN)
                    .max_encoding_message_size(MAX_MESSAGE),
            )
            .add_service(EventsServer::new(notices.clone()))
            .add_service(ObservationsServer::new(notices))
            .prepare()
    }

    /// Forgets every open transaction: the process that held them is gone, or its backend is.
    pub fn end(&self) {
        self.transactions.end();
    }
}
