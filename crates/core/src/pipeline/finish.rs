//! Stage 7: what an answer brings with it. A login becomes a token; a lease without anybody to
//! revoke it becomes plain data; headers that the mount does not allow are dropped; the whole is
//! wrapped where that was asked for.

use boltwork_logical::{Error, Failure, Operation, Reply, Secret};

use super::{authorize::Authorized, dispatch::Answered, login, wrapping};
use crate::{active::Active, mounts::effective_ttls};

/// A request that is done, but for the audit of its answer.
pub struct Finished {
    pub(super) request: Authorized,
    pub(super) result: Result<Option<Reply>, Failure>,
}

pub async fn finish(active: &Active, answered: Answered) -> Finished {
    let Answered { request, result } = answered;
    let result = match result {
        Err(mut failure) => {
            if let Some(reply) = &mut failure.reply {
                give_nothing(reply);
            }
            Err(failure)
        }
        Ok(None) => Ok(None),
        Ok(Some(mut reply)) if reply.error_text().is_some() => {
            give_nothing(&mut reply);
            Ok(Some(reply))
        }
        Ok(Some(reply)) => settle(active, &request, reply).await.map(Some),
    };
    Finished { request, result }
}

/// An error that comes with a login gives no token (CVE-2026-46405 in OpenBao), and none that
/// comes with a lease a secret.
fn give_nothing(reply: &mut Reply) {
    reply.auth = None;
    reply.secret = None;
    reply.wrap = None;
    reply.headers.clear();
}

async fn settle(active: &Active, request: &Authorized, mut reply: Reply) -> Result<Reply, Failure> {
    let mount = &request.target.mount;
    if !mount.core_own {
        let entry = mount.entry.load();
        match &entry.config.allowed_response_headers {
            Some(allowed) => {
                reply.headers.retain(|name, _| allowed.iter().any(|a| a.eq_ignore_ascii_case(name)))
            }
            None => reply.headers.clear(),
        }
        if let Some(secret) = reply.secret.take() {
            reply.secret = Some(lease(active, request, secret).await?);
        }
        if let Some(auth) = reply.auth.take() {
            reply.auth = Some(login::login(active, request, auth, &mut reply.warnings).await?);
        }
    }
    wrapping::wrap(active, request, reply).await
}

/// A lease that somebody must give back remembers what: its internal data holds the type of the
/// secret (`secret_type`, set by every SDK) and whatever identifies it. One that cannot be renewed
/// and identifies nothing, as kv's, is only a hint how long the data is good for: nothing is kept.
async fn lease(
    active: &Active,
    request: &Authorized,
    mut secret: Box<Secret>,
) -> Result<Box<Secret>, Failure> {
    if must_be_given_back(&secret) {
        revoke_at_once(request, secret).await;
        return Err(Error::Unavailable(
            "this server does not keep leases yet, so the secret that the plugin issued was \
             revoked at once"
                .to_owned(),
        )
        .into());
    }
    let (default, max) = effective_ttls(active.mounts.facts(), &request.target.mount);
    if secret.lease.ttl.is_zero() {
        secret.lease.ttl = default;
    }
    secret.lease.ttl = secret.lease.ttl.min(max);
    secret.lease.renewable = false;
    secret.lease_id.clear();
    Ok(secret)
}

fn must_be_given_back(secret: &Secret) -> bool {
    secret.internal.mentions("\"secret_type\"")
        && (secret.lease.renewable || secret.internal.fields().is_ok_and(|fields| fields.len() > 1))
}

/// Gives back what nobody could give back later.
async fn revoke_at_once(request: &Authorized, secret: Box<Secret>) {
    let Ok(inside) = &request.target.inside else { return };
    let mount = &request.target.mount;
    let mut revoke = boltwork_logical::Request::new(
        Operation::Revoke,
        request.target.relative.clone(),
        std::sync::Arc::clone(&mount.storage),
    );
    revoke.mount = mount.facts.load_full();
    revoke.secret = Some(secret);
    if let Err(failure) = inside.backend().handle(revoke).await {
        tracing::error!(
            mount = mount.point(),
            error = %failure.error,
            "a secret that cannot be kept as a lease could not be revoked either"
        );
    }
}
