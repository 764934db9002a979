//! Which request headers audit devices write, and whether their values are digested.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use boltwork_audit::AuditedHeader;
use boltwork_framework::StorageExt;
use boltwork_logical::{Error, Headers, Storage};
use serde::{Deserialize, Serialize};

/// Storage key below `sys/audited-headers-config/`; Vault's.
const KEY: &str = "audited-headers";

/// Most headers.
const MOST: usize = 256;

/// Longest name of a header, in bytes.
const LONGEST: usize = 256;

/// Headers that carry a credential: their values are never written in the clear.
const CREDENTIALS: [&str; 4] = ["x-vault-token", "authorization", "proxy-authorization", "cookie"];

/// How one header is written.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HeaderSettings {
    /// Digested.
    pub hmac: bool,
}

/// The headers that are written, by their names in lower case.
pub type ByName = BTreeMap<String, HeaderSettings>;

/// The headers that are written.
pub struct AuditedHeaders {
    storage: Arc<dyn Storage>,
    by_name: ArcSwap<ByName>,
    /// One change at a time.
    changing: tokio::sync::Mutex<()>,
}

impl AuditedHeaders {
    /// Reads them.
    pub async fn open(storage: Arc<dyn Storage>) -> Result<Self, Error> {
        let stored: ByName = storage.load(KEY).await?.unwrap_or_default();
        let by_name: ByName =
            stored.into_iter().map(|(name, settings)| (name.to_lowercase(), settings)).collect();
        let by_name = ArcSwap::from_pointee(by_name);
        Ok(Self { storage, by_name, changing: tokio::sync::Mutex::default() })
    }

    /// All of them.
    pub fn all(&self) -> Arc<ByName> {
        self.by_name.load_full()
    }

    /// Has a header written from now on.
    pub async fn set(&self, name: &str, settings: HeaderSettings) -> Result<(), Error> {
        if name.len() > LONGEST || !name.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Error::invalid("that cannot be the name of a header"));
        }
        self.change(|headers| {
            headers.insert(name.to_lowercase(), settings);
        })
        .await
    }

    /// Has a header written no more.
    pub async fn remove(&self, name: &str) -> Result<(), Error> {
        self.change(|headers| {
            headers.remove(&name.to_lowercase());
        })
        .await
    }

    async fn change(&self, change: impl FnOnce(&mut ByName)) -> Result<(), Error> {
        let _one = self.changing.lock().await;
        let mut headers = ByName::clone(&self.by_name.load());
        change(&mut headers);
        if headers.len() > MOST {
            return Err(Error::invalid(format!("at most {MOST} audited headers")));
        }
        self.storage.save(KEY, &headers).await?;
        self.by_name.store(Arc::new(headers));
        Ok(())
    }

    /// Those of a request's headers that are written.
    pub fn of<'a>(&self, headers: &'a Headers) -> Vec<AuditedHeader<'a>> {
        let by_name = self.by_name.load();
        if by_name.is_empty() {
            return Vec::new();
        }
        let written = |(name, values): (&'a String, &'a Vec<String>)| {
            let lower = name.to_lowercase();
            let settings = by_name.get(&lower)?;
            let digested = settings.hmac || CREDENTIALS.contains(&lower.as_str());
            Some(AuditedHeader { name, values, digested })
        };
        headers.iter().filter_map(written).collect()
    }
}
