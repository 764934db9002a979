//! Stage 2: who asks. A token becomes a [`Session`]; a use of it is spent here, whatever policy
//! says later. Paths that the backend itself declared unauthenticated need no token.

use std::sync::Arc;

use boltwork_logical::{Error, Operation};

use super::route::{Routed, Target};
use crate::{active::Active, session::Session};

/// A request whose caller is known, or known not to be needed.
pub struct Called {
    pub(super) routed: Routed,
    pub(super) caller: Caller,
}

/// Who asks.
pub enum Caller {
    /// A valid token's holder.
    Known(Arc<Session>),
    /// Nobody in particular, on a path that needs no token.
    Anyone,
    /// No token, or none that is worth anything.
    Stranger,
    /// It could not be found out.
    Failed(Error),
}

pub async fn authenticate(active: &Active, routed: Routed) -> Called {
    let open = routed.target.as_ref().is_some_and(is_unauthenticated);
    // The core's own open paths show a caller with a token more than one without.
    let own = routed.target.as_ref().is_some_and(|t| t.mount.core_own);
    let caller = match open {
        true if !own => Caller::Anyone,
        true => match session(active, &routed).await {
            Ok(Some(session)) => Caller::Known(session),
            _ => Caller::Anyone,
        },
        false => match session(active, &routed).await {
            Ok(Some(session)) => Caller::Known(session),
            Ok(None) => Caller::Stranger,
            Err(error) => Caller::Failed(error),
        },
    };
    Called { routed, caller }
}

fn is_unauthenticated(target: &Target) -> bool {
    target
        .inside
        .as_ref()
        .is_ok_and(|inside| inside.special_paths().is_unauthenticated(&target.relative))
}

async fn session(active: &Active, routed: &Routed) -> Result<Option<Arc<Session>>, Error> {
    let inbound = &routed.inbound;
    if inbound.token.is_empty() || inbound.operation == Operation::Rollback {
        return Ok(None);
    }
    let digest = active.tokens.digest(inbound.token.expose());
    let Some((entry, acl)) = active.tokens.authenticate(&digest).await? else { return Ok(None) };
    if !entry.bound_cidrs.is_empty() && !may_come_from(&entry.bound_cidrs, inbound) {
        return Ok(None);
    }
    Ok(Some(Arc::new(Session {
        token: inbound.token.clone(),
        digest,
        entry,
        acl,
        connection: inbound.connection.clone(),
    })))
}

/// Whether the client's address lies in one of the networks. An unreadable one admits nobody.
fn may_come_from(cidrs: &[String], inbound: &super::Inbound) -> bool {
    let Some(address) = inbound.connection.as_ref().and_then(|c| c.remote_addr.parse().ok()) else {
        return false;
    };
    cidrs.iter().any(|cidr| crate::tokens::cidr_contains(cidr, address))
}
