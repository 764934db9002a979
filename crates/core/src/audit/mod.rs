//! The audit devices of the server: which there are, where that is stored, how they come up.
//!
//! What a line looks like and how it is written is the room `audit`'s business; when one is written
//! is the pipeline's.

mod headers;

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use boltwork_audit::{Broker, Device, FileDevice, Salt};
use boltwork_logical::{Entry, Error, Storage};
use zeroize::Zeroizing;

pub use headers::{AuditedHeaders, HeaderSettings};

use crate::mounts::{MountEntry, MountFlags, StoredTable, Views};

/// Keys of the tables below `core/`: devices, and devices that are not replicated.
const TABLE: &str = "audit";
const LOCAL_TABLE: &str = "local-audit";

/// Most devices.
const MAX_DEVICES: usize = 32;

/// The audit devices.
pub struct Audit {
    /// Asks the devices.
    pub broker: Broker,
    /// Request headers that are written.
    pub headers: AuditedHeaders,
    /// `core/`: the tables.
    core: Arc<dyn Storage>,
    views: Views,
    entries: ArcSwap<Vec<MountEntry>>,
    /// One change at a time.
    changing: tokio::sync::Mutex<()>,
}

/// A device to be enabled.
#[derive(Default)]
pub struct NewDevice {
    /// Its path, without slashes at either end.
    pub path: String,
    /// Its type.
    pub kind: String,
    /// For humans.
    pub description: String,
    /// Options, by type.
    pub options: BTreeMap<String, String>,
    /// Not replicated.
    pub local: bool,
}

impl Audit {
    /// Opens all devices that are enabled. With any enabled, at least one must open, or the server
    /// stays sealed: it must not work unwatched.
    pub async fn open(views: Views) -> Result<Self, Error> {
        let this = Self {
            broker: Broker::new(),
            headers: AuditedHeaders::open(views("sys/audited-headers-config/")).await?,
            core: views("core/"),
            views,
            entries: ArcSwap::default(),
            changing: tokio::sync::Mutex::default(),
        };
        let mut entries = this.read(TABLE).await?;
        entries.extend(this.read(LOCAL_TABLE).await?);
        let mut failures = Vec::new();
        for entry in &entries {
            match this.device(entry).await {
                Ok(device) => this.broker.register(&entry.path, device),
                Err(error) => {
                    tracing::error!(device = entry.path, %error, "an audit device cannot be opened");
                    failures.push(format!("{}: {error}", entry.path));
                }
            }
        }
        if !entries.is_empty() && failures.len() == entries.len() {
            return Err(Error::unavailable(format!(
                "failed to setup audit table: none of the enabled audit devices can be opened, so \
                 the server stays sealed: {}",
                failures.join("; ")
            )));
        }
        this.entries.store(Arc::new(entries));
        Ok(this)
    }

    /// The devices that are enabled.
    pub fn entries(&self) -> Arc<Vec<MountEntry>> {
        self.entries.load_full()
    }

    /// Enables a device, once it has taken a record that means nothing.
    pub async fn enable(&self, new: NewDevice) -> Result<(), Error> {
        let trimmed = new.path.trim_matches('/');
        if trimmed.is_empty() {
            return Err(Error::invalid("backend path must be specified"));
        }
        if new.options.contains_key("prefix") {
            // A prefix makes an audit file into a file of any kind, run or read by others.
            return Err(Error::invalid("audit log prefixing is not allowed"));
        }
        let path = format!("{trimmed}/");
        let _one = self.changing.lock().await;
        let mut entries = Vec::clone(&self.entries.load());
        let nests = |e: &MountEntry| e.path.starts_with(&path) || path.starts_with(&e.path);
        if entries.iter().any(nests) {
            return Err(Error::invalid("path already in use"));
        }
        if entries.len() >= MAX_DEVICES {
            return Err(Error::invalid(format!("at most {MAX_DEVICES} audit devices")));
        }
        let entry = MountEntry {
            path: path.clone(),
            accessor: format!("audit_{}_{:08x}", new.kind, rand::random::<u32>()),
            kind: new.kind,
            description: new.description,
            uuid: uuid::Uuid::new_v4().to_string(),
            options: Some(new.options),
            flags: MountFlags { local: new.local, ..MountFlags::default() },
            ..MountEntry::default()
        };
        let device = self.device(&entry).await?;
        if entry.options.as_ref().is_none_or(|o| o.get("skip_test").is_none_or(|v| v != "true")) {
            Broker::probe(&*device, &uuid::Uuid::new_v4().to_string())
                .await
                .map_err(|e| Error::invalid(format!("audit backend failed test message: {e}")))?;
        }
        entries.push(entry);
        self.write(&entries).await?;
        self.entries.store(Arc::new(entries));
        self.broker.register(&path, device);
        tracing::info!(device = path, "enabled an audit device");
        Ok(())
    }

