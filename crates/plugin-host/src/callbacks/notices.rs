//! Events and observations of HashiCorp's plugins: taken, written to the log, passed on to nobody.
//! There is no event bus yet; a plugin must not fail for that.

use std::sync::Arc;

use boltwork_wire::pb::events_server::Events;
use boltwork_wire::pb::observations_server::Observations;
use boltwork_wire::pb::{Empty, RecordObservationRequest, SendEventRequest};
use tonic::{Request, Response, Status};

#[derive(Debug, Clone)]
pub(super) struct Notices {
    plugin: Arc<str>,
}

impl Notices {
    pub fn new(plugin: Arc<str>) -> Self {
        Self { plugin }
    }
}

#[tonic::async_trait]
impl Events for Notices {
    async fn send_event(
        &self,
        request: Request<SendEventRequest>,
    ) -> Result<Response<Empty>, Status> {
        let kind = request.get_ref().event_type.as_str();
        tracing::debug!(plugin = %self.plugin, event = kind, "a plugin sent an event");
        Ok(Response::new(Empty {}))
    }
}

#[tonic::async_trait]
impl Observations for Notices {
    async fn record_observation(
        &self,
        request: Request<RecordObservationRequest>,
    ) -> Result<Response<Empty>, Status> {
        let kind = request.get_ref().observation_type.as_str();
        tracing::trace!(plugin = %self.plugin, observation = kind, "a plugin observed something");
        Ok(Response::new(Empty {}))
    }
}
