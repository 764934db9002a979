//! Stage 6: the backend's own request is built, fresh, from what the client sent and what the
//! backend may know; then the backend answers.

use std::{sync::Arc, time::Instant};

use aws_lc_rs::digest;
use boltwork_logical::{Caller, Error, Failure, Headers, Operation, Reply, Request, SecretText};

use super::{Inbound, audit::Audited, authorize::Authorized};
use crate::{
    mounts::{Mount, broken},
    session::Session,
};

/// A request that was carried out.
pub struct Answered {
    pub(super) request: Authorized,
    pub(super) result: Result<Option<Reply>, Failure>,
}

/// Asks the backend. `gone` is over when nobody waits for the answer any more: then the backend's
/// work is given up, and that is the answer.
pub async fn dispatch(audited: Audited, gone: impl Future<Output = ()>) -> Answered {
    let request = audited.into_authorized();
    // What changes the server itself is carried through even if the client goes away meanwhile: a
    // mount or token is never left half made.
    let own_change = request.target.mount.core_own
        && (request.operation.is_write() || request.operation == Operation::Delete);
    let begun = Instant::now();
    let result = match &request.target.inside {
        Err(error) => Err(error.clone().into()),
        Ok(inside) if own_change => {
            let (inside, made) = (inside.again(), for_backend(&request));
            let work = tokio::spawn(async move { inside.handle(made).await });
            work.await.unwrap_or_else(|_| Err(broken()))
        }
        Ok(inside) => tokio::select! {
            biased;
            answer = inside.handle(for_backend(&request)) => answer,
            () = gone => Err(given_up()),
        },
    };
    let metrics = &request.target.mount.metrics;
    metrics.requests.took(begun.elapsed());
    if result.as_ref().is_err_and(|failure| is_ours(&failure.error)) {
        metrics.failures.add();
    }
    Answered { request, result }
}

/// Whether a failure is none of the caller's.
fn is_ours(error: &Error) -> bool {
    match error {
        Error::Coded { status, .. } => *status >= 500,
        Error::Internal(_) | Error::Unavailable(_) | Error::Unrecoverable | Error::Conflict(_) => {
            true
        }
        _ => false,
    }
}

/// What the audit log says of a request whose client did not wait, or that took longer than
/// `max_request_duration`. Nobody else reads it.
fn given_up() -> Failure {
    Error::unavailable("context canceled: the request was given up before its backend answered")
        .into()
}

fn for_backend(from: &Authorized) -> Request {
    let mount = &from.target.mount;
    let inbound = &from.inbound;
    Request {
        id: Arc::clone(&inbound.id),
        operation: from.operation,
        path: from.target.relative.clone(),
        data: inbound.data.clone(),
        storage: Arc::clone(&mount.storage),
        mount: mount.facts.load_full(),
        caller: caller(mount, from.session.as_ref(), inbound.policy_override),
        headers: passed_through(mount, inbound),
        secret: None,
        auth: None,
        connection: inbound.connection.clone(),
        wrap: inbound.wrap.clone(),
    }
}

fn caller(mount: &Mount, session: Option<&Arc<Session>>, policy_override: bool) -> Caller {
    let Some(session) = session else {
        return Caller { unauthenticated: true, policy_override, ..Caller::default() };
    };
    let entry = &session.entry;
    let mut caller = Caller {
        accessor: entry.accessor.as_str().into(),
        display_name: entry.display_name.as_str().into(),
        entity_id: entry.entity_id.as_str().into(),
        policy_override,
        ..Caller::default()
    };
    match mount.core_own {
        true => caller.session = Some(Arc::clone(session) as _),
        false => caller.token_digest = token_digest(&mount.entry.load().uuid, &session.token),
    }
    caller
}

/// Hex SHA-1 of the mount's UUID and the token: Vault's form, so that what plugins keyed by it
/// stays valid (wire spec 2.12). Not a secret, and no use elsewhere.
fn token_digest(uuid: &str, token: &SecretText) -> String {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(uuid.as_bytes());
    context.update(token.expose().as_bytes());
    hex::encode(context.finish())
}

/// Headers that the mount lets through to its backend; never one that carries the caller's token,
/// whatever it is called.
fn passed_through(mount: &Mount, inbound: &Inbound) -> Headers {
    let entry = mount.entry.load();
    let Some(wanted) = &entry.config.passthrough_request_headers else { return Headers::new() };
    let token = inbound.token.expose();
    let carries_token = |value: &String| !token.is_empty() && value.contains(token);
    inbound
        .headers
        .iter()
        .filter(|(name, values)| {
            wanted.iter().any(|w| w.eq_ignore_ascii_case(name))
                && !name.eq_ignore_ascii_case("x-vault-token")
                && !values.iter().any(carries_token)
        })
        .map(|(name, values)| (name.clone(), values.clone()))
        .collect()
}
