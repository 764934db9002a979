//! The server's view for plugins, at the server (wire spec 2.10).
//!
//! Questions without an error in their answer are answered with the harmless value when the server
//! cannot be asked, as Go plugins do.

use std::time::Duration;

use boltwork_logical::{
    BoxFuture, Data, Entity, Error, Group, PluginEnvironment, ReplicationState, SystemView,
    WrapInfo,
};
use boltwork_wire::{
    duration_to_nanos, entity_from_wire, environment_from_wire, group_from_wire,
    pb::{self, system_view_client::SystemViewClient},
    wrap_info_from_wire,
};
use go_plugin::{Channel, MAX_MESSAGE};
use tonic::{Code, Status};

/// The system view over one connection.
pub(crate) struct RemoteSystem {
    client: SystemViewClient<Channel>,
}

impl RemoteSystem {
    /// The system view over this connection.
    pub fn new(connection: Channel) -> Self {
        let client = SystemViewClient::new(connection)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        Self { client }
    }

    fn client(&self) -> SystemViewClient<Channel> {
        self.client.clone()
    }
}

/// A call that brought no answer.
fn lost(status: Status) -> Error {
    let text = status.message();
    match status.code() {
        Code::Unimplemented => Error::internal("this server does not offer what was asked of it"),
        Code::Unavailable | Code::Cancelled => {
            Error::unavailable(format!("the connection to the server is lost: {text}"))
        }
        Code::InvalidArgument => Error::invalid(text),
        _ => Error::internal(text),
    }
}

/// The text of an answer that is an error; empty is success.
fn told(text: String) -> Result<(), Error> {
    if text.is_empty() { Ok(()) } else { Err(Error::internal(text)) }
}

/// A TTL in the answer to a question that has no error.
fn ttl(answer: Result<tonic::Response<pb::TtlReply>, Status>) -> Duration {
    let nanos = answer.map(|reply| reply.into_inner().ttl).unwrap_or_default();
    Duration::from_nanos(u64::try_from(nanos).unwrap_or_default())
}

impl SystemView for RemoteSystem {
    fn default_lease_ttl(&self) -> BoxFuture<'_, Duration> {
        Box::pin(async { ttl(self.client().default_lease_ttl(pb::Empty {}).await) })
    }

    fn max_lease_ttl(&self) -> BoxFuture<'_, Duration> {
        Box::pin(async { ttl(self.client().max_lease_ttl(pb::Empty {}).await) })
    }

    fn tainted(&self) -> BoxFuture<'_, bool> {
        Box::pin(async {
            let answer = self.client().tainted(pb::Empty {}).await;
            answer.is_ok_and(|reply| reply.into_inner().tainted)
        })
    }

    fn caching_disabled(&self) -> BoxFuture<'_, bool> {
        Box::pin(async {
            let answer = self.client().caching_disabled(pb::Empty {}).await;
            answer.is_ok_and(|reply| reply.into_inner().disabled)
        })
    }

    fn replication_state(&self) -> BoxFuture<'_, ReplicationState> {
        Box::pin(async {
            let answer = self.client().replication_state(pb::Empty {}).await;
            let bits = answer.map(|reply| reply.into_inner().state).unwrap_or_default();
            // Bits, sent as a signed number.
            match bits.cast_unsigned() {
                0 => ReplicationState::SINGLE,
                bits => ReplicationState(bits),
            }
        })
    }

    fn mlock_enabled(&self) -> BoxFuture<'_, bool> {
        Box::pin(async {
            let answer = self.client().mlock_enabled(pb::Empty {}).await;
            answer.is_ok_and(|reply| reply.into_inner().enabled)
        })
    }

    fn local_mount(&self) -> BoxFuture<'_, bool> {
        Box::pin(async {
            let answer = self.client().local_mount(pb::Empty {}).await;
            answer.is_ok_and(|reply| reply.into_inner().local)
        })
    }

    fn entity_info<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Entity>, Error>> {
        Box::pin(async move {
            let args = pb::EntityInfoArgs { entity_id: id.to_owned() };
            let reply = self.client().entity_info(args).await.map_err(lost)?.into_inner();
            told(reply.err)?;
            Ok(reply.entity.map(entity_from_wire))
        })
    }

    fn groups_for_entity<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Vec<Group>, Error>> {
        Box::pin(async move {
            let args = pb::EntityInfoArgs { entity_id: id.to_owned() };
            let reply = self.client().groups_for_entity(args).await.map_err(lost)?.into_inner();
            told(reply.err)?;
            Ok(reply.groups.into_iter().map(group_from_wire).collect())
        })
    }

    fn plugin_environment(&self) -> BoxFuture<'_, Result<PluginEnvironment, Error>> {
        Box::pin(async {
            let reply = self.client().plugin_env(pb::Empty {}).await.map_err(lost)?.into_inner();
            told(reply.err)?;
            Ok(reply.plugin_environment.map(environment_from_wire).unwrap_or_default())
        })
    }

    fn generate_password<'a>(&'a self, policy: &'a str) -> BoxFuture<'a, Result<String, Error>> {
        Box::pin(async move {
            let args = pb::GeneratePasswordFromPolicyRequest { policy_name: policy.to_owned() };
            let reply = self.client().generate_password_from_policy(args).await.map_err(lost)?;
            Ok(reply.into_inner().password)
        })
    }

    fn cluster_info(&self) -> BoxFuture<'_, Result<(String, String), Error>> {
        Box::pin(async {
            let reply = self.client().cluster_info(pb::Empty {}).await.map_err(lost)?.into_inner();
            told(reply.err)?;
            Ok((reply.cluster_name, reply.cluster_id))
        })
    }

    fn wrap_data(&self, data: Data, ttl: Duration) -> BoxFuture<'_, Result<WrapInfo, Error>> {
        Box::pin(async move {
            let args = pb::ResponseWrapDataArgs {
                data: data.as_str().to_owned(),
                ttl: duration_to_nanos(ttl),
                jwt: false,
            };
            let reply = self.client().response_wrap_data(args).await.map_err(lost)?.into_inner();
            told(reply.err)?;
            let missing = || Error::internal("the server wrapped the data and gave no token");
            Ok(wrap_info_from_wire(reply.wrap_info.ok_or_else(missing)?)?)
        })
    }
}
