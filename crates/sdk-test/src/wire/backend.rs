//! A backend behind the plugin protocol.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use boltwork_logical::{
    Backend, BackendKind, BoxFuture, Error, Existence, Failure, Operation, Reply, Request, Setup,
    SpecialPaths, Storage,
};
use boltwork_wire::{
    answer_from_wire, entry_to_wire, existence_from_wire, initialized_from_wire, kind_from_wire,
    paths_from_wire,
    pb::{
        self, backend_client::BackendClient, storage_server::StorageServer,
        system_view_server::SystemViewServer,
    },
    request_to_wire,
};
use go_plugin::{Channel, MAX_MESSAGE, broker::Accepted, host::Loopback};
use tonic::{Status, metadata::AsciiMetadataValue, service::Routes};

use super::{storage::StorageService, system::SystemService};

/// A backend in a plugin, with what keeps it alive.
pub(super) struct Remote {
    client: BackendClient<Channel>,
    id: AsciiMetadataValue,
    kind: BackendKind,
    special: Arc<SpecialPaths>,
    storage: Arc<dyn Storage>,
    reads: AtomicUsize,
    _services: Accepted,
    _home: Loopback,
}

fn lost(status: Status) -> Error {
    Error::unavailable(status.message())
}

impl Remote {
    /// Offers storage and system view to the plugin, and has it make a backend.
    pub async fn set_up(home: Loopback, setup: Setup) -> Result<Self, Error> {
        let failed = |why: &dyn std::fmt::Display| Error::internal(why.to_string());
        let kept = Arc::clone(&setup.storage);
        let storage = StorageServer::new(StorageService::new(setup.storage))
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        let system = SystemViewServer::new(SystemService(setup.system));
        let services = home.broker().accept(|_| Routes::new(storage).add_service(system)).await;
        let services = services.map_err(|why| failed(&why))?;
        let client = BackendClient::new(home.channel())
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        let id = AsciiMetadataValue::from_static("0123456789");
        let mut remote = Self {
            client,
            id,
            kind: BackendKind::Unknown,
            special: Arc::default(),
            storage: kept,
            reads: AtomicUsize::new(0),
            _services: services,
            _home: home,
        };
        let args = pb::SetupArgs {
            broker_id: remote._services.id,
            config: setup.config.into_iter().collect(),
            backend_uuid: setup.backend_uuid,
        };
        let reply = remote.client().setup(remote.call(args)).await.map_err(lost)?.into_inner();
        if !reply.err.is_empty() {
            return Err(Error::Internal(reply.err));
        }
        let kind = remote.client().r#type(remote.call(pb::Empty {})).await.map_err(lost)?;
        remote.kind = kind_from_wire(kind.into_inner().r#type);
        let paths = remote.client().special_paths(remote.call(pb::Empty {})).await.map_err(lost)?;
        remote.special =
            Arc::new(paths.into_inner().paths.map(paths_from_wire).unwrap_or_default());
        Ok(remote)
    }

    /// Every second read is sent what it will ask for, as by Boltwork. The others fetch it, as
    /// everywhere else.
    async fn ahead(&self, request: &Request) -> Option<pb::StorageEntry> {
        if request.operation != Operation::Read
            || self.reads.fetch_add(1, Ordering::Relaxed).is_multiple_of(2)
        {
            return None;
        }
        let key = self.special.read_ahead_key(&request.path)?;
        self.storage.get(&key).await.ok()?.map(entry_to_wire)
    }

    fn client(&self) -> BackendClient<Channel> {
        self.client.clone()
    }

    fn call<T>(&self, message: T) -> tonic::Request<T> {
        let mut call = tonic::Request::new(message);
        call.metadata_mut().insert("multiplex_id", self.id.clone());
        call
    }
}

impl Backend for Remote {
    fn kind(&self) -> BackendKind {
        self.kind
    }

    fn special_paths(&self) -> Arc<SpecialPaths> {
        Arc::clone(&self.special)
    }

    fn initialize(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async {
            let call = self.call(pb::InitializeArgs {});
            initialized_from_wire(self.client().initialize(call).await.map_err(lost)?.into_inner())
        })
    }

    fn handle(&self, request: Request) -> BoxFuture<'_, Result<Option<Reply>, Failure>> {
        Box::pin(async move {
            let ahead = self.ahead(&request).await;
            let request = Some(request_to_wire(&request));
            let call = self.call(pb::HandleRequestArgs { storage_id: 0, request, ahead });
            answer_from_wire(self.client().handle_request(call).await.map_err(lost)?.into_inner())
        })
    }

    fn exists<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Existence, Error>> {
        Box::pin(async move {
            let request = Some(request_to_wire(request));
            let call = self.call(pb::HandleExistenceCheckArgs { storage_id: 0, request });
            let reply = self.client().handle_existence_check(call).await.map_err(lost)?;
            existence_from_wire(reply.into_inner())
        })
    }

    fn invalidate<'a>(&'a self, key: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let call = self.call(pb::InvalidateKeyArgs { key: key.to_owned() });
            let told = self.client().invalidate_key(call).await;
            told.expect("the plugin should take notice of a change");
        })
    }

    fn cleanup(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let cleaned = self.client().cleanup(self.call(pb::Empty {})).await;
            cleaned.expect("the plugin should clean up");
        })
    }
}
