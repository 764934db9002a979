//! The catalog: which plugins there are, built in and registered (wire spec 5.1, 5.2, 5.5, 5.7).
//!
//! It keeps entries and finds them. Whether a binary is what it should be, and whether it works, is
//! found out elsewhere, before an entry is stored.

mod entry;
mod pins;
mod rules;
mod stored;

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use boltwork_logical::{
    DatabaseFactory, Entry, Error, Factory, PluginEntry, PluginId, PluginKind, Storage, Version,
};

pub(crate) use rules::{Checked, check};

use entry::{StoredEntry, key};
use stored::{load, untyped};

/// A plugin that is compiled in.
#[derive(Clone)]
pub struct Builtin {
    /// Kind.
    pub kind: PluginKind,
    /// Name.
    pub name: String,
    /// Canonical, with `builtin` in its metadata: `v0.1.0+builtin.boltwork`.
    pub version: String,
    /// Makes what it is.
    pub factory: Compiled,
    /// `supported`, `deprecated`, `pending removal`, `removed`.
    pub deprecation: &'static str,
}

/// What makes the backends, or the databases, of a plugin that is compiled in.
#[derive(Clone)]
pub enum Compiled {
    /// A secrets engine or an auth method.
    Backend(Arc<dyn Factory>),
    /// A database plugin.
    Database(Arc<dyn DatabaseFactory>),
}

impl From<Arc<dyn Factory>> for Compiled {
    fn from(factory: Arc<dyn Factory>) -> Self {
        Self::Backend(factory)
    }
}

impl From<Arc<dyn DatabaseFactory>> for Compiled {
    fn from(factory: Arc<dyn DatabaseFactory>) -> Self {
        Self::Database(factory)
    }
}

/// What a lookup found.
#[derive(Clone)]
pub enum Found {
    /// A plugin that is compiled in.
    Builtin(Builtin),
    /// A registered one.
    External(PluginEntry),
}

/// Storage while the server is unsealed.
struct Open(Arc<dyn Storage>);

/// The catalog.
pub struct Catalog {
    builtins: Vec<Builtin>,
    /// External plugins count only where there is a directory to run them from.
    runs_external: bool,
    open: ArcSwapOption<Open>,
    /// Held by who pins and who removes: a pinned version stays registered.
    changing: tokio::sync::Mutex<()>,
}

impl Catalog {
    /// A catalog that is not open yet.
    pub fn new(builtins: Vec<Builtin>, runs_external: bool) -> Self {
        Self {
            builtins,
            runs_external,
            open: ArcSwapOption::empty(),
            changing: tokio::sync::Mutex::default(),
        }
    }

    /// The server is unsealed: entries are below this storage.
    pub fn open(&self, storage: Arc<dyn Storage>) {
        self.open.store(Some(Arc::new(Open(storage))));
    }

    /// The server is sealed.
    pub fn close(&self) {
        self.open.store(None);
    }

    /// Whether the server is unsealed.
    pub fn is_open(&self) -> bool {
        self.open.load().is_some()
    }

    fn storage(&self) -> Result<Arc<dyn Storage>, Error> {
        self.open.load().as_ref().map(|open| Arc::clone(&open.0)).ok_or(Error::Sealed)
    }

    /// Finds a plugin: a registered one before a built-in one of the same name.
    pub async fn find(&self, id: &PluginId) -> Result<Option<Found>, Error> {
        if self.runs_external
            && let Some(entry) = self.external(id).await?
        {
            return Ok(Some(Found::External(entry)));
        }
        let Some(builtin) = self.builtin(id.kind, &id.name) else { return Ok(None) };
        match id.version.as_str() {
            "" => Ok(Some(Found::Builtin(builtin.clone()))),
            version if version == builtin.version && !self.is_shadowed(id).await? => {
                Ok(Some(Found::Builtin(builtin.clone())))
            }
            _ => Ok(None),
        }
    }

    /// As [`Catalog::find`], but not finding it is an error.
    pub async fn require(&self, id: &PluginId) -> Result<Found, Error> {
        if self.runs_external {
            self.refuse_image(id).await?;
        }
        self.find(id).await?.ok_or_else(|| not_found(id))
    }

    /// The one that is compiled in.
    pub fn builtin(&self, kind: PluginKind, name: &str) -> Option<&Builtin> {
        self.builtins.iter().find(|b| b.kind == kind && b.name == name)
    }

    /// Whether an unversioned registered plugin hides the built-in one.
    async fn is_shadowed(&self, id: &PluginId) -> Result<bool, Error> {
        let unversioned = PluginId { version: String::new(), ..id.clone() };
        Ok(self.runs_external && self.external(&unversioned).await?.is_some())
    }

