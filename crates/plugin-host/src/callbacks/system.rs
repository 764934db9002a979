//! `pb.SystemView`: what a plugin may ask of the server (wire spec 2.10).
//!
//! Left out: HashiCorp's identity tokens and rotation jobs, which are answered as they are by every
//! server that has not got them.

use std::sync::Arc;

use boltwork_logical::{Data, SystemView};
use boltwork_wire::pb::system_view_server::SystemView as Service;
use boltwork_wire::pb::{
    CachingDisabledReply, ClusterInfoReply, DeregisterRotationJobRequest, Empty, EntityInfoArgs,
    EntityInfoReply, GenerateIdentityTokenRequest, GenerateIdentityTokenResponse,
    GeneratePasswordFromPolicyReply, GeneratePasswordFromPolicyRequest, GroupsForEntityReply,
    LocalMountReply, MlockEnabledReply, PluginEnvReply, RegisterRotationJobRequest,
    RegisterRotationJobResponse, ReplicationStateReply, ResponseWrapDataArgs,
    ResponseWrapDataReply, TaintedReply, TtlReply,
};
use boltwork_wire::{
    duration_from_nanos, duration_to_nanos, entity_to_wire, environment_to_wire, group_to_wire,
    wrap_info_to_wire,
};
use tonic::{Request, Response, Status};

pub(super) struct SystemService(Arc<dyn SystemView>);

impl SystemService {
    pub fn new(system: Arc<dyn SystemView>) -> Self {
        Self(system)
    }
}

type Answer<T> = Result<Response<T>, Status>;

fn answer<T>(message: T) -> Answer<T> {
    Ok(Response::new(message))
}

/// Failures are text, and an empty text is success: so it is never empty.
fn text(error: &boltwork_logical::Error) -> String {
    let text = error.to_string();
    if text.is_empty() { "it failed without a reason".to_owned() } else { text }
}

#[tonic::async_trait]
impl Service for SystemService {
    async fn default_lease_ttl(&self, _: Request<Empty>) -> Answer<TtlReply> {
        answer(TtlReply { ttl: duration_to_nanos(self.0.default_lease_ttl().await) })
    }

    async fn max_lease_ttl(&self, _: Request<Empty>) -> Answer<TtlReply> {
        answer(TtlReply { ttl: duration_to_nanos(self.0.max_lease_ttl().await) })
    }

    async fn tainted(&self, _: Request<Empty>) -> Answer<TaintedReply> {
        answer(TaintedReply { tainted: self.0.tainted().await })
    }

    async fn caching_disabled(&self, _: Request<Empty>) -> Answer<CachingDisabledReply> {
        answer(CachingDisabledReply { disabled: self.0.caching_disabled().await })
    }

    async fn replication_state(&self, _: Request<Empty>) -> Answer<ReplicationStateReply> {
        let bits = self.0.replication_state().await.0;
        answer(ReplicationStateReply { state: i32::try_from(bits).unwrap_or_default() })
    }

    async fn response_wrap_data(
        &self,
        request: Request<ResponseWrapDataArgs>,
    ) -> Answer<ResponseWrapDataReply> {
        let args = request.into_inner();
        let data = Data::parse(args.data.into_bytes())
            .map_err(|why| Status::invalid_argument(format!("ResponseWrapDataArgs.data: {why}")))?;
        let ttl = duration_from_nanos("ResponseWrapDataArgs.TTL", args.ttl)
            .map_err(|why| Status::invalid_argument(why.to_string()))?;
        answer(match self.0.wrap_data(data, ttl).await {
            Ok(wrap) => ResponseWrapDataReply {
                wrap_info: Some(wrap_info_to_wire(&wrap)),
                err: String::new(),
            },
            Err(error) => ResponseWrapDataReply { wrap_info: None, err: text(&error) },
        })
    }

    async fn mlock_enabled(&self, _: Request<Empty>) -> Answer<MlockEnabledReply> {
        answer(MlockEnabledReply { enabled: self.0.mlock_enabled().await })
    }

    async fn local_mount(&self, _: Request<Empty>) -> Answer<LocalMountReply> {
        answer(LocalMountReply { local: self.0.local_mount().await })
    }

    async fn entity_info(&self, request: Request<EntityInfoArgs>) -> Answer<EntityInfoReply> {
        answer(match self.0.entity_info(&request.get_ref().entity_id).await {
            Ok(entity) => {
                EntityInfoReply { entity: entity.as_ref().map(entity_to_wire), err: String::new() }
            }
            Err(error) => EntityInfoReply { entity: None, err: text(&error) },
        })
    }

    async fn plugin_env(&self, _: Request<Empty>) -> Answer<PluginEnvReply> {
        answer(match self.0.plugin_environment().await {
            Ok(environment) => PluginEnvReply {
                plugin_environment: Some(environment_to_wire(&environment)),
                err: String::new(),
            },
            Err(error) => PluginEnvReply { plugin_environment: None, err: text(&error) },
        })
    }

    async fn groups_for_entity(
        &self,
        request: Request<EntityInfoArgs>,
    ) -> Answer<GroupsForEntityReply> {
        answer(match self.0.groups_for_entity(&request.get_ref().entity_id).await {
            Ok(groups) => GroupsForEntityReply {
                groups: groups.iter().map(group_to_wire).collect(),
                err: String::new(),
            },
            Err(error) => GroupsForEntityReply { groups: Vec::new(), err: text(&error) },
        })
    }

    async fn generate_password_from_policy(
        &self,
        request: Request<GeneratePasswordFromPolicyRequest>,
    ) -> Answer<GeneratePasswordFromPolicyReply> {
        let policy = &request.get_ref().policy_name;
        if policy.is_empty() {
            return Err(Status::invalid_argument("no password policy specified"));
        }
        match self.0.generate_password(policy).await {
            Ok(password) => answer(GeneratePasswordFromPolicyReply { password }),
            Err(error) => {
                tracing::warn!(policy, %error, "a plugin asked for a password in vain");
                Err(Status::internal("failed to generate password"))
            }
        }
    }

    async fn cluster_info(&self, _: Request<Empty>) -> Answer<ClusterInfoReply> {
        match self.0.cluster_info().await {
            Ok((cluster_name, cluster_id)) => {
                answer(ClusterInfoReply { cluster_name, cluster_id, err: String::new() })
            }
            Err(error) => {
                tracing::warn!(%error, "a plugin asked for the cluster in vain");
                Err(Status::internal("failed to fetch cluster id"))
            }
        }
    }

    async fn generate_identity_token(
        &self,
        _: Request<GenerateIdentityTokenRequest>,
    ) -> Answer<GenerateIdentityTokenResponse> {
        Err(Status::unimplemented("plugin identity tokens are not supported by this server"))
    }

    async fn register_rotation_job(
        &self,
        _: Request<RegisterRotationJobRequest>,
    ) -> Answer<RegisterRotationJobResponse> {
        Err(Status::unimplemented("automated rotation is not supported by this server"))
    }

    async fn deregister_rotation_job(
        &self,
        _: Request<DeregisterRotationJobRequest>,
    ) -> Answer<Empty> {
        // A plugin takes its job back whenever its configuration asks for none, and takes an error
        // for a failure to be configured. Where no job can be, none is left.
        Ok(Response::new(Empty {}))
    }
}
