//! One connection in a plugin's process over version 5 of the database protocol (wire spec 4.1).
//!
//! Left out: who may still call (`connection`).

use std::fmt::Display;
use std::time::Duration;

use boltwork_logical::{BoxFuture, Data, Database, DatabaseError, MadeUser, NewUser, UserChange};
use boltwork_wire::dbplugin::v5::database_client::DatabaseClient;
use boltwork_wire::dbplugin::v5::{
    DeleteUserRequest, Empty, InitializeRequest, InitializeResponse, Statements,
};
use boltwork_wire::{
    change_to_wire, config_from_wire, config_to_wire, made_user_from_wire, new_user_to_wire,
};
use go_plugin::{Channel, MAX_MESSAGE};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Request, Response, Status};

use super::checks;
use super::seat::{CALL, LARGEST_ANSWER, SHORT_CALL, Seat};
use crate::HostError;
use crate::error::rpc_text;
use crate::live::{MULTIPLEX_ID, multiplex_id};
use crate::process::Member;

/// The service that is called.
pub(crate) const SERVICE: &str = "dbplugin.v5.Database";

/// A connection in a plugin's process. Dropping it leaves the process.
pub(crate) struct Remote {
    client: DatabaseClient<Channel>,
    multiplex_id: MetadataValue<Ascii>,
    seat: Seat,
}

impl Remote {
    /// Opens a connection in a process that was joined for it, and makes sure that the process is
    /// a database plugin. On failure the process is left.
    pub async fn begin(member: Member, limit: Duration) -> Result<Self, HostError> {
        let client = DatabaseClient::new(member.process().client.channel())
            .max_decoding_message_size(LARGEST_ANSWER)
            .max_encoding_message_size(MAX_MESSAGE);
        let remote = Self { client, multiplex_id: multiplex_id(), seat: Seat::new(member) };
        let mut client = remote.client();
        let asked = client.r#type(remote.request(Empty {}));
        match remote.seat.serves(SERVICE, limit, asked).await {
            Ok(()) => Ok(remote),
            Err(error) => {
                remote.seat.leave().await;
                Err(error)
            }
        }
    }

    fn client(&self) -> DatabaseClient<Channel> {
        self.client.clone()
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert(MULTIPLEX_ID, self.multiplex_id.clone());
        request
    }

    /// What came of a call: `said` is what Go's library says before the plugin's own words.
    async fn answer<T>(
        &self,
        said: &str,
        limit: Duration,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, DatabaseError> {
        let answer = self.seat.call(limit, call).await?;
        answer.map_err(|status| failed(said, rpc_text(&status)))
    }
}

fn failed(said: &str, why: impl Display) -> DatabaseError {
    DatabaseError::Failed(format!("{said}: {why}"))
}

fn statements(commands: &[String]) -> Option<Statements> {
    Some(Statements { commands: commands.to_vec() })
}

impl Database for Remote {
    fn initialize(&self, config: Data, verify: bool) -> BoxFuture<'_, Result<Data, DatabaseError>> {
        const SAID: &str = "unable to initialize";
        Box::pin(async move {
            let config = config_to_wire(&config).map_err(|why| failed(SAID, why))?;
            let request =
                InitializeRequest { config_data: Some(config), verify_connection: verify };
            let mut client = self.client();
            let call = client.initialize(self.request(request));
            let InitializeResponse { config_data } = self.answer(SAID, CALL, call).await?;
            config_from_wire(config_data).map_err(|why| failed(SAID, why))
        })
    }

    fn new_user(&self, user: NewUser) -> BoxFuture<'_, Result<MadeUser, DatabaseError>> {
        const SAID: &str = "unable to create new user";
        Box::pin(async move {
            checks::new_user(&user)?;
            let mut client = self.client();
            let call = client.new_user(self.request(new_user_to_wire(&user)));
            let made = made_user_from_wire(self.answer(SAID, CALL, call).await?);
            if made.username.is_empty() {
                // Nobody could use such a user, and nobody could remove it.
                return Err(failed(SAID, "the plugin named no user"));
            }
            Ok(made)
        })
    }

    fn update_user(&self, change: UserChange) -> BoxFuture<'_, Result<(), DatabaseError>> {
        Box::pin(async move {
            checks::change(&change)?;
            let mut client = self.client();
            let call = client.update_user(self.request(change_to_wire(&change)));
            self.answer("unable to update user", CALL, call).await.map(drop)
        })
    }

    fn delete_user<'a>(
        &'a self,
        username: &'a str,
        commands: &'a [String],
    ) -> BoxFuture<'a, Result<(), DatabaseError>> {
        Box::pin(async move {
            checks::username(username)?;
            let username = username.to_owned();
            let request = DeleteUserRequest { username, statements: statements(commands) };
            let mut client = self.client();
            let call = client.delete_user(self.request(request));
            self.answer("unable to delete user", CALL, call).await.map(drop)
        })
    }

    fn kind(&self) -> BoxFuture<'_, Result<String, DatabaseError>> {
        Box::pin(async {
            let mut client = self.client();
            let call = client.r#type(self.request(Empty {}));
            let answer = self.answer("unable to get database plugin type", SHORT_CALL, call);
            Ok(answer.await?.r#type)
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let mut client = self.client();
            let call = client.close(self.request(Empty {}));
            if let Err(error) = self.answer("closing", SHORT_CALL, call).await {
                let plugin = self.seat.process().order.entry.id.name.as_str();
                tracing::debug!(plugin, %error, "a database plugin did not close its connection");
            }
            self.seat.leave().await;
        })
    }
}
