//! All mounts of an unsealed server: loading the tables, writing them, finding mounts.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock, Weak, atomic::AtomicBool},
};

use arc_swap::ArcSwap;
use boltwork_logical::{Backend, Entry, Error, Plugins, Storage};
use parking_lot::Mutex;

use super::{
    MountEntry, Table, entry::StoredTable, half_made, mount::Mount, router::Router,
    system_view::ServerFacts,
};
use crate::active::Active;

/// Gives a view of the barrier below a prefix.
pub type Views = Arc<dyn Fn(&str) -> Arc<dyn Storage> + Send + Sync>;

/// All mounts.
pub struct Mounts {
    pub(super) router: ArcSwap<Router>,
    /// `core/`: the tables.
    pub(super) core: Arc<dyn Storage>,
    pub(super) views: Views,
    pub(super) plugins: Arc<dyn Plugins>,
    pub(super) facts: Arc<ServerFacts>,
    /// One change of a table at a time; held while it is stored, never while a backend starts or
    /// stops. Taken after a mount's own `changing`, never before.
    pub(super) writing: tokio::sync::Mutex<()>,
    /// Full paths of mounts that are being made.
    pub(super) reserved: Mutex<Vec<String>>,
    /// Storage of mounts that an earlier life of the server did not finish.
    pub(super) leftovers: Mutex<Vec<String>>,
    /// The server is being sealed.
    pub(super) closed: AtomicBool,
    /// The unsealed server, once it is whole.
    pub(super) server: Arc<OnceLock<Weak<Active>>>,
}

/// A mount of the core's own, with its backend.
pub struct Own {
    pub table: Table,
    pub path: &'static str,
    pub kind: &'static str,
    pub description: &'static str,
    pub local: bool,
    /// Prefix of its storage; the others have one made of their UUID.
    pub storage: Option<&'static str>,
}

/// The core's own mounts.
pub const OWN: [Own; 4] = [
    Own {
        table: Table::Secret,
        path: "sys/",
        kind: "system",
        description: "system endpoints used for control, policy and debugging",
        local: false,
        storage: Some("sys/"),
    },
    Own {
        table: Table::Secret,
        path: "cubbyhole/",
        kind: "cubbyhole",
        description: "per-token private secret storage",
        local: true,
        storage: None,
    },
    Own {
        table: Table::Secret,
        path: "identity/",
        kind: "identity",
        description: "identity store",
        local: false,
        storage: None,
    },
    Own {
        table: Table::Auth,
        path: "token/",
        kind: "token",
        description: "token based credentials",
        local: false,
        storage: Some("sys/token/"),
    },
];

impl Mounts {
    /// Reads the tables; makes them the first time. No backend is brought up.
    pub async fn load(
        views: Views,
        plugins: Arc<dyn Plugins>,
        facts: Arc<ServerFacts>,
    ) -> Result<Self, Error> {
        let this = Self {
            router: ArcSwap::default(),
            core: views("core/"),
            views,
            plugins,
            facts,
            writing: tokio::sync::Mutex::default(),
            reserved: Mutex::default(),
            leftovers: Mutex::default(),
            closed: AtomicBool::new(false),
            server: Arc::default(),
        };
        let mut router = Router::default();
        for table in [Table::Secret, Table::Auth] {
            let mut entries = this.read(table).await?;
            let before = entries.len();
            for own in OWN.iter().filter(|own| own.table == table) {
                if !entries.iter().any(|e| e.path == own.path) {
                    entries.push(own_entry(own));
                }
            }
            for entry in &entries {
                router.add(Arc::new(this.mount_of(table, entry.clone())));
            }
            if entries.len() != before {
                this.write(table, entries, None).await?;
            }
        }
        this.router.store(Arc::new(router));
        // Now, while no mount is being made.
        *this.leftovers.lock() = half_made::find(this.core.as_ref()).await?;
        Ok(this)
    }

    /// The mount for an entry, with its own storage.
    pub(super) fn mount_of(&self, table: Table, mut entry: MountEntry) -> Mount {
        let own = OWN.iter().find(|own| own.table == table && own.path == entry.path);
        let prefix = match own.and_then(|own| own.storage) {
            Some(fixed) => fixed.to_owned(),
            None => format!("{}/{}/", table.folder(), entry.uuid),
        };
        // A version with `+builtin` was written by a server that named its built-in explicitly;
        // this server's built-in takes its place (wire spec 5.5).
        if boltwork_logical::Version::parse_loose(&entry.plugin_version)
            .is_ok_and(|v| v.is_builtin())
        {
            entry.plugin_version.clear();
        }
        Mount::new(table, entry, (self.views)(&prefix), own.is_some())
    }

    async fn read(&self, table: Table) -> Result<Vec<MountEntry>, Error> {
        let Some(entry) = self.core.get(table.key()).await? else { return Ok(Vec::new()) };
        let stored: StoredTable = serde_json::from_slice(&entry.value).map_err(|_| {
            Error::internal(format!("the stored table core/{} is not valid JSON", table.key()))
        })?;
        Ok(stored.entries)
    }

