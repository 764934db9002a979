//! What the process of a database plugin serves: version 5 of the database protocol, the plugin's
//! version, and whether one process serves several connections (wire spec 4.1).
//!
//! Codes and texts of refusals are those of Go's library, for servers show them. Left out: hiding
//! secrets in errors; the server knows the connection's secrets and does that.

use std::{fmt::Display, panic::AssertUnwindSafe, sync::Arc};

use boltwork_logical::{Database, DatabaseError, DatabaseFactory};
use boltwork_wire::{
    WireError, change_from_wire, config_from_wire, config_to_wire,
    dbplugin::v5::{
        self,
        database_server::{self, DatabaseServer},
    },
    logical::{
        self, VersionReply,
        plugin_version_server::{PluginVersion, PluginVersionServer},
    },
    multiplexing::plugin_multiplexing_server::PluginMultiplexingServer,
    new_user_from_wire, statements_from_wire,
};
use futures_util::FutureExt;
use go_plugin::MAX_MESSAGE;
use tonic::{Request, Response, Status, metadata::MetadataMap, service::Routes};

use crate::{calls::Multiplexed, instances::Instances};

/// What is served.
#[derive(Clone)]
pub struct DatabasePlugin {
    /// Makes a database for each connection.
    pub factory: Arc<dyn DatabaseFactory>,
    /// The version to report.
    pub version: String,
    /// Whether the process may hold several.
    pub multiplexed: bool,
    /// Whether the server only asks what the plugin is.
    pub metadata_only: bool,
}

/// The services of a database plugin.
pub fn database_routes(plugin: DatabasePlugin) -> Routes {
    let multiplexed = plugin.multiplexed;
    let databases = Instances::new(multiplexed, "no database instance found");
    let calls = Calls(Arc::new(Shared { plugin, databases }));
    let database = DatabaseServer::new(calls.clone())
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let routes = Routes::new(database).add_service(PluginVersionServer::new(calls));
    if multiplexed {
        // Hosts take the mere presence of the service's answer for the ability.
        return routes.add_service(PluginMultiplexingServer::new(Multiplexed));
    }
    routes
}

struct Shared {
    plugin: DatabasePlugin,
    databases: Instances<Arc<dyn Database>>,
}

#[derive(Clone)]
struct Calls(Arc<Shared>);

impl Shared {
    /// The database of a call; made if there is none yet.
    fn found_or_made(&self, metadata: &MetadataMap) -> Result<Arc<dyn Database>, Status> {
        self.databases.find_or_make(metadata, || {
            let make = AssertUnwindSafe(|| self.plugin.factory.create());
            match std::panic::catch_unwind(make) {
                Ok(made) => made.map_err(|error| Status::unknown(error.to_string())),
                Err(_) => Err(Status::unknown("the plugin panicked while it made a database")),
            }
        })
    }

    /// The database of a call that works with one. The only one of a process is always there.
    fn found(&self, metadata: &MetadataMap) -> Result<Arc<dyn Database>, Status> {
        self.in_earnest()?;
        match self.plugin.multiplexed {
            true => self.databases.find(metadata),
            false => self.found_or_made(metadata),
        }
    }

    fn in_earnest(&self) -> Result<(), Status> {
        if self.plugin.metadata_only {
            let text = "plugin server can not perform action while in metadata mode";
            return Err(Status::unknown(text));
        }
        Ok(())
    }
}

/// Runs an author's method. A panic in it is this call's failure and nobody else's.
async fn guarded<T>(
    method: impl Future<Output = Result<T, DatabaseError>>,
    said: &str,
) -> Result<T, Status> {
    match AssertUnwindSafe(method).catch_unwind().await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(Status::internal(format!("{said}: {error}"))),
        Err(_) => Err(Status::internal(format!("{said}: the plugin panicked"))),
    }
}

fn refused(text: impl Display) -> Status {
    Status::invalid_argument(text.to_string())
}

