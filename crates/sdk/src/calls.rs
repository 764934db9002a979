//! What a plugin process serves: the backend's calls, its version, and whether one process serves
//! several mounts (wire spec 2.3 to 2.7).

use std::{panic::AssertUnwindSafe, sync::Arc};

use boltwork_logical::{Error, Factory, Setup};
use boltwork_wire::{
    answer_to_wire, existence_to_wire, initialized_to_wire, kind_to_wire,
    logical::{
        self, VersionReply,
        plugin_version_server::{PluginVersion, PluginVersionServer},
    },
    multiplexing::{
        MultiplexingSupportRequest, MultiplexingSupportResponse,
        plugin_multiplexing_server::{PluginMultiplexing, PluginMultiplexingServer},
    },
    paths_to_wire,
    pb::{self, backend_server::BackendServer},
    request_from_wire,
};
use futures_util::FutureExt;
use go_plugin::{Broker, Channel, MAX_MESSAGE};
use tonic::{Request, Response, Status, metadata::MetadataMap, service::Routes};

use crate::{
    instances::{Instance, Instances},
    remote::{AheadStorage, RemoteStorage, RemoteSystem},
};

/// What is served.
#[derive(Clone)]
pub struct Plugin {
    /// Makes a backend for each mount.
    pub factory: Arc<dyn Factory>,
    /// The version to report.
    pub version: String,
    /// Whether the factory may be used more than once.
    pub multiplexed: bool,
    /// Whether the server only asks what the plugin is.
    pub metadata_only: bool,
}

/// The services of a plugin whose host is reached through `broker`.
pub fn routes(plugin: Plugin, broker: Broker) -> Routes {
    let instances = Instances::new(plugin.multiplexed, "no backend instance found");
    let multiplexed = plugin.multiplexed;
    let shared = Arc::new(Shared { plugin, broker, instances });
    let backend = BackendServer::new(Calls(Arc::clone(&shared)))
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let routes = Routes::new(backend).add_service(PluginVersionServer::new(Calls(shared)));
    if multiplexed {
        // Hosts take the mere presence of the service's answer for the ability.
        return routes.add_service(PluginMultiplexingServer::new(Multiplexed));
    }
    routes
}

struct Shared {
    plugin: Plugin,
    broker: Broker,
    instances: Instances<Instance>,
}

/// Implements the generated traits, whose methods would clash on `Shared` itself.
struct Calls(Arc<Shared>);

impl Shared {
    /// The backend of a call that only a plugin in earnest answers.
    fn working(&self, metadata: &MetadataMap) -> Result<Instance, Status> {
        if self.plugin.metadata_only {
            let text = "plugin server can not perform action while in metadata mode";
            return Err(Status::unknown(text));
        }
        self.instances.find(metadata)
    }

    /// Connects to the server and makes a backend.
    async fn set_up(&self, id: &str, args: pb::SetupArgs) -> Result<Result<(), Error>, Status> {
        let connection = self
            .broker
            .dial(args.broker_id)
            .await
            .map_err(|error| Status::unknown(format!("cannot reach the server: {error}")))?;
        let setup = given(&connection, args);
        let storage = Arc::clone(&setup.storage);
        let made = AssertUnwindSafe(self.plugin.factory.create(setup)).catch_unwind().await;
        let backend = match made {
            Ok(Ok(backend)) => backend,
            Ok(Err(error)) => return Ok(Err(error)),
            Err(_) => return Ok(Err(Error::internal("the plugin panicked while it was set up"))),
        };
        let instance = Instance { backend, storage };
        if let Some(earlier) = self.instances.insert(id, instance)? {
            earlier.backend.cleanup().await;
        }
        Ok(Ok(()))
    }
}

/// What a backend is given at birth.
fn given(connection: &Channel, args: pb::SetupArgs) -> Setup {
    Setup {
        storage: Arc::new(RemoteStorage::new(connection.clone())),
        system: Arc::new(RemoteSystem::new(connection.clone())),
        config: args.config.into_iter().collect(),
        backend_uuid: args.backend_uuid,
        // The protocol tells it with every request, and not here.
        mount_point: String::new(),
    }
}

