//! The server's view, served to the plugin (wire spec 2.10): what OpenBao serves. HashiCorp's
//! further calls are left out, as they are there.

use std::sync::Arc;

use boltwork_logical::{Data, SystemView};
use boltwork_wire::{
    duration_from_nanos, duration_to_nanos, entity_to_wire, environment_to_wire, group_to_wire, pb,
    wrap_info_to_wire,
};
use tonic::{Request, Response, Status};

type Answer<T> = Result<Response<T>, Status>;

/// The system view as a service.
pub(super) struct SystemService(pub Arc<dyn SystemView>);

fn unsupported<T>() -> Answer<T> {
    Err(Status::unimplemented("not served here"))
}

#[tonic::async_trait]
impl pb::system_view_server::SystemView for SystemService {
    async fn default_lease_ttl(&self, _: Request<pb::Empty>) -> Answer<pb::TtlReply> {
        let ttl = duration_to_nanos(self.0.default_lease_ttl().await);
        Ok(Response::new(pb::TtlReply { ttl }))
    }

    async fn max_lease_ttl(&self, _: Request<pb::Empty>) -> Answer<pb::TtlReply> {
        let ttl = duration_to_nanos(self.0.max_lease_ttl().await);
        Ok(Response::new(pb::TtlReply { ttl }))
    }

    async fn tainted(&self, _: Request<pb::Empty>) -> Answer<pb::TaintedReply> {
        Ok(Response::new(pb::TaintedReply { tainted: self.0.tainted().await }))
    }

    async fn caching_disabled(&self, _: Request<pb::Empty>) -> Answer<pb::CachingDisabledReply> {
        let disabled = self.0.caching_disabled().await;
        Ok(Response::new(pb::CachingDisabledReply { disabled }))
    }

    async fn replication_state(&self, _: Request<pb::Empty>) -> Answer<pb::ReplicationStateReply> {
        let state = self.0.replication_state().await.0.cast_signed();
        Ok(Response::new(pb::ReplicationStateReply { state }))
    }

    async fn mlock_enabled(&self, _: Request<pb::Empty>) -> Answer<pb::MlockEnabledReply> {
        Ok(Response::new(pb::MlockEnabledReply { enabled: self.0.mlock_enabled().await }))
    }

    async fn local_mount(&self, _: Request<pb::Empty>) -> Answer<pb::LocalMountReply> {
        Ok(Response::new(pb::LocalMountReply { local: self.0.local_mount().await }))
    }

    async fn entity_info(&self, call: Request<pb::EntityInfoArgs>) -> Answer<pb::EntityInfoReply> {
        let (entity, err) = match self.0.entity_info(&call.into_inner().entity_id).await {
            Ok(entity) => (entity.as_ref().map(entity_to_wire), String::new()),
            Err(error) => (None, error.to_string()),
        };
        Ok(Response::new(pb::EntityInfoReply { entity, err }))
    }

    async fn groups_for_entity(
        &self,
        call: Request<pb::EntityInfoArgs>,
    ) -> Answer<pb::GroupsForEntityReply> {
        let (groups, err) = match self.0.groups_for_entity(&call.into_inner().entity_id).await {
            Ok(groups) => (groups.iter().map(group_to_wire).collect(), String::new()),
            Err(error) => (Vec::new(), error.to_string()),
        };
        Ok(Response::new(pb::GroupsForEntityReply { groups, err }))
    }

    async fn plugin_env(&self, _: Request<pb::Empty>) -> Answer<pb::PluginEnvReply> {
        let (plugin_environment, err) = match self.0.plugin_environment().await {
            Ok(environment) => (Some(environment_to_wire(&environment)), String::new()),
            Err(error) => (None, error.to_string()),
        };
        Ok(Response::new(pb::PluginEnvReply { plugin_environment, err }))
    }

    async fn generate_password_from_policy(
        &self,
        call: Request<pb::GeneratePasswordFromPolicyRequest>,
    ) -> Answer<pb::GeneratePasswordFromPolicyReply> {
        let policy = call.into_inner().policy_name;
        if policy.is_empty() {
            return Err(Status::invalid_argument("no password policy specified"));
        }
        match self.0.generate_password(&policy).await {
            Ok(password) => Ok(Response::new(pb::GeneratePasswordFromPolicyReply { password })),
            Err(_) => Err(Status::internal("failed to generate password")),
        }
    }

    async fn cluster_info(&self, _: Request<pb::Empty>) -> Answer<pb::ClusterInfoReply> {
        match self.0.cluster_info().await {
            Ok((cluster_name, cluster_id)) => {
                let err = String::new();
                Ok(Response::new(pb::ClusterInfoReply { cluster_name, cluster_id, err }))
            }
            Err(_) => Err(Status::internal("failed to fetch cluster id")),
        }
    }

    async fn response_wrap_data(
        &self,
        call: Request<pb::ResponseWrapDataArgs>,
    ) -> Answer<pb::ResponseWrapDataReply> {
        let args = call.into_inner();
        let malformed = |why: &dyn std::fmt::Display| Status::invalid_argument(why.to_string());
        let ttl = duration_from_nanos("ResponseWrapDataArgs.TTL", args.ttl);
        let ttl = ttl.map_err(|why| malformed(&why))?;
        let data = Data::parse(args.data.into_bytes()).map_err(|why| malformed(&why))?;
        let (wrap_info, err) = match self.0.wrap_data(data, ttl).await {
            Ok(wrap) => (Some(wrap_info_to_wire(&wrap)), String::new()),
            Err(error) => (None, error.to_string()),
        };
        Ok(Response::new(pb::ResponseWrapDataReply { wrap_info, err }))
    }

    async fn generate_identity_token(
        &self,
        _: Request<pb::GenerateIdentityTokenRequest>,
    ) -> Answer<pb::GenerateIdentityTokenResponse> {
        unsupported()
    }

    async fn register_rotation_job(
        &self,
        _: Request<pb::RegisterRotationJobRequest>,
    ) -> Answer<pb::RegisterRotationJobResponse> {
        unsupported()
    }

    async fn deregister_rotation_job(
        &self,
        _: Request<pb::DeregisterRotationJobRequest>,
    ) -> Answer<pb::Empty> {
        unsupported()
    }
}
