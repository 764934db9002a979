//! `delete/…`, `undelete/…` and `destroy/…`: changing versions by their numbers.

use std::collections::BTreeSet;

use boltwork_sdk::{Reply, Request, Result, logical::Error};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Versioned,
    missing::{self, names_key},
};
use crate::store::{Change, Saved};

/// Fields of the three paths.
#[derive(Deserialize, JsonSchema)]
pub(super) struct VersionsFields {
    /// Location of the secret.
    path: String,
    /// Numbers of the versions.
    #[serde(default)]
    versions: Option<Vec<i64>>,
}

impl VersionsFields {
    /// The numbers that can be numbers of versions, each once; `None` if none were given at all.
    fn numbers(&self) -> Option<BTreeSet<u64>> {
        let given = self.versions.as_deref().filter(|versions| !versions.is_empty())?;
        Some(given.iter().filter_map(|&n| u64::try_from(n).ok()).filter(|&n| n > 0).collect())
    }
}

impl Versioned {
    pub(super) async fn delete_versions(&self, req: Request<VersionsFields>) -> Result<Reply> {
        let store = self.open().await?;
        if !names_key(&req.fields.path) {
            return missing::no_such_path(&req);
        }
        let numbers = req.fields.numbers().ok_or_else(|| none_given('N'))?;
        let now = store.now();
        let done = store.change(&*req.storage, &req.fields.path, |key| {
            let Some(mut key) = key else { return Ok((Change::Keep, ())) };
            for version in &mut key.record.versions {
                if numbers.contains(&version.number) && version.is_readable(now) {
                    version.deleted = Some(now);
                }
            }
            Ok((Change::Save(Saved::only(key)), ()))
        });
        done.await?;
        Ok(Reply::empty())
    }

    pub(super) async fn undelete_versions(&self, req: Request<VersionsFields>) -> Result<Reply> {
        let store = self.open().await?;
        if !names_key(&req.fields.path) {
            return missing::no_such_path(&req);
        }
        let numbers = req.fields.numbers().ok_or_else(|| none_given('N'))?;
        let settings = store.settings(&*req.storage).await?;
        let now = store.now();
        let done = store.change(&*req.storage, &req.fields.path, |key| {
            let Some(mut key) = key else { return Ok((Change::Keep, ())) };
            let expiry = key.record.expiry(now, &settings);
            for version in &mut key.record.versions {
                if numbers.contains(&version.number) && !version.destroyed {
                    version.deleted = expiry;
                }
            }
            Ok((Change::Save(Saved::only(key)), ()))
        });
        done.await?;
        Ok(Reply::empty())
    }

    pub(super) async fn destroy_versions(&self, req: Request<VersionsFields>) -> Result<Reply> {
        let store = self.open().await?;
        if !names_key(&req.fields.path) {
            return missing::no_such_path(&req);
        }
        let numbers = req.fields.numbers().ok_or_else(|| none_given('n'))?;
        let done = store.change(&*req.storage, &req.fields.path, |key| {
            let Some(mut key) = key else { return Ok((Change::Keep, ())) };
            for version in &mut key.record.versions {
                version.destroyed |= numbers.contains(&version.number);
            }
            if numbers.contains(&key.record.current) {
                key.data = None;
            }
            // Also those that are marked already: an earlier attempt may have been cut short.
            let destroyed = numbers.iter().copied().filter(|&n| n <= key.record.current).collect();
            Ok((Change::Save(Saved { key, moved: None, destroyed }), ()))
        });
        done.await?;
        Ok(Reply::empty())
    }
}

/// Vault writes this text with a capital letter on two of the three paths.
fn none_given(initial: char) -> Error {
    Error::invalid(format!("{initial}o version number provided"))
}
