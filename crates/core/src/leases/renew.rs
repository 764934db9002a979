//! Renewing leases.

use std::time::Duration;

use boltwork_logical::{Error, Operation, Reply};

use super::Leases;
use crate::{
    mounts::effective_ttls,
    tokens::{TtlWish, now},
};

impl Leases {
    /// Extends a lease by what its backend allows. The reply holds the lease's new times, as for a
    /// client.
    pub async fn renew(&self, id: &str, increment: u64) -> Result<Reply, Error> {
        self.alone(id, async {
            let mut entry = self.get(id).await?.ok_or_else(|| Error::invalid("lease not found"))?;
            if entry.is_irrevocable() {
                return Err(Error::invalid(
                    "lease is expired and has failed previous revocation attempts",
                ));
            }
            if entry.expire_time <= now() {
                return Err(Error::invalid("lease expired"));
            }
            if !entry.renewable {
                return Err(Error::invalid("lease is not renewable"));
            }
            let reply = self.ask_backend(&entry, Operation::Renew, increment).await?;
            let mut reply = reply.unwrap_or_default();
            let Some(mut secret) = reply.secret.take() else {
                return Err(Error::internal("the backend renewed the lease with no secret"));
            };
            let server = self.server()?;
            let mount = server.mounts.route(&entry.path).ok_or(Error::Sealed)?.0;
            let wish = TtlWish {
                // What the caller asks for goes before what the backend says, within its limits.
                ttl: if increment > 0 { increment } else { secret.lease.ttl.as_secs() },
                backend_max_ttl: secret.lease.max_ttl.as_secs(),
                created: Some(entry.issue_time),
                ..TtlWish::default()
            };
            let (ttl, warnings) = wish.settle(effective_ttls(server.mounts.facts(), &mount))?;
            let ttl = match entry.token_end {
                0 => ttl,
                end => ttl.min(end.saturating_sub(now())),
            };
            entry.ttl = ttl;
            entry.max_ttl = secret.lease.max_ttl.as_secs();
            entry.renewable = secret.lease.renewable;
            entry.last_renewal_time = now();
            entry.expire_time = now().saturating_add(ttl);
            if !secret.internal.is_null()
                && let Some(internal) = super::entry::raw_of(&secret.internal)
            {
                entry.internal = internal;
            }
            self.save(&entry).await?;
            self.due.schedule(entry.lease_id.clone(), entry.expire_time);
            secret.lease_id.clone_from(&entry.lease_id);
            secret.lease.ttl = Duration::from_secs(ttl);
            reply.warnings.extend(warnings);
            Ok(Reply { secret: Some(secret), warnings: reply.warnings, ..Reply::default() })
        })
        .await
    }
}