    /// Every plugin, sorted by kind, name and version.
    pub async fn list(&self) -> Result<Vec<PluginEntry>, Error> {
        let mut entries = match self.runs_external {
            true => self.all_external().await?,
            false => Vec::new(),
        };
        for builtin in &self.builtins {
            let hidden = entries.iter().any(|e| {
                e.id.kind == builtin.kind && e.id.name == builtin.name && e.id.version.is_empty()
            });
            if !hidden {
                entries.push(builtin.entry());
            }
        }
        entries.sort_by(|a, b| {
            let version = |e: &PluginEntry| Version::parse_loose(&e.id.version).ok();
            (a.id.kind, &a.id.name).cmp(&(b.id.kind, &b.id.name)).then_with(|| {
                match (version(a), version(b)) {
                    (Some(x), Some(y)) => x.precedence(&y),
                    (x, y) => x.is_some().cmp(&y.is_some()),
                }
            })
        });
        Ok(entries)
    }

    async fn all_external(&self) -> Result<Vec<PluginEntry>, Error> {
        let storage = self.storage()?;
        let mut found: Vec<PluginEntry> = Vec::new();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            // Pins and the like are not plugins.
            if folder == pins::FOLDER {
                continue;
            }
            for child in storage.list(&folder).await? {
                let path = format!("{folder}{child}");
                if path.ends_with('/') {
                    folders.push(path);
                } else if let Some(stored) = load(storage.as_ref(), &path).await? {
                    found.extend(stored.into_entry());
                }
            }
        }
        Ok(found)
    }

    /// Names and versions of a plugin's registered entries, unsorted.
    async fn versions(&self, kind: PluginKind, name: &str) -> Result<Vec<String>, Error> {
        if !self.runs_external {
            return Ok(Vec::new());
        }
        let prefix = format!("{kind}/{name}/");
        let mut versions = self.storage()?.list(&prefix).await?;
        // A folder belongs to another plugin whose name begins like this one's.
        versions.retain(|v| !v.ends_with('/') && Version::parse_strict(v).is_ok());
        Ok(versions)
    }

    /// The version to store for a new mount (wire spec 5.5).
    pub async fn select_version(
        &self,
        kind: PluginKind,
        name: &str,
        wanted: &str,
    ) -> Result<String, Error> {
        let id = |version: &str| PluginId { kind, name: name.into(), version: version.into() };
        if kind == PluginKind::Database
            && let Some(pin) = self.pinned(kind, name).await?
        {
            return pinned_version(&pin, wanted);
        }
        if wanted.is_empty() {
            if self.is_shadowed(&id("")).await? {
                return Ok(String::new());
            }
            let mut versions = self.versions(kind, name).await?;
            versions.sort_by(|a, b| match (Version::parse_strict(a), Version::parse_strict(b)) {
                (Ok(a), Ok(b)) => a.precedence(&b),
                _ => a.cmp(b),
            });
            if let Some(highest) = versions.pop() {
                tracing::debug!(plugin = name, version = highest, "pinning plugin version");
                return Ok(highest);
            }
            return self.require(&id("")).await.map(|_| String::new());
        }
        let version = Version::parse_loose(wanted).map_err(|e| {
            Error::invalid(format!("version {wanted:?} is not a valid semantic version: {e}"))
        })?;
        let id = id(&version.to_string());
        if self.builtin(kind, name).is_some_and(|b| b.version == id.version) {
            if self.is_shadowed(&id).await? {
                return Err(Error::invalid(format!(
                    "{kind} plugin {name:?}, version {} not found, as it is overridden by an \
                     unversioned plugin of the same name. Omit `plugin_version` to use the \
                     unversioned plugin",
                    id.version
                )));
            }
            return Ok(String::new());
        }
        self.require(&id).await.map(|_| id.version)
    }

    /// Entries from before there were types, each with the key that it is stored under. The type in
    /// them means nothing.
    pub async fn untyped(&self) -> Result<Vec<(String, PluginEntry)>, Error> {
        let storage = self.storage()?;
        let mut found = Vec::new();
        for key in storage.list("").await? {
            // A folder: all later entries are in one.
            if key.ends_with('/') {
                continue;
            }
            let Some(stored) = storage.get(&key).await? else { continue };
            if let Ok(entry) = serde_json::from_slice::<StoredEntry>(&stored.value)
                && entry.name == key
            {
                found.push((key, entry.with_kind(PluginKind::Secret)));
            }
        }
        Ok(found)
    }

    /// Stores an entry under its type in place of the one without. One that was registered under
    /// that type since then counts more.
    pub async fn replace_untyped(
        &self,
        old: &str,
        checked: Checked,
        kind: PluginKind,
    ) -> Result<(), Error> {
        let id = PluginId { kind, name: checked.name.clone(), version: String::new() };
        if load(self.storage()?.as_ref(), &key(&id)).await?.is_none() {
            self.store(checked, kind, "").await?;
        }
        self.storage()?.delete(old).await?;
        Ok(())
    }

    /// Stores a checked and tried registration, under the version it reports if none was asked for
    /// (rules 18 and 19). Replaces an entry of the same kind, name and version.
    pub async fn store(
        &self,
        checked: Checked,
        kind: PluginKind,
        reported: &str,
    ) -> Result<PluginEntry, Error> {
        let version = agreed_version(&checked, reported)?;
        let entry = PluginEntry {
            id: PluginId { kind, name: checked.name, version },
            command: checked.command,
            args: checked.args,
            env: checked.env,
            sha256: checked.sha256.to_vec(),
            builtin: false,
            declarative: checked.declarative,
            deprecation: None,
        };
        let value = serde_json::to_vec(&StoredEntry::of(&entry))
            .map_err(|e| Error::internal(e.to_string()))?;
        self.storage()?.put(Entry::new(key(&entry.id), value)).await?;
        Ok(entry)
    }

    /// Forgets an entry; no error if there is none.
    pub async fn remove(&self, id: &PluginId) -> Result<(), Error> {
        if Version::parse_strict(&id.version).is_ok_and(|v| v.is_builtin()) {
            return Err(Error::invalid(format!("version {:?} cannot be deleted", id.version)));
        }
        let _turn = self.changing.lock().await;
        if !id.version.is_empty() && self.pinned(id.kind, &id.name).await?.as_ref() == Some(id) {
            return Err(Error::invalid("cannot delete a pinned version"));
        }
        let storage = self.storage()?;
        // The old one first: if only one of the two can be deleted, it must not come to light.
        if id.version.is_empty() && untyped(storage.as_ref(), id).await?.is_some() {
            storage.delete(&id.name).await?;
        }
        storage.delete(&key(id)).await?;
        Ok(())
    }
}

