//! One connection in a plugin's process over version 4 of the database protocol, from before Vault
//! 1.6 (wire spec 4.2).
//!
//! Its plugins make passwords themselves, have one connection in a process, and take no keys or
//! certificates. Left out: starting them, for which they unwrap a token.

use std::time::Duration;

use boltwork_logical::{
    BoxFuture, Credential, Data, Database, DatabaseError, MadeUser, NewUser, SecretText, UserChange,
};
use boltwork_wire::dbplugin::database_client::DatabaseClient;
use boltwork_wire::dbplugin::{
    Empty, InitRequest, InitializeRequest, RotateRootCredentialsRequest,
};
use boltwork_wire::{
    config_from_json, config_to_json, create_user_to_wire, created_user_from_wire,
    renew_user_to_wire, revoke_user_to_wire, set_credentials_to_wire,
};
use go_plugin::{Channel, MAX_MESSAGE};
use tonic::{Code, Response, Status};

use super::checks;
use super::seat::{CALL, LARGEST_ANSWER, SHORT_CALL, Seat, failed};
use crate::HostError;
use crate::process::Member;

/// The service that is called.
const SERVICE: &str = "dbplugin.Database";
/// What plugins lack that are older still.
const STATIC_ACCOUNTS: DatabaseError = DatabaseError::Unsupported("Static Accounts");

/// A connection in a plugin's process. Dropping it leaves the process.
pub(crate) struct Older {
    client: DatabaseClient<Channel>,
    seat: Seat,
}

impl Older {
    /// Opens a connection in a process that was joined for it, and makes sure that the process is
    /// a database plugin. On failure the process is left.
    pub async fn begin(member: Member, limit: Duration) -> Result<Self, HostError> {
        let client = DatabaseClient::new(member.process().client.channel())
            .max_decoding_message_size(LARGEST_ANSWER)
            .max_encoding_message_size(MAX_MESSAGE);
        let older = Self { client, seat: Seat::new(member) };
        let mut client = older.client();
        match older.seat.serves(SERVICE, limit, client.r#type(Empty {})).await {
            Ok(()) => Ok(older),
            Err(error) => {
                older.seat.leave().await;
                Err(error)
            }
        }
    }

    fn client(&self) -> DatabaseClient<Channel> {
        self.client.clone()
    }

    async fn answer<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, DatabaseError> {
        self.seat.call(CALL, call).await?.map_err(|status| failed(&status))
    }

    /// A call that only some plugins answer.
    async fn static_accounts<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, DatabaseError> {
        self.seat.call(CALL, call).await?.map_err(|status| match status.code() {
            Code::Unimplemented => STATIC_ACCOUNTS,
            _ => failed(&status),
        })
    }
}

fn malformed(why: impl std::fmt::Display) -> DatabaseError {
    DatabaseError::Failed(why.to_string())
}

impl Database for Older {
    fn initialize(&self, config: Data, verify: bool) -> BoxFuture<'_, Result<Data, DatabaseError>> {
        Box::pin(async move {
            let text = config_to_json(&config);
            let request = InitRequest { config: text.clone(), verify_connection: verify };
            let mut client = self.client();
            match self.seat.call(CALL, client.init(request)).await? {
                Ok(response) => {
                    let kept = config_from_json("InitResponse.config", response.config);
                    Ok(kept.map_err(malformed)?.unwrap_or(config))
                }
                // The call's first form, which keeps what it was given.
                Err(status) if status.code() == Code::Unimplemented => {
                    let request = InitializeRequest { config: text, verify_connection: verify };
                    self.answer(self.client().initialize(request)).await?;
                    Ok(config)
                }
                Err(status) => Err(failed(&status)),
            }
        })
    }

    /// Its credential is not looked at: the plugin makes a password.
    fn new_user(&self, user: NewUser) -> BoxFuture<'_, Result<MadeUser, DatabaseError>> {
        Box::pin(async move {
            let request = create_user_to_wire(&user);
            let response = self.answer(self.client().create_user(request)).await?;
            let made = created_user_from_wire(response);
            if made.username.is_empty() {
                return Err(malformed("unable to create new user: the plugin named no user"));
            }
            Ok(made)
        })
    }

    fn update_user(&self, change: UserChange) -> BoxFuture<'_, Result<(), DatabaseError>> {
        Box::pin(async move {
            checks::change(&change)?;
            match &change.credential {
                Some((Credential::Password(password), statements)) => {
                    let request = set_credentials_to_wire(&change.username, password, statements);
                    self.static_accounts(self.client().set_credentials(request)).await?;
                }
                Some(_) => {
                    return Err(DatabaseError::Unsupported("credentials other than passwords"));
                }
                None => {}
            }
            if let Some((end, statements)) = &change.expiration {
                let request = renew_user_to_wire(&change.username, *end, statements);
                self.answer(self.client().renew_user(request)).await?;
            }
            Ok(())
        })
    }

    fn delete_user<'a>(
        &'a self,
        username: &'a str,
        statements: &'a [String],
    ) -> BoxFuture<'a, Result<(), DatabaseError>> {
        Box::pin(async move {
            checks::username(username)?;
            let request = revoke_user_to_wire(username, statements);
            self.answer(self.client().revoke_user(request)).await.map(drop)
        })
    }

    fn kind(&self) -> BoxFuture<'_, Result<String, DatabaseError>> {
        Box::pin(async {
            let mut client = self.client();
            let answer = self.seat.call(SHORT_CALL, client.r#type(Empty {})).await?;
            answer.map(|response| response.r#type).map_err(|status| failed(&status))
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let mut client = self.client();
            // It has a process of its own, which ends with it.
            let _ = self.seat.call(SHORT_CALL, client.close(Empty {})).await;
            self.seat.leave().await;
        })
    }

    fn makes_passwords(&self) -> bool {
        true
    }

    fn make_password(&self) -> BoxFuture<'_, Result<SecretText, DatabaseError>> {
        Box::pin(async {
            let mut client = self.client();
            let call = client.generate_credentials(Empty {});
            self.static_accounts(call).await.map(|response| SecretText::new(response.password))
        })
    }

    fn rotate_root<'a>(
        &'a self,
        statements: &'a [String],
    ) -> BoxFuture<'a, Result<Data, DatabaseError>> {
        Box::pin(async move {
            let request = RotateRootCredentialsRequest { statements: statements.to_vec() };
            let response = self.answer(self.client().rotate_root_credentials(request)).await?;
            let config = config_from_json("RotateRootCredentialsResponse.config", response.config);
            let missing = || malformed("the plugin rotated its credentials and told no new ones");
            config.map_err(malformed)?.ok_or_else(missing)
        })
    }
}