    /// Disables a device; no error if there is none.
    pub async fn disable(&self, path: &str) -> Result<(), Error> {
        let path = format!("{}/", path.trim_matches('/'));
        let _one = self.changing.lock().await;
        let mut entries = Vec::clone(&self.entries.load());
        let Some(place) = entries.iter().position(|e| e.path == path) else { return Ok(()) };
        let entry = entries.remove(place);
        self.write(&entries).await?;
        self.entries.store(Arc::new(entries));
        self.broker.deregister(&path);
        let salt = (self.views)(&format!("audit/{}/", entry.uuid));
        if let Err(error) = salt.delete("salt").await {
            tracing::warn!(%error, "the salt of a disabled audit device could not be removed");
        }
        tracing::info!(device = path, "disabled an audit device");
        Ok(())
    }

    async fn device(&self, entry: &MountEntry) -> Result<Arc<dyn Device>, Error> {
        if entry.kind != "file" {
            return Err(Error::invalid(format!("unknown backend type: {:?}", entry.kind)));
        }
        let salt = self.salt(entry).await?;
        let options = entry.options.clone().unwrap_or_default();
        // Opening may wait for a slow file system.
        let opened = tokio::task::spawn_blocking(move || FileDevice::open(&options, salt)).await;
        match opened {
            Ok(Ok(device)) => Ok(Arc::new(device)),
            Ok(Err(error)) => Err(Error::invalid(error.to_string())),
            Err(_) => Err(Error::internal("the audit device panicked while it was opened")),
        }
    }

    /// The device's salt, made the first time.
    async fn salt(&self, entry: &MountEntry) -> Result<Salt, Error> {
        let storage = (self.views)(&format!("audit/{}/", entry.uuid));
        if let Some(stored) = storage.get("salt").await? {
            let text = std::str::from_utf8(&stored.value)
                .map_err(|_| Error::internal("the stored salt of an audit device is damaged"))?;
            return Ok(Salt::new(text));
        }
        let text = Salt::generate();
        let value = Zeroizing::new(text.as_bytes().to_vec());
        storage.put(Entry { key: "salt".into(), value, seal_wrap: false }).await?;
        Ok(Salt::new(&text))
    }

    async fn read(&self, key: &str) -> Result<Vec<MountEntry>, Error> {
        let Some(entry) = self.core.get(key).await? else { return Ok(Vec::new()) };
        let stored: StoredTable = serde_json::from_slice(&entry.value).map_err(|_| {
            Error::internal(format!("the stored table core/{key} is not valid JSON"))
        })?;
        Ok(stored.entries)
    }

    /// Writes both tables, all at once.
    async fn write(&self, entries: &[MountEntry]) -> Result<(), Error> {
        let tx = self.core.begin(false).await?;
        for (key, local) in [(TABLE, false), (LOCAL_TABLE, true)] {
            let entries = entries.iter().filter(|e| e.flags.local == local).cloned().collect();
            let table = StoredTable { kind: TABLE.to_owned(), entries };
            let value = serde_json::to_vec(&table).map_err(|e| Error::internal(e.to_string()))?;
            tx.put(Entry::new(key, value)).await?;
        }
        tx.commit().await.map_err(|e| {
            Error::unavailable(format!(
                "the table of audit devices could not be written, nothing was changed: {e}"
            ))
        })
    }
}
