//! Wrapping tokens, as replies carry them and as the server's view hands them out.

use boltwork_logical::WrapInfo;

use crate::time::{duration_from_nanos, duration_to_nanos, time_from_wire, time_to_wire};
use crate::{WireError, pb};

/// A wrapping token for the wire.
pub fn wrap_info_to_wire(wrap: &WrapInfo) -> pb::ResponseWrapInfo {
    pb::ResponseWrapInfo {
        ttl: duration_to_nanos(wrap.ttl),
        token: wrap.token.expose().to_owned(),
        accessor: wrap.accessor.clone(),
        creation_time: Some(time_to_wire(wrap.created)),
        wrapped_accessor: wrap.wrapped_accessor.clone(),
        wrapped_entity_id: wrap.wrapped_entity_id.clone(),
        format: wrap.format.clone(),
        creation_path: wrap.creation_path.clone(),
        seal_wrap: wrap.seal_wrap,
    }
}

/// A wrapping token from the wire. An absent time of creation is none, as OpenBao reads it.
pub fn wrap_info_from_wire(wrap: pb::ResponseWrapInfo) -> Result<WrapInfo, WireError> {
    const CREATED: &str = "ResponseWrapInfo.creation_time";
    let created = match wrap.creation_time {
        Some(time) => time_from_wire(CREATED, &time)?,
        None => None,
    };
    Ok(WrapInfo {
        ttl: duration_from_nanos("ResponseWrapInfo.TTL", wrap.ttl)?,
        token: wrap.token.into(),
        accessor: wrap.accessor,
        created,
        creation_path: wrap.creation_path,
        wrapped_accessor: wrap.wrapped_accessor,
        wrapped_entity_id: wrap.wrapped_entity_id,
        format: wrap.format,
        seal_wrap: wrap.seal_wrap,
    })
}