    /// Writes a table and, in the same step, deletes a note.
    async fn write(
        &self,
        table: Table,
        entries: Vec<MountEntry>,
        note: Option<&str>,
    ) -> Result<(), Error> {
        let stored = StoredTable { kind: table.key().to_owned(), entries };
        let value = serde_json::to_vec(&stored).map_err(|e| Error::internal(e.to_string()))?;
        let written = async {
            let tx = self.core.begin(false).await?;
            tx.put(Entry::new(table.key(), value.clone())).await?;
            if let Some(note) = note {
                tx.delete(note).await?;
            }
            tx.commit().await
        };
        let Err(error) = written.await else { return Ok(()) };
        // A failed answer does not mean that nothing was written; and what was, counts after the
        // next start.
        if let Ok(Some(stored)) = self.core.get(table.key()).await
            && *stored.value == *value
        {
            return Ok(());
        }
        Err(Error::unavailable(format!(
            "the table of {}s could not be written, nothing was changed: {error}",
            table.noun()
        )))
    }

    /// Writes a table as it would be with one entry replaced (`Some`) or removed (`None`).
    pub(super) async fn persist(
        &self,
        table: Table,
        accessor: &str,
        change: Option<MountEntry>,
    ) -> Result<(), Error> {
        self.write(table, self.changed(table, accessor, change), None).await
    }

    /// Writes a table with a mount that is finished now.
    pub(super) async fn persist_made(&self, mount: &Mount, entry: MountEntry) -> Result<(), Error> {
        let entries = self.changed(mount.table, &entry.accessor.clone(), Some(entry));
        self.write(mount.table, entries, Some(&half_made::note_of(mount))).await
    }

    fn changed(&self, table: Table, accessor: &str, change: Option<MountEntry>) -> Vec<MountEntry> {
        let mut entries: Vec<_> = self.entries(table);
        entries.retain(|e| e.accessor != accessor);
        entries.extend(change);
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        entries
    }

    fn entries(&self, table: Table) -> Vec<MountEntry> {
        self.all(table).iter().map(|m| MountEntry::clone(&m.entry.load())).collect()
    }

    /// The mounts of a table, sorted by path.
    pub fn all(&self, table: Table) -> Vec<Arc<Mount>> {
        let router = self.router.load();
        let mut mounts: Vec<_> = router.all().filter(|m| m.table == table).cloned().collect();
        mounts.sort_by_cached_key(|m| m.point());
        mounts
    }

    /// The mount that a path belongs to, and the path below it.
    pub fn route<'a>(&self, path: &'a str) -> Option<(Arc<Mount>, &'a str)> {
        self.router.load().route(path).map(|(mount, rest)| (Arc::clone(mount), rest))
    }

    /// The mount with this accessor.
    pub fn with_accessor(&self, accessor: &str) -> Option<Arc<Mount>> {
        let router = self.router.load();
        router.all().find(|mount| mount.facts.load().accessor == accessor).cloned()
    }

    /// The type of the mount with this accessor; empty if there is none.
    pub fn kind_of(&self, accessor: &str) -> String {
        self.with_accessor(accessor).map(|m| m.facts.load().kind.clone()).unwrap_or_default()
    }

    /// The mount at exactly this full path (`secret/`, `auth/approle/`).
    pub fn at(&self, point: &str) -> Option<Arc<Mount>> {
        self.router.load().at(point).cloned()
    }

    /// Makes the whole server known, for what mounts need of it. Once, before any is started.
    pub fn belong_to(&self, server: Weak<Active>) {
        // A second call would be the same server.
        let _ = self.server.set(server);
    }

    /// Facts about the server.
    pub fn facts(&self) -> &Arc<ServerFacts> {
        &self.facts
    }

    pub(super) fn edit_router(&self, edit: impl FnOnce(&mut Router)) {
        let mut router = Router::clone(&self.router.load());
        edit(&mut router);
        self.router.store(Arc::new(router));
    }

    /// Hands the core's own backends to their mounts.
    pub fn install(&self, backends: &BTreeMap<&str, Arc<dyn Backend>>) {
        for mount in self.router.load().all().filter(|m| m.core_own) {
            if let Some(backend) = backends.get(mount.entry.load().kind.as_str()) {
                mount.run(boltwork_logical::Running {
                    backend: Arc::clone(backend),
                    version: format!("v{}+builtin.boltwork", self.facts.version),
                    sha256: String::new(),
                    builtin: true,
                    deprecation: None,
                });
            }
        }
    }
}

fn own_entry(own: &Own) -> MountEntry {
    let mut entry = new_entry(own.table, own.path, own.kind);
    own.description.clone_into(&mut entry.description);
    entry.flags.local = own.local;
    if own.kind == "system" {
        entry.flags.seal_wrap = true;
        entry.config.passthrough_request_headers = Some(vec!["Accept".to_owned()]);
    }
    if own.kind == "identity" {
        entry.config.passthrough_request_headers = Some(vec!["Authorization".to_owned()]);
    }
    if own.kind == "token" {
        entry.config.token_type = "default-service".to_owned();
    }
    entry
}

/// An entry with fresh names.
pub fn new_entry(table: Table, path: &str, kind: &str) -> MountEntry {
    let prefix = match table {
        Table::Secret => "",
        Table::Auth => "auth_",
    };
    let random: u32 = rand::random();
    MountEntry {
        path: path.to_owned(),
        kind: kind.to_owned(),
        uuid: uuid::Uuid::new_v4().to_string(),
        backend_aware_uuid: uuid::Uuid::new_v4().to_string(),
        accessor: format!("{prefix}{kind}_{random:08x}"),
        ..MountEntry::default()
    }
}

/// Whether a type is one of the core's own.
pub fn is_own_kind(kind: &str) -> bool {
    OWN.iter().any(|own| own.kind == kind)
}
