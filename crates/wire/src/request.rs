//! Requests (wire spec 2.8). The payload's JSON text crosses as it is.

use std::sync::Arc;

use boltwork_logical::{Caller, Data, MountFacts, Operation, Request, Storage, WrapRequest};

use crate::headers::{headers_from_wire, headers_to_wire};
use crate::reply::{secret_from_wire, secret_to_wire};
use crate::time::{duration_from_nanos, duration_to_nanos};
use crate::{
    WireError, auth_from_wire, auth_to_wire, connection_from_wire, connection_to_wire, pb,
};

/// A request for a plugin. Borrows, so that the request can be sent again to a restarted process.
pub fn request_to_wire(request: &Request) -> pb::Request {
    let caller = &request.caller;
    pb::Request {
        id: request.id.as_ref().to_owned(),
        replication_cluster: String::new(),
        operation: request.operation.as_str().to_owned(),
        path: request.path.clone(),
        data: request.data.as_str().to_owned(),
        secret: request.secret.as_deref().map(secret_to_wire),
        auth: request.auth.as_deref().map(auth_to_wire),
        headers: headers_to_wire(&request.headers),
        client_token: caller.token_digest.clone(),
        client_token_accessor: caller.accessor.as_ref().to_owned(),
        display_name: caller.display_name.as_ref().to_owned(),
        mount_point: request.mount.point.clone(),
        mount_type: request.mount.kind.clone(),
        mount_accessor: request.mount.accessor.clone(),
        wrap_info: request.wrap.as_ref().map(wrap_to_wire),
        client_token_remaining_uses: 0,
        entity_id: caller.entity_id.as_ref().to_owned(),
        policy_override: caller.policy_override,
        unauthenticated: caller.unauthenticated,
        connection: request.connection.as_deref().map(connection_to_wire),
        requires_snapshot_id: String::new(),
    }
}

fn wrap_to_wire(wrap: &WrapRequest) -> pb::RequestWrapInfo {
    pb::RequestWrapInfo {
        ttl: duration_to_nanos(wrap.ttl),
        format: wrap.format.clone(),
        seal_wrap: false,
    }
}

/// A request as a plugin received it, with the storage that belongs to its backend.
pub fn request_from_wire(
    request: pb::Request,
    storage: Arc<dyn Storage>,
) -> Result<Request, WireError> {
    let Some(operation) = Operation::parse(&request.operation) else {
        return Err(WireError::Operation(request.operation));
    };
    let data = Data::parse(request.data.into_bytes()).map_err(WireError::data("Request.data"))?;
    let mount = MountFacts {
        point: request.mount_point,
        kind: request.mount_type,
        accessor: request.mount_accessor,
    };
    let caller = Caller {
        token_digest: request.client_token,
        accessor: request.client_token_accessor.into(),
        display_name: request.display_name.into(),
        entity_id: request.entity_id.into(),
        unauthenticated: request.unauthenticated,
        policy_override: request.policy_override,
        session: None,
    };
    Ok(Request {
        id: request.id.into(),
        operation,
        path: request.path,
        data,
        storage,
        mount: Arc::new(mount),
        caller,
        headers: headers_from_wire(request.headers),
        secret: request.secret.map(secret_from_wire).transpose()?.map(Box::new),
        auth: request.auth.map(auth_from_wire).transpose()?.map(Box::new),
        connection: request.connection.map(connection_from_wire).transpose()?.map(Arc::new),
        wrap: request.wrap_info.map(wrap_from_wire).transpose()?,
    })
}

fn wrap_from_wire(wrap: pb::RequestWrapInfo) -> Result<WrapRequest, WireError> {
    let ttl = duration_from_nanos("RequestWrapInfo.TTL", wrap.ttl)?;
    Ok(WrapRequest { ttl, format: wrap.format })
}