#[tonic::async_trait]
impl pb::backend_server::Backend for Calls {
    async fn handle_request(
        &self,
        call: Request<pb::HandleRequestArgs>,
    ) -> Result<Response<pb::HandleRequestReply>, Status> {
        let instance = self.0.working(call.metadata())?;
        let pb::HandleRequestArgs { request, ahead, .. } = call.into_inner();
        let request = request.ok_or_else(no_request)?;
        let storage = AheadStorage::over(instance.storage, ahead);
        let answer = match request_from_wire(request, storage) {
            Ok(request) => instance.backend.handle(request).await,
            Err(malformed) => Err(Error::from(malformed).into()),
        };
        Ok(Response::new(answer_to_wire(&answer)))
    }

    async fn special_paths(
        &self,
        call: Request<pb::Empty>,
    ) -> Result<Response<pb::SpecialPathsReply>, Status> {
        let instance = self.0.instances.find(call.metadata())?;
        let paths = paths_to_wire(&instance.backend.special_paths());
        Ok(Response::new(pb::SpecialPathsReply { paths: Some(paths) }))
    }

    async fn handle_existence_check(
        &self,
        call: Request<pb::HandleExistenceCheckArgs>,
    ) -> Result<Response<pb::HandleExistenceCheckReply>, Status> {
        let instance = self.0.working(call.metadata())?;
        let request = call.into_inner().request.ok_or_else(no_request)?;
        let answer = match request_from_wire(request, instance.storage) {
            Ok(request) => instance.backend.exists(&request).await,
            Err(malformed) => Err(malformed.into()),
        };
        Ok(Response::new(existence_to_wire(&answer)))
    }

    async fn cleanup(&self, call: Request<pb::Empty>) -> Result<Response<pb::Empty>, Status> {
        let instances = &self.0.instances;
        // An unknown backend is an error, as in the other calls.
        instances.find(call.metadata())?;
        if let Some(instance) = instances.remove(instances.id(call.metadata())?) {
            instance.backend.cleanup().await;
        }
        Ok(Response::new(pb::Empty {}))
    }

    async fn invalidate_key(
        &self,
        call: Request<pb::InvalidateKeyArgs>,
    ) -> Result<Response<pb::Empty>, Status> {
        let instance = self.0.working(call.metadata())?;
        instance.backend.invalidate(&call.into_inner().key).await;
        Ok(Response::new(pb::Empty {}))
    }

    async fn setup(
        &self,
        call: Request<pb::SetupArgs>,
    ) -> Result<Response<pb::SetupReply>, Status> {
        let id = self.0.instances.id(call.metadata())?.to_owned();
        let outcome = self.0.set_up(&id, call.into_inner()).await?;
        let err = outcome.err().map(|error| error.to_string()).unwrap_or_default();
        Ok(Response::new(pb::SetupReply { err }))
    }

    async fn initialize(
        &self,
        call: Request<pb::InitializeArgs>,
    ) -> Result<Response<pb::InitializeReply>, Status> {
        let instance = self.0.working(call.metadata())?;
        let outcome = instance.backend.initialize().await;
        Ok(Response::new(initialized_to_wire(&outcome)))
    }

    async fn r#type(&self, call: Request<pb::Empty>) -> Result<Response<pb::TypeReply>, Status> {
        let instance = self.0.instances.find(call.metadata())?;
        Ok(Response::new(pb::TypeReply { r#type: kind_to_wire(instance.backend.kind()) }))
    }
}

fn no_request() -> Status {
    Status::invalid_argument("malformed message: request is missing")
}

#[tonic::async_trait]
impl PluginVersion for Calls {
    async fn version(
        &self,
        call: Request<logical::Empty>,
    ) -> Result<Response<VersionReply>, Status> {
        self.0.instances.find(call.metadata())?;
        let plugin_version = self.0.plugin.version.clone();
        Ok(Response::new(VersionReply { plugin_version }))
    }
}

/// Says that several instances may live in this process.
pub(crate) struct Multiplexed;

#[tonic::async_trait]
impl PluginMultiplexing for Multiplexed {
    async fn multiplexing_support(
        &self,
        _: Request<MultiplexingSupportRequest>,
    ) -> Result<Response<MultiplexingSupportResponse>, Status> {
        Ok(Response::new(MultiplexingSupportResponse { supported: true }))
    }
}
