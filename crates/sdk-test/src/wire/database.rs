//! A database behind the plugin protocol, version 6: as a server has it, without its supervision.

use std::sync::Arc;

use boltwork_logical::{
    BoxFuture, Data, Database, DatabaseError, DatabaseFactory, MadeUser, NewUser, UserChange,
};
use boltwork_sdk::internal::{DatabasePlugin, database_routes};
use boltwork_wire::dbplugin::v5::{self, database_client::DatabaseClient};
use boltwork_wire::{
    change_to_wire, config_from_wire, config_to_wire, made_user_from_wire, new_user_to_wire,
};
use go_plugin::{Channel, MAX_MESSAGE, host::Loopback};
use tonic::{Response, Status, metadata::AsciiMetadataValue};

/// The version of the protocol in which one process serves several connections.
const PROTOCOL: u32 = 6;

/// A connection in a plugin, with what keeps it alive.
struct Remote {
    client: DatabaseClient<Channel>,
    id: AsciiMetadataValue,
    _home: Loopback,
}

/// Serves a factory as a database plugin, and opens one connection of it.
pub(crate) async fn open(
    factory: Arc<dyn DatabaseFactory>,
) -> Result<Arc<dyn Database>, DatabaseError> {
    let version = "v1.2.3".to_owned();
    let plugin = DatabasePlugin { factory, version, multiplexed: true, metadata_only: false };
    let home = Loopback::start(PROTOCOL, |_| database_routes(plugin)).await;
    let home = home.map_err(|why| DatabaseError::Failed(why.to_string()))?;
    let client = DatabaseClient::new(home.channel())
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let id = AsciiMetadataValue::from_static("0123456789");
    Ok(Arc::new(Remote { client, id, _home: home }))
}

/// What the plugin says, as it says it.
fn answer<T>(answer: Result<Response<T>, Status>) -> Result<T, DatabaseError> {
    let said = |status: Status| DatabaseError::Failed(status.message().to_owned());
    answer.map(Response::into_inner).map_err(said)
}

fn malformed(why: &boltwork_wire::WireError) -> DatabaseError {
    DatabaseError::Failed(why.to_string())
}

impl Remote {
    fn client(&self) -> DatabaseClient<Channel> {
        self.client.clone()
    }

    fn call<T>(&self, message: T) -> tonic::Request<T> {
        let mut call = tonic::Request::new(message);
        call.metadata_mut().insert("multiplex_id", self.id.clone());
        call
    }
}

impl Database for Remote {
    fn initialize(&self, config: Data, verify: bool) -> BoxFuture<'_, Result<Data, DatabaseError>> {
        Box::pin(async move {
            let config = config_to_wire(&config).map_err(|why| malformed(&why))?;
            let request =
                v5::InitializeRequest { config_data: Some(config), verify_connection: verify };
            let kept = answer(self.client().initialize(self.call(request)).await)?;
            config_from_wire(kept.config_data).map_err(|why| malformed(&why))
        })
    }

    fn new_user(&self, user: NewUser) -> BoxFuture<'_, Result<MadeUser, DatabaseError>> {
        Box::pin(async move {
            let call = self.call(new_user_to_wire(&user));
            answer(self.client().new_user(call).await).map(made_user_from_wire)
        })
    }

    fn update_user(&self, change: UserChange) -> BoxFuture<'_, Result<(), DatabaseError>> {
        Box::pin(async move {
            let call = self.call(change_to_wire(&change));
            answer(self.client().update_user(call).await).map(drop)
        })
    }

    fn delete_user<'a>(
        &'a self,
        username: &'a str,
        statements: &'a [String],
    ) -> BoxFuture<'a, Result<(), DatabaseError>> {
        Box::pin(async move {
            let statements = Some(v5::Statements { commands: statements.to_vec() });
            let request = v5::DeleteUserRequest { username: username.to_owned(), statements };
            answer(self.client().delete_user(self.call(request)).await).map(drop)
        })
    }

    fn kind(&self) -> BoxFuture<'_, Result<String, DatabaseError>> {
        Box::pin(async {
            let answered = answer(self.client().r#type(self.call(v5::Empty {})).await);
            answered.map(|response| response.r#type)
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let closed = self.client().close(self.call(v5::Empty {})).await;
            closed.expect("the plugin should close its connection");
        })
    }
}
