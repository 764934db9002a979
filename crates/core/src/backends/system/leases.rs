//! `sys/leases/` and its old names: what was given out, and taking it back.

use std::collections::BTreeMap;

use boltwork_framework::{Reply, Request, Result, Ttl};
use boltwork_logical::Error;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::System;
use crate::{
    leases::{Force, LeaseEntry},
    tokens::now,
};

/// Most irrevocable leases in one answer.
const SHOWN: usize = 10_000;

/// One lease.
#[derive(Deserialize, JsonSchema)]
pub(super) struct LeaseFields {
    /// The lease identifier to act on. This is included with a lease.
    #[serde(default)]
    lease_id: String,
    /// The lease identifier, where it stands in the path.
    #[serde(default)]
    url_lease_id: String,
    /// The desired increment in seconds to the lease.
    #[serde(default)]
    increment: Ttl,
    /// Whether or not to perform the revocation synchronously.
    #[serde(default)]
    sync: Option<bool>,
}

/// Leases below a path.
#[derive(Deserialize, JsonSchema)]
pub(super) struct PrefixFields {
    /// The path to act on the leases under. Example: "aws/creds/deploy".
    #[serde(default)]
    prefix: String,
    /// Whether or not to perform the revocation synchronously. Default true.
    #[serde(default)]
    sync: Option<bool>,
}

/// Which leases to count or show.
#[derive(Deserialize, JsonSchema)]
pub(super) struct TypeFields {
    /// Type of leases: only `irrevocable` ones can be shown.
    #[serde(default, rename = "type")]
    kind: String,
}

impl LeaseFields {
    fn id(&self) -> Result<&str> {
        [&self.lease_id, &self.url_lease_id]
            .into_iter()
            .find(|id| !id.is_empty())
            .map(String::as_str)
            .ok_or_else(|| Error::invalid("lease_id must be specified"))
    }
}

impl System {
    pub(super) async fn lookup_lease(&self, req: Request<LeaseFields>) -> Result<Reply> {
        let entry = self.active()?.leases.get(req.fields.id()?).await?;
        let entry = entry.ok_or_else(|| Error::invalid("invalid lease"))?;
        Ok(Reply::data(json!({
            "id": entry.lease_id,
            "issue_time": timestamp(entry.issue_time),
            "expire_time": timestamp(entry.expire_time),
            "last_renewal": timestamp(entry.last_renewal_time),
            "renewable": entry.renewable && entry.expire_time > now(),
            "ttl": entry.expire_time.saturating_sub(now()),
        })))
    }

    pub(super) async fn list_leases(&self, req: Request<PrefixFields>) -> Result<Reply> {
        Ok(Reply::keys(&self.active()?.leases.names(&req.fields.prefix).await?))
    }

    pub(super) async fn renew_lease(&self, req: Request<LeaseFields>) -> Result<Reply> {
        let increment = req.fields.increment.as_secs();
        let reply = self.active()?.leases.renew(req.fields.id()?, increment).await?;
        Ok(Reply::from(reply))
    }

    pub(super) async fn revoke_lease(&self, req: Request<LeaseFields>) -> Result<Reply> {
        let (active, id) = (self.active()?, req.fields.id()?);
        match req.fields.sync.unwrap_or(false) {
            true => active.leases.revoke(id, Force::No).await?,
            false => active.leases.end(id).await?,
        }
        Ok(Reply::empty())
    }

    pub(super) async fn revoke_leases(&self, req: Request<PrefixFields>) -> Result<Reply> {
        let active = self.active()?;
        match req.fields.sync.unwrap_or(true) {
            true => active.leases.revoke_prefix(&req.fields.prefix, Force::No).await?,
            false => {
                for id in active.leases.ids(&req.fields.prefix).await? {
                    active.leases.end(&id).await?;
                }
            }
        }
        Ok(Reply::empty())
    }

    pub(super) async fn forget_leases(&self, req: Request<PrefixFields>) -> Result<Reply> {
        self.active()?.leases.revoke_prefix(&req.fields.prefix, Force::Yes).await?;
        Ok(Reply::empty())
    }

    /// The irrevocable ones; nobody may ask for a list of all.
    pub(super) async fn irrevocable_leases(&self, req: Request<TypeFields>) -> Result<Reply> {
        if req.fields.kind != "irrevocable" {
            return Ok(Reply::not_found());
        }
        let mut leases = self.irrevocable().await?;
        leases.truncate(SHOWN);
        let shown: Vec<_> = leases
            .iter()
            .map(|entry| json!({ "lease_id": entry.lease_id, "error": entry.revoke_error }))
            .collect();
        Ok(Reply::data(json!({ "lease_count": shown.len(), "leases": shown })))
    }

    pub(super) async fn count_leases(&self, req: Request<TypeFields>) -> Result<Reply> {
        if req.fields.kind != "irrevocable" {
            return Ok(Reply::not_found());
        }
        let (active, leases) = (self.active()?, self.irrevocable().await?);
        let mut counts = BTreeMap::<String, u64>::new();
        for entry in &leases {
            let point = active.mounts.route(&entry.path).map(|(mount, _)| mount.point());
            *counts.entry(point.unwrap_or_default()).or_default() += 1;
        }
        Ok(Reply::data(json!({ "lease_count": leases.len(), "counts": counts })))
    }

    async fn irrevocable(&self) -> Result<Vec<LeaseEntry>> {
        let (active, mut found) = (self.active()?, Vec::new());
        for id in active.leases.ids("").await? {
            found.extend(active.leases.get(&id).await?.filter(LeaseEntry::is_irrevocable));
        }
        Ok(found)
    }
}

/// RFC 3339; `null` for never.
fn timestamp(seconds: u64) -> Option<String> {
    let seconds = i64::try_from(seconds).ok().filter(|s| *s > 0)?;
    OffsetDateTime::from_unix_timestamp(seconds).ok()?.format(&Rfc3339).ok()
}
