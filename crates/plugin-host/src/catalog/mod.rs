//! Which plugins there are: those that are built in, and those that were registered (wire spec 5).
//!
//! Left out: whether a plugin works (`preflight`), and running it.

mod entry;
mod registration;

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use boltwork_logical::{
    Entry, Error, Factory, PluginEntry, PluginId, PluginKind, Storage, Version,
};

pub(crate) use registration::{Checked, check};

/// A plugin that is compiled in.
#[derive(Clone)]
pub struct Builtin {
    /// Kind.
    pub kind: PluginKind,
    /// Name.
    pub name: String,
    /// Version with the `builtin` mark: `v1.2.3+builtin.boltwork`.
    pub version: String,
    /// Makes its backends.
    pub factory: Arc<dyn Factory>,
    /// `supported`, `deprecated`, `pending removal` or `removed`, if anything is said.
    pub deprecation: Option<&'static str>,
}

impl Builtin {
    fn entry(&self) -> PluginEntry {
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
            deprecation: self.deprecation,
        }
    }
}

/// The catalog. Its storage is there while the server is unsealed.
pub(crate) struct Catalog {
    builtins: Vec<Builtin>,
    /// Without it no external plugin counts.
    pub directory: Option<PathBuf>,
    storage: ArcSwapOption<Arc<dyn Storage>>,
}

impl Catalog {
    pub fn new(builtins: Vec<Builtin>, directory: Option<PathBuf>) -> Self {
        Self { builtins, directory, storage: ArcSwapOption::empty() }
    }

    /// Takes the storage, or forgets it.
    pub fn open(&self, storage: Option<Arc<dyn Storage>>) {
        self.storage.store(storage.map(Arc::new));
    }

    fn storage(&self) -> Result<Arc<dyn Storage>, Error> {
        self.storage.load_full().map(|storage| (*storage).clone()).ok_or(Error::Sealed)
    }

    /// The built-in plugin of a kind and name.
    pub fn builtin(&self, kind: PluginKind, name: &str) -> Option<&Builtin> {
        self.builtins.iter().find(|builtin| builtin.kind == kind && builtin.name == name)
    }

    /// Looks a plugin up (wire spec 5.2).
    pub async fn get(&self, id: &PluginId) -> Result<Option<PluginEntry>, Error> {
        if let Some(found) = self.registered(id).await? {
            return Ok(Some(found));
        }
        let Some(builtin) = self.builtin(id.kind, &id.name) else { return Ok(None) };
        if id.version.is_empty() {
            return Ok(Some(builtin.entry()));
        }
        let wanted = builtin.version == id.version && !self.is_hidden(builtin).await?;
        Ok(wanted.then(|| builtin.entry()))
    }

    /// A registered plugin that is to be run; an error if there is none.
    pub async fn external(&self, id: &PluginId) -> Result<PluginEntry, Error> {
        self.registered(id).await?.ok_or_else(|| not_found(id))
    }

    /// Whether an unversioned plugin has taken a built-in one's name.
    async fn is_hidden(&self, builtin: &Builtin) -> Result<bool, Error> {
        let id = PluginId {
            kind: builtin.kind,
            name: builtin.name.clone(),
            version: String::new(),
        };
        Ok(self.registered(&id).await?.is_some())
    }

    async fn registered(&self, id: &PluginId) -> Result<Option<PluginEntry>, Error> {
        let storage = self.storage()?;
        if self.directory.is_none() {
            return Ok(None);
        }
        let mut found = self.read(&*storage, &key(id), id.kind).await?;
        if found.is_none() && id.version.is_empty() {
            // From before there were types.
            found = self.read(&*storage, &id.name, id.kind).await?;
        }
        // `a/v1.0.0` without a version and `a` in version 1.0.0 have the same key.
        Ok(found.filter(|found| found.id == *id))
    }

    async fn read(
        &self,
        storage: &dyn Storage,
        key: &str,
        kind: PluginKind,
    ) -> Result<Option<PluginEntry>, Error> {
        let Some(stored) = storage.get(key).await? else { return Ok(None) };
        entry::read(&stored.value, kind)
            .map(Some)
            .map_err(|why| Error::Internal(format!("failed to decode plugin entry {key:?}: {why}")))
    }

    /// Stores an entry under its own id.
    pub async fn put(&self, entry: &PluginEntry) -> Result<(), Error> {
        let text = entry::write(entry).map_err(|why| {
            Error::Internal(format!("failed to encode plugin entry {:?}: {why}", entry.id.name))
        })?;
        Ok(self.storage()?.put(Entry::new(key(&entry.id), text)).await?)
    }