impl Builtin {
    /// The built-in one as lists show it.
    pub fn entry(&self) -> PluginEntry {
        PluginEntry {
            id: PluginId {
                kind: self.kind,
                name: self.name.clone(),
                version: self.version.clone(),
            },
            command: String::new(),
            args: Vec::new(),
            env: Vec::new(),
            sha256: Vec::new(),
            builtin: true,
            declarative: false,
            deprecation: Some(self.deprecation),
        }
    }
}

fn agreed_version(checked: &Checked, reported: &str) -> Result<String, Error> {
    if checked.version.is_empty() {
        if reported.is_empty() {
            return Ok(String::new());
        }
        return Version::parse_strict(reported).map(|v| v.to_string()).map_err(|e| {
            Error::internal(format!(
                "plugin self-reported version {reported:?} is not a valid semantic version: {e}"
            ))
        });
    }
    if !reported.is_empty() && reported != checked.version {
        return Err(Error::invalid(format!(
            "plugin version mismatch: {} reported version ({reported}) did not match requested \
             version ({})",
            checked.name, checked.version
        )));
    }
    Ok(checked.version.clone())
}

/// The version to store for a new connection of a database plugin that is pinned. Mounts keep the
/// version that they were asked for, though the pinned one runs; connections do not.
fn pinned_version(pin: &PluginId, wanted: &str) -> Result<String, Error> {
    let same = Version::parse_loose(wanted).is_ok_and(|wanted| wanted.to_string() == pin.version);
    if wanted.is_empty() || same {
        return Ok(pin.version.clone());
    }
    Err(Error::invalid(format!(
        "cannot specify plugin_version for plugin {:?} as it is pinned ({})",
        pin.name, pin.version
    )))
}

/// No such plugin, in Vault's words.
pub(crate) fn not_found(id: &PluginId) -> Error {
    let version = match id.version.as_str() {
        "" => String::new(),
        version => format!(", version={version}"),
    };
    Error::invalid(format!("plugin not found in the catalog: {}{version}", id.name))
}

#[cfg(test)]
pub(crate) mod tests {
    use boltwork_logical::{Backend, BoxFuture, Setup};

    use super::*;

    /// Makes nothing.
    struct Nothing;

    impl Factory for Nothing {
        fn create(&self, _: Setup) -> BoxFuture<'_, Result<Arc<dyn Backend>, Error>> {
            Box::pin(async { Err(Error::internal("made for a test, and for nothing else")) })
        }
    }

    /// The built-in secrets engine `old` with this deprecation status.
    pub(crate) fn builtin(deprecation: &'static str) -> Builtin {
        Builtin {
            kind: PluginKind::Secret,
            name: "old".to_owned(),
            version: "v1.0.0+builtin.boltwork".to_owned(),
            factory: Compiled::Backend(Arc::new(Nothing)),
            deprecation,
        }
    }
}
