//! Stages 3 and 4: a write is classified as create or update, and the policy decides.

use std::sync::Arc;

use boltwork_logical::{Caller as LogicalCaller, Error, Existence, Failure, Operation, Request};
use boltwork_policy::{Ask, Capabilities};

use super::{
    Inbound,
    authenticate::{Called, Caller},
    route::Target,
};
use crate::{mounts::Mount, session::Session};

/// What the policy said.
pub enum Verdict {
    /// It may happen.
    Authorized(Authorized),
    /// It may not.
    Denied(Denied),
}

/// A request that may be dispatched, once it is audited.
pub struct Authorized {
    pub(super) inbound: Inbound,
    pub(super) target: Target,
    pub(super) session: Option<Arc<Session>>,
    pub(super) operation: Operation,
}

/// A request that was refused.
pub struct Denied {
    pub(super) inbound: Inbound,
    pub(super) mount: Option<Arc<Mount>>,
    pub(super) session: Option<Arc<Session>>,
    pub(super) failure: Failure,
}

pub async fn authorize(called: Called) -> Verdict {
    let Called { routed, caller } = called;
    let (inbound, target) = (routed.inbound, routed.target);
    let session = match caller {
        Caller::Known(session) => Some(session),
        Caller::Anyone => None,
        Caller::Stranger => return deny(inbound, target, None, Error::Denied),
        Caller::Failed(error) => return deny(inbound, target, None, error),
    };
    // Nothing is said about which mounts there are to somebody who may not ask.
    let open = target.as_ref().is_some_and(|target| {
        target
            .inside
            .as_ref()
            .is_ok_and(|inside| inside.special_paths().is_unauthenticated(&target.relative))
    });
    if open {
        let operation = inbound.operation;
        return match target {
            Some(target) => authorized(inbound, target, session, operation),
            None => deny(inbound, None, session, Error::Denied),
        };
    }
    let Some(session) = session else { return deny(inbound, target, None, Error::Denied) };
    decide(inbound, target, session).await
}

async fn decide(inbound: Inbound, target: Option<Target>, session: Arc<Session>) -> Verdict {
    let operation = match classify(&inbound, target.as_ref(), &session).await {
        Ok(operation) => operation,
        Err(error) => return deny(inbound, target, Some(session), error),
    };
    let fields = match session.acl.looks_inside(&inbound.path) {
        true => match inbound.data.fields() {
            Ok(fields) => Some(fields),
            Err(error) => return deny(inbound, target, Some(session), error.into()),
        },
        false => None,
    };
    let sudo_needed = target.as_ref().is_some_and(|target| {
        target.inside.as_ref().is_ok_and(|inside| inside.special_paths().is_root(&target.relative))
    });
    let allowed = operation == Operation::Help || {
        let decision = session.acl.decide(&Ask {
            path: &inbound.path,
            capability: capability(operation),
            fields: fields.as_ref(),
            wrap_ttl: inbound.wrap.as_ref().map(|wrap| wrap.ttl),
        });
        decision.allowed && (!sudo_needed || decision.sudo)
    };
    if !allowed {
        return deny(inbound, target, Some(session), Error::Denied);
    }
    if inbound.wrap.is_some() {
        let text =
            "response wrapping is not available on this server; the request was not carried out";
        return deny(inbound, target, Some(session), Error::invalid(text));
    }
    match target {
        Some(target) => authorized(inbound, target, Some(session), operation),
        None => {
            let message =
                format!("no handler for route {:?}. route entry not found.", inbound.path);
            deny(inbound, None, Some(session), Error::Coded { status: 404, message })
        }
    }
}

/// A write where nothing was before is a create. Only asked for a caller who is known.
async fn classify(
    inbound: &Inbound,
    target: Option<&Target>,
    session: &Session,
) -> Result<Operation, Error> {
    if inbound.operation != Operation::Update {
        return Ok(inbound.operation);
    }
    let Some((target, inside)) = target.and_then(|t| Some((t, t.inside.as_ref().ok()?))) else {
        return Ok(inbound.operation);
    };
    let mut request =
        Request::new(Operation::Update, target.relative.clone(), Arc::clone(&target.mount.storage));
    request.id = Arc::clone(&inbound.id);
    request.data = inbound.data.clone();
    request.mount = target.mount.facts.load_full();
    request.caller = LogicalCaller {
        display_name: session.entry.display_name.as_str().into(),
        entity_id: session.entry.entity_id.as_str().into(),
        ..LogicalCaller::default()
    };
    match inside.backend().exists(&request).await {
        Ok(Existence::Absent) => Ok(Operation::Create),
        Ok(_) => Ok(Operation::Update),
        // The request itself will say so, to a caller who may know.
        Err(Error::UnsupportedPath | Error::UnsupportedOperation) => Ok(Operation::Update),
        Err(error) => Err(error),
    }
}

const fn capability(operation: Operation) -> Capabilities {
    match operation {
        Operation::Create => Capabilities::CREATE,
        Operation::Read | Operation::Header => Capabilities::READ,
        Operation::Patch => Capabilities::PATCH,
        Operation::Delete => Capabilities::DELETE,
        Operation::List => Capabilities::LIST,
        Operation::Scan => Capabilities::SCAN,
        _ => Capabilities::UPDATE,
    }
}

fn authorized(
    inbound: Inbound,
    target: Target,
    session: Option<Arc<Session>>,
    operation: Operation,
) -> Verdict {
    Verdict::Authorized(Authorized { inbound, target, session, operation })
}

fn deny(
    inbound: Inbound,
    target: Option<Target>,
    session: Option<Arc<Session>>,
    error: Error,
) -> Verdict {
    let mount = target.map(|target| target.mount);
    Verdict::Denied(Denied { inbound, mount, session, failure: error.into() })
}