    /// Forgets an entry; one that is built in cannot be forgotten.
    pub async fn delete(&self, id: &PluginId) -> Result<(), Error> {
        let version = &id.version;
        if Version::parse_strict(version).is_ok_and(|version| version.is_builtin()) {
            return Err(Error::Invalid(format!("version {version:?} cannot be deleted")));
        }
        let storage = self.storage()?;
        storage.delete(&key(id)).await?;
        if version.is_empty() && !id.name.contains('/') {
            storage.delete(&id.name).await?;
        }
        Ok(())
    }

    /// Everything, sorted by kind, name and version.
    pub async fn list(&self) -> Result<Vec<PluginEntry>, Error> {
        let mut all = self.all_registered().await?;
        for builtin in &self.builtins {
            let hidden = all.iter().any(|entry| {
                let id = &entry.id;
                id.kind == builtin.kind && id.name == builtin.name && id.version.is_empty()
            });
            if !hidden {
                all.push(builtin.entry());
            }
        }
        all.sort_by(|a, b| {
            let names = (a.id.kind, &a.id.name).cmp(&(b.id.kind, &b.id.name));
            names.then_with(|| by_version(&a.id.version, &b.id.version))
        });
        Ok(all)
    }

    async fn all_registered(&self) -> Result<Vec<PluginEntry>, Error> {
        let storage = self.storage()?;
        let mut found = Vec::new();
        if self.directory.is_none() {
            return Ok(found);
        }
        for kind in PluginKind::ALL {
            let mut folders = vec![format!("{kind}/")];
            while let Some(folder) = folders.pop() {
                for child in storage.list(&folder).await? {
                    let key = format!("{folder}{child}");
                    if child.ends_with('/') {
                        folders.push(key);
                        continue;
                    }
                    match self.read(&*storage, &key, kind).await {
                        Ok(Some(entry)) => found.push(entry),
                        Ok(None) => {}
                        // One that cannot be read must not hide the others.
                        Err(error) => tracing::warn!(key, %error, "skipping a catalog entry"),
                    }
                }
            }
        }
        Ok(found)
    }

    /// The version to store for a new mount (wire spec 5.5).
    pub async fn select_version(
        &self,
        kind: PluginKind,
        name: &str,
        wanted: &str,
    ) -> Result<String, Error> {
        let id = |version: String| PluginId { kind, name: name.to_owned(), version };
        let builtin = self.builtin(kind, name);
        let unversioned = self.registered(&id(String::new())).await?.is_some();
        if wanted.is_empty() {
            let newest = if unversioned { None } else { self.newest(kind, name).await? };
            return Ok(newest.unwrap_or_default());
        }
        let version = Version::parse_loose(wanted)
            .map_err(|why| Error::Invalid(not_a_version(wanted, &why)))?
            .to_string();
        if builtin.is_some_and(|builtin| builtin.version == version) {
            if !unversioned {
                return Ok(String::new());
            }
            return Err(Error::Invalid(format!(
                "{kind} plugin {name:?}, version {version} not found, as it is overridden by an \
                 unversioned plugin of the same name. Omit `plugin_version` to use the unversioned \
                 plugin"
            )));
        }
        let id = id(version);
        match self.registered(&id).await? {
            Some(_) => Ok(id.version),
            None => Err(not_found(&id)),
        }
    }

    async fn newest(&self, kind: PluginKind, name: &str) -> Result<Option<String>, Error> {
        let all = self.all_registered().await?;
        let versions = all
            .into_iter()
            .filter(|entry| entry.id.kind == kind && entry.id.name == name)
            .map(|entry| entry.id.version)
            .filter(|version| !version.is_empty());
        Ok(versions.max_by(|a, b| by_version(a, b)))
    }
}

/// Where an entry lies.
fn key(id: &PluginId) -> String {
    let PluginId { kind, name, version } = id;
    if version.is_empty() { format!("{kind}/{name}") } else { format!("{kind}/{name}/{version}") }
}

/// No such plugin: text and kind are Vault's.
pub(crate) fn not_found(id: &PluginId) -> Error {
    let version = match id.version.as_str() {
        "" => String::new(),
        version => format!(", version={version}"),
    };
    Error::Invalid(format!("plugin not found in the catalog: {}{version}", id.name))
}

fn not_a_version(text: &str, why: &impl std::fmt::Display) -> String {
    format!("version {text:?} is not a valid semantic version: {why}")
}

fn by_version(a: &str, b: &str) -> std::cmp::Ordering {
    match (Version::parse_strict(a), Version::parse_strict(b)) {
        (Ok(left), Ok(right)) => left.precedence(&right).then_with(|| a.cmp(b)),
        _ => a.cmp(b),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
