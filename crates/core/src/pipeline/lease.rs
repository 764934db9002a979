//! The lease that a secret deserves.

use std::{sync::Arc, time::Duration};

use boltwork_logical::{Data, Error, Failure, Operation, Reply, Request, Secret};

use super::authorize::Authorized;
use crate::{
    active::Active,
    leases::{LeaseEntry, NewLease},
    mounts::{Inside, Mount, effective_ttls},
    session::Session,
    tokens::{Digest, TtlWish, now},
};

/// A secret that somebody must take back becomes a lease. Any other is only a hint how long the
/// data is good for, and needs no keeping.
pub async fn settle(
    active: &Active,
    request: &Authorized,
    reply: &mut Reply,
    mut secret: Box<Secret>,
) -> Result<Box<Secret>, Failure> {
    let mount = &request.target.mount;
    let wish = TtlWish {
        ttl: secret.lease.ttl.as_secs(),
        backend_max_ttl: secret.lease.max_ttl.as_secs(),
        ..TtlWish::default()
    };
    let (ttl, warnings) = wish.settle(effective_ttls(active.mounts.facts(), mount))?;
    // A batch token's lease ends with it: nobody revokes the token, so nothing else would end it.
    let batch = request.session.as_ref().map(|s| &s.entry).filter(|entry| entry.is_batch());
    let token_end = batch.map_or(0, |entry| entry.life.expire_time);
    let ttl = match token_end {
        0 => ttl,
        end => ttl.min(end.saturating_sub(now())),
    };
    secret.lease.ttl = Duration::from_secs(ttl);
    secret.lease_id.clear();
    if !must_be_given_back(&secret) {
        secret.lease.renewable = false;
        return Ok(secret);
    }
    reply.warnings.extend(warnings);
    let Ok(inside) = &request.target.inside else { return Err(Error::Sealed.into()) };
    let issued = Issued {
        server: active.whole()?,
        mount: Arc::clone(mount),
        inside: inside.again(),
        path: request.inbound.path.clone(),
        relative: request.target.relative.clone(),
        session: request.session.clone(),
        data: reply.data.clone(),
        secret: secret.clone(),
        ttl,
        token_end,
    };
    // Carried through even if the client goes away: the secret exists, somebody must keep it.
    let kept = tokio::spawn(issued.keep()).await;
    let entry = kept.unwrap_or_else(|_| Err(Error::internal("keeping the lease failed")))?;
    secret.lease_id = entry.lease_id;
    Ok(secret)
}

/// A secret that somebody must give back remembers what: its internal data holds its type
/// (`secret_type`, set by every SDK) and whatever identifies it. One that cannot be renewed and
/// identifies nothing, as kv's, is only a hint.
fn must_be_given_back(secret: &Secret) -> bool {
    secret.internal.mentions("\"secret_type\"")
        && (secret.lease.renewable || secret.internal.fields().is_ok_and(|fields| fields.len() > 1))
}

/// A secret that exists and is not kept yet.
struct Issued {
    server: Arc<Active>,
    mount: Arc<Mount>,
    inside: Inside,
    path: String,
    relative: String,
    session: Option<Arc<Session>>,
    data: Data,
    secret: Box<Secret>,
    ttl: u64,
    token_end: u64,
}

impl Issued {
    /// Keeps it, or gives it back.
    async fn keep(self) -> Result<LeaseEntry, Error> {
        let Some(session) = self.session.clone() else {
            self.give_back().await;
            return Err(Error::internal(
                "the backend gave a secret on a path that needs no token; it was given back",
            ));
        };
        let new = NewLease {
            path: &self.path,
            token: match session.entry.is_batch() {
                true => Digest::parse(&session.entry.parent),
                false => Some(session.digest),
            },
            token_end: self.token_end,
            data: &self.data,
            secret: &self.secret,
            ttl: self.ttl,
        };
        let entry = match self.server.leases.keep(new).await {
            Ok(entry) => entry,
            Err(error) => {
                self.give_back().await;
                return Err(Error::unavailable(format!(
                    "the lease could not be stored, so the secret was given back: {error}"
                )));
            }
        };
        // The token may have been revoked before the lease was there to be found. Of a token whose
        // last use this is, that comes after the request.
        let tokens = &self.server.tokens;
        let is_there = match session.entry.is_batch() {
            true => tokens.has_living_parent(&session.entry).await?,
            false => session.last_use || tokens.lookup(&session.digest).await?.is_some(),
        };
        if !is_there {
            self.server.leases.end(&entry.lease_id).await?;
            return Err(Error::Denied);
        }
        Ok(entry)
    }

    /// Takes back at once what nobody could take back later.
    async fn give_back(self) {
        let mut revoke =
            Request::new(Operation::Revoke, self.relative, Arc::clone(&self.mount.storage));
        revoke.mount = self.mount.facts.load_full();
        revoke.data = self.data;
        revoke.secret = Some(self.secret);
        if let Err(failure) = self.inside.handle(revoke).await {
            tracing::error!(
                mount = self.mount.point(),
                error = %failure.error,
                "a secret that cannot be kept as a lease could not be given back either"
            );
        }
    }
}
