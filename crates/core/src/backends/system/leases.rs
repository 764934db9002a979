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
    backends::{one_error, tidying},
    leases::{Force, LeaseEntry},
    tokens::now,
};

/// Most irrevocable leases in one answer, unless more are asked for.
const SHOWN: usize = 10_000;

/// What is said where there are more.
const MORE: &str = "Command halted because many irrevocable leases were found. To emit the entire \
                    list, re-run the command with force set true.";

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
    /// Whether or not to perform the revocation synchronously. Default true.
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
    /// Most leases to show: a number, or `none` for all.
    #[serde(default)]
    limit: String,
    /// Without meaning here: there is one namespace.
    #[serde(default, rename = "include_child_namespaces")]
    _children: bool,
}

impl TypeFields {
    fn is_irrevocable(&self) -> bool {
        self.kind.eq_ignore_ascii_case("irrevocable")
    }

    fn limit(&self) -> Result<usize> {
        let wrong = || Error::internal(one_error("limit must be 'none' or a positive integer"));
        match self.limit.to_lowercase().as_str() {
            "" => Ok(SHOWN),
            "none" => Ok(usize::MAX),
            text => text.parse().ok().filter(|limit| *limit > 0).ok_or_else(wrong),
        }
    }
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
        let mut shown = json!({
            "id": entry.lease_id,
            "path": entry.path,
            "issue_time": timestamp(entry.issue_time),
            "expire_time": timestamp(entry.expire_time),
            "last_renewal": timestamp(entry.last_renewal_time),
            "renewable": entry.renewable && entry.expire_time > now(),
            "ttl": entry.expire_time.saturating_sub(now()),
        });
        if entry.is_irrevocable() {
            shown["revoke_error"] = json!(entry.revoke_error);
        }
        Ok(Reply::data(shown))
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
        match req.fields.sync.unwrap_or(true) {
            true => active.leases.revoke(id, Force::No).await?,
            false => {
                active.leases.end(id).await?;
                return Ok(accepted());
            }
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
                return Ok(accepted());
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
        if !req.fields.is_irrevocable() {
            return Ok(Reply::not_found());
        }
        let limit = req.fields.limit()?;
        let mut leases = self.irrevocable().await?;
        leases.sort_by(|a, b| {
            a.expire_time.cmp(&b.expire_time).then_with(|| a.lease_id.cmp(&b.lease_id))
        });
        let more = leases.len() > limit;
        leases.truncate(limit);
        let mut shown = Vec::with_capacity(leases.len());
        for entry in &leases {
            shown.push(json!({
                "lease_id": entry.lease_id,
                "mount_id": self.mount_of(entry)?,
                "error": entry.revoke_error,
            }));
        }
        let reply = Reply::data(json!({ "lease_count": shown.len(), "leases": shown }));
        Ok(if more { reply.warning(MORE) } else { reply })
    }

    pub(super) async fn count_leases(&self, req: Request<TypeFields>) -> Result<Reply> {
        if !req.fields.is_irrevocable() {
            return Ok(Reply::not_found());
        }
        let leases = self.irrevocable().await?;
        let mut counts = BTreeMap::<String, u64>::new();
        for entry in &leases {
            *counts.entry(self.mount_of(entry)?).or_default() += 1;
        }
        Ok(Reply::data(json!({ "lease_count": leases.len(), "counts": counts })))
    }

    pub(super) async fn tidy_leases(&self, req: Request) -> Result<Reply> {
        self.active()?.leases.tidy();
        Ok(tidying(req.id()))
    }

    /// The accessor of the mount that gave a lease; a text that says so if it is gone.
    fn mount_of(&self, entry: &LeaseEntry) -> Result<String> {
        let mount = self.active()?.mounts.route(&entry.path);
        Ok(mount.map_or_else(
            || "mount-accessor-not-found".to_owned(),
            |(mount, _)| mount.facts.load().accessor.clone(),
        ))
    }

    async fn irrevocable(&self) -> Result<Vec<LeaseEntry>> {
        let (active, mut found) = (self.active()?, Vec::new());
        for id in active.leases.ids("").await? {
            found.extend(active.leases.get(&id).await?.filter(LeaseEntry::is_irrevocable));
        }
        Ok(found)
    }
}

/// It will be done.
fn accepted() -> Reply {
    Reply::raw(202, "application/json", "")
}

/// RFC 3339; `null` for never.
fn timestamp(seconds: u64) -> Option<String> {
    let seconds = i64::try_from(seconds).ok().filter(|s| *s > 0)?;
    OffsetDateTime::from_unix_timestamp(seconds).ok()?.format(&Rfc3339).ok()
}
