//! Stages 3 and 4: a write is classified as create or update, and the policy decides.

use std::sync::Arc;

use boltwork_logical::{
    Caller as LogicalCaller, Data, Error, Existence, Failure, Operation, Request,
};
use boltwork_policy::{Ask, Capabilities, Decision};
use serde_json::{Map, Value};

use super::{
    Inbound,
    authenticate::{Called, Caller},
    route::Target,
};
use crate::session::Session;

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
    pub(super) target: Option<Target>,
    pub(super) session: Option<Arc<Session>>,
    pub(super) failure: Failure,
}

/// What a known caller reads when the policies say no. Clients tell it from the plain text that
/// goes to those without a valid token.
fn refusal() -> Error {
    Error::Coded { status: 403, message: "1 error occurred:\n\t* permission denied\n\n".to_owned() }
}

pub async fn authorize(called: Called) -> Verdict {
    let Called { routed, caller, open } = called;
    let (inbound, target) = (routed.inbound, routed.target);
    let session = match caller {
        Caller::Known(session) if session.barred => {
            tracing::warn!(
                entity = %session.entry.entity_id,
                "refused a token whose entity is disabled or deleted"
            );
            return deny(inbound, target, Some(session), Error::Denied);
        }
        Caller::Known(session) => Some(session),
        Caller::Anyone => None,
        // Nothing is said about which mounts there are to somebody who may not ask.
        Caller::Stranger => return deny(inbound, target, None, Error::Denied),
        Caller::Failed(error) => return deny(inbound, target, None, error),
    };
    // What stands there afterwards could not be told from a folder.
    if inbound.operation.is_write() && inbound.path.ends_with('/') {
        let error = Error::invalid("cannot write to a path ending in '/'");
        return deny(inbound, target, session, error);
    }
    match (target, session) {
        (Some(target), session) if open => {
            let operation = inbound.operation;
            Verdict::Authorized(Authorized { inbound, target, session, operation })
        }
        (target, Some(session)) => decide(inbound, target, session).await,
        (target, None) => deny(inbound, target, None, Error::Denied),
    }
}

async fn decide(mut inbound: Inbound, target: Option<Target>, session: Arc<Session>) -> Verdict {
    let fields = match session.acl.looks_inside(&inbound.path) {
        true => match inbound.data.fields() {
            Ok(fields) => Some(fields),
            Err(error) => return deny(inbound, target, Some(session), error.into()),
        },
        false => None,
    };
    let permitted = match permit(&inbound, target.as_ref(), &session, fields.as_ref()).await {
        Ok(permitted) => permitted,
        Err(error) => return deny(inbound, target, Some(session), error),
    };
    if let Some(most) = permitted.page_limit {
        inbound.data = limited(fields.unwrap_or_default(), most);
    }
    match target {
        Some(target) => Verdict::Authorized(Authorized {
            inbound,
            target,
            session: Some(session),
            operation: permitted.operation,
        }),
        None => {
            let message =
                format!("no handler for route {:?}. route entry not found.", inbound.path);
            deny(inbound, None, Some(session), Error::Coded { status: 404, message })
        }
    }
}

/// What was allowed, precisely.
struct Permitted {
    operation: Operation,
    page_limit: Option<u64>,
}

/// Asks the policies; asks the backend only where the answer depends on it, so that a request that
/// is refused either way never reaches a backend.
async fn permit(
    inbound: &Inbound,
    target: Option<&Target>,
    session: &Arc<Session>,
    fields: Option<&Map<String, Value>>,
) -> Result<Permitted, Error> {
    let sudo_needed = target.is_some_and(|target| {
        target.inside.as_ref().is_ok_and(|inside| inside.special_paths().is_root(&target.relative))
    });
    let ask = |operation: Operation| -> Option<Decision> {
        let decision = session.acl.decide(&Ask {
            path: &inbound.path,
            capability: capability(operation),
            fields,
            wrap_ttl: inbound.wrap.as_ref().map(|wrap| wrap.ttl),
        });
        (decision.allowed && (!sudo_needed || decision.sudo)).then_some(decision)
    };
    let granted =
        |operation, decision: Decision| Permitted { operation, page_limit: decision.page_limit };
    match inbound.operation {
        // Whoever has a token may read what paths are for.
        Operation::Help => Ok(Permitted { operation: Operation::Help, page_limit: None }),
        Operation::Update => {
            let (create, update) = (ask(Operation::Create), ask(Operation::Update));
            if create.is_none() && update.is_none() {
                return Err(refusal());
            }
            let operation = classify(inbound, target, session).await?;
            let decision = if operation == Operation::Create { create } else { update };
            decision.map(|d| granted(operation, d)).ok_or_else(refusal)
        }
        operation => ask(operation).map(|d| granted(operation, d)).ok_or_else(refusal),
    }
}

/// A list whose page size the policy limits.
fn limited(mut fields: Map<String, Value>, most: u64) -> Data {
    fields.insert("limit".to_owned(), most.into());
    Data::json(&Value::Object(fields))
}

/// A write where nothing was before is a create. Only asked for a caller who is known.
async fn classify(
    inbound: &Inbound,
    target: Option<&Target>,
    session: &Arc<Session>,
) -> Result<Operation, Error> {
    let Some((target, inside)) = target.and_then(|t| Some((t, t.inside.as_ref().ok()?))) else {
        return Ok(Operation::Update);
    };
    let mut request =
        Request::new(Operation::Update, target.relative.clone(), Arc::clone(&target.mount.storage));
    request.id = Arc::clone(&inbound.id);
    request.data = inbound.data.clone();
    request.mount = target.mount.facts.load_full();
    request.caller = LogicalCaller {
        display_name: session.entry.display_name.as_str().into(),
        entity_id: session.entry.entity_id.as_str().into(),
        session: target.mount.core_own.then(|| Arc::clone(session) as _),
        ..LogicalCaller::default()
    };
    match inside.exists(&request).await {
        Ok(Existence::Absent) => Ok(Operation::Create),
        Ok(_) => Ok(Operation::Update),
        // The request itself will say so.
        Err(Error::UnsupportedPath | Error::UnsupportedOperation) => Ok(Operation::Update),
        Err(error) => Err(error),
    }
}

pub(super) const fn capability(operation: Operation) -> Capabilities {
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

fn deny(
    inbound: Inbound,
    target: Option<Target>,
    session: Option<Arc<Session>>,
    error: Error,
) -> Verdict {
    Verdict::Denied(Denied { inbound, target, session, failure: error.into() })
}
