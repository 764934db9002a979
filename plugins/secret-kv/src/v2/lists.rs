//! Lists and scans of keys, with and without their metadata.

use boltwork_sdk::{
    Reply, Request, Result,
    logical::{Data, Storage},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{At, Versioned, metadata::shown};
use crate::store::{Store, parse, raw};

/// Fields of a list.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ListFields {
    /// The folder to list.
    path: String,
    /// List what comes after this name, which need not exist.
    #[serde(default)]
    after: String,
    /// How many names to list at most; all if absent or 0.
    #[serde(default)]
    limit: Option<i64>,
}

impl ListFields {
    fn limit(&self) -> Option<usize> {
        self.limit.and_then(|limit| usize::try_from(limit).ok()).filter(|&limit| limit > 0)
    }
}

/// A path as a folder: with a slash at its end, unless it is the root.
pub(crate) fn folder(path: &str) -> String {
    if path.is_empty() || path.ends_with('/') { path.to_owned() } else { format!("{path}/") }
}

/// Every key below a prefix, relative to it.
pub(crate) async fn scan(storage: &dyn Storage, prefix: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for name in storage.list(&format!("{prefix}{folder}")).await? {
            let path = format!("{folder}{name}");
            if name.ends_with('/') {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

impl Versioned {
    pub(super) async fn list_keys(&self, req: Request<ListFields>) -> Result<Reply> {
        let store = self.open().await?;
        Ok(Reply::keys(&list(store, &*req.storage, &req.fields).await?))
    }

    pub(super) async fn scan_keys(&self, req: Request<At>) -> Result<Reply> {
        let store = self.open().await?;
        let prefix = store.meta_key(&folder(&req.fields.path));
        Ok(Reply::keys(&scan(&*req.storage, &prefix).await?))
    }

    pub(super) async fn list_details(&self, req: Request<ListFields>) -> Result<Reply> {
        let store = self.open().await?;
        let keys = list(store, &*req.storage, &req.fields).await?;
        details(store, &*req.storage, &req.fields.path, keys).await
    }

    pub(super) async fn scan_details(&self, req: Request<At>) -> Result<Reply> {
        let store = self.open().await?;
        let prefix = store.meta_key(&folder(&req.fields.path));
        let keys = scan(&*req.storage, &prefix).await?;
        details(store, &*req.storage, &req.fields.path, keys).await
    }
}

async fn list(store: &Store, storage: &dyn Storage, fields: &ListFields) -> Result<Vec<String>> {
    let prefix = store.meta_key(&folder(&fields.path));
    Ok(storage.list_page(&prefix, &fields.after, fields.limit()).await?)
}

/// A list of keys with the metadata of each; folders have none.
async fn details(
    store: &Store,
    storage: &dyn Storage,
    path: &str,
    keys: Vec<String>,
) -> Result<Reply> {
    let path = folder(path);
    let mut infos = Vec::with_capacity(keys.len());
    for key in keys {
        let entry = match key.ends_with('/') {
            true => None,
            false => store.entry(storage, &format!("{path}{key}")).await?,
        };
        let info = match entry {
            Some(entry) => Data::of(&shown(&parse(&entry)?.record))?,
            None => Data::json(&serde_json::json!({})),
        };
        infos.push((key, info));
    }
    let mut entries: Vec<(String, &RawValue)> = Vec::with_capacity(infos.len());
    for (key, info) in &infos {
        entries.push((key.clone(), raw(info.as_str())?));
    }
    Ok(Reply::keys_with_info(entries))
}