/// A message that cannot be understood. Go's words where it has some.
fn malformed(error: &WireError) -> Status {
    match error {
        WireError::Missing("username_config") => refused("missing username config"),
        WireError::Field { field, why } if field.ends_with(".expiration") => {
            refused(format!("unable to parse expiration date: {why}"))
        }
        other => refused(other),
    }
}

#[tonic::async_trait]
impl database_server::Database for Calls {
    async fn initialize(
        &self,
        call: Request<v5::InitializeRequest>,
    ) -> Result<Response<v5::InitializeResponse>, Status> {
        self.0.in_earnest()?;
        let database = self.0.found_or_made(call.metadata())?;
        let v5::InitializeRequest { config_data, verify_connection } = call.into_inner();
        let config = config_from_wire(config_data).map_err(|error| malformed(&error))?;
        let method = async { database.initialize(config, verify_connection).await };
        let kept = guarded(method, "failed to initialize").await?;
        let config_data = config_to_wire(&kept).map_err(|error| {
            Status::internal(format!("failed to marshal new config to JSON: {error}"))
        })?;
        Ok(Response::new(v5::InitializeResponse { config_data: Some(config_data) }))
    }

    async fn new_user(
        &self,
        call: Request<v5::NewUserRequest>,
    ) -> Result<Response<v5::NewUserResponse>, Status> {
        let (metadata, _, request) = call.into_parts();
        let user = new_user_from_wire(request).map_err(|error| malformed(&error))?;
        let database = self.0.found(&metadata)?;
        let method = async { database.new_user(user).await };
        let made = guarded(method, "unable to create new user").await?;
        Ok(Response::new(v5::NewUserResponse { username: made.username }))
    }

    async fn update_user(
        &self,
        call: Request<v5::UpdateUserRequest>,
    ) -> Result<Response<v5::UpdateUserResponse>, Status> {
        let (metadata, _, request) = call.into_parts();
        if request.username.is_empty() {
            return Err(refused("no username provided"));
        }
        let change = change_from_wire(request).map_err(|error| malformed(&error))?;
        if change.credential.is_none() && change.expiration.is_none() {
            return Err(refused("update user request has no changes"));
        }
        let database = self.0.found(&metadata)?;
        let method = async { database.update_user(change).await };
        guarded(method, "unable to update user").await?;
        Ok(Response::new(v5::UpdateUserResponse {}))
    }

    async fn delete_user(
        &self,
        call: Request<v5::DeleteUserRequest>,
    ) -> Result<Response<v5::DeleteUserResponse>, Status> {
        let (metadata, _, v5::DeleteUserRequest { username, statements }) = call.into_parts();
        if username.is_empty() {
            return Err(refused("no username provided"));
        }
        let database = self.0.found(&metadata)?;
        let statements = statements_from_wire(statements);
        let method = async { database.delete_user(&username, &statements).await };
        guarded(method, "unable to delete user").await?;
        Ok(Response::new(v5::DeleteUserResponse {}))
    }

    async fn r#type(&self, call: Request<v5::Empty>) -> Result<Response<v5::TypeResponse>, Status> {
        let database = self.0.found_or_made(call.metadata())?;
        let method = async { database.kind().await };
        let kind = guarded(method, "unable to retrieve type").await?;
        Ok(Response::new(v5::TypeResponse { r#type: kind }))
    }

    async fn close(&self, call: Request<v5::Empty>) -> Result<Response<v5::Empty>, Status> {
        let databases = &self.0.databases;
        if self.0.plugin.multiplexed {
            // An unknown database is an error, as in the other calls.
            databases.find(call.metadata())?;
        }
        if let Some(database) = databases.remove(databases.id(call.metadata())?) {
            let method = async {
                database.close().await;
                Ok(())
            };
            guarded(method, "unable to close database plugin").await?;
        }
        Ok(Response::new(v5::Empty {}))
    }
}

#[tonic::async_trait]
impl PluginVersion for Calls {
    /// Servers ask this with an id, without one, and before there is any database.
    async fn version(&self, _: Request<logical::Empty>) -> Result<Response<VersionReply>, Status> {
        let plugin_version = self.0.plugin.version.clone();
        Ok(Response::new(VersionReply { plugin_version }))
    }
}
