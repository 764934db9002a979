//! Stage 2: who asks. A token becomes a [`Session`]; a use of it is spent here, whatever policy
//! says later. Paths that the backend itself declared unauthenticated need no token, and spend
//! none.

use std::{net::IpAddr, sync::Arc};

use boltwork_logical::{Error, Operation};

use super::{
    route::{Routed, Target},
    wrapping,
};
use crate::{active::Active, session::Session, tokens::Spend};

/// A request whose caller is known, or known not to be needed.
pub struct Called {
    pub(super) routed: Routed,
    pub(super) caller: Caller,
    /// The path needs no token.
    pub(super) open: bool,
}

/// Who asks.
pub enum Caller {
    /// A valid token's holder.
    Known(Arc<Session>),
    /// Nobody in particular, on a path that needs no token.
    Anyone,
    /// No token, or none that is worth anything.
    Stranger,
    /// It could not be found out, or the request cannot be meant.
    Failed(Error),
}

pub async fn authenticate(active: &Active, mut routed: Routed) -> Called {
    let open = routed.target.as_ref().is_some_and(is_unauthenticated);
    // The core's own open paths show a caller with a token more than one without.
    let own = routed.target.as_ref().is_some_and(|t| t.mount.core_own);
    let caller = match (wrapping::check(active, &mut routed.inbound).await, open) {
        (Err(error), _) => Caller::Failed(error),
        (Ok(_), true) if !own => Caller::Anyone,
        (Ok(_), true) => match session(active, &routed, Spend::Nothing).await {
            Ok(Some(session)) => Caller::Known(session),
            _ => Caller::Anyone,
        },
        (Ok(about), false) => match session(active, &routed, Spend::OneUse).await {
            Ok(Some(session)) => Caller::Known(session),
            // Somebody else was faster with this wrapping token.
            Ok(None) if about.caller_is_wrapping_token() => Caller::Failed(wrapping::invalid()),
            Ok(None) => Caller::Stranger,
            Err(error) => Caller::Failed(error),
        },
    };
    Called { routed, caller, open }
}

fn is_unauthenticated(target: &Target) -> bool {
    target
        .inside
        .as_ref()
        .is_ok_and(|inside| inside.special_paths().is_unauthenticated(&target.relative))
}

async fn session(
    active: &Active,
    routed: &Routed,
    spend: Spend,
) -> Result<Option<Arc<Session>>, Error> {
    let inbound = &routed.inbound;
    // Operations that only the server itself may ask a backend for.
    let internal =
        matches!(inbound.operation, Operation::Rollback | Operation::Revoke | Operation::Renew);
    if inbound.token.is_empty() || internal {
        return Ok(None);
    }
    let digest = active.tokens.digest(inbound.token.expose());
    // An address that cannot be read lies in no network.
    let from = || -> Option<IpAddr> { inbound.connection.as_ref()?.remote_addr.parse().ok() };
    let Some(known) =
        active.tokens.authenticate(inbound.token.expose(), &digest, spend, from).await?
    else {
        return Ok(None);
    };
    Ok(Some(Arc::new(Session {
        token: inbound.token.clone(),
        digest,
        entry: known.entry,
        acl: known.rights.acl,
        standing: known.rights.standing,
        barred: known.rights.barred,
        last_use: known.last_use,
    })))
}
